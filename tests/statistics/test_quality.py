"""Scores against double sums, integrals and closed forms; coverage and calibration of known forecasts."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import norm

from attribute_recovery.statistics.quality import (
    balanced_accuracy,
    calibration_slope,
    covered_by_interval,
    crps_normal,
    crps_population,
    crps_samples,
    crps_skill,
    expected_calibration_error,
    interval_coverage,
    r_squared,
    reliability_bins,
)

Array = npt.NDArray[np.float64]
VALUES = st.floats(-100, 100, width=32)


def test_r_squared_at_its_ends() -> None:
    true = np.array([1.0, 2.0, 4.0])
    assert r_squared(true, true) == 1.0
    assert r_squared(np.full(3, true.mean()), true) == 0.0
    assert r_squared(-true, true) < 0
    assert math.isnan(r_squared([0.1, 0.2, 0.3], [0.1, 0.1, 0.1]))
    with pytest.raises(ValueError, match="predicted has 2 rows, expected 3"):
        r_squared([1.0, 2.0], true)


def test_r_squared_of_least_squares_is_the_squared_correlation() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    y = x + rng.normal(size=200)
    slope, intercept = np.polyfit(x, y, 1)
    assert r_squared(intercept + slope * x, y) == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)


def test_balanced_accuracy_weighs_classes_equally() -> None:
    true = np.array(["none"] * 90 + ["beard"] * 10)
    assert balanced_accuracy(["none"] * 100, true) == 0.5
    assert balanced_accuracy(["none"] * 95 + ["beard"] * 5, true) == 0.75
    assert balanced_accuracy(true, true) == 1.0
    with pytest.raises(ValueError, match="true is empty"):
        balanced_accuracy([], [])


def fair_crps(samples: Array, truth: float) -> float:
    """The double sum, as the definition has it."""
    s = len(samples)
    spread = np.abs(samples[:, None] - samples[None, :]).sum() / (s * (s - 1))
    return float(np.abs(samples - truth).mean() - spread / 2)


@given(arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(2, 12)), elements=VALUES), VALUES)
def test_crps_of_samples_is_the_double_sum(samples: Array, truth: float) -> None:
    result = crps_samples(samples, np.full(len(samples), truth))
    np.testing.assert_allclose(result, [fair_crps(row, truth) for row in samples], atol=1e-9)


@given(arrays(np.float64, st.integers(2, 30), elements=VALUES), arrays(np.float64, 5, elements=VALUES))
def test_crps_of_a_population_is_that_of_its_values_as_samples(population: Array, truth: Array) -> None:
    expected = crps_samples(np.tile(population, (5, 1)), truth)
    np.testing.assert_allclose(crps_population(population, truth), expected, atol=1e-9)


def test_crps_of_few_samples_is_unbiased_for_the_distribution() -> None:
    rng = np.random.default_rng(1)
    truth = np.full(200_000, 0.7)
    for s in (2, 5):
        mean = crps_samples(rng.normal(size=(200_000, s)), truth).mean()
        assert mean == pytest.approx(crps_normal(0.0, 1.0, [0.7])[0], abs=0.005)


@pytest.mark.parametrize("s", [3, 4, 7, 20])
def test_crps_of_antithetic_samples_is_unbiased_too(s: int) -> None:
    rng = np.random.default_rng(6)
    half = rng.normal(size=(200_000, (s + 1) // 2))
    paired = np.stack([half, -half], axis=2).reshape(len(half), -1)[:, :s]
    truth = np.full(len(half), 0.7)
    exact = crps_normal(0.0, 1.0, [0.7])[0]
    assert crps_samples(paired, truth, antithetic=True).mean() == pytest.approx(exact, abs=0.005)
    assert crps_samples(paired, truth).mean() < exact - 0.006


def test_two_antithetic_samples_have_no_independent_pair() -> None:
    with pytest.raises(ValueError, match="samples has 2 a row, expected at least 3"):
        crps_samples([[0.0, 2.0]], [1.0], antithetic=True)


@pytest.mark.parametrize(("mean", "sd", "truth"), [(0.0, 1.0, 0.3), (2.0, 0.5, -1.0), (-1.0, 3.0, -1.0)])
def test_crps_of_a_normal_is_the_integral_of_squared_distance(mean: float, sd: float, truth: float) -> None:
    below = quad(lambda x: norm.cdf(x, mean, sd) ** 2, -np.inf, truth)[0]
    above = quad(lambda x: norm.sf(x, mean, sd) ** 2, truth, np.inf)[0]
    assert crps_normal(mean, sd, [truth])[0] == pytest.approx(below + above, abs=1e-7)


def test_crps_keeps_its_precision_far_from_zero() -> None:
    samples, truth = np.array([[0.0, 1.0, 3.0]]), np.array([1.5])
    far = crps_samples(samples + 1e8, truth + 1e8)
    np.testing.assert_allclose(far, crps_samples(samples, truth), rtol=1e-6)
    np.testing.assert_allclose(crps_population(samples[0] + 1e8, truth + 1e8), far, rtol=1e-6)


def test_crps_skill_of_a_gaussian_posterior() -> None:
    """Truth of variance 1 known up to a variance of 0.36: scores go with the sd, so the skill is 1 - 0.6."""
    rng = np.random.default_rng(2)
    centre = 0.8 * rng.normal(size=20_000)
    truth = centre + 0.6 * rng.normal(size=20_000)
    samples = centre[:, None] + 0.6 * rng.normal(size=(20_000, 16))
    reference = crps_population(rng.normal(size=50_000), truth)
    assert crps_skill(crps_samples(samples, truth), reference) == pytest.approx(0.4, abs=0.01)
    assert crps_skill(crps_normal(centre, 0.6, truth), reference) == pytest.approx(0.4, abs=0.01)


def test_crps_skill_at_its_ends() -> None:
    assert crps_skill(0.0, 2.0) == 1.0
    assert crps_skill([2.0, 4.0], [4.0, 2.0]) == 0.0
    assert crps_skill(4.0, 2.0) == -1.0
    assert math.isnan(crps_skill(1.0, 0.0))


def test_crps_refuses_bad_input() -> None:
    with pytest.raises(ValueError, match="samples has 1 a row, expected at least 2"):
        crps_samples([[1.0]], [1.0])
    with pytest.raises(ValueError, match="truth has 2 rows, expected 1"):
        crps_samples([[1.0, 2.0]], [1.0, 2.0])
    with pytest.raises(ValueError, match="population has 1 values"):
        crps_population([1.0], [1.0])
    with pytest.raises(ValueError, match="sd holds -1"):
        crps_normal(0.0, -1.0, [1.0])


@pytest.mark.parametrize(("s", "level"), [(19, 0.9), (32, 0.9), (64, 0.9), (100, 0.5)])
def test_coverage_of_the_truths_own_distribution_is_the_level(s: int, level: float) -> None:
    rng = np.random.default_rng(3)
    samples, truth = rng.normal(size=(40_000, s)), rng.normal(size=40_000)
    assert interval_coverage(samples, truth, level) == pytest.approx(level, abs=0.008)


def test_coverage_tells_too_narrow_and_too_wide() -> None:
    rng = np.random.default_rng(4)
    samples, truth = rng.normal(size=(4000, 499)), rng.normal(size=4000)
    assert interval_coverage(0.5 * samples, truth, 0.9) == pytest.approx(
        2 * norm.cdf(0.5 * 1.645) - 1, abs=0.03
    )
    assert interval_coverage(2 * samples, truth, 0.9) > 0.99


def test_covered_truths_are_named_one_by_one() -> None:
    samples = np.tile(np.arange(19.0), (4, 1))
    assert covered_by_interval(samples, [-0.1, 0.0, 18.0, 18.1], 0.9).tolist() == [False, True, True, False]


def test_coverage_refuses_too_few_samples_for_its_level() -> None:
    with pytest.raises(ValueError, match=r"samples has 18 a row, expected at least 19 for the level 0\.9"):
        interval_coverage(np.zeros((2, 18)), [0.0, 0.0], 0.9)
    with pytest.raises(ValueError, match="level is 1"):
        interval_coverage(np.zeros((2, 18)), [0.0, 0.0], 1)


def test_reliability_bins_by_hand() -> None:
    table = reliability_bins([0.0, 0.1, 0.5, 0.9, 1.0], [0, 1, 1, 1, 0], bins=2)
    assert table.edges.tolist() == [0.0, 0.5, 1.0]
    assert table.counts.tolist() == [3, 2]
    np.testing.assert_allclose(table.confidence, [0.2, 0.95])
    np.testing.assert_allclose(table.frequency, [2 / 3, 0.5])


def test_empty_bins_are_nan_and_do_not_count() -> None:
    table = reliability_bins([0.95, 0.85], [1, 0], bins=10)
    assert np.isnan(table.confidence[:8]).all()
    assert table.counts.sum() == 2
    assert expected_calibration_error([0.95, 0.85], [1, 0], bins=10) == pytest.approx((0.05 + 0.85) / 2)
    with pytest.raises(ValueError, match="bins is 0"):
        reliability_bins([0.5], [1], bins=0)


def test_many_classes_are_judged_by_their_likeliest() -> None:
    probabilities = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]
    table = reliability_bins(probabilities, [0, 1], bins=1)
    assert (table.confidence[0], table.frequency[0]) == (pytest.approx(0.65), 0.5)


def test_calibration_error_of_calibrated_and_of_sharpened_probabilities() -> None:
    rng = np.random.default_rng(5)
    p = rng.uniform(size=100_000)
    labels = rng.random(100_000) < p
    assert expected_calibration_error(p, labels) < 0.01
    sharpened = np.where(p > 0.5, 1.0, 0.0)
    assert expected_calibration_error(sharpened, labels) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, 1.0), (2.0, -0.5), (-1.0, 0.0)])
def test_calibration_slope_recovers_the_truth(slope: float, intercept: float) -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(0, 2, size=100_000)
    labels = rng.random(100_000) < expit(intercept + slope * x)
    line = calibration_slope(expit(x), labels)
    assert line.slope == pytest.approx(slope, abs=0.04)
    assert line.intercept == pytest.approx(intercept, abs=0.04)


@given(st.integers(0, 1000))
def test_calibration_slope_maximises_the_likelihood(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = np.clip(rng.beta(0.3, 0.3, size=30), 1e-4, 1 - 1e-4)
    labels = rng.integers(2, size=30)
    line = calibration_slope(p, labels)

    def loss(beta: Array) -> float:
        eta = beta[0] + beta[1] * logit(p)
        return float(np.sum(np.logaddexp(0, eta) - labels * eta))

    best = minimize(loss, np.zeros(2)).fun
    assert math.isnan(line.slope) or loss(np.array([line.intercept, line.slope])) <= best + 1e-6


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [
        ([0.1, 0.2, 0.8], [0, 0, 1]),
        ([0.9, 0.2, 0.1], [0, 1, 1]),
        ([0.2, 0.5, 0.5, 0.8], [0, 0, 1, 1]),
        ([0.3, 0.3], [0, 1]),
        ([0.3, 0.6], [1, 1]),
    ],
)
def test_calibration_slope_is_nan_where_there_is_no_maximum(probabilities: list, labels: list) -> None:
    line = calibration_slope(probabilities, labels)
    assert math.isnan(line.slope)
    assert math.isnan(line.intercept)


def test_calibration_slope_bears_probabilities_of_zero_and_one() -> None:
    line = calibration_slope([0.0, 1.0, 0.0, 1.0, 0.5], [0, 1, 1, 0, 1])
    assert math.isfinite(line.slope)
    assert math.isfinite(line.intercept)
