"""Calibration of forecasts of attributes on held-out people: means, spreads and class probabilities put
right.

A continuous forecast (μ, σ) becomes the marginal tilted by N(a + b μ, (c σ^γ)²) and contaminated by a share ε
of the marginal (see `forecast`), of greatest mean gain: γ of 1 trusts the forecast's own spread, of 0 gives
all images the same, and ε keeps the few that are grossly wrong from making all others wide. A discrete
forecast p becomes softmax(log p / T + b_c).

How far a reading is off depends on what else is in the face: hair that hides the brows, a turned head. So
location and log scale, and the classes' scores, may also go with what was read of the other attributes, the
context x: a + b μ + u β·x, log(c σ^γ) + δ·x and log p_c / T + b_c + β_c·x, with β and δ pulled to 0.
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
# The same of what the context moves: as if so many images had told that it moves nothing.
CONTEXT_PULL = 2000.0


@dataclass(frozen=True)
class ContinuousCalibration:
    """(μ, σ) and context x to a tilt of location intercept + slope μ + shift·x and scale
    factor σ^power exp(stretch·x), contaminated.

    Attributes:
        intercept: in the attribute's unit.
        slope: dimensionless.
        factor: in the attribute's unit to the power of 1 − power, above 0.
        power: 0 to 1.
        contamination: 0 to 1.
        marginal: of the attribute.
        shift: of the context's columns, (k,), in the attribute's unit.
        stretch: likewise, dimensionless.
    """

    intercept: float
    slope: float
    factor: float
    power: float
    contamination: float
    marginal: ContinuousMarginal
    shift: FloatArray
    stretch: FloatArray

    def tilted(self, mean: npt.ArrayLike, sd: npt.ArrayLike, context: FloatArray | None = None) -> Tilted:
        """Calibrated forecasts of means and standard deviations (n,) in their contexts (n, k)."""
        location = self.intercept + self.slope * np.asarray(mean, dtype=np.float64)
        scale = self.factor * np.asarray(sd, dtype=np.float64) ** self.power
        if context is not None:
            location, scale = location + context @ self.shift, scale * np.exp(context @ self.stretch)
        return Tilted(location, scale, self.contamination, self.marginal)


@dataclass(frozen=True)
class DiscreteCalibration:
    """softmax(log p / temperature + bias + x shift), bias (classes,), shift of the context (k, classes)."""

    temperature: float
    bias: FloatArray
    shift: FloatArray

    def probabilities(self, probabilities: npt.ArrayLike, context: FloatArray | None = None) -> FloatArray:
        """Calibrated class probabilities of forecast ones, (n, classes), in their contexts (n, k)."""
        scores = _logits(finite_array("probabilities", probabilities, ndim=2)) / self.temperature + self.bias
        if context is not None:
            scores = scores + context @ self.shift
        return np.asarray(np.exp(log_softmax(scores, axis=1)))


def moments(samples: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation (n − 1 in the divisor, above 0) of each row of samples (n, s), s at least
    2."""
    drawn = finite_array("samples", samples, ndim=2)
    spread = drawn.std(axis=1, ddof=1)
    # Equal samples would claim certainty: float32 noise of their size is the least that can be said.
    return drawn.mean(axis=1), np.maximum(spread, 1e-6 * np.maximum(1.0, np.abs(drawn).max(axis=1)))


def fit_continuous(
    mean: npt.ArrayLike,
    sd: npt.ArrayLike,
    truth: npt.ArrayLike,
    marginal: ContinuousMarginal,
    context: FloatArray | None = None,
) -> ContinuousCalibration:
    """The calibration of greatest mean gain, its contamination held near `USUAL` where images are few.

    Args:
        mean: forecast means (n,), n at least 2, in the attribute's unit.
        sd: forecast standard deviations (n,), above 0.
        truth: true values (n,).
        marginal: of the attribute.
        context: what else was read, standardised columns (n, k); None for nothing.

    Raises:
        ValueError: lengths differ, a value is not finite, or an sd is not above 0.
    """
    from scipy.optimize import minimize  # significance reads forecasts and fits none

    y, m, s = finite_vector("truth", truth), finite_vector("mean", mean), finite_vector("sd", sd)
    x = _context(context, len(y))
    require_length("mean", m, len(y))
    require_length("sd", s, len(y))
    if s.min() <= 0:
        raise ValueError(f"sd holds {s.min()}, expected above 0")
    centre, unit = marginal.mean, marginal.sd
    # Spreads about their own middle, so that power and factor have little to do with each other.
    middle = float(np.median(np.log(s)))
    objective = _Objective((m - centre) / unit, np.log(s) - middle, marginal.standardise(y), marginal, x)
    bounds = BOUNDS + [(-1.0, 1.0)] * (2 * x.shape[1])
    found = minimize(objective, objective.start(), jac=True, method="L-BFGS-B", bounds=bounds)
    intercept, slope, log_factor, power, logit = (float(value) for value in found.x[:5])
    shift, stretch = np.split(found.x[5:], 2)
    return ContinuousCalibration(
        intercept=centre + unit * intercept - slope * centre,
        slope=slope,
        factor=float(np.exp(log_factor - power * middle)) * unit,
        power=power,
        contamination=float(expit(logit)),
        marginal=marginal,
        shift=unit * objective.left * shift,
        stretch=stretch,
    )


