"""What is known of attributes: which images, how many people, and when that is too little."""

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.dataset.known import (
    columns_by_pattern,
    counts_of_known,
    is_known,
    largest_atom,
    left_out,
    moments,
    partly_known,
    refuse_atoms,
    too_little,
    without,
)

AGE = Attribute("age", "label", "continuous", "identity", "years", (20.0, 80.0))
HAT = Attribute("hat", "label", "binary", "image", "class", categories=("off", "on"))
HAIR = Attribute("hair", "label", "categorical", "mixed", "class", categories=("short", "long", "curly"))
SCHEMA = AttributeSchema((AGE, HAT, HAIR))
PEOPLE = np.repeat(np.array(list("abcdef"), dtype=object), 2)


def test_missing_are_nan_and_class_numbers_below_zero() -> None:
    assert is_known(AGE, np.float32([1, np.nan])).tolist() == [True, False]
    assert is_known(HAT, np.array([0, -1, 1])).tolist() == [True, False, True]


def test_complete_labels_of_enough_people_are_enough() -> None:
    assert too_little(HAT, np.arange(12) % 2, PEOPLE, "train") == ""
    assert too_little(AGE, np.arange(12.0), PEOPLE, "train") == ""


def test_too_little_is_said_in_words() -> None:
    hats = np.arange(12) % 2
    assert too_little(HAT, np.full(12, -1), PEOPLE, "test") == "no image of the split test has a value"
    one = np.where(PEOPLE == "b", hats, -1)
    assert too_little(HAT, one, PEOPLE, "train") == (
        "known for 1 person of the split train only, at least 3 are needed"
    )
    two = np.where(np.isin(PEOPLE, list("ab")), np.arange(12.0), np.nan)
    assert too_little(AGE, two, PEOPLE, "train") == (
        "known for 2 people of the split train only, at least 3 are needed"
    )
    assert too_little(HAT, np.where(hats, 1, -1), PEOPLE, "test") == ("all 6 values of the split test are on")
    assert too_little(AGE, np.full(12, 30.5), PEOPLE, "test") == "all 12 values of the split test are 30.5"


def test_attributes_are_left_out_by_name_and_counted_where_they_are_not_complete() -> None:
    values = {
        "age": np.where(PEOPLE == "a", np.nan, np.arange(12.0)),
        "hat": np.full(12, -1),
        "hair": np.arange(12) % 3,
    }
    assert left_out(SCHEMA, values, PEOPLE, "test") == {"hat": "no image of the split test has a value"}
    assert without(SCHEMA, {"hat"}).names == ["age", "hair"]
    assert partly_known(SCHEMA, values) == ["age", "hat"]
    assert counts_of_known(SCHEMA, values, PEOPLE) == {
        "known_images": {"age": 10, "hat": 0},
        "known_identities": {"age": 5, "hat": 0},
    }
    assert counts_of_known(without(SCHEMA, ["age", "hat"]), values, PEOPLE) == {}


def test_columns_that_are_known_in_the_same_rows_stand_together() -> None:
    known = np.array([[1, 0, 1, 0], [1, 1, 1, 1], [0, 1, 0, 0]], dtype=bool)
    found = [(columns.tolist(), rows.tolist()) for columns, rows in columns_by_pattern(known)]
    assert found == [
        ([0, 2], [True, True, False]),
        ([1], [False, True, True]),
        ([3], [False, True, False]),
    ]
    assert list(columns_by_pattern(np.empty((3, 0), dtype=bool))) == []


def test_moments_are_of_what_is_known_or_else_of_the_declared_range() -> None:
    assert moments(AGE, np.float32([30, np.nan, 50])) == (40.0, 10.0)
    assert moments(AGE, np.float32([30, np.nan, 30])) == (30.0, 1.0)
    uniform = np.random.default_rng(0).uniform(20, 80, 200_000)
    assert moments(AGE, np.full(3, np.nan)) == pytest.approx((uniform.mean(), uniform.std()), rel=0.01)


def test_a_value_that_images_of_a_person_share_counts_once() -> None:
    assert largest_atom([3.0, 3.0, 3.0, 4.0], ["a", "a", "b", "b"]) == (2, 3)


def _table(ages: list[float], split: str = "train") -> pd.DataFrame:
    names = [f"p{i}" for i in range(len(ages))]
    columns = {"identity": names, "split": split, "attribute.age": np.array(ages, np.float32)}
    return pd.DataFrame(columns)


def test_an_atom_is_refused_with_what_is_allowed() -> None:
    schema = AttributeSchema((AGE,))
    smooth = [20 + i / 2 for i in range(90)]
    refuse_atoms(_table([*smooth, 20.0, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan]), schema)
    sentence = (
        r"^dataset: attribute 'age': 10 of 99 values of the split train are equal, a continuous attribute "
        r"has at most 5 %, since it has no density otherwise; allowed is kind binary or categorical$"
    )
    with pytest.raises(ValueError, match=sentence):
        refuse_atoms(_table([*smooth, *[20.0] * 9]), schema)
    with pytest.raises(ValueError, match="10 of 99 values of the split train are equal"):
        # The fold that is held out, and the one to calibrate on, have other values.
        others = _table([60 + i / 9 for i in range(20)], "test").assign(fold=[2, 3] * 10)
        refuse_atoms(pd.concat([_table([*smooth, *[20.0] * 9], "test").assign(fold=1), others]), schema)
    # What is equal for all is told as such by others.
    refuse_atoms(_table([30.0] * 20), schema)
    refuse_atoms(_table([30.0, 30.0, 40.0], "test"), schema)
