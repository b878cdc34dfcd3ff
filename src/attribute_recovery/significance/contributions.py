"""What each identity has to do with each figure of the long table, as sums: all that a comparison of
recognizers needs to resample two of them together, and nothing that a single image could be told by."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.recovery.routes import gains
from attribute_recovery.significance.decision import Effect
from attribute_recovery.significance.flips import PairChanges
from attribute_recovery.significance.forecasts import Recovered
from attribute_recovery.significance.shares import ContinuousSums, DiscreteSums, Sums, sums_by_identity
from attribute_recovery.statistics.inputs import FloatArray, IntArray, identity_codes

Names = npt.NDArray[np.object_]

# Of the identity share of a continuous attribute, beside its images: fields of `shares.ContinuousSums`.
CONTINUOUS_PARTS = ("values", "squares", "deviations", "errors", "error_deviations")

KEYS = ("measure", "attribute", "direction")
COLUMNS = (*KEYS, "part", "identity", "other", "n", "total")


def contributions_table(
    found: list[Recovered], people: Names, effects: list[Effect], edited_people: Names
) -> pd.DataFrame:
    """Sums by identity, or by pair of identities, one row each.

    Columns: `measure` (of the long table, or one of `flips.DIRECTIONS`), `attribute`, `direction`; `part`, of
    an identity share the field of `shares.ContinuousSums` or `DiscreteSums`, else empty; `identity`; `other`,
    of impostor pairs the second identity, else the same one; `n`, images or pairs; `total`, the sum.

    Args:
        found: forecasts of held-out images.
        people: their identities, (n,).
        effects: the decision effects.
        edited_people: identities of the images whose attributes were changed, (m,).
    """
    parts = [*_encoded(found, people), *_effects(effects, edited_people)]
    table = pd.concat(parts, ignore_index=True)
    return table[list(COLUMNS)]


def joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Tables of contributions, one below the other; without any an empty one."""
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def _encoded(found: list[Recovered], people: Names) -> Iterator[pd.DataFrame]:
    """Of retained information and identity share."""
    codes, _ = identity_codes("people", people, len(people))
    names, counts = np.unique(people.astype(str)), np.bincount(codes)
    for one in found:
        keys = {"attribute": one.attribute.name, "direction": ""}
        gain = np.bincount(codes, weights=gains(one.forecast, one.truth, one.marginal))
        yield _rows(keys | {"measure": "retained_information", "part": ""}, names, counts, gain)
        sums = sums_by_identity(one, codes)
        images = sums.images.astype(np.int64)
        for part, column in _parts_of(sums):
            yield _rows(keys | {"measure": "identity_share", "part": part}, names, images, column)


def _parts_of(sums: Sums) -> Iterator[tuple[str, FloatArray]]:
    names = ("between", "within") if isinstance(sums, DiscreteSums) else CONTINUOUS_PARTS
    for part in names:
        yield part, getattr(sums, part)


def _effects(effects: list[Effect], people: Names) -> Iterator[pd.DataFrame]:
    """Of the decision effect, and of the decisions that flip where directions are taken together."""
    codes, _ = identity_codes("people", people, len(people))
    names = np.unique(people.astype(str))
    for effect in effects:
        keys = {"attribute": effect.attribute, "direction": effect.direction, "part": ""}
        applied = ~np.isnan(effect.values)
        counts = np.bincount(codes[applied], minlength=len(names))
        sums = np.bincount(codes[applied], weights=effect.values[applied], minlength=len(names))
        kept = counts > 0
        yield _rows(keys | {"measure": "decision_effect"}, names[kept], counts[kept], sums[kept])
        if effect.direction == "":
            for measure, changes in effect.flips.items():
                if len(changes.net):
                    yield _pairs(keys | {"measure": measure}, names, changes)


def _pairs(keys: dict[str, str], names: npt.NDArray[np.str_], changes: PairChanges) -> pd.DataFrame:
    low, high = np.minimum(changes.first, changes.second), np.maximum(changes.first, changes.second)
    cells, place = np.unique(low * len(names) + high, return_inverse=True)
    counts = np.bincount(place, minlength=len(cells))
    sums = np.bincount(place, weights=changes.net, minlength=len(cells))
    first, second = names[cells // len(names)], names[cells % len(names)]
    return _rows(keys, first, counts, sums).assign(other=second)


def _rows(
    keys: dict[str, str], names: npt.NDArray[np.str_], counts: IntArray, sums: npt.NDArray[Any]
) -> pd.DataFrame:
    total = np.asarray(sums, dtype=np.float64)
    values: dict[str, Any] = {"identity": names, "other": names, "n": counts.astype(np.int64), "total": total}
    return pd.DataFrame(keys | values)


def sums_of_parts(parts: dict[str, FloatArray], images: FloatArray) -> Sums:
    """The sums of an identity share, back from its parts.

    Args:
        parts: totals by part, (k,) each.
        images: images of each identity, 0 where there is but one, (k,).

    Raises:
        ValueError: the parts are neither those of a continuous nor those of a discrete attribute.
    """
    if set(parts) == {"between", "within"}:
        return DiscreteSums(parts["between"], parts["within"], images)
    if set(parts) == set(CONTINUOUS_PARTS):
        return ContinuousSums(images, **parts)
    raise ValueError(f"parts: found {', '.join(sorted(parts))}, allowed are those of `shares.Sums`")
