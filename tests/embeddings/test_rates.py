"""The entry's figures against plain counting on made embeddings."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.config import WeightsRecognizer
from attribute_recovery.dataset.store import write_table
from attribute_recovery.embeddings.rates import measure_rates
from attribute_recovery.embeddings.store import write_embeddings
from attribute_recovery.statistics.rates import Threshold

KEYS = {
    "tar_at_target_fmr",
    "tar_at_target_fmr_interval",
    "target_fmr",
    "used_fmr",
    "threshold",
    "fmr_at_threshold",
    "fmr_at_threshold_interval",
    "eer",
    "rank_1",
    "rank_1_interval",
    "genuine_score_mean",
    "impostor_score_mean",
    "n_identities",
    "n_images",
    "n_genuine_pairs",
    "n_impostor_pairs",
    "n_genuine_pairs_possible",
    "n_impostor_pairs_possible",
    "split",
}


def _measured(folder: Path, table: pd.DataFrame, features: np.ndarray, target_fmr: float) -> dict[str, Any]:
    write_table(table, folder / "images.parquet")
    write_embeddings(folder / "shards", table["image_id"], features, count=3)
    return measure_rates(
        WeightsRecognizer(source="weights", weights=Path("none"), target_fmr=target_fmr),
        5,
        200,
        table=folder / "images.parquet",
        shards=folder / "shards",
        rates=folder / "threshold.json",
        curve=folder / "det.parquet",
        metrics=folder / "metrics.json",
    )


def _scores(table: pd.DataFrame, features: np.ndarray, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Genuine and impostor cosines of a split."""
    mine = (table["split"] == split).to_numpy()
    unit = features[mine] / np.linalg.norm(features[mine], axis=1, keepdims=True)
    people = table["identity"].to_numpy(str)[mine]
    first, second = np.triu_indices(len(unit), 1)
    scores, same = (unit @ unit.T)[first, second], people[first] == people[second]
    return scores[same], scores[~same]


def test_rates_are_counted_on_test_at_the_threshold_from_calibration(tmp_path: Path, population) -> None:
    table, features = population(0.6, 0)
    values = _measured(tmp_path, table, features, 0.02)
    tau = values["threshold"]
    _, fixed_on = _scores(table, features, "calibration")
    genuine, impostor = _scores(table, features, "test")
    assert np.mean(fixed_on >= tau) <= 0.02 < np.mean(fixed_on >= tau - 1e-3) + 5e-3
    assert values["tar_at_target_fmr"] == pytest.approx(np.mean(genuine >= tau), abs=1e-9)
    assert values["fmr_at_threshold"] == pytest.approx(np.mean(impostor >= tau), abs=1e-9)
    assert values["genuine_score_mean"] == pytest.approx(genuine.mean(), abs=1e-6)
    assert values["impostor_score_mean"] == pytest.approx(impostor.mean(), abs=1e-6)
    grid = np.linspace(-1, 1, 4001)
    gaps = [abs(np.mean(impostor >= t) - np.mean(genuine < t)) for t in grid]
    assert values["eer"] == pytest.approx(np.mean(impostor >= grid[int(np.argmin(gaps))]), abs=0.02)
    assert (values["n_identities"], values["n_images"]) == (20, 80)
    assert values["n_genuine_pairs"] == values["n_genuine_pairs_possible"] == len(genuine) == 120
    assert values["n_impostor_pairs"] == values["n_impostor_pairs_possible"] == len(impostor)
    assert 0 < values["tar_at_target_fmr"] < 1
    for key in ("tar_at_target_fmr", "fmr_at_threshold", "rank_1"):
        low, high = values[f"{key}_interval"]
        assert 0 <= low <= values[key] <= high <= 1
    assert set(values) == KEYS
    assert values["split"] == "test"


def test_files_hold_what_is_returned(tmp_path: Path, population) -> None:
    values = _measured(tmp_path, *population(0.5, 1), 0.05)
    assert json.loads((tmp_path / "metrics.json").read_text()) == values
    threshold = Threshold(**json.loads((tmp_path / "threshold.json").read_text()))
    assert set(json.loads((tmp_path / "threshold.json").read_text())) == {f.name for f in fields(Threshold)}
    assert (threshold.value, threshold.requested_fmr, threshold.n_identity_pairs) == (
        values["threshold"],
        0.05,
        435,
    )
    curve = pd.read_parquet(tmp_path / "det.parquet")
    assert list(curve.columns) == ["fmr", "fnmr", "threshold"]
    assert curve["fmr"].is_monotonic_increasing
    assert curve["fnmr"].is_monotonic_decreasing


def test_a_rate_that_the_identities_cannot_bear_is_raised_and_said(tmp_path: Path, population) -> None:
    values = _measured(tmp_path, *population(0.5, 1), 1e-4)
    assert values["target_fmr"] == 1e-4
    assert values["used_fmr"] == pytest.approx(3 / 435)


def test_perfect_embeddings_and_none_at_all(tmp_path: Path, population) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    values = _measured(tmp_path / "one", *population(0.0, 2), 0.01)
    assert (values["tar_at_target_fmr"], values["rank_1"]) == (1.0, 1.0)
    table, features = population(0.0, 2)
    noise = np.random.default_rng(0).normal(size=features.shape).astype(np.float32)
    values = _measured(tmp_path / "two", table, noise, 0.05)
    assert values["tar_at_target_fmr"] < 0.15
    assert 0.4 < values["eer"] < 0.6
    assert values["rank_1"] < 0.2


def test_people_with_one_image_are_not_searched_for(tmp_path: Path, population) -> None:
    table, features = population(0.0, 2)
    kept = np.r_[0:124, 125:128, 128:129, 132:200]  # one person of `test` has a single image left
    values = _measured(tmp_path, table.iloc[kept], features[kept], 0.01)
    assert values["rank_1"] == 1.0


def test_a_split_without_pairs_is_refused(tmp_path: Path, population) -> None:
    table, features = population(0.3, 0)
    with pytest.raises(ValueError, match="split calibration: found 0 identities"):
        _measured(tmp_path, table.assign(split="test"), features, 0.01)
    alone = table.assign(identity=table["image_id"])
    with pytest.raises(
        ValueError, match="split calibration: found 120 identities with at most 1 images each"
    ):
        _measured(tmp_path, alone, features, 0.01)
