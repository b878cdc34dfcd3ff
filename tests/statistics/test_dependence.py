"""Information and shares against closed forms of Gaussians, definitions, and simulated identities."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy
from scipy.stats import norm

from attribute_recovery.statistics.dependence import (
    between_within_gaussian,
    between_within_information,
    bounded_information,
    categorical_log_loss,
    entropy,
    gaussian_information,
    gaussian_log_loss,
    icc1,
    information,
    informational_r2,
    theils_u,
)

Array = npt.NDArray[np.float64]


def test_gaussian_log_loss_is_the_negative_log_density() -> None:
    rng = np.random.default_rng(0)
    y, mean, sd = rng.normal(size=50), rng.normal(size=50), rng.uniform(0.1, 3, size=50)
    np.testing.assert_allclose(gaussian_log_loss(y, mean, sd), -norm.logpdf(y, mean, sd))
    np.testing.assert_allclose(gaussian_log_loss(y, 0.5, 2.0), -norm.logpdf(y, 0.5, 2.0))


def test_gaussian_log_loss_of_vectors_adds_components() -> None:
    rng = np.random.default_rng(1)
    y, sd = rng.normal(size=(20, 3)), np.array([0.5, 1.0, 2.0])
    expected = sum(gaussian_log_loss(y[:, i], 0.0, sd[i]) for i in range(3))
    np.testing.assert_allclose(gaussian_log_loss(y, 0.0, sd), expected)
    with pytest.raises(ValueError, match=r"sd holds 0\.0, expected above 0"):
        gaussian_log_loss([1.0], 0.0, 0.0)
    with pytest.raises(ValueError, match=r"expected \(n,\) or \(n, m\)"):
        gaussian_log_loss(np.zeros((2, 2, 2)), 0.0, 1.0)


def test_categorical_log_loss_in_both_forms() -> None:
    table, labels = np.array([[0.2, 0.8], [0.6, 0.4]]), [1, 0]
    expected = [-math.log(0.8), -math.log(0.6)]
    np.testing.assert_allclose(categorical_log_loss(table, labels), expected)
    np.testing.assert_allclose(categorical_log_loss(table[:, 1], labels), expected)
    assert math.copysign(1, categorical_log_loss([1.0], [1])[0]) == 1.0


def test_categorical_log_loss_of_the_impossible_is_bounded_by_the_floor() -> None:
    assert categorical_log_loss([0.0], [1], floor=1e-3)[0] == pytest.approx(math.log(1000))
    assert categorical_log_loss([0.0], [1], floor=0.0)[0] == math.inf
    with pytest.raises(ValueError, match="floor is 1"):
        categorical_log_loss([0.0], [1], floor=1)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.8, 0.99])
def test_information_of_a_gaussian_pair_gives_the_squared_correlation(rho: float) -> None:
    rng = np.random.default_rng(2)
    z, noise = rng.normal(size=(2, 200_000))
    a = rho * z + math.sqrt(1 - rho**2) * noise
    marginal = gaussian_log_loss(a, 0.0, 1.0)
    conditional = gaussian_log_loss(a, rho * z, math.sqrt(1 - rho**2))
    nats = information(marginal, conditional)
    assert nats == pytest.approx(gaussian_information(rho**2), abs=0.01)
    assert informational_r2(nats) == pytest.approx(rho**2, abs=0.01)


def test_informational_r2_of_a_vector_is_that_of_each_component() -> None:
    assert informational_r2(3 * gaussian_information(0.4), m=3) == pytest.approx(0.4)


@given(st.floats(-5, 0.999))
def test_informational_r2_undoes_gaussian_information(r2: float) -> None:
    assert informational_r2(gaussian_information(r2)) == pytest.approx(r2, abs=1e-9)


def test_negative_information_stays_negative() -> None:
    assert information([0.1], [0.6]) == -0.5
    assert informational_r2(-0.5) == pytest.approx(1 - math.e)
    assert theils_u(-0.5, 1.0) == -0.5


def test_information_refuses_bad_input() -> None:
    with pytest.raises(ValueError, match="log_loss_conditional has 1 rows, expected 2"):
        information([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="log_loss_marginal holds 1 values"):
        information([math.inf], [1.0])
    with pytest.raises(ValueError, match="m is 0"):
        informational_r2(0.1, m=0)
    with pytest.raises(ValueError, match="r2 is 1"):
        gaussian_information(1)


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=50))
def test_entropy_agrees_with_scipy(labels: list[str]) -> None:
    counts = np.unique(labels, return_counts=True)[1]
    assert entropy(labels) == pytest.approx(float(scipy_entropy(counts)))
    assert math.copysign(1, entropy(labels)) == 1.0


def test_theils_u_at_its_ends() -> None:
    labels = np.array([0, 0, 1, 2, 2, 2])
    frequencies = np.tile(np.bincount(labels) / 6, (6, 1))
    loss = categorical_log_loss(frequencies, labels)
    sure = categorical_log_loss(np.eye(3)[labels], labels)
    assert theils_u(information(loss, sure), entropy(labels)) == pytest.approx(1.0)
    assert theils_u(information(loss, loss), entropy(labels)) == 0.0
    assert math.isnan(theils_u(0.0, entropy([1, 1, 1])))
    with pytest.raises(ValueError, match="entropy is -1"):
        theils_u(0.0, -1)
    with pytest.raises(ValueError, match="labels is empty"):
        entropy([])


# Ratings of six subjects by four judges, with ICC(1) = 0.17 (Shrout & Fleiss, 1979, tables 2 and 4).
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)


def test_icc_of_the_published_example() -> None:
    assert icc1(SHROUT_FLEISS.ravel(), np.repeat(np.arange(6), 4)) == pytest.approx(0.166, abs=0.0005)


def test_icc_is_unbiased_for_unequal_counts() -> None:
    rng = np.random.default_rng(3)
    results = []
    for _ in range(300):
        identities = np.repeat(np.arange(60), rng.integers(1, 12, size=60))
        people, images = rng.normal(size=60), rng.normal(size=len(identities))
        results.append(icc1(math.sqrt(0.4) * people[identities] + math.sqrt(0.6) * images, identities))
    assert np.mean(results) == pytest.approx(0.4, abs=0.015)


def test_icc_at_its_ends() -> None:
    identities = np.repeat(np.arange(5), 3)
    assert icc1(identities, identities) == 1.0
    assert icc1(np.tile([0.0, 1.0, 2.0], 5), identities) == pytest.approx(-0.5)  # -1 / (n - 1), its least
    assert math.isnan(icc1(np.full(15, 0.1), identities))
    with pytest.raises(ValueError, match="3 identities on 3 images"):
        icc1([1.0, 2.0, 3.0], [0, 1, 2])
    with pytest.raises(ValueError, match="1 identities on 2 images"):
        icc1([1.0, 2.0], [0, 0])


def simulate(
    rng: np.random.Generator, n: int, images: int, between: float, within: float
) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Identity part and image part of an attribute, with the given variances; identities."""
    identities = np.repeat(np.arange(n), images)
    people = math.sqrt(between) * rng.normal(size=n)[identities]
    return people, math.sqrt(within) * rng.normal(size=n * images), identities


