"""Error rates when everybody is given the same group of an attribute: the interventional side of what
`groups` observes.

The edits behind the decision effect are enough for it. Each group is given to all of the edited images, so
that both images of a pair have it, or one has one group and the other another; all that differs between two
rates is the attribute, and what else the edit moved. Both sides are decoded, so that G's own error is in
both.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from attribute_recovery.dataset.attributes import Attribute
from attribute_recovery.significance.effect import Edited, Originals
from attribute_recovery.significance.grouping import Contrast
from attribute_recovery.significance.groups import NO_ERRORS, Rate
from attribute_recovery.statistics.bootstrap import identity_weights
from attribute_recovery.statistics.inputs import BoolArray, FloatArray, IntArray, identity_codes
from attribute_recovery.statistics.interval import effective_identities, of_decisions
from attribute_recovery.statistics.paired import Resampled, paired_difference
from attribute_recovery.statistics.pairs import defined_ratio, weighted_pair_sum

Floats = npt.NDArray[np.float32]


def given_groups(attribute: Attribute, known: Originals, edited: list[Edited]) -> list[Floats]:
    """Embeddings of the images with each group given to all of them, (n, d) a group.

    Classes as declared, images that have one already only decoded; of a continuous attribute the images
    moved a dose down, and a dose up.
    """
    by_direction = {one.edit.direction: one for one in edited}
    if not attribute.is_discrete:
        wanted = ["decrease", "increase"]
    elif attribute.kind == "binary":
        wanted = ["remove", "add"]
    else:
        wanted = [f"to_{name}" for name in attribute.categories]
    found = []
    for direction in wanted:
        embeddings = known.rebuilt.copy()
        if direction in by_direction:
            one = by_direction[direction]
            embeddings[one.edit.rows] = one.embeddings
        found.append(embeddings)
    return found


def given_dose(attribute: Attribute, place: slice, edited: list[Edited]) -> float:
    """How far both groups of a continuous attribute lie apart on average, in doses; 1 for classes."""
    if attribute.is_discrete:
        return 1.0
    means = {one.edit.direction: float(one.edit.wanted[:, place.start].mean()) for one in edited}
    if len(means) < 2 or attribute.dose <= 0:
        return float("nan")
    return (means["increase"] - means["decrease"]) / attribute.dose


class Intervened:
    """Pairs of the edited images under each group given, people resampled once for all attributes.

    Args:
        known: the images.
        tau: decision threshold.
        n_boot: replicates.
        n_flips: flips of signs behind p-values.
        seed: of both.
    """

    def __init__(self, known: Originals, tau: float, *, n_boot: int, n_flips: int, seed: int) -> None:
        self.known, self.tau, self.n_flips, self.seed = known, tau, n_flips, seed
        self.people, self.k = identity_codes("identities", known.identities, len(known.identities))
        self.n_boot = n_boot
        without = np.ones((self.k, self.k)) - np.eye(self.k)
        drawn = list(identity_weights(self.k, n_boot, seed, 256)) if self.k > 1 else []
        self.weights = np.concatenate([np.ones((1, self.k)), *drawn, without])

    def rows(
        self, attribute: Attribute, place: slice, edited: list[Edited], wanted: dict[Rate, list[Contrast]]
    ) -> list[dict[str, Any]]:
        """Differences of rates between groups given.

        Args:
            attribute: whose.
            place: its columns in the encoded matrix.
            edited: its edits.
            wanted: contrasts by rate, "fmr" and "fnmr", over groups in the order of `given_groups`.
        """
        groups = given_groups(attribute, self.known, edited)
        dose, first, second = given_dose(attribute, place, edited), *np.triu_indices(len(self.people), 1)
        genuine = self.people[first] == self.people[second]
        rows = []
        for rate, contrasts in wanted.items():
            chosen = genuine if rate == "fnmr" else ~genuine
            if not chosen.any() or self.k < 2:
                continue
            resampled = self._resampled(groups, first[chosen], second[chosen], rate == "fnmr")
            pairs = np.stack([self.people[first[chosen]], self.people[second[chosen]]])
            effective = effective_identities(np.bincount(pairs.ravel(), minlength=self.k))
            trials = np.unique(np.sort(pairs, axis=0), axis=1).shape[1]
            for contrast in contrasts:
                found = self._difference(resampled, contrast, effective, trials, of_two=rate == "fmr")
                rows.append(
                    found
                    | {
                        "attribute": attribute.name,
                        "measure": f"{rate}_difference_interventional",
                        "direction": contrast.name,
                        "n_identities": self.k,
                        "n_images": len(self.people),
                        "n_pairs": float(chosen.sum()),
                        "contrast": dose,
                        "method": "groups given by edits, p by flips of sign",
                    }
                )
        return rows

    def _resampled(
        self, groups: list[Floats], first: IntArray, second: IntArray, genuine: bool
    ) -> FloatArray:
        """Rates of each group given to both, and of different ones, under all weights, (r, G + 1)."""
        a, b = self.people[first], self.people[second]

        def wrong(one: Floats, other: Floats) -> FloatArray:
            accepted = ((one @ other.T)[first, second] >= self.tau).astype(np.float64)
            return 1 - accepted if genuine else accepted

        columns = [wrong(one, one) for one in groups]
        pairs = [(i, j) for i in range(len(groups)) for j in range(len(groups)) if i != j]
        columns.append(np.mean([wrong(groups[i], groups[j]) for i, j in pairs], axis=0))
        bottom = weighted_pair_sum(np.ones(len(first)), a, b, self.k)(self.weights)
        tops = [weighted_pair_sum(column, a, b, self.k)(self.weights) for column in columns]
        return np.stack([defined_ratio(top, bottom) for top in tops], axis=1)

    def _difference(
        self, resampled: FloatArray, contrast: Contrast, effective: float, trials: int, *, of_two: bool
    ) -> dict[str, Any]:
        """`effective`: identities by their pairs; `trials`: people, or pairs of people, who have a pair;
        `of_two`: whether pairs are of two people each."""
        sides = [self._figure(resampled, columns) for columns in (contrast.first, contrast.second)]
        found = paired_difference(
            *sides, n_flips=self.n_flips, seed=self.seed, recentre=of_two, effective=effective
        )
        around = of_decisions(found.interval, trials, 1.0)
        row = {"estimate": around.estimate, "low": around.low, "high": around.high, "p": found.p}
        right = not any(side.estimate for side in sides)
        return row | ({"p": math.nan, "note": NO_ERRORS} if right else {})

    def _figure(self, resampled: FloatArray, columns: BoolArray) -> Resampled:
        # Each group is given to the same pairs, so groups taken together are their plain mean.
        values = resampled[:, columns].mean(axis=1)
        estimate, lost = float(values[0]), values[1 + self.n_boot :]
        parts = estimate + (self.k - 1) * (lost.mean() - lost)
        return Resampled(estimate, values[1 : 1 + self.n_boot], parts)
