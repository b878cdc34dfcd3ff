"""Counterfactuals on the page: rates of each direction, pictures of what flipped, tables of attempts."""

from pathlib import Path
from types import ModuleType

import pandas as pd

from attribute_recovery.report import weight
from attribute_recovery.report.blocks import Absent, Picture, Table, Text
from attribute_recovery.report.results import Results


def test_each_rate_is_told_with_its_pairs(made: ModuleType) -> None:
    to_match, to_non_match, attributes = weight.flip_sentences(made.counterfactual_metrics())
    assert "200 rightly rejected pairs, 95.5 % (95 % interval 92.0 to 98.0)" in to_match
    assert "200 rightly accepted pairs, 91.0 %" in to_non_match
    assert "100 attempted pairs, none dropped, 83 % (95 % interval 75 to 90)" in attributes
    assert attributes.endswith("2.4 attributes on average.")


def test_pictures_say_that_they_show_what_flipped(made: ModuleType, experiment: Path) -> None:
    made.picture(experiment / "default/counterfactuals/pictures/novel-kind.png", 5)
    stages = {"counterfactuals": made.counterfactual_metrics()}
    blocks = weight.changed_blocks(Results(experiment), stages, "default", 4)
    captions = [block.caption for block in blocks if isinstance(block, Picture)]
    assert len(captions) == 3 and "novel, kind." in captions
    assert any(isinstance(block, Text) and "pairs whose decision flipped" in block.text for block in blocks)


def test_no_pair_at_all_is_said(experiment: Path) -> None:
    folder = experiment / "default/counterfactuals"
    pd.DataFrame(columns=["image_id", "kind", "score", "flipped"]).to_parquet(folder / "attribute.parquet")
    blocks = weight.changed_blocks(Results(experiment), {"counterfactuals": {}}, "default", 4)
    assert Text("No pair could be drawn for the attribute counterfactuals.") in blocks
    assert sum(isinstance(block, Table) for block in blocks) == 1


def test_a_table_without_its_columns_is_named(experiment: Path) -> None:
    path = experiment / "default/significance/significance.parquet"
    pd.DataFrame({"attribute": ["yaw"]}).to_parquet(path)
    blocks = weight.weighed_blocks(Results(experiment), {"significance": {}}, "default")
    missing = [block.text for block in blocks if isinstance(block, Absent)]
    assert missing == [
        "Not computed: the table of the three measures (default/significance/significance.parquet lacks "
        "columns)."
    ]
