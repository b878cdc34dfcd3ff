"""Where a face lies in its crop: five landmarks brought onto a template, or the image as given.

Coordinates are x to the right and y down in pixels; 0 is the middle of the first pixel, as detectors have it.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from attribute_recovery.dataset.sources.listing import Pixels, Points

Floats = npt.NDArray[np.float64]

# The five points of the ArcFace template in a crop of 112 pixels: the eye on the image's left, the other eye,
# nose, the corner of the mouth on the image's left, the other one (Deng, Guo, Xue, Zafeiriou, CVPR 2019).
ARCFACE_SIDE = 112
ARCFACE: Points = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
# Samples along a side of the finest grid; landmarks that make no sense must not fill the memory.
MOST_SAMPLES = 4096
# Crops are compared at this side, so many of them at most.
COMPARED_SIDE = 64
COMPARED = 500
# How far crops may lie apart, as a share of their side, and still look aligned. Measured at side 64: aligned
# faces of the default world 0.012 to 0.016, the same moved by a standard deviation of 0.06 of the side 0.06;
# the ORL photographs, which are not aligned, 0.06.
ALIGNED_SPREAD = 0.04
# Moves looked for, up and down and to the sides, as a share of the side.
REACH = 0.2
ROUNDS = 4


@dataclass(frozen=True)
class Similarity:
    """n similarity transforms from a point p of an image to one of its crop: z = scale·rotation·p + shift.

    Attributes:
        matrices: (n, 2, 3) float64, [scale·rotation | shift].
        scales: (n,) crop pixels to one of the image's.
        residuals: (n,) root mean square distance of the moved points from the template's, in units of the
            crop's side.
    """

    matrices: Floats
    scales: Floats
    residuals: Floats


def template_points(side: int) -> Points:
    """The ArcFace template (5, 2) in a crop of another side: the same places of the crop as in 112 pixels."""
    return (ARCFACE + 0.5) * (side / ARCFACE_SIDE) - 0.5


def similarities(landmarks: Points, side: int) -> Similarity:
    """The transforms that bring landmarks onto the ArcFace template with the least squared distance.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991,
    without reflection. In the plane, with points as complex numbers p (image) and q (template) less their
    means, it is the factor a = Σ conj(p)·q / Σ |p|², whose length is the scale and whose angle the rotation.

    Args:
        landmarks: (n, 5, 2).
        side: Of the crops.

    Returns:
        The transforms; NaN where the landmarks are not finite or all in one place.
    """
    points = np.asarray(landmarks, np.float64)
    p = points[..., 0] + 1j * points[..., 1]  # (n, 5)
    target = template_points(side)
    q = target[:, 0] + 1j * target[:, 1]  # (5,)
    centre, middle = p.mean(1), q.mean()
    moved = p - centre[:, None]
    spread = (np.abs(moved) ** 2).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = (moved.conj() * (q - middle)).sum(1) / np.where(spread > 1e-12, spread, np.nan)
    shift = middle - factor * centre
    rows = [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    off = np.abs(factor[:, None] * p + shift[:, None] - q)
    residuals = np.sqrt((off**2).mean(1)) / side
    return Similarity(np.moveaxis(np.array(rows), 2, 0), np.abs(factor), residuals)


def warp(pixels: Pixels, matrix: Floats, side: int) -> Pixels:
    """The crop of an image under a transform; black where it reaches beyond the image.

    Where the image has more pixels than the crop, it is sampled as finely as it is and then averaged down, so
    that no pixel is passed over; sampling is bicubic.

    Args:
        pixels: uint8 (h, w, 3).
        matrix: (2, 3), from image to crop.
        side: Of the crop.

    Returns:
        uint8 (side, side, 3).
    """
    forward, shift = matrix[:, :2], matrix[:, 2]
    scale = math.sqrt(abs(np.linalg.det(forward)))
    finer = max(1, min(math.ceil(1 / scale - 1e-3), MOST_SAMPLES // side))
    inverse = np.linalg.inv(forward)
    # Pillow counts from pixels' corners: output pixel X of the fine grid is the place (X + 0.5) / finer.
    start = -inverse @ (shift + 0.5) + 0.5
    (a, b), (c, d) = inverse / finer
    fine = Image.fromarray(pixels).transform(
        (side * finer, side * finer),
        Image.Transform.AFFINE,
        (a, b, start[0], c, d, start[1]),
        Image.Resampling.BICUBIC,
    )
    return np.asarray(fine.resize((side, side), Image.Resampling.BICUBIC) if finer > 1 else fine)


def crop_given(
    pixels: Pixels, side: int, crop: Literal["centre", "stretch"], box: Floats | None = None
) -> tuple[Pixels, int]:
    """An image, or the part of it that a box surrounds, made square and resized (bicubic, averaged down).

    Args:
        pixels: uint8 (h, w, 3).
        side: Of the crop.
        crop: centre for the largest square in the middle, stretch for all of it.
        box: x, y, width and height of the face: the square round it is taken instead, black beyond the image.

    Returns:
        The crop uint8 (side, side, 3), and how many pixels of the image its shorter side has.
    """
    image = Image.fromarray(pixels)
    if box is not None:
        half = max(1.0, float(box[2:].max())) / 2
        x, y = box[:2] + box[2:] / 2
        image = image.crop((round(x - half), round(y - half), round(x + half), round(y + half)))
    width, height = image.size
    shorter = min(width, height)
    if crop == "centre":
        left, top = (width - shorter) // 2, (height - shorter) // 2
        image = image.crop((left, top, left + shorter, top + shorter))
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC)), shorter


def crop_template(by: Literal["arcface", "unknown"]) -> dict[str, object]:
    """How the crops of a data set are aligned, for its report.

    `template` is arcface or "as given"; `points` (five of x and y), `eye_level` and `eye_span` are in units
    of the side, from the upper left corner, and null where nobody knows.
    """
    if by == "unknown":
        return {"template": "as given", "points": None, "eye_level": None, "eye_span": None}
    places = (ARCFACE + 0.5) / ARCFACE_SIDE
    span = float(np.linalg.norm(places[1] - places[0]))
    return {
        "template": "arcface",
        "points": places.round(6).tolist(),
        "eye_level": round(float(places[:2, 1].mean()), 6),
        "eye_span": round(span, 6),
    }


def alignment_spread(crops: Pixels) -> float:
    """How far apart faces lie in their crops, as a share of the side: the standard deviation of their moves.

    Judged from pixels alone. Of every crop the strength of its edges is taken, and the move is looked for
    that brings it best over the mean of the others; the mean is made anew from moved crops a few times. The
    spread is half the distance between the moves' quantiles at 16 and 84 %, the root mean square of both
    directions. A turn, another size, or a move that all have in common is not seen.

    Args:
        crops: uint8 (n, side, side, 3), n at least 2; more than 500 are too many to be quick.

    Returns:
        The spread; compare with `ALIGNED_SPREAD`.
    """
    edges = _edges(crops)  # (n, s, s)
    n, s = len(edges), COMPARED_SIDE
    spectrum = np.fft.rfft2(edges, s=(2 * s, 2 * s))  # padded, so that nothing wraps round
    down, right = np.fft.fftfreq(2 * s)[:, None], np.fft.rfftfreq(2 * s)[None, :]
    reach = int(REACH * s)
    steps = np.concatenate([np.arange(reach + 1), np.arange(-reach, 0)])
    moves = np.zeros((n, 2))
    for _ in range(ROUNDS):
        turn = np.exp(2j * np.pi * (down * moves[:, 0, None, None] + right * moves[:, 1, None, None]))
        laid = spectrum * turn.astype(np.complex64)
        others = (laid.sum(0) - laid) / (n - 1)
        match = np.fft.irfft2(spectrum * others.conj(), s=(2 * s, 2 * s))[:, steps][:, :, steps]
        best = match.reshape(n, -1).argmax(1)
        moves = np.stack([steps[best // len(steps)], steps[best % len(steps)]], 1).astype(np.float64)
        moves -= np.median(moves, axis=0)
    low, high = np.quantile(moves, [0.16, 0.84], axis=0)
    return float(np.sqrt((((high - low) / 2) ** 2).mean()) / s)


def _edges(crops: Pixels) -> npt.NDArray[np.float32]:
    """Strength of edges (n, 64, 64), relative to the crop's mean strength, faded towards the border."""
    resized = [
        Image.fromarray(crop).convert("L").resize((COMPARED_SIDE, COMPARED_SIDE), Image.Resampling.BICUBIC)
        for crop in crops
    ]
    gray = np.stack([np.asarray(image, np.float32) for image in resized])
    strength = np.hypot(*np.gradient(gray, axis=(1, 2)))
    strength = np.minimum(strength / (strength.mean((1, 2), keepdims=True) + 1e-6), 4.0)
    fade = np.cos(np.pi * ((np.arange(COMPARED_SIDE) + 0.5) / COMPARED_SIDE - 0.5)).astype(np.float32)
    faded: npt.NDArray[np.float32] = (strength - strength.mean((1, 2), keepdims=True)) * np.outer(fade, fade)
    return faded
