"""Where G and E come from: shipped, trained here or trained on, a file, or the authors' models."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from attribute_recovery.config import Compute, GeneratorConfig, GeneratorNetwork
from attribute_recovery.config_authors import AuthorsGenerator
from attribute_recovery.config_generator import EigenfacesGenerator, FileGenerator, TunedGenerator
from attribute_recovery.dataset.attributes import read_schema
from attribute_recovery.dataset.store import open_array, read_images, read_table
from attribute_recovery.generator.authors import take_models
from attribute_recovery.generator.cards import GENERATOR_KEYS
from attribute_recovery.generator.eigenfaces import fit_eigenfaces, network_card
from attribute_recovery.generator.load import LoadedGenerator, load_generator
from attribute_recovery.generator.train import Autoencoder, train_autoencoder
from attribute_recovery.generator.tune import tune_generator
from attribute_recovery.tracking.digest import sha256_file
from attribute_recovery.training.device import prepare_torch
from attribute_recovery.training.loop import LoopSettings
from attribute_recovery.training.weights import read_card, save_weights, write_card

Images = npt.NDArray[np.uint8]

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
    """Write G and E's weights and card: shipped, brought, or trained on `recognizer` and `train`.

    Raises:
        ValueError: the shipped generator, a brought one or the authors' does not fit the images, or the
            network's stages do not; a file is missing or damaged, or does not fit its card.
    """
    if isinstance(settings, FileGenerator):
        return _brought(settings, compute, open_array(images).shape[1], weights=weights, card=card)
    if isinstance(settings, AuthorsGenerator):
        return take_models(settings.models, open_array(images).shape[1], weights=weights, card=card)
    if settings.source == "shipped":
        return _shipped(open_array(images).shape[1], weights=weights, card=card)
    device = prepare_torch(compute)
    everyone = read_table(table)
    rows = np.flatnonzero(everyone["split"].isin(TRAINING_SPLITS))
    pixels = read_images(images, rows)
    if isinstance(settings, EigenfacesGenerator):
        return _eigenfaces(settings, seed, pixels, weights=weights, card=card)
    steps, rate = settings.training.steps, settings.training.learning_rate
    loop = LoopSettings(
        steps=steps,
        learning_rate=rate,
        warmup_steps=min(200, steps // 10 + 1),
        precision=compute.precision,
        device=device.type,
        seed=seed,
    )
    schema = read_schema(attributes)
    labelled = isinstance(settings, TunedGenerator) or settings.training.attribute_weight > 0
    labels = None
    if labelled and len(schema):
        labels = schema.encode(schema.known_from_table(everyone.iloc[rows]).values, count=len(rows))
    names = schema.names if labels is not None else []
    if isinstance(settings, TunedGenerator):
        return _tuned(
            settings, loop, pixels, labels, names, weights=weights, card=card, checkpoint=checkpoint
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


def _tuned(
    settings: TunedGenerator,
    loop: LoopSettings,
    pixels: Images,
    labels: npt.NDArray[np.float32] | None,
    names: Sequence[str],
    *,
    weights: Path,
    card: Path,
    checkpoint: Path,
) -> dict[str, Any]:
    """Write a brought generator whose G was trained on with images (n, size, size, 3) and their labels."""
    started = _opened(settings, torch.device(loop.device), pixels.shape[1])
    origin = read_card(settings.card_path, GENERATOR_KEYS)
    if not isinstance(started.networks, Autoencoder):
        raise ValueError(
            f"generator.weights: found {settings.weights}, whose networks cannot be trained on; allowed is "
            "a generator that was trained with generator.source: train, or shipped"
        )
    history = tune_generator(started, pixels, settings.training, loop, labels=labels, checkpoint=checkpoint)
    digest = sha256_file(settings.weights)
    told = f"G trained on from a file with sha256 {digest}, whose card says: {origin['provenance']}"
    training = settings.training.model_dump(mode="json")
    # E, and with it what the codes say of attributes, is the origin's.
    told_of = names if settings.training.reading_weight > 0 else []
    known = list(dict.fromkeys([*origin["attributes"], *told_of]))
    made = generator_card(pixels, known, origin["network"], training, loop.seed, told)
    save_weights(started.networks, weights, dtype=torch.bfloat16)
    write_card(card, made)
    checkpoint.unlink(missing_ok=True)
    return {
        "weights_sha256": digest,
        "final_losses": {name: values[-1] for name, values in history.losses.items()},
    }


def _eigenfaces(
    settings: EigenfacesGenerator, seed: int, pixels: Images, *, weights: Path, card: Path
) -> dict[str, Any]:
    """Write principal components of images (n, size, size, 3) in place of trained networks."""
    networks = fit_eigenfaces(pixels, settings.code_size, settings.copies, settings.augmentation, seed)
    save_weights(networks, weights)
    network, training = network_card(settings.code_size), settings.model_dump(mode="json")
    write_card(card, generator_card(pixels, [], network, training, seed, "trained by this experiment"))
    return {"smallest_deviation": float(networks.generator.deviations.min())}


def generator_card(
    pixels: Images,
    attributes: Sequence[str],
    network: GeneratorNetwork | Mapping[str, Any],
    training: dict[str, Any],
    seed: int,
    provenance: str,
) -> dict[str, Any]:
    """The card of a generator trained on `pixels` (n, size, size, 3) and their labels of `attributes`."""
    return {
        "image_size": int(pixels.shape[1]),
        "network": network.model_dump(mode="json")
        if isinstance(network, GeneratorNetwork)
        else dict(network),
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


def _brought(
    settings: FileGenerator, compute: Compute, image_size: int, *, weights: Path, card: Path
) -> dict[str, Any]:
    """Copy a generator that fits its card and the images; its card then also has the digest of the file."""
    found = _opened(settings, prepare_torch(compute), image_size)
    digest = sha256_file(settings.weights)
    values = read_card(settings.card_path, GENERATOR_KEYS)
    told = f"brought as a file with sha256 {digest}, whose card says: {values['provenance']}"
    shutil.copyfile(settings.weights, weights)
    write_card(card, values | {"provenance": told})
    return {"weights_sha256": digest, "code_size": found.code_size}


def _opened(
    settings: FileGenerator | TunedGenerator, device: torch.device, image_size: int
) -> LoadedGenerator:
    """The brought generator in float32, which must make images of that side."""
    found = load_generator(settings.weights, settings.card_path, device, torch.float32)
    if found.image_size != image_size:
        raise ValueError(
            f"generator.weights: found {settings.weights}, whose images have a side of {found.image_size}, "
            f"but the data set's have {image_size}; allowed is a generator of that size, or "
            f"dataset.image_size: {found.image_size}"
        )
    return found
