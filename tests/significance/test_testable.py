"""What can be tested, and on which images."""

from typing import Any

import numpy as np

from attribute_recovery.significance.testable import known_together, not_testable

PEOPLE = np.repeat(np.array(list("abcdef"), dtype=object), 2)
ROWS = np.arange(12)


def _values(**changes: Any) -> dict[str, Any]:
    values = {"length": ROWS * 1.0, "yaw": ROWS * 2.0, "glasses": ROWS % 2, "hair": ROWS % 3}
    return values | changes


def test_complete_labels_can_all_be_tested(schema: Any) -> None:
    split = (_values(), PEOPLE)
    assert not_testable(schema, split, split, dict.fromkeys(schema.names, False)) == {}


def test_each_measure_has_its_own_needs(schema: Any) -> None:
    one_person = np.where(PEOPLE == "c", ROWS % 2, -1)
    first_images = np.where(ROWS % 2 == 0, ROWS % 3, -1)
    fitted = (_values(glasses=one_person), PEOPLE)
    test = (_values(length=np.full(12, np.nan), hair=first_images), PEOPLE)
    editable = {"length": True, "yaw": True, "glasses": False, "hair": True}
    found = not_testable(schema, fitted, test, editable)
    nothing = "no image of the split test has a value"
    person = "known for 1 person of the split train only, at least 3 are needed"
    assert found["retained_information"] == {"length": nothing, "glasses": person}
    assert found["identity_share"] == {
        "length": nothing,
        "glasses": person,
        "hair": "nobody of the split test has two images with a value",
    }
    assert found["decision_effect"] == {"glasses": person}
    # An editor whose heads were brought can change what no label says.
    brought = not_testable(schema, fitted, test, editable | {"glasses": True})
    assert "decision_effect" not in brought


def test_attributes_known_on_the_same_images_stand_together(schema: Any) -> None:
    gone = ROWS < 4
    fitted = _values(yaw=np.where(gone, np.nan, ROWS), hair=np.where(gone, -1, 1))
    test = _values(hair=np.where(gone, -1, 1))
    found = [(some.names, a.sum(), b.sum()) for some, a, b in known_together(schema, fitted, test)]
    assert found == [(["length", "glasses"], 12, 12), (["yaw"], 8, 12), (["hair"], 8, 8)]
