"""Sums by identity, against the statistics that they stand for."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attribute_recovery.significance.permuted import draw_permutations
from attribute_recovery.significance.shares import (
    ContinuousStatistics,
    DiscreteStatistics,
    nats,
    share_of,
    sums_by_identity,
)
from attribute_recovery.statistics.dependence import between_within_information, between_within_r2

CODES = np.repeat(np.arange(30), np.arange(30) % 4 + 2)


def _direct(recovered: Any, rows: np.ndarray, people: np.ndarray) -> tuple[float, float, float]:
    if recovered.attribute.is_discrete:
        found = between_within_information(
            recovered.forecast.probabilities[rows],
            recovered.truth[rows],
            people,
            marginal=recovered.marginal.probabilities,
        )
        return found.between, found.within, found.share
    split = between_within_r2(recovered.forecast.mean[rows], recovered.truth[rows], people)
    return nats(split.between_r2), nats(split.within_r2), split.share


@pytest.mark.parametrize("name", ["yaw", "length", "glasses", "hair"])
def test_a_resample_is_the_statistic_of_its_images(name: str, make_recovered: Any) -> None:
    recovered = make_recovered(name, CODES, hit=0.6)
    sums = sums_by_identity(recovered, CODES)
    drawn = np.random.default_rng(0).integers(30, size=30)
    rows = np.concatenate([np.flatnonzero(person == CODES) for person in drawn])
    people = np.repeat(np.arange(30), np.bincount(CODES)[drawn])
    times = np.bincount(drawn, minlength=30).astype(np.float64)
    known = _direct(recovered, rows, people)
    assert sums.parts(times) == pytest.approx(known[:2], nan_ok=True)
    assert sums.share(times) == pytest.approx(known[2])
    everybody = np.arange(len(CODES))
    assert sums.share(np.ones(30)) == pytest.approx(_direct(recovered, everybody, CODES)[2])


@pytest.mark.parametrize("name", ["yaw", "hair"])
def test_permuted_statistics_differ_from_the_direct_ones_by_a_constant(
    name: str, make_recovered: Any
) -> None:
    codes = np.repeat(np.arange(12), 4)
    recovered = make_recovered(name, codes, hit=0.7)
    permutations = draw_permutations(codes, 6, 0)
    statistics: Any = (
        DiscreteStatistics(recovered, codes)
        if name == "hair"
        else ContinuousStatistics(recovered.forecast.mean, recovered.truth, codes)
    )
    for rows, statistic, of in (
        (permutations.identity, statistics.between, lambda between, within: between),
        (permutations.image, statistics.excess, lambda between, within: between - within),
    ):
        known = []
        for row in rows:
            shuffled = replace(recovered, truth=recovered.truth[row])
            known.append(of(*_direct(shuffled, np.arange(48), codes)[:2]))
        assert statistic(rows) - statistic(rows)[0] == pytest.approx(np.array(known) - known[0], abs=1e-9)


def test_share_of_parts() -> None:
    assert share_of(1.0, 3.0) == 0.25
    assert share_of(1.0, -2.0) == 1.0
    assert share_of(0.5, np.nan) == 1.0
    assert np.isnan(share_of(-1.0, 0.0))
