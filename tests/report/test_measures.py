"""The three measures: one row an attribute, the largest first, bold where q says so, directions apart."""

from types import ModuleType

import pandas as pd

from attribute_recovery.report import measures
from attribute_recovery.significance.table import COLUMNS, OWN_COLUMNS
from attribute_recovery.significance.table import MEASURES as WRITTEN


def rows_of(made: ModuleType, name: str) -> tuple[measures.Measure, pd.DataFrame]:
    """One measure and its rows."""
    return next(each for each in measures.measures_of(made.significance_table()) if each[0].name == name)


def test_what_is_shown_is_what_the_stage_writes() -> None:
    written = {*COLUMNS, *OWN_COLUMNS}
    assert tuple(measure.name for measure in measures.known_measures()) == WRITTEN
    assert written >= measures.NEEDED
    for measure in measures.known_measures():
        for column in measure.columns:
            assert column.name in written
            assert not column.beside or column.beside in written


def test_one_row_an_attribute_the_largest_first(made: ModuleType) -> None:
    measure, frame = rows_of(made, "decision_effect")
    table = measures.measure_table(measure, frame, {})
    expected = frame[frame["direction"] == ""].sort_values("estimate", ascending=False)["attribute"]
    assert [row[0].text for row in table.rows] == [name.replace("_", " ") for name in expected]
    assert "(test, 160 people, 256 images)" in table.caption
    assert all(len(row) == len(table.header) for row in table.rows)


def test_bold_means_q_below_a_twentieth_and_no_p_is_not_testable(made: ModuleType) -> None:
    measure, frame = rows_of(made, "identity_share")
    q = frame.set_index("attribute")["q"]
    for row in measures.measure_table(measure, frame, {}).rows:
        name = row[0].text.replace(" ", "_")
        assert (row[1].kind == "strong") == bool(q[name] < 0.05)
        assert (row[1].note == "not testable") == (name == "glasses")


def test_own_scales_and_flips_have_their_intervals(made: ModuleType) -> None:
    measure, frame = rows_of(made, "retained_information")
    row = measures.measure_table(measure, frame, {}).rows[0]
    assert row[2].text == "0.50 (0.45 to 0.55)" and row[2].note in ("U", "R²")
    measure, frame = rows_of(made, "decision_effect")
    table = measures.measure_table(measure, frame, made.significance_metrics())
    place = list(table.header).index("genuine lost, %")
    assert {row[place].text for row in table.rows} == {"2.1 (1.1 to 3.4)"}


def test_too_much_is_marked(made: ModuleType) -> None:
    measure, frame = rows_of(made, "retained_information")
    for table in (frame, frame.assign(shift_nats=0.19, shift_too_much=1.0)):
        shown = measures.measure_table(measure, table, {})
        cells = [row[list(shown.header).index("told without z, nats")] for row in shown.rows]
        expected = ("0.190", "too much", "bad") if table is not frame else ("0.00100", "", "plain")
        assert {(cell.text, cell.note, cell.kind) for cell in cells} == {expected}
    measure, frame = rows_of(made, "decision_effect")
    shown = measures.measure_table(measure, frame, {})
    notes = [cell.note for row in shown.rows for cell in row if cell.kind == "bad"]
    assert notes == ["too much: hair style"]


def test_directions_stand_in_a_table_of_their_own(made: ModuleType) -> None:
    measure, frame = rows_of(made, "decision_effect")
    table = measures.direction_table(measure, frame)
    assert table is not None and table.folded
    assert [(row[0].text, row[0].note) for row in table.rows] == [("yaw", "decrease"), ("yaw", "increase")]
    assert measures.direction_table(*rows_of(made, "identity_share")) is None


def test_only_rows_without_direction_are_counted(made: ModuleType) -> None:
    measure, frame = rows_of(made, "decision_effect")
    plain = frame[frame["direction"] == ""]
    found = int((plain["q"] < 0.05).sum())
    assert measures.measure_sentence(measure, frame).startswith(
        f"Decision effect: q < 0.05 for {found} of 6 attributes"
    )
    measure, frame = rows_of(made, "identity_share")
    assert measures.measure_sentence(measure, frame).endswith("; not testable: 1.")


def test_an_unknown_measure_is_shown_plainly(made: ModuleType) -> None:
    frame = made.significance_table().assign(measure="something_new")
    [(measure, rows)] = measures.measures_of(frame.iloc[:6])
    table = measures.measure_table(measure, rows, {})
    assert table.caption.startswith("Something new") and len(table.rows) == 6
