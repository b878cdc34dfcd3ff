"""Images of a listing read, found to be readable or not, and brought to their crops; several at once."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from attribute_recovery.config_faces import BroughtFaces, DetectorAlignment, Fault, GivenAlignment
from attribute_recovery.dataset.alignment import crop_given, similarities, warp
from attribute_recovery.dataset.decode import decode_image
from attribute_recovery.dataset.detection import Detector, main_face
from attribute_recovery.dataset.progress import Progress
from attribute_recovery.dataset.sources.listing import Listing, Pixels, Points

BLOCK = 256


@dataclass(frozen=True)
class Crop:
    """What became of one image.

    Attributes:
        pixels: uint8 (side, side, 3), or None where there is no crop.
        fault: what is wrong with the image, if something is; with `small` there is a crop all the same.
        detail: the fault in words.
        residual: distance of the landmarks from the template, in units of the side; NaN without landmarks.
        n_faces: how many faces a detector found.
    """

    pixels: Pixels | None
    fault: Fault | None = None
    detail: str = ""
    residual: float = np.nan
    n_faces: int = 1


@dataclass(frozen=True)
class Crops:
    """Crops of a listing's n images.

    Attributes:
        pixels: (n, side, side, 3) uint8, a map of a file; zeros where there is no crop.
        faults: n kinds of fault, None where there is none.
        details: n texts.
        digests: n texts, sha256 of the crop's bytes; "" where there is no crop.
        residuals: (n,) of the landmarks.
        n_faces: (n,) faces found.
    """

    pixels: npt.NDArray[np.uint8]
    faults: list[Fault | None]
    details: list[str]
    digests: list[str]
    residuals: npt.NDArray[np.float64]
    n_faces: npt.NDArray[np.int64]


def read_crops(listing: Listing, settings: BroughtFaces, threads: int, path: Path) -> Crops:
    """Read and crop all images of a listing; says every few seconds how far it is.

    Args:
        listing: The images.
        settings: Size and alignment of the crops.
        threads: Images at once; the result does not depend on it.
        path: A file for the crops, written; the caller removes it.

    Returns:
        The crops, in the listing's order.

    Raises:
        ValueError: a detector is not one.
    """
    n, side = len(listing), settings.image_size
    crop_of = cropper(listing, settings)
    pixels = np.memmap(path, np.uint8, "w+", shape=(n, side, side, 3))
    found: list[Crop] = []
    digests: list[str] = []
    progress = Progress(0, n)
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for start in range(0, n, BLOCK):
            block = list(pool.map(crop_of, range(start, min(start + BLOCK, n))))
            for row, crop in enumerate(block, start):
                if crop.pixels is not None:
                    pixels[row] = crop.pixels
                digests.append(
                    "" if crop.pixels is None else hashlib.sha256(crop.pixels.tobytes()).hexdigest()
                )
                found.append(Crop(None, crop.fault, crop.detail, crop.residual, crop.n_faces))
            progress.add(len(block))
    return Crops(
        pixels,
        [crop.fault for crop in found],
        [crop.detail for crop in found],
        digests,
        np.array([crop.residual for crop in found]),
        np.array([crop.n_faces for crop in found], np.int64),
    )


def cropper(listing: Listing, settings: BroughtFaces) -> Callable[[int], Crop]:
    """A function from a listing's row to its crop; safe to call from several threads.

    Raises:
        ValueError: a detector is not one.
    """
    align, side = settings.align, settings.image_size
    if isinstance(align, GivenAlignment):
        return lambda row: _given(listing, row, side, align)
    if isinstance(align, DetectorAlignment):
        detector = Detector(align.weights, align.detector, align.confidence)
        return lambda row: _detected(listing, row, side, detector)
    points = listing.landmarks
    if points is None:
        raise ValueError("dataset.align.by: found landmarks, but the source has none")
    return lambda row: _aligned(_pixels(listing, row), points[row], side)


def batches(crops: Crops, rows: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.uint8]]:
    """The crops at some rows, some hundred at a time."""
    for start in range(0, len(rows), BLOCK):
        yield np.asarray(crops.pixels[rows[start : start + BLOCK]])


def _pixels(listing: Listing, row: int) -> Pixels | Crop:
    """An image, or what keeps it from being read."""
    try:
        found = listing.read(row)
        return found if isinstance(found, np.ndarray) else decode_image(found)
    except OSError as error:
        return Crop(None, "unreadable", f"cannot be opened ({error.strerror})")
    except ValueError as error:
        return Crop(None, "unreadable", str(error))


def _given(listing: Listing, row: int, side: int, align: GivenAlignment) -> Crop:
    pixels = _pixels(listing, row)
    if isinstance(pixels, Crop):
        return pixels
    box = None if listing.boxes is None else listing.boxes[row]
    if box is not None and not (np.isfinite(box).all() and (box[2:] > 0).all()):
        return Crop(None, "no_face", "has no box")
    crop, shorter = crop_given(pixels, side, align.crop, box)
    if shorter < side:
        return Crop(crop, "small", f"{shorter} pixels for a crop of {side}")
    return Crop(crop)


def _detected(listing: Listing, row: int, side: int, detector: Detector) -> Crop:
    pixels = _pixels(listing, row)
    if isinstance(pixels, Crop):
        return pixels
    faces = detector.find(pixels)
    if not len(faces):
        return Crop(None, "no_face", "no face found", n_faces=0)
    box = None if listing.boxes is None else listing.boxes[row]
    chosen = main_face(faces, pixels.shape[:2], box)
    return _aligned(pixels, faces.landmarks[chosen], side, len(faces))


def _aligned(pixels: Pixels | Crop, landmarks: Points, side: int, n_faces: int = 1) -> Crop:
    if isinstance(pixels, Crop):
        return pixels
    found = similarities(landmarks[None], side)
    scale = float(found.scales[0])
    if not np.isfinite(scale) or scale <= 0:
        return Crop(None, "no_face", "landmarks are missing or all in one place", n_faces=n_faces)
    residual = float(found.residuals[0])
    crop = warp(pixels, found.matrices[0], side)
    if scale > 1 + 1e-6:
        return Crop(crop, "small", f"{side / scale:.0f} pixels for a crop of {side}", residual, n_faces)
    return Crop(crop, None, "", residual, n_faces)
