"""How far readings lie apart, against closed forms."""

import numpy as np
import pytest
from scipy.stats import norm

from attribute_recovery.attributes.heads import Estimates
from attribute_recovery.counterfactuals.apart import MOST_CERTAIN, readings_apart
from attribute_recovery.dataset.attributes import AttributeSchema


def estimates(jaw: float, sd: float, on: float, hair: tuple[float, float, float]) -> Estimates:
    return Estimates(
        mean={"jaw": np.array([jaw], np.float32)},
        sd={"jaw": np.array([sd], np.float32)},
        probabilities={
            "glasses": np.array([[1 - on, on]], np.float32),
            "hair": np.array([hair], np.float32),
        },
    )


@pytest.fixture
def compared(world) -> AttributeSchema:  # type: ignore[no-untyped-def]
    return AttributeSchema(tuple(world.schema[name] for name in ("jaw", "glasses", "hair")))


def test_means_are_apart_in_their_deviations_and_classes_by_how_surely_they_differ(
    compared: AttributeSchema,
) -> None:
    first, second = estimates(0.5, 0.3, 0.9, (0.8, 0.1, 0.1)), estimates(-0.5, 0.1, 0.2, (0.2, 0.7, 0.1))
    glasses, hair = 1 - (0.1 * 0.8 + 0.9 * 0.2), 1 - (0.8 * 0.2 + 0.1 * 0.7 + 0.1 * 0.1)
    expected = [1 / np.sqrt((0.09 + 0.01) / 2), norm.isf((1 - glasses) / 2), norm.isf((1 - hair) / 2)]
    found = readings_apart(compared, first, second)
    np.testing.assert_allclose(found, [expected], rtol=1e-5)
    np.testing.assert_array_equal(readings_apart(compared, second, first), found)


def test_what_is_read_alike_is_not_apart_and_certainty_is_finite(compared: AttributeSchema) -> None:
    sure = estimates(0.5, 0.3, 1.0, (1.0, 0.0, 0.0))
    assert readings_apart(compared, sure, sure).tolist() == [[0, 0, 0]]
    other = estimates(0.5, 0.3, 0.0, (0.0, 1.0, 0.0))
    most = norm.isf((1 - MOST_CERTAIN) / 2)
    np.testing.assert_allclose(readings_apart(compared, sure, other), [[0, most, most]], rtol=1e-6)


def test_independent_readings_of_equal_attributes_are_a_deviation_and_a_half_apart(
    compared: AttributeSchema,
) -> None:
    """√2 in the root mean square: readings that share no error pass the threshold half of the time."""
    rng, n = np.random.default_rng(0), 20_000
    same = {"glasses": np.tile([1.0, 0.0], (n, 1)), "hair": np.tile([1.0, 0.0, 0.0], (n, 1))}
    first, second = (
        Estimates({"jaw": rng.normal(0, 0.3, n)}, {"jaw": np.full(n, 0.3)}, same) for _ in range(2)
    )
    found = readings_apart(compared, first, second)[:, 0]
    assert np.sqrt((found**2).mean()) == pytest.approx(np.sqrt(2), rel=0.02)
