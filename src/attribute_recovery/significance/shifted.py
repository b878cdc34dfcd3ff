"""What may be told of an attribute without z, where held-out images have it otherwise than `train` has.

The gain of forecasts over the marginal of `train` is a lower bound of I(a; z) only where that is the marginal
of the images that it is measured on, too. A forecast that was calibrated on images which are distributed as
those are knows the other distribution, and gains up to its Kullback-Leibler divergence from the marginal of
`train` though z holds nothing.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

from attribute_recovery.recovery.forecast import ContinuousMarginal
from attribute_recovery.significance.forecasts import Recovered
from attribute_recovery.statistics.inputs import FloatArray, IntArray

# Divergences are marked that are as large as what may get lost in recovery, and that chance makes in one of a
# hundred at most.
MOST_NATS = 0.02
CHANCE = 0.01


@dataclass(frozen=True)
class Shift:
    """How far an attribute is distributed otherwise.

    Attributes:
        nats: divergence from the marginal of `train`, less what chance makes on average, 0 at least; of a
            continuous attribute by its mean and deviation, as of normal ones.
        too_much: whether that is more than `MOST_NATS`, and surely more than chance makes.
    """

    nats: float
    too_much: bool


def shift_of(recovered: Recovered, codes: IntArray) -> Shift:
    """The divergence of an attribute in held-out images.

    Chance makes f / 2n of it on average, f what is free to vary; n are the people, where images of a person
    share what the attribute's level says, else the images.

    Args:
        recovered: the attribute, of n images.
        codes: identity of each image as a number from 0, (n,).
    """
    n = len(codes) if recovered.attribute.level == "image" else len(np.unique(codes))
    if isinstance(recovered.marginal, ContinuousMarginal):
        divergence, free = _of_moments(recovered.marginal.standardise(recovered.truth)), 2
    else:
        divergence, free = _of_classes(recovered.marginal.probabilities, recovered.truth.astype(np.int64))
    nats = max(0.0, divergence - free / (2 * n))
    return Shift(nats, bool(nats > MOST_NATS and 2 * n * divergence > chdtri(free, CHANCE)))


def _of_moments(standardised: FloatArray) -> float:
    """Of N(m, s²) from N(0, 1)."""
    mean, variance = float(standardised.mean()), max(float(standardised.var()), 1e-12)
    return 0.5 * (mean**2 + variance - 1 - float(np.log(variance)))


def _of_classes(probabilities: FloatArray, labels: IntArray) -> tuple[float, int]:
    seen = np.bincount(labels, minlength=len(probabilities)) / len(labels)
    inside = seen > 0
    return float(np.sum(seen[inside] * np.log(seen[inside] / probabilities[inside]))), len(probabilities) - 1
