"""Splits that have an attribute distributed otherwise, with a divergence that is known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attribute_recovery.recovery.forecast import continuous_marginal, discrete_marginal
from attribute_recovery.significance.shifted import MOST_NATS, shift_of

CODES = np.repeat(np.arange(300), 8)


def with_truth(recovered: Any, truth: Any, fitted: Any) -> Any:
    discrete = recovered.attribute.is_discrete
    marginal = (
        discrete_marginal(fitted, recovered.attribute.n_classes)
        if discrete
        else continuous_marginal(recovered.attribute.name, fitted)
    )
    return replace(recovered, truth=truth, marginal=marginal)


def test_classes_have_the_divergence_of_their_frequencies(make_recovered: Any) -> None:
    rng = np.random.default_rng(0)
    hair = make_recovered("glasses", CODES, hit=0.7)
    found = shift_of(with_truth(hair, (rng.random(2400) < 0.2).astype(int), np.arange(4000) % 2), CODES)
    assert found.nats == pytest.approx(0.2 * np.log(0.4) + 0.8 * np.log(1.6), abs=0.02)
    assert found.too_much


def test_numbers_have_that_of_mean_and_deviation(make_recovered: Any) -> None:
    rng = np.random.default_rng(0)
    yaw = make_recovered("yaw", CODES, hit=0.7)
    fitted = 10 + 3 * rng.standard_normal(4000)
    found = shift_of(with_truth(yaw, 10 + 3 * (0.7 + rng.standard_normal(2400)), fitted), CODES)
    assert found.nats == pytest.approx(0.7**2 / 2, abs=0.04)
    assert found.too_much
    found = shift_of(with_truth(yaw, 10 + 1.5 * rng.standard_normal(2400), fitted), CODES)
    assert found.nats == pytest.approx(0.5 * (0.25 - 1 - np.log(0.25)), abs=0.04)


@pytest.mark.parametrize("name", ["yaw", "length", "glasses", "hair"])
def test_splits_that_are_alike_are_not_marked(name: str, make_recovered: Any) -> None:
    found = [shift_of(make_recovered(name, CODES, hit=0.7, seed=seed), CODES) for seed in range(20)]
    assert sum(one.too_much for one in found) <= 1
    assert np.mean([one.nats for one in found]) < MOST_NATS / 2


def test_few_people_are_no_proof(make_recovered: Any) -> None:
    """12 people of whom three more than half have it: chance makes as much."""
    codes = np.repeat(np.arange(12), 5)
    beard = make_recovered("glasses", codes, hit=0.7)
    identity = replace(beard.attribute, level="identity")
    some = with_truth(replace(beard, attribute=identity), (codes < 9).astype(int), np.arange(4000) % 2)
    found = shift_of(some, codes)
    assert found.nats > MOST_NATS
    assert not found.too_much
    image = replace(some, attribute=beard.attribute)
    assert (beard.attribute.level, shift_of(image, codes).too_much) == ("image", True)


def test_a_class_that_is_not_there_is_no_division_by_zero(make_recovered: Any) -> None:
    hair = make_recovered("hair", CODES, hit=0.7)
    found = shift_of(with_truth(hair, np.zeros(2400, dtype=int), np.arange(3000) % 3), CODES)
    assert found.nats == pytest.approx(np.log(3), abs=0.01)
