"""A recognizer read back from weights and card, and run exactly as its card says."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.recognizer.card import RecognizerCard, check_weights, read_recognizer_card
from attribute_recovery.recognizer.networks import EmbeddingNetwork
from attribute_recovery.training.device import chunks, frozen
from attribute_recovery.training.weights import load_into

Images = npt.NDArray[np.uint8]
Embeddings = npt.NDArray[np.float32]


class Recognizer:
    """f: aligned crops to points on the unit hypersphere; its weights are closed to gradients, its input not.

    Args:
        network: maps (n, 3, crop_size, crop_size) in the card's order and range to (n, embedding_size).
        card: how it is run.
        device: where it is run.
    """

    def __init__(self, network: nn.Module, card: RecognizerCard, device: torch.device) -> None:
        self.card, self.device = card, device
        self.network = frozen(network, device)

    @property
    def embedding_size(self) -> int:
        """d."""
        return self.card.embedding_size

    @property
    def crop_size(self) -> int:
        """Side of the crops in pixels that it takes as they are."""
        return self.card.crop_size

    @property
    def differentiable(self) -> bool:
        """Whether gradients of embeddings with respect to images can be had."""
        return bool(getattr(self.network, "differentiable", True))

    def represent(self, images: Tensor) -> Tensor:
        """Embeddings before normalisation.

        Args:
            images: RGB crops in [-1, 1], (n, 3, side, side); another side than the card's is resampled.

        Returns:
            float32 (n, embedding_size), differentiable with respect to the images; computed in the card's
            precision even where the caller runs under autocast.

        Raises:
            ValueError: the images have another shape or are no floating point numbers.
        """
        shape = tuple(images.shape)
        if images.ndim != 4 or shape[1] != 3 or shape[2] != shape[3] or not images.is_floating_point():
            raise ValueError(
                f"images: found {images.dtype} {shape}, allowed is floating point (n, 3, side, side)"
            )
        kind = self.device.type
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=self.card.precision == "bf16"):
            features: Tensor = self.network(self._crops(images.to(self.device, torch.float32)))
        return features.float()

    def embed(self, images: Tensor) -> Tensor:
        """z = f(x)/‖f(x)‖, float32 (n, embedding_size) of length 1; otherwise as `represent`."""
        return nn.functional.normalize(self.represent(images))

    def represent_batches(self, images: Images, batch_size: int = 64) -> Embeddings:
        """`represent` for stored images, without gradients.

        Args:
            images: RGB crops, uint8 (n, side, side, 3).
            batch_size: images at once; the result does not depend on it.

        Returns:
            float32 (n, embedding_size), not normalised.

        Raises:
            ValueError: the images have another shape or kind.
        """
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise ValueError(
                f"images: found {images.dtype} {images.shape}, allowed is uint8 (n, side, side, 3)"
            )
        result = np.empty((len(images), self.embedding_size), np.float32)
        with torch.no_grad():
            for part in chunks(len(images), batch_size):
                values = torch.from_numpy(np.ascontiguousarray(images[part])).to(self.device)
                result[part] = self.represent(values.permute(0, 3, 1, 2).float() / 127.5 - 1).cpu().numpy()
        return result

    def embed_batches(self, images: Images, batch_size: int = 64) -> Embeddings:
        """`embed` for stored images: float32 (n, embedding_size); otherwise as `represent_batches`."""
        features = torch.from_numpy(self.represent_batches(images, batch_size))
        return np.asarray(nn.functional.normalize(features))

    def _crops(self, images: Tensor) -> Tensor:
        """Images as the network takes them: size, channel order and value range of the card."""
        card = self.card
        if images.shape[2] != card.crop_size:
            side = (card.crop_size, card.crop_size)
            images = nn.functional.interpolate(images, side, mode=card.interpolation, antialias=True)
        if card.channel_order == "BGR":
            images = images.flip(1)
        low, high = card.value_range
        if (low, high) != (-1.0, 1.0):
            images = low + (images + 1) * ((high - low) / 2)
        return images.contiguous(memory_format=torch.channels_last)


def load_recognizer(weights: Path, card: Path, device: torch.device) -> Recognizer:
    """Read a recognizer.

    Args:
        weights: safetensors file.
        card: its card, see `card.RecognizerCard`.
        device: where it is to run.

    Returns:
        The recognizer in evaluation mode.

    Raises:
        ValueError: the card is missing or not valid, the weights are not those of the card or are damaged, or
            their shapes are not those that the card's sizes make.
    """
    described = read_recognizer_card(card)
    check_weights(described, weights)
    try:
        network = EmbeddingNetwork(described.crop_size, described.channels, described.embedding_size)
    except ValueError as error:
        raise ValueError(f"{card}: {error}") from error
    load_into(network, weights)
    return Recognizer(network, described, device)
