"""Rates against counting by hand, closed forms for Gaussian scores, and the definition of the threshold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from attribute_recovery.statistics.rates import (
    claimable_fmr,
    det_curve,
    equal_error_rate,
    false_match_rate,
    false_non_match_rate,
    threshold_at_fmr,
    true_accept_rate,
)

# Few distinct values, so that ties are the rule.
SCORES = st.lists(st.integers(-5, 5).map(lambda value: value / 4), min_size=1, max_size=60)
MANY = 10_000  # identities enough for any rate below to be claimable


def test_claimable_fmr_is_three_over_pairs_of_people() -> None:
    assert claimable_fmr(100) == 3 / 4950
    assert claimable_fmr(2) == claimable_fmr(3) == 1.0
    with pytest.raises(ValueError, match="n_identities is 1, expected at least 2"):
        claimable_fmr(1)


def test_claimable_fmr_is_the_bound_of_no_event_in_n_trials() -> None:
    n = 400 * 399 / 2
    assert (1 - claimable_fmr(400)) ** n == pytest.approx(0.05, rel=0.01)


def test_accept_means_reaching_the_threshold() -> None:
    scores = [0.1, 0.2, 0.2, 0.3]
    assert false_match_rate(scores, 0.2) == true_accept_rate(scores, 0.2) == 0.75
    assert false_non_match_rate(scores, 0.2) == 0.25
    assert false_match_rate(scores, 0.30000001) == 0.0


@given(SCORES, st.floats(0, 1))
def test_threshold_is_the_smallest_that_keeps_the_rate(scores: list[float], fmr: float) -> None:
    chosen = threshold_at_fmr(scores, fmr, n_identities=MANY)
    assert chosen.fmr == max(fmr, min(1.0, 3 / len(scores)))
    assert chosen.achieved_fmr == np.mean(np.array(scores) >= chosen.value) <= chosen.fmr
    lower = np.nextafter(chosen.value, -np.inf)
    assert np.mean(np.array(scores) >= lower) > chosen.fmr or chosen.value == min(scores)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_threshold_survives_comparison_in_the_scores_own_precision(dtype: type) -> None:
    scores = np.random.default_rng(0).uniform(-1, 1, 5000).astype(dtype)
    chosen = threshold_at_fmr(scores, 1e-2, n_identities=MANY)
    in_own_precision = np.mean(scores >= scores.dtype.type(chosen.value))
    assert in_own_precision == chosen.achieved_fmr <= 1e-2
    assert chosen.achieved_fmr > 0.005 or dtype is np.float16


@pytest.mark.parametrize("n", [1000, 3000, 7000, 70_000])
def test_threshold_spends_the_whole_rate_despite_rounding(n: int) -> None:
    chosen = threshold_at_fmr(np.arange(n, dtype=np.float64), 0.007, n_identities=MANY)
    assert chosen.achieved_fmr == n * 7 // 1000 / n


def test_rate_below_the_claimable_one_is_raised_and_says_so() -> None:
    scores = np.random.default_rng(1).normal(size=4950)
    chosen = threshold_at_fmr(scores, 1e-4, n_identities=100)
    assert (chosen.requested_fmr, chosen.fmr) == (1e-4, 3 / 4950)
    assert (chosen.achieved_fmr, chosen.n_pairs, chosen.n_identity_pairs) == (3 / 4950, 4950, 4950)
    kept = threshold_at_fmr(scores, 1e-3, n_identities=100)
    assert kept.fmr == kept.requested_fmr == 1e-3


def test_pairs_of_identities_are_never_more_than_were_compared() -> None:
    scores = np.linspace(0, 1, 600)
    assert threshold_at_fmr(scores, 1e-4, n_identities=100).n_identity_pairs == 600
    assert threshold_at_fmr(scores, 1e-4, n_identities=100, n_identity_pairs=30).fmr == 0.1
    with pytest.raises(ValueError, match="n_identity_pairs is 601, expected 1 to 600"):
        threshold_at_fmr(scores, 1e-4, n_identities=100, n_identity_pairs=601)


def test_threshold_refuses_bad_input() -> None:
    with pytest.raises(ValueError, match=r"fmr is -0\.1, expected 0 to 1"):
        threshold_at_fmr([0.1], -0.1, n_identities=10)
    with pytest.raises(ValueError, match="scores holds 1 values that are NaN"):
        threshold_at_fmr([0.1, math.nan], 0.1, n_identities=10)
    with pytest.raises(ValueError, match="scores is empty"):
        threshold_at_fmr([], 0.1, n_identities=10)


def test_equal_error_rate_of_gaussian_scores() -> None:
    quantiles = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    result = equal_error_rate(quantiles + 2.0, quantiles)
    assert result.rate == pytest.approx(norm.cdf(-1.0), abs=1e-4)
    assert result.threshold == pytest.approx(1.0, abs=1e-3)


def test_equal_error_rate_at_the_extremes() -> None:
    apart = equal_error_rate([0.8, 0.9], [0.1, 0.2])
    assert apart.rate == 0.0
    assert 0.2 < apart.threshold <= 0.8
    assert equal_error_rate([0.1, 0.2], [0.8, 0.9]).rate == 1.0
    same = np.arange(100.0)
    assert equal_error_rate(same, same).rate == pytest.approx(0.5)
    assert equal_error_rate([1.0], [1.0]).rate == pytest.approx(0.5)


@given(SCORES, SCORES)
def test_equal_error_rate_lies_where_the_curves_cross(own: list[float], other: list[float]) -> None:
    taus = [*np.unique(own + other), np.inf]
    rates = [sorted([false_match_rate(other, tau), false_non_match_rate(own, tau)]) for tau in taus]
    most_of_smaller, least_of_larger = max(low for low, _ in rates), min(high for _, high in rates)
    assert most_of_smaller - 1e-9 <= equal_error_rate(own, other).rate <= least_of_larger + 1e-9


def test_det_curve_points_are_rates_of_their_thresholds() -> None:
    rng = np.random.default_rng(2)
    own, other = rng.normal(2, 1, 500), rng.normal(0, 1, 2000)
    curve = det_curve(own, other, 30)
    assert len(curve.fmr) == len(curve.fnmr) == len(curve.thresholds)
    assert 20 <= len(curve.fmr) <= 30
    assert (curve.fmr[0], curve.fmr[-1]) == (1 / 2000, 1.0)
    assert np.all(np.diff(curve.fmr) > 0)
    assert np.all(np.diff(curve.fnmr) <= 0)
    for fmr, fnmr, tau in zip(curve.fmr, curve.fnmr, curve.thresholds, strict=True):
        assert fmr == false_match_rate(other, tau)
        assert fnmr == false_non_match_rate(own, tau)


def test_det_curve_of_tied_scores_has_no_rate_of_zero() -> None:
    curve = det_curve([1.0, 2.0], np.ones(100), 10)
    assert curve.fmr.tolist() == [1.0]
    assert curve.fnmr.tolist() == [0.0]
    with pytest.raises(ValueError, match="n_points is 1"):
        det_curve([1.0], [0.0], 1)
