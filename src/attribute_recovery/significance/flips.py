"""Decisions that flip when one attribute changes, net of those that reconstruction alone flips.

Pairs: one image decoded, before and after the edit, against the real other image. In four directions: genuine
accepted and lost, genuine rejected and gained, impostor accepted and lost, and impostor rejected and gained
where the edit makes the attribute equal in both (to within half a dose; the same class).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribute_recovery.dataset.attributes import Attribute
from attribute_recovery.significance.effect import Edited, Originals
from attribute_recovery.statistics.bootstrap import Interval, pair_rate_interval
from attribute_recovery.statistics.inputs import BoolArray, FloatArray, IntArray, identity_codes

DIRECTIONS = ("genuine_lost", "genuine_gained", "impostor_gained", "impostor_lost")


@dataclass(frozen=True)
class PairChanges:
    """Pairs of one direction.

    Attributes:
        net: 1 where the edit flips the decision, less 1 where reconstruction alone does, (n,).
        first, second: identities as numbers, (n,).
    """

    net: FloatArray
    first: IntArray
    second: IntArray

    @property
    def rate(self) -> float:
        """Mean of `net`, −1 to 1; NaN without pairs."""
        return float(self.net.mean()) if len(self.net) else float("nan")

    def interval(self, *, n_boot: int, seed: int) -> Interval | None:
        """The rate with its interval, identities resampled; None with fewer than two identities."""
        if len(np.unique(np.concatenate([self.first, self.second]))) < 2:
            return None
        return pair_rate_interval(
            self.net, self.first, self.second, n_boot=n_boot, seed=seed, clip=(-1.0, 1.0)
        )


def decision_changes(
    attribute: Attribute, place: slice, known: Originals, edited: list[Edited], tau: float
) -> dict[str, PairChanges]:
    """The pairs of each of `DIRECTIONS`, over all edits of one attribute.

    Args:
        attribute: the attribute.
        place: its columns in the encoded matrix.
        known: the images; every other one of them is compared with.
        edited: the edits of this attribute, or of one of its directions.
        tau: accepted is a score of at least tau.
    """
    people, _ = identity_codes("identities", known.identities, len(known.identities))
    parts: dict[str, list[PairChanges]] = {name: [] for name in DIRECTIONS}
    for one in edited:
        for name, changes in _of_edit(attribute, place, known, people, one, tau).items():
            parts[name].append(changes)
    return {
        name: PairChanges(
            np.concatenate([part.net for part in found]),
            np.concatenate([part.first for part in found]),
            np.concatenate([part.second for part in found]),
        )
        for name, found in parts.items()
    }


def _of_edit(
    attribute: Attribute, place: slice, known: Originals, people: IntArray, edited: Edited, tau: float
) -> dict[str, PairChanges]:
    rows = edited.edit.rows
    before, rebuilt, after = (
        (side @ known.real.T).astype(np.float64) >= tau
        for side in (known.real[rows], known.rebuilt[rows], edited.embeddings)
    )  # (r, n) each
    genuine = people[rows][:, None] == people[None]
    impostor = ~genuine
    genuine[np.arange(len(rows)), rows] = False
    equal = made_equal(attribute, place, known.current, edited)
    chosen = {
        "genuine_lost": genuine & before,
        "genuine_gained": genuine & ~before,
        "impostor_gained": impostor & ~before & equal,
        "impostor_lost": impostor & before,
    }
    result = {}
    for name, pairs in chosen.items():
        i, j = np.nonzero(pairs)
        flips = (after != before).astype(np.float64) - (rebuilt != before)
        result[name] = PairChanges(flips[i, j], people[rows[i]], people[j])
    return result


def made_equal(
    attribute: Attribute, place: slice, current: npt.NDArray[np.float32], edited: Edited
) -> BoolArray:
    """Whether the edit makes the attribute equal in image i and image j where it was not, (r, n)."""
    wanted, was, other = edited.edit.wanted[:, place], current[edited.edit.rows][:, place], current[:, place]
    if attribute.is_discrete:
        tolerance = 0.5
    else:
        tolerance = attribute.dose / 2
    gap_after = np.abs(wanted[:, None] - other[None]).max(axis=2)
    gap_before = np.abs(was[:, None] - other[None]).max(axis=2)
    return np.asarray((gap_after <= tolerance) & (gap_before > tolerance))
