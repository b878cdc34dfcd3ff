"""Labels from elsewhere, joined to the images by image_id: MAAD-Face, or any table.

P. Terhörst, D. Fährmann, J. N. Kolf, N. Damer, F. Kirchbuchner, A. Kuijper, "MAAD-Face: A Massively Annotated
Attribute Dataset for Face Images", IEEE TIFS 2021: `Filename`, `Identity`, and 1 (positive), 0 (undefined) or
-1 (negative) for each attribute.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.config_faces import BroughtFaces, LabelTable
from attribute_recovery.config_files import ConfigError
from attribute_recovery.dataset.sources.listing import (
    Listing,
    label_name,
    require_file,
    require_one_column,
)
from attribute_recovery.dataset.sources.text_table import column_names, read_text_table

# MAAD-Face's numbers in terms of on and off.
MAAD = {"1": "1", "-1": "0", "0": None}


def check_label_tables(settings: BroughtFaces) -> dict[str, str]:
    """Check that the tables are there and have their key; light.

    Returns:
        From the names of all labels that the tables have to their files.

    Raises:
        ConfigError: something is not; the sentence begins with the key.
    """
    found: dict[str, str] = {}
    for number, table in enumerate(settings.labels):
        key = f"dataset.labels.{number}"
        require_file(table.path, f"{key}.path", "a CSV or Parquet table of labels")
        try:
            names = column_names(table.path)
        except ValueError as error:
            raise ConfigError(f"{key}.path: {error}") from None
        if table.key not in names:
            raise ConfigError(
                f"{key}.key: found {table.key!r}, allowed are the columns of {table.path}: {', '.join(names)}"
            )
        require_one_column([name for name in names if name != table.key], settings.attributes, table.path)
        own = {label_name(name): table.path.name for name in names if name != table.key}
        twice = sorted(set(own) & set(found) & set(settings.attributes))
        if twice:
            raise ConfigError(
                f"{key}.path: found the label {twice[0]} in {table.path.name} and in {found[twice[0]]}, "
                "allowed is one place"
            )
        found |= own
    return found


def with_label_tables(listing: Listing, settings: BroughtFaces) -> Listing:
    """The listing with the labels of all tables that `attributes` names.

    Images that a table does not have get no value; rows of other images are left out. Both are said among the
    remarks.

    Raises:
        ValueError: a table has an image twice or none of the listing's, or a label is in two places.
    """
    labels, remarks = listing.labels, list(listing.remarks)
    if labels.empty:
        labels = pd.DataFrame(index=range(len(listing)))
    sources = dict(listing.label_sources)
    for number, table in enumerate(settings.labels):
        found, remark = _joined(listing, table, settings, f"dataset.labels.{number}")
        twice = [name for name in found if name in labels]
        if twice:
            raise ValueError(
                f"{table.path}: label {twice[0]!r} is in another table too; allowed is one place"
            )
        labels = pd.concat([labels, found], axis=1)
        sources |= dict.fromkeys(map(str, found.columns), table.path.name)
        remarks += remark
    return replace(listing, labels=labels, remarks=remarks, label_sources=sources)


def _joined(
    listing: Listing, table: LabelTable, settings: BroughtFaces, key: str
) -> tuple[pd.DataFrame, list[str]]:
    """The labels of a table, row by row of the listing, and what to say about it.

    The remarks stand on the page, so they have the table's key in the configuration, not its file's name.
    """
    columns = [
        name
        for name in column_names(table.path)
        if name != table.key and label_name(name) in settings.attributes
    ]
    rows = read_text_table(table.path, [table.key, *columns])
    twice = rows[table.key][rows[table.key].duplicated()].dropna()
    if len(twice):
        raise ValueError(f"{table.path}: image {twice.iloc[0]!r} is there twice; allowed is one row an image")
    places = _places(rows[table.key].tolist(), listing.image_ids)
    if not len(rows):
        raise ValueError(f"{table.path}: has no rows, expected one for each image")
    if not (places >= 0).any():
        raise ValueError(
            f"{table.path}: names none of the images: its column {table.key!r} has "
            f"{rows[table.key].iloc[0]!r}, the images are called {listing.image_ids[0]!r}; allowed are paths "
            "relative to the faces"
        )
    found = rows[columns].iloc[places].reset_index(drop=True)
    found.loc[places < 0] = None
    if table.format == "maad":
        found = found.apply(lambda column: _from_maad(column, table))
    absent, other = int((places < 0).sum()), len(rows) - int((places >= 0).sum())
    remarks = [f"the table of {key} has no labels for {absent} images"] if absent else []
    remarks += [f"the table of {key} has labels for {other} images that are not among these"] if other else []
    return found.rename(columns=label_name), remarks


def _places(keys: Sequence[str | None], image_ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """The row of each image in a table by its key, −1 where it has none; texts that mean one path are one."""
    wanted = [_plain(name) for name in image_ids]
    found = [None if key is None else _plain(key) for key in keys]
    told = [key for key in found if key is not None]
    if len(set(wanted)) < len(wanted) or len(set(told)) < len(told):
        wanted, found = list(image_ids), list(keys)
    row_of = {key: row for row, key in enumerate(found) if key is not None}
    return np.array([row_of.get(name, -1) for name in wanted], np.int64)


def _plain(path: str) -> str:
    """A path as most systems write it: some compose accents, some do not, some divide folders by backslashes.

    >>> _plain(".\\\\ann\\\\1.png"), _plain("e\\u0301/1.png") == "\\xe9/1.png"
    ('ann/1.png', True)
    """
    return unicodedata.normalize("NFC", path.replace("\\", "/")).removeprefix("./")


def _from_maad(column: "pd.Series[str]", table: LabelTable) -> "pd.Series[str]":
    unknown = sorted(set(column.dropna()) - set(MAAD))
    if unknown:
        raise ValueError(
            f"{table.path}: column {column.name!r} holds {unknown[0]!r}, MAAD-Face has -1, 0 and 1"
        )
    return pd.Series([MAAD.get(text) for text in column], column.index, dtype=object)
