"""Quality of predictions: R2, balanced accuracy, ranked probability score, coverage, calibration."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from attribute_recovery.statistics.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    class_probabilities,
    finite_array,
    finite_vector,
    identity_codes,
    require_length,
)


@dataclass(frozen=True)
class ReliabilityBins:
    """Predicted against observed frequency, one entry for each of `bins` equal steps of [0, 1].

    Attributes:
        edges: Edges of the bins, shape (bins + 1,).
        counts: Predictions in each bin, shape (bins,).
        confidence: Mean predicted probability, shape (bins,); NaN where a bin is empty.
        frequency: Share of predictions that came true, shape (bins,); NaN where a bin is empty.
    """

    edges: FloatArray
    counts: IntArray
    confidence: FloatArray
    frequency: FloatArray


@dataclass(frozen=True)
class CalibrationLine:
    """logit P(label = 1) = intercept + slope * logit(predicted probability); (1, 0) is perfect calibration.

    A slope below 1 tells of predictions that are too sure. Both are NaN where the fit does not exist.
    """

    slope: float
    intercept: float


def r_squared(predicted: npt.ArrayLike, true: npt.ArrayLike) -> float:
    """1 - sum (true - predicted)^2 / sum (true - mean)^2.

    Args:
        predicted: Shape (n,).
        true: Shape (n,).

    Returns:
        R2, at most 1, negative where the mean would have predicted better; NaN where all true values are
        equal.

    Raises:
        ValueError: If shapes differ or a value is not finite.

    >>> r_squared([1.0, 2.0, 2.0], [1.0, 2.0, 3.0])
    0.5
    """
    truth, guess = finite_vector("true", true), finite_vector("predicted", predicted)
    require_length("predicted", guess, len(truth))
    total = float(np.sum((truth - truth.mean()) ** 2))
    return 1 - float(np.sum((truth - guess) ** 2)) / total if np.ptp(truth) > 0 else math.nan


def balanced_accuracy(predicted: npt.ArrayLike, true: npt.ArrayLike) -> float:
    """Mean over the classes that occur of the share of their samples that were recognised.

    Args:
        predicted: Predicted classes of any comparable kind, shape (n,).
        true: True classes, shape (n,).

    Returns:
        0 to 1.

    Raises:
        ValueError: If shapes differ or are empty.

    >>> balanced_accuracy([0, 0, 0, 1], [0, 0, 0, 0]), balanced_accuracy([0, 0, 0, 0], [0, 0, 0, 1])
    (0.75, 0.5)
    """
    truth, guess = np.asarray(true), np.asarray(predicted)
    codes, k = identity_codes("true", truth, len(guess))
    if k == 0:
        raise ValueError("true is empty, expected at least one label")
    hits = np.bincount(codes, weights=(guess == truth).astype(np.float64), minlength=k)
    return float(np.mean(hits / np.bincount(codes, minlength=k)))


def crps_samples(samples: npt.ArrayLike, truth: npt.ArrayLike, *, antithetic: bool = False) -> FloatArray:
    """Continuous ranked probability score of a forecast given by samples, unbiased for any number of them.

    mean |x_i - y| - sum over i < j of |x_i - x_j| / (s (s - 1)), the second term from the sorted samples in
    O(s log s) (Gneiting & Raftery, JASA 102, 2007; fair form: Ferro, Q. J. R. Meteorol. Soc. 140, 2014).

    Args:
        samples: Samples of the forecast, shape (n, s), s at least 2.
        truth: True values, same unit, shape (n,).
        antithetic: Whether samples 0 and 1, 2 and 3 and so on were drawn with opposite noise. Such two lie
            further apart than others, so their distances do not count; s is then at least 3.

    Returns:
        Scores in that unit, float64 of shape (n,); smaller is better. A single one may be slightly negative.

    Raises:
        ValueError: If shapes do not fit, s is too small, or a value is not finite.

    >>> crps_samples([[0.0, 2.0]], [1.0]).tolist()  # mean distance 1, less half the samples' distance
    [0.0]
    """
    drawn, true = _samples_and_truth(samples, truth)
    s = drawn.shape[1]
    if antithetic and s < 3:
        raise ValueError(f"samples has {s} a row, expected at least 3 where they are antithetic")
    distance = np.sort(drawn - true[:, None], axis=1)  # taken around the truth, where little cancels
    ranks = 2 * np.arange(s) - s + 1
    apart, pairs = distance @ ranks, s * (s - 1)
    if antithetic:
        opposite = np.abs(drawn[:, : s - s % 2 : 2] - drawn[:, 1::2])
        apart, pairs = apart - opposite.sum(axis=1), pairs - 2 * opposite.shape[1]
    return np.asarray(np.abs(distance).mean(axis=1) - apart / pairs)


def crps_population(population: npt.ArrayLike, truth: npt.ArrayLike) -> FloatArray:
    """`crps_samples` with one and the same large sample for every truth: the score of the marginal forecast.

    Args:
        population: Values of the attribute in the training split, shape (s,), s at least 2.
        truth: True values, shape (n,).

    Returns:
        Scores, float64 of shape (n,), in O((s + n) log s) time and O(s + n) memory.

    Raises:
        ValueError: If an array is empty or not finite, or s < 2.
    """
    drawn, true = finite_vector("population", population), finite_vector("truth", truth)
    s = len(drawn)
    if s < 2:
        raise ValueError(f"population has {s} values, expected at least 2")
    centre = drawn.mean()
    drawn, true = np.sort(drawn - centre), true - centre
    sums = np.concatenate([[0.0], np.cumsum(drawn)])
    below = np.searchsorted(drawn, true)
    distance = (true * (2 * below - s) + sums[-1] - 2 * sums[below]) / s
    return np.asarray(distance - drawn @ (2 * np.arange(s) - s + 1) / (s * (s - 1)))


def crps_normal(mean: npt.ArrayLike, sd: npt.ArrayLike, truth: npt.ArrayLike) -> FloatArray:
    """Score of a normal forecast in closed form.

    sd (w (2 Phi(w) - 1) + 2 phi(w) - 1 / sqrt(pi)), w = (truth - mean) / sd (Gneiting et al., MWR 133, 2005).

    Args:
        mean: Shape (n,), or one that broadcasts to it.
        sd: Likewise, above 0.
        truth: True values, shape (n,).

    Returns:
        Scores, float64 of shape (n,).

    Raises:
        ValueError: If a value is not finite or an sd is not above 0.

    >>> crps_normal(0.0, 1.0, [0.0]).round(4).tolist()
    [0.2337]
    """
    true = finite_vector("truth", truth)
    centre = finite_vector("mean", np.broadcast_to(np.asarray(mean), true.shape))
    scale = finite_vector("sd", np.broadcast_to(np.asarray(sd), true.shape))
    if scale.min() <= 0:
        raise ValueError(f"sd holds {scale.min()}, expected above 0")
    w = (true - centre) / scale
    density = np.exp(-0.5 * w**2) / math.sqrt(2 * math.pi)
    return np.asarray(scale * (w * special.erf(w / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi)))


def crps_skill(crps: npt.ArrayLike, crps_reference: npt.ArrayLike) -> float:
    """1 - mean score / mean score of the reference, usually the marginal's.

    Args:
        crps: Scores, shape (n,), or their mean, shape ().
        crps_reference: Scores of the reference on the same samples, shape (n,), or their mean.

    Returns:
        1 for a perfect forecast, 0 for one as good as the reference, negative for a worse one; NaN where the
        reference scores 0.

    Raises:
        ValueError: If an array is empty or not finite.

    >>> crps_skill([1.0, 2.0], [2.0, 4.0])
    0.5
    """
    score = float(finite_vector("crps", np.atleast_1d(crps)).mean())
    reference = float(finite_vector("crps_reference", np.atleast_1d(crps_reference)).mean())
    return 1 - score / reference if reference != 0 else math.nan


def covered_by_interval(samples: npt.ArrayLike, truth: npt.ArrayLike, level: float) -> BoolArray:
    """Whether the central interval of the samples holds the truth.

    The ends are the quantiles at (s + 1) p (Weibull's): a truth from the samples' own distribution is then
    covered with probability `level` at any s, which with numpy's default quantiles needs hundreds of samples.

    Args:
        samples: Samples of the forecast, shape (n, s), with (s + 1) (1 - level) / 2 >= 1: 19 for a level of
            0.9.
        truth: True values, shape (n,).
        level: Nominal coverage, between 0 and 1.

    Returns:
        Booleans, shape (n,).

    Raises:
        ValueError: If shapes do not fit, a value is not finite, or the samples are too few for the level.
    """
    drawn, true = _samples_and_truth(samples, truth)
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, expected between 0 and 1")
    needed = math.ceil(2 / (1 - level) - 1 - 1e-9)
    if drawn.shape[1] < needed:
        raise ValueError(
            f"samples has {drawn.shape[1]} a row, expected at least {needed} for the level {level}"
        )
    ends = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=1, method="weibull")  # (2, n)
    return np.asarray((ends[0] <= true) & (true <= ends[1]))


def interval_coverage(samples: npt.ArrayLike, truth: npt.ArrayLike, level: float) -> float:
    """Share of truths inside the central interval of their samples; see `covered_by_interval`.

    Args:
        samples: Samples of the forecast, shape (n, s).
        truth: True values, shape (n,).
        level: Nominal coverage, between 0 and 1.

    Returns:
        0 to 1.

    Raises:
        ValueError: As `covered_by_interval`.
    """
    return float(covered_by_interval(samples, truth, level).mean())


def reliability_bins(probabilities: npt.ArrayLike, labels: npt.ArrayLike, bins: int = 15) -> ReliabilityBins:
    """Predicted probability against observed frequency, in bins of equal width.

    Args:
        probabilities: Shape (n,): probability of class 1, set against how often class 1 occurs; or (n, K):
            the highest of each row, set against how often the class that has it is the true one.
        labels: True classes, integers from 0 to K - 1, shape (n,).
        bins: Number of bins, at least 1. A value on an edge belongs to the bin below it.

    Returns:
        Counts, mean prediction and frequency a bin.

    Raises:
        ValueError: If probabilities and labels do not fit each other, or bins < 1.
    """
    if bins < 1:
        raise ValueError(f"bins is {bins}, expected at least 1")
    table, classes = class_probabilities(probabilities, labels)
    chosen = np.ones_like(classes) if np.ndim(probabilities) == 1 else np.argmax(table, axis=1)
    confidence = table[np.arange(len(classes)), chosen]
    edges = np.linspace(0, 1, bins + 1)
    inside = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    counts = np.bincount(inside, minlength=bins)
    occupied = np.where(counts > 0, counts, np.nan)
    true = (chosen == classes).astype(np.float64)
    return ReliabilityBins(
        edges,
        counts.astype(np.int64),
        np.bincount(inside, weights=confidence, minlength=bins) / occupied,
        np.bincount(inside, weights=true, minlength=bins) / occupied,
    )


def expected_calibration_error(probabilities: npt.ArrayLike, labels: npt.ArrayLike, bins: int = 15) -> float:
    """Mean over predictions of |confidence - frequency| of their bin (Naeini et al., AAAI 2015).

    Args:
        probabilities: As in `reliability_bins`.
        labels: True classes, integers from 0 to K - 1, shape (n,).
        bins: Number of bins, at least 1.

    Returns:
        0 to 1. Never 0 by chance on finite data: it is biased upwards, the more so the more bins.

    Raises:
        ValueError: As `reliability_bins`.
    """
    table = reliability_bins(probabilities, labels, bins)
    occupied = table.counts > 0
    gaps = np.abs(table.confidence - table.frequency)[occupied]
    return float(np.average(gaps, weights=table.counts[occupied]))


def calibration_slope(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> CalibrationLine:
    """Logistic regression of labels on the predicted logit (Cox, Biometrika 45, 1958), by Newton's method.

    Args:
        probabilities: Probability of class 1, shape (n,); drawn into [1e-7, 1 - 1e-7] before the logit.
        labels: 0 or 1, shape (n,).

    Returns:
        Slope and intercept; both NaN where no maximum exists: one class only, one probability only, or
        classes that a threshold on the probability separates without error.

    Raises:
        ValueError: If probabilities and labels do not fit each other.
    """
    table, classes = class_probabilities(finite_vector("probabilities", probabilities), labels)
    x = special.logit(np.clip(table[:, 1], 1e-7, 1 - 1e-7))
    zeros, ones = x[classes == 0], x[classes == 1]
    if not (len(zeros) and len(ones)) or zeros.max() <= ones.min() or ones.max() <= zeros.min():
        return CalibrationLine(math.nan, math.nan)
    centre, scale = float(x.mean()), float(x.std())
    intercept, slope = _logistic_fit((x - centre) / scale, classes.astype(np.float64))
    return CalibrationLine(slope / scale, intercept - slope * centre / scale)


def _logistic_fit(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Intercept and slope of greatest likelihood; steps are halved until the likelihood does not fall."""
    design = np.stack([np.ones_like(x), x], axis=1)  # (n, 2)
    beta = np.zeros(2)
    for _ in range(100):
        fitted = special.expit(design @ beta)
        gradient = design.T @ (y - fitted)
        if np.abs(gradient).max() < 1e-9 * len(x):
            break
        hessian = design.T @ (design * (fitted * (1 - fitted))[:, None])
        step = np.linalg.solve(hessian, gradient)
        while _log_likelihood(design @ (beta + step), y) < _log_likelihood(design @ beta, y) - 1e-9:
            step = step / 2
        beta = beta + step
    return float(beta[0]), float(beta[1])


def _log_likelihood(eta: FloatArray, y: FloatArray) -> float:
    """Of labels y (0 or 1) with logits eta."""
    return float(np.sum(y * eta - np.logaddexp(0, eta)))


def _samples_and_truth(samples: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Checked samples (n, s), s > 1, and truth (n,)."""
    drawn, true = finite_array("samples", samples, ndim=2), finite_vector("truth", truth)
    require_length("truth", true, len(drawn))
    if drawn.shape[1] < 2:
        raise ValueError(f"samples has {drawn.shape[1]} a row, expected at least 2")
    return drawn, true
