"""Error rates by group on the page: what is told where observation and intervention disagree."""

from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from attribute_recovery.report import groups
from attribute_recovery.report.blocks import Absent, Picture, Points, Table
from attribute_recovery.report.results import Results


@pytest.fixture
def told(made: ModuleType) -> list[str]:
    return groups.disagreements(groups._by_key(made.groups_table()))


def test_each_disagreement_is_told_and_nothing_else(told: list[str]) -> None:
    assert [sentence.split(",")[1].strip() for sentence in told] == ["yaw", "smile", "hair style"]


def test_a_confounded_difference_names_what_else_differs(told: list[str]) -> None:
    assert told[0].startswith(
        "FNMR, yaw, high less low: observed 5.0 percentage points (95 % interval 4.0 to 6.0), by intervention"
    )
    assert "also differ in smile (+0.52 sd) and hair style (−0.31 sd); made alike" in told[0]
    assert told[0].endswith("no longer found.")


def test_an_effect_too_small_to_be_seen_is_told_with_what_could_be(told: list[str]) -> None:
    assert told[1].endswith("Among 108 people only a difference of 2.0 points or more is found with 80 %.")


def test_opposite_signs_without_another_difference(told: list[str]) -> None:
    assert "differ in nothing else that is declared by more than chance" in told[2]


def test_groups_that_cannot_be_made_alike_leave_it_open(made: ModuleType) -> None:
    rows = groups._by_key(made.groups_table())
    observed, given = (
        rows["yaw", f"fnmr_difference{end}", "high_less_low"] for end in ("", "_interventional")
    )
    text = groups.disagreement(observed, {"note": "too few people"}, given)
    assert text.endswith("whether that is why cannot be told: too few people.")


def test_summary_counts_what_was_found(made: ModuleType) -> None:
    frame = made.groups_table()
    assert groups.difference_sentence(frame, "fnmr").startswith(
        "FNMR: q < 0.05 for 3 of 5 differences tested; the largest: glasses, high less low (10.0 percentage"
    )
    assert groups.difference_sentence(frame, "fmr") == (
        "FMR: q < 0.05 for 0 of 0 differences tested; not testable: 1."
    )


def test_blocks_have_tables_figure_and_sentences(experiment: Path) -> None:
    blocks = groups.group_blocks(Results(experiment), "default")
    tables = [block for block in blocks if isinstance(block, Table)]
    assert [table.caption for table in tables] == [
        "FNMR: differences between groups, percentage points",
        "FMR: differences between groups, percentage points",
        "FNMR of each group, %",
    ]
    by_name = {row[0].text: row for row in tables[0].rows}
    assert by_name["glasses"][1].text == "10.0 (9.0 to 11.0)"
    assert by_name["yaw"][5].kind == "bad"
    assert by_name["beard"][3].note == "not edited"
    assert sum(isinstance(block, Picture) for block in blocks) == 1
    assert sum(isinstance(block, Points) for block in blocks) == 2


def test_many_disagreements_are_cut(made: ModuleType) -> None:
    frame = made.groups_table()
    many = pd.concat([frame.assign(attribute=frame["attribute"] + str(i)) for i in range(5)])
    told = groups.disagreements(groups._by_key(many))
    assert len(told) == groups.MOST_TOLD + 1
    assert told[-1] == "7 more are in the tables."


def test_a_table_without_its_columns_is_named(experiment: Path) -> None:
    pd.DataFrame({"attribute": ["yaw"]}).to_parquet(experiment / "default/significance/groups.parquet")
    results = Results(experiment)
    assert isinstance(groups.group_blocks(results, "default")[1], Absent)
    assert results.faults["default/significance/groups.parquet"] == "lacks columns"


def test_without_a_test_on_both_sides_nothing_is_said_to_agree(made: ModuleType) -> None:
    frame = made.groups_table()
    assert groups.agreement(frame.assign(verdict="not testable")).endswith(
        "no difference was tested on both sides."
    )
    one = ["neither"] + ["not testable"] * (len(frame) - 1)
    assert groups.agreement(frame.assign(verdict=one)).startswith("Of 1 difference tested on both sides,")
