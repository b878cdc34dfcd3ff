"""Identity share, in worlds where it is known."""

from typing import Any

import numpy as np
import pytest

from attribute_recovery.significance.identity import identity_shares, mean_icc, permuted_iccs
from attribute_recovery.significance.permuted import draw_permutations

CODES = np.repeat(np.arange(100), 8)


@pytest.fixture(scope="module")
def permutations() -> Any:
    return draw_permutations(CODES, 99, 0)


def _one(recovered: Any, permutations: Any) -> Any:
    return identity_shares([recovered], permutations, [0.1], n_boot=99, seed=0)[0]


def test_an_attribute_of_people_is_all_identity(make_recovered: Any, permutations: Any) -> None:
    found = _one(make_recovered("length", CODES, hit=0.7), permutations)
    assert (found.interval.low, found.interval.estimate, found.interval.high) == (1.0, 1.0, 1.0)
    assert np.isnan(found.within)
    assert found.icc_true == pytest.approx(1.0)
    assert found.icc_recovered > 0.5
    assert found.p == 0.01


def test_an_attribute_of_images_is_not(make_recovered: Any, permutations: Any) -> None:
    found = _one(make_recovered("yaw", CODES, hit=0.7), permutations)
    # The mean of eight images is read as well as each of them, and yet nothing lies between identities.
    assert found.between == pytest.approx(0, abs=0.02)
    assert found.within == pytest.approx(-0.5 * np.log(0.3), abs=0.1)
    assert found.interval.estimate < 0.02 and found.interval.low == 0 and found.interval.high < 0.06
    assert found.variance_share == pytest.approx(0, abs=0.05)
    assert found.icc_true == pytest.approx(0, abs=0.05)
    assert found.p > 0.2


def test_a_mixed_attribute_is_split_and_tested_both_ways(make_recovered: Any, permutations: Any) -> None:
    found = _one(make_recovered("hair", CODES, hit=0.9), permutations)
    assert 0 < found.interval.low < found.interval.estimate < found.interval.high < 1
    assert found.between > 0 < found.within
    assert 0.1 < found.variance_share < 0.9
    assert found.p == found.p_by_scheme["identity"] == 0.01
    assert found.p_by_scheme["image"] > 0.5


def test_people_of_one_image_make_no_interval_narrower(make_recovered: Any) -> None:
    few = np.repeat(np.arange(12), 6)
    many = np.concatenate([few, 12 + np.arange(200)])
    reach = []
    for codes in (few, many):
        found = _one(make_recovered("hair", codes, hit=0.9), draw_permutations(codes, 19, 0))
        reach.append(found.interval.high - found.interval.low)
    assert reach[1] > 0.6 * reach[0]


@pytest.mark.parametrize("name", ["length", "hair", "glasses", "yaw"])
def test_what_is_not_read_has_no_significant_share(name: str, make_recovered: Any, permutations: Any) -> None:
    p = []
    for seed in range(20):
        recovered = make_recovered(name, CODES, hit=None, seed=seed)
        p.append(_one(recovered, permutations).p)
    assert np.mean(np.array(p) <= 0.05) <= 0.25


def test_readouts_inherit_the_clustering_of_z() -> None:
    rng = np.random.default_rng(1)
    share = 0.65
    centre = rng.standard_normal((300, 16))
    z = np.sqrt(share) * np.repeat(centre, 6, axis=0) + np.sqrt(1 - share) * rng.standard_normal((1800, 16))
    people = np.repeat(np.arange(300), 6)
    fitted, read = people < 200, people >= 200
    labels = [rng.standard_normal((1200, 1)), rng.integers(2, size=(1200, 1)).astype(float)]
    found = permuted_iccs((z[fitted], people[fitted], labels), (z[read], people[read] - 200), 0, refits=9)
    # Any direction of z has its intraclass correlation: nothing about the labels is in it.
    assert found == pytest.approx([share, share], abs=0.08)


def test_icc_of_columns_leaves_out_what_does_not_vary() -> None:
    column = np.repeat([1.0, 2.0, 4.0], 2)
    codes = np.repeat(np.arange(3), 2)
    assert mean_icc(np.stack([column, np.ones(6)], axis=1), codes) == pytest.approx(1.0)
    assert np.isnan(mean_icc(np.ones((6, 1)), codes))
