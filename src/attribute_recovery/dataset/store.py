"""Arrays and tables on disk: images as bcolz (uint8, NHWC), their table as Parquet, the same row in both.

Codes, samples and embeddings are arrays of the same form. Every write goes beside its place first and is
moved there when it is whole, so nothing half-written is ever taken for a result; equal content gives equal
bytes. One writer an array: two lose rows in silence.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    import bcolz

Rows = npt.NDArray[np.int64]
Array = npt.NDArray[Any]

CHUNK_BYTES = 2**19
SPLITS = ("recognizer", "train", "calibration", "test")
KEYS = ("image_id", "identity", "split", "path", "sha256")


def read_table(path: Path) -> pd.DataFrame:
    """The images table: `image_id`, `identity`, `split`, `path`, `sha256` and the columns `attribute.<name>`.

    Raises:
        ValueError: the file is missing or damaged, a key column is missing, an image_id is there twice, or a
            split is not known.
    """
    table = read_parquet(path)
    missing = [name for name in KEYS if name not in table]
    if missing:
        raise ValueError(f"{path}: column {missing[0]!r} is missing; found {', '.join(table.columns)}")
    twice = table["image_id"][table["image_id"].duplicated()]
    if len(twice):
        raise ValueError(f"{path}: image_id {twice.iloc[0]!r} is there twice; every image needs its own")
    unknown = sorted(set(table["split"]) - set(SPLITS))
    if unknown:
        raise ValueError(f"{path}: split {unknown[0]!r} is not known; allowed are {', '.join(SPLITS)}")
    return table


def read_parquet(path: Path) -> pd.DataFrame:
    """Any Parquet table.

    Raises:
        ValueError: the file is missing or damaged.
    """
    if not path.is_file():
        raise ValueError(f"{path}: is missing, expected a Parquet file")
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as Parquet ({error})") from error


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet, whole or not at all; its index is left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    table.to_parquet(beside, index=False, compression="zstd")
    beside.replace(path)


def write_json(value: object, path: Path) -> None:
    """Write plain values as JSON (floats in full, no NaN), whole or not at all.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    beside.write_text(text)
    beside.replace(path)


def rows_of(table: pd.DataFrame, split: str) -> Rows:
    """Row numbers (n,) int64 of a split, in order; they are places in the images' array too.

    Raises:
        ValueError: the split is not known.
    """
    if split not in SPLITS:
        raise ValueError(f"split: found {split!r}, allowed are {', '.join(SPLITS)}")
    return np.flatnonzero(table["split"].to_numpy() == split).astype(np.int64)


def open_array(path: Path) -> "bcolz.carray":
    """An array for reading; slices of it are numpy arrays.

    Raises:
        ValueError: the folder is missing, is not a bcolz array, or a chunk of it was cut short.
    """
    import bcolz

    if not path.is_dir():
        raise ValueError(f"{path}: is missing, expected a bcolz array")
    _require_whole_chunks(path)
    try:
        return bcolz.open(str(path), mode="r")
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path}: cannot be read as a bcolz array ({error})") from error


def _require_whole_chunks(path: Path) -> None:
    """bcolz reads past the end of a chunk that was cut short, into whatever lies in memory there: mostly an
    error, now and then not.

    A chunk's file is a header of 16 bytes and what Blosc wrote, whose length stands in bytes 12 to 16 of it.
    """
    for chunk in sorted((path / "data").glob("__*.blp")):
        with chunk.open("rb") as file:
            header = file.read(32)
        told = int.from_bytes(header[28:32], "little") + 16 if len(header) == 32 else 32
        if chunk.stat().st_size != told:
            size = chunk.stat().st_size
            raise ValueError(f"{path}: is damaged ({chunk.name} has {size} bytes, expected {told})")


def read_images(path: Path, rows: npt.ArrayLike | None = None) -> npt.NDArray[np.uint8]:
    """Images uint8 (n, h, w, 3) at the given rows, in the order given; all of them without rows.

    Raises:
        ValueError: the array is missing, damaged or does not hold images, or a row is outside it.
    """
    array = open_array(path)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3:
        raise ValueError(f"{path}: found {array.dtype} {array.shape}, expected uint8 (n, h, w, 3)")
    return _rows(array, rows, path)


