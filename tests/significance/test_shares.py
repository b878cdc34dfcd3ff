"""Sums by identity, against the statistics that they stand for."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest

from attribute_recovery.significance.permuted import draw_permutations
from attribute_recovery.significance.shares import (
    ContinuousStatistics,
    DiscreteStatistics,
    share_of,
    sums_by_identity,
)
from attribute_recovery.statistics.dependence import between_within_gaussian, between_within_information

CODES = np.repeat(np.arange(30), np.arange(30) % 5 + 1)


def _direct(recovered: Any, rows: np.ndarray, people: np.ndarray) -> tuple[float, float, float]:
    if recovered.attribute.is_discrete:
        found = between_within_information(
            recovered.forecast.probabilities[rows],
            recovered.truth[rows],
            people,
            marginal=recovered.marginal.probabilities,
        )
        return found.between, found.within, found.share
    split = between_within_gaussian(recovered.forecast.mean[rows], recovered.truth[rows], people)
    return split.between, split.within, split.share


@pytest.mark.parametrize("name", ["yaw", "length", "glasses", "hair"])
def test_a_resample_is_the_statistic_of_its_images(name: str, make_recovered: Any) -> None:
    # Fewer than two images of some; a copy of a person is another person.
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


@pytest.mark.parametrize("name", ["length", "yaw", "hair"])
def test_permuted_statistics_are_those_of_permuted_labels(name: str, make_recovered: Any) -> None:
    # As many images of one person as of another, but not of all, and but one of some.
    codes = np.repeat(np.arange(16), np.arange(16) % 4 + 1)
    recovered = make_recovered(name, codes, hit=0.7)
    permutations = draw_permutations(codes, 6, 0)
    statistics: Any = (
        DiscreteStatistics(recovered, codes)
        if name == "hair"
        else ContinuousStatistics(recovered.forecast.mean, recovered.truth, codes)
    )

    def parts(row: np.ndarray) -> tuple[float, float]:
        shuffled = replace(recovered, truth=recovered.truth[row])
        return _direct(shuffled, np.arange(len(codes)), codes)[:2]

    if name == "length":
        explained = [1 - np.exp(-2 * parts(row)[0]) for row in permutations.identity]
        assert statistics.between(permutations.identity) == pytest.approx(np.array(explained))
    else:
        excess = statistics.excess(permutations.image)
        known = np.array([np.subtract(*parts(row)) for row in permutations.image])
        assert excess - excess[0] == pytest.approx(known - known[0], abs=1e-9)


def test_products_of_exchanged_people_are_studentised_where_images_differ(make_recovered: Any) -> None:
    codes = np.repeat(np.arange(16), np.arange(16) % 4 + 1)
    recovered = make_recovered("yaw", codes, hit=0.7)
    rows = draw_permutations(codes, 6, 0).identity
    several = np.bincount(codes)[codes] > 1
    read = recovered.forecast.mean
    others = [
        np.mean(read[(codes == codes[i]) & (np.arange(len(codes)) != i)]) for i in np.flatnonzero(several)
    ]
    known = []
    for row in rows:
        labels = recovered.truth[row][several]
        products = (labels - labels.mean()) * (np.array(others) - np.mean(others))
        by_person = np.bincount(codes[several], products)
        known.append(by_person.sum() / np.sqrt(np.sum(by_person**2)))
    found = ContinuousStatistics(read, recovered.truth, codes).between(rows)
    assert found == pytest.approx(np.array(known))
    # The sum itself is what moves B, the variance explained between people.
    parts = [_direct(replace(recovered, truth=recovered.truth[row]), np.arange(40), codes)[0] for row in rows]
    explained = 1 - np.exp(-2 * np.array(parts))
    moved = recovered.truth[rows][:, several] @ np.array(others)
    slope = 2 / sum(sums_by_identity(recovered, codes).components(np.ones(16)))
    assert explained - explained[0] == pytest.approx(slope * (moved - moved[0]), abs=1e-9)


def _others(recovered: Any, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images of people who have several, and log probabilities by the person's other images."""
    several = np.flatnonzero(np.bincount(codes)[codes] > 1)
    table = recovered.forecast.probabilities
    others = [table[(codes == codes[i]) & (np.arange(len(codes)) != i)].mean(axis=0) for i in several]
    return several, np.log(np.array(others))


