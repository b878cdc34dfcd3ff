"""From columns of texts that users bring to declared attributes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.config_faces import (
    BinaryLabel,
    BroughtFaces,
    CategoricalLabel,
    ContinuousLabel,
    Label,
)
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.dataset.known import left_out
from attribute_recovery.dataset.sources.listing import Listing

OFF_ON = ("off", "on")
BINARY = {
    "0": "off",
    "false": "off",
    "no": "off",
    "off": "off",
    "1": "on",
    "true": "on",
    "yes": "on",
    "on": "on",
}
MINUS = "-1"


@dataclass(frozen=True)
class ParsedLabels:
    """Labels as their declarations say.

    Attributes:
        columns: n rows, a column an attribute: class names (object), or numbers (float32); None or NaN where
            there is no value.
        unknown: by attribute the rows whose text is no value of it, with the text.
    """

    columns: pd.DataFrame
    unknown: dict[str, list[tuple[int, str]]]


def parse_labels(labels: pd.DataFrame, settings: BroughtFaces) -> ParsedLabels:
    """The declared attributes of n images.

    Args:
        labels: Columns of texts, None where missing; one for each declared attribute.
        settings: Declares them.

    Returns:
        Their values; a text that is no value counts as missing and is told.

    Raises:
        ValueError: a column of a binary attribute has both -1 and 0.
    """
    columns, unknown = {}, {}
    for name, declared in settings.attributes.items():
        texts = labels[name]
        values = _values(texts, declared, name)
        columns[name] = values
        wrong = np.flatnonzero(texts.notna() & pd.isna(values))
        unknown[name] = [(int(row), str(texts.iloc[row])) for row in wrong]
    return ParsedLabels(pd.DataFrame(columns, index=range(len(labels))), unknown)


def declared_attributes(
    columns: pd.DataFrame, settings: BroughtFaces, sources: Mapping[str, str]
) -> AttributeSchema:
    """The attributes of `attributes.json`; the dose of a continuous one is its population standard deviation.

    Args:
        columns: Of `ParsedLabels`, those attributes that are used.
        settings: Declares them.
        sources: The file that each comes from.

    Returns:
        The schema.
    """
    return AttributeSchema(
        tuple(
            _attribute(str(name), settings.attributes[str(name)], columns[name], sources[str(name)])
            for name in columns
        )
    )


def constant_labels(columns: pd.DataFrame) -> list[str]:
    """Names of attributes with fewer than two values; nothing can be said of them."""
    return [str(name) for name in columns if columns[name].nunique(dropna=True) < 2]


def level_warnings(table: pd.DataFrame, schema: AttributeSchema) -> list[str]:
    """Attributes whose declared level the values contradict, a sentence each without its full stop.

    Args:
        table: The images table.
        schema: Its attributes.

    Returns:
        A sentence for each attribute that is declared of the identity and varies within somebody's images, or
        of the image and never does.
    """
    found = []
    for attribute in schema:
        varied = table.groupby("identity")[f"attribute.{attribute.name}"].nunique(dropna=True) > 1
        if attribute.level == "identity" and varied.any():
            found.append(
                f"{attribute.name} is declared of the identity, but differs between images of "
                f"{int(varied.sum())} people"
            )
        if attribute.level == "image" and not varied.any():
            found.append(f"{attribute.name} is declared of the image, but never differs within a person")
    return found


def learning_warnings(table: pd.DataFrame, schema: AttributeSchema) -> list[str]:
    """Attributes of which too little is known in a split, a sentence each without its full stop.

    Args:
        table: the images table.
        schema: its attributes.
    """
    then = {
        "train": "nothing is learned of it",
        "calibration": "what is read of it is not calibrated",
        "test": "nothing is measured of it",
    }
    found = []
    for split, consequence in then.items():
        rows = table[table["split"] == split]
        reasons = left_out(schema, schema.known_from_table(rows).values, rows["identity"], split)
        found += [f"{name}: {reason}: {consequence}" for name, reason in reasons.items()]
    return found


def with_values(listing: Listing, settings: BroughtFaces, rows: npt.NDArray[np.int64]) -> pd.DataFrame:
    """The label columns of the declared attributes at some rows of a listing, numbered anew."""
    return listing.labels[list(settings.attributes)].iloc[rows].reset_index(drop=True)


def _values(texts: "pd.Series[str]", declared: Label, name: str) -> "pd.Series[Any]":
    plain = texts.astype(object).map(lambda text: None if pd.isna(text) else _number_as_text(str(text)))
    if isinstance(declared, ContinuousLabel):
        low, high = declared.range
        numbers = pd.to_numeric(plain, errors="coerce").astype(np.float64)
        return numbers.where((numbers >= low) & (numbers <= high)).astype(np.float32).astype(object)
    if isinstance(declared, CategoricalLabel):
        known = {_number_as_text(category): category for category in declared.categories}
        found = plain.map(known)
    else:
        found = plain.str.lower().map(_binary(set(plain.dropna()), declared, name))
    return found.astype(object).where(found.notna(), None)


def _binary(found: set[str], declared: BinaryLabel, name: str) -> dict[str, str]:
    """What texts mean: -1 is off where 0 is not used."""
    del declared
    if MINUS in found and "0" in found:
        raise ValueError(
            f"dataset: column of {name!r} has both -1 and 0, of which one must mean that nobody knows; "
            "allowed are 0 and 1, or -1 and 1, or format maad for tables like MAAD-Face's"
        )
    return BINARY | {MINUS: "off"}


def _number_as_text(text: str) -> str:
    """Whole numbers without their point: tables with gaps hold 1 as 1.0."""
    head, point, tail = text.strip().partition(".")
    whole = bool(point) and not tail.strip("0") and head.lstrip("+-").isdigit()
    return head if whole else text.strip()


def _attribute(name: str, declared: Label, column: "pd.Series[Any]", source: str) -> Attribute:
    common = {"name": name, "family": declared.family, "level": declared.level, "source": source}
    if isinstance(declared, ContinuousLabel):
        dose = float(column.dropna().to_numpy(np.float64).std())
        return Attribute(
            kind="continuous",
            unit=declared.unit,
            range=declared.range,
            dose=dose,
            **common,  # type: ignore[arg-type]
        )
    categories = declared.categories if isinstance(declared, CategoricalLabel) else OFF_ON
    return Attribute(kind=declared.kind, unit="class", categories=categories, **common)  # type: ignore[arg-type]
