"""The decision effect of every attribute, in a world where codes are attributes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.significance.decision import decision_effects

FREQUENCIES = {"hair": np.array([0.2, 0.3, 0.5])}


def _decision(schema: Any, made: Any) -> Any:
    pipeline, known = made
    unit = np.random.default_rng(0).standard_normal((2, 99, 8))
    unit = (unit / np.linalg.norm(unit, axis=2, keepdims=True)).astype(np.float32)
    directions: Any = {"identity": unit[0], "image": unit[1]}
    return decision_effects(
        pipeline, schema, known, FREQUENCIES, np.ones(6), directions, 0.9, n_boot=99, seed=0
    )


@pytest.fixture(scope="module")
def shortcut(schema: Any, make_pipeline: Any) -> Any:
    return _decision(schema, make_pipeline({"glasses": 1.0}))


def test_a_planted_shortcut_is_found_and_nothing_else(shortcut: Any) -> None:
    overall = {effect.attribute: effect for effect in shortcut.effects if effect.direction == ""}
    assert set(overall) == {"length", "yaw", "glasses", "hair"}
    assert overall["glasses"].interval.estimate == pytest.approx(1 - 1 / np.sqrt(2), abs=1e-5)
    assert overall["glasses"].p <= 0.02
    for name in ("length", "yaw", "hair"):
        assert overall[name].interval.estimate < 1e-9
        assert overall[name].p > 0.9
    assert set(overall["hair"].p_by_scheme) == {"identity", "image"}
    assert overall["hair"].p == max(overall["hair"].p_by_scheme.values())


def test_a_shortcut_flips_decisions(shortcut: Any) -> None:
    glasses = next(e for e in shortcut.effects if (e.attribute, e.direction) == ("glasses", ""))
    # cos of with and without glasses is 0.71, below τ = 0.9: accepted pairs are those that agree in glasses.
    assert {name: pairs.rate for name, pairs in glasses.flips.items()} == {
        "genuine_lost": 1.0,
        "genuine_gained": 1.0,
        "impostor_gained": 1.0,
        "impostor_lost": 1.0,
    }
    yaw = next(e for e in shortcut.effects if (e.attribute, e.direction) == ("yaw", ""))
    assert {pairs.rate for pairs in yaw.flips.values()} == {0.0}


def test_every_direction_has_its_row(shortcut: Any) -> None:
    found = {(effect.attribute, effect.direction) for effect in shortcut.effects}
    assert {("yaw", "increase"), ("yaw", "decrease"), ("glasses", "add"), ("hair", "to_long")} <= found
    assert len(found) == len(shortcut.effects) == 4 + 2 + 2 + 2 + 3
    add = next(e for e in shortcut.effects if e.direction == "add")
    remove = next(e for e in shortcut.effects if e.direction == "remove")
    assert add.n_images + remove.n_images == 80


def test_attributes_that_may_not_be_edited_are_left_out(schema: Any, make_pipeline: Any) -> None:
    some = AttributeSchema(tuple(replace(a, editable=a.name == "yaw") for a in schema))
    found = _decision(some, make_pipeline({"yaw": 1.0}))
    assert {effect.attribute for effect in found.effects} == {"yaw"}
