"""Differences between recognizers whose true figures are known: covered, found, or rightly not found."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.stats import kstest

from attribute_recovery.recovery.forecast import Marginal, continuous_marginal, discrete_marginal
from attribute_recovery.recovery.routes import ContinuousForecast, DiscreteForecast
from attribute_recovery.significance.contributions import contributions_table
from attribute_recovery.significance.decision import decision_effects
from attribute_recovery.significance.differences import (
    COLUMNS,
    KEYS,
    Figure,
    comparison_metrics,
    comparison_table,
    difference_rows,
    figures_of,
    with_p,
)
from attribute_recovery.significance.forecasts import Recovered
from attribute_recovery.statistics.discovery import benjamini_hochberg
from attribute_recovery.statistics.paired import ratio_of_sums

Array = npt.NDArray[np.float64]
K, IMAGES = 60, 4
# Share of the attributes' variance that lies between identities.
OWN = 0.75
# How well each recognizer reads who somebody is, and how an image differs: shares of variance.
BETTER, WORSE, GOOD = (0.8, 0.3), (0.5, 0.6), (0.85, 0.85)


class World:
    """Recognizers that read a continuous and a binary attribute of the same people."""

    def __init__(self, schema: Any) -> None:
        population = np.random.default_rng(0).standard_normal(4000)
        self.schema = schema
        self.marginals: dict[str, Marginal] = {
            "yaw": continuous_marginal("yaw", population),
            "glasses": discrete_marginal((population > 0).astype(int), 2),
        }

    def tables(
        self, rng: np.random.Generator, sides: dict[str, tuple[float, float]], k: int = K
    ) -> dict[str, pd.DataFrame]:
        """Contributions of each recognizer; a name's value is how well it reads both parts."""
        codes = np.repeat(np.arange(k), IMAGES)
        own = math.sqrt(OWN) * rng.standard_normal(k)[codes]
        each = math.sqrt(1 - OWN) * rng.standard_normal(k * IMAGES)
        people = np.array([f"p{code:05d}" for code in codes], dtype=object)
        found = {}
        for name, (between, within) in sides.items():
            read = _read(rng, own, OWN, between, codes)
            read = read + _read(rng, each, 1 - OWN, within, np.arange(len(codes)))
            left = OWN * (1 - between) + (1 - OWN) * (1 - within)
            forecasts = [
                self._recovered("yaw", own + each, ContinuousForecast(read, np.full(len(codes), left**0.5))),
                self._recovered("glasses", (own + each > 0).astype(int), _sides_of_zero(read, left)),
            ]
            found[name] = contributions_table(forecasts, people, [], people)
        return found

    def _recovered(self, name: str, truth: Any, forecast: Any) -> Recovered:
        return Recovered(self.schema[name], "probe", forecast, truth, self.marginals[name])

    def truth(self, sides: dict[str, tuple[float, float]]) -> dict[tuple[str, str, str], float]:
        """The differences among very many people."""
        figures = figures_of(self.tables(np.random.default_rng(99), sides, 20_000))
        one, other = (
            {key: float(figure.value(np.ones((1, 20_000)))[0]) for key, figure in figures[name].items()}
            for name in sides
        )
        return {key: other[key] - one[key] for key in one}


def _read(
    rng: np.random.Generator, part: Array, variance: float, r2: float, groups: npt.NDArray[np.int64]
) -> Array:
    """E[part | part + noise] with that R², the noise equal within a group."""
    noise = rng.standard_normal(groups.max() + 1)[groups] * math.sqrt(variance * r2 * (1 - r2))
    return r2 * part + noise


def _sides_of_zero(read: Array, left: float) -> DiscreteForecast:
    from scipy.special import ndtr

    above = np.clip(ndtr(read / math.sqrt(left)), 0.001, 0.999)
    return DiscreteForecast(np.stack([1 - above, above], axis=1))


@pytest.fixture(scope="module")
def world(schema: Any) -> World:
    """The world."""
    return World(schema)


def rows_of(tables: dict[str, pd.DataFrame], *, n_boot: int = 200, n_flips: int = 99) -> list[dict[str, Any]]:
    return difference_rows(figures_of(tables), n_boot=n_boot, n_flips=n_flips, seed=1)


