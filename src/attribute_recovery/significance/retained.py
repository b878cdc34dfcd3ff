"""Retained information: how much of an attribute the representation keeps, I(a; z), in nats.

From held-out log losses against the marginal (`recovery.forecast`), so a lower bound where the attribute is
distributed there as in the marginal; then on the attribute's own scale: Theil's U for discrete ones, the
informational R² for continuous ones. The p-value permutes the labels against the fixed forecasts.
"""

from dataclasses import dataclass

import numpy as np

from attribute_recovery.recovery.forecast import (
    ContinuousMarginal,
    DiscreteMarginal,
    Tilted,
    class_gains,
    contaminated,
    tilt,
)
from attribute_recovery.recovery.routes import ContinuousForecast, DiscreteForecast, gains, gains_interval
from attribute_recovery.significance.forecasts import Recovered
from attribute_recovery.significance.permuted import Indices, Permutations, schemes_of, smallest_of
from attribute_recovery.significance.shifted import Shift, shift_of
from attribute_recovery.statistics.bootstrap import Interval
from attribute_recovery.statistics.dependence import informational_r2, theils_u
from attribute_recovery.statistics.inputs import FloatArray
from attribute_recovery.statistics.permutation import Scheme


@dataclass(frozen=True)
class Retained:
    """Retained information of one attribute.

    Attributes:
        interval: nats, with 95 % interval.
        scaled, scaled_low, scaled_high: the same on the attribute's own scale.
        scale: "theils_u" or "informational_r2".
        p: of the null that z says nothing; for a mixed attribute twice the smaller of both schemes' p-values.
        p_by_scheme: of each scheme that the attribute's level asks for.
        shift: what may be told without z, and is in the interval.
    """

    interval: Interval
    scaled: float
    scaled_low: float
    scaled_high: float
    scale: str
    p: float
    p_by_scheme: dict[Scheme, float]
    shift: Shift


def retained_information(
    recovered: Recovered, permutations: Permutations, *, n_boot: int, seed: int
) -> Retained:
    """The measure of one attribute.

    Args:
        recovered: the attribute's forecasts of n held-out images.
        permutations: of these images.
        n_boot: replicates of the interval.
        seed: of the interval.
    """
    gain = gains(recovered.forecast, recovered.truth, recovered.marginal)
    interval = gains_interval(
        gain, recovered.truth, recovered.marginal, permutations.codes, n_boot=n_boot, seed=seed
    )
    mean_gain = _MeanGain(recovered)
    p_by_scheme = {
        scheme: permutations.p_value(scheme, recovered.truth, interval.estimate, mean_gain)
        for scheme in schemes_of(recovered.attribute.level)
    }
    return Retained(
        interval=interval,
        scaled=_scaled(recovered, interval.estimate),
        scaled_low=_scaled(recovered, interval.low),
        scaled_high=_scaled(recovered, interval.high),
        scale="theils_u" if recovered.attribute.is_discrete else "informational_r2",
        p=smallest_of(p_by_scheme),
        p_by_scheme=p_by_scheme,
        shift=shift_of(recovered, permutations.codes),
    )


def _scaled(recovered: Recovered, nats: float) -> float:
    if isinstance(recovered.marginal, ContinuousMarginal):
        return informational_r2(nats)
    labels = recovered.truth.astype(np.int64)
    return theils_u(nats, float(-np.log(recovered.marginal.probabilities)[labels].mean()))


class _MeanGain:
    """Mean gain (b,) of permuted labels (b, n) against the forecasts as they are."""

    def __init__(self, recovered: Recovered) -> None:
        forecast, marginal = recovered.forecast, recovered.marginal
        if isinstance(forecast, ContinuousForecast) and isinstance(marginal, ContinuousMarginal):
            self.values = marginal.standardise(recovered.truth)
            known = forecast.tilted or Tilted(forecast.mean, forecast.sd, 0.0, marginal)
            self.tilt = tilt(known.location, known.scale, marginal)
            self.contamination = known.contamination
            self.table = None
        else:
            assert isinstance(forecast, DiscreteForecast) and isinstance(marginal, DiscreteMarginal)
            self.labels = recovered.truth.astype(np.int64)
            self.table = class_gains(forecast.probabilities, marginal)  # (n, classes)

    def __call__(self, rows: Indices) -> FloatArray:
        if self.table is not None:
            return np.asarray(self.table[np.arange(rows.shape[1]), self.labels[rows]].mean(axis=1))
        gain = self.tilt.gain(self.values[rows])  # (b, n)
        return np.asarray(contaminated(gain, self.contamination).mean(axis=1))
