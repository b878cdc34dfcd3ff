"""The decoder p(x given z): G after T, sampled."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attribute_recovery.decoder.transformer import LatentTransformer
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.training.device import chunks, frozen
from attribute_recovery.training.weights import load_into, read_card

CARD_KEYS = {"code_size", "embedding_size", "hidden", "blocks", "sampling_steps", "recognizer_sha256", "generator_sha256"}

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
        """Codes w ~ p(w given z), (n, code_size), of embeddings (n, d) and standard normal noise (n, code_size)."""
        with torch.no_grad():
            return self.transformer.sample(embedding.to(self.device), noise.to(self.device), self.steps)

    def sample(self, embeddings: Floats, n_samples: int, seed: int, *, batch_size: int = 1024) -> Floats:
        """Codes (n, n_samples, code_size) of embeddings (n, d).

        Sample j of every embedding uses the same noise, so that embeddings are compared by common random numbers; the
        noise depends on the seed and on j alone.
        """
        size = self.transformer.code_size
        noise = torch.from_numpy(common_noise(n_samples, size, seed))
        each = max(1, batch_size // n_samples)
        parts = []
        for part in chunks(len(embeddings), each):
            embedding = torch.from_numpy(embeddings[part]).repeat_interleave(n_samples, 0)
            found = self.codes(embedding, noise.repeat(len(embedding) // n_samples, 1))
            parts.append(found.view(-1, n_samples, size).cpu().numpy())
        return np.concatenate(parts)


def common_noise(n_samples: int, code_size: int, seed: int) -> Floats:
    """Standard normal noise (n_samples, code_size), the first rows the same whatever n_samples is."""
    return np.random.default_rng([seed, 77]).standard_normal((n_samples, code_size), dtype=np.float32)


def load_decoder(weights: Path, card: Path, generator: LoadedGenerator) -> Decoder:
    """Read T from weights and card, to stand before `generator`.

    Raises:
        ValueError: a file is missing or damaged, or weights, card and generator do not fit each other.
    """
    values = read_card(card, CARD_KEYS)
    if values["code_size"] != generator.code_size:
        raise ValueError(f"{card}: code_size {values['code_size']}, but the generator's codes have {generator.code_size}")
    network = LatentTransformer(values["code_size"], values["embedding_size"], values["hidden"], values["blocks"])
    load_into(network, weights)
    return Decoder(frozen(network, generator.device), generator, values["sampling_steps"], generator.device)
