"""What a forecast of an attribute knows beyond the attribute's marginal, in nats.

A discrete forecast p(c given z) gains log p(c given z) / p(c). A continuous one is given by mean and standard
deviation, and few attributes are Gaussian: a normal density set against the marginal of a uniform attribute
would lose 0.18 nats to its shape alone. So the forecast is the marginal itself, tilted by a quadratic,

    q(a given z) = p(a) exp(θ a − κ a² / 2) / Z(θ, κ),   θ = μ / σ²,  κ = 1 / σ² − 1,   a, μ, σ standardised,

which is N(μ, σ²) where p is normal, a truncated normal where p is uniform, and p itself where nothing is
known. Now and then a forecast is grossly wrong, and one such image would make the forecasts of all the
others wide; so a share ε of the marginal is mixed in, (1 − ε) q + ε p (a contaminated distribution; Huber,
Ann. Math. Stat. 35, 1964). The gain log q / p needs p only inside Z, where the training values stand for it,
smoothed over the gaps between them. As q is normalised, the mean gain on held-out samples is a lower bound of
I(a; z) where they have the attribute distributed as p; where not, what a calibrated forecast knows of that is
in the gain too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.dataset.known import is_atom, is_known, largest_atom
from attribute_recovery.statistics.inputs import (
    FloatArray,
    class_probabilities,
    finite_vector,
    require_length,
)

POINTS = 256
PROBABILITY_FLOOR = 1e-9


@dataclass(frozen=True)
class ContinuousMarginal:
    """A continuous attribute in the split `train`.

    Attributes:
        mean, sd: in the attribute's unit.
        points: standardised quantiles of equal mass, (k,), rising.
        widths: distance of the points to their neighbours, the kernel's width at each, (k,).
    """

    mean: float
    sd: float
    points: FloatArray
    widths: FloatArray

    def standardise(self, values: npt.ArrayLike) -> FloatArray:
        """(values − mean) / sd, any shape."""
        return (np.asarray(values, dtype=np.float64) - self.mean) / self.sd

    def log_density(self, values: npt.ArrayLike) -> FloatArray:
        """Log density of values (n,) in the attribute's unit, with respect to standardised ones, (n,)."""
        away = (self.standardise(values)[:, None] - self.points) / self.widths
        logs = -0.5 * away**2 - np.log(self.widths * np.sqrt(2 * np.pi))
        return np.asarray(logsumexp(logs, axis=1) - np.log(len(self.points)))


@dataclass(frozen=True)
class DiscreteMarginal:
    """Probabilities of a discrete attribute's classes in the split `train`, (classes,), none of them 0."""

    probabilities: FloatArray


Marginal = ContinuousMarginal | DiscreteMarginal


@dataclass(frozen=True)
class Tilted:
    """Forecasts of n images as contaminated tilts of the marginal.

    Attributes:
        location, scale: μ and σ in the attribute's unit, (n,), σ above 0.
        contamination: ε, 0 up to, not including, 1.
        marginal: p.
    """

    location: FloatArray
    scale: FloatArray
    contamination: float
    marginal: ContinuousMarginal

    def part(self, rows: npt.NDArray[np.bool_]) -> "Tilted":
        """The images that a mask chooses."""
        return Tilted(self.location[rows], self.scale[rows], self.contamination, self.marginal)

    def gain(self, truth: npt.ArrayLike) -> FloatArray:
        """log of density over the marginal's of true values (n,), in nats, (n,)."""
        return continuous_gain(self.location, self.scale, truth, self.marginal, self.contamination)

    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation in the attribute's unit, (n,) each."""
        points, weights, within = self.marginal.points, self._weights(), self.marginal.widths**2
        mean = weights @ points
        variance = np.maximum(weights @ (points**2 + within) - mean**2, 1e-12)
        return self._in_unit(mean), np.sqrt(variance) * self.marginal.sd

    def quantiles(self, levels: Sequence[float]) -> FloatArray:
        """Quantiles in the attribute's unit, (levels, n)."""
        weights = self._weights()
        up_to = np.cumsum(weights, axis=1) - 0.5 * weights
        found = [np.interp(levels, row, self.marginal.points) for row in up_to]
        return self._in_unit(np.reshape(found, (len(weights), len(levels))).T)

    def crps(self, truth: npt.ArrayLike) -> FloatArray:
        """Continuous ranked probability score of true values (n,), in the attribute's unit, (n,).

        E|a − y| − E|a − a'| / 2 over the marginal's points (Gneiting & Raftery, JASA 102, 2007).
        """
        points, weights = self.marginal.points, self._weights()
        distance = np.abs(points - self.marginal.standardise(truth)[:, None])
        below = np.cumsum(weights, axis=1)[:, :-1]
        apart = (below * (1 - below)) @ np.diff(points)
        return np.asarray((np.sum(weights * distance, axis=1) - apart) * self.marginal.sd)

    def log_loss(self, truth: npt.ArrayLike) -> FloatArray:
        """−log density of true values (n,), in nats, the attribute in units of its deviation, (n,)."""
        return -(self.gain(truth) + self.marginal.log_density(truth))

    def _weights(self) -> FloatArray:
        """Probability of the neighbourhood of each of the marginal's points, (n, k)."""
        found = _Kernels(*_standardised(self.location, self.scale, self.marginal), self.marginal)
        k = len(self.marginal.points)
        return np.asarray((1 - self.contamination) * found.weights + self.contamination / k)

    def _in_unit(self, standardised: FloatArray) -> FloatArray:
        return np.asarray(self.marginal.mean + self.marginal.sd * standardised)


