"""Intervals of error rates by group, and of their differences, people resampled."""

import math
from dataclasses import replace

import numpy as np

from attribute_recovery.significance.grouping import Contrast
from attribute_recovery.statistics.bootstrap import Interval
from attribute_recovery.statistics.grouped import GroupedSums, rates
from attribute_recovery.statistics.inputs import BoolArray, FloatArray
from attribute_recovery.statistics.interval import replicate_interval, unanimous_ends
from attribute_recovery.statistics.permutation import permutation_p_value

# Errors and pairs, (r, G + 1) each, under draws of people, first as they are, or under permuted labels.
Resampled = tuple[FloatArray, FloatArray]

LEVEL = 0.95
# Of the logarithm of p, which is then told to within 0.2 %.
HALVINGS = 12
# Rates that differ by less are equal.
ROUNDING = 1e-12


def difference_of(resampled: Resampled, contrast: Contrast) -> FloatArray:
    """The first side's rate less the second's, (r,); NaN where one has no pairs."""
    return np.asarray(rates(*resampled, contrast.first) - rates(*resampled, contrast.second))


class RateIntervals:
    """Intervals that stand on the people of groups.

    Where the decisions of one side are all alike, its rate does not vary in replicates, which is not
    certainty: then its interval is that of as many equal decisions as there are people, and the difference's
    joins each side's distance to its own end, as of independent ones (Zou & Donner, Stat. Med. 27, 2008).

    Args:
        sums: errors and pairs of the groups, every image counted once.
    """

    def __init__(self, sums: GroupedSums) -> None:
        self._sums = sums

    def of_rate(
        self, resampled: Resampled, columns: BoolArray, people: float = math.inf, level: float = LEVEL
    ) -> Interval:
        """Of one rate.

        Args:
            resampled: errors and pairs under each draw of people.
            columns: groups whose pairs count, "different" last, (G + 1,).
            people: who carry it at most.
            level: nominal coverage.
        """
        around = self._interval(rates(*resampled, columns), columns, (0.0, 1.0), people, level)
        if not around.collapsed:
            return around
        low, high = self._unanimous(around.estimate, columns, people, level)
        return replace(around, low=low, high=high)

    def of_difference(
        self, resampled: Resampled, contrast: Contrast, people: float = math.inf, level: float = LEVEL
    ) -> Interval:
        """Of the first side's rate less the second's; arguments as for `of_rate`."""
        either = contrast.first | contrast.second
        around = self._interval(difference_of(resampled, contrast), either, (-1.0, 1.0), people, level)
        if math.isnan(around.low) or not _is_one_alike(resampled, contrast):
            return around
        first, second = (
            self.of_rate(resampled, side, people, level) for side in (contrast.first, contrast.second)
        )
        below = math.hypot(first.estimate - first.low, second.high - second.estimate)
        above = math.hypot(first.high - first.estimate, second.estimate - second.low)
        return replace(around, low=around.estimate - below, high=around.estimate + above).within((-1.0, 1.0))

    def p_of_difference(self, resampled: Resampled, contrast: Contrast, people: float = math.inf) -> float:
        """Two-sided p of no difference: how often the recentred replicates lie as far from 0 as the estimate;
        where the decisions of one side are all alike, 1 less the level at which the interval reaches 0.
        Arguments as for `of_rate`.

        Returns:
            p, at least 1 over all draws; NaN where too many replicates are not defined, or none of the
            decisions is wrong.
        """
        errors, either = resampled[0], contrast.first | contrast.second
        if not errors[0] @ either:
            return math.nan
        if not _is_one_alike(resampled, contrast):
            return _bootstrap_p(difference_of(resampled, contrast))

        def leaves_out(p: float) -> bool:
            around = self.of_difference(resampled, contrast, people, 1 - p)
            return around.low > 0 or around.high < 0

        out, inside = 1 / len(errors), 1.0
        if math.isnan(self.of_difference(resampled, contrast, people).low):
            return math.nan
        if leaves_out(out):
            return out
        for _ in range(HALVINGS):
            middle = math.sqrt(out * inside)
            # The larger p is, the narrower is the interval.
            out, inside = (out, middle) if leaves_out(middle) else (middle, inside)
        return inside

    def people(self, columns: BoolArray) -> int:
        """How many have images in the groups; "different" is of all."""
        every = columns[-1] or not columns[:-1].any()
        groups = self._sums.counts if every else self._sums.counts[:, columns[:-1]]
        return int((groups.sum(axis=1) > 0).sum())

    def _interval(
        self,
        replicates: FloatArray,
        columns: BoolArray,
        clip: tuple[float, float],
        people: float,
        level: float,
    ) -> Interval:
        """Of replicates whose first is the estimate; the smallest group's people carry it, or those that
        matching leaves."""
        groups = self._sums.counts[:, columns[:-1]] if columns[:-1].any() else self._sums.counts
        smallest = (groups > 0).sum(axis=0).min() if math.isinf(people) else math.floor(people)
        return replicate_interval(
            float(replicates[0]), replicates[1:], self.people(columns), level, clip, effective=int(smallest)
        )

    def _unanimous(self, rate: float, columns: BoolArray, people: float, level: float) -> tuple[float, float]:
        """Ends of a rate of decisions that are all alike, from the people, or pairs of people, of the column
        that has most of them, since groups may share people; of so many people at most."""
        most = people if self._sums.errors.genuine else people * (people - 1) / 2
        trials = max(1, math.floor(min(most, float(self._sums.trials[columns].max()))))
        return unanimous_ends(rate, trials, level, (0.0, 1.0))


def _is_one_alike(resampled: Resampled, contrast: Contrast) -> bool:
    """Whether all decisions of a side are right, or all wrong."""
    for columns in (contrast.first, contrast.second):
        found = rates(*resampled, columns)
        known = found[np.isfinite(found)]
        if len(known) and np.ptp(known) <= ROUNDING:
            return True
    return False


def _bootstrap_p(replicates: FloatArray) -> float:
    known = replicates[1:][np.isfinite(replicates[1:])]
    if math.isnan(replicates[0]) or len(known) < 0.9 * (len(replicates) - 1):
        return math.nan
    return permutation_p_value(abs(float(replicates[0])), np.abs(known - known.mean()))
