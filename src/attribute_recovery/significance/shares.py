"""Between and within identities, in nats, for many resamples and permutations at once.

The numbers are those of `statistics.dependence.between_within_gaussian` and `between_within_information`;
here they are put together from sums by identity, so that a thousand resamples cost as little as one.
"""

import math
from dataclasses import dataclass

import numpy as np

from attribute_recovery.recovery.forecast import PROBABILITY_FLOOR, DiscreteMarginal
from attribute_recovery.recovery.routes import ContinuousForecast, DiscreteForecast
from attribute_recovery.significance.forecasts import Recovered
from attribute_recovery.significance.permuted import Indices
from attribute_recovery.statistics.dependence import bounded_information
from attribute_recovery.statistics.inputs import FloatArray, IntArray

# Spread of a person's images below this share of the sum of squares is rounding, and so is that of people.
_ROUNDING = 1e-16


@dataclass(frozen=True)
class ContinuousSums:
    """Sums over the images of each identity, (k,) each, from which the share of any resample of identities
    follows at once; identities of one image have none.

    The mean product of two different images of a person is the mean square less the unbiased variance among
    the person's images. As sums of squares of deviations these lose nothing by cancellation.

    Attributes:
        images: n, the images.
        values: truth, less the mean over all images.
        squares: of these values.
        deviations: n times the unbiased variance of the truth among the identity's images.
        errors: squared errors of the read-out.
        error_deviations: n times the unbiased variance of the errors among the identity's images.
    """

    images: FloatArray
    values: FloatArray
    squares: FloatArray
    deviations: FloatArray
    errors: FloatArray
    error_deviations: FloatArray

    def components(self, times: FloatArray) -> tuple[float, float]:
        """Variance of the truth between people, and among a person's images, unbiased, each times the images;
        NaN where there are not two people. Each identity counted so many times, (k,).

        About the sample's own mean, products of two images of a person are too small by what that mean varies
        by: 1 / k of the people's variance, k = (Σ n)² / Σ n², and one n-th of the images'.
        """
        n, squared = float(times @ self.images), float(times @ self.images**2)
        if n**2 <= squared:
            return math.nan, math.nan
        spread = float(times @ self.squares) - float(times @ self.values) ** 2 / n
        deviations = float(times @ self.deviations)
        return (spread - deviations + deviations / n) / (1 - squared / n**2), deviations

    def parts(self, times: FloatArray) -> tuple[float, float]:
        """Between and within in nats, each identity counted so many times, (k,); copies of an identity are
        different people."""
        of_people, of_images = self.components(times)
        variance, squares = of_people + of_images, float(times @ self.squares)
        if not variance > 1e2 * _ROUNDING * squares:
            return math.nan, math.nan
        errors = float(times @ self.errors)
        explained = of_people - errors + float(times @ self.error_deviations)
        between = bounded_information(explained / variance)
        moves = of_images > _ROUNDING * squares
        return between, bounded_information(1 - errors / variance) - between if moves else math.nan

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
        return _continuous_sums(recovered.forecast.mean, recovered.truth.astype(np.float64), codes)
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


def _continuous_sums(read: FloatArray, truth: FloatArray, codes: IntArray) -> ContinuousSums:
    counts = np.bincount(codes)
    kept = counts > 1
    shared = kept[codes]
    # Any centre gives the same parts; the mean keeps squares small.
    values, errors = np.where(shared, truth - truth.mean(), 0.0), np.where(shared, truth - read, 0.0)
    # n over n − 1, which turns the squares of deviations into n unbiased variances.
    unbiased = np.where(kept, counts / np.maximum(counts - 1, 1), 0.0)
    of_values, of_errors = (
        unbiased * _sum_by(codes, (column - (_sum_by(codes, column) / counts)[codes]) ** 2)
        for column in (values, errors)
    )
    return ContinuousSums(
        np.where(kept, counts, 0).astype(np.float64),
        _sum_by(codes, values),
        _sum_by(codes, values**2),
        of_values,
        _sum_by(codes, errors**2),
        of_errors,
    )


def _sum_by(codes: IntArray, values: FloatArray, k: int = 0) -> FloatArray:
    return np.bincount(codes, weights=values, minlength=k).astype(np.float64)


def share_of(between: float, within: float) -> float:
    """between / (between + within) of the positive parts, NaN counting as 0; NaN where neither is
    positive."""
    parts = [0.0 if math.isnan(part) else max(part, 0.0) for part in (between, within)]
    return parts[0] / sum(parts) if sum(parts) > 0 else math.nan


