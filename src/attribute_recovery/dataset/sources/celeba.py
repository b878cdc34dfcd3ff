"""CelebA as published: images, and text files of attributes, identities, partitions, boxes and landmarks.

Z. Liu, P. Luo, X. Wang, X. Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from attribute_recovery.config_faces import CelebaDataset
from attribute_recovery.config_files import ConfigError
from attribute_recovery.dataset.sources.listing import (
    LANDMARKS,
    Listing,
    Points,
    label_name,
    reader_of_files,
    require_folder,
)

ATTRIBUTES = "list_attr_celeba.txt"
IDENTITIES = "identity_CelebA.txt"
PARTITION = "list_eval_partition.txt"
BOXES = "list_bbox_celeba.txt"
LANDMARK_FILES = {"aligned": "list_landmarks_align_celeba.txt", "wild": "list_landmarks_celeba.txt"}
IMAGE_FOLDERS = {"aligned": "img_align_celeba", "wild": "img_celeba"}
BOX_COLUMNS = ("x_1", "y_1", "width", "height")
# As list_eval_partition.txt numbers them: training, validation, testing.
PARTITIONS = {"0": "train", "1": "calibration", "2": "test"}


def check_celeba(settings: CelebaDataset) -> None:
    """Check that the files that are needed are there; light.

    Raises:
        ConfigError: one is not; the sentence begins with the key.
    """
    require_folder(settings.path, "dataset.path", "the folder of CelebA")
    for name in needed_files(settings):
        if not place_of(settings.path, name).exists():
            raise ConfigError(
                f"dataset.path: found no {name} in {settings.path}, allowed is a folder that has it, or has "
                "it in Anno, Eval or Img"
            )


def needed_files(settings: CelebaDataset) -> list[str]:
    """Names of the files and folders that these settings read."""
    names = [IMAGE_FOLDERS[settings.images], IDENTITIES]
    if settings.attributes:
        names.append(ATTRIBUTES)
    if settings.splits.by == "source":
        names.append(PARTITION)
    if settings.align.by == "landmarks":
        names.append(LANDMARK_FILES[settings.images])
    elif settings.images == "wild":
        names.append(BOXES)
    return names


def label_columns(settings: CelebaDataset) -> list[str]:
    """Names of the attributes, from the second line of their file."""
    with place_of(settings.path, ATTRIBUTES).open(encoding="utf-8") as file:
        file.readline()
        return file.readline().split()


def list_celeba(settings: CelebaDataset) -> Listing:
    """The images that have an identity, by name.

    Raises:
        ValueError: a file is not in its published form, or an image is missing in one of them.
    """
    root = settings.path
    people = _read(root, IDENTITIES, ("identity",), header=False)
    image_ids = sorted(people.index)
    names = people.loc[image_ids, "identity"].tolist()
    folder = place_of(root, IMAGE_FOLDERS[settings.images])
    labels = _labels(settings, image_ids)
    wild, landmarks = settings.images == "wild", settings.align.by == "landmarks"
    points = None
    if landmarks:
        points = _numbers(root, LANDMARK_FILES[settings.images], LANDMARKS, image_ids).reshape(-1, 5, 2)
    return Listing(
        image_ids,
        names,
        reader_of_files(folder, image_ids),
        splits=_splits(root, image_ids) if settings.splits.by == "source" else None,
        labels=labels,
        landmarks=points,
        boxes=_numbers(root, BOXES, BOX_COLUMNS, image_ids) if wild and not landmarks else None,
        label_sources=dict.fromkeys(map(str, labels.columns), ATTRIBUTES),
    )


def place_of(root: Path, name: str) -> Path:
    """Where a file or folder of CelebA lies: in the root, or in a folder that it is downloaded in."""
    places = [root / name, *(root / folder / name for folder in ("Anno", "Eval", "Img"))]
    return next((place for place in places if place.exists()), places[0])


def _splits(root: Path, image_ids: list[str]) -> list[str]:
    numbers = _rows(_read(root, PARTITION, ("partition",), header=False), image_ids, root, PARTITION)
    unknown = sorted(set(numbers["partition"]) - set(PARTITIONS))
    if unknown:
        raise ValueError(
            f"{place_of(root, PARTITION)}: found partition {unknown[0]!r}, allowed are 0, 1 and 2"
        )
    return numbers["partition"].map(PARTITIONS).tolist()


def _labels(settings: CelebaDataset, image_ids: list[str]) -> pd.DataFrame:
    if not settings.attributes:
        return pd.DataFrame(index=range(len(image_ids)))
    table = _read(settings.path, ATTRIBUTES, tuple(label_columns(settings)), header=True)
    wanted = [name for name in label_columns(settings) if label_name(name) in settings.attributes]
    chosen = _rows(table, image_ids, settings.path, ATTRIBUTES)[wanted]
    return chosen.reset_index(drop=True).rename(columns=label_name).astype(object)


def _numbers(root: Path, name: str, columns: tuple[str, ...], image_ids: list[str]) -> Points:
    table = _rows(_read(root, name, columns, header=True), image_ids, root, name)
    try:
        return table.to_numpy(str).astype(np.float64)
    except ValueError as error:
        raise ValueError(f"{place_of(root, name)}: found what is not a number ({error})") from error


def _read(root: Path, name: str, columns: tuple[str, ...], *, header: bool) -> pd.DataFrame:
    """A published text file by image: a line each; before them, with a header, their number and the names."""
    path = place_of(root, name)
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    rows = [line.split() for line in lines if line.strip()]
    if header:
        found = rows[1] if len(rows) > 1 else []
        told = [part for part in found if part != "image_id"]
        if not rows or len(rows[0]) != 1 or not rows[0][0].isdigit() or told != list(columns):
            raise ValueError(
                f"{path}: found {' '.join(found)!r} in the second line, expected the number of images in the "
                f"first and {' '.join(columns)!r} in the second"
            )
        if int(rows[0][0]) != len(rows) - 2:
            raise ValueError(f"{path}: found {len(rows) - 2} images, its first line says {rows[0][0]}")
        rows = rows[2:]
    wrong = next((row for row in rows if len(row) != 1 + len(columns)), None)
    if wrong is not None:
        raise ValueError(
            f"{path}: found the line {' '.join(wrong)!r}, expected an image and {len(columns)} values"
        )
    table = pd.DataFrame([row[1:] for row in rows], index=[row[0] for row in rows], columns=list(columns))
    if table.index.has_duplicates:
        raise ValueError(f"{path}: image {table.index[table.index.duplicated()][0]!r} is there twice")
    return table


def _rows(table: pd.DataFrame, image_ids: list[str], root: Path, name: str) -> pd.DataFrame:
    places = table.index.get_indexer(pd.Index(image_ids))
    if (places < 0).any():
        missing = image_ids[int(np.flatnonzero(places < 0)[0])]
        raise ValueError(
            f"{place_of(root, name)}: has nothing for image {missing!r}, which {IDENTITIES} names; allowed "
            "are files that belong together"
        )
    return table.iloc[places]
