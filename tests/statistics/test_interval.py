"""Ends of intervals against closed forms, at the edges of ranges, and in how often they hold the truth."""

import math

import numpy as np
import pytest
from scipy.stats import chi2, t, ttest_1samp

from attribute_recovery.statistics.bootstrap import identity_mean_interval, pair_rate_interval
from attribute_recovery.statistics.interval import (
    Interval,
    effective_identities,
    pair_inflation,
    replicate_interval,
    scaled_ends,
    share_ends,
    student_ends,
    studentised,
    studentised_ends,
    tailed_identities,
    unanimous_ends,
)


def test_effective_identities_are_all_where_all_bring_as_much() -> None:
    assert effective_identities(np.full(7, 3.0)) == 7
    assert 1 < effective_identities([100, 1, 1]) < 1.1
    with pytest.raises(ValueError, match="weights holds 1 values"):
        effective_identities([1.0, np.nan])


def test_without_a_range_the_ends_are_those_of_the_t_test() -> None:
    values = np.random.default_rng(0).normal(size=12)
    error = values.std(ddof=1) / np.sqrt(12)
    known = ttest_1samp(values, 0).confidence_interval(0.9)
    assert student_ends(values.mean(), error, 12, 0.9) == pytest.approx((known.low, known.high))


def test_in_a_range_the_ends_are_even_on_the_logit() -> None:
    low, high = student_ends(0.9, 0.04, 20, 0.95, (0.0, 1.0))
    arm = t.isf(0.025, 19) * 0.04 / (0.9 * 0.1)
    assert math.log(low / (1 - low)) == pytest.approx(math.log(9) - arm)
    assert math.log(high / (1 - high)) == pytest.approx(math.log(9) + arm)
    mirrored = student_ends(-0.8, 0.08, 20, 0.95, (-1.0, 1.0))  # the same place, twice as wide
    assert mirrored == (pytest.approx(1 - 2 * high), pytest.approx(1 - 2 * low))


def test_with_one_bound_the_ends_are_even_on_the_logarithm_of_the_distance_to_it() -> None:
    low, high = student_ends(0.5, 0.1, 10, 0.95, (-math.inf, 0.7))
    assert (0.7 - low) * (0.7 - high) == pytest.approx(0.2**2)
    assert low < 0.5 < high < 0.7
    above = student_ends(2.0, 0.5, 10, 0.95, (0.0, math.inf))
    assert above[0] * above[1] == pytest.approx(4.0)


@pytest.mark.parametrize("estimate", [0.0, 1.0])
def test_at_an_edge_of_the_range_the_ends_are_cut_off(estimate: float) -> None:
    low, high = student_ends(estimate, 0.1, 10, 0.95, (0.0, 1.0))
    arm = t.isf(0.025, 9) * 0.1
    assert (low, high) == (pytest.approx(max(0, estimate - arm)), pytest.approx(min(1, estimate + arm)))


def test_errors_beyond_all_measure_stay_inside_the_range() -> None:
    for bounds in ((0.0, 1.0), (-math.inf, 1.0), (0.0, math.inf)):
        low, high = student_ends(1e-9, 1e6, 2, 0.95, bounds)
        assert bounds[0] <= low < high <= bounds[1]


def test_unanimous_trials_leave_about_three_of_n_open() -> None:
    assert unanimous_ends(0.0, 1000, 0.95, (0.0, 1.0)) == (0.0, pytest.approx(0.003, rel=0.01))
    low, high = unanimous_ends(0.0, 1000, 0.95, (-1.0, 1.0))
    assert low == -high
    assert 1 - 0.9**20 < 0.95 < 1 - 0.8**20  # so 20 that agree speak against 0.8 and not against 0.9
    assert 0.8 < unanimous_ends(1.0, 20, 0.95, (0.0, 1.0))[0] < 0.9


def test_variance_of_a_u_statistic_is_unbiased() -> None:
    """Σ r_i² − Σ r_ij², made up for what the estimate takes, has the variance of the sum as its mean."""
    rng, k = np.random.default_rng(1), 9
    a, b = np.triu_indices(k, 1)
    sums, guesses = [], []
    for _ in range(4000):
        person = rng.normal(size=k)
        values = 0.5 * (person[a] + person[b]) + rng.normal(size=len(a))
        rest = values - values.mean()
        rows = np.bincount(np.concatenate([a, b]), np.tile(rest, 2))
        sums.append(values.sum())
        crossed, own = np.sum(rows**2), np.sum(rest**2)
        guesses.append((crossed - own) * k * (k - 1) / ((k - 2) * (k - 3)))
        assert pair_inflation(rows, rest, k) == pytest.approx(max(guesses[-1], own) / (crossed + own))
    assert np.mean(guesses) == pytest.approx(np.var(sums), rel=0.08)


