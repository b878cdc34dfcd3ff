"""What the row "whose error is it" makes of its chunks, and of claims."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from benchmarks.validation.finished_run import FinishedRun
from benchmarks.validation.in_place.rerendered_claims import changed_as_claimed, changed_on_average, reach
from benchmarks.validation.in_place.whose_error import _digest_of_counterfactuals, conclude
from benchmarks.validation.in_place.whose_error_figures import difference, rank_correlation, same_leader, told
from benchmarks.validation.page import MEASURED, page, verdict
from benchmarks.validation.rows import row_named

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema

SCHEMA = AttributeSchema(
    (
        Attribute("yaw", "pose", "continuous", "image", "degrees", (-40.0, 40.0)),
        Attribute("glasses", "appearance", "binary", "image", "class", categories=("off", "on")),
        Attribute("hair", "appearance", "categorical", "mixed", "class", categories=("a", "b", "c")),
    )
)
HEAD = np.array([[10.0, 0.0, 1.0, 0.0, 0.0]], np.float32)


@pytest.mark.parametrize(("by", "yaw"), [(False, -15.0), (True, -8.0)])
def test_claims_change_the_true_head(by: bool, yaw: float) -> None:
    changes = [
        {"attribute": "yaw", "from": 3.0, "to": -15.0},
        {"attribute": "glasses", "from": "off", "to": "on"},
        {"attribute": "hair", "from": "b", "to": "c"},
    ]
    assert changed_as_claimed(SCHEMA, HEAD, [changes], by=by).tolist() == [[yaw, 1, 0, 0, 1]]
    assert HEAD[0, 0] == 10  # as it was


def test_claims_stay_within_the_range() -> None:
    changes = [{"attribute": "yaw", "from": -30.0, "to": 20.0}]
    assert changed_as_claimed(SCHEMA, HEAD, [changes], by=True)[0, 0] == 40


def test_mean_changes_change_classes_where_they_are_large_enough() -> None:
    names = ["yaw", "glasses", "hair.a", "hair.b", "hair.c"]
    rows = [[-4.0, 0.6, -0.7, 0.1, 0.6], [60.0, 0.3, -0.2, 0.2, 0.0]]
    table = pd.DataFrame(rows, columns=[f"change.{name}" for name in names])
    found = changed_on_average(SCHEMA, np.repeat(HEAD, 2, axis=0), table)
    assert found.tolist() == [[6, 1, 0, 0, 1], [40, 0, 1, 0, 0]]


def test_how_far_claims_go() -> None:
    start, end = np.array([0.8, 0.2, 0.0]), np.array([0.5, 0.35, 9.0])
    assert reach(start, end, 0.5, np.array([True, True, False])) == pytest.approx(0.75)
    assert np.isnan(reach(start, end, 0.5, np.zeros(3, bool)))


def test_figures_are_written_by_their_form() -> None:
    assert [told(0.954, form) for form in ("rate", "points", "count", "")] == ["95.4 %", "95.4", "1", "0.954"]
    assert difference(0.9, 0.954, "rate") == "+5.4 points" and difference(3, 1, "count") == "-2"
    assert told(None, "") == told(float("nan"), "rate") == difference(None, 1.0, "") == "–"


def test_agreement_of_values() -> None:
    assert same_leader([0.1, -0.5], [0.0, 0.2]) and not same_leader([0.1, -0.5], [0.3, 0.2])
    assert not same_leader([float("nan"), 1.0], [0.0, 1.0])
    assert rank_correlation([(1, 2), (2, 3), (3, 9)]) == 1
    assert np.isnan(rank_correlation([(1, 2)])) and np.isnan(rank_correlation([(1, 2), (1, 3)]))


def recovery(lost: float) -> dict[str, Any]:
    names = {"yaw": False, "jaw": False, "glasses": True, "beard": True}
    return {
        "coverage": {name: {"50": 0.5 - lost, "90": 0.9 - lost} for name in ("yaw", "jaw")},
        "slope": {name: [1 - lost, 0.8, 1.2] for name in ("glasses", "beard")},
        "ece": {"glasses": 0.01 + lost, "beard": 0.02},
        "score": {name: {"ratio": 1 + lost, "kept": True, "better_than_marginal": True} for name in names},
        "loss": {
            name: {"discrete": discrete, "probe": i + 1.0, "decoder": i + 1.0 - lost, "allowed": 0.05}
            for i, (name, discrete) in enumerate(names.items())
        },
    }


def chunks() -> dict[str, Any]:
    """Findings of a generator that costs 5 points of coverage, 0.2 nats, and some flips."""
    rates = {"type_1_tar": 0.9, "type_2_tar_ratio": 0.8, "sample_cosine": 0.7}
    better = {name: value + 0.1 for name, value in rates.items()}
    bounds = {
        "reconstruction_cosine": 0.9,
        "reconstruction_type_1_tar": 1.0,
        "reconstruction_tar_ratio": 0.95,
    }
    spread = {"coverage_90": {"yaw": 0.85, "jaw": None}, "crps_skill": {"yaw": 0.5, "jaw": 0.3}}
    pair = {
        "kind": "false_match",
        "product": [0.1, 0.2, 0.3],
        "rendered": [0.1, 0.3, 0.2],
        "again": [0.1, 0.3, 0.2],
        "gap": 0.6,
        "own_gap": 0.5,
    }
    found: dict[str, Any] = {
        "train": {"code_size": 5},
        "attacks": {"images": 2080, "product": rates, "in_place": better, "reconstruction": bounds},
        "samples": {
            "people": 160,
            "samples": 20,
            "spread": {"product": spread, "in_place": spread},
            "recovery": {"product": recovery(0.2), "in_place": recovery(0.0)},
        },
        "errors-0": {"pairs": [pair]},
        "errors-1": {"pairs": [pair | {"kind": "false_non_match", "product": [0.1, 0.3, 0.2]}]},
        "search-0": {
            "own": [True, False],
            "flipped": [True, True],
            "own_changed": [4, 9],
            "changed": [2, 3],
        },
        "claims": {
            "claims": {
                "attribute": {
                    "pairs": 2,
                    "claimed": 1,
                    "product": [0.5, [0, 1]],
                    "to": [0.5, [0, 1]],
                    "by": [0.0, [0, 1]],
                    "reach": {"product": 1.1, "to": 0.8, "by": None},
                },
                "representation to_match": {
                    "pairs": 2,
                    "claimed": 2,
                    "product": [1.0, [0, 1]],
                    "by": [0.5, [0, 1]],
                    "reach": {"product": 1.5, "by": 1.0},
                },
            }
        },
        "moved": {
            "moved": {
                "to_match": {"pairs": 2, "product": [0.5, [0, 1]], "in_place": [1.0, [0, 1]], "steered": 1.0}
            }
        },
    }
    return {name: {"part": name.partition("-")[0], "run": "abc"} | one for name, one in found.items()}


def test_the_generators_share_is_the_difference() -> None:
    result = conclude(chunks())
    assert result["goals"] == []
    figures, by_attribute = result["tables"]
    assert all(len(row) == len(figures["columns"]) for row in figures["rows"])
    rows = {row[1]: row[2:] for row in figures["rows"]}
    assert rows["type I, first sample accepted as its own image"] == ["90.0 %", "100.0 %", "+10.0 points"]
    assert rows["calibrated 90 % intervals within 3 points, of 2 attributes"] == ["0", "2", "+2"]
    assert rows["information lost as allowed, of 4 attributes"] == ["0", "4", "+4"]
    assert rows["nats lost, summed over attributes"] == ["0.800", "0.000", "-0.800"]
    assert rows["uncalibrated 90 % intervals: median coverage"][0] == "85.0 %"
    assert rows["Shapley values: the same attribute carries most, 2 explained pairs"][:2] == [
        "50.0 %",
        "100.0 %",
    ]
    assert rows["attributes changed, mean over 1 pairs that both ways flip"] == ["4.000", "2.000", "-2.000"]
    claimed = [rows[name] for name in rows if name.startswith("claims that flip")]
    assert [row[:2] for row in claimed] == [["50.0 %", "50.0 %"], ["50.0 %", "0.0 %"], ["100.0 %", "50.0 %"]]
    went = [rows[name] for name in rows if name.startswith("how far")]
    assert went == [["1.100", "0.800", "-0.300"], ["1.100", "–", "–"], ["1.500", "1.000", "-0.500"]]
    assert by_attribute["rows"][0][0] in {"yaw", "jaw", "glasses", "beard"}
    assert all(len(row) == len(by_attribute["columns"]) for row in by_attribute["rows"])


def test_errors_that_nobody_made_are_not_told_of() -> None:
    found = {name: one for name, one in chunks().items() if not name.startswith(("errors", "search"))}
    figures = conclude(found)["tables"][0]["rows"]
    assert not any("Shapley" in row[1] for row in figures)


def test_a_row_without_goals_is_measured() -> None:
    row = row_named("whose-error")
    result = conclude(chunks()) | {
        "row": row.name,
        "quick": False,
        "seed": 1,
        "commit": "abc",
        "core_minutes": 3.0,
        "machine": {"cores": 2, "architecture": "x86_64", "python": "3.11", "numpy": "2"},
    }
    assert verdict(row, {row.name: result}) == MEASURED
    text = page({row.name: result})
    assert f"| {row.goal} | {MEASURED} |" in text
    assert "| goal | measured | result |" not in text


def test_a_run_without_counterfactuals_is_told(tmp_path: Path) -> None:
    run = FinishedRun(tmp_path, cast(Any, None), cast(Any, None), "default", "")
    with pytest.raises(ValueError, match=r"manifest-counterfactuals\.json: is missing; .* run `make run`"):
        _digest_of_counterfactuals(run)
