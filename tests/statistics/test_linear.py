"""Linear read-outs, against stacked least squares and a general optimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize

from attribute_recovery.statistics.linear import (
    PENALTIES,
    choose_logistic_penalty,
    choose_ridge_penalties,
    fit_logistic,
    fit_ridge,
    fit_standardiser,
    folds_of_people,
    held_out_people,
)


def test_ridge_is_least_squares_with_pseudo_samples() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((50, 4)) + 1, rng.standard_normal((50, 2))
    penalties = np.array([0.1, 2.0])
    found = fit_ridge(x, y, penalties)
    for k, penalty in enumerate(penalties):
        design = np.concatenate([x - x.mean(axis=0), np.sqrt(50 * penalty) * np.eye(4)])
        target = np.concatenate([y[:, k] - y[:, k].mean(), np.zeros(4)])
        assert found.weights[:, k] == pytest.approx(np.linalg.lstsq(design, target, rcond=None)[0])
    assert found(x).mean(axis=0) == pytest.approx(y.mean(axis=0))


def test_ridge_penalty_follows_the_noise() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((200, 60))
    clear, noise = x[:, :1], rng.standard_normal((200, 1))
    held = np.arange(200) % 5 == 0
    chosen = choose_ridge_penalties(x, np.concatenate([clear, noise], axis=1), held)
    assert chosen[0] == PENALTIES[0]
    assert chosen[1] >= 0.1


def test_logistic_is_the_minimum_of_its_objective() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((80, 2))
    labels = (x[:, 0] + rng.standard_normal(80) > 0).astype(np.int64)
    found = fit_logistic(x, labels, 2, 0.1)

    def objective(p: np.ndarray) -> float:
        margin = (2 * labels - 1) * (x @ p[:2] + p[2])
        # Two columns of weights ±w / 2 have the norm ‖w‖² / 2.
        return float(np.mean(np.logaddexp(0, -margin)) + 0.05 * np.sum(p[:2] ** 2) / 2)

    best = minimize(objective, np.zeros(3), tol=1e-12).x
    logits = found(x)
    assert logits[:, 1] - logits[:, 0] == pytest.approx(x @ best[:2] + best[2], abs=1e-2)


def test_logistic_penalty_is_large_where_nothing_is_to_be_learned() -> None:
    rng = np.random.default_rng(3)
    x, labels = rng.standard_normal((150, 40)), rng.integers(2, size=150)
    assert choose_logistic_penalty(x, labels, 2, np.arange(150) % 5 == 0) == 0.1


def test_standardiser_leaves_constant_columns() -> None:
    x = np.stack([np.arange(4.0), np.full(4, 7.0)], axis=1)
    standard = fit_standardiser(x)(x)
    assert standard.mean(axis=0) == pytest.approx([0, 0])
    assert standard.std(axis=0) == pytest.approx([1, 0])


def test_people_are_never_split() -> None:
    identities = np.repeat(np.arange(23), 3)
    held, folds = held_out_people(identities, 0), folds_of_people(identities, 5, 0)
    assert held.reshape(23, 3).std(axis=1).max() == 0
    assert 0 < held.sum() <= 15
    assert folds.reshape(23, 3).std(axis=1).max() == 0
    assert set(folds) == set(range(5))


def test_fewer_people_than_folds_are_refused() -> None:
    with pytest.raises(ValueError, match="3 people, expected at least 5"):
        folds_of_people(["a", "b", "c"], 5, 0)
