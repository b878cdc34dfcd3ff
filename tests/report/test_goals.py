"""Verdicts: reached and not reached, and not comparable where the goal speaks of something else."""

import copy
from types import ModuleType
from typing import Any

import pytest

from attribute_recovery.report.goals import Judged, goals, judge


def metrics_of(made: ModuleType) -> dict[str, Any]:
    """Merged metrics as `collect_metrics` makes them, from the made-up stages."""
    stages = {
        "recognizer": made.rates_metrics(),
        "decoder": made.decoder_metrics(),
        "recovery": made.recovery_metrics(),
        "counterfactuals": made.counterfactual_metrics(),
    }
    stands_on = made.STANDS_ON
    return {
        "generator": {
            "reconstruction_tar_ratio": 0.97,
            "band_power_ratio": [1.0, 0.7],
            "sharpness_ratio": 0.9,
        }
        | stands_on,
        "attributes": {"median_r2": 0.95, "median_balanced_accuracy": 0.97} | stands_on,
        "recognizers": {"default": stages},
    }


def judged(metrics: dict[str, Any], key: str) -> Judged:
    """The verdict on one figure."""
    return next(each for each in judge(metrics, ["default"]) if each.key.endswith(key))


def test_the_goals_are_those_of_the_issue() -> None:
    found = {goal.key.rsplit("<recognizer>.", 1)[-1]: (goal.low, goal.high) for goal in goals()}
    assert found == {
        "recognizer.tar_at_target_fmr": (0.95, None),
        "attributes.median_r2": (0.90, None),
        "attributes.median_balanced_accuracy": (0.95, None),
        "generator.reconstruction_tar_ratio": (0.95, None),
        "generator.band_power_ratio": (0.67, 1.5),
        "generator.sharpness_ratio": (0.8, 1.25),
        "decoder.type_1_tar": (0.90, None),
        "decoder.type_2_tar_ratio": (0.85, None),
        **{f"decoder.coverage_90.{name}": (0.85, 0.95) for name in ("yaw", "light_azimuth", "smile")},
        **{f"decoder.crps_skill.{name}": (0.0, None) for name in ("yaw", "light_azimuth", "smile")},
        "counterfactuals.representation_flip_rate.to_match": (0.90, None),
        "counterfactuals.representation_flip_rate.to_non_match": (0.90, None),
        "counterfactuals.attribute_flip_rate": (0.85, None),
    }


def test_reached_and_not_reached(made: ModuleType) -> None:
    metrics = metrics_of(made)
    assert judged(metrics, "tar_at_target_fmr").verdict == "reached"
    missed = judged(metrics, "attribute_flip_rate")
    assert missed.verdict == "not reached"
    assert "The interval includes values that reach the goal." in missed.because
    assert missed.interval == [0.75, 0.9] and missed.pairs == 100


@pytest.mark.parametrize(
    ("stage", "change", "why"),
    [
        ("recognizer", {"n_identities": 40}, "100 people, there were 40"),
        ("recognizer", {"split": "calibration"}, "this is calibration"),
        ("recognizer", {"used_fmr": 0.004}, "this is at 1 in 250"),
        ("recognizer", {"n_identities": None}, "is not said"),
    ],
)
def test_a_figure_about_something_else_is_not_comparable(
    made: ModuleType, stage: str, change: dict[str, Any], why: str
) -> None:
    metrics = metrics_of(made)
    metrics["recognizers"]["default"][stage] |= change
    found = judged(metrics, "tar_at_target_fmr")
    assert found.verdict == "not comparable"
    assert why in found.because


def test_one_band_outside_is_enough(made: ModuleType) -> None:
    metrics = metrics_of(made)
    metrics["generator"]["band_power_ratio"] = [1.0, 1.2, 0.41]
    found = judged(metrics, "band_power_ratio")
    assert found.verdict == "not reached"
    assert "Band 3 of 3 is at 0.410." in found.because


def test_skill_is_held_against_the_probe(made: ModuleType) -> None:
    metrics = metrics_of(made)
    stages = metrics["recognizers"]["default"]
    skill = stages["decoder"]["crps_skill"]["yaw"]
    for factor, verdict in ((1.0, "reached"), (1.12, "not reached")):
        stages["recovery"]["probe"]["crps_skill"]["yaw"] = factor * skill
        assert judged(metrics, "crps_skill.yaw").verdict == verdict
    del stages["recovery"]["probe"]
    assert judged(metrics, "crps_skill.yaw").verdict == "not comparable"
    stages["decoder"]["crps_skill"]["yaw"] = -0.01
    assert judged(metrics, "crps_skill.yaw").verdict == "not reached"


def test_nothing_is_invented_where_nothing_is_there() -> None:
    empty = {"generator": {}, "attributes": {}, "recognizers": {"default": {}}}
    found = judge(copy.deepcopy(empty), ["default"])
    assert {each.verdict for each in found} == {"not computed"}
    assert all(each.value is None and each.interval is None for each in found)


def test_each_recognizer_is_judged(made: ModuleType) -> None:
    metrics = metrics_of(made)
    metrics["recognizers"]["other"] = copy.deepcopy(metrics["recognizers"]["default"])
    metrics["recognizers"]["other"]["recognizer"]["tar_at_target_fmr"] = 0.5
    found = [each for each in judge(metrics, ["default", "other"]) if each.key.endswith("tar_at_target_fmr")]
    assert [(each.recognizer, each.verdict) for each in found] == [
        ("default", "reached"),
        ("other", "not reached"),
    ]
