"""All attributes together: what is observed beside what an edit does."""

from typing import Any

import numpy as np
import pytest

from attribute_recovery.dataset.attributes import KnownValues
from attribute_recovery.significance.by_group import account_by_group
from attribute_recovery.significance.effect import carry_out, plan_edits


@pytest.fixture(scope="module")
def account(schema: Any, make_pipeline: Any) -> Any:
    """f sees glasses alone, and who somebody is; in the images observed yaw goes with glasses."""
    pipeline, known = make_pipeline({"glasses": 1.0, "rest": 1.0}, people=60, images=6)
    edited: dict[str, Any] = {}
    for edit in plan_edits(schema, known.current, {"hair": np.ones(3) / 3}):
        edited.setdefault(edit.attribute, []).append(carry_out(pipeline, known, edit))
    values = schema.decode(known.current)
    noise = np.random.default_rng(0).standard_normal(360).astype(np.float32)
    values["yaw"] = (1.5 * values["glasses"] + noise).astype(np.float32)
    every = KnownValues(values, {name: np.ones(360, np.bool_) for name in schema.names})
    del edited["length"]
    return account_by_group(
        "toy",
        schema,
        every,
        (known.real, known.identities),
        (known, edited),
        0.93,
        n_boot=199,
        permutations=199,
        seed=0,
    )


def test_the_attribute_that_f_sees_is_found_by_both(account: Any) -> None:
    table = account.table
    rows = table[(table["attribute"] == "glasses") & (table["measure"] == "fnmr_difference")]
    found = rows.set_index("direction").loc["different_less_equal"]
    assert found["verdict"] == "both"
    assert found["estimate"] > 0.1


def test_what_only_goes_with_it_is_observed_and_not_caused(account: Any) -> None:
    table = account.table
    of_yaw = table[(table["attribute"] == "yaw") & (table["direction"] == "different_less_equal")]
    rows = of_yaw.set_index("measure")
    assert rows.loc["fnmr_difference", "verdict"] == "observed only"
    assert "glasses" in rows.loc["fnmr_difference", "unlike"]
    assert rows.loc["fnmr_difference_interventional", "estimate"] == 0
    matched = rows.loc["fnmr_difference_matched"]
    assert abs(matched["estimate"]) < 0.5 * rows.loc["fnmr_difference", "estimate"]
    assert "yaw.different_less_equal" in account.metrics["groups_disagree"]["fnmr"]


def test_what_is_not_edited_is_said(account: Any) -> None:
    table = account.table
    assert set(table.loc[table["attribute"] == "length", "verdict"]) == {"", "not edited"}
    assert set(account.curves["attribute"]) == {"length", "yaw", "glasses", "hair"}
