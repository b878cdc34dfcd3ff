"""Rates by group, against plain loops over all pairs."""

import itertools

import numpy as np
import pytest

from attribute_recovery.statistics.grouped import (
    GroupedSums,
    PairErrors,
    detectable_difference,
    identity_permuted,
    image_permuted,
    pair_columns,
    rates,
)

RNG = np.random.default_rng(3)
CODES = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3, 4, 4, 4])
LABELS = np.array([0, 1, 1, 0, -1, 1, 1, 0, 0, 1, 0, 1])
EACH = RNG.random(12)


def _pairs(genuine: bool) -> list[tuple[int, int]]:
    return [(i, j) for i, j in itertools.combinations(range(12), 2) if (CODES[i] == CODES[j]) == genuine]


def _errors(genuine: bool) -> PairErrors:
    pairs = np.array(_pairs(genuine))
    wrong = pairs[RNG.random(len(pairs)) < 0.4]
    return PairErrors(CODES, wrong[:, 0], wrong[:, 1], genuine)


def _column(i: int, j: int, labels: np.ndarray) -> int:
    return -1 if min(labels[i], labels[j]) < 0 else int(labels[i]) if labels[i] == labels[j] else 2


def _looped(errors: PairErrors, labels: np.ndarray, each: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Errors and pairs, (2, 3), by a loop over pairs."""
    wrong = set(zip(errors.first.tolist(), errors.second.tolist(), strict=True))
    sums = np.zeros((2, 3))
    for i, j in _pairs(errors.genuine):
        column = _column(i, j, labels)
        weight = each[i] * each[j] * people[CODES[i]] * (1 if errors.genuine else people[CODES[j]])
        if column >= 0:
            sums[:, column] += weight * np.array([(i, j) in wrong, 1])
    return sums


@pytest.mark.parametrize("genuine", [True, False])
def test_sums_under_weights_are_those_of_a_loop(genuine: bool) -> None:
    errors = _errors(genuine)
    sums = GroupedSums(errors, LABELS, 2, 5, EACH)
    weights = np.array([[1.0, 1, 1, 1, 1], [2, 0, 1, 3, 0], [0, 0, 4, 0, 1]])
    for row, found, pairs in zip(weights, sums.errors_of(weights), sums.pairs_of(weights), strict=True):
        wanted = _looped(errors, LABELS, EACH, row)
        assert found == pytest.approx(wanted[0])
        assert pairs == pytest.approx(wanted[1])
    assert sums.pairs == pytest.approx(_looped(errors, LABELS, EACH, np.ones(5))[1])


@pytest.mark.parametrize("genuine", [True, False])
def test_trials_are_people_or_pairs_of_people_with_a_pair_in_the_column(genuine: bool) -> None:
    found: dict[int, set[tuple[int, int]]] = {0: set(), 1: set(), 2: set(), -1: set()}
    for i, j in _pairs(genuine):
        found[_column(i, j, LABELS)].add((int(CODES[i]), int(CODES[j])))
    sums = GroupedSums(_errors(genuine), LABELS, 2, 5)
    assert sums.trials.tolist() == [len(found[column]) for column in range(3)]


def test_a_group_without_pairs_has_no_rate() -> None:
    errors = PairErrors(np.array([0, 0, 1]), np.array([0]), np.array([2]), False)
    sums = GroupedSums(errors, [0, 0, 1], 2, 2)
    one = np.ones((1, 2))
    found = [rates(sums.errors_of(one), sums.pairs_of(one), np.arange(3) == column)[0] for column in range(3)]
    assert np.isnan(found[:2]).all()
    assert found[2] == 0.5
    assert pair_columns(np.array([0, -1, 1]), np.array([0, 1, 0]), 2).tolist() == [0, -1, 2]


@pytest.mark.parametrize("genuine", [True, False])
def test_permuted_labels_of_people_are_those_of_a_loop(genuine: bool) -> None:
    errors = _errors(genuine)
    permuted = np.array([[0, 1, 1, -1, 0], [1, 0, -1, 0, 1]])
    base = GroupedSums(errors, np.zeros(12, dtype=int), 1, 5)
    found, pairs = identity_permuted(base, permuted, 2)
    for labels, one, count in zip(permuted, found, pairs, strict=True):
        wanted = _looped(errors, labels[CODES], np.ones(12), np.ones(5))
        assert one == pytest.approx(wanted[0])
        assert count == pytest.approx(wanted[1])


@pytest.mark.parametrize("genuine", [True, False])
def test_permuted_labels_of_images_are_those_of_a_loop(genuine: bool) -> None:
    errors = _errors(genuine)
    rows = np.array([[2, 0, 1, 4, 3, 5, 7, 6, 8, 10, 9, 11], np.arange(12)], dtype=np.int32)
    found = image_permuted(errors, LABELS, 2, rows)
    for row, one in zip(rows, found, strict=True):
        wanted = _looped(errors, LABELS[row], np.ones(12), np.ones(5))
        assert one == pytest.approx(wanted[0])
        assert GroupedSums(errors, LABELS[row], 2, 5).pairs == pytest.approx(wanted[1])


def test_errors_among_some_images_keep_their_identities() -> None:
    errors = _errors(False)
    chosen = LABELS >= 0
    inside = errors.among(chosen)
    assert len(inside.codes) == 11
    kept = [(i, j) for i, j in zip(errors.first, errors.second, strict=True) if chosen[i] and chosen[j]]
    back = np.flatnonzero(chosen)
    assert list(zip(back[inside.first], back[inside.second], strict=True)) == kept


def test_sampled_pairs_count_for_those_that_there_are() -> None:
    errors = _errors(False)
    half = PairErrors(CODES, errors.first, errors.second, False, 0.5)
    assert GroupedSums(half, LABELS, 2, 5).pairs == pytest.approx(GroupedSums(errors, LABELS, 2, 5).pairs / 2)


def test_detectable_difference_is_that_of_the_normal() -> None:
    null, replicates = RNG.normal(0, 2.0, 200_000), RNG.normal(5, 1.0, 200_000)
    assert detectable_difference(null, replicates) == pytest.approx(1.96 * 2 + 0.8416, rel=0.01)
    assert np.isnan(detectable_difference(np.zeros(9), replicates))


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="labels has 3 rows, expected 12"):
        GroupedSums(_errors(True), [0, 1, 0], 2, 5)
