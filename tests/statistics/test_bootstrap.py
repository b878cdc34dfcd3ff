"""Intervals against a literal second implementation, closed forms, and their coverage of a known truth."""

import time

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import ndtri

from attribute_recovery.statistics.bootstrap import (
    Interval,
    clustered_interval,
    clustered_intervals,
    identity_mean_interval,
    pair_rate_interval,
    pair_ratio_interval,
)
from attribute_recovery.statistics.interval import effective_identities, student_reach, tailed_identities

Array = npt.NDArray[np.float64]


def literal_replicates(values: Array, a: Array, b: Array, n_boot: int, seed: int) -> Array:
    """Draw people one by one, write down all pairs of draws that are pairs of the data, take the mean."""
    people = np.unique(np.concatenate([a, b]))
    rng = np.random.default_rng(seed)
    result = []
    for _ in range(n_boot):
        weights = rng.multinomial(len(people), np.full(len(people), 1 / len(people)))
        copies = dict(zip(people.tolist(), weights.tolist(), strict=True))
        drawn: list[float] = []
        for value, one, other in zip(values, a.tolist(), b.tolist(), strict=True):
            times = copies[one] if one == other else copies[one] * copies[other]
            drawn += [value] * times
        result.append(np.mean(drawn) if drawn else np.nan)
    return np.array(result)


def literal_inflation(values: Array, a: Array, b: Array) -> float:
    """Variance over that of replicates, from sums by person and by pair of people; k / (k − 1) if genuine."""
    people, pairs = dict[int, float](), dict[tuple[int, int], float]()
    brought = dict[int, int]()
    for value, one, other in zip(values - values.mean(), a.tolist(), b.tolist(), strict=True):
        for person in (one, other):
            people[person] = people.get(person, 0.0) + value
            brought[person] = brought.get(person, 0) + 1
        pair = (min(one, other), max(one, other))
        pairs[pair] = pairs.get(pair, 0.0) + value
    k = sum(brought.values()) ** 2 / sum(each**2 for each in brought.values())
    if a[0] == b[0]:
        return k / (k - 1)
    crossed, own = (sum(each**2 for each in found.values()) for found in (people, pairs))
    return max((crossed - own) * k * (k - 1) / ((k - 2) * (k - 3)), own) / (crossed + own)


def literal_freedom(values: Array, a: Array, b: Array) -> float:
    """Identities that t counts: fewer where few make the variance of a figure over impostors."""
    n = int(max(a.max(), b.max())) + 1
    weights, rows = np.zeros(n), np.zeros(n)
    for value, one, other in zip(values - values.mean(), a.tolist(), b.tolist(), strict=True):
        for person in (one, other):
            weights[person] += 1
            rows[person] += value
    effective = effective_identities(weights)
    return effective if a[0] == b[0] else float(tailed_identities(effective, rows[None])[0])


def impostor_pairs(rng: np.random.Generator, n_identities: int, n_pairs: int) -> tuple[Array, Array]:
    a = rng.integers(n_identities, size=n_pairs)
    return a, (a + rng.integers(1, n_identities, size=n_pairs)) % n_identities


@pytest.mark.parametrize("kind", ["impostor", "genuine"])
def test_pair_interval_equals_literal_resampling(kind: str) -> None:
    rng = np.random.default_rng(0)
    a, b = impostor_pairs(rng, 12, 80)
    b = a if kind == "genuine" else b
    values = rng.normal(size=80) + a
    result = pair_rate_interval(values, a, b, n_boot=200, seed=5)
    replicates = literal_replicates(values, a, b, 200, 5)
    arm = student_reach(literal_freedom(values, a, b), 0.95) * replicates.std()
    arm *= np.sqrt(literal_inflation(values, a, b))
    assert result.estimate == pytest.approx(values.mean())
    assert (result.low, result.high) == (
        pytest.approx(values.mean() - arm),
        pytest.approx(values.mean() + arm),
    )
    assert (result.n_identities, result.n_boot, result.level) == (12, 200, 0.95)


