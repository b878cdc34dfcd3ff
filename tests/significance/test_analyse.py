"""The stage's entry, from files to files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.config import Compute
from attribute_recovery.config_significance import SignificanceSection
from attribute_recovery.dataset.store import write_table
from attribute_recovery.significance.analyse import analyse

SETTINGS = SignificanceSection(
    permutations=19, placebos=19, bootstrap=19, images=8, dose_images=4, cross_talk=0.5
)
COMPUTE = Compute(threads=1, device="cpu", precision="float32")


def _outputs(folder: Path) -> dict[str, Path]:
    names = {
        "significance": "significance.parquet",
        "contributions": "contributions.parquet",
        "metrics": "metrics.json",
        "figure": "significance.png",
        "edits": "edits.png",
        "group_rates": "groups.parquet",
        "group_curves": "group_curves.parquet",
        "group_figure": "groups.png",
        "doses": "dose_response.parquet",
        "dose_figure": "dose_response.png",
    }
    return {name: folder / file for name, file in names.items()}


@pytest.fixture(scope="module")
def run(stage_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    outputs = _outputs(tmp_path_factory.mktemp("out"))
    return analyse(SETTINGS, 1, COMPUTE, recognizer="toy", **stage_files, **outputs), outputs


def test_every_attribute_has_all_three_measures(run: Any, schema: Any) -> None:
    table = pd.read_parquet(run[1]["significance"])
    overall = table[table["direction"] == ""]
    assert len(overall) == 3 * len(schema)
    assert set(table["recognizer"]) == {"toy"}
    assert overall["estimate"].notna().all()
    # What is recovered here lies near the truth.
    assert (overall.loc[overall["measure"] == "retained_information", "p"] <= 0.1).all()


def test_metrics_are_what_is_written(run: Any) -> None:
    metrics, outputs = run
    assert json.loads(outputs["metrics"].read_text()) == metrics
    assert metrics["edited_images"] == 8
    assert metrics["placebo_images"] == 4  # people among the eight images
    assert (metrics["n_identities"], metrics["n_images"], metrics["split"]) == (9, 36, "test")
    assert set(metrics["flips"]["glasses"]) == {
        "genuine_lost",
        "genuine_gained",
        "impostor_gained",
        "impostor_lost",
    }
    for name in ("figure", "edits", "group_figure", "dose_figure"):
        assert outputs[name].stat().st_size > 0


def test_contributions_are_of_the_same_figures(run: Any) -> None:
    table = pd.read_parquet(run[1]["significance"])
    parts = pd.read_parquet(run[1]["contributions"])
    keys = ["measure", "attribute", "direction"]
    assert set(map(tuple, table[keys].to_numpy())) <= set(map(tuple, parts[keys].to_numpy()))
    means = parts[parts["part"] == ""].groupby(keys)[["total", "n"]].sum()
    for _, row in table[table["measure"] != "identity_share"].iterrows():
        total, n = means.loc[tuple(row[keys])]
        assert total / n == pytest.approx(row["estimate"])
        assert n == row["n_images"]


def test_equal_inputs_give_equal_files(run: Any, stage_files: dict[str, Path], tmp_path: Path) -> None:
    outputs = _outputs(tmp_path)
    analyse(SETTINGS, 1, COMPUTE, recognizer="toy", **stage_files, **outputs)
    for name, path in outputs.items():
        assert path.read_bytes() == run[1][name].read_bytes()


def test_recovered_images_must_be_of_this_run(stage_files: dict[str, Path], tmp_path: Path) -> None:
    recovered = pd.read_parquet(stage_files["recovered"])
    recovered.loc[3, "image_id"] = "nobody/000"
    write_table(recovered, tmp_path / "recovered.parquet")
    paths = stage_files | {"recovered": tmp_path / "recovered.parquet"}
    with pytest.raises(ValueError, match="nobody/000"):
        analyse(SETTINGS, 1, COMPUTE, recognizer="toy", **paths, **_outputs(tmp_path))
    assert not np.any([path.exists() for path in _outputs(tmp_path).values()])


def test_rates_by_group_and_responses_are_of_all_attributes(run: Any, schema: Any) -> None:
    metrics, outputs = run
    groups = pd.read_parquet(outputs["group_rates"])
    assert set(groups["attribute"]) == set(schema.names)
    assert set(groups["recognizer"]) == {"toy"}
    row = groups[(groups["measure"] == "fmr_difference") & (groups["attribute"] == "glasses")].iloc[0]
    assert metrics["fmr_difference"]["glasses"][row["direction"]] == pytest.approx(row["estimate"])
    assert set(pd.read_parquet(outputs["group_curves"])["attribute"]) <= set(schema.names)
    doses = pd.read_parquet(outputs["doses"])
    assert set(doses["attribute"]) == {"length", "yaw"} == set(metrics["dose_ratio"])
    assert (doses["n_images"] <= 4).all()
