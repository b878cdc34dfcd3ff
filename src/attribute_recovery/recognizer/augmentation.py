"""Images changed a little in training, leaving the person the same: exposure, alignment, occlusion."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
    """

    shift: int = 0
    contrast: float = 0.0
    brightness: float = 0.0
    cutout: float = 0.0
    mirror: float = 0.0


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
    return _cut(values, settings.cutout, rng)


def _shifted(images: Images, most: int, rng: np.random.Generator) -> Images:
    """Images displaced by whole pixels, edges repeated."""
    n, side = images.shape[:2]
    places = np.arange(side)
    rows, columns = (np.clip(places + rng.integers(-most, most + 1, (n, 1)), 0, side - 1) for _ in range(2))
    moved: Images = images[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved


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
