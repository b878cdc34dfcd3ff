"""Detectors' outputs in their published layout become faces; files that are none say so."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from attribute_recovery.dataset import detection
from attribute_recovery.dataset.detection import Detector, Faces, decode_scrfd, decode_yunet, main_face

Outputs = dict[str, npt.NDArray[np.float32]]
SHAPE = (64, 96)
LANDMARKS = np.array([[30.0, 20], [50, 21], [41, 30], [33, 42], [48, 41]])
BOX = np.array([22.0, 8, 36, 44])


def cell_of(point: npt.NDArray[np.float64], stride: int) -> tuple[int, int, int]:
    """Column, row and number of the cell that a point lies in."""
    column, row = (int(value // stride) for value in point)
    return column, row, row * (SHAPE[1] // stride) + column


def yunet(faces: list[tuple[float, npt.NDArray[np.float64], npt.NDArray[np.float64], int]]) -> Outputs:
    """YuNet's twelve outputs for (score, box, landmarks, stride)."""
    found: Outputs = {}
    for stride in (8, 16, 32):
        n = SHAPE[0] // stride * (SHAPE[1] // stride)
        for name, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            found[f"{name}_{stride}"] = np.zeros((1, n, width), np.float32)
    for score, box, landmarks, stride in faces:
        middle = box[:2] + box[2:] / 2
        column, row, cell = cell_of(middle, stride)
        found[f"cls_{stride}"][0, cell] = score
        found[f"obj_{stride}"][0, cell] = score
        offset = middle / stride - [column, row]
        found[f"bbox_{stride}"][0, cell] = [*offset, *np.log(box[2:] / stride)]
        found[f"kps_{stride}"][0, cell] = (landmarks / stride - [column, row]).ravel()
    return found


