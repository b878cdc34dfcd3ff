"""The page says what the JSON files say."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.validation.__main__ import PAGE, RESULTS
from benchmarks.validation.page import NOT_YET, page, read_results, verdict
from benchmarks.validation.rows import ROWS, row_named

GOAL = {"goal": "as good as possible", "measured": "0.9", "reached": True}
RESULT = {
    "row": "intervals-cover",
    "quick": False,
    "seed": 1,
    "commit": "abc",
    "core_minutes": 3.0,
    "machine": {"cores": 2, "architecture": "x86_64", "python": "3.11", "numpy": "2"},
    "goals": [GOAL],
    "tables": [{"caption": "Figures", "columns": ["a", "b"], "rows": [["x", "1.25"]]}],
}


def test_the_committed_page_is_that_of_the_committed_results() -> None:
    assert PAGE.read_text() == page(read_results(RESULTS))


def test_every_question_is_on_the_page_measured_or_not() -> None:
    text = page({})
    assert text.count(NOT_YET) == len(ROWS)
    assert all(row.question in text and row.goal in text for row in ROWS)


def test_figures_and_verdicts_are_those_of_the_result() -> None:
    row = row_named("intervals-cover")
    assert verdict(row, {row.name: RESULT}) == "**pass**, 1 of 1 goals reached"
    short = RESULT | {"goals": [GOAL, GOAL | {"reached": False}]}
    assert verdict(row, {row.name: short}).startswith("**short**, 1 of 2")
    text = page({row.name: short})
    assert "| as good as possible | 0.9 | **short** |" in text and "| x | 1.25 |" in text
    assert "commit `abc`, seed 1, 3.0 core minutes, 2 cores" in text


def test_the_run_that_figures_stand_on_is_named() -> None:
    assert "finished run" not in page({"intervals-cover": RESULT}).split("## ")[1]
    text = page({"intervals-cover": RESULT | {"runs": ["0123456789abcdef"]}})
    assert "numpy 2, on the finished run with digest `0123456789ab`." in text


def test_a_part_that_is_missing_is_named() -> None:
    row = replace(row_named("nothing-found"), missing="one half")
    assert NOT_YET in verdict(row, {row.name: RESULT | {"row": row.name}})


def test_a_file_that_is_no_row_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(json.dumps(RESULT))
    with pytest.raises(ValueError, match="row is 'intervals-cover', allowed is the name of the file"):
        read_results(tmp_path)
