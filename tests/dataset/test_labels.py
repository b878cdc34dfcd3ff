"""Texts become values as their declarations say; what is no value counts as missing and is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.dataset import labels
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.dataset.sources.listing import Listing

Settings = Callable[..., Any]
BINARY = {"kind": "binary", "level": "image", "family": "expression"}
HAIR = {"kind": "categorical", "level": "mixed", "family": "label", "categories": ["short", "1"]}
AGE = {"kind": "continuous", "level": "identity", "family": "label", "unit": "years", "range": [0, 120]}


@pytest.fixture
def parsed(settings_of: Settings) -> Callable[..., labels.ParsedLabels]:
    """One column of texts by its declaration."""

    def made(declared: dict[str, Any], texts: list[str | None]) -> labels.ParsedLabels:
        settings = settings_of("folders", Path("x"), attributes={"a": declared})
        return labels.parse_labels(pd.DataFrame({"a": texts}, dtype=object), settings)

    return made


@pytest.mark.parametrize(
    ("declared", "texts", "values", "unknown"),
    [
        (BINARY, ["0", "1", None, "1.0", "0.00"], ["off", "on", None, "on", "off"], []),
        (BINARY, ["True", "no", "YES", " off "], ["on", "off", "on", "off"], []),
        (BINARY, ["-1", "1", "-1.0"], ["off", "on", "off"], []),
        (BINARY, ["1", "2", "maybe"], ["on", None, None], [(1, "2"), (2, "maybe")]),
        (BINARY, [None, None], [None, None], []),
        (HAIR, ["short", "1", "1.0", None], ["short", "1", "1", None], []),
        (HAIR, ["Short", "2"], [None, None], [(0, "Short"), (1, "2")]),
        (AGE, ["31", "7.5", None, "1e1"], [31.0, 7.5, None, 10.0], []),
        (AGE, ["-1", "121", "old", "inf"], [None] * 4, [(0, "-1"), (1, "121"), (2, "old"), (3, "inf")]),
    ],
)
def test_texts_become_values(
    parsed: Callable[..., labels.ParsedLabels],
    declared: dict[str, Any],
    texts: list[str | None],
    values: list[Any],
    unknown: list[tuple[int, str]],
) -> None:
    found = parsed(declared, texts)
    assert [None if pd.isna(value) else value for value in found.columns["a"]] == values
    assert found.unknown == {"a": unknown}


def test_minus_one_and_zero_together_are_refused(parsed: Callable[..., labels.ParsedLabels]) -> None:
    with pytest.raises(ValueError, match="column of 'a' has both -1 and 0, .* or format maad for tables"):
        parsed(BINARY, ["-1", "0", "1"])
    assert parsed(AGE, ["-1", "0", "1"]).unknown == {"a": [(0, "-1")]}


def test_declarations_become_attributes(settings_of: Settings) -> None:
    settings = settings_of(
        "folders", Path("x"), attributes={"age": AGE, "hair": HAIR, "smile": BINARY, "unused": BINARY}
    )
    texts = {"age": ["10", "20", None, "60"], "hair": ["1"] * 4, "smile": ["1"] * 4, "unused": ["1"] * 4}
    columns = labels.parse_labels(pd.DataFrame(texts, dtype=object), settings).columns
    schema = labels.declared_attributes(
        columns.drop(columns="unused"), settings, dict.fromkeys(columns, "labels.csv")
    )
    told: dict[str, Any] = {"source": "labels.csv"}
    dose = float(np.std([10, 20, 60]))
    assert schema == AttributeSchema(
        (
            Attribute("age", "label", "continuous", "identity", "years", (0.0, 120.0), dose=dose, **told),
            Attribute("hair", "label", "categorical", "mixed", "class", categories=("short", "1"), **told),
            Attribute("smile", "expression", "binary", "image", "class", categories=("off", "on"), **told),
        )
    )
    assert all(attribute.editable for attribute in schema)


def test_attributes_with_one_value_are_named() -> None:
    columns = pd.DataFrame(
        {
            "a": ["on", "on", None],
            "b": ["on", "off", None],
            "c": [None] * 3,
            "d": [1.0, 1.0, None],
            "e": [1, 2, 1],
        }
    )
    assert labels.constant_labels(columns) == ["a", "c", "d"]
    assert labels.constant_labels(pd.DataFrame(index=range(3))) == []


def test_levels_that_the_values_contradict_are_named() -> None:
    def attribute(name: str, level: Any) -> Attribute:
        return Attribute(name, "label", "binary", level, "class", categories=("off", "on"))

    table = pd.DataFrame(
        {
            "identity": ["x", "x", "y", "y"],
            "attribute.varies": ["on", "off", "on", "on"],
            "attribute.stays": ["on", "on", "off", None],
        }
    )
    schema = AttributeSchema((attribute("varies", "identity"), attribute("stays", "image")))
    assert labels.level_warnings(table, schema) == [
        "varies is declared of the identity, but differs between images of 1 people",
        "stays is declared of the image, but never differs within a person",
    ]
    right = AttributeSchema((attribute("varies", "image"), attribute("stays", "identity")))
    mixed = AttributeSchema((attribute("varies", "mixed"), attribute("stays", "mixed")))
    assert labels.level_warnings(table, right) == labels.level_warnings(table, mixed) == []


def test_declared_columns_are_taken_at_the_rows_asked(settings_of: Settings) -> None:
    table = pd.DataFrame({"x": ["1", "2", "3"], "y": ["4", "5", "6"]}, dtype=object)
    listing = Listing(["a", "b", "c"], ["a", "b", "c"], lambda row: b"", labels=table)
    found = labels.with_values(
        listing, settings_of("folders", Path("x"), attributes={"y": AGE}), np.array([2, 0])
    )
    assert found.to_dict("list") == {"y": ["6", "4"]}


def test_what_can_not_be_learned_calibrated_or_measured_is_said_beforehand() -> None:
    people = [f"{split}-{i}" for split in ("train", "calibration", "test") for i in range(6)]
    hats = pd.Series(["on", "off"] * 9, dtype=object)
    hats[pd.Series(people).str.startswith("calibration")] = None
    hats[[12, 13, 14, 15]] = None
    table = pd.DataFrame({"identity": people, "split": [name.split("-")[0] for name in people]})
    schema = AttributeSchema(
        (Attribute("hat", "label", "binary", "image", "class", categories=("off", "on")),)
    )
    assert labels.learning_warnings(table.assign(**{"attribute.hat": hats}), schema) == [
        "hat: no image of the split calibration has a value: what is read of it is not calibrated",
        "hat: known for 2 people of the split test only, at least 3 are needed: nothing is measured of it",
    ]
    # The first six people have labels, the next six none, of the last six two.
    folds = table.assign(**{"attribute.hat": hats}, split="test", fold=np.repeat([1, 2, 3], 6))
    found = labels.learning_warnings(folds, schema)
    assert len(found) == 6 and all(sentence.endswith(" (in 1 of 3 folds)") for sentence in found)
    nothing, two = "no image of the split", "known for 2 people of the split"
    for split in ("train", "calibration", "test"):
        for reason in (nothing, two):
            assert sum(sentence.startswith(f"hat: {reason} {split} ") for sentence in found) == 1
    known = table.assign(**{"attribute.hat": ["on", "off"] * 9})
    assert labels.learning_warnings(known, schema) == []
