"""The digest of photographs changes with what the data set is made from, and with nothing else."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.config_faces import FacesDataset
from attribute_recovery.dataset.sources.watched import photographs_digest
from attribute_recovery.dataset.store import write_array

Settings = Callable[..., FacesDataset]
NAMES = ("ann/1.png", "ann/2.jpg", "bo/1.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / "faces" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "faces" / name).write_bytes(name.encode())
    return tmp_path / "faces"


def settled(path: Path, content: bytes) -> None:
    """Write a file that has the same time as before."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture(params=["folders", "lfw", "table", "celeba"])
def settings(
    request: pytest.FixtureRequest, settings_of: Settings, root: Path, tmp_path: Path
) -> FacesDataset:
    """Sources of files, all of the same photographs."""
    if request.param == "table":
        rows = [{"path": name, "identity": name.split("/")[0]} for name in NAMES]
        pd.DataFrame(rows).to_csv(tmp_path / "faces.csv", index=False)
        return settings_of("table", tmp_path / "faces.csv", root=str(root))
    if request.param == "celeba":
        (root / "img_align_celeba").symlink_to(root / "ann")
        return settings_of("celeba", root)
    return settings_of(request.param, root)


def test_what_changes_photographs_changes_the_digest(settings: FacesDataset, root: Path) -> None:
    found = [photographs_digest(settings)]
    assert photographs_digest(settings) == found[0]
    os.utime(root / "ann/1.png", ns=(5, 5))
    found.append(photographs_digest(settings))
    settled(root / "ann/1.png", b"another length")
    found.append(photographs_digest(settings))
    (root / "ann/1.png").rename(root / "ann/3.png")
    found.append(photographs_digest(settings))
    (root / "ann/3.png").unlink()
    if settings.source != "table":  # where it was gone before
        found.append(photographs_digest(settings))
    (root / "ann/1.png").symlink_to(root / "gone.png")
    found.append(photographs_digest(settings))
    if settings.source == "table":
        found.pop()
    assert len(set(found)) == len(found)


def test_photographs_that_come_are_seen_where_they_are_used(settings: FacesDataset, root: Path) -> None:
    before = photographs_digest(settings)
    (root / "ann/new.png").write_bytes(b"new")
    assert (photographs_digest(settings) == before) == (settings.source == "table")


def test_other_files_do_not_matter(settings: FacesDataset, root: Path) -> None:
    before = photographs_digest(settings)
    for name in (".DS_Store", "notes.txt", "._1.png"):
        (root / "ann" / name).write_bytes(b"x")
    (root / "thumbs.db").write_bytes(b"x")
    assert photographs_digest(settings) == before


def test_arrays_are_watched_chunk_by_chunk_and_files_of_pairs_by_content(
    settings_of: Settings, tmp_path: Path
) -> None:
    pixels = np.zeros((4, 3, 8, 8), np.float32)
    write_array(tmp_path / "lfw", [pixels], pixels.shape[1:], np.float32, 4)
    settings: Any = settings_of("insightface", tmp_path)
    before = photographs_digest(settings)
    assert photographs_digest(settings) == before
    os.utime(next((tmp_path / "lfw" / "data").iterdir()), ns=(7, 7))
    assert photographs_digest(settings) != before
    one = photographs_digest(settings_of("insightface", tmp_path, form="bin"))
    (tmp_path / "lfw.bin").write_bytes(b"x")
    assert photographs_digest(settings_of("insightface", tmp_path, form="bin")) == one


def test_a_folder_or_table_that_is_gone_is_said(settings_of: Settings, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no: cannot be read as a folder"):
        photographs_digest(settings_of("folders", tmp_path / "no"))
    with pytest.raises(ValueError, match=r"no\.csv"):
        photographs_digest(settings_of("table", tmp_path / "no.csv", root=str(tmp_path)))