def key_of(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["measure"], row["attribute"], row["direction"]


def test_the_intervals_cover_the_true_differences(world: World) -> None:
    sides = {"one": WORSE, "other": BETTER}
    truth, rng = world.truth(sides), np.random.default_rng(2)
    covered: dict[tuple[str, str, str], list[bool]] = {key: [] for key in truth}
    for _ in range(750):
        for row in rows_of(world.tables(rng, sides), n_boot=150, n_flips=1):
            covered[key_of(row)].append(row["low"] <= truth[key_of(row)] <= row["high"])
    assert len(covered) == 4
    for key, each in covered.items():
        assert 0.93 <= np.mean(each) <= 0.97, key


def test_p_is_uniform_for_recognizers_that_are_equally_good(world: World) -> None:
    rng, found = np.random.default_rng(3), {}
    for _ in range(120):
        for row in rows_of(world.tables(rng, {"one": GOOD, "other": GOOD}), n_boot=2):
            found.setdefault(key_of(row), []).append(row["p"])
    for key, each in found.items():
        assert kstest(each, "uniform").pvalue > 0.01, key
        assert np.mean(np.array(each) <= 0.05) <= 0.1, key


def test_a_planted_difference_is_found_in_its_place(world: World) -> None:
    tables = world.tables(np.random.default_rng(4), {"one": WORSE, "other": BETTER}, 300)
    table = comparison_table(world.schema, rows_of(tables, n_flips=1999))
    assert set(map(tuple, table[["recognizer", "other"]].to_numpy())) == {("other", "one")}
    share = table[table["measure"] == "identity_share"]
    assert (share["q"] < 0.01).all() and (share["low"] > 0).all()
    assert (table["estimate"] == table["recognizer_estimate"] - table["other_estimate"]).all()


def test_two_copies_differ_by_nothing(world: World) -> None:
    copy = world.tables(np.random.default_rng(5), {"one": WORSE})["one"]
    table = comparison_table(world.schema, rows_of({"one": copy, "other": copy}))
    for column, value in {"estimate": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "q": 1.0}.items():
        assert (table[column] == value).all(), column
    assert comparison_metrics(table)["other"]["one"]["significant"] == {
        "retained_information": [],
        "identity_share": [],
    }


def test_a_shortcut_is_found_among_effects_and_flips(schema: Any, make_pipeline: Any) -> None:
    tables = {}
    for name, weights in {
        "clean": {"yaw": 0.4, "rest": 0.4},
        "planted": {"yaw": 0.4, "glasses": 0.6, "rest": 0.4},
    }.items():
        pipeline, known = make_pipeline(weights, people=40)
        unit = np.random.default_rng(0).standard_normal((2, 19, 8)).astype(np.float32)
        decision = decision_effects(
            pipeline, schema, known, {"hair": np.full(3, 1 / 3)}, np.ones(6),
            {"identity": unit[0], "image": unit[1]}, 0.9, n_boot=19, seed=0,
        )  # fmt: skip
        tables[name] = contributions_table([], known.identities[:0], decision.effects, known.identities)
    table = comparison_table(schema, rows_of(tables, n_flips=1999)).set_index(
        ["measure", "attribute", "direction"]
    )
    effects = table.loc["decision_effect"].xs("", level="direction").sort_values("estimate")
    assert effects.index[-1] == "glasses" and effects["q"].iloc[-1] < 0.01
    assert effects.loc["hair", "p"] == 1.0
    assert table.loc[("decision_effect", "glasses", "add"), "q"] < 0.01
    gained = table.loc[("impostor_gained", "glasses", "")]
    assert gained["estimate"] > 0 and gained["low"] > 0 and gained["p"] < 0.01
    assert (gained["n_identities"], gained["n_images"]) == (40, 160)


def test_q_is_within_each_measure_and_over_all_pairs(world: World) -> None:
    sides = {"a": WORSE, "b": WORSE, "c": BETTER}
    table = comparison_table(world.schema, rows_of(world.tables(np.random.default_rng(6), sides)))
    assert tuple(table.columns) == COLUMNS
    assert not table.duplicated(list(KEYS)).any()
    pairs = [("b", "a"), ("c", "a"), ("c", "b")]
    assert list(dict.fromkeys(map(tuple, table[["recognizer", "other"]].to_numpy()))) == pairs
    family = table[table["measure"] == "retained_information"]
    assert len(family) == 6
    assert family["q"].tolist() == benjamini_hochberg(family["p"]).tolist()
    metrics = comparison_metrics(table)
    assert set(metrics) == {"b", "c"} and set(metrics["c"]) == {"a", "b"}
    row = family.set_index(["recognizer", "other", "attribute"]).loc[("c", "b", "yaw")]
    pair = metrics["c"]["b"]
    assert pair["retained_information"]["yaw"] == row["estimate"]
    assert pair["retained_information_interval"]["yaw"] == [row["low"], row["high"]]
    assert pair["retained_information_q"]["yaw"] == row["q"]


def test_rates_have_no_attribute_and_no_family_of_others(schema: Any) -> None:
    ones = np.ones(12)
    figures = {
        name: {
            ("tar_at_same_fmr", "", ""): Figure(
                ratio_of_sums(ones * tar, ones), tuple("abcdefghijkl"), 24, True
            )
        }
        for name, tar in (("one", 0.5), ("other", 0.75))
    }
    table = comparison_table(schema, difference_rows(figures, n_boot=50, n_flips=99, seed=0))
    row = table.iloc[0]
    assert (row["estimate"], row["low"], row["high"], row["family"]) == (0.25, 0.25, 0.25, "")
    assert row["p"] == row["q"] == 0.01
    assert comparison_metrics(table)["other"]["one"]["tar_at_same_fmr_interval"] == [0.25, 0.25]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ((0.4, 0.002), 0.01),
        ((0.4, 0.03), 0.06),
        ((0.7, 0.8), 1.0),
        ((math.nan, 0.4), 0.01),
        ((math.nan, math.nan), 0.01),
    ],
)
def test_only_what_one_of_them_has_can_differ(own: tuple[float, float], expected: float) -> None:
    """Twice the smaller p of the two recognizers' own is the least that a difference's p can be; where one
    has no p of its own, the flips' p of 0.01 stands."""
    ones, people, key = np.ones(12), tuple("abcdefghijkl"), ("retained_information", "yaw", "")
    table = pd.DataFrame({"measure": key[:1], "attribute": key[1:2], "direction": key[2:]})
    figures = {
        name: with_p({key: Figure(ratio_of_sums(ones * gain, ones), people, 24, False)}, table.assign(p=[p]))
        for name, gain, p in zip(("one", "other"), (0.5, 0.75), own, strict=True)
    }
    (row,) = difference_rows(figures, n_boot=9, n_flips=99, seed=0)
    assert row["p"] == expected


