"""What every source of faces gives: records that are listed at once and read one by one."""

import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.config_files import ConfigError

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

PAIR_COLUMNS = ("fold", "first", "second", "genuine")
LANDMARKS = (
    "lefteye_x",
    "lefteye_y",
    "righteye_x",
    "righteye_y",
    "nose_x",
    "nose_y",
    "leftmouth_x",
    "leftmouth_y",
    "rightmouth_x",
    "rightmouth_y",
)


@dataclass(frozen=True)
class Listing:
    """The images of a source, n records; nothing of an image is read before `read` is called.

    Attributes:
        image_ids: n texts that differ: the path relative to the source's root, or set and number.
        identities: n names of who is in the image.
        read: from a record's number to its image: the bytes of an image file, or pixels uint8 (h, w, 3) RGB.
            Safe to call from several threads; OSError or ValueError where the image cannot be had.
        splits: n names of `store.SPLITS` where the source has splits of its own, else None.
        labels: n rows; a column of texts for each label, None where it is missing, named in lower case with
            underscores.
        landmarks: (n, 5, 2) float64, x and y in pixels (0 is the middle of the first one): the eye on the
            image's left, the other eye, nose, the corner of the mouth on the image's left, the other one; NaN
            where a face has none. None where the source has no landmarks.
        boxes: (n, 4) float64, x, y, width and height of the face in pixels, NaN where it has none, or None.
        pairs: standard pairs, columns fold (int), first and second (image_ids) and genuine (bool); or None.
        label_sources: the file that each label comes from.
        remarks: what to know of the source, sentences without their full stop.
        ignored: files below the root that are no images, hidden ones not counted.
    """

    image_ids: Sequence[str]
    identities: Sequence[str]
    read: Callable[[int], bytes | Pixels]
    splits: Sequence[str] | None = None
    labels: pd.DataFrame = field(default_factory=pd.DataFrame)
    landmarks: Points | None = None
    boxes: Points | None = None
    pairs: pd.DataFrame | None = None
    label_sources: Mapping[str, str] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    ignored: int = 0

    def __len__(self) -> int:
        return len(self.image_ids)


def no_pairs() -> pd.DataFrame:
    """A table of pairs without rows."""
    kinds = {"fold": "int64", "first": "str", "second": "str", "genuine": "bool"}
    return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in kinds.items()})


def reader_of_files(root: Path, image_ids: Sequence[str]) -> Callable[[int], bytes]:
    """The `read` of images that are files below a root."""

    def read(row: int) -> bytes:
        path = root / image_ids[row]
        # Reading from a pipe would wait for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("is not a file")
        return path.read_bytes()

    return read


def label_name(column: str) -> str:
    """The name of an attribute for the name of a column: lower case, other characters as underscores.

    >>> label_name("5_o_Clock_Shadow"), label_name("Facial hair")
    ('5_o_clock_shadow', 'facial_hair')
    """
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in column.strip()).lower()


def require_one_column(columns: Sequence[str], declared: Iterable[str], table: Path) -> None:
    """Make sure that no declared attribute has two columns in a table.

    Raises:
        ConfigError: one has, by equal names or names that differ in case alone; it begins with the key.
    """
    for name in declared:
        found = [column for column in columns if label_name(column) == name]
        if len(found) > 1:
            raise ConfigError(
                f"dataset.attributes.{name}: found the columns {found[0]!r} and {found[1]!r} in {table}, "
                "allowed is one"
            )


def require_file(path: Path, key: str, what: str) -> None:
    """Make sure that a file is there.

    Raises:
        ConfigError: it is not; the sentence begins with the key.
    """
    if not path.is_file():
        raise ConfigError(f"{key}: found {path}, which is not a file; allowed is {what}")


def require_folder(path: Path, key: str, what: str) -> None:
    """Make sure that a folder is there.

    Raises:
        ConfigError: it is not; the sentence begins with the key.
    """
    if not path.is_dir():
        raise ConfigError(f"{key}: found {path}, which is not a folder; allowed is {what}")
