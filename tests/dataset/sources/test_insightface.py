"""InsightFace's three forms, written here as they are published."""

import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcolz
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from attribute_recovery.config_files import ConfigError
from attribute_recovery.dataset.sources import insightface

Settings = Callable[..., Any]
Pictures = Callable[..., npt.NDArray[np.uint8]]


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """An image file."""
    found = io.BytesIO()
    Image.fromarray(pixels).save(found, "PNG")
    return found.getvalue()


def arrays(folder: Path, images: list[npt.NDArray[np.uint8]], same: list[bool]) -> None:
    """NAME/ and NAME_list.npy: BGR, channels first, float32 from -1 to 1."""
    stack = np.stack(images)[..., ::-1].transpose(0, 3, 1, 2)
    values = ((stack / 255.0 - 0.5) / 0.5).astype(np.float32)
    carray = bcolz.fill(
        (len(values), *values.shape[1:]), dtype=np.float32, rootdir=str(folder / "lfw"), mode="w"
    )
    carray[:] = values
    carray.flush()
    np.save(folder / "lfw_list.npy", np.array(same))


@pytest.mark.parametrize("order", ["BGR", "RGB"])
def test_arrays_come_back_as_pixels_with_pairs(
    tmp_path: Path, settings_of: Settings, pictures: Pictures, order: str
) -> None:
    images = [pictures(seed, 16) for seed in range(8)]
    arrays(tmp_path, images, [True, False, True, False])
    settings = settings_of("insightface", tmp_path, channel_order=order)
    insightface.check_insightface(settings)
    found = insightface.list_insightface(settings)
    assert list(found.image_ids[:2]) == ["lfw/000000", "lfw/000001"]
    for row in (0, 5):
        expected = images[row] if order == "BGR" else images[row][..., ::-1]
        np.testing.assert_array_equal(found.read(row), expected)
    assert list(found.identities) == [f"lfw-{i:06d}" for i in (0, 0, 2, 3, 4, 4, 6, 7)]
    assert found.pairs is not None
    assert found.pairs["genuine"].tolist() == [True, False, True, False]
    assert found.pairs["first"].tolist() == [f"lfw/{i:06d}" for i in (0, 2, 4, 6)]
    assert found.pairs["second"].tolist() == [f"lfw/{i:06d}" for i in (1, 3, 5, 7)]
    assert len(found.remarks) == 1 and "names nobody" in found.remarks[0]


def test_pairs_of_a_bin_file_are_people_joined_by_pairs_and_equal_files(
    tmp_path: Path, settings_of: Settings, pictures: Pictures
) -> None:
    a1, a2, a3, b1, b2, c = (png(pictures(seed)) for seed in range(6))
    # a2 joins the first two pairs; the last one contradicts what they say.
    images, same = [a1, a2, a2, a3, b1, b2, c, b1, a1, a3], [True, True, True, False, False]
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps((images, same)))
    settings = settings_of("insightface", tmp_path, form="bin")
    insightface.check_insightface(settings)
    found = insightface.list_insightface(settings)
    people = np.array(found.identities)
    assert [np.unique(people, return_inverse=True)[1][i] for i in range(10)] == [0, 0, 0, 0, 1, 1, 2, 1, 0, 0]
    assert found.read(6) == c
    assert "1 impostor pairs of the set show people that genuine pairs join" in found.remarks