def read_array(path: Path, rows: npt.ArrayLike | None = None) -> Array:
    """Rows of any array, (n, …) in the order given; all of them without rows.

    Raises:
        ValueError: the array is missing or damaged, or a row is outside it.
    """
    return _rows(open_array(path), rows, path)


def _rows(array: "bcolz.carray", rows: npt.ArrayLike | None, path: Path) -> Array:
    try:
        return np.asarray(array[:]) if rows is None else _chosen(array, np.asarray(rows, np.int64), path)
    except (RuntimeError, IndexError, OSError) as error:
        raise ValueError(f"{path}: is damaged ({error})") from error


def _chosen(array: "bcolz.carray", rows: Rows, path: Path) -> Array:
    """Read chunk by chunk, each once: bcolz' own fancy indexing unpacks one for every row that jumps."""
    if rows.size and (rows.min() < 0 or rows.max() >= len(array)):
        raise ValueError(f"rows: found {rows.min()} to {rows.max()}, {path} has rows 0 to {len(array) - 1}")
    result = np.empty((len(rows), *array.shape[1:]), array.dtype)
    chunk_of = rows // array.chunklen
    for chunk in np.unique(chunk_of):
        start = int(chunk) * array.chunklen
        places = np.flatnonzero(chunk_of == chunk)
        result[places] = array[start : start + array.chunklen][rows[places] - start]
    return result


def write_array(
    path: Path,
    batches: Iterable[npt.ArrayLike],
    shape_tail: tuple[int, ...],
    dtype: npt.DTypeLike,
    expected_rows: int,
) -> None:
    """Write batches (b, *shape_tail) one after the other as a bcolz array (expected_rows, *shape_tail) at
    `path`.

    What was there is replaced when the new array is whole. Chunks hold about half a megabyte whatever the
    batches.

    Raises:
        ValueError: a batch has another shape, a value that is not finite, or the rows are more or fewer than
            expected.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    shutil.rmtree(beside, ignore_errors=True)
    with _one_thread():
        _append(beside, batches, shape_tail, np.dtype(dtype), expected_rows, path)
    _move_folder(beside, path)


def _append(
    beside: Path,
    batches: Iterable[npt.ArrayLike],
    tail: tuple[int, ...],
    dtype: np.dtype[Any],
    rows: int,
    path: Path,
) -> None:
    import bcolz

    array = bcolz.carray(
        np.empty((0, *tail), dtype),
        rootdir=str(beside),
        mode="w",
        chunklen=_chunk_rows(tail, dtype),
        expectedlen=max(rows, 1),
        cparams=bcolz.cparams(clevel=5, shuffle=1, cname="lz4"),
    )
    for batch in batches:
        array.append(_checked(batch, tail, dtype, path))
    array.flush()
    if len(array) != rows:
        raise ValueError(f"{path}: found {len(array)} rows in the batches, expected {rows}")


def _chunk_rows(tail: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    return max(1, CHUNK_BYTES // max(1, int(np.prod(tail, dtype=np.int64)) * dtype.itemsize))


def _checked(batch: npt.ArrayLike, tail: tuple[int, ...], dtype: np.dtype[Any], path: Path) -> Array:
    found = np.asarray(batch)
    if found.shape[1:] != tail or not np.can_cast(found.dtype, dtype, "same_kind"):
        raise ValueError(
            f"{path}: found a batch {found.dtype} {found.shape}, expected {dtype} {_shape(tail)}"
        )
    if dtype.kind == "f" and not np.isfinite(found).all():
        raise ValueError(f"{path}: found a value that is not finite")
    return np.ascontiguousarray(found, dtype)


def _shape(tail: tuple[int, ...]) -> str:
    return f"({', '.join(['n', *map(str, tail)])})"


@contextmanager
def _one_thread() -> Iterator[None]:
    """Blosc's threads put their blocks down in the order in which they finish: other bytes on every run."""
    import bcolz

    before = bcolz.set_nthreads(1)
    try:
        yield
    finally:
        bcolz.set_nthreads(before)


def _move_folder(beside: Path, path: Path) -> None:
    """A folder cannot be replaced at once: the old one steps aside first, so `path` is whole or not there."""
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    beside.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def split_counts(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Images and identities of each split, by split."""
    counts = {}
    for split in SPLITS:
        part = table[table["split"] == split]
        counts[split] = {"identities": int(part["identity"].nunique()), "images": len(part)}
    return counts
