"""Embeddings on disk, in shards.

An image's shard depends on its image_id and the number of shards alone, so one new image touches one shard.
`shard-0000.bcolz` is float32 (rows, d), each row of length 1, with one writer; `shard-0000.parquet` has
`image_id` and `norm`, the length before normalisation, row i for row i.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.dataset.store import read_array, read_parquet, write_array, write_table

Embeddings = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shard:
    """One shard: image_ids (n,), embeddings (n, d) of length 1, their norms (n,) before normalisation."""

    image_ids: npt.NDArray[np.object_]
    embeddings: Embeddings
    norms: npt.NDArray[np.float32]


def shard_of(image_ids: Sequence[str], count: int) -> Ints:
    """Shards of images: CRC-32 of the image_id in UTF-8, modulo the number of shards.

    Args:
        image_ids: (n,) texts.
        count: number of shards.

    Returns:
        Numbers 0 to count − 1, (n,) int64.

    Raises:
        ValueError: `count` is below 1.

    >>> shard_of(["test-0007/003"], 1).tolist()
    [0]
    """
    if count < 1:
        raise ValueError(f"count: found {count} shards, allowed is 1 or more")
    return np.array([zlib.crc32(str(name).encode()) % count for name in image_ids], dtype=np.int64)


def write_embeddings(shards: Path, image_ids: Sequence[str], features: npt.ArrayLike, *, count: int) -> None:
    """Normalise embeddings and write them as shards; the caller moves the folder into place.

    Args:
        shards: folder, made if it is not there.
        image_ids: (n,) texts.
        features: embeddings before normalisation, (n, d).
        count: number of shards.

    Raises:
        ValueError: there are not as many embeddings as images, or one has a length that is 0 or not finite.
    """
    values = np.asarray(features, np.float32)
    if values.ndim != 2 or len(values) != len(image_ids):
        raise ValueError(
            f"features: found shape {values.shape} for {len(image_ids)} images, allowed is (n, d)"
        )
    of_image, names = shard_of(image_ids, count), np.asarray(image_ids, dtype=object)
    for number in range(count):
        mine = of_image == number
        write_shard(shards, number, names[mine], values[mine])


def write_shard(shards: Path, number: int, image_ids: npt.NDArray[np.object_], features: Embeddings) -> None:
    """Normalise and write one shard.

    Args:
        shards: folder, made if it is not there.
        number: of the shard.
        image_ids: (n,) texts, all of this shard.
        features: embeddings before normalisation, (n, d) float32.

    Raises:
        ValueError: an embedding has a length that is 0 or not finite; the image is named.
    """
    norms = np.linalg.norm(features.astype(np.float64), axis=1)
    wrong = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
    if len(wrong):
        raise ValueError(
            f"image {image_ids[wrong[0]]!r}: the length of its embedding is {norms[wrong[0]]}, allowed is a "
            f"finite one above 0 ({len(wrong)} of {len(norms)} embeddings are wrong)"
        )
    unit = (features / norms[:, None]).astype(np.float32)
    array, table = _paths(shards, number)
    write_array(array, iter([unit] if len(unit) else []), (features.shape[1],), np.float32, len(unit))
    columns = {"image_id": pd.Series(image_ids, dtype="str"), "norm": norms.astype(np.float32)}
    write_table(pd.DataFrame(columns), table)


def read_embeddings(shards: Path, table: pd.DataFrame) -> Embeddings:
    """Embeddings of the images of a table.

    Args:
        shards: folder of shards.
        table: has the column `image_id`; any rows of images.parquet, in any order.

    Returns:
        float32 (n, d) of length 1, row i for row i of the table.

    Raises:
        ValueError: there are no shards, one of them is damaged or missing, or an image has no embedding.
    """
    parts = list(iterate_shards(shards))
    names = pd.Index(np.concatenate([part.image_ids for part in parts]))
    if names.has_duplicates:
        raise ValueError(f"{shards}: image {names[names.duplicated()][0]!r} has more than one embedding")
    places = names.get_indexer(pd.Index(table["image_id"].to_numpy(object)))
    missing = np.flatnonzero(places < 0)
    if len(missing):
        first = table["image_id"].iloc[missing[0]]
        raise ValueError(
            f"{shards}: image {first!r} has no embedding ({len(missing)} of {len(table)} images have none); "
            "embed the images again"
        )
    everything: Embeddings = np.concatenate([part.embeddings for part in parts])
    ordered: Embeddings = everything[places]
    return ordered


def iterate_shards(shards: Path) -> Iterator[Shard]:
    """The shards of a folder one after the other, by number.

    Args:
        shards: folder of shards.

    Yields:
        Each shard.

    Raises:
        ValueError: there are none, one is missing, or its array and its table do not belong together.
    """
    tables = sorted(shards.glob("shard-*.parquet"))
    if not tables:
        raise ValueError(f"{shards}: found no shards, expected shard-0000.parquet and shard-0000.bcolz")
    widths = set()
    for number in range(len(tables)):
        array, table = _paths(shards, number)
        rows, embeddings = read_parquet(table), read_array(array)
        widths.add(embeddings.shape[1:])
        if embeddings.ndim != 2 or len(embeddings) != len(rows) or len(widths) > 1:
            raise ValueError(
                f"{array}: found an array {embeddings.shape} for {len(rows)} rows of {table.name}, "
                "expected one embedding a row, equally long in every shard"
            )
        yield Shard(rows["image_id"].to_numpy(object), embeddings, rows["norm"].to_numpy(np.float32))


def _paths(shards: Path, number: int) -> tuple[Path, Path]:
    """Array and table of a shard."""
    return shards / f"shard-{number:04d}.bcolz", shards / f"shard-{number:04d}.parquet"
