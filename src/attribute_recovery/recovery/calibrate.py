"""Calibration of forecasts of attributes on held-out people: means, spreads and class probabilities put
right.

A continuous forecast (μ, σ) becomes N(a + b μ, (c σ^γ)²), fitted by maximum likelihood. For a given γ the
line is weighted least squares and c the root mean square of what is left, so that only γ in [0, 1] is
searched: 1 trusts the forecast's own spread, 0 gives all images the same. A discrete forecast p becomes
softmax(log p / T + b_c).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

from attribute_recovery.statistics.inputs import (
    FloatArray,
    class_probabilities,
    finite_array,
    finite_vector,
    require_length,
)

# Powers γ that are tried.
POWERS = np.linspace(0.0, 1.0, 11)
# Strength of the pull of log T and of the classes' biases towards 0, in samples: for few images.
PULL = 2.0
SMALLEST_PROBABILITY = 1e-6


@dataclass(frozen=True)
class ContinuousCalibration:
    """N(intercept + slope μ, (factor σ^power)²).

    Attributes:
        intercept: in the attribute's unit.
        slope: dimensionless.
        factor: in the attribute's unit to the power of 1 − power, above 0.
        power: 0 to 1.
    """

    intercept: float
    slope: float
    factor: float
    power: float

    def mean(self, mean: npt.ArrayLike) -> FloatArray:
        """Calibrated means of forecast means, any shape."""
        return np.asarray(self.intercept + self.slope * np.asarray(mean, dtype=np.float64))

    def sd(self, sd: npt.ArrayLike) -> FloatArray:
        """Calibrated standard deviations of forecast ones, any shape."""
        return np.asarray(self.factor * np.asarray(sd, dtype=np.float64) ** self.power)

    def samples(self, samples: npt.ArrayLike) -> FloatArray:
        """Samples (n, s) moved and stretched about their mean to the calibrated mean and deviation of their
        row."""
        drawn = finite_array("samples", samples, ndim=2)
        centre, spread = moments(drawn)
        stretched = (drawn - centre[:, None]) * (self.sd(spread) / spread)[:, None]
        return np.asarray(self.mean(centre)[:, None] + stretched)


@dataclass(frozen=True)
class DiscreteCalibration:
    """softmax(log p / temperature + bias), bias (classes,)."""

    temperature: float
    bias: FloatArray

    def probabilities(self, probabilities: npt.ArrayLike) -> FloatArray:
        """Calibrated class probabilities of forecast ones, (n, classes)."""
        logits = _logits(finite_array("probabilities", probabilities, ndim=2))
        return np.asarray(np.exp(log_softmax(logits / self.temperature + self.bias, axis=1)))


def moments(samples: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation (n − 1 in the divisor, above 0) of each row of samples (n, s), s at least
    2."""
    drawn = finite_array("samples", samples, ndim=2)
    spread = drawn.std(axis=1, ddof=1)
    # Equal samples would claim certainty: float32 noise of their size is the least that can be said.
    return drawn.mean(axis=1), np.maximum(spread, 1e-6 * np.maximum(1.0, np.abs(drawn).max(axis=1)))


def fit_continuous(mean: npt.ArrayLike, sd: npt.ArrayLike, truth: npt.ArrayLike) -> ContinuousCalibration:
    """The calibration of greatest likelihood.

    Args:
        mean: forecast means (n,), n at least 2.
        sd: forecast standard deviations (n,), above 0.
        truth: true values (n,).

    Raises:
        ValueError: lengths differ, a value is not finite, or an sd is not above 0.
    """
    y, m, s = finite_vector("truth", truth), finite_vector("mean", mean), finite_vector("sd", sd)
    require_length("mean", m, len(y))
    require_length("sd", s, len(y))
    if s.min() <= 0:
        raise ValueError(f"sd holds {s.min()}, expected above 0")
    fits = [_fit_with_power(m, s, y, float(power)) for power in POWERS]
    return min(fits, key=lambda fit: fit[0])[1]


def _fit_with_power(
    m: FloatArray, s: FloatArray, y: FloatArray, power: float
) -> tuple[float, ContinuousCalibration]:
    """Mean log loss (up to a constant) and calibration for a given γ, in closed form."""
    spread = s**power
    weights = 1 / spread**2
    weights /= weights.sum()
    m_mean, y_mean = weights @ m, weights @ y
    variance = weights @ (m - m_mean) ** 2
    slope = float(weights @ ((m - m_mean) * (y - y_mean)) / variance) if variance > 1e-24 else 0.0
    intercept = float(y_mean - slope * m_mean)
    left = y - intercept - slope * m
    factor = float(np.sqrt(np.mean((left / spread) ** 2)))
    factor = max(factor, 1e-6 * max(1e-6, float(np.abs(y).max())))
    loss = np.log(factor) + float(np.log(spread).mean())
    return loss, ContinuousCalibration(intercept, slope, factor, power)


def fit_discrete(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> DiscreteCalibration:
    """Temperature and class biases of least log loss, held near (1, 0) where images are few.

    Args:
        probabilities: forecasts (n, classes), rows adding to 1.
        labels: true classes (n,).

    Raises:
        ValueError: probabilities and labels do not fit each other.
    """
    table, classes = class_probabilities(probabilities, labels)
    logits, n = _logits(table), len(classes)
    hot = np.eye(table.shape[1])[classes]

    def objective(parameters: FloatArray) -> tuple[float, FloatArray]:
        scale, bias = np.exp(-parameters[0]), parameters[1:]
        scores = logits * scale + bias
        loss = np.sum(logsumexp(scores, axis=1) - np.sum(scores * hot, axis=1))
        gap = np.exp(log_softmax(scores, axis=1)) - hot  # (n, classes)
        gradient = np.concatenate([[-scale * np.sum(gap * logits)], gap.sum(axis=0)])
        pull = PULL * parameters
        return float(loss + 0.5 * parameters @ pull) / n, np.asarray((gradient + pull) / n)

    bounds = [(-3.0, 3.0)] + [(-5.0, 5.0)] * table.shape[1]
    start = np.zeros(1 + table.shape[1])
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return DiscreteCalibration(float(np.exp(found.x[0])), np.asarray(found.x[1:]))


def smoothed_mean(probabilities: npt.ArrayLike, marginal: npt.ArrayLike) -> FloatArray:
    """Mean class probabilities (n, classes) over samples (n, s, classes), the marginal counted as one more
    sample.

    A mean over s samples cannot tell apart probabilities below 1 / s.
    """
    drawn = finite_array("probabilities", probabilities, ndim=3)
    s = drawn.shape[1]
    mean = (drawn.sum(axis=1) + np.asarray(marginal)) / (s + 1)
    return np.asarray(mean / mean.sum(axis=1, keepdims=True))


def _logits(probabilities: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.clip(probabilities, SMALLEST_PROBABILITY, 1.0)))
