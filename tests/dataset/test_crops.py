"""Images of a listing become crops, or say what is wrong with them; the same with several threads."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from attribute_recovery.dataset import crops
from attribute_recovery.dataset.alignment import crop_given, similarities, template_points, warp
from attribute_recovery.dataset.sources.listing import Listing

Settings = Callable[..., Any]
Pictures = Callable[..., npt.NDArray[np.uint8]]


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """An image file."""
    found = io.BytesIO()
    Image.fromarray(pixels).save(found, "PNG")
    return found.getvalue()


def listing(images: list[Any], **more: Any) -> Listing:
    """A listing of these images: bytes, pixels, or errors that reading raises."""

    def read(row: int) -> Any:
        if isinstance(images[row], Exception):
            raise images[row]
        return images[row]

    names = [f"{row:04d}.png" for row in range(len(images))]
    return Listing(names, names, read, **more)


def test_what_cannot_be_read_says_why_and_the_rest_is_cropped(
    settings_of: Settings, pictures: Pictures, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [
        png(pictures(0)),
        b"no image",
        pictures(1, 33),
        FileNotFoundError(2, "No such file or directory"),
        png(pictures(2, 31)),
        ValueError("record 4 is damaged"),
    ]
    found = crops.read_crops(listing(images), settings_of("folders", tmp_path), 2, tmp_path / "raw")
    assert found.faults == [None, "unreadable", None, "unreadable", "small", "unreadable"]
    assert found.details[1].startswith("cannot be read as PNG")
    assert found.details[3] == "cannot be opened (No such file or directory)"
    assert found.details[4] == "31 pixels for a crop of 32"
    assert found.details[5] == "record 4 is damaged"
    assert found.pixels.shape == (6, 32, 32, 3)
    np.testing.assert_array_equal(found.pixels[2], crop_given(images[2], 32, "centre")[0])
    for row, digest in enumerate(found.digests):
        expected = hashlib.sha256(found.pixels[row].tobytes()).hexdigest()
        assert digest == ("" if row in (1, 3, 5) else expected)
    assert "dataset: 6 of 6 images" in capsys.readouterr().err


def test_threads_and_blocks_change_nothing(
    settings_of: Settings, pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = listing([png(pictures(seed)) for seed in range(23)])
    settings = settings_of("folders", tmp_path)
    once = crops.read_crops(source, settings, 1, tmp_path / "a")
    monkeypatch.setattr(crops, "BLOCK", 5)
    again = crops.read_crops(source, settings, 4, tmp_path / "b")
    assert once.digests == again.digests
    np.testing.assert_array_equal(once.pixels, again.pixels)
    parts = list(crops.batches(again, np.array([3, 9, 10, 11, 12, 20])))
    assert [len(part) for part in parts] == [5, 1]
    np.testing.assert_array_equal(np.concatenate(parts), once.pixels[[3, 9, 10, 11, 12, 20]])


def test_landmarks_decide_where_the_crop_is(
    settings_of: Settings, faces: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    scene = np.asarray(Image.fromarray(faces[0]).resize((160, 160), Image.Resampling.BICUBIC))
    fitting, small = template_points(120) + 20.0, template_points(20) + 60.0
    points = np.stack([fitting, small, np.full((5, 2), np.nan), np.full((5, 2), 50.0), fitting])
    source = listing([scene] * 4 + [b"no image"], landmarks=points)
    settings = settings_of("folders", tmp_path, align={"by": "landmarks"})
    found = crops.read_crops(source, settings, 2, tmp_path / "raw")
    assert found.faults == [None, "small", "no_face", "no_face", "unreadable"]
    assert found.details[1] == "20 pixels for a crop of 32"
    assert found.details[2] == "landmarks are missing or all in one place"
    np.testing.assert_array_equal(found.pixels[0], warp(scene, similarities(points[:1], 32).matrices[0], 32))
    np.testing.assert_allclose(found.residuals[:2], 0.0, atol=1e-9)
    assert np.isnan(found.residuals[2:]).all()
    assert [bool(digest) for digest in found.digests] == [True, True, False, False, False]


def test_landmarks_that_a_source_does_not_have_are_refused(settings_of: Settings, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dataset\.align\.by: found landmarks, but the source has none"):
        crops.cropper(listing([b""]), settings_of("folders", tmp_path, align={"by": "landmarks"}))


def test_boxes_are_cut_out(settings_of: Settings, pictures: Pictures, tmp_path: Path) -> None:
    image = pictures(0, 100)
    boxes = np.array([[20.0, 30, 40, 40], [0, 0, 0, 0], [np.nan] * 4])
    found = crops.read_crops(
        listing([image] * 3, boxes=boxes), settings_of("folders", tmp_path), 1, tmp_path / "raw"
    )
    assert found.faults == [None, "no_face", "no_face"]
    np.testing.assert_array_equal(found.pixels[0], crop_given(image[30:70, 20:60], 32, "centre")[0])


def test_a_detector_s_main_face_is_laid_on_the_template(
    settings_of: Settings, pictures: Pictures, onnx_file: Callable[..., Path], tmp_path: Path
) -> None:
    """One that finds the same two faces in every image."""
    outputs = {}
    for stride in (8, 16, 32):
        n = (128 // stride) ** 2
        for name, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs[f"{name}_{stride}"] = np.zeros((1, n, width), np.float32)
    landmarks = template_points(64) + 32.0
    for cell, points in ((4 * 16 + 8, landmarks), (0, landmarks / 8)):
        column, row = cell % 16, cell // 16
        outputs["cls_8"][0, cell] = outputs["obj_8"][0, cell] = 0.9
        outputs["bbox_8"][0, cell] = [0.5, 0.5, np.log(8.0 if cell else 1.0), np.log(8.0 if cell else 1.0)]
        outputs["kps_8"][0, cell] = (points / 8 - [column, row]).ravel()
    path = onnx_file(tmp_path / "d.onnx", (1, 3, 128, 128), outputs)
    align = {"by": "detector", "detector": "yunet", "weights": str(path), "confidence": 0.6}
    image = pictures(0, 128)
    settings = settings_of("folders", tmp_path, align=align)
    found = crops.read_crops(listing([image, b"no image"]), settings, 2, tmp_path / "raw")
    assert found.faults == [None, "unreadable"]
    assert found.n_faces.tolist() == [2, 1]
    expected = warp(image, similarities(landmarks[None], 32).matrices[0], 32)
    # Pillow cuts off what is behind the point of a sample, so the last bits of landmarks can show.
    assert np.abs(found.pixels[0].astype(int) - expected.astype(int)).max() <= 2
    unsure = settings_of("folders", tmp_path, align={**align, "confidence": 0.95})
    found = crops.read_crops(listing([image]), unsure, 1, tmp_path / "raw")
    assert (found.faults, found.details, found.n_faces.tolist()) == (["no_face"], ["no face found"], [0])
    with pytest.raises(ValueError, match="cannot be loaded as ONNX"):
        crops.cropper(
            listing([image]), settings_of("folders", tmp_path, align={**align, "weights": "no.onnx"})
        )
