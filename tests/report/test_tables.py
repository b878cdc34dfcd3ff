"""Tables: every row is there, examples are evenly chosen, changes are told in the attributes' own units."""

from types import ModuleType

import pytest

from attribute_recovery.report import tables
from attribute_recovery.report.privacy import Privacy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[{"attribute": "yaw", "from": 4.0, "to": -14.25, "unit": "degrees"}]', "yaw 4.00 → −14.2 degrees"),
        (
            '[{"attribute": "eye_color", "from": "blue", "to": "brown", "unit": "class"}]',
            "eye color blue → brown",
        ),
        ("[]", "none"),
        ("no JSON", "not computed"),
    ],
)
def test_changes_in_words(text: str, expected: str) -> None:
    assert tables.changes_words(text) == expected


def test_the_largest_changes_are_those_in_standard_deviations() -> None:
    row = {
        "change.yaw": -8.0,
        "change_se.yaw": 1.0,
        "change.jaw_width": 0.9,
        "change.glasses": 0.1,
        "change.roll": 0.1,
    }
    shown = tables.moved_words(row, {"yaw": 16.0, "jaw_width": 0.5, "roll": 4.0}, {"yaw": "degrees"})
    assert shown == "jaw width +0.90, yaw −8.0 ± 1.0 degrees, glasses +0.10"
    assert tables.moved_words({"score": 0.1}, {}, {}) == "not computed"


def test_examples_are_spread_evenly_and_include_both_kinds(made: ModuleType) -> None:
    table = tables.edits_table(made.attribute_table(40), 5, Privacy())
    assert [row[1].text for row in table.rows] == ["genuine, accepted"] * 5 + ["impostor, rejected"] * 5
    few = tables.edits_table(made.attribute_table(4), 5, Privacy())
    assert len(few.rows) == 4
    scores = [float(row[2].text) for row in table.rows[:5]]
    assert scores == sorted(scores) and scores[0] == pytest.approx(0.7) and scores[-1] == pytest.approx(0.738)


def test_images_have_the_names_that_may_be_told(made: ModuleType) -> None:
    private = Privacy(key=b"k", identities={"test-0000/000": "test-0000"})
    for table, frame in (
        (lambda frame: tables.edits_table(frame, 1, private), made.attribute_table(2)),
        (lambda frame: tables.moves_table(frame, 1, {}, {}, private), made.representation_table(2)),
    ):
        cell = table(frame).rows[0][0]
        assert cell.text == private.image("test-0000/000")
        assert cell.note == f"against {private.image('test-0000/001')}"


def test_every_attribute_is_listed_even_if_nothing_was_read(made: ModuleType) -> None:
    table = tables.attributes_table(made.ATTRIBUTES, {})
    assert len(table.rows) == len(made.ATTRIBUTES)
    assert {row[-1].note for row in table.rows} == {"not computed"}