def test_parts_of_known_noise_are_those_of_their_variances() -> None:
    rng = np.random.default_rng(4)
    people, images, identities = simulate(rng, 3000, 10, 1.0, 1.0)
    error_people, error_images, _ = simulate(rng, 3000, 10, 0.36, 0.75)
    result = between_within_gaussian(
        people + images + error_people + error_images, people + images, identities
    )
    assert result.between == pytest.approx(gaussian_information((1.0 - 0.36) / 2), abs=0.015)
    assert result.total == pytest.approx(gaussian_information((2.0 - 1.11) / 2), abs=0.015)
    assert result.within == result.total - result.between
    assert result.share == pytest.approx(result.between / result.total)
    assert result.variance_share == pytest.approx(0.64 / (0.64 + 0.25), abs=0.02)
    assert (result.n_identities, result.n_images) == (3000, 30_000)


def test_attribute_of_the_identity_is_all_between() -> None:
    rng = np.random.default_rng(5)
    people, _, identities = simulate(rng, 200, 8, 1.0, 0.0)
    result = between_within_gaussian(people + 0.5 * rng.normal(size=1600), people, identities)
    # Errors of single images are not in what two images have in common.
    assert result.between > 2 > result.total > gaussian_information(0.7)
    assert math.isnan(result.within)
    assert (result.share, result.variance_share) == (1.0, 1.0)


