"""Rates by group: a planted gap, a confounded one, and no gap at all."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.stats import binom

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema, KnownValues
from attribute_recovery.significance.groups import (
    FEW_ARRANGEMENTS,
    NO_ERRORS,
    NO_PAIRS,
    Compared,
    compare_images,
    grouped_rates,
    make_draws,
)

OFF_ON = ("off", "on")
SCHEMA = AttributeSchema(
    (
        Attribute("group", "label", "binary", "identity", "class", categories=OFF_ON),
        Attribute("cause", "label", "continuous", "identity", "sd", (-5.0, 5.0)),
        Attribute("glasses", "label", "binary", "image", "class", categories=OFF_ON),
        Attribute("beard", "label", "binary", "mixed", "class", categories=OFF_ON),
    )
)
PEOPLE, IMAGES = 60, 6


@dataclass
class World:
    """Images of people whose embeddings scatter by `noise` (n,) around each person's place."""

    values: dict[str, Any]
    embeddings: npt.NDArray[np.float32]
    codes: npt.NDArray[np.int64]

    def table(self, name: str, *, permutations: int = 199, n_boot: int = 199) -> pd.DataFrame:
        compared, draws = self.compared(permutations, n_boot)
        known = KnownValues(self.values, {a.name: np.ones(len(self.codes), np.bool_) for a in SCHEMA})
        return pd.DataFrame(grouped_rates(SCHEMA, SCHEMA[name], known, compared, draws).rows)

    def compared(self, permutations: int = 199, n_boot: int = 199) -> tuple[Compared, Any]:
        compared = compare_images(self.embeddings, self.codes, 0.6, 1)
        draws = make_draws(compared.codes, compared.k, n_boot=n_boot, permutations=permutations, seed=1)
        return compared, draws


def make_world(seed: int, noise: Any = None, **given: Any) -> World:
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(PEOPLE), IMAGES)
    n = len(codes)
    values = {
        "group": rng.integers(2, size=PEOPLE)[codes],
        "cause": rng.standard_normal(PEOPLE)[codes].astype(np.float32),
        "glasses": rng.integers(2, size=n),
        "beard": rng.integers(2, size=n),
    } | given
    scatter = np.full(n, 0.7) if noise is None else noise
    points = rng.standard_normal((PEOPLE, 12))[codes] + scatter[:, None] * rng.standard_normal((n, 12))
    return World(values, (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), codes)


def row(table: pd.DataFrame, measure: str, direction: str = "on_less_off") -> "pd.Series[Any]":
    return table[(table["measure"] == measure) & (table["direction"] == direction)].iloc[0]


def test_rates_are_those_of_a_loop_over_pairs() -> None:
    world = make_world(0)
    table, labels = world.table("glasses"), world.values["glasses"]
    scores = world.embeddings @ world.embeddings.T
    i, j = np.triu_indices(len(labels), 1)
    same = world.codes[i] == world.codes[j]
    for rate, chosen, wrong in (("fmr", ~same, scores[i, j] >= 0.6), ("fnmr", same, scores[i, j] < 0.6)):
        both = {
            "off": (labels[i] == 0) & (labels[j] == 0),
            "on": (labels[i] == 1) & (labels[j] == 1),
            "different": labels[i] != labels[j],
        }
        means = {name: wrong[chosen & inside].mean() for name, inside in both.items()}
        for name, mean in means.items():
            found = row(table, rate, name)
            assert found["estimate"] == pytest.approx(mean)
            assert found["n_pairs"] == (chosen & both[name]).sum()
            assert found["low"] < mean < found["high"]
        assert row(table, f"{rate}_difference")["estimate"] == pytest.approx(means["on"] - means["off"])
        equal = wrong[chosen & ~both["different"]].mean()
        gap = row(table, f"{rate}_difference", "different_less_equal")["estimate"]
        assert gap == pytest.approx(means["different"] - equal)


