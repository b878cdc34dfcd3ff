"""What a forecast of an attribute knows beyond the attribute's marginal, in nats.

A discrete forecast p(c given z) gains log p(c given z) / p(c). A continuous one is given by mean and standard
deviation, and few attributes are Gaussian: a normal density set against the marginal of a uniform attribute
would lose 0.18 nats to its shape alone. So the forecast is the marginal itself, tilted by a quadratic,

    q(a given z) = p(a) exp(θ a − κ a² / 2) / Z(θ, κ),   θ = μ / σ²,  κ = 1 / σ² − 1,   a, μ, σ standardised,

which is N(μ, σ²) where p is normal, a truncated normal where p is uniform, and p itself where nothing is
known. The gain log q / p needs p only inside Z, where the training values stand for it, smoothed over the
gaps between them. As q is normalised, the mean gain on held-out samples is a lower bound of I(a; z).
"""

from collections.abc import Mapping
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


@dataclass(frozen=True)
class DiscreteMarginal:
    """Probabilities of a discrete attribute's classes in the split `train`, (classes,), none of them 0."""

    probabilities: FloatArray


Marginal = ContinuousMarginal | DiscreteMarginal


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
    centre = finite_vector("mean", marginal.standardise(mean))
    scale = finite_vector("sd", np.asarray(sd, dtype=np.float64) / marginal.sd)
    if scale.min() <= 0:
        raise ValueError(f"sd holds {scale.min()}, expected above 0")
    scale = np.minimum(scale, 1.0)
    linear, quadratic = centre / scale**2, 1 / scale**2 - 1
    # Integral of a normal kernel at each point times exp(θ a − κ a² / 2), in closed form, (n, k).
    a, variance = marginal.points, marginal.widths**2
    theta, shrink = linear[:, None], 1 + quadratic[:, None] * variance
    inside = (theta * a + 0.5 * theta**2 * variance - 0.5 * quadratic[:, None] * a**2) / shrink
    log_normaliser = logsumexp(inside - 0.5 * np.log(shrink), axis=1) - np.log(len(a))
    return Tilt(linear, quadratic, log_normaliser)


def continuous_gain(
    mean: npt.ArrayLike, sd: npt.ArrayLike, truth: npt.ArrayLike, marginal: ContinuousMarginal
) -> FloatArray:
    """Gain in nats of each sample, (n,), of forecasts by mean and standard deviation for the truth, (n,)
    each."""
    return tilt(mean, sd, marginal).gain(marginal.standardise(truth))


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
