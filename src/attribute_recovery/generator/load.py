"""G and E as the later stages use them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attribute_recovery.config import GeneratorNetwork
from attribute_recovery.generator.authors import ARCHITECTURE, AuthorsAutoencoder, untrained
from attribute_recovery.generator.cards import GENERATOR_KEYS
from attribute_recovery.generator.eigenfaces import ARCHITECTURE as EIGENFACES
from attribute_recovery.generator.eigenfaces import Eigenfaces
from attribute_recovery.generator.stylegan2 import OffsetGenerator
from attribute_recovery.generator.train import Autoencoder, to_tensor
from attribute_recovery.training.device import chunks, frozen
from attribute_recovery.training.weights import load_into, read_card

Images = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.float32]


# Pixels of the images that a StyleGAN2 decodes at once: each needs about 1 kB for its features.
PIXELS_AT_ONCE = 8 * 256**2


@dataclass(frozen=True)
class LoadedGenerator:
    """G and E, frozen.

    Attributes:
        networks: the autoencoder, weights float32; trained here, or the authors'.
        image_size: side of its images in pixels.
        device: where it runs.
        dtype: precision of convolutions; codes and images are float32 outside.
    """

    networks: Autoencoder | AuthorsAutoencoder | Eigenfaces
    image_size: int
    device: torch.device
    dtype: torch.dtype

    @property
    def code_size(self) -> int:
        """Length of the code."""
        return self.networks.generator.code_size

    @property
    def at_once(self) -> int | None:
        """Images that are decoded at once, however many codes there are; None where there is no bound."""
        if isinstance(self.networks.generator, OffsetGenerator):
            return max(1, PIXELS_AT_ONCE // self.image_size**2)
        return None

    def encode(self, image: Tensor) -> Tensor:
        """Codes (n, code_size) float32 of images (n, 3, size, size) in [-1, 1]; differentiable.

        Raises:
            ValueError: the images have another size.
        """
        if image.shape[1:] != (3, self.image_size, self.image_size):
            size = (3, self.image_size, self.image_size)
            raise ValueError(f"image: found shape {tuple(image.shape[1:])}, the generator's is {size}")
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            code: Tensor = self.networks.encoder(image.to(self.device, memory_format=torch.channels_last))
        return code.float()

    def decode(self, code: Tensor) -> Tensor:
        """Images (n, 3, size, size) float32, clamped to [-1, 1], of codes (n, code_size); differentiable."""
        if self.at_once is not None and len(code) > self.at_once:
            return torch.cat([self.decode(code[part]) for part in chunks(len(code), self.at_once)])
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            image: Tensor = self.networks.generator(code.to(self.device))
        return image.float().clamp(-1, 1)

    def encode_images(self, images: Images, *, batch_size: int = 64) -> Codes:
        """Codes (n, code_size) of images (n, size, size, 3) uint8, whatever the batch size."""
        with torch.no_grad():
            parts = [self.encode(to_tensor(images[part])).cpu() for part in chunks(len(images), batch_size)]
        return torch.cat(parts).numpy()


def load_generator(weights: Path, card: Path, device: torch.device, dtype: torch.dtype) -> LoadedGenerator:
    """Read G and E from weights and card.

    Raises:
        ValueError: a file is missing or damaged, or weights and card do not fit each other.
    """
    values = read_card(card, GENERATOR_KEYS)
    size = int(values["image_size"])
    networks: Autoencoder | AuthorsAutoencoder | Eigenfaces
    if values["network"].get("architecture") == EIGENFACES:
        # Two matrix products: bf16 would save nothing and round every pixel.
        networks, dtype = Eigenfaces(size, int(values["network"]["code_size"])), torch.float32
    elif values["network"].get("architecture") == ARCHITECTURE:
        # f is in E, and is always run in float32.
        networks, dtype = untrained(values, card), torch.float32
    else:
        networks = Autoencoder(size, GeneratorNetwork.model_validate(values["network"]))
    load_into(networks, weights)
    return LoadedGenerator(frozen(networks, device), size, device, dtype)
