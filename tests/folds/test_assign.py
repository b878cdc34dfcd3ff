"""The data set of a fold."""

from pathlib import Path

import pandas as pd
import pytest

from attribute_recovery.dataset.store import read_table, write_table
from attribute_recovery.folds.assign import assign_roles


def images(folds: bool = True) -> pd.DataFrame:
    """Six people with two images each, in three folds."""
    rows = [
        {"image_id": f"{i}/{j}", "identity": str(i), "split": "test", "path": f"{i}/{j}", "sha256": "0"}
        for i in range(6)
        for j in range(2)
    ]
    table = pd.DataFrame(rows)
    return table.assign(fold=[1 + i % 3 for i in range(6) for _ in range(2)]) if folds else table


def assigned(folder: Path, number: int) -> pd.DataFrame:
    """The table of a fold."""
    write_table(images(), folder / "images.parquet")
    (folder / "attributes.json").write_text("[]")
    target = folder / f"fold_{number}/dataset"
    assign_roles(
        number,
        3,
        table=folder / "images.parquet",
        attributes=folder / "attributes.json",
        fold_table=target / "images.parquet",
        fold_attributes=target / "attributes.json",
    )
    assert (target / "attributes.json").read_text() == "[]"
    assert (target / "images.parquet").stat().st_mode & 0o077 == 0
    return read_table(target / "images.parquet")


def test_everybody_is_held_out_once_calibrates_once_and_trains_otherwise(tmp_path: Path) -> None:
    tables = [assigned(tmp_path, number) for number in (1, 2, 3)]
    for table in tables:
        assert table["image_id"].tolist() == images()["image_id"].tolist()
        assert "fold" not in table
        assert table.groupby("identity")["split"].nunique().max() == 1
        assert table["split"].value_counts().to_dict() == {"train": 4, "calibration": 4, "test": 4}
    together = pd.concat(tables)
    assert together.groupby("image_id")["split"].apply(sorted).map(tuple).unique().tolist() == [
        ("calibration", "test", "train")
    ]


def test_a_table_without_folds_is_refused(tmp_path: Path) -> None:
    write_table(images(folds=False), tmp_path / "images.parquet")
    with pytest.raises(ValueError, match="column 'fold' is missing"):
        assign_roles(
            1,
            3,
            table=tmp_path / "images.parquet",
            attributes=tmp_path / "attributes.json",
            fold_table=tmp_path / "f.parquet",
            fold_attributes=tmp_path / "f.json",
        )
    assert not (tmp_path / "f.parquet").exists()
