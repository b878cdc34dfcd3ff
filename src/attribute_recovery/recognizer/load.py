"""A recognizer read back from weights and card, and run exactly as its card says."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.recognizer.card import RecognizerCard, check_weights, read_recognizer_card
from attribute_recovery.recognizer.crops import to_crops
from attribute_recovery.recognizer.exported import load_exported
from attribute_recovery.recognizer.networks import EmbeddingNetwork
from attribute_recovery.recognizer.onnx_runtime import load_onnx
from attribute_recovery.recognizer.program import load_torchscript
from attribute_recovery.recognizer.python_function import load_python
from attribute_recovery.training.device import chunks, frozen
from attribute_recovery.training.weights import load_into

Images = npt.NDArray[np.uint8]
Embeddings = npt.NDArray[np.float32]

_SOURCES = {
    "own": "the network's own, in torch",
    "converted": "a torch module of the ONNX graph, which agrees with ONNX Runtime on the data set's images",
    "none": "none: a black box, of which only forward passes are known",
}


class Recognizer:
    """f: aligned crops to points on the unit hypersphere; its weights are closed to gradients, its input not.

    A black box gives no gradient: asking for one raises RuntimeError, which says why.

    Args:
        network: maps (n, channels, crop_size, crop_size) in the card's order and range to
            (n, embedding_size).
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

    @property
    def gradient_source(self) -> str:
        """Which way gradients are taken, in words for a report."""
        if not self.differentiable:
            return _SOURCES["none"]
        return _SOURCES["converted" if self.card.architecture == "onnx" else "own"]

    def represent(self, images: Tensor) -> Tensor:
        """Embeddings before normalisation.

        Args:
            images: RGB crops in [-1, 1], (n, 3, side, side), in the template of the data set that the
                recognizer was fitted to; another side or template than the card's is resampled.

        Returns:
            float32 (n, embedding_size), differentiable with respect to the images if `differentiable`;
            computed in the card's precision even where the caller runs under autocast.

        Raises:
            ValueError: the images have another shape or are no floating point numbers, or the network does
                not give one embedding of the card's size for each.
        """
        shape = tuple(images.shape)
        if images.ndim != 4 or shape[1] != 3 or shape[2] != shape[3] or not images.is_floating_point():
            raise ValueError(
                f"images: found {images.dtype} {shape}, allowed is floating point (n, 3, side, side)"
            )
        kind = self.device.type
        with torch.autocast(kind, enabled=False):
            crops = to_crops(images.to(self.device, torch.float32), self.card)
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=self.card.precision == "bf16"):
            features: Tensor = self.network(crops)
        wanted = (len(images), self.embedding_size)
        if tuple(features.shape) != wanted:
            raise ValueError(
                f"recognizer {self.card.name!r}: found embeddings {tuple(features.shape)} of {len(images)} "
                f"images, allowed is {wanted}, as the card says"
            )
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


def load_recognizer(weights: Path, card: Path, device: torch.device) -> Recognizer:
    """Read a recognizer.

    Args:
        weights: safetensors, ONNX, an exported program, TorchScript, or a reference to a function, as the
            card's architecture says.
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
    return Recognizer(read_network(weights, described, card, device), described, device)


def network_of(card: RecognizerCard) -> nn.Module:
    """An untrained network of the sizes of a card: ours, or one of the catalogue's.

    Args:
        card: architecture and sizes.

    Returns:
        Maps (n, 3, crop_size, crop_size) to (n, embedding_size).

    Raises:
        ValueError: the architecture cannot be made in these sizes.
    """
    if card.architecture == "residual":
        return EmbeddingNetwork(card.crop_size, card.channels or (), card.embedding_size)
    from attribute_recovery.recognizer.architectures import catalogue

    network: nn.Module = catalogue.build(card.architecture, card.embedding_size, card.crop_size)
    return network


def read_network(weights: Path, card: RecognizerCard, path: Path, device: torch.device) -> nn.Module:
    """Read a network's file as the card says.

    Args:
        weights: the file.
        card: what it is.
        path: of the card, for errors.
        device: where the network is to run.

    Returns:
        Maps (n, channels, crop_size, crop_size) to (n, embedding_size).

    Raises:
        ValueError: the file is damaged, or is not what the card says.
    """
    match card.architecture:
        case "onnx":
            return load_onnx(weights, card)
        case "exported":
            return load_exported(weights, card, device)
        case "torchscript":
            return load_torchscript(weights, card, device)
        case "python":
            return load_python(weights, card)
    try:
        network = network_of(card)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    load_into(network, weights)
    return network