def scrfd(
    faces: list[tuple[float, npt.NDArray[np.float64], npt.NDArray[np.float64], int]], anchors: int = 2
) -> Outputs:
    """SCRFD's nine outputs, named by numbers as in published files."""
    scores, boxes, points = {}, {}, {}
    for stride in (8, 16, 32):
        n = anchors * (SHAPE[0] // stride) * (SHAPE[1] // stride)
        scores[stride] = np.zeros((n, 1), np.float32)
        boxes[stride] = np.zeros((n, 4), np.float32)
        points[stride] = np.zeros((n, 10), np.float32)
    for score, box, landmarks, stride in faces:
        column, row, cell = cell_of(box[:2] + box[2:] / 2, stride)
        anchor, place = np.array([column, row]) * stride, cell * anchors + anchors - 1
        scores[stride][place] = score
        boxes[stride][place] = [*(anchor - box[:2]) / stride, *(box[:2] + box[2:] - anchor) / stride]
        points[stride][place] = ((landmarks - anchor) / stride).ravel()
    arrays = [part[stride] for part in (scores, boxes, points) for stride in (8, 16, 32)]
    return {str(440 + i): array for i, array in enumerate(arrays)}


@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize("kind", ["yunet", "scrfd", "scrfd with one anchor", "scrfd with a batch's axis"])
def test_a_face_comes_back_from_any_stride(kind: str, stride: int) -> None:
    entry = [(0.9, BOX, LANDMARKS, stride)]
    if kind == "yunet":
        found = decode_yunet(yunet(entry), SHAPE)
    else:
        outputs = scrfd(entry, 1 if "one" in kind else 2)
        if "batch" in kind:
            outputs = {name: array[None] for name, array in outputs.items()}
        found = decode_scrfd(outputs, SHAPE)
    best = int(found.scores.argmax())
    assert found.scores[best] == pytest.approx(0.9, abs=1e-6)
    np.testing.assert_allclose(found.boxes[best], BOX, atol=1e-4)
    np.testing.assert_allclose(found.landmarks[best], LANDMARKS, atol=1e-4)
    assert (np.delete(found.scores, best) == 0).all()


def test_yunet_s_score_is_the_geometric_mean_of_both() -> None:
    outputs = yunet([(1.0, BOX, LANDMARKS, 8)])
    outputs["obj_8"] *= np.float32(0.25)
    outputs["cls_8"] *= np.float32(1.7)  # clipped to 1
    assert decode_yunet(outputs, SHAPE).scores.max() == pytest.approx(0.5)


def test_outputs_of_another_network_are_refused() -> None:
    outputs = yunet([])
    del outputs["kps_16"]
    with pytest.raises(ValueError, match="it has no output 'kps_16', only cls_8, .*; expected those of YuNe"):
        decode_yunet(outputs, SHAPE)
    outputs = yunet([])
    outputs["cls_8"] = outputs["cls_8"][:, :-1]
    with pytest.raises(ValueError, match=r"its output 'cls_8' is \(1, 95, 1\), expected \(1, 96, 1\)"):
        decode_yunet(outputs, SHAPE)
    without_landmarks = {name: array for name, array in scrfd([]).items() if array.shape[-1] != 10}
    with pytest.raises(ValueError, match=r"expected scores .* landmarks \(n, 10\) for 96 cells of 8 pixels"):
        decode_scrfd(without_landmarks, SHAPE)
    with pytest.raises(ValueError, match="its outputs are"):
        decode_scrfd({"x": np.zeros((1, 3, 4, 4), np.float32)}, SHAPE)


def test_images_fill_the_input_from_the_upper_left() -> None:
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[...] = (10, 20, 30)
    tensor, scale = detection.detector_input(pixels, SHAPE, "yunet")
    assert tensor.shape == (1, 3, 64, 96) and tensor.dtype == np.float32 and scale == 1.6
    assert tensor[0, :, 31, 95].tolist() == [30, 20, 10]
    assert (tensor[0, :, 32:] == 0).all()
    tensor, _ = detection.detector_input(pixels, SHAPE, "scrfd")
    np.testing.assert_allclose(tensor[0, :, 0, 0], [(v - 127.5) / 128 for v in (10, 20, 30)])
    np.testing.assert_allclose(tensor[0, :, 63, 0], -127.5 / 128)


@pytest.mark.parametrize("kind", ["yunet", "scrfd"])
@pytest.mark.parametrize("open_sides", [False, True])
def test_a_file_finds_faces_in_the_image_s_own_pixels(
    onnx_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    open_sides: bool,
) -> None:
    near = (0.8, BOX + np.array([2.0, 1, 0, 0]), LANDMARKS + np.array([2.0, 1]), 16)
    other = (0.7, np.array([70.0, 40, 16, 20]), LANDMARKS / 3 + [65, 38], 8)
    unlikely = (0.3, np.array([2.0, 40, 16, 20]), LANDMARKS / 3, 8)
    entries = [(0.9, BOX, LANDMARKS, 32), near, other, unlikely]
    outputs = yunet(entries) if kind == "yunet" else scrfd(entries)
    if open_sides:
        monkeypatch.setattr(detection, "INPUT_SIDE", 64)
        monkeypatch.setitem(globals(), "SHAPE", (64, 64))
        entries = [entries[0]]
        outputs = yunet(entries) if kind == "yunet" else scrfd(entries)
    shape = (1, 3, "h", "w") if open_sides else (1, 3, *SHAPE)
    path = onnx_file(tmp_path / "d.onnx", shape, outputs)
    detector = Detector(path, kind, 0.5)  # type: ignore[arg-type]
    scale = 64 / 128
    found = detector.find(np.zeros((128, 100 if open_sides else 192, 3), np.uint8))
    np.testing.assert_allclose(found.scores, [0.9] if open_sides else [0.9, 0.7], atol=1e-6)
    np.testing.assert_allclose(found.boxes[0], BOX / scale, atol=1e-3)
    np.testing.assert_allclose(found.landmarks[0], (LANDMARKS + 0.5) / scale - 0.5, atol=1e-3)


def test_a_file_that_is_no_detector_says_so(onnx_file: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"not onnx")
    with pytest.raises(ValueError, match=r"bad\.onnx: cannot be loaded as ONNX"):
        Detector(tmp_path / "bad.onnx", "yunet", 0.5)
    path = onnx_file(tmp_path / "flat.onnx", (1, 128), {"y": np.zeros((1, 1), np.float32)})
    with pytest.raises(ValueError, match=r"flat\.onnx: its input is \[1, 128\], expected an image \(1, 3, h"):
        Detector(path, "yunet", 0.5)
    path = onnx_file(tmp_path / "other.onnx", (1, 3, 64, 96), {"y": np.zeros((1, 1), np.float32)})
    with pytest.raises(ValueError, match=r"other\.onnx: it has no output 'cls_8', only y"):
        Detector(path, "yunet", 0.5).find(np.zeros((8, 8, 3), np.uint8))


def test_the_main_face_is_large_and_central_or_the_one_in_the_box() -> None:
    boxes = np.array([[0.0, 0, 30, 30], [40, 40, 20, 20], [80, 80, 19, 19]])
    faces = Faces(np.array([0.9, 0.8, 0.7]), boxes, np.zeros((3, 5, 2)))
    assert main_face(faces, (100, 100)) == 1
    assert main_face(faces, (30, 30)) == 0
    assert main_face(faces, (100, 100), np.array([78.0, 82, 20, 20])) == 2
    assert len(faces) == 3
