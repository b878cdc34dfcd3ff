"""Calibration of forecasts of attributes on held-out people: means, spreads and class probabilities put
right.

A continuous forecast (μ, σ) becomes the marginal tilted by N(a + b μ, (c σ^γ)²) and contaminated by a share ε
of the marginal (see `forecast`), of greatest mean gain: γ of 1 trusts the forecast's own spread, of 0 gives
all images the same, and ε keeps the few that are grossly wrong from making all others wide. A discrete
forecast p becomes softmax(log p / T + b_c).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_softmax, logit, logsumexp

from attribute_recovery.recovery.forecast import (
    ContinuousMarginal,
    Tilted,
    contaminated,
    gain_and_slopes,
)
from attribute_recovery.statistics.inputs import (
    FloatArray,
    class_probabilities,
    finite_array,
    finite_vector,
    require_length,
)

# Strength of the pull of log T and of the classes' biases towards 0, of γ towards a half, of the logit of ε
# towards that of `USUAL`, in samples: for few images.
PULL = 2.0
# Share of forecasts that are grossly wrong, where nothing else is known.
USUAL = 0.01
# Of intercept, slope, log factor (standardised), power, and the logit of the contamination.
BOUNDS = [(-10.0, 10.0), (-10.0, 10.0), (-7.0, 1.0), (0.0, 1.0), (-9.0, -1.0)]
SMALLEST_PROBABILITY = 1e-6


@dataclass(frozen=True)
class ContinuousCalibration:
    """(μ, σ) to a tilt of location intercept + slope μ and scale factor σ^power, contaminated.

    Attributes:
        intercept: in the attribute's unit.
        slope: dimensionless.
        factor: in the attribute's unit to the power of 1 − power, above 0.
        power: 0 to 1.
        contamination: 0 to 1.
        marginal: of the attribute.
    """

    intercept: float
    slope: float
    factor: float
    power: float
    contamination: float
    marginal: ContinuousMarginal

    def tilted(self, mean: npt.ArrayLike, sd: npt.ArrayLike) -> Tilted:
        """Calibrated forecasts of means and standard deviations (n,)."""
        location = self.intercept + self.slope * np.asarray(mean, dtype=np.float64)
        scale = self.factor * np.asarray(sd, dtype=np.float64) ** self.power
        return Tilted(location, scale, self.contamination, self.marginal)


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


def fit_continuous(
    mean: npt.ArrayLike, sd: npt.ArrayLike, truth: npt.ArrayLike, marginal: ContinuousMarginal
) -> ContinuousCalibration:
    """The calibration of greatest mean gain, its contamination held near `USUAL` where images are few.

    Args:
        mean: forecast means (n,), n at least 2, in the attribute's unit.
        sd: forecast standard deviations (n,), above 0.
        truth: true values (n,).
        marginal: of the attribute.

    Raises:
        ValueError: lengths differ, a value is not finite, or an sd is not above 0.
    """
    from scipy.optimize import minimize  # significance reads forecasts and fits none

    y, m, s = finite_vector("truth", truth), finite_vector("mean", mean), finite_vector("sd", sd)
    require_length("mean", m, len(y))
    require_length("sd", s, len(y))
    if s.min() <= 0:
        raise ValueError(f"sd holds {s.min()}, expected above 0")
    centre, unit = marginal.mean, marginal.sd
    # Spreads about their own middle, so that power and factor have little to do with each other.
    middle = float(np.median(np.log(s)))
    objective = _Objective((m - centre) / unit, np.log(s) - middle, marginal.standardise(y), marginal)
    found = minimize(objective, objective.start(), jac=True, method="L-BFGS-B", bounds=BOUNDS)
    intercept, slope, log_factor, power, logit = (float(value) for value in found.x)
    return ContinuousCalibration(
        intercept=centre + unit * intercept - slope * centre,
        slope=slope,
        factor=float(np.exp(log_factor - power * middle)) * unit,
        power=power,
        contamination=float(expit(logit)),
        marginal=marginal,
    )


class _Objective:
    """Mean loss of gain and its gradient, of (intercept, slope, log factor, power, logit of ε), standardised.

    Args:
        m: means (n,).
        log_s: logarithms of spreads (n,).
        y: truth (n,).
        marginal: of the attribute.
    """

    def __init__(self, m: FloatArray, log_s: FloatArray, y: FloatArray, marginal: ContinuousMarginal) -> None:
        self.m, self.log_s, self.y, self.marginal = m, log_s, y, marginal

    def start(self) -> FloatArray:
        """The regression line, the spread of what is left, and the usual contamination."""
        variance = float(self.m.var())
        slope = float(np.mean((self.m - self.m.mean()) * self.y)) / variance if variance > 1e-24 else 0.0
        intercept = float(self.y.mean() - slope * self.m.mean())
        left = float(np.std(self.y - intercept - slope * self.m))
        return np.array([intercept, slope, np.log(np.clip(left, 1e-3, 0.99)), 0.5, logit(USUAL)])

    def __call__(self, parameters: FloatArray) -> tuple[float, FloatArray]:
        intercept, slope, log_factor, power, odds = parameters
        gain, by_mean, by_log_sd = gain_and_slopes(
            intercept + slope * self.m, log_factor + power * self.log_s, self.y, self.marginal
        )
        share, n = float(expit(odds)), len(self.y)
        mixed = contaminated(gain, share)
        kept = (1 - share) * np.exp(gain - mixed)  # probability of each not to be astray
        away = np.array([power - 0.5, odds - logit(USUAL)])
        loss = -float(mixed.mean()) + 0.5 * PULL * float(away @ away) / n
        by_odds = float(np.mean((1 - kept) * (1 - share) - kept * share))
        gradient = -np.array(
            [
                np.mean(kept * by_mean),
                np.mean(kept * by_mean * self.m),
                np.mean(kept * by_log_sd),
                np.mean(kept * by_log_sd * self.log_s),
                by_odds,
            ]
        )
        gradient[3:] += PULL * away / n
        return loss, gradient


def fit_discrete(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> DiscreteCalibration:
    """Temperature and class biases of least log loss, held near (1, 0) where images are few.

    Args:
        probabilities: forecasts (n, classes), rows adding to 1.
        labels: true classes (n,).

    Raises:
        ValueError: probabilities and labels do not fit each other.
    """
    from scipy.optimize import minimize

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