@dataclass(frozen=True)
class Tilt:
    """Forecasts as tilts of the marginal, in standardised values, (n,) each.

    Attributes:
        linear, quadratic: θ and κ.
        log_normaliser: log Z.
    """

    linear: FloatArray
    quadratic: FloatArray
    log_normaliser: FloatArray

    def gain(self, standardised: npt.ArrayLike) -> FloatArray:
        """log q(a given z) / p(a) in nats of standardised values (..., n)."""
        a = np.asarray(standardised, dtype=np.float64)
        return self.linear * a - 0.5 * self.quadratic * a**2 - self.log_normaliser


def continuous_marginal(
    name: str, values: npt.ArrayLike, identities: npt.ArrayLike | None = None
) -> ContinuousMarginal:
    """The marginal of a continuous attribute's training values (n,).

    Args:
        name: the attribute's, for errors.
        values: in the attribute's unit, (n,), at least two.
        identities: of the images (n,); a value that all images of a person share is then no atom.

    Raises:
        ValueError: more than 5 % of the values are equal, so that there is no density; or one is not finite.
    """
    found = finite_vector(f"values of {name}", values)
    people = np.arange(len(found)) if identities is None else np.asarray(identities)
    require_length("identities", people, len(found))
    most, of = largest_atom(found, people)
    if is_atom(most, of):
        raise ValueError(
            f"attribute {name!r}: {most} of {of} values are equal, a continuous attribute has at "
            "most 5 %; declare it binary or categorical"
        )
    mean, sd = float(found.mean()), float(found.std())
    k = min(POINTS, len(found))
    points = np.quantile((found - mean) / sd, (np.arange(k) + 0.5) / k)
    widths = np.maximum(np.gradient(points), 1e-6)
    return ContinuousMarginal(mean, sd, points, widths)


def discrete_marginal(labels: npt.ArrayLike, n_classes: int) -> DiscreteMarginal:
    """Class frequencies of labels (n,), each class counted half a time more so that none has probability
    0."""
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=n_classes) + 0.5
    return DiscreteMarginal(counts / counts.sum())


def marginals(
    schema: AttributeSchema, values: Mapping[str, npt.ArrayLike], identities: npt.ArrayLike
) -> dict[str, Marginal]:
    """The marginal of every attribute from its training values (n,), class numbers for discrete ones.

    Args:
        schema: the attributes.
        values: by attribute, (n,) each; images without a value (NaN, −1) do not count.
        identities: of the images (n,).

    Raises:
        ValueError: a continuous attribute has an atom, or no value.
    """
    found: dict[str, Marginal] = {}
    for a in schema:
        known = is_known(a, values[a.name])
        column = np.asarray(values[a.name])[known]
        found[a.name] = (
            discrete_marginal(column, a.n_classes)
            if a.is_discrete
            else continuous_marginal(a.name, column, np.asarray(identities)[known])
        )
    return found


def tilt(mean: npt.ArrayLike, sd: npt.ArrayLike, marginal: ContinuousMarginal) -> Tilt:
    """Forecasts with these means and standard deviations, (n,) each in the attribute's unit, as tilts.

    A forecast wider than the marginal counts as one of the marginal's width.

    Raises:
        ValueError: a value is not finite, or an sd is not above 0.
    """
    linear, quadratic = _standardised(mean, sd, marginal)
    return Tilt(linear, quadratic, _Kernels(linear, quadratic, marginal).log_normaliser)


