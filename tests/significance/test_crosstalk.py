"""What heads read after an edit."""

from typing import Any

import numpy as np
import pytest

from attribute_recovery.significance.crosstalk import account, column_deviations, read_edit
from attribute_recovery.significance.effect import carry_out, plan_edits

FREQUENCIES = {"hair": np.array([0.2, 0.3, 0.5])}


def _account(schema: Any, made: Any, name: str, deviations: np.ndarray) -> Any:
    pipeline, known = made
    edits = [e for e in plan_edits(schema, known.current, FREQUENCIES) if e.attribute == name]
    edited = [carry_out(pipeline, known, edit) for edit in edits]
    return account(schema, name, [read_edit(pipeline, known, one) for one in edited], deviations)


@pytest.mark.parametrize("name", ["length", "glasses", "hair"])
def test_a_perfect_editor_reaches_its_dose_and_moves_nothing_else(
    name: str, schema: Any, make_pipeline: Any
) -> None:
    found = _account(schema, make_pipeline({}), name, np.ones(6))
    assert found.achieved == pytest.approx(1, abs=1e-5)
    assert found.dose == pytest.approx(1, abs=0.1)
    assert found.cross_talk == pytest.approx(0, abs=1e-6)


def test_a_leak_is_found_in_units_of_the_population(schema: Any, make_pipeline: Any) -> None:
    deviations = np.array([1.0, 0.5, 1.0, 1.0, 1.0, 1.0])
    found = _account(schema, make_pipeline({}, leak=0.25), "glasses", deviations)
    assert found.worst_attribute == "yaw"
    assert found.worst == pytest.approx(0.5, abs=1e-5)
    assert found.cross_talk == pytest.approx(0.5 / 3, abs=1e-5)


def test_columns_that_do_not_vary_have_deviation_one() -> None:
    encoded = np.stack([np.arange(4.0), np.ones(4)], axis=1).astype(np.float32)
    assert column_deviations(encoded) == pytest.approx([np.arange(4.0).std(), 1.0])


def test_missing_values_do_not_enter_deviations() -> None:
    encoded = np.float32([[1, np.nan, np.nan], [3, 2, np.nan], [5, 8, np.nan]])
    assert column_deviations(encoded) == pytest.approx([np.std([1, 3, 5]), 3.0, 1.0])


def test_attributes_without_a_deviation_are_left_out(schema: Any, make_pipeline: Any) -> None:
    deviations = np.array([1.0, np.nan, 1.0, 1.0, 1.0, 1.0])
    found = _account(schema, make_pipeline({}, leak=0.25), "glasses", deviations)
    assert found.worst_attribute != "yaw"
    assert found.cross_talk == pytest.approx(0, abs=1e-5)
