"""Error rates of pairs by group of their images, under resampled people and permuted labels.

A pair belongs to a group where both of its images do, and to one more column, "different", where they belong
to two groups. Errors are few, so they are kept as lists; how many pairs there are follows from how many
images each identity has in each group. Weights of identities serve both sides of a pair, and copies of one
person are never impostors.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from attribute_recovery.statistics.inputs import BoolArray, FloatArray, IntArray, require_length
from attribute_recovery.statistics.pairs import defined_ratio, weighted_pair_sum

# Permutations worked at once; the result does not depend on it.
_BATCH = 512


@dataclass(frozen=True)
class PairErrors:
    """Wrong decisions among the pairs of one kind of n images.

    Attributes:
        codes: identity of each image as a number from 0, (n,).
        first, second: images of each wrongly decided pair, (m,) each.
        genuine: whether the pairs are of one person each (and wrongly rejected), or of two (and accepted).
        share: of the pairs that there are, how many were compared; 1 where all were.
    """

    codes: IntArray
    first: IntArray
    second: IntArray
    genuine: bool
    share: float = 1.0

    def among(self, chosen: BoolArray) -> "PairErrors":
        """The same of the chosen images alone, (n,), numbered anew in their order; identities keep theirs."""
        place = np.cumsum(chosen) - 1
        kept = chosen[self.first] & chosen[self.second]
        first, second = place[self.first[kept]], place[self.second[kept]]
        return PairErrors(self.codes[chosen], first, second, self.genuine, self.share)


class GroupedSums:
    """Errors and pairs in each group and in "different", as functions of how often each identity counts.

    Args:
        errors: the wrong decisions.
        labels: group of each image as a number from 0, −1 for none, shape (n,).
        n_groups: G.
        n_identities: k; identities without images count nothing.
        weights: of each image, shape (n,), not negative; a pair counts their product. Left out, all are 1.

    Raises:
        ValueError: lengths differ.
    """

    def __init__(
        self,
        errors: PairErrors,
        labels: npt.ArrayLike,
        n_groups: int,
        n_identities: int,
        weights: npt.ArrayLike | None = None,
    ) -> None:
        self.labels, n = np.asarray(labels, dtype=np.int64), len(errors.codes)
        each = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
        for name, array in (("labels", self.labels), ("weights", each)):
            require_length(name, array, n)
        self.errors, self.n_groups, self.k = errors, n_groups, n_identities
        cells = errors.codes * n_groups + self.labels
        inside = self.labels >= 0

        def by_cell(values: FloatArray) -> FloatArray:
            sums = np.bincount(cells[inside], weights=values[inside], minlength=n_identities * n_groups)
            return sums.reshape(n_identities, n_groups).astype(np.float64)

        self.counts, self.squares = by_cell(each), by_cell(each**2)  # (k, G)
        a, b = (errors.codes[side] for side in (errors.first, errors.second))
        values = each[errors.first] * each[errors.second]
        columns = pair_columns(self.labels[errors.first], self.labels[errors.second], n_groups)
        self._tops = [
            weighted_pair_sum(values[chosen], a[chosen], b[chosen], n_identities) if chosen.any() else None
            for chosen in (columns == column for column in range(n_groups + 1))
        ]

    def errors_of(self, weights: FloatArray) -> FloatArray:
        """Weighted errors (r, G + 1) under weights of identities (r, k)."""
        found = [np.zeros(len(weights)) if top is None else top(weights) for top in self._tops]
        return np.stack(found, axis=1)

    def pairs_of(self, weights: FloatArray) -> FloatArray:
        """Weighted pairs (r, G + 1) under weights of identities (r, k)."""
        total = self.counts.sum(axis=1, keepdims=True)
        if self.errors.genuine:
            same = weights @ ((self.counts**2 - self.squares) / 2)
            every = weights @ ((total**2 - self.squares.sum(axis=1, keepdims=True)) / 2)
        else:
            same = ((weights @ self.counts) ** 2 - weights**2 @ self.counts**2) / 2
            every = ((weights @ total) ** 2 - weights**2 @ total**2) / 2
        # What rounding leaves of no pair at all is none.
        different = every - same.sum(axis=1, keepdims=True)
        different[different <= 1e-9 * every] = 0.0
        return self.errors.share * np.concatenate([same, different], axis=1)

    @cached_property
    def pairs(self) -> FloatArray:
        """Pairs (G + 1,) with every identity once."""
        return np.asarray(self.pairs_of(np.ones((1, self.k)))[0])

    @cached_property
    def trials(self) -> IntArray:
        """Independent trials in each column (G + 1,): people who have a genuine pair there, or pairs of
        people who have an impostor pair there."""
        inside = self.counts > 0  # (k, G)
        groups = inside.sum(axis=1)
        if self.errors.genuine:
            # A group's pairs are of two images of one person.
            images = np.zeros((self.k, self.n_groups), dtype=np.int64)
            known = self.labels >= 0
            np.add.at(images, (self.errors.codes[known], self.labels[known]), 1)
            return np.append((images > 1).sum(axis=0), (groups > 1).sum())
        people = inside.sum(axis=0)
        # Two people have no pair of two groups where both have the same one alone.
        alone, every = inside[groups == 1].sum(axis=0), int((groups > 0).sum())
        different = every * (every - 1) // 2 - int((alone * (alone - 1) // 2).sum())
        return np.append(people * (people - 1) // 2, different)


Labels = TypeVar("Labels", npt.NDArray[np.int64], npt.NDArray[np.int16])


def pair_columns(first: Labels, second: Labels, n_groups: int) -> Labels:
    """Column of each pair from the groups of its images (m,): the group of both, G where they differ, −1
    where an image has none."""
    columns = first.copy()
    columns[first != second] = n_groups
    columns[(first < 0) | (second < 0)] = -1
    return columns


def rates(errors: FloatArray, pairs: FloatArray, columns: BoolArray) -> FloatArray:
    """Errors over pairs in some columns together, from (r, G + 1) each, (r,); NaN without pairs."""
    return defined_ratio(errors @ columns.astype(np.float64), pairs @ columns.astype(np.float64))


def identity_permuted(sums: GroupedSums, permuted: IntArray, n_groups: int) -> tuple[FloatArray, FloatArray]:
    """Errors and pairs with the labels of whole identities exchanged.

    Args:
        sums: of one group that holds all images that may be labelled, all weights 1.
        permuted: labels of the k identities, −1 for none, (B, k).
        n_groups: G.

    Returns:
        Errors and pairs, (B, G + 1) each.
    """
    parts = [_both(sums, (permuted == group).astype(np.float64)) for group in range(n_groups)]
    every = _both(sums, (permuted >= 0).astype(np.float64))
    errors, pairs = (np.stack([part[i] for part in parts], axis=1) for i in (0, 1))
    rest = [every[i] - side.sum(axis=1) for i, side in enumerate((errors, pairs))]
    return np.column_stack([errors, rest[0]]), np.column_stack([pairs, rest[1]])


def _both(sums: GroupedSums, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    return sums.errors_of(weights)[:, 0], sums.pairs_of(weights)[:, 0]


def image_permuted(
    errors: PairErrors, labels: IntArray, n_groups: int, rows: npt.NDArray[np.int32]
) -> FloatArray:
    """Errors with the labels of images exchanged; their pairs stay as many, as long as images are exchanged
    within identities, or whole identities of equally many images.

    Args:
        errors: of n images.
        labels: their groups, −1 for none, (n,).
        n_groups: G.
        rows: permutations, (B, n).

    Returns:
        Errors, (B, G + 1).
    """
    small, found = labels.astype(np.int8), np.zeros((len(rows), n_groups + 1))
    for start in range(0, len(rows), _BATCH):
        drawn = small[rows[start : start + _BATCH]].T.copy()  # (n, b): a pair's labels lie side by side
        first, second = drawn[errors.first], drawn[errors.second]  # (m, b)
        equal, part = first == second, found[start : start + _BATCH]
        for group in range(n_groups):
            part[:, group] = np.count_nonzero(equal & (first == group), axis=0)
        part[:, n_groups] = np.count_nonzero(~equal & (first >= 0) & (second >= 0), axis=0)
    return found


def detectable_difference(null: FloatArray, replicates: FloatArray, *, power: float = 0.8) -> float:
    """Smallest true difference that a two-sided test at 0.05 finds with that power.

    z(0.975) sd of the difference where there is none + z(power) sd of the difference as it is, both normal
    (Lachin, Control. Clin. Trials 2, 1981).

    Args:
        null: differences under permuted labels, (B,).
        replicates: bootstrap replicates of the difference, (n_boot,); NaN are left out.
        power: 0 to 1.

    Returns:
        The difference; NaN where one of both does not vary.
    """
    known = replicates[np.isfinite(replicates)]
    missing = null[np.isfinite(null)]
    if len(known) < 2 or len(missing) < 2 or known.std() == 0 or missing.std() == 0:
        return float("nan")
    return float(-ndtri(0.025) * missing.std(ddof=1) + ndtri(power) * known.std(ddof=1))