@pytest.mark.parametrize("name", ["group", "glasses", "beard"])
def test_random_groups_raise_no_more_alarms_than_they_may(name: str) -> None:
    """One world, its labels drawn anew 200 times."""
    alarms = dict.fromkeys(("fmr_difference", "fnmr_difference", "fnmr_difference_matched"), 0)
    world = make_world(2)
    compared, draws = world.compared(permutations=99, n_boot=99)
    known = {a.name: np.ones(len(world.codes), np.bool_) for a in SCHEMA}
    rng = np.random.default_rng(5)
    for _ in range(200):
        labels = rng.integers(2, size=PEOPLE)[world.codes] if name == "group" else rng.integers(2, size=360)
        values = KnownValues(world.values | {name: labels}, known)
        table = pd.DataFrame(grouped_rates(SCHEMA, SCHEMA[name], values, compared, draws).rows)
        for measure in alarms:
            alarms[measure] += row(table, measure)["p"] <= 0.05
    most = binom.isf(0.001, 200, 0.05)  # 22; a test at the nominal rate passes this 999 times of 1000
    assert alarms["fmr_difference"] <= most
    assert alarms["fnmr_difference"] <= most
    # The matched difference's p comes from the bootstrap with weights held: roughly at the nominal rate.
    assert alarms["fnmr_difference_matched"] <= 1.6 * most


def test_a_planted_gap_is_found_and_lasts_when_groups_are_made_alike() -> None:
    codes = np.repeat(np.arange(PEOPLE), IMAGES)
    group = np.random.default_rng(3).integers(2, size=PEOPLE)[codes]
    table = make_world(3, np.where(group == 1, 1.0, 0.5), group=group).table("group")
    for measure in ("fnmr_difference", "fnmr_difference_matched"):
        found = row(table, measure)
        assert found["estimate"] > 0.15
        assert found["p"] <= 0.01
        assert found["low"] > 0
    assert row(table, "fnmr_difference")["detectable"] < row(table, "fnmr_difference")["estimate"]


def test_a_gap_between_images_is_found_by_permuting_within_people() -> None:
    glasses = np.random.default_rng(4).integers(2, size=PEOPLE * IMAGES)
    table = make_world(4, np.where(glasses == 1, 1.1, 0.5), glasses=glasses).table("glasses")
    found = row(table, "fnmr_difference")
    assert found["p"] == found["p_image"] <= 0.01
    assert np.isnan(found["p_identity"])
    assert found["low"] > 0


def test_a_confounded_gap_vanishes_when_groups_are_made_alike() -> None:
    """Noise comes from `cause`; `group` only goes with it."""
    gaps: dict[str, list[float]] = {"fnmr_difference": [], "fnmr_difference_matched": []}
    found: dict[str, int] = dict.fromkeys(gaps, 0)
    for seed in range(12):
        rng = np.random.default_rng(100 + seed)
        cause = rng.standard_normal(PEOPLE)
        group = (0.7 * cause + rng.standard_normal(PEOPLE) > 0).astype(int)
        codes = np.repeat(np.arange(PEOPLE), IMAGES)
        noise = np.clip(0.8 + 0.25 * cause, 0.2, None)[codes]
        given = {"group": group[codes], "cause": cause[codes].astype(np.float32)}
        table = make_world(seed, noise, **given).table("group")
        for measure in gaps:
            one = row(table, measure)
            gaps[measure].append(one["estimate"])
            found[measure] += one["p"] <= 0.05
        assert "cause +" in row(table, "fnmr_difference")["unlike"]
        assert row(table, "fnmr_difference_matched")["imbalance_after"] < 0.1
    assert np.mean(gaps["fnmr_difference"]) > 0.1
    assert found["fnmr_difference"] >= 8
    assert abs(np.mean(gaps["fnmr_difference_matched"])) < 0.3 * np.mean(gaps["fnmr_difference"])
    assert found["fnmr_difference_matched"] <= 3