def _context(context: FloatArray | None, n: int) -> FloatArray:
    """Columns (n, k), k 0 where there is no context."""
    if context is None:
        return np.empty((n, 0))
    table = finite_array("context", context, ndim=2)
    require_length("context", table, n)
    return table


class _Objective:
    """Mean loss of gain and its gradient, of (intercept, slope, log factor, power, logit of ε), standardised,
    then the context's shifts, in units of the spread that the regression line leaves, and its stretches.

    Args:
        m: means (n,).
        log_s: logarithms of spreads (n,).
        y: truth (n,).
        marginal: of the attribute.
        x: context (n, k).
    """

    def __init__(
        self, m: FloatArray, log_s: FloatArray, y: FloatArray, marginal: ContinuousMarginal, x: FloatArray
    ) -> None:
        self.m, self.log_s, self.y, self.marginal, self.x = m, log_s, y, marginal, x
        variance = float(m.var())
        self.slope = float(np.mean((m - m.mean()) * y)) / variance if variance > 1e-24 else 0.0
        self.intercept = float(y.mean() - self.slope * m.mean())
        self.left = float(np.clip(np.std(y - self.intercept - self.slope * m), 1e-3, 0.99))

    def start(self) -> FloatArray:
        """The regression line, the spread of what is left, and the usual contamination."""
        line = [self.intercept, self.slope, np.log(self.left), 0.5, logit(USUAL)]
        return np.concatenate([line, np.zeros(2 * self.x.shape[1])])

    def __call__(self, parameters: FloatArray) -> tuple[float, FloatArray]:
        intercept, slope, log_factor, power, odds = parameters[:5]
        shift, stretch = np.split(parameters[5:], 2)
        gain, by_mean, by_log_sd = gain_and_slopes(
            intercept + slope * self.m + self.left * (self.x @ shift),
            log_factor + power * self.log_s + self.x @ stretch,
            self.y,
            self.marginal,
        )
        share, n = float(expit(odds)), len(self.y)
        mixed = contaminated(gain, share)
        kept = (1 - share) * np.exp(gain - mixed)  # probability of each not to be astray
        pulled = np.concatenate([[power - 0.5, odds - logit(USUAL)], shift, stretch])
        pull = np.concatenate([np.full(2, PULL), np.full(len(pulled) - 2, CONTEXT_PULL)]) * pulled
        loss = -float(mixed.mean()) + 0.5 * float(pulled @ pull) / n
        by_odds = float(np.mean((1 - kept) * (1 - share) - kept * share))
        by_line = [
            np.mean(kept * by_mean),
            np.mean(kept * by_mean * self.m),
            np.mean(kept * by_log_sd),
            np.mean(kept * by_log_sd * self.log_s),
            by_odds,
        ]
        by_shift = self.left * (kept * by_mean) @ self.x / n
        gradient = -np.concatenate([by_line, by_shift, (kept * by_log_sd) @ self.x / n])
        gradient[3:] += pull / n
        return loss, gradient


def fit_discrete(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, context: FloatArray | None = None
) -> DiscreteCalibration:
    """Temperature, class biases and shifts of least log loss, held near (1, 0, 0) where images are few.

    Args:
        probabilities: forecasts (n, classes), rows adding to 1.
        labels: true classes (n,).
        context: what else was read, standardised columns (n, k); None for nothing.

    Raises:
        ValueError: probabilities, labels and context do not fit each other.
    """
    from scipy.optimize import minimize

    table, classes = class_probabilities(probabilities, labels)
    logits, n, c = _logits(table), len(classes), table.shape[1]
    x, hot = _context(context, n), np.eye(c)[classes]
    # An image tells of a shift of a class's score as much as p (1 − p).
    told = np.maximum((table * (1 - table)).mean(axis=0), SMALLEST_PROBABILITY)
    strength = np.concatenate([np.full(1 + c, PULL), np.tile(CONTEXT_PULL * told, x.shape[1])])

    def objective(parameters: FloatArray) -> tuple[float, FloatArray]:
        scale, bias = np.exp(-parameters[0]), parameters[1 : 1 + c]
        scores = logits * scale + bias + x @ parameters[1 + c :].reshape(-1, c)
        loss = np.sum(logsumexp(scores, axis=1) - np.sum(scores * hot, axis=1))
        gap = np.exp(log_softmax(scores, axis=1)) - hot  # (n, classes)
        by_scale = -scale * np.sum(gap * logits)
        gradient = np.concatenate([[by_scale], gap.sum(axis=0), (x.T @ gap).ravel()])
        pull = strength * parameters
        return float(loss + 0.5 * parameters @ pull) / n, np.asarray((gradient + pull) / n)

    bounds = [(-3.0, 3.0)] + [(-5.0, 5.0)] * (len(strength) - 1)
    found = minimize(objective, np.zeros(len(strength)), jac=True, method="L-BFGS-B", bounds=bounds)
    shift = np.asarray(found.x[1 + c :]).reshape(-1, c)
    return DiscreteCalibration(float(np.exp(found.x[0])), np.asarray(found.x[1 : 1 + c]), shift)


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
