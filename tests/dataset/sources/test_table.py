"""Tables of faces: columns by name, paths below a root, landmarks, splits, labels that are declared."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.config_faces import FacesDataset
from attribute_recovery.config_files import ConfigError
from attribute_recovery.dataset.sources import table
from attribute_recovery.dataset.sources.listing import LANDMARKS

Settings = Callable[..., Any]
BINARY = {"kind": "binary", "level": "image", "family": "label"}
COLUMNS = {"path": "file", "identity": "who", "split": "part"}


@pytest.fixture
def written(tmp_path: Path, settings_of: Settings) -> Callable[..., FacesDataset]:
    """Settings of a table that was written with these columns."""

    def made(content: dict[str, list[Any]], name: str = "t.csv", **changes: Any) -> FacesDataset:
        (tmp_path / "root").mkdir(exist_ok=True)
        frame = pd.DataFrame(content)
        if name.endswith(".csv"):
            frame.to_csv(tmp_path / name, index=False)
        else:
            frame.to_parquet(tmp_path / name)
        values = {"root": str(tmp_path / "root"), "columns": COLUMNS, **changes}
        return settings_of("table", tmp_path / name, **values)

    return made


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_rows_are_images_by_path(written: Callable[..., Any], tmp_path: Path, name: str) -> None:
    settings = written(
        {
            "file": ["b/1.png", "a\\2.png", "./a/1.png"],
            "who": [7, 8, 8],
            "part": ["test", "train", "train"],
            "Big Nose": [1, None, 0],
            "other": [1, 2, 3],
        },
        name,
        splits={"by": "source"},
        attributes={"big_nose": BINARY},
    )
    table.check_table(settings)
    found = table.list_table(settings)
    assert list(found.image_ids) == ["a/1.png", "a/2.png", "b/1.png"]
    assert list(found.identities) == ["8", "8", "7"]
    assert list(found.splits or ()) == ["train", "train", "test"]
    assert list(found.labels) == ["big_nose"]
    assert found.labels["big_nose"].isna().tolist() == [False, True, False]
    assert found.label_sources == {"big_nose": name}
    assert table.label_columns(settings) == ["Big Nose", "other"]
    (tmp_path / "root" / "a").mkdir()
    (tmp_path / "root" / "a" / "2.png").write_bytes(b"image")
    assert found.read(1) == b"image"


def test_absolute_paths_below_the_root_are_taken(written: Callable[..., Any], tmp_path: Path) -> None:
    inside = str((tmp_path / "root" / "a.png").absolute())
    found = table.list_table(written({"file": [inside], "who": ["x"], "part": ["test"]}))
    assert list(found.image_ids) == ["a.png"]
    assert found.splits is None


def test_landmarks_are_five_points_each(written: Callable[..., Any]) -> None:
    places = {name: [float(i), 100.0 + i, None] for i, name in enumerate(LANDMARKS)}
    settings = written(
        {"file": ["a", "b", "c"], "who": ["x", "y", "z"], "part": ["", "", ""], **places},
        align={"by": "landmarks"},
    )
    table.check_table(settings)
    found = table.list_table(settings).landmarks
    assert found is not None
    np.testing.assert_array_equal(found[0], np.arange(10.0).reshape(5, 2))
    np.testing.assert_array_equal(found[1], 100 + np.arange(10.0).reshape(5, 2))
    assert np.isnan(found[2]).all()
    assert table.label_columns(settings) == []


GOOD: dict[str, list[Any]] = {"file": ["a", "b"], "who": ["x", "y"], "part": ["test", "train"]}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"file": ["a", "./a"]}, "image 'a' is there twice; allowed is one row an image"),
        ({"file": ["a", ""]}, "column 'file' has no value in row 2; allowed is a text"),
        ({"who": ["", "y"]}, "column 'who' has no value in row 1"),
        ({"part": ["test", ""]}, "column 'part' has no value in row 2"),
        ({"file": ["a", "../b"]}, "found the path '../b', allowed are paths below the root"),
        ({"file": ["a", "/etc/b"]}, "found the path '/etc/b', allowed are paths below the root"),
    ],
)
def test_rows_that_cannot_be_are_refused(
    written: Callable[..., Any], changes: dict[str, list[Any]], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        table.list_table(written({**GOOD, **changes}, splits={"by": "source"}))


def test_landmarks_that_are_no_numbers_are_refused(written: Callable[..., Any]) -> None:
    places = {name: ["1", "left"] for name in LANDMARKS}
    with pytest.raises(ValueError, match="a landmark is not a number"):
        table.list_table(written({**GOOD, **places}, align={"by": "landmarks"}))


@pytest.mark.parametrize(
    ("content", "changes", "says"),
    [
        (GOOD, {"path": "no.csv"}, r"dataset\.path: found no\.csv, which is not a file"),
        (GOOD, {"root": "no"}, r"dataset\.root: found no, which is not a folder"),
        (
            {"file": ["a"], "who": ["x"]},
            {},
            r"dataset\.columns\.split: found 'part', allowed are the columns of .*t\.csv: file, who$",
        ),
        ({"path": ["a"], "who": ["x"], "part": ["y"]}, {}, r"dataset\.columns\.path: found 'file', allowed"),
        (
            {"file": ["a"], "name": ["x"], "part": ["y"]},
            {},
            r"dataset\.columns\.identity: found 'who', allowed",
        ),
        (
            GOOD,
            {"splits": {"by": "source"}, "columns": {"path": "file", "identity": "who", "split": None}},
            r"dataset\.columns\.split: found null, allowed is a column where splits are by source",
        ),
        (
            GOOD,
            {"align": {"by": "landmarks"}},
            r"dataset\.align\.by: found landmarks, but .*t\.csv has no column 'lefteye_x'; allowed are det",
        ),
    ],
)
def test_what_is_missing_is_said_before_any_job(
    written: Callable[..., Any], content: dict[str, list[Any]], changes: dict[str, Any], says: str
) -> None:
    settings = written(content, **{key: value for key, value in changes.items() if key != "path"})
    if "path" in changes:
        settings = settings.model_copy(update={"path": Path(changes["path"])})
    with pytest.raises(ConfigError, match=f"^{says}"):
        table.check_table(settings)


def test_a_file_that_is_no_table_is_said_before_any_job(written: Callable[..., Any], tmp_path: Path) -> None:
    settings = written(GOOD)
    (tmp_path / "t.csv").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"^dataset\.path: .*t\.csv: is empty"):
        table.check_table(settings)