def test_attribute_of_the_image_has_no_share_though_means_are_read() -> None:
    rng = np.random.default_rng(6)
    _, images, identities = simulate(rng, 400, 10, 0.0, 1.0)
    result = between_within_gaussian(0.9 * images, images, identities)
    assert result.between == pytest.approx(0.0, abs=0.01)
    assert result.within == pytest.approx(gaussian_information(0.99), abs=0.02)
    assert result.share < 0.01 and result.variance_share < 0.05


def test_parts_are_means_over_pairs_of_different_images() -> None:
    rng = np.random.default_rng(10)
    identities = np.repeat(np.arange(9), [1, 2, 3, 5, 1, 4, 2, 2, 3])
    truth = 5 + rng.normal(size=9)[identities] + rng.normal(size=23)
    read = 0.7 * truth + rng.normal(size=23)
    result = between_within_gaussian(read, truth, identities)
    several = ~np.isin(identities, [0, 4])
    error, centred = truth - read, truth - truth[several].mean()

    def products(values: np.ndarray) -> float:
        found = 0.0
        for person in np.unique(identities[several]):
            own = np.flatnonzero(identities == person)
            pairs = [values[i] * values[j] for i in own for j in own if i != j]
            found += len(own) * float(np.mean(pairs)) / 21
        return found

    # About the mean of the 21, which is itself drawn: 1 / k of people and 1 / 21 of images.
    k = 21**2 / (2**2 + 3**2 + 5**2 + 4**2 + 2**2 + 2**2 + 3**2)
    of_images = float(np.mean(centred[several] ** 2)) - products(centred)
    of_people = (products(centred) + of_images / 21) / (1 - 1 / k)
    variance = of_people + of_images
    assert result.between == pytest.approx(gaussian_information((of_people - products(error)) / variance))
    r2 = 1 - float(np.mean(error[several] ** 2)) / variance
    assert result.total == pytest.approx(gaussian_information(r2))
    assert (result.n_identities, result.n_images) == (7, 21)


def test_variances_of_few_people_are_unbiased() -> None:
    """Explained without error, variances between people and of images are those of all people on average."""
    rng, identities = np.random.default_rng(11), np.repeat(np.arange(6), [2, 3, 8, 2, 4, 2])
    variances, explained = [], []
    for _ in range(4000):
        truth = rng.normal(size=6)[identities] + rng.normal(size=21)
        # Little error is left: R² tells T, and what is explained between people σ².
        error = math.sqrt(0.02) * rng.normal(size=21)
        found = between_within_gaussian(truth - error, truth, identities)
        variance = float(np.mean(error**2)) / math.exp(-2 * found.total)
        variances.append(variance)
        explained.append(-math.expm1(-2 * found.between) * variance)
    assert np.mean(variances) == pytest.approx(2.0, abs=0.04)
    assert np.mean(explained) == pytest.approx(1.0, abs=0.04)


def test_one_person_tells_nothing_of_people() -> None:
    result = between_within_gaussian([0.1, 0.9, 0.4], [0.0, 1.0, 3.0], ["a", "a", "b"])
    assert np.isnan([result.between, result.within, result.total, result.share]).all()


