"""Rates by group of folds: what is said beside the pooled figures."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.folds.group_rates import told_anew
from attribute_recovery.folds.long_table import pooled_table
from attribute_recovery.significance.group_table import group_table

SCHEMA = AttributeSchema((Attribute("beard", "label", "binary", "mixed", "class", categories=("off", "on")),))
REFUSED = "after weighting a group is worth {} people, and 10 are needed"


def fold(p: float, detectable: float, unlike: str, note: str) -> pd.DataFrame:
    """An observed difference, the matched one, and that by intervention."""
    row: dict[str, Any] = {
        "attribute": "beard",
        "direction": "on_less_off",
        "estimate": 0.1,
        "low": 0.0,
        "high": 0.2,
        "p": p,
        "n_identities": 8,
        "n_images": 80,
        "method": "made up",
    }
    rows = [
        row | {"measure": "fnmr_difference", "detectable": detectable, "unlike": unlike},
        row | {"measure": "fnmr_difference_matched", "note": note, "effective_identities": 4.5, "p": np.nan},
        row | {"measure": "fnmr_difference_interventional", "p": 0.9},
    ]
    return group_table("r", SCHEMA, rows)


@pytest.fixture
def told() -> pd.DataFrame:
    folds = [
        fold(0.001, 0.3, "yaw +0.50, skin tone -0.20", REFUSED.format(4.2)),
        fold(0.002, 0.4, "yaw +0.30", REFUSED.format(3.9)),
        fold(0.9, np.nan, "hair -0.90", ""),
    ]
    assert folds[2].loc[0, "verdict"] == "neither"
    return told_anew(pooled_table(folds, [8, 8, 4]), folds, [8, 8, 4]).set_index("measure")


def test_verdicts_are_those_of_the_pooled_differences(told: pd.DataFrame) -> None:
    assert told.loc["fnmr_difference", "q"] < 0.05
    assert told["verdict"].tolist() == ["observed only", "", ""]


def test_groups_are_unlike_in_what_most_people_say(told: pd.DataFrame) -> None:
    assert told.loc["fnmr_difference", "unlike"] == "yaw +0.40"
    assert told.loc["fnmr_difference_matched", "unlike"] == ""


def test_the_commonest_note_is_told_once(told: pd.DataFrame) -> None:
    note = f"{REFUSED.format(4.2)} (or alike, in 2 of 3 folds)"
    assert told.loc["fnmr_difference_matched", "note"] == note
    folds = [fold(0.5, 0.1, "", "nobody")] * 2
    same = told_anew(pooled_table(folds, [1, 1]), folds, [1, 1])
    assert same["note"].tolist() == ["", "nobody", ""]


def test_what_could_be_found_shrinks_as_a_standard_error_does(told: pd.DataFrame) -> None:
    assert told.loc["fnmr_difference", "detectable"] == pytest.approx(math.hypot(0.3, 0.4) / 2)
    assert np.isnan(told.loc["fnmr_difference_matched", "detectable"])
    assert told.loc["fnmr_difference_matched", "effective_identities"] == pytest.approx(13.5)
