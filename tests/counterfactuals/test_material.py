"""What the search is given: hard readings, and ranges from the population."""

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.attributes.heads import Estimates
from attribute_recovery.counterfactuals.material import (
    hard_encoding,
    search_pairs,
    told_value,
    within_quantiles,
)
from attribute_recovery.counterfactuals.pairs import DrawnPairs


def test_hard_encodings_are_means_and_the_likeliest_class(world) -> None:
    numbers = {"jaw": 0.25, "nose": -0.5, "brow": 0.125, "age": 0.75}
    estimates = Estimates(
        mean={name: np.array([value, 0], np.float32) for name, value in numbers.items()},
        sd={name: np.ones(2, np.float32) for name in numbers},
        probabilities={
            "glasses": np.array([[0.4, 0.6], [0.6, 0.4]], np.float32),
            "hair": np.array([[0.3, 0.3, 0.4], [0.5, 0.1, 0.4]], np.float32),
        },
    )
    found = hard_encoding(world.StubEstimator(), estimates)
    assert found.dtype == np.float32
    assert found[0].tolist() == world.encoded(hair=2, glasses=1, **numbers).tolist()
    assert found[1].tolist() == world.encoded().tolist()


def test_search_pairs_read_the_reconstruction_and_the_other_image(world, material) -> None:
    images = np.stack([world.encoded(jaw=0.5, glasses=1), world.encoded(jaw=-0.5, hair=1), world.encoded()])
    made = material(images, ["a", "b", "c"], 0.5)
    codes = images.copy()
    codes[0, 0] = 0.2  # E has not seen all of the jaw
    made = type(made)(**(vars(made) | {"codes": codes}))
    pairs = search_pairs(made, DrawnPairs(np.array([0, 2]), np.array([1, 0]), np.array([True, False])))
    np.testing.assert_array_equal(pairs.codes, codes[[0, 2]])
    np.testing.assert_allclose(pairs.current, codes[[0, 2]], atol=0.005)  # a step of a byte
    np.testing.assert_allclose(pairs.others, images[[1, 0]], atol=0.005)
    np.testing.assert_allclose(pairs.embeddings, made.embeddings[[1, 0]])
    assert pairs.to_match.tolist() == [True, False]


def test_the_observed_range_lies_between_the_configured_quantiles(world) -> None:
    values = np.arange(101) / 100
    columns = {f"attribute.{name}": values for name in ("jaw", "nose", "age")}
    columns |= {"attribute.brow": np.where(values < 0.5, np.nan, values)}
    columns |= {"attribute.glasses": ["on"] * 101, "attribute.hair": ["long"] * 101}
    editor = world.StubEditor()
    found = within_quantiles(editor, pd.DataFrame(columns), (0.05, 0.8))
    assert found.low["jaw"] == pytest.approx(0.05)
    assert found.high["jaw"] == pytest.approx(0.8)
    assert found.low["brow"] == pytest.approx(0.525)  # missing values are left out
    assert set(found.low) == {"jaw", "nose", "brow", "age"}
    assert found.schema is editor.schema
    assert editor.low["jaw"] == world.range[0]


def test_values_are_told_in_units_and_by_name(world) -> None:
    row = world.encoded(hair=2, glasses=1, jaw=0.12345)
    told = {attribute.name: told_value(world.schema, attribute, row) for attribute in world.schema}
    assert told == {"jaw": 0.123, "nose": 0.0, "brow": 0.0, "glasses": "on", "hair": "curly", "age": 0.0}
    assert told_value(world.schema, world.schema["glasses"], world.encoded(glasses=0.2)) == "off"


def test_an_attribute_without_values_keeps_its_range(world) -> None:
    columns = {f"attribute.{name}": np.full(3, np.nan) for name in ("jaw", "nose", "age", "brow")}
    columns |= {"attribute.glasses": ["on"] * 3, "attribute.hair": ["long"] * 3}
    editor = world.StubEditor()
    found = within_quantiles(editor, pd.DataFrame(columns), (0.05, 0.8))
    assert found.low == editor.low and found.high == editor.high
