"""The entry's figures against plain counting on made embeddings."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from attribute_recovery.config_recognizers import (
    ExperimentThreshold,
    FmrThreshold,
    OnnxRecognizer,
    ThresholdConfig,
    ValueThreshold,
    WeightsRecognizer,
)
from attribute_recovery.dataset.sources.listing import no_pairs
from attribute_recovery.dataset.store import write_array, write_json, write_table
from attribute_recovery.embeddings.rates import measure_rates
from attribute_recovery.embeddings.store import write_embeddings
from attribute_recovery.embeddings.threshold import DecisionThreshold
from attribute_recovery.recognizer.bring import bring
from attribute_recovery.recognizer.card import Fitted, RecognizerCard, write_recognizer_card
from attribute_recovery.recognizer.load import load_recognizer
from attribute_recovery.tracking.digest import sha256_file

SHARED = Path(__file__).parents[3] / "shared" / "data"

KEYS = {
    "tar_at_target_fmr",
    "tar_at_target_fmr_interval",
    "target_fmr",
    "used_fmr",
    "claimable_fmr",
    "threshold_kind",
    "threshold_split",
    "score",
    "gradients",
    "differentiable",
    "runs_user_code",
    "notes",
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


CARD = RecognizerCard(
    name="toy",
    architecture="onnx",
    channels=None,
    crop_size=112,
    template="as given",
    channel_order="RGB",
    value_range=(-127.5 / 128, 127.5 / 128),
    interpolation="bilinear",
    embedding_size=128,
    precision="float32",
    score="cosine",
    data_sha256="",
    licence="MIT",
    weights_sha256="a" * 64,
)


def _measured(
    folder: Path,
    table: pd.DataFrame,
    features: np.ndarray,
    threshold: float | ThresholdConfig,
    card: RecognizerCard = CARD,
) -> dict[str, Any]:
    """Rates in RESULTS/EXPERIMENT/RECOGNIZER/recognizer, RESULTS/EXPERIMENT being the folder given."""
    stage = folder / "mine" / "recognizer"
    stage.mkdir(parents=True, exist_ok=True)
    write_table(table, folder / "images.parquet")
    if not (folder / "report.json").exists():
        write_json({}, folder / "report.json")
        write_table(no_pairs(), folder / "pairs.parquet")
    write_embeddings(folder / "shards", table["image_id"], features, count=3)
    write_recognizer_card(card, stage / "card.json")
    kind = FmrThreshold(fmr=threshold) if isinstance(threshold, float) else threshold
    return measure_rates(
        WeightsRecognizer(source="weights", weights=Path("none"), threshold=kind),
        5,
        200,
        table=folder / "images.parquet",
        report=folder / "report.json",
        pairs=folder / "pairs.parquet",
        shards=folder / "shards",
        card=stage / "card.json",
        rates=stage / "threshold.json",
        curve=stage / "det.parquet",
        metrics=stage / "metrics.json",
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
    assert (values["split"], values["threshold_kind"]) == ("test", "fmr")


def test_files_hold_what_is_returned(tmp_path: Path, population) -> None:
    values = _measured(tmp_path, *population(0.5, 1), 0.05)
    stage = tmp_path / "mine" / "recognizer"
    assert json.loads((stage / "metrics.json").read_text()) == values
    written = json.loads((stage / "threshold.json").read_text())
    threshold = DecisionThreshold(**written)
    assert set(written) == {field.name for field in fields(DecisionThreshold)}
    assert (threshold.value, threshold.requested_fmr, threshold.n_identity_pairs) == (
        values["threshold"],
        0.05,
        435,
    )
    curve = pd.read_parquet(stage / "det.parquet")
    assert list(curve.columns) == ["fmr", "fnmr", "threshold"]
    assert curve["fmr"].is_monotonic_increasing
    assert curve["fnmr"].is_monotonic_decreasing


def test_a_rate_that_the_identities_cannot_bear_is_raised_and_said(tmp_path: Path, population) -> None:
    values = _measured(tmp_path, *population(0.5, 1), 1e-4)
    assert values["target_fmr"] == 1e-4
    assert values["used_fmr"] == values["claimable_fmr"] == pytest.approx(3 / 435)


def test_a_threshold_that_is_given_is_used_and_counted(tmp_path: Path, population) -> None:
    table, features = population(0.6, 0)
    values = _measured(tmp_path, table, features, ValueThreshold(value=0.5))
    genuine, impostor = _scores(table, features, "test")
    assert (values["threshold"], values["threshold_kind"], values["target_fmr"]) == (0.5, "value", None)
    assert values["tar_at_target_fmr"] == pytest.approx(np.mean(genuine >= 0.5), abs=1e-9)
    assert values["fmr_at_threshold"] == pytest.approx(np.mean(impostor >= 0.5), abs=1e-9)
    _, fixed_on = _scores(table, features, "calibration")
    assert values["used_fmr"] == pytest.approx(max(np.mean(fixed_on >= 0.5), 3 / 435))
    strict = _measured(tmp_path, table, features, ValueThreshold(value=0.999))
    assert strict["used_fmr"] == pytest.approx(3 / 435)


def test_a_threshold_comes_from_another_experiment(tmp_path: Path, population) -> None:
    first = _measured(tmp_path / "other", *population(0.6, 0), 0.05)
    elsewhere = ExperimentThreshold.model_validate({"from": "other"})
    values = _measured(tmp_path / "this", *population(0.6, 1), elsewhere)
    assert (values["threshold"], values["threshold_kind"]) == (first["threshold"], "from")
    written = json.loads((tmp_path / "this" / "mine" / "recognizer" / "threshold.json").read_text())
    assert (written["origin"], written["requested_fmr"]) == ("other", None)
    missing = ExperimentThreshold.model_validate({"from": "nowhere"})
    with pytest.raises(
        ValueError,
        match=r"threshold.from: experiment 'nowhere': .*threshold\.json is missing; run that exper",
    ):
        _measured(tmp_path / "this", *population(0.6, 1), missing)


def test_what_the_card_says_comes_along(tmp_path: Path, population) -> None:
    fitted = Fitted("as given", "none", ("A service.",), True, "")
    values = _measured(
        tmp_path, *population(0.5, 1), 0.05, replace(CARD, architecture="python", fitted=fitted)
    )
    found = [values[key] for key in ("score", "gradients", "differentiable", "runs_user_code", "notes")]
    assert found == ["cosine", "none", False, True, ["A service."]]


def test_standard_pairs_are_measured_beside_our_figures(tmp_path: Path, population) -> None:
    table, features = population(0.4, 0)
    plain = _measured(tmp_path / "plain", table, features, 0.05)
    assert "protocol" not in plain
    names = table["image_id"].tolist()
    pairs = [
        (fold, names[8 * fold], names[8 * fold + 1 + 3 * other], not other)
        for fold in range(5)
        for other in (False, True)
    ]
    folder = tmp_path / "pairs"
    write_table(pd.DataFrame(pairs, columns=["fold", "first", "second", "genuine"]), folder / "pairs.parquet")
    write_json({"pairs": {"pairs": 10, "lost": 3}}, folder / "report.json")
    values = _measured(folder, table, features, 0.05)
    assert {key: value for key, value in values.items() if key != "protocol"} == plain
    assert (values["protocol"]["pairs"], values["protocol"]["lost"]) == (10, 3)
    assert json.loads((folder / "mine/recognizer/metrics.json").read_text()) == values


def test_distances_of_a_euclidean_recognizer_are_measured_besides(tmp_path: Path, population) -> None:
    table, features = population(0.6, 0)
    lengths = np.random.default_rng(1).uniform(0.7, 1.4, (len(features), 1)).astype(np.float32)
    card = replace(CARD, score="euclidean")
    values = _measured(tmp_path, table, features * lengths, 0.05, card)
    plain = _measured(tmp_path, table, features * lengths, 0.05)
    assert {key: value for key, value in values.items() if key not in ("euclidean", "score")} == {
        key: value for key, value in plain.items() if key != "score"
    }
    found = values["euclidean"]
    assert found["tar"] < values["tar_at_target_fmr"]
    assert found["eer"] > values["eer"]
    assert found["decided_otherwise_genuine"] > 0.02
    assert found["norm"]["lowest"] < found["norm"]["median"] < found["norm"]["highest"]


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


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not there")
def test_a_real_recognizer_has_the_rates_that_were_measured(tmp_path: Path) -> None:
    """ORL stretched to 112 × 112, (x − 127.5)/128; all 400 photographs are both calibration and test."""
    files = sorted((SHARED / "orl").glob("s*/*.pgm"))
    gray = [np.asarray(Image.open(f).resize((112, 112), Image.Resampling.BILINEAR)) for f in files]
    images = np.repeat(np.stack(gray)[..., None], 3, axis=3)
    write_array(tmp_path / "images.bcolz", [images], images.shape[1:], np.uint8, len(images))
    source = tmp_path / "real.onnx"
    source.write_bytes((SHARED / "mobilefacenet" / "MobileFaceNet.onnx").read_bytes())
    write_recognizer_card(replace(CARD, weights_sha256=sha256_file(source)), tmp_path / "real.json")
    settings = OnnxRecognizer(source="onnx", weights=source, threshold=FmrThreshold(fmr=1e-3))
    cpu, out = torch.device("cpu"), (tmp_path / "weights.safetensors", tmp_path / "card.json")
    found = bring(settings, cpu, "as given", images=tmp_path / "images.bcolz", weights=out[0], card=out[1])
    assert found["differentiable"]
    features = load_recognizer(*out, cpu).represent_batches(images)
    people = [file.parent.name for file in files]
    table = pd.concat(
        pd.DataFrame(
            {
                "image_id": [f"{split}/{file.parent.name}/{file.stem}" for file in files],
                "identity": people,
                "split": split,
                "path": "",
                "sha256": "",
            }
        )
        for split in ("calibration", "test")
    )
    values = _measured(tmp_path, table, np.tile(features, (2, 1)), ValueThreshold(value=0.5962))
    assert (values["n_genuine_pairs"], values["n_impostor_pairs"]) == (1800, 78000)
    assert values["tar_at_target_fmr"] == pytest.approx(0.604, abs=5e-4)
    assert values["fmr_at_threshold"] == pytest.approx(1e-3, abs=5e-5)
    assert values["eer"] == pytest.approx(0.068, abs=5e-4)
    # 40 people make 780 pairs, which bear no lower rate than this.
    assert values["used_fmr"] == values["claimable_fmr"] == pytest.approx(3 / 780)
