"""What the page says of labels that are missing."""

from pathlib import Path
from types import ModuleType
from typing import Any

from attribute_recovery.report import labels
from attribute_recovery.report.blocks import Points, Table
from attribute_recovery.report.domain import data_section, heads_section
from attribute_recovery.report.explanation import recovery_table
from attribute_recovery.report.measures import basis_of, known_measures, measure_table
from attribute_recovery.report.results import Results
from attribute_recovery.report.weight import weighed_blocks


def described() -> dict[str, Any]:
    """A data report in which beards and ages are not known everywhere, and glasses are."""
    known = {"images": 20, "identities": 9, "identities_by_class": {"off": 8, "on": 3}}
    beard = {
        "train": {"counts": {"off": 14, "on": 6}, "missing": 10, "known": known},
        "test": {"counts": {"off": 0, "on": 0}, "missing": 12, "known": {"images": 0, "identities": 0}},
    }
    age = {
        "train": {"mean": 30.0, "sd": 4.0, "missing": 29, "known": {"images": 1, "identities": 1}},
        "test": {"mean": 31.0, "sd": 5.0},
    }
    glasses = {"train": {"counts": {"off": 15, "on": 15}}, "test": {"counts": {"off": 6, "on": 6}}}
    attributes = {"beard": beard, "age": age, "glasses": glasses}
    return {
        "images": 42,
        "identities": 14,
        "splits": {"train": {"identities": 10, "images": 30}, "test": {"identities": 4, "images": 12}},
        "attributes": {name: {"splits": splits} for name, splits in attributes.items()},
    }


def test_known_images_people_and_classes_are_counted_split_by_split(
    made: ModuleType, experiment: Path
) -> None:
    made.write(experiment / "dataset/report.json", described())
    tables = [b for b in data_section(Results(experiment)).blocks if isinstance(b, Table)]
    table = tables[-1]
    assert table.caption == "Attributes that are not known on every image"
    assert table.header == ["attribute", "train", "test"]
    shown = [[(cell.text, cell.note) for cell in row] for row in table.rows]
    assert shown == [
        [
            ("beard", ""),
            ("20 of 30 images", "9 people; off 14 (8 people), on 6 (3 people)"),
            ("0 of 12 images", ""),
        ],
        [("age", ""), ("1 of 30 images", "1 person"), ("all", "")],
    ]


def test_nothing_is_said_where_all_is_known(made: ModuleType, experiment: Path) -> None:
    report = described()
    del report["attributes"]["beard"], report["attributes"]["age"]
    assert labels.labels_table(report) is None
    assert labels.labels_table({}) is None
    assert labels.left_out_blocks({"not_measured": {}, "n_images": 3}) == []


def test_what_was_left_out_is_told_with_its_reason_attributes_together() -> None:
    one = "known for 1 person of the split train only, at least 3 are needed"
    facts = {
        "not_recovered": {"hair_style": one, "beard": one},
        "not_measured": {"age": "no image of the split test has a value"},
        "not_testable": {
            "retained_information": {"age": "no image of the split test has a value", "beard": one},
            "decision_effect": {"beard": one},
        },
    }
    (block,) = labels.left_out_blocks(facts)
    assert isinstance(block, Points)
    assert list(block.items) == [
        "Not recovered: hair style and beard, since they are known for 1 person of the split train only, at "
        "least 3 are needed.",
        "Not measured: age, since no image of the split test has a value.",
        "Not testable, retained information: age, since no image of the split test has a value.",
        "Not testable, retained information and decision effect: beard, since it is known for 1 person of "
        "the split train only, at least 3 are needed.",
    ]


def test_tables_say_on_how_many_images_an_attribute_is_known(made: ModuleType, experiment: Path) -> None:
    known = {"known_images": {"yaw": 21}, "known_identities": {"yaw": 8}}
    table = recovery_table(made.recovery_metrics() | known)
    assert table is not None
    notes = {row[0].text: row[0].note for row in table.rows}
    assert notes["yaw"].endswith("known on 21 images of 8 people")
    assert sum("known" in note for note in notes.values()) == 1
    made.write(experiment / "attributes/metrics.json", known | {"not_measured": {"yaw": "no image"}})
    blocks = heads_section(Results(experiment)).blocks
    assert any(isinstance(b, Points) and b.items == ["Not measured: yaw, since no image."] for b in blocks)
    table = next(b for b in blocks if isinstance(b, Table))
    assert "known on 21 images of 8 people" in [row[0].note for row in table.rows]


def test_a_measure_that_cannot_be_had_says_why_and_does_not_count(made: ModuleType, experiment: Path) -> None:
    frame = made.significance_table()
    measure = known_measures()[0]
    rows = frame[frame["measure"] == measure.name].copy()
    before = basis_of(rows)
    name = str(rows["attribute"].iloc[0])
    first = rows.index[0]
    rows.loc[first, ["estimate", "low", "high", "p", "q"]] = float("nan")
    rows.loc[first, ["n_images", "n_identities"]] = 0
    rows["method"] = rows["method"].astype(object)
    rows.loc[first, "method"] = "not testable: no image of the split test has a value"
    assert basis_of(rows) == before
    shown = measure_table(measure, rows, {"known_images": {"x": 1}}).rows
    (row,) = [row for row in shown if row[0].text == name.replace("_", " ")]
    assert row[0].note == "no image of the split test has a value"
    assert (row[1].text, row[1].note) == ("—", "not testable")
    facts = {"not_testable": {measure.name: {name: "no image of the split test has a value"}}}
    blocks = weighed_blocks(Results(experiment), {"significance": facts}, "default")
    assert any(isinstance(block, Points) and "Not testable" in block.items[0] for block in blocks)
    assert any("or what is said below the attribute" in getattr(block, "text", "") for block in blocks)
