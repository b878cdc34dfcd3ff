"""What all sources share."""

import os
from pathlib import Path

import pytest

from attribute_recovery.config_files import ConfigError
from attribute_recovery.dataset.sources import listing


def test_names_of_columns_become_names_of_attributes() -> None:
    assert listing.label_name(" Mouth_Slightly_Open") == "mouth_slightly_open"
    assert listing.label_name("5_o_Clock_Shadow") == "5_o_clock_shadow"
    assert listing.label_name("Größe (cm)") == "gr__e__cm_"


def test_a_table_without_pairs_has_the_columns_of_pairs() -> None:
    assert tuple(listing.no_pairs()) == listing.PAIR_COLUMNS
    assert listing.no_pairs()["genuine"].dtype == bool


def test_files_are_read_when_asked_for(tmp_path: Path) -> None:
    read = listing.reader_of_files(tmp_path, ["a/b.png", "gone.png"])
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.png").write_bytes(b"later")
    assert read(0) == b"later"
    with pytest.raises(FileNotFoundError):
        read(1)
    made = listing.Listing(["a/b.png", "gone.png"], ["a", "b"], read)
    assert len(made) == 2


def test_what_is_not_there_is_said_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^dataset\.x: found .*no, which is not a file; allowed is a table$"
    ):
        listing.require_file(tmp_path / "no", "dataset.x", "a table")
    with pytest.raises(ConfigError, match=r"^dataset\.x: found .*, which is not a file"):
        listing.require_file(tmp_path, "dataset.x", "a table")
    with pytest.raises(ConfigError, match=r"^dataset\.y: found .*no, which is not a folder; allowed is one$"):
        listing.require_folder(tmp_path / "no", "dataset.y", "one")
    listing.require_folder(tmp_path, "dataset.y", "one")


def test_a_label_has_one_column() -> None:
    listing.require_one_column(["a", "Hair", "b", "b"], ["a", "hair"], Path("t.csv"))
    with pytest.raises(
        ConfigError, match=r"^dataset\.attributes\.b: found the columns 'b' and 'B' in t\.csv"
    ):
        listing.require_one_column(["a", "b", "B"], ["b"], Path("t.csv"))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "real.png").write_bytes(b"real")
    read = listing.reader_of_files(tmp_path, ["pipe.png", "folder.png", "real.png", "gone.png"])
    for row in (0, 1):
        with pytest.raises(ValueError, match="is not a file"):
            read(row)
    assert read(2) == b"real"
    with pytest.raises(FileNotFoundError):
        read(3)
