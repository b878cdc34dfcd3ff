"""Overlap weights against their property, and mean differences against plain ones."""

import numpy as np
import pytest

from attribute_recovery.statistics.balance import effective_number, mean_differences, overlap_weights

RNG = np.random.default_rng(1)


def test_two_groups_become_alike_in_every_mean() -> None:
    x = RNG.standard_normal((400, 5))
    y = (x[:, 0] - 0.5 * x[:, 1] + RNG.standard_normal(400) > 0).astype(int)
    assert abs(mean_differences(x, y)[0]) > 0.8
    weights = overlap_weights(x, y, ridge=1e-6)
    assert np.abs(mean_differences(x, y, weights)).max() < 1e-5
    assert ((weights >= 0) & (weights <= 1)).all()
    # A unit's weight is the probability of the other group: those that could be of either count half.
    assert weights[np.abs(x[:, 0]) < 0.1].mean() > weights[np.abs(x[:, 0]) > 1.5].mean()


def test_weights_take_a_confounder_out() -> None:
    x = RNG.standard_normal((3000, 2))
    y = (x[:, 0] + RNG.standard_normal(3000) > 0).astype(int)
    outcome = 2 * x[:, 0] + RNG.standard_normal(3000)
    weights = overlap_weights(x, y)
    gaps = [
        np.average(outcome[y == 1], weights=w[y == 1]) - np.average(outcome[y == 0], weights=w[y == 0])
        for w in (np.ones(3000), weights)
    ]
    assert gaps[0] > 1.5
    assert abs(gaps[1]) < 0.15


def test_three_groups_come_nearer() -> None:
    x = RNG.standard_normal((900, 3))
    y = np.digitize(x[:, 0] + 1.5 * RNG.standard_normal(900), [-0.7, 0.7])
    before, after = mean_differences(x, y), mean_differences(x, y, overlap_weights(x, y))
    assert np.abs(before).max() > 0.5
    assert np.abs(after).max() < 0.2 * np.abs(before).max()


def test_groups_that_do_not_overlap_stay_apart() -> None:
    x = np.concatenate([RNG.standard_normal((50, 1)) - 9, RNG.standard_normal((50, 1)) + 9])
    y = np.repeat([0, 1], 50)
    assert abs(mean_differences(x, y, overlap_weights(x, y))[0]) > 1


def test_more_covariates_than_units_do_no_harm() -> None:
    weights = overlap_weights(RNG.standard_normal((12, 30)), np.repeat([0, 1], 6))
    assert np.isfinite(weights).all()


def test_difference_is_in_unweighted_deviations() -> None:
    x = np.array([[0.0, 1], [2, 1], [3, 1], [5, 1]])
    y = np.array([0, 0, 1, 1])
    assert mean_differences(x, y) == pytest.approx([3.0, 0.0])
    assert mean_differences(x, y, np.array([0, 1, 1, 0.0]))[0] == pytest.approx(1.0)


def test_effective_number() -> None:
    assert effective_number(np.full(7, 0.3)) == pytest.approx(7)
    assert effective_number(np.array([1.0, 0, 0])) == 1
    assert effective_number(np.zeros(3)) == 0


def test_one_group_is_refused() -> None:
    with pytest.raises(ValueError, match="1 group"):
        overlap_weights(np.ones((3, 1)), [0, 0, 0])
