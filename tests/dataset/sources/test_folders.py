"""Folders identity/image: what is found, and what is not an image."""

import os
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
    assert found.ignored == 2  # hidden files are there one day and gone the next
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


def made(root: Path, *names: str) -> Path:
    """A folder of empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_links_are_followed_and_end(tmp_path: Path) -> None:
    root = made(tmp_path / "root", "ann/1.png", "bo/deep/1.png")
    made(tmp_path / "film", "7.png")
    (root / "ann" / "more").symlink_to(tmp_path / "film")
    (root / "ann" / "2.png").symlink_to(tmp_path / "film" / "7.png")
    (root / "bo" / "deep" / "up").symlink_to(root)
    (root / "bo" / "deep" / "self").symlink_to(root / "bo")
    (root / "ann" / "loop.png").symlink_to(root / "ann" / "loop.png")
    (root / "ann" / "gone.png").symlink_to(tmp_path / "gone.png")
    found = folders.list_root(root)
    names = ["ann/1.png", "ann/2.png", "ann/gone.png", "ann/loop.png", "ann/more/7.png", "bo/deep/1.png"]
    assert list(found.image_ids) == names
    for broken in (2, 3):
        with pytest.raises(OSError):
            found.read(broken)


def test_a_link_that_leads_to_itself_is_no_person(settings_of: Callable[..., object], tmp_path: Path) -> None:
    root = made(tmp_path / "root", "ann/1.png", "bo/1.png")
    (root / "loop").symlink_to(root / "loop")
    folders.check_folders(settings_of("folders", root))
    assert set(folders.list_root(root).identities) == {"ann", "bo"}


def test_names_of_all_languages_are_read_and_other_encodings_refused(tmp_path: Path) -> None:
    names = ["José Núñez/1.png", "李/照片 1.PNG", "a b/c\td.png", 'o\'hara "x"/%41?.png']
    root = made(tmp_path / "root", *names)
    found = folders.list_root(root)
    assert set(found.image_ids) == set(names)
    (root / "ann").mkdir()
    latin = os.fsencode(root / "ann") + b"/Ren\xe9.png"
    with open(latin, "wb"):
        pass
    with pytest.raises(ValueError, match=r"found an image called b'ann/Ren\\xe9\.png', which is not UTF-8"):
        folders.list_root(root)
    os.rename(latin, os.fsencode(root / "ann") + b"/Ren\xe9.txt")
    assert folders.list_root(root).ignored == 1


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = made(tmp_path / "root", "ann/1.png", "bo/1.png")
    scan = os.scandir

    def refused(folder: object) -> object:
        if str(folder).endswith("bo"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(ValueError, match=r"bo: cannot be read as a folder \(Permission denied\)"):
        folders.list_root(root)
