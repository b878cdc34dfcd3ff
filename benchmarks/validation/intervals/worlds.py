"""Closed-form worlds: linear Gaussian embeddings of people with unequally many images, and what is true of
them.

An attribute a of image j of person i moves the embedding along one direction, z = a g u + noise; attribute
and noise have a part of the person and a part of the image, all Gaussian (or two classes). Information,
shares and error rates then have closed forms, or are integrals over one or two Gaussians, done by quadrature.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import expit, ndtr, roots_genlaguerre, roots_hermitenorm
from scipy.stats import chi2

from attribute_recovery.dataset.attributes import Attribute
from attribute_recovery.recovery.forecast import (
    ContinuousMarginal,
    DiscreteMarginal,
    Marginal,
    continuous_marginal,
    discrete_marginal,
    tilt,
)
from attribute_recovery.recovery.routes import ContinuousForecast, DiscreteForecast, Forecast
from attribute_recovery.significance.forecasts import Recovered
from attribute_recovery.significance.shares import share_of
from attribute_recovery.statistics.dependence import gaussian_information
from attribute_recovery.statistics.inputs import FloatArray, IntArray
from attribute_recovery.statistics.linear import LinearReadout, fit_logistic, fit_ridge

Rng = np.random.Generator

# Images of a person: uniform between these, both included.
FEWEST, MOST = 2, 8
DIMENSIONS = 4
# Of the variance of attribute and noise, that of the person.
ATTRIBUTE_BETWEEN, NOISE_BETWEEN = 0.5, 0.3
# Share of a person's images in class 1, one or the other for half of the people.
PROPENSITIES = (0.15, 0.85)
PENALTY = 1e-3
NODES = 160


def images_of(rng: Rng, k: int, most: int = MOST) -> IntArray:
    """Person of each image as a number, (n,), 2 to `most` images each of k people."""
    return np.repeat(np.arange(k), rng.integers(FEWEST, most + 1, size=k))


@dataclass(frozen=True)
class Labelled:
    """One attribute of one kind in its embedding.

    Attributes:
        name: for the tables.
        kind: "continuous" or "binary".
        gain: g, how far the attribute moves the embedding.
        between: of a continuous attribute its variance's share of the person; of a binary one 1 if people
            differ in how often they have it, 0 if not.
    """

    name: str
    kind: str
    gain: float
    between: float = ATTRIBUTE_BETWEEN

    def draw(self, rng: Rng, codes: IntArray) -> tuple[FloatArray, FloatArray]:
        """Embeddings (n, d) and attribute (n,) of images of these people (n,)."""
        a = self.values(rng, codes)
        return self.embeddings(rng, codes, a), a

    def values(self, rng: Rng, codes: IntArray) -> FloatArray:
        """The attribute (n,) of images of these people (n,)."""
        k, n = int(codes[-1]) + 1, len(codes)
        if self.kind == "continuous":
            person = rng.standard_normal(k)[codes]
            own = rng.standard_normal(n)
            return np.asarray(np.sqrt(self.between) * person + np.sqrt(1 - self.between) * own)
        often = rng.choice(PROPENSITIES, size=k)[codes] if self.between else np.full(n, 0.5)
        return (rng.random(n) < often).astype(np.float64)

    def embeddings(self, rng: Rng, codes: IntArray, a: FloatArray) -> FloatArray:
        """Embeddings (n, d) of images of these people (n,) whose attribute is a (n,); of each recognizer that
        is asked with noise of its own."""
        k, n = int(codes[-1]) + 1, len(codes)
        noise: FloatArray = np.sqrt(NOISE_BETWEEN) * rng.standard_normal((k, DIMENSIONS))[codes]
        noise += np.sqrt(1 - NOISE_BETWEEN) * rng.standard_normal((n, DIMENSIONS))
        noise[:, 0] += self.gain * (a if self.kind == "continuous" else 2 * a - 1)
        return noise

    def attribute(self) -> Attribute:
        """Its declaration."""
        if self.kind == "continuous":
            return Attribute(self.name, "appearance", "continuous", "mixed", "sd", range=(-9.0, 9.0))
        return Attribute(self.name, "appearance", "binary", "mixed", "", categories=("off", "on"))

    def information(self) -> float:
        """I(a; z) in nats: of one image, noise of variance 1 in every dimension."""
        if self.kind == "continuous":
            return gaussian_information(self.gain**2 / (1 + self.gain**2))
        return float(_binary_gain(np.array([2 * self.gain]), 0.0, self.gain, 0.5))

    def share(self) -> float:
        """Identity share of a continuous attribute by the best read-out of an image, in closed form."""
        g = self.gain
        slope = g / (1 + g**2)
        return _continuous_share(self, slope, 0.0, 0.0)


@dataclass(frozen=True)
class Frozen:
    """A read-out fitted to other people once and then held.

    Attributes:
        of: the attribute.
        readout: linear, of z (n, d).
        sd: of a continuous forecast.
        marginal: of the training values.
    """

    of: Labelled
    readout: LinearReadout
    sd: float
    marginal: Marginal

    def recovered(self, z: FloatArray, a: FloatArray) -> Recovered:
        """Forecasts of images (n, d) whose attribute is a (n,), as the stage takes them."""
        read = self.readout(z)
        forecast: Forecast
        if self.of.kind == "continuous":
            forecast = ContinuousForecast(read[:, 0], np.full(len(z), self.sd))
        else:
            on = expit(read[:, 1] - read[:, 0])
            forecast = DiscreteForecast(np.stack([1 - on, on], axis=1))
        return Recovered(self.of.attribute(), "probe", forecast, a, self.marginal)

    def information(self) -> float:
        """The mean gain of this read-out over all images of all people, by quadrature."""
        if isinstance(self.marginal, DiscreteMarginal):
            w, b = self._logit()
            return float(_binary_gain(w, b, self.of.gain, float(self.marginal.probabilities[1])))
        assert isinstance(self.marginal, ContinuousMarginal)
        w, b = self.readout.weights[:, 0], float(self.readout.intercept[0])
        g = self.of.gain
        covariance, variance = g * w[0], g**2 * w[0] ** 2 + float(w @ w)  # of a and m; of m
        nodes, weights = _hermite()
        m = b + np.sqrt(variance) * nodes
        tilted = tilt(m, np.full(len(m), self.sd), self.marginal)
        # Of a given m: mean and second moment, then standardised as the marginal does.
        mean = covariance / variance * (m - b)
        left = 1 - covariance**2 / variance
        centre, scale = self.marginal.mean, self.marginal.sd
        first = (mean - centre) / scale
        second = first**2 + left / scale**2
        gain = tilted.linear * first - 0.5 * tilted.quadratic * second - tilted.log_normaliser
        return float(weights @ gain)

    def share(self) -> float:
        """The identity share of this read-out over all people, of a continuous attribute, in closed form."""
        w, b = self.readout.weights[:, 0], float(self.readout.intercept[0])
        off = float(w[1:] @ w[1:])
        return _continuous_share(self.of, float(w[0]), off, b)

    def coverage(self, reach: float) -> float:
        """How often mean ± reach · sd holds a continuous attribute."""
        w, b = self.readout.weights[:, 0], float(self.readout.intercept[0])
        spread = np.sqrt((1 - self.of.gain * w[0]) ** 2 + w @ w)
        ends = (np.array([-reach, reach]) * self.sd + b) / spread
        low, high = ndtr(ends)
        return float(high - low)

    def _logit(self) -> tuple[FloatArray, float]:
        w, b = self.readout.weights, self.readout.intercept
        return w[:, 1] - w[:, 0], float(b[1] - b[0])


def freeze(of: Labelled, people: int, seed: int) -> Frozen:
    """A read-out fitted to that many people."""
    rng = np.random.default_rng([seed, people, 11])
    codes = images_of(rng, people)
    z, a = of.draw(rng, codes)
    if of.kind == "continuous":
        readout = fit_ridge(z, a[:, None], PENALTY)
        sd = float(np.std(a - readout(z)[:, 0]))
        return Frozen(of, readout, sd, continuous_marginal(of.name, a, codes))
    readout = fit_logistic(z, a.astype(np.int64), 2, PENALTY)
    return Frozen(of, readout, 0.0, discrete_marginal(a, 2))


def _continuous_share(of: Labelled, slope: float, off: float, offset: float) -> float:
    """Share for m = slope z₁ + (a part of variance `off` along other directions) + offset."""
    left = 1 - of.gain * slope  # a − m = left · a − slope · noise − …
    error = left**2 + slope**2 + off + offset**2
    # What two images of a person have in common, of the attribute, whose variance is 1, and of the error.
    error_between = left**2 * of.between + (slope**2 + off) * NOISE_BETWEEN + offset**2
    between = gaussian_information(of.between - error_between)
    return share_of(between, gaussian_information(1 - error) - between)


def _binary_gain(w: FloatArray, b: float, g: float, marginal: float) -> float:
    """E log q(a given z) / p(a) of a logit w · z + b, both classes as likely, z₁ = ± g + noise."""
    nodes, weights = _hermite()
    spread, shift = float(np.sqrt(w @ w)), float(w[0]) * g
    on = -np.logaddexp(0.0, -(b + shift + spread * nodes)) - np.log(marginal)
    off = -np.logaddexp(0.0, b - shift + spread * nodes) - np.log(1 - marginal)
    return 0.5 * float(weights @ (on + off))


@cache
def _hermite() -> tuple[FloatArray, FloatArray]:
    """Nodes and weights for the mean over a standard normal."""
    nodes, weights = roots_hermitenorm(NODES)
    return nodes, weights / weights.sum()


@dataclass(frozen=True)
class Moved:
    """Unit embeddings that an edit moves: y ∝ (part of the person) + (part of the image), isotropic.

    Attributes:
        dimensions: d.
        between: share of the variance that is the person's; variance 1 in each dimension.
        dose: how far the edit moves y before it is brought to length 1.
    """

    dimensions: int = 8
    between: float = 0.7
    dose: float = 0.8

    def draw(self, rng: Rng, codes: IntArray) -> FloatArray:
        """y of images of these people (n,), not yet of length 1, (n, d)."""
        k, n, d = int(codes[-1]) + 1, len(codes), self.dimensions
        person = np.sqrt(self.between) * rng.standard_normal((k, d))[codes]
        return np.asarray(person + np.sqrt(1 - self.between) * rng.standard_normal((n, d)))

    def moved(self, y: FloatArray) -> FloatArray:
        """y edited along the first direction."""
        shift = np.zeros(self.dimensions)
        shift[0] = self.dose
        return y + shift

    def effect(self) -> float:
        """Mean of 1 − cos(y, y edited), by quadrature over y along the edit and across it."""
        along, weights = _hermite()
        squares, across_weights = roots_genlaguerre(80, (self.dimensions - 3) / 2)
        across = 2 * squares[:, None]  # χ² of d − 1
        before, after = along[None] ** 2 + across, (along[None] + self.dose) ** 2 + across
        cosine = (along[None] * (along[None] + self.dose) + across) / np.sqrt(before * after)
        return float((across_weights / across_weights.sum()) @ (1 - cosine) @ weights)


def unit(y: FloatArray) -> npt.NDArray[np.float32]:
    """Rows of length 1, (n, d)."""
    length: FloatArray = np.linalg.norm(y, axis=1, keepdims=True)
    return np.asarray(y / length, dtype=np.float32)


@dataclass(frozen=True)
class Distances:
    """Embeddings compared by Euclidean distance, some people's images closer together than others'.

    The distance of two images of a person over √2 s is the length of a d-variate normal, that of two people
    over √(2 + s² + s'²) likewise: rates are those of χ². People near the middle are near to everybody, so
    that pairs that share a person are not independent.

    Attributes:
        spreads: standard deviation s of a person's images, one of these for equally many people.
        dimensions: d.
    """

    spreads: tuple[float, ...] = (0.35, 0.5, 0.65)
    dimensions: int = 8

    def draw(self, rng: Rng, codes: IntArray) -> FloatArray:
        """Embeddings (n, d) of images of these people (n,)."""
        k, n = int(codes[-1]) + 1, len(codes)
        spread = rng.choice(self.spreads, size=k)[codes][:, None]
        person = rng.standard_normal((k, self.dimensions))[codes]
        return np.asarray(person + spread * rng.standard_normal((n, self.dimensions)))

    def tar(self, reach: float, extra: float = 0.0) -> float:
        """Share of genuine pairs nearer than `reach`; `extra` is a variance added to one side."""
        return float(np.mean([self._below(reach, 2 * s**2 + extra) for s in self.spreads]))

    def fmr(self, reach: float) -> float:
        """Share of impostor pairs nearer than `reach`."""
        pairs = [2 + s**2 + other**2 for s in self.spreads for other in self.spreads]
        return float(np.mean([self._below(reach, variance) for variance in pairs]))

    def _below(self, reach: float, variance: float) -> float:
        return float(chi2.cdf(reach**2 / variance, self.dimensions))
