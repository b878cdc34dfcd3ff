"""Face detectors that a user brings as ONNX, YuNet and SCRFD: their output as boxes and five landmarks.

W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face Detector", MIR 2023; J. Guo, J. Deng, A. Lattas,
S. Zafeiriou, "Sample and Computation Redistribution for Efficient Face Detection", ICLR 2022. Both look at
cells of 8, 16 and 32 pixels and tell of each how likely it holds a face, where its box lies and where five
landmarks are. Landmarks come in the order of `sources.listing`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from attribute_recovery.dataset.sources.listing import Pixels, Points

Floats = npt.NDArray[np.float64]
Outputs = Mapping[str, npt.NDArray[Any]]

STRIDES = (8, 16, 32)
# Side of the detector's input where its file leaves it open.
INPUT_SIDE = 640
# Of two boxes that overlap by more, the less likely one is dropped.
OVERLAP = 0.4
# More than an image of one face can have; comparing all with all would take long.
MOST_FACES = 1000


@dataclass(frozen=True)
class Faces:
    """n faces found in an image, the likeliest first.

    Attributes:
        scores: (n,) in 0 to 1.
        boxes: (n, 4): x and y of the upper left corner, width and height in pixels.
        landmarks: (n, 5, 2) in pixels.
    """

    scores: Floats
    boxes: Floats
    landmarks: Points

    def __len__(self) -> int:
        return len(self.scores)


class Detector:
    """A detector's file, ready to run; safe to call from several threads.

    Args:
        path: ONNX file.
        kind: Which detector it is.
        confidence: Score from which on a detection is a face.

    Raises:
        ValueError: The file cannot be loaded, or its input is not an image.
    """

    def __init__(self, path: Path, kind: Literal["yunet", "scrfd"], confidence: float) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no common class of their own
            raise ValueError(f"{path}: cannot be loaded as ONNX ({' '.join(str(error).split())})") from error
        taken = self._session.get_inputs()[0]
        if len(taken.shape) != 4 or taken.shape[1] not in (3, "3"):
            raise ValueError(f"{path}: its input is {taken.shape}, expected an image (1, 3, height, width)")
        self.path, self.kind, self.confidence = path, kind, confidence
        self._input = taken.name
        self._shape = tuple(side if isinstance(side, int) else INPUT_SIDE for side in taken.shape[2:])
        self._outputs = [output.name for output in self._session.get_outputs()]

    def find(self, pixels: Pixels) -> Faces:
        """The faces of an image.

        Args:
            pixels: uint8 (h, w, 3) RGB.

        Returns:
            The faces, in the image's pixels.

        Raises:
            ValueError: The outputs are not those of such a detector.
        """
        tensor, scale = detector_input(pixels, self._shape, self.kind)
        arrays = self._session.run(None, {self._input: tensor})
        outputs = dict(zip(self._outputs, arrays, strict=True))
        try:
            decode = decode_yunet if self.kind == "yunet" else decode_scrfd
            found = decode(outputs, self._shape)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from error
        likely = _likely(found, self.confidence)
        # Corners of pixels scale; middles of pixels do so with half a pixel beside.
        landmarks = (likely.landmarks + 0.5) / scale - 0.5
        return Faces(likely.scores, likely.boxes / scale, landmarks)


def detector_input(
    pixels: Pixels, shape: tuple[int, ...], kind: Literal["yunet", "scrfd"]
) -> tuple[npt.NDArray[np.float32], float]:
    """An image as a detector takes it: as large as fits, at the upper left, black beside it.

    Args:
        pixels: uint8 (h, w, 3) RGB.
        shape: Height and width of the input.
        kind: yunet takes BGR from 0 to 255, scrfd RGB as (x − 127.5) / 128.

    Returns:
        The input float32 (1, 3, height, width), and input pixels to one of the image's.
    """
    height, width = pixels.shape[:2]
    scale = min(shape[0] / height, shape[1] / width)
    size = (max(1, math.floor(width * scale)), max(1, math.floor(height * scale)))
    canvas = np.zeros((*shape, 3), np.float32)
    canvas[: size[1], : size[0]] = np.asarray(
        Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR), np.float32
    )
    prepared = canvas[..., ::-1] if kind == "yunet" else (canvas - 127.5) / 128.0
    return np.ascontiguousarray(prepared.transpose(2, 0, 1)[None]), scale


def decode_yunet(outputs: Outputs, shape: tuple[int, ...]) -> Faces:
    """All cells' faces in the input's pixels.

    With cell (column c, row r) of stride s: score √(cls·obj); middle of the box s·(c + b₀, r + b₁), its size
    s·exp(b₂, b₃); landmark i at s·(c + k₂ᵢ, r + k₂ᵢ₊₁).

    Args:
        outputs: `cls_s`, `obj_s` (1, n, 1), `bbox_s` (1, n, 4) and `kps_s` (1, n, 10) for s = 8, 16, 32.
        shape: Height and width of the input.

    Returns:
        A face for each cell.

    Raises:
        ValueError: an output is missing or has another shape.
    """
    parts = []
    for stride in STRIDES:
        cells = _cells(shape, stride)
        likely, there, box, points = (
            _output(outputs, f"{name}_{stride}", len(cells), width)
            for name, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
        )
        scores = np.sqrt(likely[:, 0].clip(0, 1) * there[:, 0].clip(0, 1))
        size = np.exp(box[:, 2:].clip(max=20)) * stride
        corner = (cells + box[:, :2]) * stride - size / 2
        landmarks = (cells[:, None] + points.reshape(-1, 5, 2)) * stride
        parts.append((scores, np.concatenate([corner, size], 1), landmarks))
    return Faces(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def decode_scrfd(outputs: Outputs, shape: tuple[int, ...]) -> Faces:
    """All anchors' faces in the input's pixels.

    With an anchor at the cell's corner p = s·(c, r) of stride s: the box reaches from p − s·(d₀, d₁) to
    p + s·(d₂, d₃); landmark i at p + s·(k₂ᵢ, k₂ᵢ₊₁). Outputs are told apart by their width, 1 (score), 4 and
    10, and their length, since files name them differently.

    Args:
        outputs: Nine arrays (n, width) or (1, n, width).
        shape: Height and width of the input.

    Returns:
        A face for each anchor.

    Raises:
        ValueError: an output is missing, as the landmarks' in files without them, or has another shape.
    """
    by_width: dict[int, dict[int, Floats]] = {1: {}, 4: {}, 10: {}}
    for array in outputs.values():
        plain = array.reshape(-1, array.shape[-1]) if array.ndim in (2, 3) else array
        if plain.ndim == 2 and plain.shape[1] in by_width:
            by_width[plain.shape[1]][len(plain)] = plain.astype(np.float64)
    parts = []
    for stride in STRIDES:
        cells = _cells(shape, stride)
        lengths = [n for n in by_width[1] if n in (len(cells), 2 * len(cells))]
        if len(lengths) != 1 or any(lengths[0] not in by_width[width] for width in (4, 10)):
            shapes = ", ".join(str(array.shape) for array in outputs.values())
            raise ValueError(
                f"its outputs are {shapes}, expected scores (n, 1), boxes (n, 4) and landmarks (n, 10) for "
                f"{len(cells)} cells of {stride} pixels"
            )
        n = lengths[0]
        anchors = np.repeat(cells * stride, n // len(cells), axis=0)
        reach = by_width[4][n] * stride
        corner, size = anchors - reach[:, :2], reach[:, :2] + reach[:, 2:]
        landmarks = anchors[:, None] + by_width[10][n].reshape(-1, 5, 2) * stride
        parts.append((by_width[1][n][:, 0], np.concatenate([corner, size], 1), landmarks))
    return Faces(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def main_face(faces: Faces, shape: tuple[int, int], box: Floats | None = None) -> int:
    """Which of several faces an image is about: the largest and most central, or the one in a box.

    Size counts by its area, distance from the middle by twice its square, so that a face in the background
    loses even against a middling one in the centre.

    Args:
        faces: At least one.
        shape: Height and width of the image.
        box: x, y, width and height, where it is known which face is meant.

    Returns:
        Its number.
    """
    if box is not None:
        return int(_overlaps(np.concatenate([box[None], faces.boxes]))[0, 1:].argmax())
    middles = faces.boxes[:, :2] + faces.boxes[:, 2:] / 2
    off = ((middles - np.array([shape[1], shape[0]]) / 2) ** 2).sum(1)
    return int((faces.boxes[:, 2:].prod(1) - 2 * off).argmax())


def _likely(faces: Faces, confidence: float) -> Faces:
    """Faces with enough score, less likely ones that overlap another left out; the likeliest first."""
    order = np.argsort(-faces.scores, kind="stable")
    order = order[faces.scores[order] >= confidence][:MOST_FACES]
    overlaps = _overlaps(faces.boxes[order])
    kept: list[int] = []
    for i in range(len(order)):
        if not (overlaps[i, kept] > OVERLAP).any():
            kept.append(i)
    chosen = order[kept]
    return Faces(faces.scores[chosen], faces.boxes[chosen], faces.landmarks[chosen])


def _overlaps(boxes: Floats) -> Floats:
    """Area that two boxes share over the area of both together, (n, n)."""
    low, high = boxes[:, None, :2], boxes[:, None, :2] + boxes[:, None, 2:]
    shared = (np.minimum(high, high.swapaxes(0, 1)) - np.maximum(low, low.swapaxes(0, 1))).clip(0).prod(2)
    area = boxes[:, 2:].clip(0).prod(1)
    both: Floats = area[:, None] + area[None, :] - shared
    share: Floats = shared / np.maximum(both, 1e-12)
    return share


def _cells(shape: tuple[int, ...], stride: int) -> Floats:
    """Column and row of each cell (n, 2), row by row."""
    rows, columns = np.mgrid[: shape[0] // stride, : shape[1] // stride]
    return np.stack([columns.ravel(), rows.ravel()], 1).astype(np.float64)


def _output(outputs: Outputs, name: str, rows: int, width: int) -> Floats:
    found = outputs.get(name)
    if found is None:
        raise ValueError(f"it has no output {name!r}, only {', '.join(outputs)}; expected those of YuNet")
    if found.size != rows * width:
        raise ValueError(f"its output {name!r} is {found.shape}, expected (1, {rows}, {width})")
    return found.reshape(rows, width).astype(np.float64)
