"""Faces in a CSV or Parquet table: path, identity, maybe split and landmarks, and columns of attributes."""

from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from attribute_recovery.config_faces import TableDataset
from attribute_recovery.config_files import ConfigError
from attribute_recovery.dataset.sources.listing import (
    LANDMARKS,
    Listing,
    Points,
    label_name,
    reader_of_files,
    require_file,
    require_folder,
    require_one_column,
)
from attribute_recovery.dataset.sources.text_table import column_names, read_text_table


def check_table(settings: TableDataset) -> None:
    """Check that table, root and columns are there; light.

    Raises:
        ConfigError: one is not; the sentence begins with the key.
    """
    require_file(settings.path, "dataset.path", "a CSV or Parquet table of images")
    require_folder(settings.root, "dataset.root", "the folder that the table's paths are relative to")
    try:
        names = column_names(settings.path)
    except ValueError as error:
        raise ConfigError(f"dataset.path: {error}") from None
    columns = settings.columns
    for key, name in (("path", columns.path), ("identity", columns.identity), ("split", columns.split)):
        if name is not None and name not in names:
            raise ConfigError(
                f"dataset.columns.{key}: found {name!r}, allowed are the columns of {settings.path}: "
                f"{', '.join(names)}"
            )
    require_one_column(label_columns(settings), settings.attributes, settings.path)
    if settings.splits.by == "source" and columns.split is None:
        raise ConfigError("dataset.columns.split: found null, allowed is a column where splits are by source")
    if settings.align.by == "landmarks":
        absent = [name for name in LANDMARKS if name not in names]
        if absent:
            raise ConfigError(
                f"dataset.align.by: found landmarks, but {settings.path} has no column {absent[0]!r}; "
                f"allowed are detector, given, or a table with the columns {', '.join(LANDMARKS)}"
            )


def label_columns(settings: TableDataset) -> list[str]:
    """Columns that may be labels: all but those that have another use."""
    columns = settings.columns
    used = {columns.path, columns.identity, columns.split, *LANDMARKS}
    return [name for name in column_names(settings.path) if name not in used]


def list_table(settings: TableDataset) -> Listing:
    """The images of the table, by path.

    Raises:
        ValueError: the table lacks a column, has an image twice or without path, identity or split, has a
            path that leads out of the root, or a landmark that is not a number.
    """
    columns, path = settings.columns, settings.path
    labels = [name for name in label_columns(settings) if label_name(name) in settings.attributes]
    places = list(LANDMARKS) if settings.align.by == "landmarks" else []
    split = [columns.split] if columns.split is not None and settings.splits.by == "source" else []
    rows = read_text_table(path, [columns.path, columns.identity, *split, *places, *labels])
    for name in (columns.path, columns.identity, *split):
        empty = np.flatnonzero(rows[name].isna())
        if len(empty):
            raise ValueError(f"{path}: column {name!r} has no value in row {empty[0] + 1}; allowed is a text")
    rows[columns.path] = [_image_id(settings, text) for text in rows[columns.path]]
    twice = rows[columns.path][rows[columns.path].duplicated()]
    if len(twice):
        raise ValueError(f"{path}: image {twice.iloc[0]!r} is there twice; allowed is one row an image")
    rows = rows.sort_values(columns.path, ignore_index=True)
    image_ids = rows[columns.path].tolist()
    return Listing(
        image_ids,
        rows[columns.identity].tolist(),
        reader_of_files(settings.root, image_ids),
        splits=rows[split[0]].tolist() if split else None,
        labels=rows[labels].rename(columns=label_name),
        landmarks=_points(rows[places], settings) if places else None,
        label_sources=dict.fromkeys(map(label_name, labels), path.name),
    )


def _image_id(settings: TableDataset, text: str) -> str:
    """A path of the table relative to the root."""
    path = PurePosixPath(text.replace("\\", "/"))
    if path.is_absolute():
        root = PurePosixPath(settings.root.absolute().as_posix())
        path = path.relative_to(root) if path.is_relative_to(root) else path
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(
            f"{settings.path}: found the path {text!r}, allowed are paths below the root {settings.root}"
        )
    return path.as_posix()


def _points(rows: pd.DataFrame, settings: TableDataset) -> Points:
    try:
        values = rows.astype(object).where(rows.notna(), "nan").to_numpy(str).astype(np.float64)
    except ValueError as error:
        raise ValueError(f"{settings.path}: a landmark is not a number ({error})") from error
    return values.reshape(-1, 5, 2)
