"""Faces in folders `identity/image`."""

import os
from collections.abc import Iterator
from pathlib import Path

from attribute_recovery.config_faces import FoldersDataset
from attribute_recovery.config_files import ConfigError
from attribute_recovery.dataset.sources.listing import Listing, reader_of_files, require_folder

ENDINGS = (".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".webp")
WHAT = "a folder that holds a folder of images for each identity"


def check_folders(settings: FoldersDataset) -> None:
    """Check that there are at least two folders; light.

    Raises:
        ConfigError: there are not; the sentence begins with the key.
    """
    check_root(settings.path)


def check_root(root: Path) -> None:
    """Check that a folder holds at least two others; light.

    Raises:
        ConfigError: it does not; the sentence begins with the key.
    """
    require_folder(root, "dataset.path", WHAT)
    try:
        found = sum(map(_is_shown_folder, _scanned(root)))
    except ValueError as error:
        raise ConfigError(f"dataset.path: {error}") from None
    if found < 2:
        raise ConfigError(f"dataset.path: found {found} folders in {root}, allowed is {WHAT}, at least 2")


def list_folders(settings: FoldersDataset) -> Listing:
    """All images below the root, by path; an image's identity is the folder right below the root.

    Raises:
        ValueError: there are none, one has a name that is not UTF-8, or a folder cannot be read.
    """
    return list_root(settings.path)


def list_root(root: Path) -> Listing:
    """The listing of `list_folders` for a root.

    Raises:
        ValueError: as there.
    """
    found, ignored = [], sum(_is_ignored(entry) for entry in _scanned(root))
    for image_id, entry in files_below(root):
        if is_image(entry.name):
            _require_text(image_id, root)
            found.append(image_id)
        else:
            ignored += _is_ignored(entry)
    if not found:
        raise ValueError(f"{root}: found no image, expected {WHAT} ({', '.join(ENDINGS)})")
    found.sort()
    identities = [image_id.split("/", 1)[0] for image_id in found]
    return Listing(found, identities, reader_of_files(root, found), ignored=ignored)


def is_image(name: str) -> bool:
    """Whether a file is an image by its name; hidden ones are not, which macOS writes beside images."""
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def files_below(root: Path) -> "Iterator[tuple[str, os.DirEntry[str]]]":
    """Every file in the folders of a root, in no order: its path relative to the root, and its entry.

    Links are followed, but not to a folder that they lie in. Folders whose name begins with a point are left
    out, as are files in the root itself.

    Raises:
        ValueError: a folder cannot be read.
    """
    for entry in _scanned(root):
        if _is_shown_folder(entry):
            yield from _below(entry, entry.name, [os.path.realpath(root)])


def _below(
    folder: "os.DirEntry[str]", shown: str, above: list[str]
) -> "Iterator[tuple[str, os.DirEntry[str]]]":
    linked = folder.is_symlink()
    real = os.path.realpath(folder.path) if linked else os.path.join(above[-1], folder.name)
    if linked and real in above:
        return
    for entry in _scanned(folder.path):
        name = f"{shown}/{entry.name}"
        if _is_shown_folder(entry):
            yield from _below(entry, name, [*above, real])
        elif not _is_folder(entry):
            yield name, entry


def _scanned(folder: Path | str) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise ValueError(f"{folder}: cannot be read as a folder ({error.strerror})") from error


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_shown_folder(entry: "os.DirEntry[str]") -> bool:
    return entry.name[:1] != "." and _is_folder(entry)


def _is_ignored(entry: "os.DirEntry[str]") -> bool:
    return entry.name[:1] != "." and not _is_folder(entry)


def _require_text(image_id: str, root: Path) -> None:
    """Tables hold UTF-8, and older systems wrote names in other encodings."""
    try:
        image_id.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"{root}: found an image called {os.fsencode(image_id)!r}, which is not UTF-8; allowed are names "
            "in UTF-8"
        ) from None
