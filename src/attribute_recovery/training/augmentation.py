"""Images changed a little in training, leaving the person the same: exposure, place, sharpness, occlusion."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch.nn import functional

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Augmentation:
    """How far training images are changed.

    Attributes:
        shift: largest displacement along each axis, in pixels.
        contrast: largest relative change of contrast about mid grey, 0 to 1.
        brightness: largest change of brightness, in units of half the value range.
        cutout: largest side of the square set to grey, as a share of the image's (DeVries & Taylor,
            arXiv 1708.04552).
        mirror: share of images that are mirrored.
        warp: largest change of each entry of the affine map of the image onto itself: of scale, aspect and
            shear, and of place in units of half the side.
        degraded: share of images that are blurred and get noise, since cameras differ (low-resolution
            augmentation as in AdaFace; Kim et al., CVPR 2022).
        blur: largest weight of an image's blur, of a standard deviation of one pixel, in its place, 0 to 1.
        noise: largest standard deviation of normal noise, in units of half the value range.
    """

    shift: int = 0
    contrast: float = 0.0
    brightness: float = 0.0
    cutout: float = 0.0
    mirror: float = 0.0
    warp: float = 0.0
    degraded: float = 0.0
    blur: float = 0.0
    noise: float = 0.0


def for_few_images(strength: float, besides: Augmentation | None = None) -> Augmentation:
    """Changes that make much of few images: mirrored, moved, turned and lit anew.

    Not for labels that a mirror would change.

    Args:
        strength: 0 for none of them to 1.
        besides: changes that are made in any case.

    >>> for_few_images(0.5).warp
    0.1
    """
    base = Augmentation() if besides is None else besides
    if strength == 0:
        return base
    return replace(
        base,
        mirror=0.5,
        contrast=max(base.contrast, 0.5 * strength),
        brightness=max(base.brightness, 0.3 * strength),
        warp=0.2 * strength,
    )


def augmented(images: Images, settings: Augmentation, rng: np.random.Generator) -> Floats:
    """Images (n, side, side, 3) uint8, changed at random, as float32 (n, side, side, 3) in about [-1, 1]."""
    n = len(images)
    moved = _shifted(images, settings.shift, rng)
    mirrored = rng.random(n) < settings.mirror
    moved[mirrored] = moved[mirrored, :, ::-1]
    gain = 1 + settings.contrast * rng.uniform(-1, 1, (n, 1, 1, 1))
    offset = settings.brightness * rng.uniform(-1, 1, (n, 1, 1, 1))
    values = moved.astype(np.float32)
    values *= (gain / 127.5).astype(np.float32)
    values += (offset - gain).astype(np.float32)  # x / 127.5 − 1 is the pixel's value in [-1, 1]
    if settings.warp > 0:
        values = _warped(values, settings.warp, rng)
    if settings.degraded > 0:
        chosen = np.flatnonzero(rng.random(n) < settings.degraded)
        values[chosen] = _degraded(values[chosen], settings, rng)
    return _cut(values, settings.cutout, rng)


def _shifted(images: Images, most: int, rng: np.random.Generator) -> Images:
    """Images displaced by whole pixels, edges repeated."""
    n, side = images.shape[:2]
    margin = (most, most)
    padded = np.pad(images, ((0, 0), margin, margin, (0, 0)), mode="edge")
    windows = sliding_window_view(padded, (side, side), axis=(1, 2))
    down, right = rng.integers(0, 2 * most + 1, (2, n))
    moved: Images = windows[np.arange(n), down, right].transpose(0, 2, 3, 1)
    return moved


def _warped(values: Floats, most: float, rng: np.random.Generator) -> Floats:
    """Images under random affine maps, bilinear, mirrored beyond their edges."""
    maps = np.eye(2, 3) + most * rng.uniform(-1, 1, (len(values), 2, 3))
    images = torch.from_numpy(values).permute(0, 3, 1, 2)
    with torch.autocast("cpu", enabled=False):
        grid = functional.affine_grid(torch.from_numpy(maps).float(), list(images.shape), align_corners=False)
        moved = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    warped: Floats = moved.permute(0, 2, 3, 1).contiguous().numpy()
    return warped


def _degraded(values: Floats, settings: Augmentation, rng: np.random.Generator) -> Floats:
    n = len(values)
    weight = rng.uniform(0, settings.blur, (n, 1, 1, 1)).astype(np.float32)
    deviation = rng.uniform(0, settings.noise, (n, 1, 1, 1)).astype(np.float32)
    normal = torch.randn(values.shape, generator=torch.Generator().manual_seed(int(rng.integers(2**62))))
    degraded: Floats = values + weight * (_blurred(values) - values) + deviation * normal.numpy()
    return degraded


def _blurred(values: Floats) -> Floats:
    """Images under the binomial filter (1, 4, 6, 4, 1)/16 along both axes, edges repeated."""
    line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    kernel = torch.outer(line, line).expand(3, 1, 5, 5).contiguous()
    padded = functional.pad(torch.from_numpy(values).permute(0, 3, 1, 2), (2, 2, 2, 2), mode="replicate")
    with torch.autocast("cpu", enabled=False):  # trainings call this within theirs
        blurred: Floats = functional.conv2d(padded, kernel, groups=3).permute(0, 2, 3, 1).numpy()
    return blurred


def _cut(values: Floats, largest: float, rng: np.random.Generator) -> Floats:
    """A square of random side and place in each image set to mid grey."""
    n, side = values.shape[:2]
    width = np.rint(rng.uniform(0, largest, (n, 1)) * side)
    places = np.arange(side)
    inside = []
    for _ in range(2):
        first = np.floor(rng.random((n, 1)) * (side - width + 1))
        inside.append((places >= first) & (places < first + width))
    values[inside[0][:, :, None] & inside[1][:, None, :]] = 0.0
    return values
