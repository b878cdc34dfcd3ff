"""What the row of nothing concludes from both halves."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from benchmarks.validation.blinded import blinded_nulls, nulls
from benchmarks.validation.blinded.blinded_nulls import DRAWN, LEVELS, drawn_rows, edited_names
from benchmarks.validation.blinded.nothing_found import conclude

from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.dataset.world.schema import SCHEMA


def findings(found: int = 0, low: float = 0.5, moved: float = 0.0) -> dict[str, Any]:
    """Findings with discoveries in so many seeds, the smallest p of a decision effect, and a movement."""
    rng = np.random.default_rng(0)

    def seed(number: int, measures: tuple[str, ...]) -> dict[str, Any]:
        effects = {"p": {"smile": low, "beard": 0.9}}
        effects |= {key: {"smile": 0.001, "beard": 0.002} for key in ("effect", "placebo")}
        return {
            "discoveries": dict.fromkeys(measures, int(number < found)),
            "p": {"retained information, image": rng.random(3).tolist()},
            "difference": [0.5, 1.0, 1.0],
            "of_nothing": [0.01],
            "decision": effects,
        }

    blinded = [seed(number, blinded_nulls.MEASURES) for number in range(200)]
    gaussian = [seed(number, nulls.MEASURES) for number in range(200)]
    return {
        "blinded-000": {"moved": {"smile": moved, "beard": 0.0}, "seen": 0.3, "seeds": blinded},
        "gaussian-seeds-000": {"seeds": gaussian},
    }


def missed(found: dict[str, Any]) -> list[str]:
    return [goal["goal"] for goal in conclude(found)["goals"] if not goal["reached"]]


def test_both_halves_reach_their_goals_where_nothing_is_found() -> None:
    result = conclude(findings(15))
    assert not missed(findings(15))
    halves = [goal["goal"].split(":")[0] for goal in result["goals"]]
    assert halves.count("Gaussian embeddings") == 5 and halves.count("blinded recognizer") == 5
    hidden = result["tables"][-1]["rows"]
    assert hidden[0] == ["smile", "0", "0.00100", "0.00100", "0.500"]


def test_too_many_discoveries_are_seen_in_each_measure() -> None:
    assert len(missed(findings(16))) == len(nulls.MEASURES) + len(blinded_nulls.MEASURES)


def test_low_p_of_decision_effects_are_seen() -> None:
    (only,) = missed(findings(low=0.01))
    assert "p of decision effect" in only


@pytest.mark.parametrize("split", list(DRAWN))
def test_people_are_drawn_with_equally_many_images(split: str) -> None:
    people, each = DRAWN[split]
    names = [f"{split}-{i:04d}" for i in range(people + 9) for _ in range(each + 1)]
    images = pd.DataFrame({"identity": [*names, "x", "x"], "split": [split] * len(names) + ["other"] * 2})
    rows = drawn_rows(images, split, np.random.default_rng(0))
    drawn = images["identity"].to_numpy()[rows].reshape(people, each)
    assert (drawn == drawn[:, :1]).all() and len(set(drawn[:, 0])) == people
    assert len(set(rows)) == len(rows)


def test_all_are_drawn_where_there_are_few() -> None:
    images = pd.DataFrame({"identity": ["a", "a", "b", "b", "b"], "split": ["test"] * 5})
    assert sorted(images["identity"][drawn_rows(images, "test", np.random.default_rng(0))]) == list("aabb")


def test_seeds_take_the_levels_in_turn() -> None:
    levels = {name: SCHEMA[name].level for name in SCHEMA.names}
    for number, level in enumerate(LEVELS * 2):
        names = edited_names(SCHEMA, number)
        assert names and {levels[name] for name in names} == {level}
    mixed = AttributeSchema((SCHEMA["beard"],))
    assert edited_names(mixed, 0) == edited_names(mixed, 1) == ["beard"]
