"""The closed forms against many drawn people."""

import numpy as np
import pytest
from benchmarks.validation.intervals.worlds import Distances, Labelled, Moved, freeze, images_of, unit

from attribute_recovery.recovery.routes import gains
from attribute_recovery.significance.shares import sums_by_identity

PEOPLE = 3_000
WORLDS = [Labelled("mixed", "continuous", 1.0), Labelled("classes", "binary", 1.0, 1.0)]
SHADES = [(1.0, 0.5), (3.0, 0.5), (1.0, 0.3), (2.0, 0.0), (1.0, 1.0)]


@pytest.mark.parametrize("of", WORLDS, ids=["continuous", "binary"])
def test_what_a_frozen_readout_gives_over_all_people(of: Labelled) -> None:
    rng = np.random.default_rng(0)
    codes, frozen = images_of(rng, PEOPLE), freeze(of, 100, 1)
    z, a = of.draw(rng, codes)
    known = frozen.recovered(z, a)
    gain = gains(known.forecast, known.truth, known.marginal)
    assert gain.mean() == pytest.approx(frozen.information(), abs=0.02)
    if of.kind == "continuous":
        share = sums_by_identity(known, codes).share(np.ones(PEOPLE))
        assert share == pytest.approx(frozen.share(), abs=0.03)
        inside = np.abs(a - frozen.readout(z)[:, 0]) <= 1.5 * frozen.sd
        assert inside.mean() == pytest.approx(frozen.coverage(1.5), abs=0.015)


@pytest.mark.parametrize(("gain", "between"), SHADES)
def test_the_share_of_a_frozen_readout_over_all_people(gain: float, between: float) -> None:
    of, rng = Labelled("shade", "continuous", gain, between), np.random.default_rng(3)
    codes = images_of(rng, PEOPLE)
    # Few people make a read-out of its own slope, offset and directions.
    for frozen in (freeze(of, 15, 2), freeze(of, 200, 2)):
        share = sums_by_identity(frozen.recovered(*of.draw(rng, codes)), codes).share(np.ones(PEOPLE))
        assert share == pytest.approx(frozen.share(), abs=0.03)
    assert freeze(of, 2000, 2).share() == pytest.approx(of.share(), abs=0.02)
    if between in (0.0, 1.0):
        assert of.share() == between


@pytest.mark.parametrize("of", WORLDS, ids=["continuous", "binary"])
def test_a_frozen_readout_comes_near_the_closed_form_with_more_people(of: Labelled) -> None:
    distance = [
        np.mean([abs(freeze(of, people, seed).information() - of.information()) for seed in range(6)])
        for people in (25, 400)
    ]
    assert distance[1] < 0.3 * distance[0]
    assert freeze(of, 2000, 0).information() == pytest.approx(of.information(), abs=0.003)


def test_nothing_is_known_of_what_does_not_move_the_embedding() -> None:
    absent = Labelled("absent", "continuous", 0.0)
    assert absent.information() == 0
    assert -0.05 < freeze(absent, 200, 0).information() < 1e-6


def test_an_edit_moves_unit_embeddings_as_far_as_the_integral_says() -> None:
    world, rng = Moved(), np.random.default_rng(1)
    y = world.draw(rng, images_of(rng, PEOPLE))
    moved = 1 - np.sum(unit(y).astype(np.float64) * unit(world.moved(y)), axis=1)
    assert moved.mean() == pytest.approx(world.effect(), rel=0.04)


def test_rates_of_distances_are_those_of_chi_squared() -> None:
    world, rng = Distances(), np.random.default_rng(2)
    codes = images_of(rng, PEOPLE, 4)
    z = world.draw(rng, codes)
    same, apart = codes[1:] == codes[:-1], np.linalg.norm(z[1:] - z[:-1], axis=1)
    assert np.mean(apart[same] <= 2.8) == pytest.approx(world.tar(2.8), abs=0.02)
    assert np.mean(apart[~same] <= 2.8) == pytest.approx(world.fmr(2.8), abs=0.02)
    attacked = z + np.sqrt(0.2) * rng.standard_normal(z.shape)
    beside = np.linalg.norm(z[1:] - attacked[:-1], axis=1)
    assert np.mean(beside[same] <= 2.8) == pytest.approx(world.tar(2.8, 0.2), abs=0.02)
