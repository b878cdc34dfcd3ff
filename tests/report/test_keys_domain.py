"""The keys about images and brought heads are among those of the docs, each once."""

from attribute_recovery.report.keys import metric_keys
from attribute_recovery.report.keys_domain import BROUGHT_HEADS, DATASET


def test_each_is_a_key_of_its_stage_once() -> None:
    known = [(entry.key, entry.unit, entry.meaning) for entry in metric_keys()]
    for stage, entries in (("dataset", DATASET), ("attributes", BROUGHT_HEADS)):
        for key, unit, meaning in entries:
            assert known.count((f"{stage}.{key}", unit, meaning)) == 1, key
            assert unit and meaning