def test_shares_are_refused_by_the_contrast_of_their_parts() -> None:
    rng = np.random.default_rng(2)
    replicates = rng.multivariate_normal([0.3, 0.2], 0.01 * np.eye(2), size=20_000)
    people = rng.uniform(size=(50, 2))  # lighter tails than the normal's: all count

    def ends(parts: tuple[float, float], drawn: np.ndarray) -> tuple[float, float]:
        return share_ends(parts, drawn, people, 50, 0.95)

    low, high = ends((0.3, 0.2), replicates)
    reach = t.isf(0.025, 49) * np.sqrt(50 / 49) * 0.1
    for end, side in ((low, 1), (high, -1)):
        contrast = (1 - end) * 0.3 - end * 0.2
        assert contrast == pytest.approx(side * reach * np.hypot(1 - end, end), abs=0.004)
    one_part = np.stack([replicates[:, 0], np.full(20_000, np.nan)], axis=1)
    surely = ends((0.3, np.nan), one_part)
    assert surely == (1.0, 1.0)
    assert ends((0.05, np.nan), one_part - 0.25) == (0.0, 1.0)
    assert ends((-0.2, 0.3), replicates - [0.5, -0.1])[0] == 0.0
    assert ends((-4.7, 0.5), replicates - [5, -0.3]) == (0.0, 0.0)
    assert ends((0.3, -4.8), replicates - [0, 5]) == (1.0, 1.0)
    assert ends((-4.7, -4.8), replicates - 5) == (0.0, 1.0)  # no part is there to be shared
    # One person of fifty who makes most of it leaves few degrees of freedom.
    odd = people.copy()
    odd[0] += 20
    assert share_ends((0.3, 0.2), replicates, odd, 50, 0.95)[0] < low - 0.1


def test_tails_take_degrees_of_freedom_away() -> None:
    rng = np.random.default_rng(6)
    drawn = {"normal": rng.normal(size=(2000, 20)), "exponential": rng.exponential(size=(2000, 20))}
    found = {name: tailed_identities(20, values) for name, values in drawn.items()}
    assert all(((each > 1) & (each <= 20)).all() for each in found.values())
    assert np.median(found["normal"]) == 20 > 14 > np.median(found["exponential"])
    few = rng.exponential(size=(3, 3))
    assert tailed_identities(2.5, few).tolist() == [2.5] * 3
    assert tailed_identities(7.0, np.ones((2, 9))).tolist() == [7.0] * 2
    # χ² of as many degrees of freedom varies as the variance does, over many people.
    values = rng.exponential(size=(4000, 200))
    spread = values.var(axis=1, ddof=1)
    known = 2 / spread.var()
    assert tailed_identities(1e9, rng.exponential(size=(1, 1_000_000)))[0] / 1e6 == pytest.approx(
        known / 200, rel=0.1
    )


def test_uneven_arms_are_as_long_on_the_scale() -> None:
    assert scaled_ends(2.0, 0.5, 1.0, None) == (1.5, 3.0)
    assert scaled_ends(2.0, 0.5, 1.0, (0.0, math.inf)) == pytest.approx(
        (2 * math.exp(-0.25), 2 * math.exp(0.5))
    )
    low, high = scaled_ends(0.2, 0.04, 0.08, (0.0, 1.0))
    logit = math.log(0.25)
    assert math.log(low / (1 - low)) == pytest.approx(logit - 0.04 / 0.16)
    assert math.log(high / (1 - high)) == pytest.approx(logit + 0.08 / 0.16)


@pytest.mark.parametrize("bounds", [None, (0.0, math.inf), (-math.inf, 1.0), (0.0, 1.0)])
def test_replicates_are_measured_in_their_own_errors_on_the_scale(bounds: tuple[float, float] | None) -> None:
    """Ends that a replicate draws with its own error and so many of them just touch the estimate."""
    rng = np.random.default_rng(7)
    replicates, errors = rng.uniform(0.1, 0.9, size=20), rng.uniform(0.01, 0.1, size=20)
    for replicate, error, ratio in zip(
        replicates, errors, studentised(0.4, replicates, errors, bounds), strict=True
    ):
        low, high = scaled_ends(replicate, ratio * error, 0.0, bounds)[0], 0.4
        assert low == pytest.approx(high)


