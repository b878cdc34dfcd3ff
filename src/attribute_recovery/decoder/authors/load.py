"""The authors' models read back from weights and cards, and run: image → embedding → code → image."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.generator.authors import AuthorsAutoencoder, read_models
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.generator.point_encoder import PointTransformer
from attribute_recovery.generator.train import Autoencoder


@dataclass(frozen=True)
class AuthorsModels:
    """Recognizer, T and G of the reference, frozen, float32.

    Attributes:
        networks: G, and E, which has the recognizer and T in it.
        device: where they run.
    """

    networks: AuthorsAutoencoder
    device: torch.device

    @property
    def transformer(self) -> PointTransformer:
        """T."""
        return self.networks.encoder.transformer

    @property
    def crop_size(self) -> int:
        """Side of the recognizer's crops."""
        return self.networks.encoder.crop_size

    def represent(self, images: Tensor) -> Tensor:
        """Embeddings (n, d) before normalisation of images (n, 3, h, w) in [-1, 1]."""
        return self.networks.encoder.represent(images.to(self.device, torch.float32))

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (n, d) of unit length of images (n, 3, h, w) in [-1, 1]."""
        return self.networks.encoder.embed(images.to(self.device, torch.float32))

    def styles(self, embedding: Tensor) -> Tensor:
        """Codes in W+ with the mean added, (n, layers, style_size), of embeddings (n, d) of unit length."""
        code = self.transformer(embedding.to(self.device, torch.float32))
        return self.networks.generator.styles(code)

    def decode(self, embedding: Tensor) -> Tensor:
        """Images (n, 3, size, size), about in [-1, 1], not clamped, of embeddings (n, d) of unit length."""
        image: Tensor = self.networks.generator.network(self.styles(embedding))
        return image

    def generator(self) -> LoadedGenerator:
        """G and E as the stages take them."""
        networks = cast(Autoencoder, self.networks)  # has the two parts that are used
        return LoadedGenerator(networks, self.networks.generator.size, self.device, torch.float32)

    def decoder(self) -> Decoder:
        """G after T as the stages take it; all samples of an embedding are the same."""
        return Decoder(self.transformer, self.generator(), 0, self.device)


def load_authors(models: Path, device: torch.device) -> AuthorsModels:
    """Read what `convert.import_authors` wrote.

    Args:
        models: the folder.
        device: where the models are to run.

    Returns:
        The models.

    Raises:
        ValueError: a file is missing or damaged, weights and card do not fit each other, or T is of another
            recognizer or generator.
    """
    networks, _ = read_models(models)
    return AuthorsModels(networks.to(device).requires_grad_(False), device)
