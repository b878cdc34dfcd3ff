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


def _knocked_out(files: dict[str, Path], folder: Path, unknown: Any) -> dict[str, Path]:
    """The same files with labels taken out where `unknown` of an attribute and the table says so."""
    table = pd.read_parquet(files["table"])
    for name in ("length", "yaw", "glasses", "hair"):
        table[f"attribute.{name}"] = table[f"attribute.{name}"].mask(unknown(name, table))
    write_table(table, folder / "images.parquet")
    return files | {"table": folder / "images.parquet"}


def test_each_attribute_is_recovered_on_the_images_where_it_is_known(
    run: Any, recovery_files: dict[str, Path], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)

    def unknown(name: str, table: pd.DataFrame) -> Any:
        if name == "yaw":
            return table["split"] == "calibration"
        return (rng.random(len(table)) < 0.3) & (name in ("length", "glasses"))

    files = _knocked_out(recovery_files, tmp_path, unknown)
    metrics = recover_attributes(SETTINGS, 1, 99, COMPUTE, **files, **_outputs(tmp_path))
    table, whole = (pd.read_parquet(path) for path in (_outputs(tmp_path)["recovered"], run[1]["recovered"]))
    images = pd.read_parquet(files["table"]).set_index("image_id").loc[table["image_id"]]
    forecasts = [name for name in table if name.split(".")[0] in ("recovered", "probe")]
    assert table[forecasts].notna().all().all()
    assert list(table.columns) == list(whole.columns) and len(table) == len(whole)
    for name in ("length", "yaw", "glasses", "hair"):
        truth = table[f"attribute.{name}"]
        assert (truth.isna().to_numpy() == images[f"attribute.{name}"].isna().to_numpy()).all()
    known = table[(table["split"] == "test") & table["attribute.length"].notna()]
    assert metrics["known_images"]["length"] == len(known) < 60
    assert set(metrics["known_images"]) == {"length", "glasses"}
    error = known["recovered.length.mean"] - known["attribute.length"]
    spread = known["attribute.length"] - known["attribute.length"].mean()
    assert metrics["decoder"]["r2"]["length"] == pytest.approx(
        1 - (error**2).sum() / (spread**2).sum(), abs=1e-4
    )
    assert metrics["not_calibrated"] == {"yaw": "no image of the split calibration has a value"}
    assert metrics["chosen"]["yaw"] == "probe" and metrics["probe"]["information"]["yaw"] > 0
    assert set(metrics["decoder"]["information"]) == {"length", "yaw", "glasses", "hair"}


def test_what_is_known_of_one_person_only_is_not_recovered(
    recovery_files: dict[str, Path], tmp_path: Path
) -> None:
    def unknown(name: str, table: pd.DataFrame) -> Any:
        person = {"length": "train-003", "hair": "train-003", "glasses": "test-001"}.get(name)
        of_split = table["split"] == "test" if name == "glasses" else True
        return (table["identity"] != person) & of_split & (person is not None)

    files = _knocked_out(recovery_files, tmp_path, unknown)
    metrics = recover_attributes(SETTINGS, 1, 99, COMPUTE, **files, **_outputs(tmp_path))
    table = pd.read_parquet(_outputs(tmp_path)["recovered"])
    assert set(metrics["not_recovered"]) == {"length", "hair"}
    assert set(metrics["not_measured"]) == {"glasses"}
    assert set(metrics["chosen"]) == {"yaw", "glasses"}
    assert set(metrics["decoder"]["information"]) == {"yaw"}
    for name in ("recovered.length.mean", "recovered.length.q95", "probe.length.sd", "probe.hair.curly"):
        assert table[name].isna().all()
    assert table["probe.glasses.on"].notna().all()
    assert "NaN" not in _outputs(tmp_path)["metrics"].read_text()
