"""Control of false discoveries among many tests."""

import numpy as np
import numpy.typing as npt

from attribute_recovery.statistics.inputs import FloatArray


def benjamini_hochberg(p: npt.ArrayLike) -> FloatArray:
    """Adjusted p-values (q): the false discovery rate at which each test would just be called.

    q_(i) = min over j >= i of p_(j) m / j, for sorted p (Benjamini & Hochberg, JRSS B 57, 1995).

    Args:
        p: p-values, shape (m,), 0 to 1; NaN stands for "not testable".

    Returns:
        q-values, float64 of shape (m,), 0 to 1. NaN stays NaN and does not count among the m.

    Raises:
        ValueError: If the shape is not (m,) or a p-value leaves [0, 1].

    >>> benjamini_hochberg([0.01, 0.04, float("nan"), 0.03]).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"p has shape {values.shape}, expected one dimension")
    tested = np.flatnonzero(~np.isnan(values))
    if np.any((values[tested] < 0) | (values[tested] > 1)):
        raise ValueError(f"p holds values from {np.nanmin(values)} to {np.nanmax(values)}, expected 0 to 1")
    order = tested[np.argsort(values[tested], kind="stable")]
    scaled = values[order] * len(order) / np.arange(1, len(order) + 1)
    q = np.full_like(values, np.nan)
    q[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return q
