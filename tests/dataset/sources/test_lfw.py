"""LFW's pairs in their published layout."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attribute_recovery.config_files import ConfigError
from attribute_recovery.dataset.sources import lfw

Settings = Callable[..., Any]

IMAGES = [f"{name}/{name}_{number:04d}.jpg" for name in ("Ann_Lee", "Bo", "Cy") for number in (1, 2, 11)]
PAIRS = """2\t1
Ann_Lee\t1\t11
Bo\t2\tCy\t1
Cy\t1\t2
Ann_Lee\t2\tBo\t1
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three people's folders, and pairs.txt beside them."""
    for name in IMAGES:
        (tmp_path / "lfw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lfw" / name).write_bytes(name.encode())
    (tmp_path / "pairs.txt").write_text(PAIRS)
    return tmp_path


def test_pairs_are_those_of_the_file_by_fold(root: Path, settings_of: Settings) -> None:
    settings = settings_of("lfw", root / "lfw", pairs=str(root / "pairs.txt"))
    lfw.check_lfw(settings)
    found = lfw.list_lfw(settings)
    assert list(found.image_ids) == IMAGES
    assert list(found.identities) == ["Ann_Lee"] * 3 + ["Bo"] * 3 + ["Cy"] * 3
    assert found.pairs is not None
    assert found.pairs.to_dict("split")["data"] == [
        [0, "Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0011.jpg", True],
        [0, "Bo/Bo_0002.jpg", "Cy/Cy_0001.jpg", False],
        [1, "Cy/Cy_0001.jpg", "Cy/Cy_0002.jpg", True],
        [1, "Ann_Lee/Ann_Lee_0002.jpg", "Bo/Bo_0001.jpg", False],
    ]
    assert found.pairs["genuine"].dtype == bool


def test_a_file_of_one_fold_says_so_by_one_number(root: Path) -> None:
    (root / "pairs.txt").write_text("1\nAnn_Lee\t1\t2\nBo\t1\tCy\t1\n")
    assert lfw.read_pairs(root / "pairs.txt", IMAGES)["fold"].tolist() == [0, 0]


def test_pairs_may_be_left_out(root: Path, settings_of: Settings) -> None:
    settings = settings_of("lfw", root / "lfw")
    lfw.check_lfw(settings)
    assert lfw.list_lfw(settings).pairs is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "2\t1\n",
            "two\t1\n",
            "found 'two 1' in the first line, expected the number of folds and of genuine",
        ),
        (PAIRS, "", "found '' in the first line"),
        ("2\t1\n", "2\t2\n", "found 4 pairs, its first line says 2 × 2 × 2"),
        (
            "Cy\t1\t2",
            "Cy\t1",
            "found the line 'Cy 1', expected `name first second` or `name first other_name",
        ),
        ("Cy\t1\t2", "Cy\t1\tx", "found the line 'Cy 1 x'"),
        (
            "Cy\t1\t2",
            "Cy\t1\tBo\t2",
            "among the genuine ones of fold 2, expected 1 genuine pairs and then 1 imp",
        ),
        ("Bo\t2\tCy\t1", "Bo\t2\tBo\t1", "among the impostor ones of fold 1"),
    ],
)
def test_a_file_that_is_not_as_published_is_refused(root: Path, old: str, new: str, says: str) -> None:
    (root / "pairs.txt").write_text(PAIRS.replace(old, new))
    with pytest.raises(ValueError, match=rf"pairs\.txt: .*{says}"):
        lfw.read_pairs(root / "pairs.txt", IMAGES)


def test_pairs_of_images_that_are_not_there_are_kept_to_be_counted(root: Path) -> None:
    (root / "pairs.txt").write_text(PAIRS.replace("Cy\t1\t2", "Cy\t1\t3"))
    found = lfw.read_pairs(root / "pairs.txt", IMAGES)
    assert len(found) == 4
    assert found.loc[2, ["first", "second"]].tolist() == ["Cy/Cy_0001.jpg", "Cy/Cy_0003"]
    with pytest.raises(
        ValueError, match=r"names none of the images: its first is Ann_Lee/Ann_Lee_0001, the im"
    ):
        lfw.read_pairs(root / "pairs.txt", ["Di/Di_0001.jpg", "Di/Di_0002.jpg"])


def test_what_is_missing_is_said_before_any_job(root: Path, settings_of: Settings) -> None:
    with pytest.raises(
        ConfigError, match=r"^dataset\.pairs: found .*no\.txt, which is not a file; allowed is LFW's"
    ):
        lfw.check_lfw(settings_of("lfw", root / "lfw", pairs=str(root / "no.txt")))
    with pytest.raises(ConfigError, match=r"^dataset\.path: found .*no, which is not a folder"):
        lfw.check_lfw(settings_of("lfw", root / "no"))
    with pytest.raises(ValueError, match=r"no\.txt: cannot be read"):
        lfw.read_pairs(root / "no.txt", IMAGES)
