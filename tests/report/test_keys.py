"""The table of keys: each once, each with unit, meaning and place."""

from attribute_recovery.report.keys import STAGES, metric_keys


def test_keys_are_listed_once_and_have_a_place() -> None:
    keys = [entry.key for entry in metric_keys()]
    assert len(set(keys)) == len(keys)
    assert {entry.stage for entry in metric_keys()} == set(STAGES)
    assert all(entry.unit and entry.meaning for entry in metric_keys())
