"""Explained errors on the page: what is carried, what is overlooked, faces and names only as allowed."""

from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from attribute_recovery.report import errors
from attribute_recovery.report.blocks import Absent, Picture, Points, Table
from attribute_recovery.report.privacy import Faces, Privacy
from attribute_recovery.report.results import Results


def blocks_of(made: ModuleType, results: Results) -> list[object]:
    return list(
        errors.error_blocks(results, {"counterfactuals": made.counterfactual_metrics()}, "default", 4)
    )


def test_errors_are_counted_and_what_carries_them_is_told(made: ModuleType) -> None:
    told = " ".join(errors.error_sentences(made.counterfactual_metrics()))
    for part in (
        "2,104 false matches, 2 of them explained; 262 false non-matches, 1 of them explained.",
        "False matches: of what the score lacks to 1, the attributes carry 0.21 on average, 0.11 is left "
        "where all are equal, and reconstruction changes it by −0.024. 90 % of the reconstructed pairs",
        "standard error of 0.004 (median), and is surely the largest in 80 % of pairs",
        "most of the gap is carried by yaw with 52.0 % (95 % interval 50.0 to 55.0), glasses with 15.0 %",
        "add up to its gap to within 2 × 10⁻¹⁶; they took 6,760 edited images.",
    ):
        assert part in told, part


def test_what_lowers_the_gap_carries_nothing_of_it(made: ModuleType) -> None:
    facts = made.counterfactual_metrics()
    facts |= {"error_share": {"false_match": {"yaw": 1.5, "glasses": -0.5}}}
    told = " ".join(errors.error_sentences(facts))
    assert "most of the gap is carried by yaw with 150.0 %" in told
    assert "glasses with" not in told


def test_what_differs_and_carries_nothing_is_told_of_the_kind_where_it_does(made: ModuleType) -> None:
    sentences = errors.error_sentences(made.counterfactual_metrics())
    overlooked = [each for each in sentences if "hardly notices" in each]
    assert len(overlooked) == 1
    assert overlooked[0].startswith("False matches: the images differ in light azimuth and")


def test_an_explanation_that_was_switched_off_is_said(made: ModuleType) -> None:
    facts = made.counterfactual_metrics() | {"wrong_pairs": {}}
    assert errors.error_sentences(facts) == ["No error was explained: counterfactuals.error_pairs is 0."]


def test_a_kind_without_errors_is_counted_and_no_more(made: ModuleType) -> None:
    facts = made.counterfactual_metrics()
    facts |= {"wrong_pairs": {"false_match": 0, "false_non_match": 5}}
    facts |= {
        name: {k: v for k, v in value.items() if k == "false_non_match"}
        for name, value in facts.items()
        if name.startswith("error_") and isinstance(value, dict)
    }
    told = " ".join(errors.error_sentences(facts))
    assert "0 false matches" in told and "False matches:" not in told and "not computed" not in told
    table = errors.carried_table(facts)
    assert table is not None and len(table.header) == 4


@pytest.mark.parametrize(("faces", "shown"), [("all", 2), ("decoded", 2), ("none", 1)])
def test_faces_are_shown_as_allowed_and_the_plot_of_values_always(
    made: ModuleType, experiment: Path, faces: Faces, shown: int
) -> None:
    found = blocks_of(made, Results(experiment, privacy=Privacy(faces)))
    pictures = [block for block in found if isinstance(block, Picture)]
    assert len(pictures) == shown
    assert "a dot is one error" in pictures[0].caption
    if faces == "decoded":
        assert "both as the generator makes them" in pictures[1].caption
        decoded = experiment / "default/counterfactuals/pictures/errors-false_match-decoded.png"
        assert pictures[1].source == Results(experiment).picture(str(decoded.relative_to(experiment)))


def test_each_error_is_told_with_its_largest_values(made: ModuleType, experiment: Path) -> None:
    frame = made.shapley_table()
    frame.loc[frame["pair"] == 1, ["shapley", "standard_error"]] = None  # could not be explained
    frame.to_parquet(experiment / "default/counterfactuals/shapley.parquet")
    tables = [block for block in blocks_of(made, Results(experiment)) if isinstance(block, Table)]
    rows = tables[1].rows
    assert [row[1].text for row in rows] == ["false match", "false match", "false non-match"]
    assert rows[0][0].text == "test-0000/000" and rows[0][0].note == "against test-0001/001"
    assert rows[0][4].text == (
        "yaw 6.00 → −14.2 degrees: 0.31 ± 0.004; glasses on → off: 0.12 ± 0.004; "
        "smile 5.00 → −14.2 degrees: −0.050 ± 0.004"
    )
    assert rows[1][4].text == "not computed"


def test_errors_of_several_folds_stay_apart_though_each_fold_counts_anew(made: ModuleType) -> None:
    one = made.shapley_table()
    other = one.assign(image_id=one["image_id"].str.replace("test-", "fold-"))
    table = errors.explained_table(pd.concat([one, other], ignore_index=True), 9, Privacy())
    assert len(table.rows) == 6 and all(row[4].text.count(";") == 2 for row in table.rows)


def test_people_have_pseudonyms_where_they_are_not_named(made: ModuleType, experiment: Path) -> None:
    privacy = Privacy(key=b"k", identities={"test-0000/000": "test-0000"})
    table = errors.explained_table(made.shapley_table(), 4, privacy)
    assert not any("test-" in cell.text + cell.note for row in table.rows for cell in row)
    assert table.rows[0][0].text == privacy.image("test-0000/000")


def test_attributes_are_in_the_order_of_what_they_carry(made: ModuleType) -> None:
    table = errors.carried_table(made.counterfactual_metrics())
    assert table is not None
    assert [row[0].text for row in table.rows][:3] == ["yaw", "glasses", "smile"]
    assert len(table.header) == 7 and all(len(row) == 7 for row in table.rows)
    assert table.rows[0][1].text == "0.520 (0.500 to 0.550)"
    assert errors.carried_table({}) is None


def test_a_table_without_its_columns_is_named(made: ModuleType, experiment: Path) -> None:
    path = experiment / "default/counterfactuals/shapley.parquet"
    pd.DataFrame({"attribute": ["yaw"]}).to_parquet(path)
    missing = [block.text for block in blocks_of(made, Results(experiment)) if isinstance(block, Absent)]
    assert missing == [
        "Not computed: the explained errors (default/counterfactuals/shapley.parquet lacks columns)."
    ]


def test_an_empty_table_leaves_the_sentences(made: ModuleType, experiment: Path) -> None:
    path = experiment / "default/counterfactuals/shapley.parquet"
    made.shapley_table().iloc[:0].to_parquet(path)
    kinds = [type(block) for block in blocks_of(made, Results(experiment))]
    assert Points in kinds and Table not in kinds and Picture not in kinds and Absent not in kinds
