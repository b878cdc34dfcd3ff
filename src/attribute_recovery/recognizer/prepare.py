"""Where a recognizer comes from: trained on the split `recognizer`, or read back from weights and card."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from attribute_recovery.config import Compute, RecognizerConfig, TrainedRecognizer, WeightsRecognizer
from attribute_recovery.dataset.store import open_array, read_images, read_table, rows_of
from attribute_recovery.dataset.world.camera import EYE_LEVEL, EYE_SPAN
from attribute_recovery.recognizer.card import (
    RecognizerCard,
    Template,
    check_weights,
    write_recognizer_card,
)
from attribute_recovery.recognizer.load import load_recognizer
from attribute_recovery.recognizer.train import train_recognizer
from attribute_recovery.tracking.digest import atomic_output, sha256_file
from attribute_recovery.training.device import prepare_torch
from attribute_recovery.training.weights import save_weights

# The eyes' place in every image of the data set; the default world is the only source of images so far.
DATASET_TEMPLATE = Template(EYE_LEVEL, EYE_SPAN)
LICENCE = "MIT"


def prepare_recognizer(
    settings: RecognizerConfig,
    seed: int,
    compute: Compute,
    *,
    images: Path,
    table: Path,
    weights: Path,
    card: Path,
    checkpoint: Path,
) -> dict[str, Any]:
    """Write a recognizer's weights and card; the entry of the stage.

    Args:
        settings: of one recognizer.
        seed: of its training.
        compute: threads, device and precision of its training.
        images: bcolz array, uint8 (n, side, side, 3), read.
        table: images.parquet, read.
        weights: safetensors file, written.
        card: its card, written.
        checkpoint: where an interrupted training goes on from; gone afterwards.

    Returns:
        Metrics: `source`, `name`, `embedding_size`, `parameters`, and of a training here its `images`,
        `identities`, `steps` and `final_loss`.

    Raises:
        ValueError: the split `recognizer` cannot train one, or the weights, their card or the crop that the
            card asks for do not fit.
    """
    device = prepare_torch(compute)
    if isinstance(settings, WeightsRecognizer):
        return _copied(settings.weights, device, weights=weights, card=card)
    rows = read_table(table)
    return _trained(
        settings, seed, compute, rows, images=images, weights=weights, card=card, checkpoint=checkpoint
    )


def training_digest(rows: pd.DataFrame) -> str:
    """Digest of a training set, 64 hexadecimal digits: of its image_id, identity and sha256, row by row."""
    lines = rows[["image_id", "identity", "sha256"]].astype(str).agg("\t".join, axis=1)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _trained(
    settings: TrainedRecognizer,
    seed: int,
    compute: Compute,
    table: pd.DataFrame,
    *,
    images: Path,
    weights: Path,
    card: Path,
    checkpoint: Path,
) -> dict[str, Any]:
    chosen = rows_of(table, "recognizer")
    rows = table.iloc[chosen]
    labels, identities = _labels(rows)
    if len(identities) < 2:
        raise ValueError(f"split recognizer: found {len(identities)} identities, a training needs at least 2")
    digest = training_digest(rows)
    resumed = _checkpoint_of(checkpoint, settings, digest)
    network, history = train_recognizer(
        read_images(images, chosen), labels, settings, seed, compute, checkpoint=resumed
    )
    with atomic_output(weights) as partial:
        save_weights(network, partial)
    described = _card_of(settings, open_array(images).shape[1], digest, sha256_file(weights))
    write_recognizer_card(described, card)
    _remove_checkpoints(checkpoint)
    return {
        "source": settings.source,
        **_measures(described, network),
        "images": len(rows),
        "identities": len(identities),
        "steps": settings.training.steps,
        "final_loss": history.losses["softmax"][-1] if history.steps else None,
    }


def _copied(source: Path, device: torch.device, *, weights: Path, card: Path) -> dict[str, Any]:
    source_card = source.with_suffix(".json")
    recognizer = load_recognizer(source, source_card, device)  # refuses what would fail later
    described = recognizer.card
    if not np.allclose(_places(described.template), _places(DATASET_TEMPLATE), atol=1e-3):
        raise ValueError(
            f"{source_card}: field template: found {described.template}, "
            f"allowed is {DATASET_TEMPLATE}, as the data set's images are cropped"
        )
    with atomic_output(weights) as partial:
        shutil.copyfile(source, partial)
    check_weights(described, weights)
    write_recognizer_card(described, card)
    return {"source": "weights", **_measures(described, recognizer.network)}


def _labels(rows: pd.DataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    identities, labels = np.unique(rows["identity"].to_numpy(str), return_inverse=True)
    return labels.astype(np.int64), identities


def _card_of(settings: TrainedRecognizer, side: int, data_sha256: str, weights_sha256: str) -> RecognizerCard:
    return RecognizerCard(
        name=f"residual network, additive margin, {side} px, {settings.embedding_size} dimensions",
        architecture="residual",
        channels=settings.channels,
        crop_size=side,
        template=DATASET_TEMPLATE,
        channel_order="RGB",
        value_range=(-1.0, 1.0),
        interpolation="bilinear",
        embedding_size=settings.embedding_size,
        precision="float32",
        score="cosine",
        data_sha256=data_sha256,
        licence=LICENCE,
        weights_sha256=weights_sha256,
    )


def _measures(card: RecognizerCard, network: torch.nn.Module) -> dict[str, Any]:
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"name": card.name, "embedding_size": card.embedding_size, "parameters": parameters}


def _places(template: Template) -> tuple[float, float]:
    return template.eye_level, template.eye_span


def _checkpoint_of(checkpoint: Path, settings: TrainedRecognizer, digest: str) -> Path:
    """A checkpoint of its own for each setting and data set, so that no run goes on from another's."""
    trained = settings.model_dump_json(exclude={"target_fmr"})  # which plays no part in training
    key = hashlib.sha256(f"{trained}\n{digest}".encode()).hexdigest()[:12]
    return checkpoint.with_name(f"{checkpoint.stem}-{key}{checkpoint.suffix}")


def _remove_checkpoints(checkpoint: Path) -> None:
    for path in checkpoint.parent.glob(f"{checkpoint.stem}-*"):
        path.unlink()