def test_classes_of_exchanged_people_are_studentised_where_images_differ(make_recovered: Any) -> None:
    codes = np.repeat(np.arange(16), np.arange(16) % 4 + 1)
    recovered = make_recovered("hair", codes, hit=0.7)
    rows = draw_permutations(codes, 6, 0).identity
    several, logs = _others(recovered, codes)
    known, sums = [], []
    for row in rows:
        labels = np.eye(3)[recovered.truth[row][several]]
        products = np.sum((labels - labels.mean(axis=0)) * (logs - logs.mean(axis=0)), axis=1)
        by_person = np.bincount(codes[several], products)
        known.append(by_person.sum() / np.sqrt(np.sum(by_person**2)))
        sums.append(products.sum())
    found = DiscreteStatistics(recovered, codes).between(rows)
    assert found == pytest.approx(np.array(known))
    # The sum moves as what is gained between people does.
    parts = [_direct(replace(recovered, truth=recovered.truth[row]), np.arange(40), codes)[0] for row in rows]
    gained = len(several) * (np.array(parts) - parts[0])
    assert np.array(sums) - sums[0] == pytest.approx(gained, abs=1e-9)


def test_classes_of_people_are_exchanged_exactly(make_recovered: Any) -> None:
    codes = np.repeat(np.arange(16), np.arange(16) % 4 + 1)
    recovered = make_recovered("hair", codes, hit=0.7)
    recovered = replace(recovered, truth=recovered.truth[np.flatnonzero(np.diff(codes, prepend=-1))][codes])
    rows = draw_permutations(codes, 6, 0).identity
    several, logs = _others(recovered, codes)
    known = [logs[np.arange(len(several)), recovered.truth[row][several]].mean() for row in rows]
    assert DiscreteStatistics(recovered, codes).between(rows) == pytest.approx(np.array(known))


@pytest.mark.parametrize(("name", "hit"), [("yaw", 0.9), ("glasses", 0.95)])
def test_what_is_read_of_images_alone_is_not_found_between_people(
    name: str, hit: float, make_recovered: Any
) -> None:
    # Declared mixed and read well, but not of people: p by whole identities keeps its level.
    codes = np.repeat(np.arange(40), np.arange(40) % 3 + 3)
    permutations, p = draw_permutations(codes, 199, 0), []
    for seed in range(300):
        recovered = make_recovered(name, codes, hit=hit, seed=seed)
        statistics = (
            DiscreteStatistics(recovered, codes)
            if recovered.attribute.is_discrete
            else ContinuousStatistics(recovered.forecast.mean, recovered.truth, codes)
        )
        observed = float(statistics.between(np.arange(len(codes), dtype=np.int32)[None])[0])
        p.append(permutations.p_value("identity", recovered.truth, observed, statistics.between))
    assert kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.05) <= 0.085  # 12 % without standardising


def test_a_person_of_one_image_says_nothing(make_recovered: Any) -> None:
    recovered = make_recovered("yaw", CODES, hit=0.6)
    sums = sums_by_identity(recovered, CODES)
    counted = np.ones(30)
    counted[np.bincount(CODES) == 1] = 7.0
    assert sums.parts(counted) == pytest.approx(sums.parts(np.ones(30)), abs=1e-12)
    alone = sums_by_identity(make_recovered("yaw", np.arange(30), hit=0.6), np.arange(30))
    assert np.isnan(alone.parts(np.ones(30))).all() and np.isnan(alone.share(np.ones(30)))


def test_share_of_parts() -> None:
    assert share_of(1.0, 3.0) == 0.25
    assert share_of(1.0, -2.0) == 1.0
    assert share_of(0.5, np.nan) == 1.0
    assert np.isnan(share_of(-1.0, 0.0))
