"""Permutations shared by all attributes."""

import math

import numpy as np
import pytest

from attribute_recovery.significance.permuted import (
    Indices,
    draw_permutations,
    largest_of,
    schemes_of,
    smallest_of,
)

CODES = np.repeat(np.arange(8), 3)


def test_each_scheme_keeps_what_it_must() -> None:
    found = draw_permutations(CODES, 600, 0)
    assert (np.sort(found.identity, axis=1) == np.arange(24)).all()
    assert (CODES[found.image] == CODES).all()
    blocks = CODES[found.identity].reshape(600, 8, 3)
    assert (blocks == blocks[:, :, :1]).all()
    assert sum(len(rows) for rows in found.rows("image")) == 600


def test_p_is_uniform_under_the_null() -> None:
    found = draw_permutations(CODES, 199, 1)
    rng = np.random.default_rng(2)
    p = []
    for _ in range(300):
        values, weights = rng.standard_normal((2, 24))

        def statistic(
            rows: Indices, values: np.ndarray = values, weights: np.ndarray = weights
        ) -> np.ndarray:
            return values[rows] @ weights

        p.append(found.p_value("image", values, float(values @ weights), statistic))
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.04)
    assert np.mean(p) == pytest.approx(0.5, abs=0.06)


def test_too_few_arrangements_are_not_tested() -> None:
    found = draw_permutations([0, 0, 1, 1], 19, 0)
    assert math.isnan(found.p_value("identity", np.arange(4), 1.0, lambda rows: np.zeros(len(rows))))
    constant = draw_permutations(CODES, 19, 0)
    assert math.isnan(constant.p_value("image", CODES, 1.0, lambda rows: np.zeros(len(rows))))


def test_p_values_of_two_schemes() -> None:
    assert schemes_of("mixed") == ("identity", "image")
    assert smallest_of({"identity": 0.03, "image": 0.5}) == pytest.approx(0.06)
    assert smallest_of({"identity": 0.8, "image": 0.9}) == 1.0
    assert smallest_of({"identity": math.nan, "image": 0.5}) == 0.5
    assert largest_of({"identity": 0.03, "image": 0.5}) == 0.5
    assert math.isnan(largest_of({"identity": math.nan}))
