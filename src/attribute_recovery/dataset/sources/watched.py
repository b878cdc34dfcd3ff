"""Whether photographs have come, gone or changed: a digest of their names, sizes and times; none is read.

For a workflow engine, which watches the files that it is told of by name, and could not watch so many.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from attribute_recovery.config_faces import (
    CelebaDataset,
    FacesDataset,
    FoldersDataset,
    InsightfaceDataset,
    LfwDataset,
    TableDataset,
)
from attribute_recovery.dataset.sources import celeba
from attribute_recovery.dataset.sources.folders import files_below, is_image
from attribute_recovery.dataset.sources.text_table import read_text_table

# Of a file that is not there.
NONE = "none"


def photographs_digest(settings: FacesDataset) -> str:
    """Digest of the photographs of a source: of path below the root, size and time of change of each.

    Equal digests mean that nobody has touched them; different ones that the data set is to be made anew, not
    that it will have other content. Files that `source_files` names are left out, being watched by content.

    Args:
        settings: section `dataset`.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: a folder or the table cannot be read.
    """
    found = sorted(_photographs(settings))
    return hashlib.sha256("\0".join(found).encode("utf-8", "surrogateescape")).hexdigest()


def _photographs(settings: FacesDataset) -> Iterator[str]:
    if isinstance(settings, FoldersDataset | LfwDataset):
        files = files_below(settings.path)
        return (_told(name, entry) for name, entry in files if is_image(entry.name))
    if isinstance(settings, CelebaDataset):
        return _in_folder(celeba.place_of(settings.path, celeba.IMAGE_FOLDERS[settings.images]))
    if isinstance(settings, TableDataset):
        column = settings.columns.path
        names = read_text_table(settings.path, [column])[column].dropna()
        return _named(settings.root, names)
    assert isinstance(settings, InsightfaceDataset)
    if settings.form != "arrays":
        return iter(())
    array = settings.path / settings.name
    return _named(array, (str(Path(name).relative_to(array)) for name in map(str, sorted(array.rglob("*")))))


def _in_folder(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        return iter([_told(entry.name, entry) for entry in entries if is_image(entry.name)])


def _named(root: Path, names: Iterable[str]) -> Iterator[str]:
    base = str(root)
    return (_stated(name, os.path.join(base, name)) for name in names)


def _told(name: str, entry: "os.DirEntry[str]") -> str:
    try:
        found = entry.stat()
    except OSError:
        return f"{name}\0{NONE}"
    return f"{name}\0{found.st_size}\0{found.st_mtime_ns}"


def _stated(name: str, path: str) -> str:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return f"{name}\0{NONE}"
    return f"{name}\0{found.st_size}\0{found.st_mtime_ns}"
