"""T of the authors as the stage's own: it lies in the generator's weights, as the second half of E."""

from pathlib import Path

import torch

from attribute_recovery.generator.authors import AuthorsAutoencoder
from attribute_recovery.generator.cards import GENERATOR_KEYS
from attribute_recovery.generator.load import load_generator
from attribute_recovery.tracking.digest import sha256_file
from attribute_recovery.training.weights import read_card, save_weights, write_card


def take_transformer(
    generator: tuple[Path, Path], recognizer_weights: Path, *, weights: Path, card: Path
) -> None:
    """Write the authors' T with a card that names this generator and this recognizer.

    Args:
        generator: weights and card of the stage `generator`.
        recognizer_weights: of the stage `recognizer`.
        weights: safetensors, written.
        card: written, keys as in `generator.cards.TRANSFORMER_KEYS`.

    Raises:
        ValueError: a file is missing or damaged, the generator is not the authors', or the recognizer is
            another one than T knows the embeddings of.
    """
    loaded = load_generator(*generator, torch.device("cpu"), torch.float32)
    networks = loaded.networks
    if not isinstance(networks, AuthorsAutoencoder):
        raise ValueError(f"{generator[1]}: found a generator without T, allowed is the authors'")
    encoder = read_card(generator[1], GENERATOR_KEYS)["network"]["encoder"]
    found, wanted = sha256_file(recognizer_weights), encoder["weights_sha256"]
    if found != wanted:
        raise ValueError(
            f"{recognizer_weights}: found sha256 {found}, allowed is {wanted}, the recognizer whose "
            "embeddings the authors' T decodes"
        )
    save_weights(networks.encoder.transformer, weights)
    write_card(
        card,
        {
            "code_size": loaded.code_size,
            "embedding_size": encoder["embedding_size"],
            "hidden": encoder["hidden"],
            "blocks": encoder["blocks"],
            "directions": 0,
            "sampling_steps": 0,
            "recognizer_sha256": found,
            "generator_sha256": sha256_file(generator[0]),
        },
    )
