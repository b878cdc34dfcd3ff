"""Keys of the stage significance, held against what it writes."""

import pandas as pd

from attribute_recovery.report.keys_significance import GROUP_KEYS, SIGNIFICANCE_KEYS
from attribute_recovery.significance.dose_response import dose_metrics, dose_table
from attribute_recovery.significance.group_table import group_metrics

COLUMNS = ["attribute", "measure", "direction", "estimate", "low", "high", "q", "verdict"]


def test_all_that_is_written_is_explained_and_nothing_else() -> None:
    written = group_metrics(pd.DataFrame(columns=COLUMNS)) | dose_metrics(dose_table("toy", []))
    names = {key.split(".")[0] for key, _, _ in GROUP_KEYS}
    assert names == {name for name in written if not name.endswith("_interval")}


def test_no_key_is_there_twice() -> None:
    names = [key for key, _, _ in SIGNIFICANCE_KEYS]
    assert set(GROUP_KEYS) <= set(SIGNIFICANCE_KEYS)
    assert len(set(names)) == len(names)
