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
    found = sum(1 for _ in _folders(root))
    if found < 2:
        raise ConfigError(f"dataset.path: found {found} folders in {root}, allowed is {WHAT}, at least 2")


def list_folders(settings: FoldersDataset) -> Listing:
    """All images below the root, by path; an image's identity is the folder right below the root.

    Raises:
        ValueError: there are none.
    """
    return list_root(settings.path)


def list_root(root: Path) -> Listing:
    """The listing of `list_folders` for a root.

    Raises:
        ValueError: there are no images.
    """
    found, ignored = [], sum(1 for entry in os.scandir(root) if entry.is_file())
    for folder in sorted(_folders(root)):
        for above, _, names in os.walk(folder):
            images = [name for name in names if name.lower().endswith(ENDINGS) and not name.startswith(".")]
            ignored += len(names) - len(images)
            found += [(Path(above) / name).relative_to(root).as_posix() for name in images]
    if not found:
        raise ValueError(f"{root}: found no image, expected {WHAT} ({', '.join(ENDINGS)})")
    found.sort()
    identities = [image_id.split("/", 1)[0] for image_id in found]
    return Listing(found, identities, reader_of_files(root, found), ignored=ignored)


def _folders(root: Path) -> Iterator[Path]:
    """The folders right below the root, links to folders too."""
    return (Path(entry.path) for entry in os.scandir(root) if entry.is_dir() and entry.name[:1] != ".")