@pytest.mark.parametrize(("pairs", "trials"), [("genuine", 4), ("impostor", 6)])
def test_equal_decisions_leave_open_what_so_few_could_hide(schema: Any, pairs: str, trials: int) -> None:
    names = np.array(list("abcd"), dtype=object)
    i, j = (np.arange(4), np.arange(4)) if pairs == "genuine" else np.triu_indices(4, 1)
    rows = pd.DataFrame(
        {
            "measure": "tar_at_same_fmr",
            "attribute": "",
            "direction": "",
            "part": "",
            "identity": names[i],
            "other": names[j],
            "n": 3,
            "total": 3.0,
        }
    )
    (row,) = difference_rows(figures_of({"one": rows, "other": rows}), n_boot=20, n_flips=9, seed=1)
    unseen = 1 - 0.05 ** (1 / trials)
    assert (row["estimate"], row["low"], row["high"], row["p"]) == pytest.approx((0, -unseen, unseen, 1))


def test_a_figure_that_one_lacks_has_no_difference(schema: Any) -> None:
    ones = np.ones(12)
    figure = Figure(ratio_of_sums(ones, ones), tuple("abcdefghijkl"), 24, True)
    rows = difference_rows(
        {"one": {}, "other": {("impostor_lost", "yaw", ""): figure}}, n_boot=9, n_flips=9, seed=0
    )
    assert (
        math.isnan(rows[0]["estimate"]) and math.isnan(rows[0]["p"]) and rows[0]["recognizer_estimate"] == 1.0
    )


def test_other_images_or_people_are_refused(world: World) -> None:
    tables = world.tables(np.random.default_rng(7), {"one": WORSE, "other": WORSE})
    changed = tables["other"].copy()
    changed.loc[changed.index[3], "n"] += 1
    with pytest.raises(
        ValueError, match="retained_information yaw was not measured on the same images for one"
    ):
        figures_of({"one": tables["one"], "other": changed})
    lacking = tables["other"][tables["other"]["attribute"] != "yaw"]
    with pytest.raises(ValueError, match="yaw was not measured on the same images for one and other"):
        figures_of({"one": tables["one"], "other": lacking})
    key = ("tar_at_same_fmr", "", "")
    figures = {
        name: {key: Figure(ratio_of_sums(np.ones(2), np.ones(2)), people, 2, False)}
        for name, people in (("one", ("a", "b")), ("other", ("a", "c")))
    }
    with pytest.raises(ValueError, match="is not of the same identities"):
        difference_rows(figures, n_boot=9, n_flips=9, seed=0)
