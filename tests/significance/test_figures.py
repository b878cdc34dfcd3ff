"""Figures of the stage."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.significance.effect import carry_out, plan_edits
from attribute_recovery.significance.figures import draw_comparison, draw_edits, draw_significance
from attribute_recovery.significance.table import COLUMNS, MEASURES, OWN_COLUMNS


def test_measures_are_drawn_even_where_numbers_are_missing(tmp_path: Path, schema: Any) -> None:
    table = pd.DataFrame(
        [
            {
                "attribute": name,
                "measure": measure,
                "direction": "",
                "estimate": 0.4,
                "low": 0.3,
                "high": np.nan,
            }
            | {"scaled": -0.1, "scaled_low": -0.2, "scaled_high": 0.1, "q": q}
            for measure in MEASURES
            for name, q in (("yaw", 0.01), ("hair", np.nan))
        ]
    ).reindex(columns=[*COLUMNS, *OWN_COLUMNS])
    path = tmp_path / "significance.png"
    draw_significance(table, schema, path)
    first = path.read_bytes()
    assert first.startswith(b"\x89PNG")
    draw_significance(table, schema, path)
    assert path.read_bytes() == first


def test_differences_are_drawn_a_row_for_each_pair(tmp_path: Path, schema: Any) -> None:
    rows = [
        {"recognizer": name, "other": "a", "attribute": attribute, "measure": measure, "direction": ""}
        | {"estimate": estimate, "low": -0.1, "high": high, "q": 0.01}
        for name in ("b", "c")
        for measure in MEASURES
        for attribute, estimate, high in (
            ("yaw", 0.1, 0.3),
            ("hair", np.nan, np.nan),
            ("length", 0.1, np.nan),
        )
    ]
    heights = []
    for table in (pd.DataFrame(rows), pd.DataFrame(rows[:9])):
        path = tmp_path / f"{len(table)}.png"
        draw_comparison(table, schema, path)
        heights.append(int.from_bytes(path.read_bytes()[20:24], "big"))
    assert heights[0] == pytest.approx(2 * heights[1], abs=2)
    many = pd.concat([pd.DataFrame(rows[:9]).assign(recognizer=f"r{i}") for i in range(8)])
    draw_comparison(many, schema, tmp_path / "many.png")
    assert int.from_bytes((tmp_path / "many.png").read_bytes()[20:24], "big") == pytest.approx(
        6 * heights[1], abs=6
    )


def test_edits_are_shown_with_what_was_before(tmp_path: Path, schema: Any, make_pipeline: Any) -> None:
    pipeline, known = make_pipeline({})
    edited: dict[str, Any] = {}
    for edit in plan_edits(schema, known.current, {"hair": np.ones(3) / 3}):
        edited.setdefault(edit.attribute, []).append(carry_out(pipeline, known, edit))
    seen: list[np.ndarray] = []

    def reconstruct(codes: np.ndarray) -> np.ndarray:
        seen.append(codes)
        return np.zeros((len(codes), 8, 8, 3), np.uint8)

    draw_edits(edited, known, reconstruct, tmp_path / "edits.png")
    assert (tmp_path / "edits.png").stat().st_size > 0
    assert (tmp_path / "edits.png").stat().st_mode & 0o777 == 0o600
    triples = seen[0].reshape(4, 2, 3, 8)  # attribute, face, (less, as it is, more)
    faces = np.unique(known.identities, return_index=True)[1][:2]
    assert np.array_equal(triples[0, :, 1], known.codes[faces])
    yaw = triples[1, :, :, 1]
    assert (np.diff(yaw, axis=1) > 0).all()
    hair = triples[3, :, :, 3:6].argmax(axis=-1)
    assert all(len(set(classes)) == 3 for classes in hair)
