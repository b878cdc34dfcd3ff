"""Long tables of folds as one."""

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.folds.long_table import is_long_table, pooled_table
from attribute_recovery.statistics.discovery import benjamini_hochberg
from attribute_recovery.statistics.pooled import combined_p_value, pooled_interval, student_narrowing


def fold(estimates: list[float], p: list[float], method: str = "decoder") -> pd.DataFrame:
    """A long table of three attributes, and a direction of the first one."""
    n = len(estimates)
    return pd.DataFrame(
        {
            "recognizer": "r",
            "attribute": ["a", "b", "c", "a"][:n],
            "measure": "decision_effect",
            "direction": ["", "", "", "add"][:n],
            "estimate": estimates,
            "low": np.array(estimates) - 0.1,
            "high": np.array(estimates) + 0.2,
            "p": p,
            "q": 0.9,
            "n_identities": 8,
            "n_images": 80,
            "split": "test",
            "method": method,
            "nats": estimates,
        }
    )


def test_a_long_table_is_told_by_its_columns() -> None:
    assert is_long_table(fold([0.1], [0.5]))
    assert not is_long_table(pd.DataFrame({"image_id": ["a"], "estimate": [1.0]}))


def test_each_row_is_pooled_and_q_taken_anew() -> None:
    parts = [
        fold([0.1, 0.2, 0.3, 0.4], [0.01, 0.5, 0.2, 0.04]),
        fold([0.3, 0.2, 0.1, 0.0], [0.03, 0.6, 0.4, 0.9], method="probe"),
    ]
    table = pooled_table(parts, [2, 6])
    assert table["attribute"].tolist() == ["a", "b", "c", "a"]
    assert list(table.columns) == list(parts[0].columns)
    expected = pooled_interval([0.1, 0.3], [0.0, 0.2], [0.3, 0.5], [2, 6], student_narrowing([2, 6]))
    assert table.loc[0, ["estimate", "low", "high"]].tolist() == pytest.approx(expected)
    p = [combined_p_value([x, y], [1, 3]) for x, y in zip(parts[0]["p"], parts[1]["p"], strict=True)]
    assert table["p"].tolist() == pytest.approx(p)
    assert table["q"].tolist() == pytest.approx([*benjamini_hochberg(p[:3]), p[3]])
    assert table["n_identities"].tolist() == [16] * 4
    assert table.loc[0, "nats"] == pytest.approx(0.25)
    assert table.loc[0, "method"] == "decoder; probe"
    assert table.loc[0, "split"] == "test"


def test_what_a_fold_could_not_test_stands_on_the_others() -> None:
    parts = [fold([0.1, np.nan, 0.3], [0.01, np.nan, np.nan]), fold([0.3, 0.2, 0.1], [0.02, 0.5, np.nan])]
    table = pooled_table(parts, [1, 1])
    assert table.loc[1, ["estimate", "low", "high", "p"]].tolist() == pytest.approx([0.2, 0.1, 0.4, 0.5])
    assert np.isnan(table.loc[2, "p"]) and np.isnan(table.loc[2, "q"])
    assert table.loc[2, "estimate"] == pytest.approx(0.2)


def test_attributes_that_one_fold_lacks_are_kept() -> None:
    table = pooled_table([fold([0.1], [0.5]), fold([0.1, 0.4], [0.5, 0.2])], [1, 1])
    assert table["attribute"].tolist() == ["a", "b"]
    assert table["n_identities"].tolist() == [16, 8]


def test_tables_without_a_row_stay_so() -> None:
    nothing = fold([0.1], [0.5]).iloc[:0]
    assert len(pooled_table([nothing, nothing], [1, 1])) == 0


def test_tables_of_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="folds: found the columns"):
        pooled_table([fold([0.1], [0.5]), fold([0.1], [0.5]).drop(columns="nats")], [1, 1])


def test_a_fold_without_labels_takes_no_part_unless_all_are() -> None:
    parts = [fold([np.nan, np.nan], [np.nan, np.nan]), fold([0.3, np.nan], [0.02, np.nan])]
    parts[0] = parts[0].assign(n_images=3, method="not testable: no image of the split test has a value")
    parts[1].loc[1, "method"] = "not testable: all 80 values of the split test are on"
    table = pooled_table(parts, [1, 1])
    assert table["method"].tolist()[0] == "decoder"
    assert table.loc[0, "estimate"] == pytest.approx(0.3) and table["n_images"].tolist() == [80, 83]
    assert table.loc[1, "method"].startswith("not testable: no image of the split test has a value; not")
    assert np.isnan(table.loc[1, "estimate"])


def test_tables_without_rows_have_none_pooled() -> None:
    nothing = fold([], []).iloc[:0].astype(object)
    assert list(pooled_table([nothing, nothing], [1, 1]).columns) == list(nothing.columns)
    assert not len(pooled_table([nothing, nothing], [1, 1]))
    table = pooled_table([nothing, fold([0.1], [0.5])], [1, 1])
    assert table["n_identities"].tolist() == [8]
    assert table["estimate"].dtype == np.float64


def test_marks_go_by_majority_of_people() -> None:
    parts = [fold([0.1], [0.5]).assign(cross_talk_too_much=mark) for mark in (1.0, 0.0, np.nan)]
    assert pooled_table(parts, [3, 2, 9])["cross_talk_too_much"].tolist() == [1.0]
    assert pooled_table(parts, [2, 3, 9])["cross_talk_too_much"].tolist() == [0.0]
    assert pooled_table(parts[2:], [1])["cross_talk_too_much"].isna().all()
