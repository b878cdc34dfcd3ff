"""Pairs against the plain double loop, and samples that are told and fair."""

import numpy as np
import pytest

from attribute_recovery.embeddings import pairs as module
from attribute_recovery.embeddings.pairs import Pairs, genuine_pairs, impostor_pairs, nearest_rows

RNG = np.random.default_rng(0)
NAMES = np.array(["c", "a", "b", "a", "c", "c", "d", "b", "a"])


def _unit(n: int, d: int = 6) -> np.ndarray:
    vectors = RNG.normal(size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _loop(embeddings: np.ndarray, names: np.ndarray, *, genuine: bool) -> list[tuple[int, int, float]]:
    n = len(names)
    return [
        (i, j, float(np.dot(embeddings[i].astype(float), embeddings[j].astype(float))))
        for i in range(n)
        for j in range(i + 1, n)
        if (names[i] == names[j]) == genuine
    ]


def _check(found: Pairs, expected: list[tuple[int, int, float]], names: np.ndarray) -> None:
    rows = list(zip(found.row_a.tolist(), found.row_b.tolist(), strict=True))
    assert rows == [(i, j) for i, j, _ in expected]
    assert np.allclose(found.scores, [score for _, _, score in expected], atol=1e-6)
    people = np.unique(names)
    assert (people[found.identity_a] == names[found.row_a]).all()
    assert (people[found.identity_b] == names[found.row_b]).all()


@pytest.mark.parametrize("block", [1, 2, 4, 100])
def test_all_pairs_are_those_of_the_double_loop(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    embeddings = _unit(len(NAMES))
    genuine, impostor = (_loop(embeddings, NAMES, genuine=kind) for kind in (True, False))
    _check(genuine_pairs(embeddings, NAMES, seed=0), genuine, NAMES)
    _check(impostor_pairs(embeddings, NAMES, seed=0), impostor, NAMES)
    assert genuine_pairs(embeddings, NAMES, seed=0).possible == len(genuine)
    assert impostor_pairs(embeddings, NAMES, seed=0).possible == len(impostor)


@pytest.mark.parametrize("limit", [5, 150, 700])
@pytest.mark.parametrize("genuine", [True, False])
def test_a_sample_is_told_and_holds_true_pairs_once(limit: int, genuine: bool) -> None:
    names = np.repeat(np.arange(20), 10)
    embeddings = _unit(len(names))
    sampler = genuine_pairs if genuine else impostor_pairs
    found = sampler(embeddings, names, seed=4, limit=limit)
    every = {(i, j): score for i, j, score in _loop(embeddings, names, genuine=genuine)}
    assert found.possible == len(every) > limit
    assert len(found.scores) == limit
    rows = list(zip(found.row_a.tolist(), found.row_b.tolist(), strict=True))
    assert len(set(rows)) == limit
    assert rows == sorted(rows)
    assert np.allclose(found.scores, [every[pair] for pair in rows], atol=1e-6)
    assert np.array_equal(found.row_a, sampler(embeddings, names, seed=4, limit=limit).row_a)
    assert not np.array_equal(found.row_a, sampler(embeddings, names, seed=5, limit=limit).row_a)


@pytest.mark.parametrize("limit", [6, 20])
def test_each_impostor_pair_is_as_likely_as_any_other(limit: int) -> None:
    names = np.array([0, 0, 0, 1, 1, 2, 3, 3])
    embeddings = _unit(len(names))
    counts = np.zeros((8, 8))
    for seed in range(1500):
        found = impostor_pairs(embeddings, names, seed=seed, limit=limit)
        counts[found.row_a, found.row_b] += 1
    every = impostor_pairs(embeddings, names, seed=0)
    drawn = counts[every.row_a, every.row_b]
    share = limit / every.possible
    assert counts.sum() == drawn.sum() == 1500 * limit
    assert np.abs(drawn - 1500 * share).max() < 4.5 * np.sqrt(1500 * share * (1 - share))


def test_a_sample_of_nearly_all_pairs_ends() -> None:
    names = np.repeat(np.arange(30), 5)
    embeddings = _unit(len(names))
    possible = impostor_pairs(embeddings, names, seed=0).possible
    assert len(impostor_pairs(embeddings, names, seed=0, limit=possible - 1).scores) == possible - 1


def test_everybody_once_has_no_genuine_pair() -> None:
    found = genuine_pairs(_unit(4), np.arange(4), seed=0)
    assert found.possible == 0
    assert len(found.scores) == len(found.row_a) == 0


@pytest.mark.parametrize("block", [1, 3, 100])
def test_the_nearest_is_never_the_image_itself(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    embeddings = _unit(11)
    scores = embeddings.astype(float) @ embeddings.astype(float).T
    expected = [max((j for j in range(11) if j != i), key=lambda j, i=i: scores[i, j]) for i in range(11)]
    assert nearest_rows(embeddings).tolist() == expected


def test_what_has_no_meaning_is_refused() -> None:
    embeddings = _unit(4)
    names = np.arange(4)
    for pairs in (genuine_pairs, impostor_pairs):
        with pytest.raises(ValueError, match="row 2 has length 2"):
            pairs(embeddings * np.array([[1], [1], [2], [1]], np.float32), names, seed=0)
        with pytest.raises(ValueError, match=r"identities: found shape \(3,\) for 4 embeddings"):
            pairs(embeddings, names[:3], seed=0)
        with pytest.raises(ValueError, match="limit: found 0"):
            pairs(embeddings, names, seed=0, limit=0)
        with pytest.raises(ValueError, match=r"embeddings: found shape \(0, 6\)"):
            pairs(embeddings[:0], names[:0], seed=0)
    with pytest.raises(ValueError, match="row 0 has length nan"):
        genuine_pairs(np.full_like(embeddings, np.nan), names, seed=0)
    with pytest.raises(ValueError, match="a search needs at least 2"):
        nearest_rows(embeddings[:1])
