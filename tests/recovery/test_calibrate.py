"""Calibration, against known distortions and a general optimiser."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.special import expit, logit, softmax

from attribute_recovery.recovery import calibrate
from attribute_recovery.recovery.calibrate import (
    _Objective,
    fit_continuous,
    fit_discrete,
    moments,
    smoothed_mean,
)
from attribute_recovery.recovery.forecast import continuous_gain, continuous_marginal

# Wide enough that tilts of it by what is distorted below are normal.
FLAT = continuous_marginal("y", np.linspace(-60.0, 60.0, 4001))


def _distorted(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forecasts (μ, σ) of y ~ N(1 + 2 μ, (3 σ)²)."""
    rng = np.random.default_rng(seed)
    mean, sd = rng.uniform(-20, 20, n), rng.uniform(0.3, 2.0, n)
    return mean, sd, 1 + 2 * mean + 3 * sd * rng.standard_normal(n)


def test_a_known_distortion_is_undone() -> None:
    found = fit_continuous(*_distorted(3000, 0), FLAT)
    assert (found.intercept, found.slope, found.factor) == pytest.approx((1, 2, 3), rel=0.05, abs=0.1)
    assert found.power > 0.95 and found.contamination < 0.002


def test_a_spread_that_says_nothing_is_given_up() -> None:
    rng = np.random.default_rng(1)
    mean, sd = rng.uniform(-20, 20, 2500), rng.uniform(0.1, 3.0, 2500)
    found = fit_continuous(mean, sd, mean + 0.7 * rng.standard_normal(2500), FLAT)
    assert found.power <= 0.05
    assert found.tilted(mean, sd).scale.mean() == pytest.approx(0.7, rel=0.05)


def test_a_few_gross_errors_make_no_other_forecast_wide() -> None:
    """Of every 25 truths one has nothing to do with its forecast."""
    rng = np.random.default_rng(2)
    mean = rng.uniform(-50, 50, 2500)
    truth = mean + 0.5 * rng.standard_normal(2500)
    truth[::25] = rng.uniform(-60, 60, 100)
    found = fit_continuous(mean, np.ones(2500), truth, FLAT)
    assert found.contamination == pytest.approx(0.04, abs=0.01)
    assert found.tilted(mean, np.ones(2500)).scale.mean() == pytest.approx(0.5, rel=0.05)


def test_a_uniform_attribute_is_covered_as_often_as_said() -> None:
    """Read with noise: near the ends of the range no normal forecast is right."""
    rng = np.random.default_rng(3)
    truth = rng.uniform(-1, 1, 8000)
    mean = 0.8 * (truth + 0.4 * rng.standard_normal(8000)) + 0.3
    held, marginal = np.arange(8000) < 2000, continuous_marginal("y", rng.uniform(-1, 1, 4000))
    found = fit_continuous(mean[held], np.ones(2000), truth[held], marginal).tilted(mean, np.ones(8000))
    low, first, third, high = found.quantiles((0.05, 0.25, 0.75, 0.95))
    inside = [((a <= truth) & (truth <= b))[~held].mean() for a, b in ((first, third), (low, high))]
    assert inside == pytest.approx([0.5, 0.9], abs=0.02)
    assert low.min() > -1.02 and high.max() < 1.02


def test_continuous_fit_is_the_maximum_of_the_penalised_gain() -> None:
    rng = np.random.default_rng(4)
    truth = rng.uniform(-1, 1, 300)
    sd = rng.uniform(0.2, 0.6, 300)
    mean = truth + sd * rng.standard_normal(300)
    marginal = continuous_marginal("y", rng.uniform(-1, 1, 2000))
    found = fit_continuous(mean, sd, truth, marginal)

    def loss(p: np.ndarray) -> float:
        share = expit(p[4])
        gain = continuous_gain(p[0] + p[1] * mean, np.exp(p[2]) * sd ** p[3], truth, marginal, share)
        away = np.array([p[3] - 0.5, p[4] - logit(0.01)])
        return float(-gain.mean() + (away @ away) / 300)

    mine = np.array(
        [found.intercept, found.slope, np.log(found.factor), found.power, logit(found.contamination)]
    )
    best = minimize(loss, mine, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12})
    assert loss(mine) == pytest.approx(best.fun, abs=1e-6)


def test_the_gradient_is_that_of_the_loss() -> None:
    rng = np.random.default_rng(5)
    y = rng.uniform(-1.7, 1.7, 600)
    objective = _Objective(
        y + 0.3 * rng.standard_normal(600),
        rng.uniform(-0.5, 0.5, 600),
        y,
        continuous_marginal("y", rng.uniform(-1.7, 1.7, 500)),
        rng.standard_normal((600, 3)),
    )
    for step in (0.0, 0.2, -0.3):
        at = objective.start() + step
        numeric = approx_fprime(at, lambda p: objective(p)[0], 1e-6)
        assert objective(at)[1] == pytest.approx(numeric, abs=1e-5)


def test_the_context_moves_what_it_tells_and_few_images_next_to_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of three columns the first says how far readings are off, the second how exact they are."""
    rng = np.random.default_rng(6)
    mean, context = rng.uniform(-20, 20, 3000), rng.standard_normal((3000, 3))
    truth = mean + 0.3 * context[:, 0] + 0.8 * np.exp(0.4 * context[:, 1]) * rng.standard_normal(3000)
    with monkeypatch.context() as patch:
        patch.setattr(calibrate, "CONTEXT_PULL", 1.0)
        found = fit_continuous(mean, np.ones(3000), truth, FLAT, context)
    assert found.shift == pytest.approx([0.3, 0, 0], abs=0.06)
    assert found.stretch == pytest.approx([0, 0.4, 0], abs=0.06)
    few = fit_continuous(mean[:50], np.ones(50), truth[:50], FLAT, context[:50])
    assert np.abs(few.shift).max() < 0.03 and np.abs(few.stretch).max() < 0.03


def test_the_context_moves_classes() -> None:
    rng = np.random.default_rng(7)
    logits, context = rng.standard_normal((40000, 2)), rng.standard_normal((40000, 3))
    raw, moved = softmax(logits, axis=1), logits + np.outer(context[:, 0], [0.7, -0.7])
    labels = (rng.random(40000) > softmax(moved, axis=1)[:, 0]).astype(int)
    found = fit_discrete(raw, labels, context)
    assert found.shift == pytest.approx(np.array([[0.7, -0.7], [0, 0], [0, 0]]), abs=0.15)
    assert np.abs(found.probabilities(raw, context) - softmax(moved, axis=1)).mean() < 0.03
    few = fit_discrete(raw[:50], labels[:50], context[:50])
    assert np.abs(few.shift).max() < 0.05


def test_a_context_of_other_images_is_refused() -> None:
    with pytest.raises(ValueError, match="context has 3 rows"):
        fit_continuous([0.0, 1.0], [1.0, 1.0], [0.0, 1.0], FLAT, np.zeros((3, 1)))


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
        fit_continuous([0.0, 1.0], sd, [0.0, 1.0], FLAT)
