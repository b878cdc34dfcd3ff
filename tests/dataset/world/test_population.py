"""The population is as declared: marginals, levels, correlations."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.dataset.world.population import Marginal, Population
from attribute_recovery.statistics.dependence import icc1

SCHEMA = AttributeSchema(
    (
        Attribute("jaw", "shape", "continuous", "identity", "of its range", (-1.0, 1.0)),
        Attribute("yaw", "pose", "continuous", "image", "degrees", (-42.0, 42.0)),
        Attribute("tone", "appearance", "continuous", "mixed", "from dark to fair", (0.0, 1.0)),
        Attribute(
            "hair", "appearance", "categorical", "mixed", "class", categories=("short", "long", "curly")
        ),
        Attribute("beard", "appearance", "binary", "image", "class", categories=("off", "on")),
    )
)
MARGINALS = {
    "jaw": Marginal(1.0, -1.0, 1.0),
    "yaw": Marginal(0.0, -40.0, 30.0, mean=2.0, sd=20.0),
    "tone": Marginal(0.4, 0.0, 1.0, mean=0.5, sd=0.2),
    "hair": Marginal(0.5, probabilities=(0.5, 0.3, 0.2)),
    "beard": Marginal(0.0, probabilities=(0.7, 0.3)),
}
POPULATION = Population(SCHEMA, MARGINALS)


def draw(
    n_identities: int, n_images: int, population: Population = POPULATION
) -> dict[str, npt.NDArray[np.generic]]:
    """Drawn with a seed."""
    return population.draw(n_identities, n_images, np.random.default_rng(11))


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("jaw", stats.uniform(-1, 2)),
        ("yaw", stats.truncnorm((-40 - 2) / 20, (30 - 2) / 20, 2, 20)),
        ("tone", stats.truncnorm(-2.5, 2.5, 0.5, 0.2)),
    ],
)
def test_marginals_of_continuous_attributes_are_exact(name: str, distribution: stats.rv_continuous) -> None:
    values = draw(4000, 1)[name]  # one image an identity: independent values
    assert values.dtype == np.float32
    assert stats.kstest(values, distribution.cdf).pvalue > 0.01
    assert MARGINALS[name].standard_deviation() == pytest.approx(distribution.std(), rel=1e-3)


@pytest.mark.parametrize("name", ["hair", "beard"])
def test_classes_are_as_frequent_as_declared(name: str) -> None:
    counts = np.bincount(draw(6000, 1)[name])
    assert stats.chisquare(counts, 6000 * np.array(MARGINALS[name].probabilities)).pvalue > 0.01


def test_values_stay_within_their_range_out_to_the_last_rank() -> None:
    ranks = np.array([1e-9, 1 - 1e-9])
    for name in ("jaw", "yaw", "tone"):
        low, high = MARGINALS[name].quantile(ranks)
        assert MARGINALS[name].low <= low < high <= MARGINALS[name].high
    assert MARGINALS["hair"].quantile(ranks).tolist() == [0, 2]


def test_an_attribute_of_the_identity_is_the_same_in_all_its_images_and_one_of_the_image_is_not() -> None:
    values = {name: column.reshape(50, 4) for name, column in draw(50, 4).items()}
    assert (values["jaw"] == values["jaw"][:, :1]).all()
    assert len(np.unique(values["jaw"][:, 0])) == 50
    assert len(np.unique(values["yaw"])) == 200


def test_the_icc1_is_the_identity_share() -> None:
    """Exactly so for the normal latent; a normal truncated at 2.5 deviations is as good as normal."""
    values = draw(3000, 4)
    groups = np.repeat(np.arange(3000), 4)
    assert icc1(values["tone"].astype(float), groups) == pytest.approx(0.4, abs=0.03)
    assert icc1(values["yaw"].astype(float), groups) == pytest.approx(0.0, abs=0.03)


def test_correlations_are_those_of_the_latents() -> None:
    """Spearman's of a Gaussian copula is 6/π·arcsin(ρ/2)."""
    population = Population(SCHEMA, MARGINALS, [("jaw", "tone", 0.6), ("yaw", "tone", -0.5)])
    values = draw(5000, 1, population)
    for first, second, latent in (
        # the parts of two latents meet only where both have them: √(s₁s₂) + √((1−s₁)(1−s₂)) of the
        # correlation
        ("jaw", "tone", 0.6 * np.sqrt(0.4)),
        ("yaw", "tone", -0.5 * np.sqrt(0.6)),
        ("jaw", "yaw", 0.0),
    ):
        found = stats.spearmanr(values[first], values[second]).statistic
        assert found == pytest.approx(6 / np.pi * np.arcsin(latent / 2), abs=0.04), (first, second)


def test_correlations_leave_marginals_alone() -> None:
    population = Population(SCHEMA, MARGINALS, [("jaw", "hair", 0.8), ("jaw", "tone", 0.5)])
    values = draw(4000, 1, population)
    assert stats.kstest(values["jaw"], stats.uniform(-1, 2).cdf).pvalue > 0.01
    assert stats.chisquare(np.bincount(values["hair"]), [2000, 1200, 800]).pvalue > 0.01


def test_the_same_seed_draws_the_same_people() -> None:
    for name, column in draw(7, 3).items():
        np.testing.assert_array_equal(column, draw(7, 3)[name])


def test_the_declaration_is_the_populations() -> None:
    declared = POPULATION.declared()
    assert [a.level for a in declared] == ["identity", "image", "mixed", "mixed", "image"]
    assert declared["yaw"].range == (-40.0, 30.0)
    assert declared["jaw"].dose == pytest.approx(1 / np.sqrt(3), rel=1e-3)
    assert declared["hair"].dose == 1.0
    assert declared["hair"].categories == ("short", "long", "curly")
    assert {a.source for a in declared} == {"default world"}


def test_impossible_correlations_are_refused() -> None:
    with pytest.raises(ValueError, match="correlations: 'nose' is not an attribute; known are jaw, yaw"):
        draw(2, 2, Population(SCHEMA, MARGINALS, [("jaw", "nose", 0.5)]))
    three = [("jaw", "yaw", 0.9), ("yaw", "tone", 0.9), ("jaw", "tone", -0.9)]
    with pytest.raises(ValueError, match="not positive definite"):
        draw(2, 2, Population(SCHEMA, MARGINALS, three))