def test_sparse_and_dense_pairs_give_the_same() -> None:
    """60 identities with 40 pairs take the sparse way; the literal way does not care."""
    rng = np.random.default_rng(1)
    a = np.concatenate([np.arange(60), [0]])
    b = np.concatenate([(np.arange(60) + 7) % 60, [30]])
    values = rng.normal(size=61)
    result = pair_rate_interval(values, a, b, n_boot=100, seed=3)
    replicates = literal_replicates(values, a, b, 100, 3)
    arm = student_reach(literal_freedom(values, a, b), 0.95) * np.nanstd(replicates)
    assert result.low == pytest.approx(values.mean() - arm * np.sqrt(literal_inflation(values, a, b)))


def test_order_of_sides_and_kind_of_names_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    a, b = impostor_pairs(rng, 20, 300)
    values = rng.normal(size=300)
    swap = rng.random(300) < 0.5
    names = np.array([f"person {i:02d}" for i in range(20)], dtype=object)
    first, second = names[np.where(swap, b, a)], names[np.where(swap, a, b)]
    one = pair_rate_interval(values, a, b, n_boot=100, seed=0)
    other = pair_rate_interval(values, first, second, n_boot=100, seed=0)
    assert (one.low, one.high) == (pytest.approx(other.low), pytest.approx(other.high))


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_batch_size_changes_nothing(batch_size: int) -> None:
    rng = np.random.default_rng(3)
    a, b = impostor_pairs(rng, 15, 200)
    values = rng.normal(size=200)
    for x, y in ((a, b), (a, a)):
        expected = pair_rate_interval(values, x, y, n_boot=50, seed=0)
        result = pair_rate_interval(values, x, y, n_boot=50, seed=0, batch_size=batch_size)
        assert (result.low, result.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    expected = identity_mean_interval(values, a, n_boot=50, seed=0)
    result = identity_mean_interval(values, a, n_boot=50, seed=0, batch_size=batch_size)
    assert (result.low, result.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_seed_decides_the_draw() -> None:
    rng = np.random.default_rng(4)
    values, identities = rng.normal(size=60), np.repeat(np.arange(20), 3)
    same = [identity_mean_interval(values, identities, n_boot=100, seed=s) for s in (1, 1, 2)]
    assert same[0] == same[1] != same[2]


def simulate_rate(rng: np.random.Generator, n: int, rate: float, spread: float) -> tuple[Array, Array, Array]:
    """Accepts over all pairs of n people, x_i + x_j + e_ij > t, accepted with the given probability."""
    a, b = np.triu_indices(n, 1)
    threshold = np.sqrt(2 * spread**2 + 1) * ndtri(1 - rate)
    person = spread * rng.normal(size=n)
    return (person[a] + person[b] + rng.normal(size=len(a)) > threshold).astype(np.float64), a, b


def covers(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def test_impostor_interval_covers_the_truth_and_resampling_pairs_does_not() -> None:
    rng = np.random.default_rng(5)
    right, wrong = [], []
    for seed in range(200):
        values, a, b = simulate_rate(rng, 50, 0.1, 0.5)
        right.append(covers(pair_rate_interval(values, a, b, n_boot=300, seed=seed, clip=(0, 1)), 0.1))
        of_pairs = rng.binomial(len(values), values.mean(), size=300) / len(values)
        wrong.append(np.quantile(of_pairs, 0.025) <= 0.1 <= np.quantile(of_pairs, 0.975))
    assert 0.90 <= np.mean(right) <= 0.99
    assert np.mean(wrong) < 0.75


def test_recentring_takes_away_the_shift_that_copies_bring() -> None:
    """Copies of one person taken for impostors move a rate r by about 2 (1 - r) / n, and the interval too."""
    rng = np.random.default_rng(6)
    n = 50
    values, a, b = simulate_rate(rng, n, 0.1, 0.5)
    matrix = np.eye(n)  # a person against a copy of that person is accepted
    matrix[a, b] = matrix[b, a] = values
    weights = rng.multinomial(n, np.full(n, 1 / n), size=4000)
    unrecentred = np.einsum("rn,nm,rm->r", weights, matrix, weights) / n**2
    result = pair_rate_interval(values, a, b, n_boot=4000, seed=0)
    shift = 2 * (1 - values.mean()) / n
    assert unrecentred.mean() - values.mean() == pytest.approx(shift, rel=0.1)
    assert np.quantile(unrecentred, [0.025, 0.975]) - shift == pytest.approx(
        [result.low, result.high], abs=0.008
    )


def test_width_is_right_where_single_pairs_carry_the_variance() -> None:
    rng = np.random.default_rng(7)
    results = []
    for seed in range(60):
        values, a, b = simulate_rate(rng, 60, 0.02, 0.0)
        results.append(pair_rate_interval(values, a, b, n_boot=200, seed=seed))
    spread = np.std([result.estimate for result in results])
    ratio = np.mean([result.high - result.low for result in results]) / (2 * 1.96 * spread)
    assert 0.95 < ratio < 1.35  # the square root of 3 if replicates were taken as they are


def test_genuine_interval_has_the_width_of_the_cluster_formula() -> None:
    rng = np.random.default_rng(8)
    identities = np.repeat(np.arange(400), 5)
    values = (rng.random(2000) < rng.beta(4, 1, size=400)[identities]).astype(np.float64)
    means = values.reshape(400, 5).mean(axis=1)
    result = pair_rate_interval(values, identities, identities, n_boot=4000, seed=0)
    expected = 2 * 1.96 * means.std() / np.sqrt(400)
    assert result.high - result.low == pytest.approx(expected, rel=0.05)


def test_a_rate_of_zero_or_one_leaves_open_what_so_many_people_could_hide() -> None:
    rng = np.random.default_rng(9)
    a, b = impostor_pairs(rng, 10, 100)
    result = pair_rate_interval(np.zeros(100), a, b, n_boot=50, seed=0, clip=(0, 1))
    pairs = len({tuple(sorted(pair)) for pair in zip(a.tolist(), b.tolist(), strict=True)})
    assert (result.low, result.high) == (0.0, pytest.approx(1 - 0.05 ** (1 / pairs)))
    of_all = identity_mean_interval(np.ones(100), a, n_boot=50, seed=0, clip=(0, 1))
    assert (of_all.low, of_all.high) == (pytest.approx(0.05 ** (1 / 10)), 1.0)
    net = pair_rate_interval(np.zeros(100), a, a, n_boot=50, seed=0, clip=(-1, 1))
    assert (net.low, net.high) == (pytest.approx(0.05 ** (1 / 10) - 1), pytest.approx(1 - 0.05 ** (1 / 10)))
    assert pair_rate_interval(np.zeros(100), a, b, n_boot=50, seed=0).collapsed
    assert not pair_rate_interval(rng.random(100), a, b, n_boot=50, seed=0).collapsed


def test_clip_keeps_the_ends_in_range() -> None:
    rng = np.random.default_rng(10)
    values, a, b = simulate_rate(rng, 30, 0.1, 1.0)
    free = pair_rate_interval(values, a, b, n_boot=500, seed=0)
    kept = pair_rate_interval(values, a, b, n_boot=500, seed=0, clip=(0, 1))
    assert 0 < kept.low < kept.estimate < kept.high < 1
    assert kept.low > free.low and kept.high > free.high  # a rate near 0 is less sure above than below
    cut = clustered_interval(
        lambda rows, _: float(values[rows].mean()), a, n_boot=500, seed=0, clip=(free.estimate, 1)
    )
    assert cut.low == free.estimate


def test_an_error_that_grows_with_the_rate_lengthens_the_upper_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the few who are near to many others, rate and error are both small: replicates say so."""
    rng, k = np.random.default_rng(11), 20
    codes = np.repeat(np.arange(k), 3)
    z = rng.normal(size=(k, 8))[codes] + rng.choice([0.35, 0.65], size=k)[codes, None] * rng.normal(
        size=(3 * k, 8)
    )
    i, j = np.triu_indices(3 * k, 3)
    i, j = i[codes[i] != codes[j]], j[codes[i] != codes[j]]
    near = np.sum((z[i] - z[j]) ** 2, axis=1) < 2.8**2
    found = pair_rate_interval(near, codes[i], codes[j], n_boot=1000, seed=0, clip=(0, 1))
    monkeypatch.setattr("attribute_recovery.statistics.bootstrap._FEW", 0)
    student = pair_rate_interval(near, codes[i], codes[j], n_boot=1000, seed=0, clip=(0, 1))
    assert found.low <= student.low < found.estimate == student.estimate
    assert found.high > 1.05 * student.high


def test_ratio_of_a_multiple_is_known_without_doubt() -> None:
    rng = np.random.default_rng(11)
    a, b = impostor_pairs(rng, 10, 100)
    below = rng.random(100)
    result = pair_ratio_interval(3 * below, below, a, b, n_boot=100, seed=0)
    assert (result.estimate, result.low, result.high) == tuple(pytest.approx(3.0) for _ in range(3))


def test_ratio_is_narrower_than_with_independent_draws() -> None:
    """TAR of reconstructions over TAR of images: both fall for the same people, as the joint draw knows."""
    rng = np.random.default_rng(12)
    identities = np.repeat(np.arange(100), 10)
    images = (rng.random(1000) < rng.beta(2, 1, size=100)[identities]).astype(np.float64)
    reconstructions = images * (rng.random(1000) < 0.95)
    ratio = pair_ratio_interval(reconstructions, images, identities, identities, n_boot=1000, seed=0)
    alone = pair_rate_interval(reconstructions, identities, identities, n_boot=1000, seed=0)
    assert ratio.estimate == reconstructions.sum() / images.sum()
    assert ratio.high - ratio.low < 0.5 * (alone.high - alone.low) / images.mean()


def test_ratio_over_nothing_is_nan() -> None:
    result = pair_ratio_interval([1.0, 2.0], [0.0, 0.0], [0, 1], [0, 1], n_boot=10, seed=0)
    assert np.isnan([result.estimate, result.low, result.high]).all()
    assert result.n_boot == 0


def test_undefined_replicates_do_not_pass_for_certainty() -> None:
    """One pair of two people: half of the draws hold one person only, and no pair."""
    result = pair_rate_interval([1.0], ["a"], ["b"], n_boot=500, seed=0)
    assert result.estimate == 1.0
    assert np.isnan([result.low, result.high]).all()
    assert 150 < result.n_boot < 350


def test_pairs_are_refused_when_mixed_or_of_one_person() -> None:
    with pytest.raises(ValueError, match=r"in 1 of 2 pairs, expected all \(genuine pairs\) or none"):
        pair_rate_interval([1.0, 0.0], [0, 0], [0, 1], n_boot=10, seed=0)
    with pytest.raises(ValueError, match="there is 1 identity, expected at least 2"):
        pair_rate_interval([1.0, 0.0], [0, 0], [0, 0], n_boot=10, seed=0)
    with pytest.raises(ValueError, match="identity_b has 1 rows, expected 2"):
        pair_rate_interval([1.0, 0.0], [0, 0], [1], n_boot=10, seed=0)


@pytest.mark.parametrize(
    ("n_boot", "level", "batch_size", "text"),
    [(0, 0.95, 1, "n_boot is 0"), (10, 1.0, 1, "level is 1.0"), (10, 0.95, 0, "batch_size is 0")],
)
def test_options_out_of_range_are_refused(n_boot: int, level: float, batch_size: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        identity_mean_interval([1, 2], [0, 1], n_boot=n_boot, seed=0, level=level, batch_size=batch_size)


def test_identity_mean_covers_the_truth_and_resampling_images_does_not() -> None:
    rng = np.random.default_rng(13)
    right, wrong = [], []
    for seed in range(300):
        identities = np.repeat(np.arange(40), rng.integers(5, 15, size=40))
        values = rng.normal(size=40)[identities] + rng.normal(size=len(identities))
        right.append(covers(identity_mean_interval(values, identities, n_boot=400, seed=seed), 0.0))
        wrong.append(abs(values.mean()) < 1.96 * values.std() / np.sqrt(len(values)))
    assert 0.90 <= np.mean(right) <= 0.98
    assert np.mean(wrong) < 0.75


def test_higher_level_is_wider() -> None:
    rng = np.random.default_rng(14)
    values, identities = rng.normal(size=300), np.repeat(np.arange(100), 3)
    widths = []
    for level in (0.5, 0.9, 0.99):
        result = identity_mean_interval(values, identities, n_boot=2000, seed=0, level=level)
        widths.append(result.high - result.low)
    expected = np.array([0.674, 1.645, 2.576]) * 2 * values.reshape(100, 3).mean(axis=1).std() / 10
    np.testing.assert_allclose(widths, expected, rtol=0.08)


def test_clustered_interval_of_a_mean_has_the_width_of_the_mean_interval() -> None:
    rng = np.random.default_rng(15)
    identities = rng.integers(30, size=300)
    values = rng.normal(size=300) + identities / 10
    generic = clustered_interval(lambda rows, _: float(values[rows].mean()), identities, n_boot=4000, seed=0)
    closed = identity_mean_interval(values, identities, n_boot=4000, seed=0)
    assert generic.estimate == closed.estimate
    assert generic.low == pytest.approx(closed.low, abs=0.05)
    assert generic.high == pytest.approx(closed.high, abs=0.05)


def test_copies_of_a_person_are_people_of_their_own() -> None:
    identities = np.array(["b", "a", "b", "c", "a", "b"])
    draws = []

    def record(rows: npt.NDArray[np.int64], people: npt.NDArray[np.int64]) -> float:
        draws.append((rows, people))
        return float(len(rows))

    clustered_interval(record, identities, n_boot=50, seed=0)
    assert draws[0][0].tolist() == [0, 1, 2, 3, 4, 5]
    for rows, people in draws[1:]:
        assert np.unique(people).tolist() == [0, 1, 2]
        for person in range(3):
            own = rows[people == person]
            assert np.array_equal(own, np.flatnonzero(identities == identities[own[0]]))  # all images, once


def test_clustered_intervals_share_their_draws() -> None:
    rng = np.random.default_rng(16)
    identities, values = np.repeat(np.arange(20), 4), rng.normal(size=80)
    mean, double, lone = clustered_intervals(
        lambda rows, _: np.array([values[rows].mean(), 2 * values[rows].mean(), np.nan]),
        identities,
        n_boot=100,
        seed=0,
    )
    assert (double.low, double.high) == (pytest.approx(2 * mean.low), pytest.approx(2 * mean.high))
    assert np.isnan(lone.low)
    assert lone.n_boot == 0


def test_two_hundred_thousand_pairs_take_less_than_two_seconds() -> None:
    rng = np.random.default_rng(17)
    a, b = impostor_pairs(rng, 200, 200_000)
    names = np.array([f"identity-{i:05d}" for i in range(200)])
    start = time.process_time()
    result = pair_rate_interval(rng.random(200_000) < 0.3, names[a], names[b], n_boot=2000, seed=0)
    assert time.process_time() - start < 2.0
    assert covers(result, 0.3)
