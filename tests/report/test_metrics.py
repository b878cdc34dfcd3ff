"""metrics.json: the promised keys, every key documented, no NaN, and a docs page that has not drifted."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

from attribute_recovery.report import metrics
from attribute_recovery.report.goals import goals
from attribute_recovery.report.keys import metric_keys
from attribute_recovery.report.privacy import Privacy
from attribute_recovery.report.results import Results, lookup

ROOT = Path(__file__).parents[2]


def collected(folder: Path, *recognizers: str) -> dict[str, Any]:
    """The merged metrics of an experiment."""
    return metrics.collect_metrics(Results(folder), recognizers or ("default",))


def test_the_promised_keys_are_there(experiment: Path) -> None:
    found = collected(experiment)
    assert found["schema_version"] == 1
    assert set(found) == {"schema_version", "dataset", "generator", "attributes", "recognizers"}
    for goal in goals():
        assert lookup(found, goal.key.replace("<recognizer>", "default")) is not None, goal.key
    stages = found["recognizers"]["default"]
    assert set(stages) == {"recognizer", "decoder", "recovery", "significance", "counterfactuals"}
    assert stages["recognizer"]["tar_at_target_fmr_interval"] == [0.9502, 0.9721]
    assert stages["recognizer"]["threshold_on_calibration"]["n_identity_pairs"] == 7140


def test_the_generators_rate_comes_from_the_first_recognizer(made: ModuleType, tmp_path: Path) -> None:
    made.write_experiment(tmp_path, ("one", "two"))
    other = made.decoder_metrics() | {
        "reconstruction_tar_ratio": 0.5,
        "reconstruction_tar_ratio_interval": [0.4, 0.6],
    }
    made.write(tmp_path / "two/decoder/metrics.json", other)
    assert collected(tmp_path, "one", "two")["generator"]["reconstruction_tar_ratio"] == 0.986
    turned = collected(tmp_path, "two", "one")["generator"]
    assert turned["reconstruction_tar_ratio"] == 0.5
    assert turned["reconstruction_tar_ratio_interval"] == [0.4, 0.6]


def test_every_key_is_documented(made: ModuleType, experiment: Path, tmp_path: Path) -> None:
    assert metrics.undocumented(collected(experiment)) == []
    made.write_experiment(tmp_path / "two", ("one", "other"))
    both = collected(tmp_path / "two", "one", "other")
    assert set(both["significance"]) == {"fmr", "split", "other"}
    assert metrics.undocumented(both) == []


def test_examples_of_images_are_left_out_where_people_are_pseudonymous(
    made: ModuleType, experiment: Path
) -> None:
    made.write(experiment / "dataset/report.json", {"duplicates": {"images": 2, "examples": ["ann/1"]}})
    assert collected(experiment)["dataset"]["duplicates"]["examples"] == ["ann/1"]
    found = metrics.collect_metrics(Results(experiment, privacy=Privacy(key=b"k")), ["default"])
    assert found["dataset"] == {"duplicates": {"images": 2}}


def test_a_key_that_is_not_documented_is_found(made: ModuleType, experiment: Path) -> None:
    made.write(experiment / "default/decoder/metrics.json", made.decoder_metrics() | {"novel": {"yaw": 1.0}})
    assert metrics.undocumented(collected(experiment)) == ["recognizers.default.decoder.novel.yaw"]


def test_every_goal_is_about_a_documented_key() -> None:
    documented = {entry.key for entry in metric_keys()}
    names = {"yaw", "light_azimuth", "smile", "to_match", "to_non_match"}
    for goal in goals():
        *parents, last = goal.key.split(".")
        general = [".".join([*parents, place]) for place in ("<attribute>", "<direction>")]
        assert goal.key in documented or (last in names and documented & set(general)), goal.key


def test_nothing_computed_is_null_and_never_a_number(tmp_path: Path) -> None:
    found = collected(tmp_path)
    assert found["dataset"] == {} and found["recognizers"]["default"]["significance"] == {}
    for goal in goals():
        assert lookup(found, goal.key.replace("<recognizer>", "default")) is None
    assert found["generator"] == dict.fromkeys(found["generator"])
    json.dumps(found, allow_nan=False)


def test_no_nan_reaches_the_file(made: ModuleType, experiment: Path) -> None:
    values = made.decoder_metrics()
    values["crps_skill"]["yaw"] = float("nan")
    made.write(experiment / "default/decoder/metrics.json", values)
    found = collected(experiment)
    assert found["recognizers"]["default"]["decoder"]["crps_skill"]["yaw"] is None
    json.dumps(found, allow_nan=False)


def test_the_docs_page_has_not_drifted() -> None:
    page = (ROOT / metrics.PAGE).read_text(encoding="utf-8")
    assert page == metrics.metrics_page(), f"run {metrics.COMMAND} in the repository's root"
