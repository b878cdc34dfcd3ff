"""Sums over pairs of identities, and their errors, against loops over written-out copies of people."""

import numpy as np
import numpy.typing as npt
import pytest

from attribute_recovery.statistics.interval import pair_variance
from attribute_recovery.statistics.pairs import (
    defined_ratio,
    pair_cells,
    pair_ratio_errors,
    weighted_pair_sum,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

K = 9


def some_pairs(rng: np.random.Generator, n_pairs: int = 60) -> tuple[Ints, Ints]:
    a = rng.integers(K, size=n_pairs)
    return a, (a + rng.integers(1, K, size=n_pairs)) % K


def with_copies(values: Floats, a: Ints, b: Ints, copies: Ints) -> tuple[Floats, Ints, Ints]:
    """The pairs of a world in which each person is there so often; copies of one person make no pairs."""
    first = np.cumsum(copies) - copies
    drawn = [
        (value, first[one] + i, first[other] + j)
        for value, one, other in zip(values, a, b, strict=True)
        for i in range(copies[one])
        for j in range(copies[other])
    ]
    columns = [np.array(column) for column in zip(*drawn, strict=True)]
    return columns[0], columns[1], columns[2]


@pytest.mark.parametrize("n_people", [K, 400])  # dense, and sparse with hardly a pair
def test_weighted_sums_are_those_of_written_out_copies(n_people: int) -> None:
    rng = np.random.default_rng(0)
    a, b = some_pairs(rng)
    values = rng.normal(size=len(a))
    weights = np.zeros((3, n_people))
    weights[:, :K] = rng.integers(0, 4, size=(3, K))
    found = weighted_pair_sum(values, a, b, n_people)(weights)
    copied = [with_copies(values, a, b, row[:K].astype(np.int64))[0].sum() for row in weights]
    assert found == pytest.approx(np.array(copied))
    own = weighted_pair_sum(values, a, a, n_people)(weights)
    assert own == pytest.approx((weights[:, a] * values).sum(axis=1))


def test_cells_hold_the_sums_of_pairs_in_either_order() -> None:
    values = np.arange(1.0, 13.0)
    a, b = np.tile([0, 1, 2], 4), np.tile([1, 0, 0], 4)
    assert pair_cells(values, a, b, 3).tolist() == [
        [0, values[a < 2].sum(), values[a == 2].sum()],
        [0] * 3,
        [0] * 3,
    ]
    assert defined_ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])) == pytest.approx(
        [0.5, np.nan], nan_ok=True
    )


@pytest.mark.parametrize("decisions", [True, False])
def test_errors_are_those_of_the_copies_as_people_of_their_own(decisions: bool) -> None:
    rng = np.random.default_rng(1)
    a, b = some_pairs(rng, 150)
    top = (rng.random(150) < 0.4).astype(np.float64)
    bottom = np.ones(150) if decisions else rng.uniform(1, 2, size=150)
    weights = np.vstack([np.ones(K), rng.integers(0, 3, size=(4, K))])
    found = pair_ratio_errors(top, bottom, a, b, K, 7.5)(weights)
    for row, error in zip(weights.astype(np.int64), found, strict=True):
        above, one, other = with_copies(top, a, b, row)
        below = with_copies(bottom, a, b, row)[0]
        rest = above - above.sum() / below.sum() * below
        people, pairs = dict[int, float](), dict[tuple[int, int], float]()
        for value, i, j in zip(rest, one.tolist(), other.tolist(), strict=True):
            pairs[min(i, j), max(i, j)] = pairs.get((min(i, j), max(i, j)), 0.0) + value
            for person in (i, j):
                people[person] = people.get(person, 0.0) + value
        crossed, own = (np.sum(np.square(list(each.values()))) for each in (people, pairs))
        assert error == pytest.approx(np.sqrt(pair_variance(crossed, own, 7.5)) / below.sum())


def test_a_draw_without_pairs_has_no_error() -> None:
    a, b = np.array([0, 0]), np.array([1, 2])
    errors = pair_ratio_errors(np.array([1.0, 0.0]), np.ones(2), a, b, 3, 3.0)
    assert np.isnan(errors(np.array([[3.0, 0.0, 0.0]])))
