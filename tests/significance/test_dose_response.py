"""Responses to several doses, against the closed form of a pipeline in which codes are attributes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.config_significance import SignificanceSection
from attribute_recovery.significance.dose_response import (
    COLUMNS,
    DOSES,
    choose_rows,
    dose_metrics,
    dose_response,
    dose_table,
    draw_doses,
)
from attribute_recovery.significance.effect import carry_out, plan_edits

WEIGHT = 0.8


def _settings(images: int = 40) -> SignificanceSection:
    return SignificanceSection(
        permutations=19, placebos=19, bootstrap=99, images=80, dose_images=images, cross_talk=0.5
    )


def _table(schema: Any, made: Any, images: int = 40) -> pd.DataFrame:
    pipeline, known = made
    edited: dict[str, Any] = {}
    for edit in plan_edits(schema, known.current, {"hair": np.ones(3) / 3}):
        edited.setdefault(edit.attribute, []).append(carry_out(pipeline, known, edit))
    rows = dose_response(pipeline, schema, known, edited, np.ones(6), _settings(images), 0)
    return dose_table("toy", rows)


def test_the_curve_is_that_of_the_closed_form(schema: Any, make_pipeline: Any) -> None:
    """f sees yaw alone, as the angle atan(weight · yaw): 1 − cos is that of the difference of two angles."""
    made = make_pipeline({"yaw": WEIGHT})
    table = _table(schema, made)
    yaw = made[1].codes[choose_rows(made[1].identities, 40), 1].astype(np.float64)
    curve = table[table["attribute"] == "yaw"].set_index("dose")
    assert tuple(curve.index) == DOSES
    for dose in DOSES:
        stays = (yaw + dose >= -3) & (yaw + dose <= 3)
        angle = np.arctan(WEIGHT * (yaw + dose)) - np.arctan(WEIGHT * yaw)
        assert curve.loc[dose, "estimate"] == pytest.approx(np.mean(1 - np.cos(angle[stays])), rel=1e-4)
        assert curve.loc[dose, "n_images"] == stays.sum()
        assert curve.loc[dose, "low"] < curve.loc[dose, "estimate"] < curve.loc[dose, "high"]
        assert curve.loc[dose, "achieved"] == pytest.approx(1)
    assert table.loc[table["attribute"] == "length", "estimate"].max() < 1e-12
    assert dose_metrics(table)["dose_ratio"]["yaw"] == pytest.approx(
        curve.loc[[-2.0, 2.0], "estimate"].mean() / curve.loc[[-1.0, 1.0], "estimate"].mean()
    )


def test_only_the_named_attributes_and_the_asked_for_images(schema: Any, make_pipeline: Any) -> None:
    table = _table(schema, make_pipeline({"yaw": 1.0}), images=6)
    assert tuple(table.columns) == COLUMNS
    assert set(table["attribute"]) == {"length", "yaw"}
    assert table["n_images"].max() <= 6
    none = _table(schema, make_pipeline({"yaw": 1.0}), images=0)
    assert not len(none) and tuple(none.columns) == COLUMNS
    assert dose_metrics(none) == {"dose_ratio": {}}


def test_edits_that_move_another_attribute_are_marked(schema: Any, make_pipeline: Any) -> None:
    table = _table(schema, make_pipeline({"yaw": 1.0}, leak=0.4))
    length = table[table["attribute"] == "length"].set_index("dose")
    assert length["cross_talk_worst"].to_dict() == pytest.approx({dose: 0.4 * abs(dose) for dose in DOSES})
    assert length["cross_talk_too_much"].to_dict() == {dose: float(abs(dose) > 1.25) for dose in DOSES}


def test_images_are_of_as_many_people_as_possible() -> None:
    people = np.array([f"p{i}" for i in np.repeat(np.arange(10), 3)], dtype=object)
    assert len(set(people[choose_rows(people, 7)])) == 7
    rows = choose_rows(people, 14)
    assert len(rows) == 14 and len(set(people[rows])) == 10
    assert choose_rows(people, 99).tolist() == list(range(30))


def test_the_picture_is_the_same_again(schema: Any, make_pipeline: Any, tmp_path: Path) -> None:
    table = _table(schema, make_pipeline({"yaw": 1.0}, leak=0.4))
    for path in (tmp_path / "a.png", tmp_path / "b.png"):
        draw_doses(table, path)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    draw_doses(table.iloc[:0], tmp_path / "none.png")
    assert (tmp_path / "none.png").read_bytes().startswith(b"\x89PNG")
