"""The stage's entry, from files to files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.config import Compute, RecoverySection
from attribute_recovery.dataset.store import read_table, write_table
from attribute_recovery.recovery.recover import recover_attributes

SETTINGS = RecoverySection(probe_hidden=8, probe_steps=20)
COMPUTE = Compute(threads=1, device="cpu", precision="float32")


def _outputs(folder: Path) -> dict[str, Path]:
    return {
        "recovered": folder / "recovered.parquet",
        "metrics": folder / "metrics.json",
        "figures": folder / "reliability.png",
    }


@pytest.fixture(scope="module")
def run(recovery_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    outputs = _outputs(tmp_path_factory.mktemp("out"))
    metrics = recover_attributes(SETTINGS, 1, 99, COMPUTE, **recovery_files, **outputs)
    return metrics, outputs


def test_table_has_every_sampled_image(run: Any, recovery_files: dict[str, Path]) -> None:
    table = pd.read_parquet(run[1]["recovered"])
    sampled = pd.read_parquet(recovery_files["samples_table"])
    assert set(table["image_id"]) == set(sampled["image_id"])
    assert set(table["split"]) == {"calibration", "test"}
    images = read_table(recovery_files["table"]).set_index("image_id").loc[table["image_id"]]
    assert (images["attribute.hair"].to_numpy() == table["attribute.hair"].to_numpy()).all()
    for prefix in ("recovered", "probe"):
        classes = [f"{prefix}.hair.{name}" for name in ("short", "long", "curly")]
        assert table[classes].sum(axis=1).to_numpy() == pytest.approx(np.ones(len(table)), abs=1e-5)
        assert (table[f"{prefix}.yaw.sd"] > 0).all()
    quantiles = table[[f"recovered.yaw.q{level}" for level in ("05", "25", "50", "75", "95")]].to_numpy()
    assert (np.diff(quantiles, axis=1) >= 0).all()


def test_samples_stay_with_their_images(run: Any) -> None:
    table = pd.read_parquet(run[1]["recovered"])
    # The samples lie around truth + noise of 0.5, whatever the order of the files.
    assert np.corrcoef(table["recovered.yaw.mean"], table["attribute.yaw"])[0, 1] > 0.8
    assert np.corrcoef(table["recovered.length.mean"], table["attribute.length"])[0, 1] > 0.7


def test_metrics_are_written_and_complete(run: Any) -> None:
    metrics, outputs = run
    assert json.loads(outputs["metrics"].read_text()) == metrics
    for route in ("decoder", "probe"):
        assert set(metrics[route]["information"]) == {"length", "yaw", "glasses", "hair"}
        assert set(metrics[route]["crps_skill"]) == {"length", "yaw"}
        assert set(metrics[route]["theils_u"]) == {"glasses", "hair"}
    assert metrics["chosen"]["yaw"] == "decoder"  # its noise is half of that in z
    assert metrics["decoder"]["information"]["yaw"] > metrics["probe"]["information"]["yaw"]
    assert (metrics["n_images"], metrics["n_identities"], metrics["split"]) == (60, 10, "test")
    assert outputs["figures"].stat().st_size > 0


def test_equal_inputs_give_equal_files(run: Any, recovery_files: dict[str, Path], tmp_path: Path) -> None:
    outputs = _outputs(tmp_path)
    recover_attributes(SETTINGS, 1, 99, COMPUTE, **recovery_files, **outputs)
    for name, path in outputs.items():
        assert path.read_bytes() == run[1][name].read_bytes()


def test_samples_of_another_run_are_refused(recovery_files: dict[str, Path], tmp_path: Path) -> None:
    sampled = pd.read_parquet(recovery_files["samples_table"])
    sampled.loc[0, "image_id"] = "nobody/000"
    write_table(sampled, tmp_path / "samples.parquet")
    paths = recovery_files | {"samples_table": tmp_path / "samples.parquet"}
    with pytest.raises(ValueError, match="nobody/000"):
        recover_attributes(SETTINGS, 1, 99, COMPUTE, **paths, **_outputs(tmp_path))
