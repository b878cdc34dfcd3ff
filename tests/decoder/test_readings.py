"""Readings of known codes: draws of numbers, probabilities of classes, whatever the batch size."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from attribute_recovery.attributes.heads import Estimates
from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.decoder.readings import reading_slices, readings


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


def test_readings_do_not_depend_on_the_batch_size(schema: AttributeSchema) -> None:
    codes = np.random.default_rng(0).standard_normal((5, 4, 3)).astype(np.float32)
    whole = readings(STUB_DECODER, StubEstimator(schema), codes, 4)
    for batch_size in (1, 3, 20):
        found = readings(STUB_DECODER, StubEstimator(schema), codes, 4, batch_size=batch_size)
        np.testing.assert_allclose(found, whole, atol=1e-6)
    assert not np.allclose(readings(STUB_DECODER, StubEstimator(schema), codes, 5), whole)


def test_of_a_single_sample_the_mean_is_read(schema: AttributeSchema) -> None:
    codes = np.random.default_rng(0).standard_normal((6, 1, 3)).astype(np.float32)
    first, second = (readings(STUB_DECODER, StubEstimator(schema), codes, seed) for seed in (1, 2))
    assert np.array_equal(first, second)
    np.testing.assert_array_equal(first[:, :, 0], codes[:, :, 0])
