"""The long table of rates by group, and what two differences say together."""

from typing import Any

import numpy as np
import pytest

from attribute_recovery.significance.group_table import group_metrics, group_table, verdict
from attribute_recovery.significance.table import COLUMNS
from attribute_recovery.statistics.discovery import benjamini_hochberg


def _row(
    name: str, measure: str, p: float, estimate: float = 0.1, direction: str = "a_less_b"
) -> dict[str, Any]:
    keys = {"attribute": name, "measure": measure, "direction": direction, "method": "made up"}
    return keys | {"estimate": estimate, "low": estimate - 1, "high": estimate + 1, "p": p}


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return [
        _row("yaw", "fnmr", np.nan),
        _row("yaw", "fnmr_difference", 0.001),
        _row("glasses", "fnmr_difference", 0.04),
        _row("hair", "fnmr_difference", np.nan),
        _row("length", "fnmr_difference", 0.5),
        _row("yaw", "fnmr_difference_interventional", 0.5),
        _row("glasses", "fnmr_difference_interventional", 0.01),
        _row("hair", "fnmr_difference_interventional", 0.02),
    ]


def test_q_is_taken_within_each_measure(schema: Any, rows: Any) -> None:
    table = group_table("toy", schema, rows)
    assert tuple(table.columns[: len(COLUMNS)]) == COLUMNS
    for measure in ("fnmr_difference", "fnmr_difference_interventional"):
        found = table[table["measure"] == measure]
        assert found["q"].to_numpy() == pytest.approx(benjamini_hochberg(found["p"]), nan_ok=True)
    assert table.loc[table["attribute"] == "hair", "level"].tolist() == ["mixed", "mixed"]


def test_verdicts_stand_in_the_rows_of_what_is_observed(schema: Any, rows: Any) -> None:
    table = group_table("toy", schema, rows)
    observed = table[table["measure"] == "fnmr_difference"].set_index("attribute")["verdict"]
    assert observed.to_dict() == {
        "yaw": "observed only",
        "glasses": "interventional only",  # q of the observed one is 0.06
        "hair": "not testable",
        "length": "not edited",
    }
    assert (table.loc[table["measure"] != "fnmr_difference", "verdict"] == "").all()


def test_both_may_agree_or_point_opposite_ways() -> None:
    observed, given = {"q": 0.01, "estimate": 0.1}, {"q": 0.01, "estimate": 0.2}
    assert verdict(observed, given) == "both"
    assert verdict(observed, given | {"estimate": -0.2}) == "opposite"
    assert verdict(observed | {"q": 0.5}, given | {"q": 0.9}) == "neither"


def test_metrics_are_nested_by_contrast(schema: Any, rows: Any) -> None:
    values = group_metrics(group_table("toy", schema, rows))
    assert values["fnmr_difference"]["yaw"]["a_less_b"] == 0.1
    assert values["fnmr_difference_interval"]["yaw"]["a_less_b"] == [-0.9, 1.1]
    assert values["fnmr_difference_interventional_q"]["glasses"]["a_less_b"] == pytest.approx(0.03)
    assert values["groups_significant"] == {"fmr": [], "fnmr": ["yaw.a_less_b"]}
    assert values["groups_disagree"]["fnmr"] == ["yaw.a_less_b", "glasses.a_less_b"]
    assert values["fmr_difference"] == {}


def test_a_row_twice_is_refused(schema: Any, rows: Any) -> None:
    with pytest.raises(ValueError, match="there twice"):
        group_table("toy", schema, [*rows, rows[0]])
