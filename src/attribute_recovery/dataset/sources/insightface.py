"""InsightFace's sets: bcolz arrays with their list of pairs, `.bin` files of pairs, and RecordIO.

The arrays are float32 (2 n, 3, h, w) from -1 to 1, images 2 i and 2 i + 1 a pair, `NAME_list.npy` n bools.
Sets of pairs name nobody, so images count as one person's where genuine pairs or equal pixels join them.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.config_faces import InsightfaceDataset
from attribute_recovery.dataset.sources.listing import Listing, Pixels, require_file, require_folder
from attribute_recovery.dataset.sources.pair_pickle import read_pair_file
from attribute_recovery.dataset.sources.recordio import RecordFile
from attribute_recovery.dataset.store import open_array

# The protocol of these sets: ten folds of equal length, in order.
FOLDS = 10
BLOCK = 64


def check_insightface(settings: InsightfaceDataset) -> None:
    """Check that the set's files are there; light.

    Raises:
        ConfigError: one is not; the sentence begins with the key.
    """
    require_folder(settings.path, "dataset.path", "the folder of the set")
    if settings.form == "arrays":
        require_folder(
            settings.path / settings.name, "dataset.name", "a set with a bcolz folder of that name"
        )
    for file in set_files(settings):
        ending = file.name.removeprefix(settings.name)
        require_file(file, "dataset.name", f"a set with a file NAME{ending}")


def set_files(settings: InsightfaceDataset) -> list[Path]:
    """The files of the set, a bcolz folder left out."""
    endings = {"arrays": ("_list.npy",), "bin": (".bin",), "rec": (".rec", ".idx")}[settings.form]
    return [settings.path / f"{settings.name}{ending}" for ending in endings]


def list_insightface(settings: InsightfaceDataset) -> Listing:
    """The set's images, in order.

    Raises:
        ValueError: a file is not in its published form.
    """
    if settings.form == "rec":
        return _records(settings)
    if settings.form == "bin":
        images, same = read_pair_file(set_files(settings)[0])
        digests = [hashlib.sha256(image).digest() for image in images]
        return _pairs(settings, np.array(same), digests, images.__getitem__)
    return _arrays(settings)


def _records(settings: InsightfaceDataset) -> Listing:
    file = RecordFile(*set_files(settings))
    keys = file.image_keys()
    if not keys:
        raise ValueError(f"{file.path}: found no images, expected records of images")
    people = [f"{file.read(key, head_only=True).labels[0]:.0f}" for key in keys]
    names = [f"{settings.name}/{key}" for key in keys]
    return Listing(names, people, lambda row: file.read(keys[row]).content)


def _arrays(settings: InsightfaceDataset) -> Listing:
    folder = settings.path / settings.name
    array = open_array(folder)
    if array.ndim != 4 or array.shape[1] != 3 or array.dtype.kind != "f":
        raise ValueError(f"{folder}: found {array.dtype} {array.shape}, expected floats (n, 3, h, w)")
    same = _list_of_pairs(set_files(settings)[0], len(array))
    lock, backwards = threading.Lock(), settings.channel_order == "BGR"

    def read(row: int) -> Pixels:
        with lock:
            image: Pixels = _pixels(array[row : row + 1], folder, backwards=backwards)[0]
        return image

    blocks = (array[start : start + BLOCK] for start in range(0, len(array), BLOCK))
    digests = [hashlib.sha256(image.tobytes()).digest() for block in blocks for image in block]
    return _pairs(settings, same, digests, read)


def _pixels(values: npt.NDArray[np.generic], folder: Path, *, backwards: bool) -> Pixels:
    """Floats (n, 3, h, w) from -1 to 1 as uint8 (n, h, w, 3) RGB."""
    numbers = values.astype(np.float64)
    if not np.abs(numbers).max(initial=0.0) <= 1.0 + 1e-3:
        raise ValueError(f"{folder}: found values beyond -1 and 1, expected pixels scaled to that range")
    pixels: Pixels = np.rint((numbers * 0.5 + 0.5) * 255).clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
    return pixels[..., ::-1] if backwards else pixels


def _list_of_pairs(path: Path, n_images: int) -> npt.NDArray[np.bool_]:
    try:
        found = np.load(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as an array of bools ({error})") from error
    if found.ndim != 1 or found.dtype.kind not in "bui" or 2 * len(found) != n_images or not n_images:
        raise ValueError(
            f"{path}: found {found.dtype} {found.shape} for {n_images} images, expected a bool for each two"
        )
    return np.asarray(found, np.bool_)


def _pairs(
    settings: InsightfaceDataset,
    same: npt.NDArray[np.bool_],
    digests: Sequence[bytes],
    read: Callable[[int], bytes | Pixels],
) -> Listing:
    """The listing of a set of pairs: images 2 i and 2 i + 1 are pair i."""
    people = _people(same, digests)
    clashes = int((~same & (people[::2] == people[1::2])).sum())
    remarks = [
        "the set names nobody: images count as one person's where genuine pairs or equal pixels join them, "
        "so some impostor pairs formed here may show one person, and false match rates are upper bounds"
    ]
    if clashes:
        remarks.append(f"{clashes} impostor pairs of the set show people that genuine pairs join")
    names = [f"{settings.name}/{row:06d}" for row in range(len(digests))]
    first, second = names[::2], names[1::2]
    folds = np.arange(len(same)) * FOLDS // len(same)
    pairs = pd.DataFrame({"fold": folds, "first": first, "second": second, "genuine": same})
    identities = [f"{settings.name}-{person:06d}" for person in people]
    return Listing(names, identities, read, pairs=pairs, remarks=remarks)


def _people(same: npt.NDArray[np.bool_], digests: Iterable[bytes]) -> npt.NDArray[np.int64]:
    """For each image the number of the first one that genuine pairs or equal content join it with."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    equal = pd.factorize(pd.Series(list(digests), dtype=object))[0]
    n = len(equal)
    genuine = np.flatnonzero(same)
    # Images are nodes 0 to n - 1, contents nodes from n on.
    rows = np.concatenate([2 * genuine, np.arange(n)])
    columns = np.concatenate([2 * genuine + 1, n + equal])
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(2 * n, 2 * n))
    groups = connected_components(graph, directed=False)[1][:n]
    _, firsts, codes = np.unique(groups, return_index=True, return_inverse=True)
    return firsts[codes].astype(np.int64)