def test_prediction_of_people_only_leaves_nothing_within() -> None:
    rng = np.random.default_rng(7)
    people, images, identities = simulate(rng, 300, 6, 1.0, 1.0)
    result = between_within_gaussian(people, people + images, identities)
    assert result.within == pytest.approx(0.0, abs=0.02)
    assert result.share == pytest.approx(1.0, abs=0.03)
    exchanged = 5 * rng.permutation(people.reshape(300, 6)).ravel()
    useless = between_within_gaussian(exchanged, people + images, identities)
    assert useless.between < 0 and useless.total < 0


def test_perfect_prediction_counts_as_a_little_less() -> None:
    rng = np.random.default_rng(8)
    people, images, identities = simulate(rng, 300, 6, 1.0, 3.0)
    result = between_within_gaussian(people + images, people + images, identities)
    assert result.between == pytest.approx(gaussian_information(0.25), abs=0.03)
    assert result.total == bounded_information(1.0) == bounded_information(2.0)
    assert result.variance_share == pytest.approx(0.25, abs=0.04)
    assert math.isnan(bounded_information(math.nan))


def test_what_does_not_vary_has_no_share() -> None:
    result = between_within_gaussian([1.0, 2.0, 1.5, 0.0], np.ones(4), [0, 0, 1, 1])
    assert np.isnan([result.between, result.within, result.total, result.share]).all()


def binary(
    rng: np.random.Generator, level: str, n: int = 300, images: int = 12
) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Labels of an attribute of one level and predictions that are right with probability 0.9, calibrated."""
    identities = np.repeat(np.arange(n), images)
    labels = rng.integers(2, size=n)[identities] if level == "identity" else rng.integers(2, size=n * images)
    right = rng.random(n)[identities] < 0.9 if level == "identity" else rng.random(n * images) < 0.9
    return np.where(right == (labels == 1), 0.9, 0.1), labels, identities


def test_discrete_attribute_of_the_identity_gains_between_only() -> None:
    probabilities, labels, identities = binary(np.random.default_rng(10), "identity")
    result = between_within_information(probabilities, labels, identities)
    expected = math.log(2) - scipy_entropy([0.9, 0.1])
    assert result.between == pytest.approx(expected, abs=0.08)
    assert result.within == pytest.approx(0.0, abs=1e-9)
    assert result.share == pytest.approx(1.0)


def test_discrete_attribute_of_the_image_gains_within_only() -> None:
    probabilities, labels, identities = binary(np.random.default_rng(11), "image")
    result = between_within_information(probabilities, labels, identities)
    assert result.between <= 0.0
    assert result.between > -0.06
    assert result.total == pytest.approx(math.log(2) - scipy_entropy([0.9, 0.1]), abs=0.03)
    assert result.share == 0.0


def test_discrete_gains_add_to_the_information() -> None:
    rng = np.random.default_rng(12)
    probabilities = rng.dirichlet(np.ones(3), size=120)
    labels, identities = rng.integers(3, size=120), rng.integers(20, size=120)
    marginal = np.array([0.2, 0.3, 0.5])
    result = between_within_information(probabilities, labels, identities, marginal=marginal)
    losses = (
        categorical_log_loss(np.tile(marginal, (120, 1)), labels),
        categorical_log_loss(probabilities, labels),
    )
    assert result.between + result.within == result.total == pytest.approx(information(*losses))


def test_identity_prediction_leaves_the_image_itself_out() -> None:
    probabilities, labels, identities = [0.9, 0.5, 0.1, 0.7], [1, 0, 1, 1], ["a", "a", "a", "b"]
    result = between_within_information(probabilities, labels, identities, marginal=[0.5, 0.5])
    others = [0.3, 1 - 0.5, 0.7]  # probability of the true class from the two other images
    assert result.between == pytest.approx(np.mean(np.log(others)) - math.log(0.5))
    assert (result.n_identities, result.n_images) == (1, 3)
    with pytest.raises(ValueError, match="no identity with two images"):
        between_within_information([0.5, 0.5], [0, 1], ["a", "b"])
    with pytest.raises(ValueError, match="marginal has 3 rows, expected 2"):
        between_within_information(probabilities, labels, identities, marginal=[0.2, 0.3, 0.5])
