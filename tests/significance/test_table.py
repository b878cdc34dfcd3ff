"""The long table."""

from typing import Any

import numpy as np
import pytest

from attribute_recovery.significance.decision import decision_effects
from attribute_recovery.significance.identity import identity_shares
from attribute_recovery.significance.permuted import draw_permutations
from attribute_recovery.significance.retained import retained_information
from attribute_recovery.significance.table import (
    COLUMNS,
    KEYS,
    as_metrics,
    effect_row,
    in_order,
    not_testable_row,
    retained_row,
    share_row,
    significance_table,
)
from attribute_recovery.statistics.discovery import benjamini_hochberg

CODES = np.repeat(np.arange(40), 5)


@pytest.fixture(scope="module")
def rows(schema: Any, make_recovered: Any, make_pipeline: Any) -> list[dict[str, Any]]:
    found = [make_recovered(name, CODES, hit=0.6) for name in schema.names]
    permutations = draw_permutations(CODES, 19, 0)
    result = [retained_row(one, retained_information(one, permutations, n_boot=19, seed=0)) for one in found]
    shares = identity_shares(found, permutations, [0.0] * 4, n_boot=19, seed=0)
    result += [share_row(one, share) for one, share in zip(found, shares, strict=True)]
    pipeline, known = make_pipeline({"glasses": 1.0})
    unit = np.eye(8, dtype=np.float32)
    directions: Any = {"identity": unit, "image": unit}
    decision = decision_effects(
        pipeline, schema, known, {"hair": np.ones(3) / 3}, np.ones(6), directions, 0.9, n_boot=19, seed=0
    )
    return result + [effect_row(schema[effect.attribute], effect, 0.5) for effect in decision.effects]


def test_keys_are_unique_and_columns_complete(schema: Any, rows: Any) -> None:
    table = significance_table("toy", schema, rows)
    assert not table.duplicated(list(KEYS)).any()
    assert tuple(table.columns[: len(COLUMNS)]) == COLUMNS
    assert set(table["recognizer"]) == {"toy"}
    assert set(table["split"]) == {"test"}
    assert (table.loc[table["measure"] == "decision_effect", "n_images"] <= 80).all()
    assert table.loc[table["attribute"] == "yaw", "level"].unique().tolist() == ["image"]
    retained = table[table["measure"] == "retained_information"]
    assert (retained["estimate"] == retained["nats"]).all()
    assert retained["icc_true"].isna().all()


def test_q_is_taken_within_each_measure(schema: Any, rows: Any) -> None:
    table = significance_table("toy", schema, rows)
    for measure in ("retained_information", "identity_share", "decision_effect"):
        overall = table[(table["measure"] == measure) & (table["direction"] == "")]
        assert len(overall) == 4
        assert overall["q"].to_numpy() == pytest.approx(benjamini_hochberg(overall["p"]))


def test_a_row_that_is_there_twice_is_refused(schema: Any, rows: Any) -> None:
    with pytest.raises(ValueError, match="twice"):
        significance_table("toy", schema, [*rows, rows[0]])


def test_metrics_are_the_rows_without_direction(schema: Any, rows: Any) -> None:
    table = significance_table("toy", schema, rows)
    values = as_metrics(table)
    glasses = table[(table["attribute"] == "glasses") & (table["direction"] == "")].set_index("measure")
    assert values["decision_effect"]["glasses"] == glasses.loc["decision_effect", "estimate"]
    assert values["identity_share_interval"]["glasses"] == pytest.approx(
        glasses.loc["identity_share", ["low", "high"]].tolist(), nan_ok=True
    )
    assert set(values["significant"]["retained_information"]) <= set(schema.names)


def test_what_cannot_be_tested_has_a_row_that_says_why(schema: Any, rows: Any) -> None:
    kept = [row for row in rows if (row["attribute"], row["measure"]) != ("yaw", "identity_share")]
    row = not_testable_row("yaw", "identity_share", 3, 2, "no image of the split test has a value")
    table = significance_table("toy", schema, in_order(schema, [*kept, row]))
    assert table["attribute"].tolist() == [each["attribute"] for each in rows]
    found = table[(table["attribute"] == "yaw") & (table["measure"] == "identity_share")].iloc[0]
    assert np.isnan([found[name] for name in ("estimate", "low", "high", "p", "q")]).all()
    assert found["method"] == "not testable: no image of the split test has a value"
    assert (found["n_images"], found["n_identities"], found["level"]) == (3, 2, "image")
    share = table[table["measure"] == "identity_share"]
    assert share["q"].to_numpy() == pytest.approx(benjamini_hochberg(share["p"]), nan_ok=True)
