"""The stage's entry: training and reading back, with a card that fits and nothing left behind."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from attribute_recovery.config import Compute
from attribute_recovery.config_recognizers import (
    FmrThreshold,
    RecognizerConfig,
    TrainedRecognizer,
    ValueThreshold,
    WeightsRecognizer,
)
from attribute_recovery.dataset.store import read_images, read_table
from attribute_recovery.recognizer.card import Fitted, Template, read_recognizer_card
from attribute_recovery.recognizer.load import load_recognizer
from attribute_recovery.recognizer.prepare import WORLD_TEMPLATE, prepare_recognizer, training_digest


@pytest.fixture
def short(settings: TrainedRecognizer) -> TrainedRecognizer:
    training = settings.training.model_copy(update={"steps": 4, "batch_size": 8})
    return settings.model_copy(update={"training": training})


def _prepared(
    settings: RecognizerConfig, compute: Compute, dataset: tuple[Path, Path], folder: Path
) -> tuple[dict[str, Any], Path, Path]:
    weights, card = folder / "weights.safetensors", folder / "card.json"
    folder.mkdir(exist_ok=True)
    metrics = prepare_recognizer(
        settings,
        7,
        compute,
        images=dataset[0],
        table=dataset[1],
        report=dataset[1].with_name("report.json"),
        weights=weights,
        card=card,
        checkpoint=folder / "recognizer.safetensors",
    )
    return metrics, weights, card


def test_a_trained_recognizer_comes_with_its_card(
    short: TrainedRecognizer, compute: Compute, dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    metrics, weights, card = _prepared(short, compute, dataset, tmp_path / "one")
    found = read_recognizer_card(card)
    assert (found.crop_size, found.embedding_size, found.channels) == (16, 16, (8, 16))
    assert (found.precision, found.channel_order, found.value_range) == ("float32", "RGB", (-1.0, 1.0))
    assert (found.template, found.channels) == (WORLD_TEMPLATE, (8, 16))
    assert found.fitted == Fitted(found.template, "own", (), False, "")
    assert metrics["images"] == 48
    assert metrics["identities"] == 8
    assert json.loads(json.dumps(metrics)) == metrics
    assert {path.name for path in (tmp_path / "one").iterdir()} == {weights.name, card.name}
    embedded = load_recognizer(weights, card, torch.device("cpu")).embed_batches(read_images(dataset[0]))
    assert np.allclose(np.linalg.norm(embedded, axis=1), 1, atol=1e-6)


def test_the_same_seed_gives_the_same_files(
    short: TrainedRecognizer, compute: Compute, dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    _, weights, card = _prepared(short, compute, dataset, tmp_path / "one")
    _, again, card_again = _prepared(short, compute, dataset, tmp_path / "two")
    assert weights.read_bytes() == again.read_bytes()
    assert card.read_bytes() == card_again.read_bytes()


def test_a_checkpoint_of_another_setting_is_not_gone_on_from(
    short: TrainedRecognizer,
    compute: Compute,
    dataset: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from attribute_recovery.recognizer import prepare

    def failing(*_arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(prepare, "save_weights", failing)
    with pytest.raises(OSError, match="disk full"):
        _prepared(short, compute, dataset, tmp_path / "one")
    assert list((tmp_path / "one").glob("recognizer-*.safetensors"))
    monkeypatch.undo()
    margin = short.training.model_copy(update={"margin": 0.3})
    changed = short.model_copy(update={"training": margin, "channels": (8, 12)})
    _, weights, _ = _prepared(changed, compute, dataset, tmp_path / "one")
    _, fresh, _ = _prepared(changed, compute, dataset, tmp_path / "two")
    assert weights.read_bytes() == fresh.read_bytes()
    assert not list((tmp_path / "one").glob("recognizer-*"))


def test_weights_are_read_back_as_they_are(
    short: TrainedRecognizer, compute: Compute, dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    _, weights, card = _prepared(short, compute, dataset, tmp_path / "one")
    brought = tmp_path / "brought.safetensors"
    brought.write_bytes(weights.read_bytes())
    brought.with_suffix(".json").write_bytes(card.read_bytes())
    read_back = WeightsRecognizer(source="weights", weights=brought, threshold=FmrThreshold(fmr=0.01))
    metrics, copied, copied_card = _prepared(read_back, compute, dataset, tmp_path / "two")
    assert copied.read_bytes() == weights.read_bytes()
    before, after = read_recognizer_card(card), read_recognizer_card(copied_card)
    assert replace(after, fitted=None) == replace(before, fitted=None)
    assert after.fitted == Fitted(WORLD_TEMPLATE, "own", (), False, before.weights_sha256)
    assert metrics["source"] == "weights"
    assert metrics["parameters"] == sum(value.numel() for value in _parameters(weights, card))


def _parameters(weights: Path, card: Path) -> list[torch.Tensor]:
    return list(load_recognizer(weights, card, torch.device("cpu")).network.parameters())


def test_weights_of_another_template_get_their_images_moved(
    short: TrainedRecognizer, compute: Compute, dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    _, weights, card = _prepared(short, compute, dataset, tmp_path / "one")
    changed = json.loads(card.read_text()) | {"template": {"eye_level": 0.5, "eye_span": 0.2}}
    weights.with_suffix(".json").write_text(json.dumps(changed))
    read_back = WeightsRecognizer(source="weights", weights=weights, threshold=FmrThreshold(fmr=0.01))
    _, _, copied_card = _prepared(read_back, compute, dataset, tmp_path / "two")
    found = read_recognizer_card(copied_card)
    assert (found.template, found.fitted.images) == (Template(0.5, 0.2), WORLD_TEMPLATE)
    assert found.fitted.notes[0] == (
        "Faces were moved from the data set's template (eye_level 0.44, eye_span 0.28) to the recognizer's "
        "(eye_level 0.5, eye_span 0.2)."
    )
    assert "of each crop lies outside of the image and is black" in found.fitted.notes[1]


def test_the_data_sets_report_tells_the_template(
    short: TrainedRecognizer, compute: Compute, dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    dataset[1].with_name("report.json").write_text(json.dumps({"crop": {"template": "arcface"}}))
    _, _, card = _prepared(short, compute, dataset, tmp_path / "one")
    assert read_recognizer_card(card).template == read_recognizer_card(card).fitted.images == "arcface"


def test_the_threshold_plays_no_part_in_training(
    short: TrainedRecognizer, compute: Compute, dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    other = short.model_copy(update={"threshold": ValueThreshold(value=0.4)})
    digest = "0" * 64
    from attribute_recovery.recognizer.prepare import _checkpoint_of

    assert _checkpoint_of(tmp_path / "a.x", short, digest) == _checkpoint_of(tmp_path / "a.x", other, digest)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights_sha256": "0" * 64}, "found sha256"),
        ({"embedding_size": 5}, "tensor 'embedding.2.weight'"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_nothing_is_written(
    short: TrainedRecognizer,
    compute: Compute,
    dataset: tuple[Path, Path],
    tmp_path: Path,
    change: dict[str, object],
    said: str,
) -> None:
    _, weights, card = _prepared(short, compute, dataset, tmp_path / "one")
    weights.with_suffix(".json").write_text(json.dumps(json.loads(card.read_text()) | change))
    read_back = WeightsRecognizer(source="weights", weights=weights, threshold=FmrThreshold(fmr=0.01))
    with pytest.raises(ValueError, match=said):
        _prepared(read_back, compute, dataset, tmp_path / "two")
    assert not list((tmp_path / "two").iterdir())


def test_weights_without_a_card_beside_them_are_refused(
    compute: Compute, dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    read_back = WeightsRecognizer(
        source="weights", weights=tmp_path / "none.safetensors", threshold=FmrThreshold(fmr=0.01)
    )
    with pytest.raises(ValueError, match=r"none\.json: is missing; weights are only loaded with their card"):
        _prepared(read_back, compute, dataset, tmp_path / "one")


def test_an_empty_split_is_refused(
    short: TrainedRecognizer, compute: Compute, dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    table = read_table(dataset[1]).assign(split="test")
    table.to_parquet(dataset[1])
    with pytest.raises(ValueError, match="split recognizer: found 0 identities"):
        _prepared(short, compute, dataset, tmp_path / "one")


def test_the_digest_tells_training_sets_apart(dataset: tuple[Path, Path]) -> None:
    rows = read_table(dataset[1])
    digest = training_digest(rows)
    other = pd.DataFrame(rows.to_dict("list"))
    assert training_digest(other) == digest
    other.loc[0, "sha256"] = "f" * 64
    assert training_digest(other) != digest
    assert training_digest(rows.iloc[1:]) != digest
