"""Schemes against enumeration of small cases, and p-values against their distribution under the null."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribute_recovery.statistics.permutation import (
    Scheme,
    distinct_permutations,
    exchange_identities,
    is_testable,
    permutation_p_value,
    permute_identity_blocks,
    permute_within_identity,
)

IDENTITIES = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=25)
PERMUTE = {"identity": permute_identity_blocks, "image": permute_within_identity}


@given(IDENTITIES, st.integers(0, 99))
def test_blocks_move_whole_to_identities_of_the_same_size(identities: list[str], seed: int) -> None:
    names = np.array(identities)
    moved = permute_identity_blocks(names, np.random.default_rng(seed))
    assert sorted(moved) == list(range(len(names)))
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        sources = np.unique(names[moved[rows]])
        assert len(sources) == 1
        assert np.array_equal(moved[rows], np.flatnonzero(names == sources[0]))  # whole, in order


@given(IDENTITIES, st.integers(0, 99))
def test_everybody_gets_the_rows_of_one_in_turn(identities: list[str], seed: int) -> None:
    names = np.array(identities)
    taken = exchange_identities(names, np.random.default_rng(seed))
    sources = []
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        (source,) = np.unique(names[taken[rows]])
        assert np.array_equal(taken[rows], np.resize(np.flatnonzero(names == source), len(rows)))
        sources.append(source)
    assert sorted(sources) == np.unique(names).tolist()


@given(st.integers(1, 8), st.integers(1, 4), st.integers(0, 99))
def test_of_people_with_equally_many_images_blocks_are_exchanged(people: int, images: int, seed: int) -> None:
    names = np.random.default_rng(seed).permutation(np.repeat(np.arange(people), images))
    one = exchange_identities(names, np.random.default_rng(seed))
    other = permute_identity_blocks(names, np.random.default_rng(seed))
    assert np.array_equal(one, other)


@given(IDENTITIES, st.integers(0, 99))
def test_images_stay_with_their_identity(identities: list[str], seed: int) -> None:
    names = np.array(identities)
    moved = permute_within_identity(names, np.random.default_rng(seed))
    assert sorted(moved) == list(range(len(names)))
    assert np.array_equal(names[moved], names)


@pytest.mark.parametrize(
    ("identities", "scheme", "values"),
    [
        ("aabbc", "identity", None),
        ("aabbc", "image", None),
        ("abcd", "identity", [0, 0, 1, 1]),
        ("aabbcc", "identity", [1, 1, 0, 0, 1, 1]),
        ("aaabb", "image", [1, 0, 0, 1, 1]),
        ("abab", "image", ["x", "y", "x", "z"]),
        ("aabb", "identity", [[0, 1], [1, 0], [0, 1], [1, 0]]),
    ],
)
def test_every_distinct_arrangement_is_drawn_and_no_other(
    identities: str, scheme: Scheme, values: list | None
) -> None:
    names = list(identities)
    moved = np.arange(len(names)) if values is None else np.array(values)
    rng = np.random.default_rng(0)
    seen = {moved[PERMUTE[scheme](names, rng)].tobytes() for _ in range(2000)}
    assert math.exp(distinct_permutations(names, scheme, values=values)) == pytest.approx(len(seen))


def test_draws_are_even_over_arrangements() -> None:
    rng = np.random.default_rng(1)
    draws = [tuple(permute_identity_blocks([0, 1, 2], rng)) for _ in range(6000)]
    counts = [draws.count(order) for order in itertools.permutations(range(3))]
    assert min(counts) > 1000 - 5 * math.sqrt(1000)


def test_large_counts_stay_finite() -> None:
    log_count = distinct_permutations(np.repeat(np.arange(100), 20), "image")
    assert log_count == pytest.approx(100 * math.log(math.factorial(20)))


def test_values_of_kind_object_are_compared_not_their_addresses() -> None:
    values = np.array(["be" + tail for tail in ("ard", "ard", "ach")], dtype=object)
    assert math.exp(distinct_permutations(["a", "b", "c"], "identity", values=values)) == pytest.approx(3)


def test_testable_needs_as_many_arrangements_as_are_drawn() -> None:
    names = np.arange(5)  # 120 arrangements
    assert is_testable(names, "identity", 119)
    assert not is_testable(names, "identity", 120)
    assert not is_testable([1, 2, 2, 3, 3, 3], "identity", 1)  # no two blocks of one size
    assert not is_testable(np.arange(80), "identity", 1999, values=np.arange(80) < 1)  # 80 places for one
    assert is_testable(np.arange(80), "identity", 1999, values=np.arange(80) < 2)  # 3160 for two


def test_unknown_scheme_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="scheme is 'pairs', expected 'identity' or 'image'"):
        distinct_permutations([1, 2], "pairs")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="values has 1 rows, expected 2"):
        distinct_permutations([1, 2], "image", values=[1])


def test_p_value_counts_the_observed_one_and_ties() -> None:
    assert permutation_p_value(5.0, np.arange(9.0)) == 0.5  # 5, 6, 7, 8 and itself, of ten
    assert permutation_p_value(100.0, np.arange(1999.0)) == 1900 / 2000
    assert permutation_p_value(1e9, np.zeros(1999)) == 1 / 2000
    assert permutation_p_value(0.1 + 0.2, [0.3]) == 1.0
    assert math.isnan(permutation_p_value(math.nan, [1.0]))
    with pytest.raises(ValueError, match="null is empty"):
        permutation_p_value(1.0, [])


def test_p_value_holds_its_level_for_clustered_data() -> None:
    """Attribute of the identity level, clustered read-out: blocks hold the level, free shuffling does not."""
    rng = np.random.default_rng(2)
    identities = np.repeat(np.arange(12), 4)
    blocks, free = [], []
    for _ in range(300):
        attribute = rng.normal(size=12)[identities]
        readout = rng.normal(size=12)[identities] + 0.5 * rng.normal(size=48)
        observed = abs(attribute @ readout)
        null = [abs(attribute[permute_identity_blocks(identities, rng)] @ readout) for _ in range(99)]
        blocks.append(permutation_p_value(observed, null))
        free.append(
            permutation_p_value(observed, [abs(rng.permutation(attribute) @ readout) for _ in range(99)])
        )
    assert 0.05 <= np.mean(np.array(blocks) <= 0.1) <= 0.15
    assert np.mean(np.array(free) <= 0.1) > 0.3
