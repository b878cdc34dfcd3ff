"""Where a recognizer comes from: trained on the split `recognizer`, or brought."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from attribute_recovery.config import Compute
from attribute_recovery.config_recognizers import RecognizerConfig, TrainedRecognizer
from attribute_recovery.dataset.store import open_array, read_images, read_table, rows_of
from attribute_recovery.dataset.world.camera import EYE_LEVEL, EYE_SPAN
from attribute_recovery.recognizer.bring import bring
from attribute_recovery.recognizer.card import Fitted, RecognizerCard, write_recognizer_card
from attribute_recovery.recognizer.template import AnyTemplate, Template, read_images_template
from attribute_recovery.recognizer.train import train_recognizer
from attribute_recovery.tracking.digest import atomic_output, sha256_file
from attribute_recovery.training.device import prepare_torch
from attribute_recovery.training.weights import save_weights

# The eyes' place in images of a data set whose report does not tell.
WORLD_TEMPLATE = Template(EYE_LEVEL, EYE_SPAN)
LICENCE = "MIT"


def prepare_recognizer(
    settings: RecognizerConfig,
    seed: int,
    compute: Compute,
    *,
    images: Path,
    table: Path,
    report: Path,
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
        report: of the data set, read for where the eyes lie in its images.
        weights: written; safetensors, or whatever format the card's architecture says.
        card: its card, written.
        checkpoint: where an interrupted training goes on from; gone afterwards.

    Returns:
        Metrics: `source`, `name`, `embedding_size`, `parameters`; of a training here its `images`,
        `identities`, `steps` and `final_loss`; of one that was brought what `bring.bring` says.

    Raises:
        ValueError: the split `recognizer` cannot train one, or weights, card and images do not fit each
            other.
    """
    device = prepare_torch(compute)
    images_template = read_images_template(report) or WORLD_TEMPLATE
    if not isinstance(settings, TrainedRecognizer):
        return bring(settings, device, images_template, images=images, weights=weights, card=card)
    rows = read_table(table)
    files = {"images": images, "weights": weights, "card": card, "checkpoint": checkpoint}
    return _trained(settings, seed, compute, rows, images_template, **files)


def training_digest(rows: pd.DataFrame) -> str:
    """Digest of a training set, 64 hexadecimal digits: of its image_id, identity and sha256, row by row."""
    lines = rows[["image_id", "identity", "sha256"]].astype(str).agg("\t".join, axis=1)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _trained(
    settings: TrainedRecognizer,
    seed: int,
    compute: Compute,
    table: pd.DataFrame,
    images_template: AnyTemplate,
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
    described = _card_of(settings, open_array(images).shape[1], images_template, digest, sha256_file(weights))
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


def _labels(rows: pd.DataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    identities, labels = np.unique(rows["identity"].to_numpy(str), return_inverse=True)
    return labels.astype(np.int64), identities


def _card_of(
    settings: TrainedRecognizer, side: int, template: AnyTemplate, data_sha256: str, weights_sha256: str
) -> RecognizerCard:
    return RecognizerCard(
        name=f"residual network, additive margin, {side} px, {settings.embedding_size} dimensions",
        architecture="residual",
        channels=settings.channels,
        crop_size=side,
        template=template,
        channel_order="RGB",
        value_range=(-1.0, 1.0),
        interpolation="bilinear",
        embedding_size=settings.embedding_size,
        precision="float32",
        score="cosine",
        data_sha256=data_sha256,
        licence=LICENCE,
        weights_sha256=weights_sha256,
        fitted=Fitted(template, "own", (), False, ""),
    )


def _measures(card: RecognizerCard, network: torch.nn.Module) -> dict[str, Any]:
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"name": card.name, "embedding_size": card.embedding_size, "parameters": parameters}


def _checkpoint_of(checkpoint: Path, settings: TrainedRecognizer, digest: str) -> Path:
    """A checkpoint of its own for each setting and data set, so that no run goes on from another's."""
    trained = settings.model_dump_json(exclude={"threshold"})  # which plays no part in training
    key = hashlib.sha256(f"{trained}\n{digest}".encode()).hexdigest()[:12]
    return checkpoint.with_name(f"{checkpoint.stem}-{key}{checkpoint.suffix}")


def _remove_checkpoints(checkpoint: Path) -> None:
    for path in checkpoint.parent.glob(f"{checkpoint.stem}-*"):
        path.unlink()
