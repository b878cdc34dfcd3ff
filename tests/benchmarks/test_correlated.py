"""The population in which two attributes go together, and what the row concludes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmarks.validation.blinded.correlated import DRAWN, SEEDS, SEEN, SHARING, conclude, drawn_rows, named
from benchmarks.validation.blinded.correlated_people import FRONTAL, HAIR, JAW, OTHER, SMALL, frontal

from attribute_recovery.config import load_config
from attribute_recovery.config_world import WorldDataset
from attribute_recovery.dataset.prepare import draw_people, population_of

ROOT = Path(__file__).parents[2]


def test_both_attributes_go_together_and_belong_to_the_person() -> None:
    dataset = load_config(ROOT / "config" / "tiny.yaml").dataset
    assert isinstance(dataset, WorldDataset)
    world = frontal(dataset.world, SMALL, together=True)
    population = population_of(world)
    assert population.declared()[HAIR].level == population.declared()[JAW].level == "identity"
    people, values = draw_people(population, world, 1)
    assert people.groupby("split")["identity"].nunique().to_dict() == {
        split: count for split, (count, _) in vars(SMALL).items()
    }
    assert pd.Series(values[HAIR]).groupby(people["identity"]).nunique().max() == 1
    for name, (low, high) in FRONTAL.items():
        assert low <= values[name].min() < values[name].max() <= high
    drawn = population.draw(4000, 1, np.random.default_rng(0))
    jaws = [drawn[JAW][drawn[HAIR] == style].mean() for style in range(3)]
    assert jaws[0] < -0.4 and abs(jaws[1]) < 0.1 and jaws[2] > 0.4
    assert abs(np.corrcoef(drawn[HAIR], drawn["nose_width"])[0, 1]) < 0.05


def findings(right: int, hidden_p: float = 0.5) -> dict[str, Any]:
    """Findings of all seeds, the seen attribute with the larger effect in so many."""
    found: dict[str, Any] = {}
    for number in range(SEEDS):
        seen = SEEN[number % len(SEEN)]
        larger = seen if number < right else OTHER[seen]
        effects = {
            name: {
                "effect": 0.02 if name == larger else 0.01,
                "p": 0.001 if name == seen else hidden_p,
                "q": 0.002 if name == seen else hidden_p,
                "achieved": 0.9,
                "cross_talk": 0.1,
            }
            for name in SEEN
        }
        observed = {
            name: {"retained": 0.2, "retained_p": 0.001, "fmr_difference": -0.02, "fmr_p": 0.001}
            for name in SEEN
        }
        found[f"seed-{number:02d}"] = {
            "seen": seen,
            "truth": {seen: 0.3, OTHER[seen]: 0.01},
            "effects": effects,
            "observed": observed,
        }
    return found


def test_nineteen_of_twenty_are_enough() -> None:
    (goal,) = conclude(findings(19))["goals"]
    assert goal["reached"] and goal["measured"] == "19 of 20"
    assert not conclude(findings(18))["goals"][0]["reached"]
    assert named(findings(19)["seed-19"]) != findings(19)["seed-19"]["seen"]


def test_what_is_observed_stands_beside_it() -> None:
    summary, listed = conclude(findings(20))["tables"]
    assert summary["rows"][0][1:] == ["20", "20", "0"]
    assert [row[3] for row in summary["rows"][1:]] == ["20", "20"]
    assert len(listed["rows"]) == 20 and listed["rows"][0][3] == "0.001 / 0.500"
    assert conclude(findings(20, hidden_p=0.01))["tables"][0]["rows"][0][3] == "20"


def test_a_seed_draws_people_with_all_their_images() -> None:
    rows = [
        (f"{split}-{i}", split) for split, n in (*DRAWN.items(), ("calibration", 5)) for i in range(n + 7)
    ]
    images = pd.DataFrame([row for row in rows for _ in range(2)], columns=["identity", "split"])
    drawn = drawn_rows(images, False, 1, 0)
    assert {split: len(found) for split, found in drawn.items()} == {
        "train": 2 * DRAWN["train"],
        "calibration": 24,
        "test": 2 * DRAWN["test"],
    }
    for split, found in drawn.items():
        assert set(images["split"].iloc[found]) == {split}
        assert (images["identity"].iloc[found].value_counts() == 2).all()
    partner, other = (drawn_rows(images, False, 1, number) for number in (1, SHARING))
    assert np.array_equal(drawn["train"], partner["train"])
    assert not np.array_equal(drawn["test"], partner["test"])
    assert not np.array_equal(drawn["train"], other["train"])
    everybody = drawn_rows(images, True, 1, 0)
    assert sum(len(found) for found in everybody.values()) == len(images)
