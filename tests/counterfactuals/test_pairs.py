"""Which pairs are drawn: decided rightly, spread over the deciles of the distance from τ, by seed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribute_recovery.counterfactuals.pairs import (
    ERROR_KINDS,
    decided_pairs,
    error_pairs,
    random_pairs,
    spread_over_deciles,
    spread_pairs,
)

TAU = math.cos(math.radians(30))


def at(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def listed(first: np.ndarray, second: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(first.tolist(), second.tolist(), strict=True))


PEOPLE = np.array(["a", "a", "a", "b", "b"], dtype=object)
FACES = at(0, 10, 50, 20, 100)


def test_genuine_pairs_are_those_accepted() -> None:
    first, second, scores = decided_pairs(FACES, PEOPLE, TAU, genuine=True)
    assert listed(first, second) == [(0, 1), (1, 0)]
    np.testing.assert_allclose(scores, math.cos(math.radians(10)), atol=1e-6)


def test_impostor_pairs_are_those_rejected() -> None:
    first, second, _ = decided_pairs(FACES, PEOPLE, TAU, genuine=False)
    rejected = [(0, 4), (1, 4), (2, 4), (4, 0), (4, 1), (4, 2)]  # 50° and 20° are accepted
    assert listed(first, second) == rejected


def test_a_score_equal_to_the_threshold_is_a_match() -> None:
    z = at(0, 77)
    score = float((z[0].astype(np.float64) * z[1]).sum())
    for people, genuine in ((["a", "a"], True), (["a", "b"], False)):
        found = decided_pairs(z, np.array(people, dtype=object), score, genuine=genuine)[0]
        assert len(found) == (2 if genuine else 0)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 300), st.integers(1, 200), st.integers(0, 2**31))
def test_deciles_are_drawn_from_evenly(n: int, count: int, seed: int) -> None:
    distance = np.random.default_rng(seed).exponential(size=n)
    drawn = spread_over_deciles(distance, count, np.random.default_rng(seed))
    assert len(drawn) == len(set(drawn.tolist())) == min(n, count)
    if n > count:
        rank = np.argsort(np.argsort(distance))[drawn]
        edges = np.cumsum([len(part) for part in np.array_split(np.arange(n), 10)])
        each = np.bincount(np.searchsorted(edges, rank, side="right"), minlength=10)
        assert each.max() - each.min() <= 1
        # Near and far ones alike get what is left over of a count that is no multiple of ten.
        assert abs(int(each[:5].sum()) - int(each[5:].sum())) <= 1 or n // 10 == count // 10


def crowd(seed: int = 0, people: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 360, people)
    degrees = np.repeat(centres, 5) + rng.normal(0, 15, 5 * people)
    return at(*degrees), np.repeat([f"p{i}" for i in range(people)], 5).astype(object)


@pytest.mark.parametrize("genuine", [True, False])
def test_random_pairs_are_decided_rightly_and_drawn_by_seed(genuine: bool) -> None:
    z, people = crowd()
    drawn = random_pairs(z, people, TAU, 20, 3, genuine=genuine)
    all_first, all_second, _ = decided_pairs(z, people, TAU, genuine=genuine)
    pairs = listed(drawn.first, drawn.second)
    assert len(drawn) == len(set(pairs)) == 20
    assert set(pairs) <= set(listed(all_first, all_second))
    assert (drawn.to_match == (not genuine)).all()
    assert pairs == listed(*_both(random_pairs(z, people, TAU, 20, 3, genuine=genuine)))
    assert pairs != listed(*_both(random_pairs(z, people, TAU, 20, 4, genuine=genuine)))


def _both(drawn) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def]
    return drawn.first, drawn.second


def test_all_pairs_are_taken_where_there_are_fewer_than_asked() -> None:
    drawn = random_pairs(FACES, PEOPLE, TAU, 100, 0, genuine=False)
    assert len(drawn) == 6
    assert len(random_pairs(FACES, PEOPLE, 0.9999, 100, 0, genuine=True)) == 0


def test_spread_pairs_are_half_genuine_and_easy_and_hard_alike() -> None:
    z, people = crowd()
    drawn = spread_pairs(z, people, TAU, 40, 1)
    genuine = people[drawn.first] == people[drawn.second]
    assert genuine.sum() == 20 == (~genuine).sum()
    assert (drawn.to_match == ~genuine).all()
    scores = (z[drawn.first].astype(np.float64) * z[drawn.second]).sum(1)
    assert ((scores >= TAU) == genuine).all()
    for kind in (True, False):
        every = np.abs(decided_pairs(z, people, TAU, genuine=kind)[2] - TAU)
        distance = np.sort(np.abs(scores[genuine == kind] - TAU))
        tenths = np.quantile(every, [0.1, 0.5, 0.9])
        assert (np.abs(np.searchsorted(distance, tenths) - [2, 10, 18]) <= 1).all()


def test_spread_pairs_without_any_of_a_kind() -> None:
    drawn = spread_pairs(FACES, PEOPLE, 0.9999, 10, 1)
    assert len(drawn) == 5
    assert drawn.to_match.all()
    assert len(spread_pairs(at(0, 1), np.array(["a", "b"], dtype=object), TAU, 10, 1)) == 0


def test_errors_are_what_is_not_decided_rightly() -> None:
    for genuine in (True, False):
        right = decided_pairs(FACES, PEOPLE, TAU, genuine=genuine)
        wrong = decided_pairs(FACES, PEOPLE, TAU, genuine=genuine, rightly=False)
        both = {*listed(*right[:2]), *listed(*wrong[:2])}
        same = {(i, j) for i in range(5) for j in range(5) if i != j and (PEOPLE[i] == PEOPLE[j]) == genuine}
        assert both == same and len(right[0]) + len(wrong[0]) == len(same)


def test_each_error_is_drawn_once_whichever_image_comes_first() -> None:
    """a is rejected at 50° and 40°, b at 80°; of the impostors 20°, 10° and 30° are accepted."""
    drawn = error_pairs(FACES, PEOPLE, math.cos(math.radians(30.1)), 100, 1)
    assert drawn.found == {"false_match": 3, "false_non_match": 3}
    pairs = [tuple(sorted(pair)) for pair in listed(drawn.first, drawn.second)]
    assert pairs == [(0, 3), (1, 3), (2, 3), (0, 2), (1, 2), (3, 4)]
    assert drawn.kinds.tolist() == ["false_match"] * 3 + ["false_non_match"] * 3
    turned = [error_pairs(FACES, PEOPLE, math.cos(math.radians(30.1)), 100, seed).first for seed in range(20)]
    assert 0.2 < np.mean([first[0] == 0 for first in turned]) < 0.8


@given(count=st.integers(0, 9), accepted=st.integers(0, 6), seed=st.integers(0, 99))
@settings(deadline=None)
def test_half_of_the_errors_are_of_each_kind_and_one_makes_up_for_the_other(
    count: int, accepted: int, seed: int
) -> None:
    """Four people of two images; `accepted` of them lie where all others do, the rest by themselves."""
    angles = [0.0] * accepted + [40.0 * (i + 1) for i in range(8 - accepted)]
    people = np.array([f"p{i % 4}" for i in range(8)], dtype=object)
    drawn = error_pairs(at(*angles), people, TAU, count, seed)
    sizes = [int((drawn.kinds == kind).sum()) for kind in ERROR_KINDS]
    found = [drawn.found[kind] for kind in ERROR_KINDS]
    assert len(drawn) == min(count, sum(found))
    assert all(size <= most for size, most in zip(sizes, found, strict=True))
    if min(found) >= count - count // 2:
        assert sizes == [count // 2, count - count // 2]
    same = people[drawn.first] == people[drawn.second]
    assert (same == (drawn.kinds == "false_non_match")).all()


def test_the_seed_draws_the_errors() -> None:
    people = np.array([f"p{i}" for i in range(40)], dtype=object)
    faces = at(*np.linspace(0, 25, 40))
    one, again, other = (error_pairs(faces, people, TAU, 10, seed) for seed in (1, 1, 2))
    assert listed(one.first, one.second) == listed(again.first, again.second)
    assert listed(one.first, one.second) != listed(other.first, other.second)
    assert one.found == {"false_match": 780, "false_non_match": 0} and len(one) == 10
