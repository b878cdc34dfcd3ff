"""Means of folds with their intervals, and p-values of folds, against known truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribute_recovery.statistics.pooled import (
    combined_p_value,
    pooled_figure,
    pooled_interval,
    student_narrowing,
)


def test_symmetric_intervals_give_that_of_the_weighted_mean() -> None:
    weights = np.array([8.0, 8.0, 4.0])
    sd = np.array([1.0, 2.0, 0.5])
    estimates = np.array([0.1, 0.4, -0.2])
    mean, low, high = pooled_interval(estimates, estimates - 1.96 * sd, estimates + 1.96 * sd, weights)
    share = weights / 20
    half = 1.96 * np.sqrt(np.sum((share * sd) ** 2))
    assert (mean, low, high) == pytest.approx((share @ estimates, share @ estimates - half, mean + half))


def test_one_fold_keeps_its_interval() -> None:
    assert pooled_interval([0.3], [0.1], [0.9], [3]) == pytest.approx((0.3, 0.1, 0.9))


def test_the_pooled_interval_of_skewed_estimates_covers() -> None:
    """Five folds of a variance of eight normal values each, with exact intervals of their own."""
    from scipy.stats import chi2

    rng = np.random.default_rng(3)
    low_point, high_point = chi2.ppf([0.975, 0.025], 7)
    covered = []
    for _ in range(2000):
        found = rng.standard_normal((5, 8)).var(axis=1, ddof=1)
        _, low, high = pooled_interval(found, 7 * found / low_point, 7 * found / high_point, np.ones(5))
        covered.append(low <= 1 <= high)
    assert 0.93 <= np.mean(covered) <= 0.97


@given(st.lists(st.floats(0.001, 0.98), min_size=1, max_size=6))
def test_equal_p_values_stay_and_others_lie_between(p: list[float]) -> None:
    weights = np.ones(len(p))
    assert combined_p_value([p[0]] * len(p), weights) == pytest.approx(p[0])
    assert min(p) - 1e-9 <= combined_p_value(p, weights) <= max(p) + 1e-9


@pytest.mark.parametrize(("shared", "at_5", "at_1"), [(0.0, 0.053, 0.011), (0.5, 0.063, 0.013)])
def test_p_values_of_nothing_are_small_as_often_as_is_said(shared: float, at_5: float, at_1: float) -> None:
    """Of independent tests as often as they may, of dependent ones a fifth more often."""
    from scipy.stats import norm

    rng = np.random.default_rng(4)
    common, own = rng.standard_normal((20000, 1)), rng.standard_normal((20000, 5))
    p = norm.sf(np.sqrt(shared) * common + np.sqrt(1 - shared) * own)
    found = np.array([combined_p_value(row, np.ones(5)) for row in p])
    assert np.mean(found <= 0.05) <= at_5
    assert np.mean(found <= 0.01) <= at_1


def test_one_fold_that_finds_nothing_does_not_outweigh_four_that_do() -> None:
    assert combined_p_value([0.001, 0.001, 0.001, 0.001, 1.0], np.ones(5)) < 0.002


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: pooled_interval([1.0], [0.0], [2.0], [0.0]), "weights: found 0, allowed is above 0"),
        (lambda: pooled_interval([1.0, 2.0], [0.0], [2.0, 3.0], [1, 1]), "lows"),
        (lambda: pooled_interval([1.0], [np.nan], [2.0], [1]), "lows"),
        (lambda: combined_p_value([0.0], [1]), "found 0 to 0, allowed is above 0 up to 1"),
        (lambda: combined_p_value([0.5, 1.5], [1, 1]), "allowed is above 0 up to 1"),
        (lambda: combined_p_value([0.5, 0.5], [1]), "weights"),
    ],
)
def test_what_is_wrong_is_said(call, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()


def test_students_intervals_of_folds_make_one_that_covers() -> None:
    """Five folds of eight normal values each, every fold with the interval of its own seven degrees."""
    from scipy.stats import t

    rng = np.random.default_rng(5)
    people = np.full(5, 8)
    covered = []
    for _ in range(4000):
        values = rng.standard_normal((5, 8))
        mean = values.mean(axis=1)
        reach = t.isf(0.025, 7) * values.std(axis=1, ddof=1) / 8**0.5
        found = pooled_interval(mean, mean - reach, mean + reach, people, student_narrowing(people))
        covered.append(found[1] <= 0 <= found[2])
    assert 0.94 <= np.mean(covered) <= 0.96


def test_folds_without_an_interval_count_in_the_mean_and_borrow_the_others() -> None:
    nan = math.nan
    mean, low, high = pooled_figure([0.2, 0.4, nan], [0.1, nan, nan], [0.35, nan, nan], [8, 8, 8])
    assert (mean, low, high) == pytest.approx((0.3, 0.2, 0.4))  # 0.45, but no fold reaches beyond 0.4
    every = [0.2, 0.4], [0.1, 0.3], [0.3, 0.6], [8, 5]
    assert pooled_figure(*every) == pytest.approx(pooled_interval(*every, student_narrowing([8, 5])))


def test_a_pooled_rate_stays_a_rate() -> None:
    nan = math.nan
    mean, low, high = pooled_figure([0.02, 0.0, 0.0], [0.001, nan, 0.0], [0.3, nan, 0.0], [8, 8, 8])
    assert low == 0.0 < mean < high < 0.3
    assert pooled_figure([0.98, 1.0], [0.7, nan], [0.99, nan], [8, 8])[2] == pytest.approx(1.0)


def test_what_most_people_have_no_interval_of_has_none() -> None:
    nan = math.nan
    assert pooled_figure([0.2, 0.4], [0.1, nan], [0.3, nan], [7, 8])[1:] == pytest.approx(
        (nan, nan), nan_ok=True
    )
    # An end without any spread, and estimates that differ.
    assert np.isnan(pooled_figure([0.0, 0.1], [0.0, nan], [0.0, nan], [8, 8])[1:]).all()
    assert pooled_figure([1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [8, 8]) == (1.0, 1.0, 1.0)
    assert np.isnan(pooled_figure([nan], [nan], [nan], [8])).all()


def test_folds_of_a_figure_are_checked() -> None:
    with pytest.raises(ValueError, match="lows"):
        pooled_figure([0.1, 0.2], [0.1], [0.2, 0.3], [8, 8])
    with pytest.raises(ValueError, match="weights: found 0"):
        pooled_figure([0.1], [0.1], [0.2], [0])
