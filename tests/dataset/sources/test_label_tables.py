"""Labels from elsewhere are joined by image, MAAD-Face's numbers in its own meaning."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from attribute_recovery.config_files import ConfigError
from attribute_recovery.dataset.sources import label_tables
from attribute_recovery.dataset.sources.listing import Listing

Settings = Callable[..., Any]
BINARY = {"kind": "binary", "level": "image", "family": "label"}
MAAD = """Filename,Identity,Male,Young,Wearing_Hat
n000002/0001_01.jpg,n000002,1,0,-1
n000002/0002_01.jpg,n000002,1,-1,1
n000009/0001_01.jpg,n000009,-1,1,0
"""


def listing(names: list[str], labels: pd.DataFrame | None = None) -> Listing:
    """Images by name that nobody reads."""
    people = [name.split("/")[0] for name in names]
    labels = pd.DataFrame() if labels is None else labels
    sources = dict.fromkeys(labels, "own.csv")
    return Listing(names, people, lambda row: b"", labels=labels, label_sources=sources)


@pytest.fixture
def settings(tmp_path: Path, settings_of: Settings) -> Callable[..., Any]:
    """Settings of folders with label tables, of (name, text, format, key), and these attributes."""

    def made(attributes: list[str], *tables: tuple[str, str, str, str]) -> Any:
        entries = []
        for name, text, kind, key in tables:
            (tmp_path / name).write_text(text)
            entries.append({"path": str(tmp_path / name), "format": kind, "key": key})
        return settings_of("folders", tmp_path, labels=entries, attributes=dict.fromkeys(attributes, BINARY))

    return made


def test_maad_face_is_joined_with_0_as_missing_and_minus_1_as_off(settings: Callable[..., Any]) -> None:
    chosen = settings(["young", "wearing_hat"], ("maad.csv", MAAD, "maad", "Filename"))
    assert set(label_tables.check_label_tables(chosen)) == {"identity", "male", "young", "wearing_hat"}
    names = ["n000002/0002_01.jpg", "n000002/0003_01.jpg", "n000009/0001_01.jpg"]
    found = label_tables.with_label_tables(listing(names), chosen)
    assert found.labels.to_dict("list") == {"young": ["0", None, "1"], "wearing_hat": ["1", None, None]}
    assert found.label_sources == {"young": "maad.csv", "wearing_hat": "maad.csv"}
    assert list(found.remarks) == [
        "the table of dataset.labels.0 has no labels for 1 images",
        "the table of dataset.labels.0 has labels for 1 images that are not among these",
    ]


def test_several_tables_and_own_labels_stand_side_by_side(settings: Callable[..., Any]) -> None:
    chosen = settings(
        ["hat", "smile", "own"],
        ("a.csv", "id,hat\na/2.png,1\na/1.png,0\n", "table", "id"),
        ("b.csv", "image,Smile,other\na/1.png,,3\na/2.png,yes,4\n", "table", "image"),
    )
    own = pd.DataFrame({"own": ["1", None]}, dtype=object)
    found = label_tables.with_label_tables(listing(["a/1.png", "a/2.png"], own), chosen)
    assert found.labels.to_dict("list") == {"own": ["1", None], "hat": ["0", "1"], "smile": [None, "yes"]}
    assert found.label_sources == {"own": "own.csv", "hat": "a.csv", "smile": "b.csv"}
    assert list(found.remarks) == []


def test_without_tables_nothing_changes(settings: Callable[..., Any]) -> None:
    found = label_tables.with_label_tables(listing(["a/1.png"]), settings([]))
    assert list(found.labels) == [] and len(found.labels) == 1
    assert found.label_sources == {}


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("id,hat\na/1.png,1\na/1.png,0\n", "table", r"t\.csv: image 'a/1\.png' is there twice"),
        ("id,hat\n1.png,1\n", "table", r"t\.csv: names none of the images: its column 'id' has '1\.png', th"),
        ("id,hat\n", "table", r"t\.csv: has no rows, expected one for each image"),
        ("id,hat\na/1.png,2\n", "maad", r"t\.csv: column 'hat' holds '2', MAAD-Face has -1, 0 and 1"),
        ("id,own\na/1.png,1\n", "table", r"t\.csv: label 'own' is in another table too"),
    ],
)
def test_tables_that_do_not_fit_are_refused(
    settings: Callable[..., Any], text: str, kind: str, says: str
) -> None:
    own = pd.DataFrame({"own": ["1"]}, dtype=object)
    with pytest.raises(ValueError, match=says):
        label_tables.with_label_tables(
            listing(["a/1.png"], own), settings(["hat", "own"], ("t.csv", text, kind, "id"))
        )


def test_what_is_missing_is_said_before_any_job(settings: Callable[..., Any], tmp_path: Path) -> None:
    good = ("a.csv", "id,hat\na/1.png,1\n", "table", "id")
    with pytest.raises(ConfigError, match=r"^dataset\.labels\.1\.key: found 'x', allowed are the columns of"):
        label_tables.check_label_tables(settings(["hat"], good, ("b.csv", "id\n", "table", "x")))
    with pytest.raises(ConfigError, match=r"^dataset\.labels\.0\.path: .*a\.csv: is empty"):
        label_tables.check_label_tables(settings(["hat"], ("a.csv", "", "table", "id")))
    with pytest.raises(ConfigError, match=r"^dataset\.labels\.1\.path: found the label hat in b\.csv and in"):
        label_tables.check_label_tables(settings(["hat"], good, ("b.csv", "id,Hat\n", "table", "id")))
    chosen = settings(["hat"], good)
    (tmp_path / "a.csv").unlink()
    with pytest.raises(ConfigError, match=r"^dataset\.labels\.0\.path: found .*a\.csv, which is not a file"):
        label_tables.check_label_tables(chosen)


@pytest.mark.parametrize("written", ["./Jos\u00e9/1.png", "Jos\u00e9\\1.png", "Jose\u0301/1.png"])
def test_paths_that_mean_the_same_image_are_joined(settings: Callable[..., Any], written: str) -> None:
    chosen = settings(
        ["hat"], ("labels.csv", f"image_id,hat\n{written},1\nbo/1.png,0\n", "table", "image_id")
    )
    for name in ("Jos\u00e9/1.png", "Jose\u0301/1.png"):
        found = label_tables.with_label_tables(listing(["bo/1.png", name]), chosen)
        assert found.labels["hat"].tolist() == ["0", "1"]
        assert found.image_ids == ["bo/1.png", name] and not found.remarks


def test_images_whose_names_differ_in_form_alone_are_kept_apart(settings: Callable[..., Any]) -> None:
    names = ["Jos\u00e9/1.png", "Jose\u0301/1.png"]
    text = f"image_id,hat\n{names[0]},1\n{names[1]},0\n"
    found = label_tables.with_label_tables(
        listing(names), settings(["hat"], ("labels.csv", text, "table", "image_id"))
    )
    assert found.labels["hat"].tolist() == ["1", "0"]


def test_a_label_in_two_columns_is_refused(settings: Callable[..., Any]) -> None:
    chosen = settings(["hat"], ("labels.csv", "image_id,Hat,hat\na/1.png,1,0\n", "table", "image_id"))
    with pytest.raises(ConfigError, match=r"^dataset\.attributes\.hat: found the columns 'Hat' and 'hat'"):
        label_tables.check_label_tables(chosen)
