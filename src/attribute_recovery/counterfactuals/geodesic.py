"""Moves on the unit sphere S^(d−1): the nearest embedding at which a decision flips, in closed form."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# How far an embedding's length may be from 1: float32 rounding of any d, and no more.
UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Flip:
    """Moved embeddings and how far they went.

    Attributes:
        moved: (n, d), unit length.
        closed_form: angle in radians from z to the nearest embedding on the decision's edge, (n,).
        travel: angle in radians that was moved, (n,).
    """

    moved: Floats
    closed_form: Floats
    travel: Floats


def angle(a: Floats, b: Floats) -> Floats:
    """Angle in [0, π] between unit vectors (n, d), (n,): atan2(‖a − b‖, ‖a + b‖) · 2, exact at 0 and π.

    W. Kahan, "How futile are mindless assessments of roundoff", 2006: no loss where the arc cosine has one.
    """
    apart, together = np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1)
    return np.asarray(2.0 * np.arctan2(apart, together))


def tangent(base: Floats, towards: Floats) -> Floats:
    """Unit tangents (n, d) at `base` along the geodesic to `towards`, unit vectors (n, d) with d at least 2.

    Where the two are equal or opposite every direction is one: a fixed coordinate axis is projected then.
    """
    step = _projected(towards, base)
    undefined = np.linalg.norm(step, axis=1) < 1e-9
    if undefined.any():
        axis = np.zeros_like(base)
        axis[np.arange(len(base)), np.abs(base).argmin(1)] = 1.0
        step = np.where(undefined[:, None], axis, step)
    # Twice, since the first projection of nearly equal vectors leaves little but rounding.
    return _unit(_projected(_unit(_projected(step, base)), base))


def along(base: Floats, towards: Floats, arc: Floats) -> Floats:
    """Points (n, d) at angles `arc` in radians, (n,), from `base` on the great circle to `towards`."""
    return _unit(np.cos(arc)[:, None] * base + np.sin(arc)[:, None] * tangent(base, towards))


def flip_embeddings(z: Floats, other: Floats, tau: float, *, travel: float) -> Flip:
    """Embeddings moved along the geodesic through z and `other` past the edge of the decision cos ≥ τ.

    The nearest point where the decision flips lies on that geodesic at the angle arccos τ from `other`. The
    move is `travel` times as long (1 stops on the edge), never farther than to `other` itself or its
    antipode.

    Args:
        z: unit vectors (n, d), d at least 2; of float32's accuracy is enough.
        other: likewise.
        tau: threshold on the cosine, in (−1, 1).
        travel: at least 1, finite.

    Returns:
        The moved vectors and their angles.

    Raises:
        ValueError: τ or travel is out of range, the shapes differ or are not (n, d), or a vector is not of
            length 1.
    """
    if not -1.0 < tau < 1.0:
        raise ValueError(f"tau: found {tau}, allowed is a cosine between -1 and 1")
    if not 1.0 <= travel < np.inf:
        raise ValueError(f"travel: found {travel}, allowed is a finite number of 1 or more")
    if z.shape != other.shape or z.ndim != 2 or z.shape[1] < 2:
        raise ValueError(f"z and other: found shapes {z.shape} and {other.shape}, allowed is (n, d) for both")
    z, other = _checked_unit("z", z), _checked_unit("other", other)
    start, edge = angle(z, other), np.arccos(tau)
    end = np.clip(start + travel * (edge - start), 0.0, np.pi)
    return Flip(along(other, z, end), np.abs(edge - start), np.abs(end - start))


def _projected(vector: Floats, base: Floats) -> Floats:
    return np.asarray(vector - (vector * base).sum(1, keepdims=True) * base)


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector, axis=1, keepdims=True))


def _checked_unit(name: str, vector: Floats) -> Floats:
    """Vectors of length 1 in float64: a float32 one is 1e-7 too long, and its projection on itself not 0."""
    length = np.linalg.norm(vector, axis=1)
    wrong = ~(np.abs(length - 1) < UNIT_TOLERANCE)
    if wrong.any():
        raise ValueError(f"{name}: found a vector of length {length[wrong][0]}, allowed is 1")
    return _unit(vector)
