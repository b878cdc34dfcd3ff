"""Folders identity/image: what is found, and what is not an image."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from attribute_recovery.config_files import ConfigError
from attribute_recovery.dataset.sources import folders


def test_images_are_found_by_path_whatever_their_ending(
    settings_of: Callable[..., object], tmp_path: Path
) -> None:
    for name in (
        "b/2.JPG",
        "b/1.webp",
        "b/film/7.pgm",
        "a/x.png",
        "a/readme.txt",
        "a/.hidden.png",
        "list.csv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "1.png").touch()
    found = folders.list_folders(settings_of("folders", tmp_path))
    assert list(found.image_ids) == ["a/x.png", "b/1.webp", "b/2.JPG", "b/film/7.pgm"]
    assert list(found.identities) == ["a", "b", "b", "b"]
    assert found.ignored == 3
    assert found.read(3) == b"b/film/7.pgm"
    assert (found.splits, found.landmarks, found.pairs) == (None, None, None)


def test_a_folder_that_is_a_link_counts(settings_of: Callable[..., object], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1.png").touch()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "ann").symlink_to(tmp_path / "elsewhere")
    assert list(folders.list_root(tmp_path / "root").image_ids) == ["ann/1.png"]


def test_a_root_that_cannot_be_one_is_refused(
    settings_of: Callable[..., object], tmp_path: Path, face_folder: Callable[[Mapping[str, int]], Path]
) -> None:
    with pytest.raises(
        ConfigError, match=r"^dataset\.path: found .*no, which is not a folder; allowed is a folder that"
    ):
        folders.check_folders(settings_of("folders", tmp_path / "no"))
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a").mkdir()
    with pytest.raises(
        ConfigError, match=r"^dataset\.path: found 1 folders in .*one, allowed is .* at least 2$"
    ):
        folders.check_folders(settings_of("folders", tmp_path / "one"))
    with pytest.raises(ValueError, match=r"one: found no image, expected a folder that holds .*\.png, \.jpg"):
        folders.list_folders(settings_of("folders", tmp_path / "one"))
    folders.check_folders(settings_of("folders", face_folder({"a": 1, "b": 1})))
