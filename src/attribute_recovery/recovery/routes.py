"""The two routes from z to an attribute, calibrated: through decoded samples, and by the probe.

Everything is fitted on the split `calibration`: the calibration itself, which of the two probes is used, and
which of the two routes is the better one, by the mean gain over the marginal. Where there is no image to fit
them on, forecasts stay as they are, the probe is the linear one, and it counts as the better route, since its
deviations are those of labelled images.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from attribute_recovery.attributes.heads import Estimates
from attribute_recovery.dataset.attributes import Attribute
from attribute_recovery.recovery.calibrate import fit_continuous, fit_discrete, moments, smoothed_mean
from attribute_recovery.recovery.context import context_of, mean_readings, readings_of
from attribute_recovery.recovery.forecast import (
    ContinuousMarginal,
    DiscreteMarginal,
    Marginal,
    Tilted,
    continuous_gain,
    discrete_gain,
)
from attribute_recovery.recovery.probe import ProbeReadings
from attribute_recovery.statistics.bootstrap import Interval, identity_mean_interval
from attribute_recovery.statistics.inputs import BoolArray, FloatArray
from attribute_recovery.statistics.quality import crps_normal

Labels = npt.NDArray[np.generic]

# Of the median spread of samples over images.
LEAST_SPREAD = 0.5


@dataclass(frozen=True)
class ContinuousForecast:
    """p(a given z) of n images, a normal distribution or a tilt of the marginal.

    Attributes:
        mean, sd: of the forecasts, (n,) each, in the attribute's unit.
        tilted: the distributions; None where they are normal.
    """

    mean: FloatArray
    sd: FloatArray
    tilted: Tilted | None = None

    @classmethod
    def of(cls, tilted: Tilted) -> "ContinuousForecast":
        """The forecast that is a tilt."""
        return cls(*tilted.moments(), tilted)

    def part(self, rows: BoolArray) -> "ContinuousForecast":
        """The images that a mask chooses."""
        tilted = None if self.tilted is None else self.tilted.part(rows)
        return ContinuousForecast(self.mean[rows], self.sd[rows], tilted)

    def quantiles(self, levels: Sequence[float]) -> FloatArray:
        """Quantiles (levels, n)."""
        if self.tilted is not None:
            return self.tilted.quantiles(levels)
        return np.asarray(self.mean + ndtri(np.asarray(levels))[:, None] * self.sd)

    def crps(self, truth: FloatArray) -> FloatArray:
        """Continuous ranked probability score of true values (n,), in the attribute's unit."""
        if self.tilted is not None:
            return self.tilted.crps(truth)
        return crps_normal(self.mean, self.sd, truth)


@dataclass(frozen=True)
class DiscreteForecast:
    """p(a given z) of n images: class probabilities (n, classes)."""

    probabilities: FloatArray

    def part(self, rows: BoolArray) -> "DiscreteForecast":
        """The images that a mask chooses."""
        return DiscreteForecast(self.probabilities[rows])


Forecast = ContinuousForecast | DiscreteForecast


@dataclass(frozen=True)
class Routes:
    """Both routes of one attribute.

    Attributes:
        attribute: the attribute.
        marginal: its marginal in the split `train`.
        decoder, probe: calibrated forecasts for all images.
        probe_kind: "linear" or "mlp".
        chosen: "decoder" or "probe", the one with the larger mean gain on `calibration`; "probe" where
            nothing was calibrated.
    """

    attribute: Attribute
    marginal: Marginal
    decoder: Forecast
    probe: Forecast
    probe_kind: str
    chosen: str


def gains(forecast: Forecast, truth: Labels, marginal: Marginal) -> FloatArray:
    """What the forecast of each image knows of the truth (n,) beyond the marginal, in nats, (n,).

    Raises:
        ValueError: forecast and marginal are of different kinds, or do not fit the truth.
    """
    if isinstance(forecast, ContinuousForecast) and isinstance(marginal, ContinuousMarginal):
        if forecast.tilted is not None:
            return forecast.tilted.gain(truth)
        return continuous_gain(forecast.mean, forecast.sd, truth, marginal)
    if isinstance(forecast, DiscreteForecast) and isinstance(marginal, DiscreteMarginal):
        return discrete_gain(forecast.probabilities, truth, marginal)
    raise ValueError(f"forecast is a {type(forecast).__name__}, marginal a {type(marginal).__name__}")


