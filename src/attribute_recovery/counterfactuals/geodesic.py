"""Moves on the unit sphere S^(d−1): the nearest embedding at which a decision flips, in closed form."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


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
    return 2.0 * np.arctan2(np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1))


def tangent(base: Floats, towards: Floats) -> Floats:
    """Unit tangents (n, d) at `base` along the geodesic to `towards`.

    Where the two are equal or opposite every direction is one: a fixed coordinate axis is projected then.
    """
    step = towards - (towards * base).sum(1, keepdims=True) * base
    norm = np.linalg.norm(step, axis=1)
    undefined = norm < 1e-9
    if undefined.any():
        axis = np.zeros_like(base)
        axis[np.arange(len(base)), np.abs(base).argmin(1)] = 1.0
        other = axis - (axis * base).sum(1, keepdims=True) * base
        step = np.where(undefined[:, None], other, step)
        norm = np.linalg.norm(step, axis=1)
    return step / norm[:, None]


def flip_embeddings(z: Floats, other: Floats, tau: float, *, travel: float) -> Flip:
    """Embeddings moved along the geodesic through z and `other` past the edge of the decision cos ≥ τ.

    The nearest point where the decision flips lies on that geodesic at the angle arccos τ from `other`. The move is
    `travel` times as long (1 stops on the edge), never farther than to `other` itself or its antipode.

    Args:
        z, other: unit vectors (n, d).
        tau: threshold on the cosine, in (−1, 1).
        travel: at least 1.

    Raises:
        ValueError: τ or travel is out of range, or the shapes differ.
    """
    if not -1.0 < tau < 1.0:
        raise ValueError(f"tau: found {tau}, allowed is a cosine between -1 and 1")
    if travel < 1.0:
        raise ValueError(f"travel: found {travel}, allowed is 1 or more")
    if z.shape != other.shape:
        raise ValueError(f"z and other: found shapes {z.shape} and {other.shape}, expected the same")
    start = angle(z, other)
    edge = np.arccos(tau)
    end = np.clip(start + travel * (edge - start), 0.0, np.pi)
    direction = tangent(other, z)
    moved = np.cos(end)[:, None] * other + np.sin(end)[:, None] * direction
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    return Flip(moved, np.abs(edge - start), np.abs(end - start))
