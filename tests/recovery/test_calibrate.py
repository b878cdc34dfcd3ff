"""Calibration, against known distortions and a general optimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax

from attribute_recovery.recovery.calibrate import (
    fit_continuous,
    fit_discrete,
    moments,
    smoothed_mean,
)


def _distorted(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forecasts (μ, σ) of y ~ N(1 + 2 μ, (3 σ)²)."""
    rng = np.random.default_rng(seed)
    mean, sd = rng.standard_normal(n), rng.uniform(0.1, 2.0, n)
    return mean, sd, 1 + 2 * mean + 3 * sd * rng.standard_normal(n)


def test_a_known_distortion_is_undone() -> None:
    found = fit_continuous(*_distorted(20000, 0))
    assert (found.intercept, found.slope, found.factor) == pytest.approx((1, 2, 3), rel=0.03)
    assert found.power == 1.0


def test_a_spread_that_says_nothing_is_given_up() -> None:
    rng = np.random.default_rng(1)
    mean, sd = rng.standard_normal(5000), rng.uniform(0.1, 3.0, 5000)
    found = fit_continuous(mean, sd, mean + 0.7 * rng.standard_normal(5000))
    assert found.power <= 0.1
    assert found.sd(sd).mean() == pytest.approx(0.7, rel=0.05)


def test_continuous_fit_is_the_maximum_of_the_likelihood() -> None:
    mean, sd, truth = _distorted(300, 2)
    found = fit_continuous(mean, sd, truth)

    def loss(p: np.ndarray) -> float:
        spread = np.exp(p[2]) * sd**found.power
        return float(np.mean(np.log(spread) + 0.5 * ((truth - p[0] - p[1] * mean) / spread) ** 2))

    best = minimize(loss, [0.0, 1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12})
    assert (found.intercept, found.slope, np.log(found.factor)) == pytest.approx(tuple(best.x), abs=1e-4)


def test_samples_get_the_calibrated_mean_and_deviation() -> None:
    rng = np.random.default_rng(3)
    samples = rng.standard_normal((200, 30)) * rng.uniform(0.5, 2, (200, 1)) + rng.standard_normal((200, 1))
    found = fit_continuous(*moments(samples), rng.standard_normal(200))
    mean, sd = moments(found.samples(samples))
    raw_mean, raw_sd = moments(samples)
    assert mean == pytest.approx(found.mean(raw_mean))
    assert sd == pytest.approx(found.sd(raw_sd))


def test_equal_samples_claim_no_certainty() -> None:
    assert moments(np.full((2, 5), 3.0))[1].min() > 0


def test_discrete_calibration_finds_temperature_and_bias() -> None:
    rng = np.random.default_rng(4)
    logits = rng.standard_normal((30000, 3)) * 2
    raw, true = softmax(logits, axis=1), softmax(logits / 2 + np.array([0.5, 0.0, -0.5]), axis=1)
    labels = (rng.random((len(raw), 1)) > np.cumsum(true, axis=1)).sum(axis=1)
    found = fit_discrete(raw, labels)
    assert found.temperature == pytest.approx(2, rel=0.05)
    assert np.abs(found.probabilities(raw) - true).max() < 0.03


def test_few_images_change_little() -> None:
    found = fit_discrete([[0.6, 0.4], [0.3, 0.7]], [0, 1])
    assert 0.5 < found.temperature < 2
    assert np.abs(found.bias).max() < 0.5


def test_smoothed_mean_counts_the_marginal_once() -> None:
    drawn = np.tile([1.0, 0.0], (1, 9, 1))
    assert smoothed_mean(drawn, [0.5, 0.5]) == pytest.approx(np.array([[0.95, 0.05]]))


@pytest.mark.parametrize(("sd", "match"), [([1.0], "sd has 1 rows"), ([1.0, 0.0], "sd holds 0.0")])
def test_unfit_spreads_are_refused(sd: list[float], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        fit_continuous([0.0, 1.0], sd, [0.0, 1.0])
