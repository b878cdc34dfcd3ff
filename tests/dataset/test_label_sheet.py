"""A sheet to label from: numbered faces, a table to fill in that is then read as labels."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from attribute_recovery.dataset import label_sheet
from attribute_recovery.dataset.store import write_array, write_table


@pytest.fixture
def dataset(tmp_path: Path, faces: npt.NDArray[np.uint8]) -> dict[str, Path]:
    """Sixteen images: six of one person, two of each of five others."""
    people = [*["a"] * 6, *"bbccddeeff"]
    names = [f"{person}/{i}.png" for i, person in enumerate(people)]
    keys = {"image_id": names, "identity": people, "split": "train", "path": names, "sha256": names}
    write_table(pd.DataFrame(keys), tmp_path / "images.parquet")
    write_array(tmp_path / "images.bcolz", [faces], (64, 64, 3), np.uint8, 16)
    return {"images": tmp_path / "images.bcolz", "table": tmp_path / "images.parquet"}


def test_the_table_has_empty_cells_and_sheets_its_numbers(dataset: dict[str, Path], tmp_path: Path) -> None:
    written = label_sheet.write_label_sheet(
        **dataset,
        folder=tmp_path / "sheet",
        attributes=["glasses", "age"],
        n_images=None,
        seed=1,
        columns=3,
        rows=2,
    )
    assert [path.name for path in written] == ["labels.csv", "sheet-01.png", "sheet-02.png", "sheet-03.png"]
    table = pd.read_csv(written[0], dtype=str, keep_default_na=False)
    assert list(table) == ["number", "image_id", "identity", "glasses", "age"]
    assert table["number"].tolist() == [str(i) for i in range(1, 17)]
    assert table["image_id"].tolist() == pd.read_parquet(dataset["table"])["image_id"].tolist()
    assert (table[["glasses", "age"]] == "").all().all()
    assert [Image.open(path).size for path in written[1:]] == [(400, 300), (400, 300), (400, 300)]
    for path in written:
        assert path.stat().st_mode & 0o777 == 0o600


def test_images_are_spread_over_people(dataset: dict[str, Path]) -> None:
    table = pd.read_parquet(dataset["table"])
    for n in (6, 12, 13, 100):
        rows = label_sheet.choose_images(table, n, seed=2)
        assert len(set(rows)) == len(rows) == min(n, 16)
        assert (np.diff(rows) > 0).all()
        counts = Counter(table["identity"].iloc[rows])
        assert counts == {name: max(1, counts[name]) for name in "abcdef"}
        if n <= 12:
            assert set(counts.values()) == {n // 6}
    assert label_sheet.choose_images(table, 6, 3).tolist() != label_sheet.choose_images(table, 6, 4).tolist()


def test_faces_stand_below_their_numbers(faces: npt.NDArray[np.uint8]) -> None:
    page = np.asarray(label_sheet.contact_sheet(faces[:3], first=7, columns=2))
    assert page.shape == (2 * 148 + 4, 2 * 132 + 4, 3)
    large = np.asarray(Image.fromarray(faces[1]).resize((128, 128), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(page[20:148, 136:264], large)
    assert (page[4:20, 4:30] < 128).any()  # a number
    assert (page[152:, 136:] == 255).all()  # no fourth face


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"attributes": []}, "attributes: found none, allowed are the names of what is to be labelled"),
        ({"attributes": ["Big Nose"]}, "attributes: found 'Big Nose', allowed are names of lower-case lette"),
        ({"attributes": ["a", "a"]}, "attributes: found 'a', .* each once"),
        ({"attributes": ["identity"]}, "attributes: found 'identity', .* other than number, image_id and id"),
        ({"n_images": 0}, "n_images: found 0, allowed is 1 or more"),
        ({"columns": 0}, "columns: found 0, allowed is 1 or more"),
        ({"rows": 0}, "rows: found 0, allowed is 1 or more"),
    ],
)
def test_what_makes_no_sheet_is_refused(
    dataset: dict[str, Path], tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    values: dict[str, Any] = {"attributes": ["age"], "n_images": 4, "seed": 1, **changes}
    with pytest.raises(ValueError, match=says):
        label_sheet.write_label_sheet(**dataset, folder=tmp_path / "sheet", **values)
    assert not (tmp_path / "sheet").exists()


def test_a_table_that_somebody_may_have_filled_in_stays(dataset: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("mine")
    with pytest.raises(ValueError, match=r"labels\.csv: is there already; move it away, or name another fol"):
        label_sheet.write_label_sheet(**dataset, folder=tmp_path, attributes=["age"], n_images=4, seed=1)
    assert (tmp_path / "labels.csv").read_text() == "mine"
    with pytest.raises(ValueError, match=r"no\.parquet: is missing"):
        label_sheet.write_label_sheet(
            dataset["images"], tmp_path / "no.parquet", tmp_path / "x", attributes=["age"], n_images=4, seed=1
        )