def test_replicates_at_an_end_of_the_range_leave_no_quantile() -> None:
    rng = np.random.default_rng(8)
    replicates, errors = rng.uniform(0.1, 0.3, size=1000), np.full(1000, 0.05)
    assert studentised_ends(0.2, 0.05, studentised(0.2, replicates, errors, (0, 1)), 0.95, (0, 1)) is not None
    replicates[:30] = 0.0  # their own errors are 0 as well
    errors[:30] = 0.0
    ratios = studentised(0.2, replicates, errors, (0, 1))
    assert np.isneginf(ratios[:30]).all() and np.isfinite(ratios[30:]).all()
    assert studentised_ends(0.2, 0.05, ratios, 0.95, (0, 1)) is None
    ratios[:200] = np.nan
    assert studentised_ends(0.2, 0.05, ratios, 0.95, (0, 1)) is None
    assert studentised_ends(0.2, 0.0, np.zeros(9), 0.95, (0, 1)) is None


def test_studentised_ends_are_the_quantiles_the_other_way_round() -> None:
    ratios = np.concatenate([np.linspace(-4, 0, 501), np.linspace(0, 2, 501)[1:]])
    low, high = studentised_ends(0.0, 0.5, ratios, 0.95, None) or (math.nan, math.nan)
    assert (low, high) == pytest.approx((-0.5 * np.quantile(ratios, 0.975), 4 * 0.95 * 0.5), rel=0.01)


def test_an_impostors_rate_of_few_people_is_covered() -> None:
    """People in the middle are near to many others, so that pairs are far from independent."""
    rng, held, k = np.random.default_rng(9), [], 20
    a, b = np.triu_indices(k, 1)
    truth = float(chi2.cdf(1.6**2 / 2, 5))
    for seed in range(800):
        z = rng.normal(size=(k, 5))
        near = np.sum((z[a] - z[b]) ** 2, axis=1) <= 1.6**2
        found = pair_rate_interval(near, a, b, n_boot=400, seed=seed, clip=(0, 1))
        held.append(found.low <= truth <= found.high)
    assert 0.93 <= np.mean(held) <= 0.97


def test_undefined_replicates_leave_no_ends() -> None:
    replicates = np.where(np.arange(100) < 20, np.nan, np.random.default_rng(3).normal(size=100))
    found = replicate_interval(0.0, replicates, 10, 0.95, None, effective=10)
    assert math.isnan(found.low) and found.n_boot == 80
    assert not math.isnan(replicate_interval(0.0, replicates[15:], 10, 0.95, None, effective=10).low)


def test_ends_are_cut_off_at_bounds() -> None:
    found = Interval(0.4, -0.2, 0.9, 10, 100, 0.95)
    assert (found.within((0, 0.5)).low, found.within((0, 0.5)).high) == (0.0, 0.5)
    assert found.within(None) is found


@pytest.mark.parametrize("people", [10, 25])
def test_few_people_with_unequally_many_images_are_covered(people: int) -> None:
    """Plain quantiles of the replicates hold the truth in 87 of 100 draws of ten people, and in 91 of 25."""
    rng, held = np.random.default_rng(4), []
    for seed in range(800):
        codes = np.repeat(np.arange(people), rng.integers(2, 12, size=people))
        values = rng.normal(size=people)[codes] + rng.normal(size=len(codes))
        found = identity_mean_interval(values, codes, n_boot=300, seed=seed)
        held.append(found.low <= 0 <= found.high)
    assert 0.93 <= np.mean(held) <= 0.97


def test_a_rate_of_few_people_is_covered() -> None:
    rng, held = np.random.default_rng(5), []
    for seed in range(800):
        codes = np.repeat(np.arange(15), rng.integers(2, 12, size=15))
        accepted = rng.random(len(codes)) < rng.beta(3.2, 0.8, size=15)[codes]
        found = pair_rate_interval(accepted, codes, codes, n_boot=300, seed=seed, clip=(0, 1))
        held.append(found.low <= 0.8 <= found.high)
    assert 0.93 <= np.mean(held) <= 0.975
