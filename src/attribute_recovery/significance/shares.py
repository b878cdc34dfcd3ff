"""Between and within identities, in nats, for many resamples and permutations at once.

The numbers are those of `statistics.dependence.between_within_r2` and `between_within_information`; here they
are put together from sums by identity, so that a thousand resamples cost as little as one.
"""

import math
from dataclasses import dataclass

import numpy as np

from attribute_recovery.recovery.forecast import PROBABILITY_FLOOR, DiscreteMarginal
from attribute_recovery.recovery.routes import ContinuousForecast, DiscreteForecast
from attribute_recovery.significance.forecasts import Recovered
from attribute_recovery.significance.permuted import Indices
from attribute_recovery.statistics.dependence import gaussian_information
from attribute_recovery.statistics.inputs import FloatArray, IntArray


@dataclass(frozen=True)
class ContinuousSums:
    """Sums of squares by identity, (k,) each, from which the share of any resample of identities follows at
    once."""

    means: FloatArray
    error_of_means: FloatArray
    deviations: FloatArray
    error_of_deviations: FloatArray

    def parts(self, times: FloatArray) -> tuple[float, float]:
        """Between and within in nats, each identity counted so many times, (k,)."""
        n = times.sum()
        total = float(times @ self.means**2 - (times @ self.means) ** 2 / n)
        between = nats(1 - float(times @ self.error_of_means) / total) if total > 0 else math.nan
        spread = float(times @ self.deviations)
        # Deviations that are only rounding are none.
        moves = spread > 1e-16 * n * float(np.abs(self.means).max()) ** 2
        return between, nats(1 - float(times @ self.error_of_deviations) / spread) if moves else math.nan

    def share(self, times: FloatArray) -> float:
        """The share of that resample."""
        return share_of(*self.parts(times))


@dataclass(frozen=True)
class DiscreteSums:
    """Gains by identity, summed over images, and the images, (k,) each; identities of one image have none."""

    between: FloatArray
    within: FloatArray
    images: FloatArray

    def parts(self, times: FloatArray) -> tuple[float, float]:
        """Between and within in nats, each identity counted so many times, (k,)."""
        n = float(times @ self.images)
        if n == 0:
            return math.nan, math.nan
        return float(times @ self.between) / n, float(times @ self.within) / n

    def share(self, times: FloatArray) -> float:
        """The share of that resample."""
        return share_of(*self.parts(times))


Sums = ContinuousSums | DiscreteSums


def sums_by_identity(recovered: Recovered, codes: IntArray) -> Sums:
    """The sums of an attribute's forecasts, identities as numbers (n,)."""
    counts = np.bincount(codes)
    if isinstance(recovered.forecast, ContinuousForecast):
        truth, read = recovered.truth.astype(np.float64), recovered.forecast.mean
        means, read_means = (np.bincount(codes, weights=column) / counts for column in (truth, read))
        deviations = truth - means[codes]
        errors = deviations - (read - read_means[codes])
        centred = means - means.mean()
        squares, squared_errors = (_sum_by(codes, column**2) for column in (deviations, errors))
        return ContinuousSums(centred, (means - read_means) ** 2, squares, squared_errors)
    assert isinstance(recovered.marginal, DiscreteMarginal)
    logs = _DiscreteLogs(recovered, codes)
    labels = recovered.truth.astype(np.int64)[logs.kept]
    rows, people = np.arange(len(labels)), codes[logs.kept]
    others, own = logs.of_others[rows, labels], logs.own[rows, labels]
    marginal = np.log(recovered.marginal.probabilities)[labels]
    return DiscreteSums(
        _sum_by(people, others - marginal, len(counts)),
        _sum_by(people, own - others, len(counts)),
        _sum_by(people, np.ones(len(labels)), len(counts)),
    )


def _sum_by(codes: IntArray, values: FloatArray, k: int = 0) -> FloatArray:
    return np.bincount(codes, weights=values, minlength=k).astype(np.float64)


def nats(r2: float) -> float:
    """Information of two Gaussians with that R², NaN for NaN; R² of 1 counts as a little less."""
    return math.nan if math.isnan(r2) else gaussian_information(min(r2, 1 - 1e-12))


def share_of(between: float, within: float) -> float:
    """between / (between + within) of the positive parts, NaN counting as 0; NaN where neither is
    positive."""
    parts = [0.0 if math.isnan(part) else max(part, 0.0) for part in (between, within)]
    return parts[0] / sum(parts) if sum(parts) > 0 else math.nan


class ContinuousStatistics:
    """Statistics of permuted labels of a continuous attribute, in nats up to a constant."""

    def __init__(self, predicted: FloatArray, truth: FloatArray, codes: IntArray) -> None:
        counts = np.bincount(codes)
        self.truth, self.averages = truth, (codes[:, None] == np.arange(len(counts))) / counts  # (n, k)
        self.predicted_means = predicted @ self.averages
        self.predicted_deviations = predicted - self.predicted_means[codes]
        self.codes = codes

    def between(self, rows: Indices) -> FloatArray:
        """−log of the squared error for identities' means, halved, (b,)."""
        return self._between(self.truth[rows] @ self.averages)

    def excess(self, rows: Indices) -> FloatArray:
        """Between less within, (b,)."""
        permuted = self.truth[rows]
        means = permuted @ self.averages  # (b, k)
        left = permuted - means[:, self.codes] - self.predicted_deviations
        return np.asarray(self._between(means) + 0.5 * np.log(np.sum(left**2, axis=1) + 1e-300))

    def _between(self, means: FloatArray) -> FloatArray:
        return np.asarray(-0.5 * np.log(np.sum((means - self.predicted_means) ** 2, axis=1) + 1e-300))


class _DiscreteLogs:
    """Log probabilities of every class for each image of an identity with two or more, by the mean forecast
    for the identity's other images, and by its own, (n kept, classes)."""

    def __init__(self, recovered: Recovered, codes: IntArray) -> None:
        assert isinstance(recovered.forecast, DiscreteForecast)
        table, counts = recovered.forecast.probabilities, np.bincount(codes)
        self.kept = np.flatnonzero(counts[codes] > 1)
        sums = np.stack([np.bincount(codes, weights=column) for column in table.T], axis=1)
        others = (sums[codes] - table)[self.kept] / (counts[codes][self.kept] - 1)[:, None]
        self.of_others = np.log(np.clip(others, PROBABILITY_FLOOR, 1.0))
        self.own = np.log(np.clip(table[self.kept], PROBABILITY_FLOOR, 1.0))


class DiscreteStatistics:
    """Statistics of permuted labels of a discrete attribute, in nats up to a constant."""

    def __init__(self, recovered: Recovered, codes: IntArray) -> None:
        self.logs, self.labels = _DiscreteLogs(recovered, codes), recovered.truth.astype(np.int64)

    def between(self, rows: Indices) -> FloatArray:
        """Mean log probability by the identity's other images, (b,)."""
        return self._mean(self.logs.of_others, rows)

    def excess(self, rows: Indices) -> FloatArray:
        """Between less within, (b,)."""
        return 2 * self._mean(self.logs.of_others, rows) - self._mean(self.logs.own, rows)

    def _mean(self, table: FloatArray, rows: Indices) -> FloatArray:
        permuted = self.labels[rows[:, self.logs.kept]]  # (b, n kept)
        return np.asarray(table[np.arange(table.shape[0]), permuted].mean(axis=1))
