"""Retained information, in worlds where it is known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attribute_recovery.recovery.routes import gains
from attribute_recovery.significance.permuted import draw_permutations
from attribute_recovery.significance.retained import _MeanGain, retained_information

CODES = np.repeat(np.arange(150), 8)


@pytest.fixture(scope="module")
def permutations() -> Any:
    return draw_permutations(CODES, 99, 0)


@pytest.mark.parametrize("name", ["yaw", "length"])
def test_gaussian_attributes_have_the_information_of_their_correlation(
    name: str, make_recovered: Any, permutations: Any
) -> None:
    found = [
        retained_information(
            make_recovered(name, CODES, hit=0.6, seed=seed), permutations, n_boot=199, seed=0
        )
        for seed in range(8)
    ]
    known = -0.5 * np.log(0.4)
    assert np.mean([one.interval.estimate for one in found]) == pytest.approx(known, abs=0.04)
    assert sum(one.interval.low < known < one.interval.high for one in found) >= 6
    for one in found:
        assert one.scaled == pytest.approx(1 - np.exp(-2 * one.interval.estimate))
        assert one.scaled_low < one.scaled < one.scaled_high
        assert (one.scale, one.p) == ("informational_r2", 0.01)


def test_classes_have_theils_u(make_recovered: Any, permutations: Any) -> None:
    found = retained_information(make_recovered("hair", CODES, hit=0.8), permutations, n_boot=199, seed=0)
    known = np.log(3) + 0.8 * np.log(0.8) + 0.2 * np.log(0.1)
    assert found.interval.estimate == pytest.approx(known, abs=0.05)
    assert found.scaled == pytest.approx(known / np.log(3), abs=0.05)
    assert set(found.p_by_scheme) == {"identity", "image"}
    assert found.p == pytest.approx(0.02)  # twice the smaller one


def test_permuted_statistic_is_the_gain_of_permuted_labels(make_recovered: Any, permutations: Any) -> None:
    for name in ("yaw", "hair"):
        recovered = make_recovered(name, CODES, hit=0.7)
        rows = permutations.image[:3]
        found = _MeanGain(recovered)(rows)
        for row, value in zip(rows, found, strict=True):
            shuffled = replace(recovered, truth=recovered.truth[row])
            assert value == pytest.approx(gains(shuffled.forecast, shuffled.truth, shuffled.marginal).mean())


@pytest.mark.parametrize("name", ["yaw", "length", "glasses", "hair"])
def test_what_is_not_read_is_not_significant(name: str, make_recovered: Any, permutations: Any) -> None:
    p = []
    for seed in range(20):
        recovered = make_recovered(name, CODES, hit=None, seed=seed)
        found = retained_information(recovered, permutations, n_boot=19, seed=0)
        assert found.interval.estimate == pytest.approx(0, abs=0.02)
        p.append(found.p)
    assert np.mean(np.array(p) <= 0.05) <= 0.25