class ContinuousStatistics:
    """Statistics of permuted labels of a continuous attribute.

    Images of a person stay together in both schemes, and people are exchanged for such with equally many
    images: means, variances and products of two different images of truth alone, or of read-outs alone, stay
    what they are. Only products of both move, and those of different images are a label times the mean
    read-out of the person's other images.
    """

    def __init__(self, predicted: FloatArray, truth: FloatArray, codes: IntArray) -> None:
        counts = np.bincount(codes)
        kept = counts[codes] > 1
        centre = truth[kept].mean()
        self.labels, own = np.where(kept, truth - centre, 0.0), np.where(kept, predicted - centre, 0.0)
        others = (np.bincount(codes, weights=own)[codes] - own) / np.maximum(counts[codes] - 1, 1)
        self.own, self.others = own, np.where(kept, others, 0.0)
        sums = _continuous_sums(predicted, truth, codes)
        of_people, of_images = sums.components(np.ones(len(counts)))
        self.variance = (of_people + of_images) or math.nan
        # What no exchange moves: of the squares of errors, and of what is explained between people.
        squares = float(self.labels @ self.labels)
        self.squares = squares + float(own @ own)
        self.fixed = of_people - (squares - of_images) - float(own @ self.others)
        # By person, for sums over the images of each. What is read too high throughout adds nothing.
        self.order = np.argsort(codes, kind="stable")
        self.starts = np.cumsum(counts) - counts
        self.centred = np.where(kept, others - others[kept].mean(), 0.0)[self.order]
        self.moves = sums.deviations.sum() > _ROUNDING * sums.squares.sum()

    def between(self, rows: Indices) -> FloatArray:
        """What is explained between people, for whole identities exchanged, (b,).

        Where images of a person do not differ, the share of the variance. Else the sum of products over their
        root mean square by person: a person's own read-outs go along with single images, so products of two
        images vary more than with another person's read-outs (by 1 + R² of variance) though nothing is read
        between people, and too many p-values would be small (Chung & Romano, Ann. Statist. 41, 2013;
        DiCiccio & Romano, JASA 112, 2017).
        """
        permuted = self.labels[rows]
        if not self.moves:
            return self._explained(permuted)
        return _studentised(permuted[:, self.order] * self.centred, self.starts)

    def excess(self, rows: Indices) -> FloatArray:
        """Between less within in nats, for images exchanged within identities, (b,)."""
        permuted = self.labels[rows]
        left = (self.squares - 2 * permuted @ self.own) / self.variance
        between, total = _nats(self._explained(permuted)), _nats(1 - left)
        return np.asarray(2 * between - total)

    def _explained(self, permuted: FloatArray) -> FloatArray:
        """B / T of permuted labels (b, n)."""
        return np.asarray((2 * permuted @ self.others + self.fixed) / self.variance)


def _studentised(products: FloatArray, starts: IntArray) -> FloatArray:
    """Sums over images (b, n), those of a person together from each of `starts` (k,), over the root mean
    square of the sums by person but for a constant, (b,)."""
    by_person = np.add.reduceat(products, starts, axis=1)
    return np.asarray(by_person.sum(axis=1) / np.sqrt(np.sum(by_person**2, axis=1) + 1e-300))


def _nats(r2: FloatArray) -> FloatArray:
    """`bounded_information` of each."""
    return np.asarray(-0.5 * np.log1p(-np.minimum(r2, 1 - 1e-12)))


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
        labels, people = self.labels[self.logs.kept], codes[self.logs.kept]
        # Rows by person. Log probabilities of labels less what is expected of labels that are not read: the
        # sum over images moves as before, a person's own part is large only where label and read-out agree.
        self.order = np.argsort(people, kind="stable")
        self.starts = np.flatnonzero(np.diff(people[self.order], prepend=-1))
        table = self.logs.of_others - self.logs.of_others.mean(axis=0)
        frequencies = np.bincount(labels, minlength=table.shape[1]) / len(labels)
        self.centred = table - (table @ frequencies)[:, None]
        own = labels[self.order]
        self.moves = bool(
            np.any(np.maximum.reduceat(own, self.starts) > np.minimum.reduceat(own, self.starts))
        )

    def between(self, rows: Indices) -> FloatArray:
        """What the identity's other images tell, for whole identities exchanged, (b,).

        Where images of a person do not differ, the mean log probability. Else its sum over the root mean
        square by person, for the reason of `ContinuousStatistics.between`.
        """
        if not self.moves:
            return np.asarray(self._of(self.logs.of_others, rows).mean(axis=1))
        return _studentised(self._of(self.centred, rows)[:, self.order], self.starts)

    def excess(self, rows: Indices) -> FloatArray:
        """Between less within, (b,)."""
        both = 2 * self.logs.of_others - self.logs.own
        return np.asarray(self._of(both, rows).mean(axis=1))

    def _of(self, table: FloatArray, rows: Indices) -> FloatArray:
        """Entries of permuted labels, (b, n kept)."""
        permuted = self.labels[rows[:, self.logs.kept]]
        return np.asarray(table[np.arange(len(table)), permuted])
