"""Edits and their effects, in a world where codes are attributes."""

from typing import Any

import numpy as np
import pytest

from attribute_recovery.significance.effect import (
    carry_out,
    choose_images,
    distances,
    effect_interval,
    plan_edits,
    together,
)

FREQUENCIES = {"hair": np.array([0.2, 0.3, 0.5])}


def test_images_are_chosen_by_people() -> None:
    identities = np.repeat(np.arange(20), 5)
    chosen = choose_images(identities, 16, 0)
    assert len(chosen) == 16
    assert (np.diff(chosen) > 0).all()
    assert np.bincount(np.unique(identities[chosen], return_inverse=True)[1]).tolist() == [2] * 8
    assert len(choose_images(identities, 1000, 0)) == 100
    assert len(np.unique(identities[choose_images(identities, 1, 0)])) == 2


def test_people_of_one_image_count_with_it() -> None:
    assert len(choose_images(np.arange(1000), 200, 0)) == 200
    some = np.repeat(np.arange(300), np.arange(300) % 3 + 1)
    chosen = choose_images(some, 100, 0)
    assert len(chosen) in (99, 100)
    assert np.bincount(some[chosen]).max() == 2


def test_doses_are_those_of_the_schema(schema: Any, make_pipeline: Any) -> None:
    _, known = make_pipeline({})
    edits = {(e.attribute, e.direction): e for e in plan_edits(schema, known.current, FREQUENCIES)}
    for direction, sign in (("increase", 1), ("decrease", -1)):
        edit = edits["yaw", direction]
        moved = edit.wanted - known.current[edit.rows]
        inside = np.abs(known.current[:, 1] + sign) <= 3
        assert moved[inside, 1] == pytest.approx(sign, abs=1e-5)
        assert (np.abs(edit.wanted[:, 1]) <= 3 + 1e-5).all()
        assert np.abs(np.delete(moved, 1, axis=1)).max() == 0
    on = known.current[:, 2] == 1
    assert edits["glasses", "add"].rows.tolist() == np.flatnonzero(~on).tolist()
    assert (edits["glasses", "remove"].wanted[:, 2] == 0).all()
    hair = known.current[:, 3:].argmax(axis=1)
    edit = edits["hair", "to_curly"]
    assert (hair[edit.rows] != 2).all()
    assert (edit.wanted[:, 3:].argmax(axis=1) == 2).all()


def test_a_value_beyond_the_range_is_not_moved_back(schema: Any, make_pipeline: Any) -> None:
    _, known = make_pipeline({})
    current = known.current[:1].copy()
    current[0, 1] = 3.5
    edits = {(e.attribute, e.direction): e for e in plan_edits(schema, current, FREQUENCIES)}
    assert edits["yaw", "increase"].wanted[0, 1] == 3.5
    assert edits["yaw", "decrease"].wanted[0, 1] == 2.5


def test_class_edits_are_weighted_by_the_population(schema: Any, make_pipeline: Any) -> None:
    pipeline, known = make_pipeline({})
    edits = [e for e in plan_edits(schema, known.current, FREQUENCIES) if e.attribute == "hair"]
    edited = [carry_out(pipeline, known, edit) for edit in edits]
    numbers = {"to_short": 1.0, "to_long": 10.0, "to_curly": 100.0}
    values = [np.full(len(e.rows), numbers[e.direction]) for e in edits]
    mean = together(edited, values, len(known.codes))
    short = known.current[:, 3] == 1
    assert mean[short] == pytest.approx((0.3 * 10 + 0.5 * 100) / 0.8)
    assert mean[known.current[:, 5] == 1] == pytest.approx((0.2 * 1 + 0.3 * 10) / 0.5)


def test_nobody_is_made_what_nobody_is(schema: Any, make_pipeline: Any) -> None:
    _, known = make_pipeline({})
    frequencies = {"hair": np.array([0.4, 0.6, 0.0])}
    edits = [e.direction for e in plan_edits(schema, known.current, frequencies) if e.attribute == "hair"]
    assert len(edits) == 2 and f"to_{schema['hair'].categories[2]}" not in edits


def test_effects_are_zero_where_f_does_not_look(schema: Any, make_pipeline: Any) -> None:
    pipeline, known = make_pipeline({"glasses": 1.0})
    for edit in plan_edits(schema, known.current, FREQUENCIES):
        found = carry_out(pipeline, known, edit)
        if edit.attribute == "glasses":
            # Between (1, 0) and (1, 1) / √2.
            assert found.effects == pytest.approx(1 - 1 / np.sqrt(2), abs=1e-6)
            assert found.norms == pytest.approx(1, abs=1e-6)
        else:
            assert np.abs(found.effects).max() < 1e-12


def test_distance_is_exact_for_near_vectors() -> None:
    angle = 1e-3
    a = np.array([[1.0, 0.0], [1.0, 0.0]], np.float32)
    b = np.array([[np.cos(angle), np.sin(angle)], [-1.0, 0.0]], np.float32)
    assert distances(a, b) == pytest.approx([angle**2 / 2, 2.0], rel=1e-3)


def test_images_without_an_edit_have_no_effect(schema: Any, make_pipeline: Any) -> None:
    pipeline, known = make_pipeline({"glasses": 1.0})
    edit = next(e for e in plan_edits(schema, known.current, FREQUENCIES) if e.direction == "add")
    found = carry_out(pipeline, known, edit)
    mean = together([found], [found.effects], len(known.codes))
    assert np.isnan(mean[known.current[:, 2] == 1]).all()
    assert not np.isnan(mean[known.current[:, 2] == 0]).any()


def test_an_effect_on_one_person_has_no_interval() -> None:
    alone = effect_interval(np.array([0.1, 0.3]), np.array(["a", "a"], object), n_boot=50, seed=1)
    assert alone.estimate == pytest.approx(0.2) and np.isnan([alone.low, alone.high]).all()
    people = np.array(["a", "b", "c"], object)
    several = effect_interval(np.array([0.1, 0.3, 0.2]), people, n_boot=50, seed=1)
    assert 0 < several.low < several.estimate < several.high < 2