def test_intervals_of_a_difference_cover_it() -> None:
    """People drawn anew each time; the truth is the mean over all draws."""
    estimates, ends = [], []
    for seed in range(120):
        codes = np.repeat(np.arange(PEOPLE), IMAGES)
        group = np.random.default_rng(seed).integers(2, size=PEOPLE)[codes]
        world = make_world(1000 + seed, np.where(group == 1, 0.9, 0.6), group=group)
        for measure in ("fmr_difference", "fnmr_difference"):
            one = row(world.table("group", permutations=19, n_boot=199), measure)
            estimates.append(one["estimate"])
            ends.append((one["low"], one["high"]))
    for start in (0, 1):
        truth = np.mean(estimates[start::2])
        covered = np.mean([low <= truth <= high for low, high in ends[start::2]])
        assert 0.88 <= covered <= 1.0  # of 120 draws, three standard errors below 0.95 at most


def test_images_without_a_value_count_nowhere() -> None:
    world = make_world(6)
    compared, draws = world.compared()
    glasses = world.values["glasses"].copy()
    glasses[:120] = -1
    known = {a.name: np.ones(360, np.bool_) for a in SCHEMA} | {"glasses": glasses >= 0}
    some = KnownValues(world.values | {"glasses": glasses}, known)
    found = pd.DataFrame(grouped_rates(SCHEMA, SCHEMA["glasses"], some, compared, draws).rows)
    part = World(
        {k: v[120:] for k, v in world.values.items()}, world.embeddings[120:], world.codes[120:] - 20
    )
    alone = part.table("glasses")
    for measure in ("fmr", "fnmr"):
        for group in (*OFF_ON, "different"):
            assert row(found, measure, group)["estimate"] == pytest.approx(
                row(alone, measure, group)["estimate"]
            )
            assert (
                row(found, measure, group)["n_identities"] == row(alone, measure, group)["n_identities"] <= 40
            )
    assert row(found, "fnmr_difference")["p"] == pytest.approx(row(alone, "fnmr_difference")["p"], abs=0.15)


def test_rates_without_an_error_may_be_as_large_as_their_people_could_hide() -> None:
    group = np.random.default_rng(7).integers(2, size=PEOPLE)
    table = make_world(7, np.full(360, 0.01), group=group[np.repeat(np.arange(PEOPLE), IMAGES)]).table(
        "group"
    )
    unseen = {}
    for number, name in enumerate(OFF_ON):
        people = int((group == number).sum())
        found = row(table, "fnmr", name)
        unseen[name] = 1 - 0.05 ** (1 / people)
        assert (found["estimate"], found["low"], found["high"]) == pytest.approx((0, 0, unseen[name]))
        assert unseen[name] > 0.05
    gap = row(table, "fnmr_difference")
    assert (gap["low"], gap["high"]) == pytest.approx((-unseen["off"], unseen["on"]))
    assert gap["note"] == NO_ERRORS
    for measure in ("fnmr_difference", "fnmr_difference_matched"):
        assert np.isnan(row(table, measure)["p"])


def test_what_cannot_be_tested_says_why() -> None:
    world = make_world(7, np.full(360, 0.01))
    assert row(world.table("group"), "fnmr_difference")["note"] == NO_ERRORS
    nobody = make_world(7, group=np.zeros(360, dtype=int)).table("group")
    assert row(nobody, "fmr_difference")["note"] == NO_PAIRS
    assert row(nobody, "fmr_difference_matched")["note"] == "a group has nobody in it"
    few = make_world(8)
    few = World({k: v[:18] for k, v in few.values.items()}, few.embeddings[:18], few.codes[:18])
    few.values["group"] = np.repeat([0, 1, 1], 6)
    table = few.table("group")
    assert row(table, "fmr_difference", "different_less_equal")["note"] in (FEW_ARRANGEMENTS, NO_ERRORS)
    assert np.isnan(row(table, "fmr_difference")["p"])
    assert "people, and 10 are needed" in row(table, "fnmr_difference_matched")["note"]
