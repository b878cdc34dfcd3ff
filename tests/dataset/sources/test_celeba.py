"""CelebA's files in their published layout: read, and each malformed variant refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attribute_recovery.config_files import ConfigError
from attribute_recovery.dataset.sources import celeba

Settings = Callable[..., Any]

FILES = {
    "list_attr_celeba.txt": """3
5_o_Clock_Shadow Bald Smiling
000001.jpg -1 -1  1
000002.jpg  1 -1 -1
000003.jpg -1  1  1
""",
    "identity_CelebA.txt": "000003.jpg 8692\n000001.jpg 2880\n000002.jpg 2937\n",
    "list_eval_partition.txt": "000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n",
    "list_bbox_celeba.txt": """3
image_id x_1 y_1 width height
000001.jpg    95  71 226 313
000002.jpg    72  94 221 306
000003.jpg   216  59  91 126
""",
    "list_landmarks_align_celeba.txt": """3
lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y
000001.jpg 69  109  106  113   77  142   73  152  108  154
000002.jpg 69  110  107  112   81  135   70  151  108  153
000003.jpg 76  112  104  106  108  128   74  156   98  158
""",
    "list_landmarks_celeba.txt": """3
lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y
000001.jpg 165  184  244  176  196  249  194  271  266  260
000002.jpg 140  204  220  204  168  254  146  289  226  289
000003.jpg 244  104  264  105  263  121  235  134  251  140
""",
}
SMILING = {"kind": "binary", "level": "image", "family": "label"}


@pytest.fixture(params=["flat", "as downloaded"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The files in one folder, or as they are downloaded."""
    folders = {"list_eval_partition.txt": "Eval"} if request.param == "as downloaded" else {}
    for name, text in FILES.items():
        folder = tmp_path / folders.get(name, "Anno" if folders else "")
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    images = tmp_path / ("Img" if folders else "") / "img_align_celeba"
    images.mkdir(parents=True)
    (images / "000002.jpg").write_bytes(b"two")
    return tmp_path


def test_all_files_are_joined_by_image(root: Path, settings_of: Settings) -> None:
    settings = settings_of(
        "celeba",
        root,
        align={"by": "landmarks"},
        splits={"by": "source"},
        attributes={"smiling": SMILING, "5_o_clock_shadow": SMILING},
    )
    celeba.check_celeba(settings)
    found = celeba.list_celeba(settings)
    assert list(found.image_ids) == ["000001.jpg", "000002.jpg", "000003.jpg"]
    assert list(found.identities) == ["2880", "2937", "8692"]
    assert list(found.splits or ()) == ["train", "calibration", "test"]
    assert found.labels.to_dict("list") == {
        "5_o_clock_shadow": ["-1", "1", "-1"],
        "smiling": ["1", "-1", "1"],
    }
    assert found.landmarks is not None and found.landmarks.shape == (3, 5, 2)
    np.testing.assert_array_equal(
        found.landmarks[2], [[76, 112], [104, 106], [108, 128], [74, 156], [98, 158]]
    )
    assert found.boxes is None
    assert found.read(1) == b"two"
    with pytest.raises(FileNotFoundError):
        found.read(0)


def test_images_in_the_wild_have_boxes_and_landmarks(tmp_path: Path, settings_of: Settings) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "img_celeba").mkdir()
    given = settings_of("celeba", tmp_path, images="wild")
    celeba.check_celeba(given)
    found = celeba.list_celeba(given)
    assert found.boxes is not None and found.boxes[2].tolist() == [216, 59, 91, 126]
    assert found.landmarks is None and found.splits is None
    assert list(found.labels) == [] and len(found.labels) == 3
    placed = celeba.list_celeba(settings_of("celeba", tmp_path, images="wild", align={"by": "landmarks"}))
    assert placed.landmarks is not None and placed.landmarks[2, 1].tolist() == [264, 105]
    assert placed.boxes is None


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("list_attr_celeba.txt", "3\n", "4\n", "found 3 images, its first line says 4"),
        (
            "list_attr_celeba.txt",
            "3\n5_o",
            "5_o",
            "found .* in the second line, expected the number of images",
        ),
        (
            "list_attr_celeba.txt",
            "000002.jpg  1 -1 -1",
            "000002.jpg  1 -1",
            "found the line '000002.jpg 1 -1'",
        ),
        ("list_attr_celeba.txt", "000002", "000001", "image '000001.jpg' is there twice"),
        (
            "list_attr_celeba.txt",
            "000002",
            "000009",
            "has nothing for image '000002.jpg', which identity_CelebA",
        ),
        (
            "identity_CelebA.txt",
            "000003.jpg 8692",
            "000003.jpg",
            "found the line '000003.jpg', expected an im",
        ),
        ("list_eval_partition.txt", "jpg 2", "jpg 3", "found partition '3', allowed are 0, 1 and 2"),
        ("list_eval_partition.txt", "000001.jpg 0\n", "", "has nothing for image '000001.jpg'"),
        ("list_landmarks_align_celeba.txt", "lefteye_x", "eye_x", "in the second line, expected the number"),
        ("list_landmarks_align_celeba.txt", "77", "x", "found what is not a number"),
        ("list_landmarks_align_celeba.txt", "jpg 69", "jpg", "expected an image and 10 values"),
    ],
)
def test_a_file_that_is_not_as_published_is_refused(
    tmp_path: Path, settings_of: Settings, name: str, old: str, new: str, says: str
) -> None:
    for each, text in FILES.items():
        (tmp_path / each).write_text(text.replace(old, new, 1) if each == name else text)
    (tmp_path / "img_align_celeba").mkdir()
    settings = settings_of(
        "celeba",
        tmp_path,
        align={"by": "landmarks"},
        splits={"by": "source"},
        attributes={"smiling": SMILING},
    )
    with pytest.raises(ValueError, match=rf"{name}: .*{says}"):
        celeba.list_celeba(settings)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, "img_align_celeba"),
        ({}, "identity_CelebA.txt"),
        ({"images": "wild"}, "img_celeba"),
        ({"images": "wild"}, "list_bbox_celeba.txt"),
        ({"images": "wild", "align": {"by": "landmarks"}}, "list_landmarks_celeba.txt"),
        ({"align": {"by": "landmarks"}}, "list_landmarks_align_celeba.txt"),
        ({"splits": {"by": "source"}}, "list_eval_partition.txt"),
        ({"attributes": {"smiling": SMILING}}, "list_attr_celeba.txt"),
    ],
)
def test_a_file_that_is_missing_is_said_before_any_job(
    tmp_path: Path, settings_of: Settings, changes: dict[str, Any], missing: str
) -> None:
    settings = settings_of("celeba", tmp_path, **changes)
    for name in celeba.needed_files(settings):
        if name != missing:
            (tmp_path / name).mkdir()
    with pytest.raises(
        ConfigError, match=rf"^dataset\.path: found no {missing} in .*, allowed is a folder that"
    ):
        celeba.check_celeba(settings)
    (tmp_path / missing).mkdir()
    celeba.check_celeba(settings)


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, settings_of: Settings) -> None:
    (tmp_path / "identity_CelebA.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"identity_CelebA\.txt: cannot be read"):
        celeba.list_celeba(settings_of("celeba", tmp_path))
    with pytest.raises(ConfigError, match=r"^dataset\.path: found .*no, which is not a folder"):
        celeba.check_celeba(settings_of("celeba", tmp_path / "no"))
