"""What the report says of a table, missing values included."""

import numpy as np
import pandas as pd

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.dataset.describe import describe_table

SCHEMA = AttributeSchema(
    (
        Attribute("age", "label", "continuous", "identity", "years", (0.0, 100.0)),
        Attribute("hat", "label", "binary", "image", "class", categories=("off", "on")),
    )
)


def table(age: list[float | None], hat: list[str | None]) -> pd.DataFrame:
    """Four images of three people, two in train and two in test."""
    return pd.DataFrame(
        {
            "image_id": ["a/1", "a/2", "b/1", "c/1"],
            "identity": ["a", "a", "b", "c"],
            "split": ["train", "train", "test", "test"],
            "path": "",
            "sha256": ["x", "y", "y", "z"],
            "attribute.age": np.array(age, np.float32),
            "attribute.hat": pd.Series(hat, dtype="str"),
        }
    )


def test_missing_values_are_counted_and_left_out() -> None:
    found = describe_table(table([30, None, 40, 60], ["on", "off", None, "on"]), SCHEMA)
    one = {"images": 1, "identities": 1}
    assert found["images"] == 4 and found["identities"] == 3
    assert found["attributes"]["age"]["splits"] == {
        "train": {"mean": 30.0, "sd": 0.0, "low": 30.0, "high": 30.0, "missing": 1, "known": one},
        "test": {"mean": 50.0, "sd": 10.0, "low": 40.0, "high": 60.0},
    }
    assert found["attributes"]["hat"]["splits"] == {
        "train": {"counts": {"off": 1, "on": 1}},
        "test": {
            "counts": {"off": 0, "on": 1},
            "missing": 1,
            "known": one | {"identities_by_class": {"off": 0, "on": 1}},
        },
    }
    assert found["duplicates"] == {"images": 1, "across_splits": 1, "examples": ["a/2", "b/1"]}
    assert found["warnings"] == [
        "2 images have the same pixels as another",
        "split train: age has the same value in every image",
        "age: 1 images have no value",
        "split test: no image with hat off",
        "hat: 1 images have no value",
    ]


def test_a_split_without_any_value_says_so() -> None:
    found = describe_table(table([30, 31, None, None], ["on", "off", "on", "off"]), SCHEMA)
    assert found["attributes"]["age"]["splits"]["test"] == {
        "missing": 2,
        "known": {"images": 0, "identities": 0},
    }
    assert "split test: no image with a value of age" in found["warnings"]


def test_a_table_without_attributes_has_none_to_describe() -> None:
    bare = table([1, 2, 3, 4], ["on"] * 4).drop(columns=["attribute.age", "attribute.hat"])
    found = describe_table(bare, AttributeSchema(()))
    assert found["attributes"] == {}
    assert found["splits"]["train"] == {"identities": 1, "images": 2}
    assert found["warnings"] == ["2 images have the same pixels as another"]
