"""How surely two images differ in an attribute, as far as the heads can tell.

A reading has an error, which the heads' calibrated deviation states. Two images that are alike in an
attribute are read a little apart in it all the same, and what it seems to carry is the error's.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from attribute_recovery.attributes.heads import Estimates
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema

Doubles = npt.NDArray[np.float64]

# Readings farther apart than so many deviations are a difference. Two readings of much the same image share a
# part of their error: in pairs of rendered heads that differ in one attribute the others were read half a
# deviation apart (root mean square), so that this is two standard errors of their difference.
SURELY = 1.0
# Of classes that differ with certainty.
MOST_CERTAIN = 1 - 1e-9


def readings_apart(schema: AttributeSchema, first: Estimates, second: Estimates) -> Doubles:
    """How far images are read apart in each attribute, in the reading's standard deviations.

    Continuous: |difference of the means| / √mean of both variances. Discrete: with p the probability that the
    classes differ, as many deviations as a normal error exceeds with probability 1 − p.

    Args:
        schema: the attributes that are compared, k of them.
        first, second: what heads read in n images, and in the others.

    Returns:
        (n, k), never negative.
    """
    columns = [_apart(attribute, first, second) for attribute in schema]
    return np.stack(columns, axis=1)


def _apart(attribute: Attribute, first: Estimates, second: Estimates) -> Doubles:
    name = attribute.name
    if attribute.is_discrete:
        both = [each.probabilities[name].astype(np.float64) for each in (first, second)]
        differ = (1 - (both[0] * both[1]).sum(1)).clip(0, MOST_CERTAIN)
        return np.asarray(ndtri((1 + differ) / 2), np.float64)
    means, deviations = (
        [each[name].astype(np.float64) for each in pair]
        for pair in ((first.mean, second.mean), (first.sd, second.sd))
    )
    error = np.sqrt((deviations[0] ** 2 + deviations[1] ** 2) / 2)
    return np.asarray(np.abs(means[0] - means[1]) / error)
