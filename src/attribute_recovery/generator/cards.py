"""What the cards of G and of T hold; that of T names its recognizer and its generator by their digests."""

from pathlib import Path

from attribute_recovery.tracking.digest import sha256_file
from attribute_recovery.training.weights import read_card

GENERATOR_KEYS = {
    "image_size",
    "network",
    "images_sha256",
    "images",
    "training",
    "seed",
    "attributes",
    "licence",
    "provenance",
}
# Of T that samples a flow, and of T that is one point, whose `sampling_steps` are 0.
TRANSFORMER_KEYS = {
    "code_size",
    "embedding_size",
    "hidden",
    "blocks",
    "directions",
    "sampling_steps",
    "recognizer_sha256",
    "generator_sha256",
}


def check_origin(card: Path, *, generator_weights: Path, recognizer_weights: Path) -> None:
    """Make sure that T was trained for this generator and this recognizer.

    T of another recognizer would give images without an error, and every figure would be about nothing.

    Args:
        card: of T.
        generator_weights: the generator's file.
        recognizer_weights: the recognizer's.

    Raises:
        ValueError: the card is missing or damaged, or names other weights.
    """
    values = read_card(card, TRANSFORMER_KEYS)
    for name, path in (("generator", generator_weights), ("recognizer", recognizer_weights)):
        wanted, found = values[f"{name}_sha256"], sha256_file(path)
        if found != wanted:
            raise ValueError(
                f"{path}: found sha256 {found}, allowed is {wanted}, the {name} that {card} was trained for; "
                "train the decoder again"
            )