def gains_interval(
    gain: FloatArray,
    truth: Labels,
    marginal: Marginal,
    identities: npt.ArrayLike,
    *,
    n_boot: int,
    seed: int,
) -> Interval:
    """The mean gain with 95 % interval, identities resampled; of a discrete attribute it stays below the
    mean log loss of the marginal, since nothing is known better than surely.

    Args:
        gain: of each image, see `gains`, (n,).
        truth: values or class numbers (n,).
        marginal: the attribute's.
        identities: of each image (n,).
        n_boot: replicates.
        seed: of the draws.
    """
    clip = None
    if isinstance(marginal, DiscreteMarginal):
        clip = (-math.inf, float(-np.log(marginal.probabilities)[truth.astype(np.int64)].mean()))
    return identity_mean_interval(gain, identities, n_boot=n_boot, seed=seed, clip=clip)


def routes(
    attribute: Attribute,
    read: Mapping[str, FloatArray],
    readings: ProbeReadings,
    truth: Labels,
    held: BoolArray,
    marginal: Marginal,
) -> Routes:
    """Both routes of one attribute, calibrated on the images that `held` marks, in the context of what the
    same route read of the other attributes.

    Args:
        attribute: the attribute.
        read: what the heads read in decoded samples by attribute, (n, s, 1) or (n, s, classes); s is 1 where
            T is of one point, which says nothing of its spread.
        readings: what the probes read, of the same n images.
        truth: true values or class numbers (n,); those outside `held` are not looked at.
        held: marks the images of the split `calibration` on which the attribute is known, (n,); where there
            are none nothing is calibrated.
        marginal: of the split `train`.
    """
    name, own = attribute.name, read[attribute.name]
    if not held.any():
        raw = _raw_decoder(attribute, own, marginal)
        return Routes(attribute, marginal, raw, _raw_probe(attribute, readings.linear), "linear", "probe")
    context = context_of(mean_readings(read), name, held)
    decoder = calibrated(_raw_decoder(attribute, own, marginal), truth, held, marginal, context)
    candidates = {}
    for kind, found in (("linear", readings.linear), ("mlp", readings.mlp)):
        context = context_of(readings_of(found), name, held)
        candidates[kind] = calibrated(_raw_probe(attribute, found), truth, held, marginal, context)

    def held_gain(forecast: Forecast) -> float:
        return float(gains(forecast.part(held), truth[held], marginal).mean())

    kind = max(candidates, key=lambda name: held_gain(candidates[name]))
    probe = candidates[kind]
    chosen = "decoder" if held_gain(decoder) >= held_gain(probe) else "probe"
    return Routes(attribute, marginal, decoder, probe, kind, chosen)


def _raw_decoder(attribute: Attribute, read: FloatArray, marginal: Marginal) -> Forecast:
    if isinstance(marginal, DiscreteMarginal):
        if read.shape[1] == 1:  # the heads' own probabilities of the one image that z has
            return DiscreteForecast(np.asarray(read[:, 0], dtype=np.float64))
        return DiscreteForecast(smoothed_mean(read, marginal.probabilities))
    samples = np.asarray(read[:, :, 0], dtype=np.float64)
    if samples.shape[1] == 1:  # says nothing of its spread, which is then the same for all images
        return ContinuousForecast(samples[:, 0], np.full(len(samples), marginal.sd))
    mean, sd = moments(samples)
    # Samples that nearly all lie at an end of the range hardly spread, which is not certainty.
    return ContinuousForecast(mean, np.maximum(sd, LEAST_SPREAD * np.median(sd)))


def _raw_probe(attribute: Attribute, found: Estimates) -> Forecast:
    name = attribute.name
    if attribute.is_discrete:
        table = found.probabilities[name].astype(np.float64)
        return DiscreteForecast(table / table.sum(axis=1, keepdims=True))
    return ContinuousForecast(found.mean[name].astype(np.float64), found.sd[name].astype(np.float64))


def calibrated(
    raw: Forecast, truth: Labels, held: BoolArray, marginal: Marginal, context: FloatArray | None = None
) -> Forecast:
    """The forecast of n images, calibrated on those that `held` marks, (n,); of the truth (n,) no others are
    looked at. The context (n, k) is what else was read, see `context.context_of`.

    Raises:
        ValueError: forecast and marginal are of different kinds.
    """
    known = None if context is None else context[held]
    if isinstance(raw, DiscreteForecast):
        fit = fit_discrete(raw.probabilities[held], truth[held], known)
        return DiscreteForecast(fit.probabilities(raw.probabilities, context))
    if not isinstance(marginal, ContinuousMarginal):
        raise ValueError(f"forecast is a {type(raw).__name__}, marginal a {type(marginal).__name__}")
    line = fit_continuous(raw.mean[held], raw.sd[held], truth[held], marginal, known)
    return ContinuousForecast.of(line.tilted(raw.mean, raw.sd, context))
