"""What is read in decoded samples, and the spread of it against closed forms."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from attribute_recovery.attributes.heads import Estimates
from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.decoder.spread import reading_slices, readings, spread, spread_of_table


def test_reading_slices_give_one_column_a_number_and_one_a_class(schema: AttributeSchema) -> None:
    places = reading_slices(schema)
    assert places == {"yaw": slice(0, 1), "glasses": slice(1, 3), "hair": slice(3, 6), "smile": slice(6, 7)}


class StubEstimator:
    """Reads a code as it stands: yaw is its first component, sd is exp of the second, classes by softmax."""

    def __init__(self, schema: AttributeSchema) -> None:
        self.schema = schema

    def estimate(self, code: Tensor) -> Estimates:
        values = code.numpy()
        return Estimates(
            mean={"yaw": values[:, 0], "smile": values[:, 2]},
            sd={"yaw": np.exp(values[:, 1]), "smile": np.zeros(len(values), np.float32)},
            probabilities={
                "glasses": torch.softmax(code[:, :2], 1).numpy(),
                "hair": torch.softmax(code[:, :3], 1).numpy(),
            },
        )


STUB_DECODER = SimpleNamespace(generator=SimpleNamespace(decode=lambda code: code))


def test_readings_are_draws_of_numbers_and_probabilities_of_classes(schema: AttributeSchema) -> None:
    codes = np.random.default_rng(0).standard_normal((40, 25, 3)).astype(np.float32)
    read = readings(STUB_DECODER, StubEstimator(schema), codes, 4)
    places = reading_slices(schema)
    assert read.shape == (40, 25, 7)
    np.testing.assert_allclose(
        read[:, :, places["hair"]], torch.softmax(torch.from_numpy(codes), 2), atol=1e-6
    )
    # without noise, as sd is 0, and within the attribute's range
    np.testing.assert_array_equal(read[:, :, places["smile"].start], np.clip(codes[:, :, 2], 0, 1))
    noise = (read[:, :, 0] - codes[:, :, 0]) / np.exp(codes[:, :, 1])
    assert noise.mean() == pytest.approx(0, abs=0.1)
    assert noise.std() == pytest.approx(1, abs=0.1)


def test_antithetic_draws_leave_the_mean_as_it_is(schema: AttributeSchema) -> None:
    codes = np.random.default_rng(0).standard_normal((40, 1, 3)).astype(np.float32).repeat(7, 1)
    codes[:, :, 0] /= 10  # within the range
    read = readings(STUB_DECODER, StubEstimator(schema), codes, 4, antithetic=True)
    noise = (read[:, :, 0] - codes[:, :, 0]) / np.exp(codes[:, :, 1])
    np.testing.assert_allclose(noise[:, ::2][:, :3], -noise[:, 1::2], atol=1e-3)
    assert noise[:, ::2].std() == pytest.approx(1, abs=0.1)
    assert abs(np.corrcoef(noise[:, 0], noise[:, 2])[0, 1]) < 0.5


def test_readings_do_not_depend_on_the_batch_size(schema: AttributeSchema) -> None:
    codes = np.random.default_rng(0).standard_normal((5, 4, 3)).astype(np.float32)
    whole = readings(STUB_DECODER, StubEstimator(schema), codes, 4)
    for batch_size in (1, 3, 20):
        found = readings(STUB_DECODER, StubEstimator(schema), codes, 4, batch_size=batch_size)
        np.testing.assert_allclose(found, whole, atol=1e-6)
    assert not np.allclose(readings(STUB_DECODER, StubEstimator(schema), codes, 5), whole)


def test_of_a_single_sample_the_mean_is_read_and_there_is_no_spread(schema: AttributeSchema) -> None:
    codes = np.random.default_rng(0).standard_normal((6, 1, 3)).astype(np.float32)
    first, second = (readings(STUB_DECODER, StubEstimator(schema), codes, seed) for seed in (1, 2))
    assert np.array_equal(first, second)
    np.testing.assert_array_equal(first[:, :, 0], codes[:, :, 0])
    people = np.array(["a", "b"] * 3, object)
    values = spread(schema, first, {}, {}, people, 20, 1)
    names = [attribute.name for attribute in schema.continuous]
    assert values["coverage_90"] == values["crps_skill"] == dict.fromkeys(names)
    assert values["coverage_90_interval"] == {name: [None, None] for name in names}


def gaussian_case(schema: AttributeSchema, width: float, n: int = 3000):  # type: ignore[no-untyped-def]
    """Truth N(m, 1) with m ~ N(0, 2²); samples N(m, width²), in the columns of `readings`."""
    rng = np.random.default_rng(2)
    centre = rng.normal(0, 2, n)
    truth = {name: centre + rng.standard_normal(n) for name in ("yaw", "smile")}
    read = np.zeros((n, 40, 7), np.float32)
    for name, place in reading_slices(schema).items():
        if name in truth:
            read[:, :, place] = (centre[:, None] + width * rng.standard_normal((n, 40)))[:, :, None]
    marginal = {name: rng.normal(0, math.sqrt(5), 20_000) for name in truth}
    people = np.repeat([f"p{i}" for i in range(n // 10)], 10).astype(object)
    return spread(schema, read, truth, marginal, people, 40, 3)


def test_calibrated_samples_cover_as_they_say_and_have_the_closed_forms_skill(
    schema: AttributeSchema,
) -> None:
    """CRPS of N(m, s²) on its own draws is s/√π, so skill is 1 − 1/√5 against a marginal of variance 5."""
    found = gaussian_case(schema, 1.0)
    assert set(found["coverage_90"]) == set(found["crps_skill"]) == {"yaw", "smile"}
    for name in ("yaw", "smile"):
        assert found["coverage_90"][name] == pytest.approx(0.9, abs=0.02)
        assert found["crps_skill"][name] == pytest.approx(1 - 1 / math.sqrt(5), abs=0.02)
        low, high = found["coverage_90_interval"][name]
        assert low < found["coverage_90"][name] < high


def test_samples_that_are_too_narrow_or_too_wide_are_told_by_coverage(schema: AttributeSchema) -> None:
    narrow, wide = gaussian_case(schema, 0.5), gaussian_case(schema, 2.0)
    inside = math.erf(0.5 * 1.6449 / math.sqrt(2))
    assert narrow["coverage_90"]["yaw"] == pytest.approx(inside, abs=0.03)
    assert wide["coverage_90"]["yaw"] > 0.99
    assert (
        max(narrow["crps_skill"]["yaw"], wide["crps_skill"]["yaw"])
        < gaussian_case(schema, 1.0)["crps_skill"]["yaw"]
    )


def test_an_attribute_without_variance_has_no_skill(schema: AttributeSchema) -> None:
    truth = dict.fromkeys(("yaw", "smile"), np.ones(4))
    people = np.array(list("aabb"), dtype=object)
    found = spread(schema, np.ones((4, 20, 7), np.float32), truth, truth, people, 20, 0)
    assert found["crps_skill"] == {"yaw": None, "smile": None}


def test_the_spread_is_over_the_images_where_an_attribute_is_known(schema: AttributeSchema) -> None:
    rng = np.random.default_rng(5)
    truth = {name: rng.standard_normal(60) for name in ("yaw", "smile")}
    read = rng.standard_normal((60, 20, 7)).astype(np.float32)
    people = np.repeat([f"p{i}" for i in range(15)], 4).astype(object)
    known = rng.random(60) < 0.6
    some = {name: column[known] for name, column in truth.items()}
    expected = spread(schema, read[known], some, some, people[known], 20, 0)
    partial = {
        "yaw": np.where(known, truth["yaw"], np.nan),
        "smile": truth["smile"],
    }
    found = spread(schema, read, partial, partial, people, 20, 0, {"smile"})
    assert found == {key: {"yaw": values["yaw"]} for key, values in expected.items()}


def test_attributes_of_which_too_little_is_known_have_no_spread(schema: AttributeSchema) -> None:
    people = np.repeat([f"p{i}" for i in range(16)], 2).astype(object)
    rows = pd.DataFrame({"identity": people, "split": ["train"] * 16 + ["test"] * 16})
    rng = np.random.default_rng(0)
    values = {"attribute.yaw": rng.standard_normal(32).astype(np.float32)}
    values["attribute.smile"] = np.where(np.arange(32) < 30, rng.random(32), np.nan).astype(np.float32)
    values["attribute.yaw"][16:30] = np.nan
    for attribute in schema.discrete:
        values[f"attribute.{attribute.name}"] = np.array([None] * 32, dtype=object)
    rows = rows.assign(**values)
    found = spread_of_table(schema, rows, rows.iloc[16:], rng.random((16, 20, 7)).astype(np.float32), 20, 0)
    assert set(found["coverage_90"]) == {"smile"}
    assert set(found["not_measured"]) == {"yaw"}
    assert found["known_images"] == {"yaw": 2, "smile": 14}
