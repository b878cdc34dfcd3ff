"""The keys that brought faces add to metrics.json are documented, and none is there twice."""

from pathlib import Path
from types import ModuleType

from attribute_recovery.report.keys import metric_keys
from attribute_recovery.report.keys_domain import BROUGHT_HEADS, DATASET, PROTOCOL
from attribute_recovery.report.metrics import collect_metrics, undocumented
from attribute_recovery.report.results import Results


def test_all_that_brought_faces_report_is_documented(made: ModuleType, experiment: Path) -> None:
    made.write(experiment / "dataset/report.json", made.brought_report())
    rates = made.rates_metrics() | {"protocol": made.protocol_values()}
    made.write(experiment / "default/recognizer/metrics.json", rates)
    found = collect_metrics(Results(experiment), ["default"])
    assert found["recognizers"]["default"]["recognizer"]["protocol"]["accuracy"] == 0.98
    assert undocumented(found) == []


def test_each_key_is_there_once() -> None:
    keys = [entry.key for entry in metric_keys()]
    assert len(keys) == len(set(keys))
    assert {f"dataset.{key}" for key, _, _ in DATASET} <= set(keys)
    assert {f"recognizers.<recognizer>.recognizer.{key}" for key, _, _ in PROTOCOL} <= set(keys)


def test_each_is_a_key_of_its_stage_once() -> None:
    known = [(entry.key, entry.unit, entry.meaning) for entry in metric_keys()]
    for stage, entries in (("dataset", DATASET), ("attributes", BROUGHT_HEADS)):
        for key, unit, meaning in entries:
            assert known.count((f"{stage}.{key}", unit, meaning)) == 1, key
            assert unit and meaning