def test_pairs_are_dealt_to_ten_folds_in_order(
    tmp_path: Path, settings_of: Settings, pictures: Pictures
) -> None:
    images = [png(pictures(seed, 4)) for seed in range(60)]
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps((images, [True, False] * 15)))
    found = insightface.list_insightface(settings_of("insightface", tmp_path, form="bin"))
    assert found.pairs is not None
    assert found.pairs["fold"].tolist() == [i // 3 for i in range(30)]


def test_records_are_images_of_the_people_that_their_labels_number(
    tmp_path: Path, settings_of: Settings
) -> None:
    def record(labels: list[float], content: bytes) -> bytes:
        flag = len(labels) if len(labels) > 1 else 0
        data = struct.pack("<IfQQ", flag, 0.0 if flag else labels[0], 0, 0)
        data += struct.pack(f"<{flag}f", *labels[:flag]) + content
        return struct.pack("<II", 0xCED7230A, len(data)) + data + b"\0" * (-len(data) % 4)

    content, index = b"", ""
    for key, (labels, image) in enumerate(
        [
            ([4.0, 6.0], b""),
            ([0.0], b"one"),
            ([0.0], b"two"),
            ([10571.0], b"three"),
            ([1.0, 3.0], b""),
            ([3.0, 4.0], b""),
        ]
    ):
        index += f"{key}\t{len(content)}\n"
        content += record(labels, image)
    (tmp_path / "train.rec").write_bytes(content)
    (tmp_path / "train.idx").write_text(index)
    settings = settings_of("insightface", tmp_path, form="rec", name="train")
    insightface.check_insightface(settings)
    found = insightface.list_insightface(settings)
    assert list(found.image_ids) == ["train/1", "train/2", "train/3"]
    assert list(found.identities) == ["0", "0", "10571"]
    assert found.read(2) == b"three"
    assert found.pairs is None and list(found.remarks) == []


def test_records_without_images_are_refused(tmp_path: Path, settings_of: Settings) -> None:
    data = struct.pack("<IfQQ", 2, 0.0, 0, 0) + struct.pack("<2f", 1.0, 1.0)
    (tmp_path / "train.rec").write_bytes(struct.pack("<II", 0xCED7230A, len(data)) + data)
    (tmp_path / "train.idx").write_text("0\t0\n")
    with pytest.raises(ValueError, match=r"train\.rec: found no images"):
        insightface.list_insightface(settings_of("insightface", tmp_path, form="rec", name="train"))


def test_arrays_in_another_form_are_refused(
    tmp_path: Path, settings_of: Settings, pictures: Pictures
) -> None:
    def listed() -> Any:
        return insightface.list_insightface(settings_of("insightface", tmp_path))

    arrays(tmp_path, [pictures(seed, 8) for seed in range(4)], [True, False])
    for array, says in (
        (np.array([True]), r"found bool \(1,\) for 4 images, expected a bool for each two"),
        (np.array([[True, False]]), r"found bool \(1, 2\)"),
        (np.array([0.5, 0.5]), r"found float64 \(2,\)"),
        (np.array([{}, []], dtype=object), r"lfw_list\.npy: cannot be read as an array of bools"),
    ):
        np.save(tmp_path / "lfw_list.npy", array)
        with pytest.raises(ValueError, match=says):
            listed()
    np.save(tmp_path / "lfw_list.npy", np.array([True, False]))
    for values, says in (
        (np.zeros((4, 3, 8), np.float32), r"found float32 \(4, 3, 8\), expected floats \(n, 3, h, w\)"),
        (np.zeros((4, 3, 8, 8), np.uint8), r"found uint8 \(4, 3, 8, 8\)"),
        (np.zeros((4, 8, 8, 3), np.float32), r"found float32 \(4, 8, 8, 3\)"),
    ):
        bcolz.carray(values, rootdir=str(tmp_path / "lfw"), mode="w").flush()
        with pytest.raises(ValueError, match=says):
            listed()
    values = np.full((4, 3, 8, 8), 128.0, np.float32)
    bcolz.carray(values, rootdir=str(tmp_path / "lfw"), mode="w").flush()
    with pytest.raises(ValueError, match="found values beyond -1 and 1, expected pixels scaled"):
        listed().read(0)


@pytest.mark.parametrize(
    ("form", "present", "says"),
    [
        (
            "arrays",
            [],
            r"dataset\.name: found .*lfw, which is not a folder; allowed is a set with a bcolz folder",
        ),
        ("arrays", ["lfw/x"], r"dataset\.name: found .*lfw_list\.npy, which is not a file"),
        (
            "bin",
            [],
            r"dataset\.name: found .*lfw\.bin, which is not a file; allowed is a set with a file NAME\.b",
        ),
        ("rec", ["lfw.rec"], r"dataset\.name: found .*lfw\.idx, which is not a file"),
        ("rec", [], r"dataset\.name: found .*lfw\.rec, which is not a file"),
    ],
)
def test_what_is_missing_is_said_before_any_job(
    tmp_path: Path, settings_of: Settings, form: str, present: list[str], says: str
) -> None:
    for name in present:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=f"^{says}"):
        insightface.check_insightface(settings_of("insightface", tmp_path, form=form))
    with pytest.raises(ConfigError, match=r"^dataset\.path: found .*no, which is not a folder"):
        insightface.check_insightface(settings_of("insightface", tmp_path / "no", form=form))
