"""The decoder p(x given z): G after T, sampled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attribute_recovery.decoder.transformer import LatentTransformer
from attribute_recovery.generator.cards import TRANSFORMER_KEYS
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.generator.point_encoder import PointTransformer
from attribute_recovery.training.device import chunks, frozen
from attribute_recovery.training.weights import load_into, read_card

# A distribution of codes, or one code, for each embedding.
Transformer = LatentTransformer | PointTransformer

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Decoder:
    """T and G.

    Attributes:
        transformer: T, frozen, float32.
        generator: G and E.
        steps: of the flow from noise to a code; 0 where T is of one point and takes no noise.
        device: where both run.
    """

    transformer: Transformer
    generator: LoadedGenerator
    steps: int
    device: torch.device

    @property
    def one_point(self) -> bool:
        """Whether all samples of an embedding are the same code."""
        return self.steps == 0

    def codes(self, embedding: Tensor, noise: Tensor) -> Tensor:
        """Codes w ~ p(w given z), (n, code_size), of embeddings (n, d) and normal noise (n, code_size)."""
        with torch.no_grad():
            return self.transformer.sample(embedding.to(self.device), noise.to(self.device), self.steps)

    def sample(
        self,
        embeddings: Floats,
        n_samples: int,
        seed: int,
        *,
        antithetic: bool = False,
        batch_size: int = 1024,
    ) -> Floats:
        """Codes w ~ p(w given z): n_samples for each embedding.

        Sample j of row i uses the same noise in every call, so that an embedding and its moved copy are
        compared by common random numbers when they stand in the same row. Rows have noise of their own: if
        they shared it, a figure averaged over rows would rest on n_samples draws in all, however many rows.

        Args:
            embeddings: (n, d), unit length.
            n_samples: at least 1.
            seed: of the noise.
            antithetic: see `row_noise`; for means over samples, which then vary less.
            batch_size: codes at once; results do not depend on it.

        Returns:
            float32 (n, n_samples, code_size).
        """
        size = self.transformer.code_size
        result = np.empty((len(embeddings), n_samples, size), np.float32)
        if self.one_point:
            for part in chunks(len(embeddings), batch_size):
                given = torch.from_numpy(embeddings[part])
                result[part] = self.codes(given, given.new_zeros(len(given), 1)).cpu().numpy()[:, None]
            return result
        for part in chunks(len(embeddings), max(1, batch_size // n_samples)):
            rows = range(part.start, part.stop)
            noise = np.stack([row_noise(row, n_samples, size, seed, antithetic=antithetic) for row in rows])
            repeated = torch.from_numpy(embeddings[part]).repeat_interleave(n_samples, 0)
            found = self.codes(repeated, torch.from_numpy(noise).flatten(0, 1))
            result[part] = found.view(-1, n_samples, size).cpu().numpy()
        return result


def row_noise(row: int, n_samples: int, code_size: int, seed: int, *, antithetic: bool = False) -> Floats:
    """Standard normal noise (n_samples, code_size) of a row, its first samples the same for any n_samples.

    Antithetic noise comes in pairs of opposite signs, samples 0 and 1, 2 and 3 and so on (Hammersley &
    Morton, Proc. Camb. Phil. Soc. 52, 1956): each sample is distributed as before, and what is odd in the
    noise drops out of their mean.
    """
    rng = np.random.default_rng([seed, 77, row])
    if not antithetic:
        return rng.standard_normal((n_samples, code_size), dtype=np.float32)
    half = rng.standard_normal(((n_samples + 1) // 2, code_size), dtype=np.float32)
    both: Floats = np.stack([half, -half], axis=1).reshape(-1, code_size)[:n_samples]
    return both


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
    values = read_card(card, TRANSFORMER_KEYS)
    if values["code_size"] != generator.code_size:
        raise ValueError(
            f"{card}: found code_size {values['code_size']}, allowed is {generator.code_size}, "
            "the length of the generator's codes"
        )
    network = _network(values)
    if network.code_size != values["code_size"]:
        raise ValueError(
            f"{card}: found code_size {values['code_size']}, its blocks and width make {network.code_size}"
        )
    load_into(network, weights)
    return Decoder(frozen(network, generator.device), generator, values["sampling_steps"], generator.device)


def _network(values: dict[str, Any]) -> Transformer:
    """T as its card describes it: of one point where nothing is sampled."""
    if values["sampling_steps"] == 0:
        return PointTransformer(values["embedding_size"], values["blocks"], values["hidden"])
    sizes = values["code_size"], values["embedding_size"], values["hidden"], values["blocks"]
    return LatentTransformer(*sizes, values["directions"])
