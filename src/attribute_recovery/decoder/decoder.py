"""The decoder p(x given z): G after T, sampled."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attribute_recovery.decoder.transformer import LatentTransformer
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.tracking.digest import sha256_file
from attribute_recovery.training.device import chunks, frozen
from attribute_recovery.training.weights import load_into, read_card

CARD_KEYS = {
    "code_size",
    "embedding_size",
    "hidden",
    "blocks",
    "sampling_steps",
    "recognizer_sha256",
    "generator_sha256",
}

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Decoder:
    """T and G.

    Attributes:
        transformer: T, frozen, float32.
        generator: G and E.
        steps: of the flow from noise to a code.
        device: where both run.
    """

    transformer: LatentTransformer
    generator: LoadedGenerator
    steps: int
    device: torch.device

    def codes(self, embedding: Tensor, noise: Tensor) -> Tensor:
        """Codes w ~ p(w given z), (n, code_size), of embeddings (n, d) and normal noise (n, code_size)."""
        with torch.no_grad():
            return self.transformer.sample(embedding.to(self.device), noise.to(self.device), self.steps)

    def sample(self, embeddings: Floats, n_samples: int, seed: int, *, batch_size: int = 1024) -> Floats:
        """Codes w ~ p(w given z): n_samples for each embedding.

        Sample j of row i uses the same noise in every call, so that an embedding and its moved copy are
        compared by common random numbers when they stand in the same row. Rows have noise of their own: if
        they shared it, a figure averaged over rows would rest on n_samples draws in all, however many rows.

        Args:
            embeddings: (n, d), unit length.
            n_samples: at least 1.
            seed: of the noise.
            batch_size: codes at once; results do not depend on it.

        Returns:
            float32 (n, n_samples, code_size).
        """
        size = self.transformer.code_size
        result = np.empty((len(embeddings), n_samples, size), np.float32)
        for part in chunks(len(embeddings), max(1, batch_size // n_samples)):
            noise = np.stack([row_noise(row, n_samples, size, seed) for row in range(part.start, part.stop)])
            repeated = torch.from_numpy(embeddings[part]).repeat_interleave(n_samples, 0)
            found = self.codes(repeated, torch.from_numpy(noise).flatten(0, 1))
            result[part] = found.view(-1, n_samples, size).cpu().numpy()
        return result


def row_noise(row: int, n_samples: int, code_size: int, seed: int) -> Floats:
    """Standard normal noise (n_samples, code_size) of a row, its first samples the same for any n_samples."""
    rng = np.random.default_rng([seed, 77, row])
    return rng.standard_normal((n_samples, code_size), dtype=np.float32)


def load_decoder(weights: Path, card: Path, generator: LoadedGenerator) -> Decoder:
    """Read T from weights and card.

    Args:
        weights: safetensors file.
        card: its card.
        generator: what T is to stand before.

    Returns:
        The decoder, on the generator's device.

    Raises:
        ValueError: a file is missing or damaged, or weights, card and generator do not fit each other.
    """
    values = read_card(card, CARD_KEYS)
    if values["code_size"] != generator.code_size:
        raise ValueError(
            f"{card}: found code_size {values['code_size']}, allowed is {generator.code_size}, "
            "the length of the generator's codes"
        )
    network = LatentTransformer(
        values["code_size"], values["embedding_size"], values["hidden"], values["blocks"]
    )
    load_into(network, weights)
    return Decoder(frozen(network, generator.device), generator, values["sampling_steps"], generator.device)


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
    values = read_card(card, CARD_KEYS)
    for name, path in (("generator", generator_weights), ("recognizer", recognizer_weights)):
        wanted, found = values[f"{name}_sha256"], sha256_file(path)
        if found != wanted:
            raise ValueError(
                f"{path}: found sha256 {found}, allowed is {wanted}, the {name} that {card} was trained for; "
                "train the decoder again"
            )
