"""Gains over the marginal, against closed forms and numerical integrals."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from attribute_recovery.recovery.forecast import (
    DiscreteMarginal,
    Tilted,
    class_gains,
    continuous_gain,
    continuous_marginal,
    discrete_gain,
    discrete_marginal,
    marginals,
    tilt,
)


def test_a_linear_gaussian_attribute_has_the_information_of_its_correlation() -> None:
    rng = np.random.default_rng(0)
    a = 3 + 2 * rng.standard_normal(40000)
    r2 = 0.64
    mean = 3 + r2 * (a - 3) + 2 * np.sqrt(r2 * (1 - r2)) * rng.standard_normal(len(a))
    sd = np.full(len(a), 2 * np.sqrt(1 - r2))
    gain = continuous_gain(mean, sd, a, continuous_marginal("a", a[:5000])).mean()
    assert gain == pytest.approx(-0.5 * np.log(1 - r2), abs=0.01)


@pytest.mark.parametrize("noise", [0.1, 0.5, 2.0])
def test_a_uniform_attribute_has_the_information_of_its_channel(noise: float) -> None:
    rng = np.random.default_rng(1)
    a = rng.uniform(-1, 1, 40000)
    seen = a + noise * rng.standard_normal(len(a))
    slope = np.cov(a, seen)[0, 1] / seen.var()
    mean = a.mean() + slope * (seen - seen.mean())
    gain = continuous_gain(
        mean, np.full(len(a), (a - mean).std()), a, continuous_marginal("a", a[:5000])
    ).mean()

    def negative_entropy(x: float) -> float:
        density = (norm.cdf((x + 1) / noise) - norm.cdf((x - 1) / noise)) / 2
        return float(density * np.log(density)) if density > 0 else 0.0

    reach = 1 + 8 * noise
    entropy = -quad(negative_entropy, -reach, reach, limit=200)[0]
    known = entropy - 0.5 * np.log(2 * np.pi * np.e * noise**2)
    # A plain regression may miss a little of the information; it must not claim more than there is.
    assert known - 0.02 < gain < known + 0.01


def _uniform_tilted(contamination: float = 0.1) -> Tilted:
    """Two forecasts of an attribute that is uniform from 2 to 6."""
    marginal = continuous_marginal("a", np.linspace(2.0, 6.0, 6001))
    return Tilted(np.array([3.0, 6.5]), np.array([0.4, 0.8]), contamination, marginal)


def _density(tilted: Tilted, image: int) -> Any:
    """(1 − ε) truncated normal + ε uniform, which a tilt of a uniform marginal is."""
    mu, width, share = tilted.location[image], tilted.scale[image], tilted.contamination
    # exp(θ a − κ a² / 2) with κ = 1 / σ² − 1, standardised, is normal of variance 1 / κ about θ / κ.
    unit = tilted.marginal.sd
    kappa = (unit / width) ** 2 - 1
    centre = tilted.marginal.mean + (mu - tilted.marginal.mean) * (unit / width) ** 2 / kappa
    inner = norm(centre, unit / np.sqrt(kappa))
    mass = inner.cdf(6) - inner.cdf(2)
    return lambda a: ((1 - share) * inner.pdf(a) / mass + share / 4) * ((a >= 2) & (a <= 6))


@pytest.mark.parametrize("contamination", [0.0, 0.1])
def test_a_tilt_of_a_uniform_attribute_is_a_truncated_normal(contamination: float) -> None:
    tilted = _uniform_tilted(contamination)
    mean, sd = tilted.moments()
    quantiles = tilted.quantiles((0.1, 0.5, 0.9))
    truth = np.array([3.3, 4.4])
    crps, loss, gain = tilted.crps(truth), tilted.log_loss(truth), tilted.gain(truth)
    grid = np.linspace(2, 6, 40001)
    for image in range(2):
        density = _density(tilted, image)
        values = density(grid)
        first = quad(lambda a, d=density: a * d(a), 2, 6, limit=200)[0]
        second = quad(lambda a, d=density: a * a * d(a), 2, 6, limit=200)[0]
        assert mean[image] == pytest.approx(first, abs=0.01)
        assert sd[image] == pytest.approx(np.sqrt(second - first**2), abs=0.01)
        up_to = np.cumsum(values) * (grid[1] - grid[0])
        assert quantiles[:, image] == pytest.approx(np.interp([0.1, 0.5, 0.9], up_to, grid), abs=0.02)
        steps = (up_to - (grid >= truth[image])) ** 2
        assert crps[image] == pytest.approx(steps.sum() * (grid[1] - grid[0]), abs=0.01)
        assert gain[image] == pytest.approx(np.log(density(truth[image]) * 4), abs=0.02)
        assert loss[image] == pytest.approx(-np.log(density(truth[image]) * tilted.marginal.sd), abs=0.03)


def test_contamination_bounds_what_a_gross_error_costs() -> None:
    tilted = _uniform_tilted(0.02)
    assert tilted.gain(np.array([6.0, 2.0])) == pytest.approx(np.log(0.02), abs=0.01)
    sure = Tilted(tilted.location, tilted.scale, 0.0, tilted.marginal)
    assert sure.gain(np.array([6.0, 2.0])).max() < -8


def test_a_part_of_tilts_is_those_of_its_images() -> None:
    tilted = _uniform_tilted()
    part = tilted.part(np.array([False, True]))
    assert part.moments()[0] == pytest.approx(tilted.moments()[0][1:])


def test_nothing_known_gains_nothing_whatever_the_marginal() -> None:
    values = np.random.default_rng(2).exponential(size=3000)
    marginal = continuous_marginal("a", values)
    mean, sd = np.full(50, marginal.mean), np.full(50, marginal.sd)
    assert np.abs(continuous_gain(mean, sd, values[:50], marginal)).max() < 1e-9


@given(centre=st.floats(-1.5, 1.5), scale=st.floats(0.05, 0.99))
def test_tilted_density_is_normalised(centre: float, scale: float) -> None:
    values = np.random.default_rng(3).uniform(size=2000)
    marginal = continuous_marginal("a", values)
    mean, sd = marginal.mean + centre * marginal.sd, scale * marginal.sd
    found = tilt([mean], [sd], marginal)
    total = np.exp(found.gain(marginal.standardise(values)[:, None])).mean()
    assert total == pytest.approx(1, abs=0.03)


def test_a_wide_forecast_counts_as_the_marginal() -> None:
    values = np.random.default_rng(4).standard_normal(1000)
    marginal = continuous_marginal("a", values)
    wide = continuous_gain([marginal.mean], [5 * marginal.sd], [2.0], marginal)
    assert wide == pytest.approx([0.0], abs=1e-9)


def test_discrete_gain_is_the_ratio_of_probabilities() -> None:
    marginal = DiscreteMarginal(np.array([0.25, 0.75]))
    gain = discrete_gain([[0.5, 0.5], [0.1, 0.9]], [0, 1], marginal)
    assert gain == pytest.approx([np.log(2), np.log(0.9 / 0.75)])
    assert class_gains([[0.25, 0.75]], marginal) == pytest.approx(np.zeros((1, 2)))


def test_a_class_that_never_occurs_keeps_a_probability() -> None:
    marginal = discrete_marginal([0, 0, 1], 3)
    assert marginal.probabilities == pytest.approx(np.array([2.5, 1.5, 0.5]) / 4.5)


def test_an_atom_is_refused() -> None:
    values = np.concatenate([np.zeros(60), np.random.default_rng(5).uniform(size=940)])
    with pytest.raises(ValueError, match=r"'smile': 60 of 1000 values are equal"):
        continuous_marginal("smile", values)


def test_a_value_that_a_person_keeps_is_no_atom() -> None:
    values = np.repeat(np.random.default_rng(6).uniform(size=8), 5)
    assert continuous_marginal("jaw", values, np.repeat(np.arange(8), 5)).points.shape == (40,)
    with pytest.raises(ValueError, match="5 of 40"):
        continuous_marginal("jaw", values)


def test_a_deviation_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="sd holds"):
        tilt([0.0], [0.0], continuous_marginal("a", np.arange(10.0)))


def test_marginals_are_of_what_is_known(linear_world: Any) -> None:
    train = linear_world.of("train")
    known = np.arange(len(train.identities)) % 3 > 0
    values = {name: np.array(column) for name, column in train.values.items()}
    values["yaw"][~known] = np.nan
    values["hair"][~known] = -1
    some = {name: column[known] for name, column in train.values.items()}
    found = marginals(linear_world.schema, values, train.identities)
    expected = marginals(linear_world.schema, some, train.identities[known])
    assert np.array_equal(found["yaw"].points, expected["yaw"].points)
    assert np.array_equal(found["hair"].probabilities, expected["hair"].probabilities)
    assert found["length"].mean == pytest.approx(train.values["length"].mean())
