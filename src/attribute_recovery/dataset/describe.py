"""What a data report says of an images table: attributes by split, images that are there twice, warnings."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.dataset.store import split_counts

EXAMPLES = 10


def describe_table(table: pd.DataFrame, schema: AttributeSchema) -> dict[str, Any]:
    """Counts, attributes by split, duplicates and warnings, as plain values.

    Args:
        table: images.parquet with all its columns.
        schema: its attributes.

    Returns:
        `images`, `identities`, `splits`, `attributes`, `duplicates`, and `warnings`, a sentence each without
        its full stop.
    """
    splits = [split for split, counts in split_counts(table).items() if counts["images"]]
    described = {attribute.name: _attribute(table, attribute, splits) for attribute in schema}
    copies = table[table["sha256"].duplicated(keep=False)]
    in_splits = copies.groupby("sha256")["split"].nunique()
    return {
        "images": len(table),
        "identities": int(table["identity"].nunique()),
        "splits": split_counts(table),
        "attributes": described,
        "duplicates": {
            "images": int(table["sha256"].duplicated().sum()),
            "across_splits": int((in_splits > 1).sum()),
            "examples": copies["image_id"].tolist()[:EXAMPLES],
        },
        "warnings": _warnings(described, len(copies)),
    }


def _attribute(table: pd.DataFrame, attribute: Attribute, splits: list[str]) -> dict[str, Any]:
    column, people = table[f"attribute.{attribute.name}"], table["identity"]
    rows = {split: table["split"] == split for split in splits}
    return {
        "family": attribute.family,
        "kind": attribute.kind,
        "level": attribute.level,
        "unit": attribute.unit,
        "splits": {
            split: _described(column[chosen], people[chosen], attribute) for split, chosen in rows.items()
        },
    }


def _described(column: "pd.Series[Any]", people: "pd.Series[str]", attribute: Attribute) -> dict[str, Any]:
    """Counts of classes, or moments and ends; where values are missing how many, and what is `known`."""
    known = column.dropna()
    absent: dict[str, Any] = {}
    if len(known) < len(column):
        absent = {
            "missing": len(column) - len(known),
            "known": {"images": len(known), "identities": int(people[known.index].nunique())},
        }
        if attribute.is_discrete:
            absent["known"]["identities_by_class"] = {
                name: int(people[known.index[known == name]].nunique()) for name in attribute.categories
            }
    if attribute.is_discrete:
        return {"counts": {name: int((known == name).sum()) for name in attribute.categories}, **absent}
    if known.empty:
        return absent
    values = known.to_numpy(np.float64)
    found = {"mean": values.mean(), "sd": values.std(), "low": values.min(), "high": values.max()}
    return {name: round(float(value), 6) for name, value in found.items()} | absent


def _warnings(described: Mapping[str, Mapping[str, Any]], n_copies: int) -> list[str]:
    """What to know before trusting the figures: copies, and classes or variation that a split lacks."""
    found = [f"{n_copies} images have the same pixels as another"] if n_copies else []
    for name, entry in described.items():
        for split, facts in entry["splits"].items():
            absent = [c for c, count in facts.get("counts", {}).items() if count == 0]
            if absent:
                found.append(f"split {split}: no image with {name} {', '.join(absent)}")
            if facts.get("sd") == 0.0:
                found.append(f"split {split}: {name} has the same value in every image")
            if entry["kind"] == "continuous" and "sd" not in facts:
                found.append(f"split {split}: no image with a value of {name}")
        missing = sum(facts.get("missing", 0) for facts in entry["splits"].values())
        if missing:
            found.append(f"{name}: {missing} images have no value")
    return found
