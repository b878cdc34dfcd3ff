"""The comparison on the page: differences with both figures, the surest first, what stands out in words."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.report import comparison
from attribute_recovery.report.blocks import Absent, Points, Table
from attribute_recovery.report.results import Results

FACTS = {"fmr": 0.001}


@pytest.fixture
def frame(made: ModuleType) -> pd.DataFrame:
    """Differences of two recognizers."""
    found: pd.DataFrame = made.comparison_frame(("plain", "novel"))
    return found


def tables_of(made: ModuleType, root: Path, frame: pd.DataFrame) -> list[Table]:
    made.write_comparison(root / "significance", ("plain", "novel"))
    frame.to_parquet(root / "significance/comparison.parquet")
    _, pair = comparison.comparison_sections(Results(root), FACTS)
    return [block for block in pair.blocks if isinstance(block, Table)]


def test_what_differs_is_told_with_rates_and_attributes(frame: pd.DataFrame) -> None:
    tar, fmr, *measures = comparison.pair_sentences(frame, FACTS)
    assert tar == (
        "At a false match rate of 1 in 1,000, each with its own τ from the split that fixes thresholds, "
        "genuine pairs accepted: 95 % by “novel”, 90 % by “plain”; the difference is 5.0 percentage points "
        "(95 % interval 1.0 to 9.0), p = 0.0005."
    )
    assert fmr.startswith("Impostor pairs of the test people accepted at these τ: 0.1 % by “novel”, 0.1 %")
    assert measures[:3] == [
        f"{title}: q < 0.05 for a difference in 2 of 6 attributes tested; “novel” has more of it for yaw; "
        "“novel” has less of it for glasses."
        for title in ("Retained information", "Identity share", "Decision effect")
    ]
    assert [each.split(":")[0] for each in measures[3:]] == [
        f"Decisions that flip, {flip}"
        for flip in ("genuine lost", "genuine gained", "impostor gained", "impostor lost")
    ]
    frame["q"] = np.nan
    assert len(comparison.pair_sentences(frame, FACTS)) == 5


def test_many_are_cut_and_none_is_said(frame: pd.DataFrame) -> None:
    rows = frame[frame["attribute"] != ""].copy()
    rows["estimate"], rows["q"] = 0.1, 0.01
    sentence = comparison.pair_sentences(rows, FACTS)[0]
    assert "more of it for glasses, hair style and jaw width first of all." in sentence
    rows["q"] = np.nan
    assert comparison.pair_sentences(rows, FACTS)[0].endswith("in 0 of 6 attributes tested.")


def test_every_attribute_has_its_row_the_surest_first(
    made: ModuleType, tmp_path: Path, frame: pd.DataFrame
) -> None:
    main, flips, directions = tables_of(made, tmp_path, frame)
    assert [row[0].text for row in main.rows] == [
        "glasses", "yaw", "hair style", "jaw width", "light azimuth", "smile",
    ]  # fmt: skip
    cell = main.rows[1][1]
    assert (cell.text, cell.note, cell.kind) == (
        "0.200 (0.160 to 0.240)", "0.50 against 0.30 · q = 0.0015", "strong",
    )  # fmt: skip
    assert main.rows[2][1].kind == "weak"
    assert "information, nats" in main.header[1] and len(main.header) == 4
    assert directions.folded and flips.rows[0][1].text == "-10.0 (-14.0 to -6.0)".replace("-", "−")
    assert [row[0].note for row in directions.rows] == ["decrease", "increase"]


def test_what_could_not_be_computed_is_a_dash(made: ModuleType, tmp_path: Path, frame: pd.DataFrame) -> None:
    gone = frame.copy()
    undefined = (gone["attribute"] == "yaw") & (gone["measure"] == "identity_share")
    gone.loc[undefined, ["estimate", "low", "high", "p", "q", "other_estimate"]] = np.nan
    main = tables_of(made, tmp_path, gone)[0]
    cell = next(row for row in main.rows if row[0].text == "yaw")[2]
    assert (cell.text, cell.note, cell.kind) == ("—", "0.50 against — · not testable", "weak")


def test_only_what_was_measured_has_a_table(made: ModuleType, tmp_path: Path, frame: pd.DataFrame) -> None:
    assert tables_of(made, tmp_path, frame[frame["attribute"] == ""]) == []
    some = frame[(frame["measure"] == "retained_information") | (frame["attribute"] == "")]
    (main,) = tables_of(made, tmp_path, some)
    assert len(main.header) == 2


def test_each_pair_has_its_section(made: ModuleType, tmp_path: Path) -> None:
    made.write_comparison(tmp_path / "significance", ("a", "b", "c"))
    sections = comparison.comparison_sections(Results(tmp_path), FACTS)
    assert [each.anchor for each in sections] == [
        "comparison", "comparison-b-a", "comparison-c-a", "comparison-c-b",
    ]  # fmt: skip
    assert all(isinstance(each.blocks[0], Points) for each in sections[1:])


def test_a_table_without_its_columns_is_named(made: ModuleType, tmp_path: Path) -> None:
    made.write_comparison(tmp_path / "significance", ("a", "b"))
    pd.DataFrame({"recognizer": ["b"]}).to_parquet(tmp_path / "significance/comparison.parquet")
    (section,) = comparison.comparison_sections(Results(tmp_path), FACTS)
    missing = [block.text for block in section.blocks if isinstance(block, Absent)]
    assert missing == [
        "Not computed: the table of the comparison (significance/comparison.parquet lacks columns)."
    ]
