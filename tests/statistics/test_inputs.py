"""Arguments are checked with words that name them."""

import numpy as np
import pytest

from attribute_recovery.statistics.inputs import (
    class_probabilities,
    finite_array,
    finite_vector,
    identity_codes,
    require_length,
)


def test_finite_vector_turns_booleans_into_float64() -> None:
    result = finite_vector("values", [True, False])
    assert result.dtype == np.float64
    assert result.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_finite_vector_names_argument_and_count_of_wrong_values(wrong: float) -> None:
    with pytest.raises(ValueError, match="scores holds 1 values that are NaN or infinite"):
        finite_vector("scores", [0.0, wrong])


def test_finite_array_refuses_empty_and_wrong_dimension() -> None:
    with pytest.raises(ValueError, match="samples is empty"):
        finite_array("samples", np.empty((0, 3)), ndim=2)
    with pytest.raises(ValueError, match=r"samples has shape \(3,\), expected 2"):
        finite_array("samples", np.zeros(3), ndim=2)


def test_require_length_tells_both_lengths() -> None:
    require_length("truth", np.zeros(3), 3)
    with pytest.raises(ValueError, match="truth has 3 rows, expected 4"):
        require_length("truth", np.zeros(3), 4)


@pytest.mark.parametrize("dtype", [object, str])
def test_identity_codes_follow_sorted_names(dtype: type) -> None:
    codes, n = identity_codes("identities", np.array(["b", "a", "b"], dtype=dtype), 3)
    assert codes.tolist() == [1, 0, 1]
    assert n == 2
    with pytest.raises(ValueError, match="expected one dimension"):
        identity_codes("identities", [[1], [2]], 2)


def test_vector_of_probabilities_means_class_one() -> None:
    table, labels = class_probabilities([0.25, 1.0], [True, False])
    assert table.tolist() == [[0.75, 0.25], [0.0, 1.0]]
    assert labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("probabilities", "labels", "text"),
    [
        ([1.5], [1], "expected 0 to 1"),
        ([[0.5, 0.4]], [1], "misses the sum 1 by 0.1"),
        ([[0.5, 0.5]], [2], "whole numbers 0 to 1"),
        ([[0.5, 0.5]], [0.5], "whole numbers 0 to 1"),
        ([[0.5, 0.5]], [-1], "whole numbers 0 to 1"),
        ([[0.5, 0.5]], [0, 1], "labels has 2 rows, expected 1"),
    ],
)
def test_class_probabilities_refuse_what_does_not_fit(probabilities: list, labels: list, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        class_probabilities(probabilities, labels)