def _standardised(
    mean: npt.ArrayLike, sd: npt.ArrayLike, marginal: ContinuousMarginal
) -> tuple[FloatArray, FloatArray]:
    """θ and κ, (n,) each."""
    centre = finite_vector("mean", marginal.standardise(mean))
    scale = finite_vector("sd", np.asarray(sd, dtype=np.float64) / marginal.sd)
    if scale.min() <= 0:
        raise ValueError(f"sd holds {scale.min()}, expected above 0")
    scale = np.minimum(scale, 1.0)
    return centre / scale**2, 1 / scale**2 - 1


class _Kernels:
    """The normal kernel at each of the marginal's points, times exp(θ a − κ a² / 2), in closed form.

    Attributes:
        log_normaliser: log Z, (n,).
        weights: each kernel's part of Z, (n, k).
    """

    def __init__(self, linear: FloatArray, quadratic: FloatArray, marginal: ContinuousMarginal) -> None:
        a, self.variance = marginal.points, marginal.widths**2
        theta, kappa = linear[:, None], quadratic[:, None]
        self.shrink = 1 + kappa * self.variance
        self.exponent = theta * a + 0.5 * theta**2 * self.variance - 0.5 * kappa * a**2
        logs = self.exponent / self.shrink - 0.5 * np.log(self.shrink)
        total = logsumexp(logs, axis=1)
        self.log_normaliser: FloatArray = total - np.log(len(a))
        self.weights: FloatArray = np.exp(logs - total[:, None])
        self.a, self.theta = a, theta

    def slopes(self) -> tuple[FloatArray, FloatArray]:
        """Derivatives of log Z by θ and κ, (n,) each: the mean of a, and −half the mean of a²."""
        mean = (self.a + self.theta * self.variance) / self.shrink
        halved = 0.5 * self.a**2 * self.shrink + self.variance * self.exponent
        by_kappa = -halved / self.shrink**2 - 0.5 * self.variance / self.shrink
        return np.sum(self.weights * mean, axis=1), np.sum(self.weights * by_kappa, axis=1)


def continuous_gain(
    mean: npt.ArrayLike,
    sd: npt.ArrayLike,
    truth: npt.ArrayLike,
    marginal: ContinuousMarginal,
    contamination: float = 0.0,
) -> FloatArray:
    """Gain in nats of each sample, (n,), of forecasts by μ and σ, contaminated by ε, for the truth, (n,)
    each."""
    return contaminated(tilt(mean, sd, marginal).gain(marginal.standardise(truth)), contamination)


def contaminated(gain: FloatArray, contamination: float) -> FloatArray:
    """log((1 − ε) exp(gain) + ε), of gains of any shape."""
    if contamination == 0:
        return gain
    return np.asarray(np.logaddexp(np.log1p(-contamination) + gain, np.log(contamination)))


def gain_and_slopes(
    mean: FloatArray, log_sd: FloatArray, truth: FloatArray, marginal: ContinuousMarginal
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The gain before contamination, and its derivatives by μ and log σ, all standardised, (n,) each."""
    sd = np.exp(np.minimum(log_sd, 0.0))
    linear, quadratic = mean / sd**2, 1 / sd**2 - 1
    kernels = _Kernels(linear, quadratic, marginal)
    gain = linear * truth - 0.5 * quadratic * truth**2 - kernels.log_normaliser
    z_theta, z_kappa = kernels.slopes()
    by_theta, by_kappa = truth - z_theta, -0.5 * truth**2 - z_kappa
    by_log_sd = np.where(log_sd < 0, -2 * (by_theta * mean + by_kappa) / sd**2, 0.0)
    return gain, by_theta / sd**2, by_log_sd


def class_gains(probabilities: npt.ArrayLike, marginal: DiscreteMarginal) -> FloatArray:
    """log p(c given z) / p(c) in nats of every class, (n, classes), whichever is true."""
    given = np.clip(np.asarray(probabilities, dtype=np.float64), PROBABILITY_FLOOR, 1.0)
    return np.asarray(np.log(given) - np.log(marginal.probabilities))


def discrete_gain(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, marginal: DiscreteMarginal
) -> FloatArray:
    """Gain in nats of each sample, (n,), of class probabilities (n, classes) for the true classes (n,).

    Raises:
        ValueError: probabilities and labels do not fit each other.
    """
    table, classes = class_probabilities(probabilities, labels)
    return class_gains(table, marginal)[np.arange(len(classes)), classes]
