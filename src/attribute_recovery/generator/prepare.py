"""Where G and E come from: weights shipped for the default world, a training here, the authors' models."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attribute_recovery.config import Compute, GeneratorConfig, GeneratorNetwork
from attribute_recovery.config_authors import AuthorsGenerator
from attribute_recovery.dataset.attributes import read_schema
from attribute_recovery.dataset.store import open_array, read_images, read_table
from attribute_recovery.generator.authors import take_models
from attribute_recovery.generator.cards import GENERATOR_KEYS
from attribute_recovery.generator.train import train_autoencoder
from attribute_recovery.training.device import prepare_torch
from attribute_recovery.training.loop import LoopSettings
from attribute_recovery.training.weights import read_card, save_weights, write_card

TRAINING_SPLITS = ("recognizer", "train")
SHIPPED = "attribute_recovery.generator.weights"


def prepare_generator(
    settings: GeneratorConfig,
    seed: int,
    compute: Compute,
    *,
    images: Path,
    table: Path,
    attributes: Path,
    weights: Path,
    card: Path,
    checkpoint: Path,
) -> dict[str, Any]:
    """Write G and E's weights and card: shipped, the authors', or trained on `recognizer` and `train`.

    Raises:
        ValueError: the shipped generator or the authors' does not fit the images, or the network's stages do
            not; a file of the authors' models is missing or damaged.
    """
    if isinstance(settings, AuthorsGenerator):
        return take_models(settings.models, open_array(images).shape[1], weights=weights, card=card)
    if settings.source == "shipped":
        return _shipped(open_array(images).shape[1], weights=weights, card=card)
    device = prepare_torch(compute)
    everyone = read_table(table)
    rows = np.flatnonzero(everyone["split"].isin(TRAINING_SPLITS))
    pixels = read_images(images, rows)
    names, labels = list[str](), None
    if settings.training.attribute_weight > 0:
        schema = read_schema(attributes)
        values = schema.known_from_table(everyone.iloc[rows]).values
        names, labels = schema.names, schema.encode(values, count=len(rows))
    loop = LoopSettings(
        steps=settings.training.steps,
        learning_rate=settings.training.learning_rate,
        warmup_steps=min(200, settings.training.steps // 10 + 1),
        precision=compute.precision,
        device=device.type,
        seed=seed,
    )
    networks, history = train_autoencoder(
        pixels, settings.network, settings.training, loop, labels=labels, checkpoint=checkpoint
    )
    save_weights(networks, weights, dtype=torch.bfloat16)
    training = settings.training.model_dump(mode="json")
    made = generator_card(pixels, names, settings.network, training, seed, "trained by this experiment")
    write_card(card, made)
    checkpoint.unlink(missing_ok=True)
    return {"final_losses": {name: values[-1] for name, values in history.losses.items()}}


def generator_card(
    pixels: np.ndarray[Any, np.dtype[np.uint8]],
    attributes: Sequence[str],
    network: GeneratorNetwork,
    training: dict[str, Any],
    seed: int,
    provenance: str,
) -> dict[str, Any]:
    """The card of a generator trained on `pixels` (n, size, size, 3) and their labels of `attributes`."""
    return {
        "image_size": int(pixels.shape[1]),
        "network": network.model_dump(mode="json"),
        "images_sha256": hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest(),
        "images": len(pixels),
        "training": training,
        "seed": seed,
        "attributes": list(attributes),
        "licence": "MIT",
        "provenance": provenance,
    }


def _shipped(image_size: int, *, weights: Path, card: Path) -> dict[str, Any]:
    folder = files(SHIPPED)
    with as_file(folder / "world64.safetensors") as source, as_file(folder / "world64.json") as source_card:
        if not source.exists():
            raise ValueError(
                "generator.source: found shipped, but no weights are in the package; allowed is train"
            )
        values = read_card(source_card, GENERATOR_KEYS)
        if values["image_size"] != image_size:
            raise ValueError(
                f"generator.source: found shipped, whose images have a side of {values['image_size']}, "
                f"but the data set's have {image_size}; allowed is train"
            )
        shutil.copyfile(source, weights)
        shutil.copyfile(source_card, card)
    return {"provenance": json.dumps(values["provenance"])}
