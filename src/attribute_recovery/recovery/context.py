"""What a route read of the other attributes of an image, as calibration takes it."""

from collections.abc import Mapping

import numpy as np

from attribute_recovery.attributes.heads import Estimates
from attribute_recovery.statistics.inputs import BoolArray, FloatArray


def mean_readings(read: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Means over samples (n, s, 1) or (n, s, classes) by attribute: (n, 1) or (n, classes)."""
    return {name: np.asarray(samples, dtype=np.float64).mean(axis=1) for name, samples in read.items()}


def readings_of(found: Estimates) -> dict[str, FloatArray]:
    """What a probe reads by attribute: means (n, 1) or class probabilities (n, classes)."""
    tables = {name: mean[:, None] for name, mean in found.mean.items()} | dict(found.probabilities)
    return {name: np.asarray(table, dtype=np.float64) for name, table in tables.items()}


def context_of(readings: Mapping[str, FloatArray], name: str, held: BoolArray) -> FloatArray | None:
    """What was read of the others: columns (n, k) with mean 0 and variance 1 over the images of calibration.

    Of classes the last is left out, since probabilities add to 1; a column that does not vary there is 0.

    Args:
        readings: by attribute, (n, 1) or (n, classes).
        name: of the attribute that is calibrated.
        held: marks the images of calibration, (n,), at least one.

    Returns:
        None where there is no other attribute.
    """
    others = [table for other, table in readings.items() if other != name]
    if not others:
        return None
    table = np.concatenate([one[:, :-1] if one.shape[1] > 1 else one for one in others], axis=1)
    mean, sd = table[held].mean(axis=0), table[held].std(axis=0)
    varies = sd > 1e-9 * np.maximum(1.0, np.abs(mean))
    return np.asarray(np.where(varies, (table - mean) / np.where(varies, sd, 1.0), 0.0))
