"""What the row of decision effects makes of its chunks."""

from typing import Any

import numpy as np
import pytest
from benchmarks.validation.effects.effects_true import (
    WAYS,
    _by_direction,
    _exactly,
    _unchanged,
    as_attributes,
    conclude,
    median_error,
    set_against_truth,
    spearman,
)

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.significance.effect import Pipeline, carry_out, originals, plan_edits

SCHEMA = AttributeSchema(
    (
        Attribute("yaw", "pose", "continuous", "image", "sd", (-2.0, 2.0)),
        Attribute("glasses", "appearance", "binary", "image", "class", categories=("off", "on")),
        Attribute("hair", "appearance", "categorical", "mixed", "class", categories=("a", "b", "c")),
    )
)


def chunks(factor: float = 1.0, power: float = 1.0, count: int = 8) -> dict[str, Any]:
    """Findings in which effects are factor · truth^power."""
    found = {}
    for number in range(count):
        truth = {"": 0.01 * (number + 1), "increase": 0.009 * (number + 1), "decrease": 0.011 * (number + 1)}
        effects = {way: {name: factor * value**power for name, value in truth.items()} for way in WAYS}
        found[f"a{number}"] = {
            "attribute": f"a{number}",
            "people": 4,
            "images": 8,
            "effects": effects | {"truth": truth},
            "counts": {"truth increase": 8, "truth decrease": 8},
        }
    return found


def reached(found: dict[str, Any]) -> list[bool]:
    return [goal["reached"] for goal in conclude(found)["goals"]]


def test_effects_that_are_true_reach_the_goals() -> None:
    result = conclude(chunks(1.05))
    assert [goal["reached"] for goal in result["goals"]] == [True, True, True]
    assert result["goals"][2]["measured"] == "5.0 % over 16"
    shares, listed = result["tables"]
    assert [row[0] for row in shares["rows"]] == list(WAYS.values())
    assert len(listed["rows"]) == 24 and listed["rows"][0][:2] == ["a7", "all"]
    assert listed["rows"][0][4] == "0.0840 (+5 %)"


def test_effects_that_are_not_are_seen() -> None:
    assert reached(chunks(0.8)) == [True, True, False]
    assert reached(chunks(1e-4, power=-1.0)) == [False, False, False]


def test_the_generators_share_is_told_apart() -> None:
    found = chunks()
    for part in found.values():
        part["effects"]["through_generator"] = {
            name: value / 2 for name, value in part["effects"]["truth"].items()
        }
    rows = conclude(found)["tables"][0]["rows"]
    assert [(row[3], row[4]) for row in rows] == [("0.0", "1.00"), ("50.0", "0.50"), ("0.0", "1.00")]


def test_directions_of_nobody_and_effects_of_nothing_are_left_out() -> None:
    found = chunks(count=3)
    del found["a0"]["effects"]["product"]["increase"]
    del found["a1"]["effects"]["truth"]["decrease"]
    found["a2"]["effects"]["truth"]["increase"] = 0.0
    assert set_against_truth(found, "product", directions=True).shape == (3, 2)
    listed = conclude(found)["tables"][1]["rows"]
    assert ["a0", "increase", "8", "0.0090", "nobody", "0.0090 (+0 %)", "0.0090 (+0 %)"] in listed


def test_no_attribute_is_no_correlation() -> None:
    assert np.isnan(spearman(np.empty((0, 2))))
    assert median_error(np.array([[1.0, 2.0], [3.0, 2.0], [2.0, 2.0]])) == 0.5


def test_what_heads_read_can_be_rendered() -> None:
    read = np.array([[3.0, 0.7, 0.2, 0.3, 0.5], [-1.0, 0.4, 0.6, 0.3, 0.1]], np.float32)
    expected = [[2.0, 1.0, 0.0, 0.0, 1.0], [-1.0, 0.0, 1.0, 0.0, 0.0]]
    assert as_attributes(SCHEMA, read).tolist() == expected


@pytest.mark.parametrize("name", SCHEMA.names)
def test_a_renderer_is_a_generator_whose_codes_are_attributes(name: str) -> None:
    """The product's functions with such a pipeline give the mean of 1 − cos over exactly changed images."""
    rng = np.random.default_rng(0)
    values = {"yaw": rng.uniform(-2, 2, 40), "glasses": np.arange(40) % 2, "hair": rng.integers(3, size=40)}
    encoded, scale = SCHEMA.encode(values), np.array([0.3, 0.8, 0.5, 1.0, 0.2])

    def embed(attributes: np.ndarray) -> np.ndarray:
        point = np.concatenate([np.ones((len(attributes), 1)), attributes * scale], axis=1)
        return (point / np.linalg.norm(point, axis=1, keepdims=True)).astype(np.float32)

    pipeline = Pipeline(embed, _unchanged, _exactly)
    people = np.array([f"p{i // 4}" for i in range(40)], dtype=object)
    known = originals(pipeline, SCHEMA, encoded, people, embed(encoded))
    edits = plan_edits(SCHEMA, known.current, {"hair": np.array([0.2, 0.3, 0.5])})
    edited = [carry_out(pipeline, known, edit) for edit in edits if edit.attribute == name]
    found = _by_direction(edited, 40)
    for one in edited:
        changed = values | {
            "yaw": {
                "increase": np.minimum(values["yaw"] + 1, 2),
                "decrease": np.maximum(values["yaw"] - 1, -2),
            }.get(one.edit.direction, values["yaw"]),
            "glasses": {"add": np.ones(40, int), "remove": np.zeros(40, int)}.get(
                one.edit.direction, values["glasses"]
            ),
            "hair": np.full(40, "abc".index(one.edit.direction[-1])) if name == "hair" else values["hair"],
        }
        expected = 1 - (embed(encoded) * embed(SCHEMA.encode(changed))).sum(axis=1)
        assert found[one.edit.direction] == pytest.approx(expected[one.edit.rows].mean(), abs=1e-6)
    ends = [value for direction, value in found.items() if direction]
    assert min(ends) <= found[""] <= max(ends)
