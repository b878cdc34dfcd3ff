"""Intervals and p where a small group shows no wrong decision, which is not certainty."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom

from attribute_recovery.significance.group_intervals import RateIntervals, Resampled, difference_of
from attribute_recovery.significance.grouping import Contrast
from attribute_recovery.statistics.bootstrap import identity_weights
from attribute_recovery.statistics.grouped import GroupedSums, PairErrors

PEOPLE, IMAGES, N_BOOT = 60, 4, 199
CODES = np.repeat(np.arange(PEOPLE), IMAGES)
WEIGHTS = np.concatenate([np.ones((1, PEOPLE)), *identity_weights(PEOPLE, N_BOOT, 1, 256)])
ON_LESS_OFF = Contrast("on_less_off", np.array([False, True, False]), np.array([True, False, False]))


def measured(wrong: npt.NDArray[np.bool_], small: int) -> tuple[RateIntervals, Resampled]:
    """Genuine pairs of everybody's images, of which those of the people `wrong` (k,) hold one error each; the
    first `small` people are "on"."""
    first = np.flatnonzero(wrong) * IMAGES
    errors = PairErrors(CODES, first, first + 1, genuine=True)
    sums = GroupedSums(errors, (small > CODES).astype(int), 2, PEOPLE)
    return RateIntervals(sums), (sums.errors_of(WEIGHTS), sums.pairs_of(WEIGHTS))


def people(*places: int) -> npt.NDArray[np.bool_]:
    return np.isin(np.arange(PEOPLE), places)


def test_a_small_group_without_errors_is_not_surely_better() -> None:
    intervals, resampled = measured(people(20, 30, 40), small=5)
    small = intervals.of_rate(resampled, ON_LESS_OFF.first)
    large = intervals.of_rate(resampled, ON_LESS_OFF.second)
    assert (small.estimate, small.low, small.high) == pytest.approx((0, 0, 1 - 0.05 ** (1 / 5)))
    gap = intervals.of_difference(resampled, ON_LESS_OFF)
    assert gap.estimate == pytest.approx(-3 / (55 * 6))
    assert gap.low == pytest.approx(gap.estimate - (large.high - large.estimate))
    assert gap.high == pytest.approx(gap.estimate + math.hypot(small.high, large.estimate - large.low))
    assert gap.high > 0.4
    assert intervals.p_of_difference(resampled, ON_LESS_OFF) > 0.5


def test_p_is_that_of_the_interval_which_reaches_zero() -> None:
    intervals, resampled = measured(people(*range(15, 55)), small=15)
    p = intervals.p_of_difference(resampled, ON_LESS_OFF)
    assert 1 / (1 + N_BOOT) < p < 1
    narrower = intervals.of_difference(resampled, ON_LESS_OFF, level=1 - 1.01 * p)
    wider = intervals.of_difference(resampled, ON_LESS_OFF, level=1 - 0.99 * p)
    assert narrower.high < 0 < wider.high


def test_a_gap_to_a_group_without_errors_is_still_found() -> None:
    intervals, resampled = measured(np.arange(PEOPLE) >= 30, small=30)
    assert intervals.of_difference(resampled, ON_LESS_OFF).high < 0
    assert intervals.p_of_difference(resampled, ON_LESS_OFF) <= 0.01


def test_a_group_without_pairs_has_no_difference() -> None:
    intervals, resampled = measured(people(20, 30), small=0)
    assert math.isnan(intervals.of_difference(resampled, ON_LESS_OFF).low)
    assert math.isnan(intervals.p_of_difference(resampled, ON_LESS_OFF))


def test_without_any_error_there_is_no_p() -> None:
    intervals, resampled = measured(people(), small=5)
    assert math.isnan(intervals.p_of_difference(resampled, ON_LESS_OFF))
    gap = intervals.of_difference(resampled, ON_LESS_OFF)
    assert (gap.low, gap.high) == pytest.approx((-(1 - 0.05 ** (1 / 55)), 1 - 0.05 ** (1 / 5)))


def test_where_both_sides_err_replicates_tell() -> None:
    intervals, resampled = measured(people(1, 3, 20, 30, 40), small=15)
    replicates = difference_of(resampled, ON_LESS_OFF)
    gap = intervals.of_difference(resampled, ON_LESS_OFF)
    assert gap.low < replicates[0] < gap.high
    assert gap.high - gap.low < 5 * replicates.std()


def test_random_small_groups_raise_no_more_alarms_than_they_may() -> None:
    """14 of 60 people, of whom one in eight has an error: in one draw of six the small group has none."""
    rng, alarms, alike, outside = np.random.default_rng(3), 0, 0, 0
    for _ in range(300):
        wrong = rng.random(PEOPLE) < 0.125
        if not wrong.any():
            continue
        intervals, resampled = measured(wrong, small=14)
        alike += not wrong[:14].any()
        alarms += intervals.p_of_difference(resampled, ON_LESS_OFF) <= 0.05
        gap = intervals.of_difference(resampled, ON_LESS_OFF)
        outside += gap.low > 0 or gap.high < 0
    assert alike > 30
    most = binom.isf(0.001, 300, 0.05)
    assert alarms <= most
    assert outside <= most
