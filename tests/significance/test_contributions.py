"""Sums by identity, from which every figure of the long table comes back."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.recovery.routes import gains
from attribute_recovery.significance.contributions import COLUMNS, contributions_table, joined, sums_of_parts
from attribute_recovery.significance.decision import decision_effects
from attribute_recovery.significance.differences import figures_of
from attribute_recovery.significance.identity import identity_shares
from attribute_recovery.significance.permuted import draw_permutations
from attribute_recovery.significance.retained import retained_information
from attribute_recovery.significance.shares import sums_by_identity
from attribute_recovery.statistics.bootstrap import identity_mean_interval, pair_rate_interval
from attribute_recovery.statistics.interval import effective_identities, student_ends, student_reach
from attribute_recovery.statistics.paired import resample

CODES = np.repeat(np.arange(20), np.arange(20) % 4 + 1)
PEOPLE = np.array([f"test-{code:02d}" for code in CODES], dtype=object)


@pytest.fixture(scope="module")
def found(make_recovered: Any) -> list[Any]:
    """Forecasts of all attributes of images of 20 people, unequally many each."""
    return [make_recovered(name, CODES, hit=0.6) for name in ("length", "yaw", "glasses", "hair")]


@pytest.fixture(scope="module")
def decided(schema: Any, make_pipeline: Any) -> Any:
    """Decision effects of a recognizer that sees glasses and yaw, and the images."""
    pipeline, known = make_pipeline({"glasses": 0.5, "yaw": 0.4, "rest": 0.3})
    unit = np.random.default_rng(0).standard_normal((2, 19, 8)).astype(np.float32)
    directions: Any = {"identity": unit[0], "image": unit[1]}
    frequencies = {"hair": np.array([0.2, 0.3, 0.5])}
    decision = decision_effects(
        pipeline, schema, known, frequencies, np.ones(6), directions, 0.9, n_boot=99, seed=3
    )
    return decision.effects, known


@pytest.fixture(scope="module")
def table(found: list[Any], decided: Any) -> pd.DataFrame:
    """Of all of these."""
    return contributions_table(found, PEOPLE, decided[0], decided[1].identities)


def _lost(counts: Any) -> float:
    """What replicates vary less than the estimate does."""
    k = max(effective_identities(counts), 2.0)
    return k / (k - 1)


def test_rows_are_unique_and_complete(table: pd.DataFrame) -> None:
    assert tuple(table.columns) == COLUMNS
    assert not table.duplicated(list(COLUMNS[:-2])).any()
    assert not table.isna().any().any() and (table["n"] >= 0).all()
    pairs = table[table["identity"] != table["other"]]
    assert set(pairs["measure"]) <= {"impostor_gained", "impostor_lost"} and len(pairs)


def test_retained_information_comes_back_with_its_interval(table: pd.DataFrame, found: list[Any]) -> None:
    permutations = draw_permutations(PEOPLE, 19, 0)
    for one in found:
        known = retained_information(one, permutations, n_boot=200, seed=3).interval
        figure = figures_of({"toy": table})["toy"]["retained_information", one.attribute.name, ""]
        again = resample(figure.value, 20, n_boot=200, seed=3)
        assert again.estimate == pytest.approx(known.estimate)
        gain = gains(one.forecast, one.truth, one.marginal)
        direct = identity_mean_interval(gain, PEOPLE, n_boot=200, seed=3)
        reach = student_reach(effective_identities(np.bincount(CODES)), 0.95)
        arm = reach * again.replicates.std() * np.sqrt(_lost(np.bincount(CODES)))
        assert (direct.low, direct.high) == (
            pytest.approx(known.estimate - arm),
            pytest.approx(known.estimate + arm),
        )
        assert figure.n_images == len(CODES) and figure.identities == tuple(np.unique(PEOPLE))


def test_identity_shares_come_back(table: pd.DataFrame, found: list[Any]) -> None:
    shares = identity_shares(found, draw_permutations(PEOPLE, 19, 0), [0.0] * 4, n_boot=19, seed=0)
    weights = np.random.default_rng(1).integers(3, size=(5, 20)).astype(np.float64)
    for one, share in zip(found, shares, strict=True):
        figure = figures_of({"toy": table})["toy"]["identity_share", one.attribute.name, ""]
        assert figure.value(np.ones((1, 20)))[0] == pytest.approx(share.interval.estimate)
        known = [sums_by_identity(one, CODES).share(row) for row in weights]
        assert figure.value(weights) == pytest.approx(np.array(known))


def test_effects_and_flips_come_back_with_their_intervals(table: pd.DataFrame, decided: Any) -> None:
    figures = figures_of({"toy": table})["toy"]
    for effect in decided[0]:
        figure = figures["decision_effect", effect.attribute, effect.direction]
        again = resample(figure.value, len(figure.identities), n_boot=99, seed=3)
        assert again.estimate == pytest.approx(effect.interval.estimate)
        counts = np.unique(decided[1].identities[~np.isnan(effect.values)], return_counts=True)[1]
        error = again.replicates.std() * np.sqrt(_lost(counts))
        ends = student_ends(again.estimate, error, effective_identities(counts), 0.95, (0.0, 2.0))
        assert ends == pytest.approx((effect.interval.low, effect.interval.high))
        assert (len(figure.identities), figure.n_images) == (effect.n_identities, effect.n_images)
        for name, changes in effect.flips.items():
            if effect.direction == "" and len(changes.net):
                figure = figures[name, effect.attribute, ""]
                known = changes.interval(n_boot=99, seed=3)
                again = resample(figure.value, len(figure.identities), n_boot=99, seed=3)
                assert again.estimate == pytest.approx(known.estimate)
                if not figure.over_pairs and known.low < known.high and again.replicates.std() > 0:
                    pairs = np.bincount(np.unique(changes.first, return_inverse=True)[1])
                    arm = student_reach(effective_identities(pairs), 0.95) * again.replicates.std()
                    free = pair_rate_interval(changes.net, changes.first, changes.second, n_boot=99, seed=3)
                    assert free.high - again.estimate == pytest.approx(arm * np.sqrt(_lost(pairs)))
                assert figure.over_pairs == name.startswith("impostor")
                assert figure.n_images == effect.n_images


def test_parts_of_no_share_are_refused() -> None:
    with pytest.raises(ValueError, match="parts: found between, squares, allowed"):
        sums_of_parts({"squares": np.ones(2), "between": np.ones(2)}, np.ones(2))


def test_tables_are_joined_and_none_make_an_empty_one() -> None:
    assert list(joined([]).columns) == list(COLUMNS) and not len(joined([]))
    one = pd.DataFrame({name: [1] for name in COLUMNS})
    assert joined([one, one]).index.tolist() == [0, 1]
