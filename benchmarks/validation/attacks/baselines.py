"""What others decode embeddings with, trained on what the product's decoder is trained on: three ways from an
embedding to one image, always the same.

    mean       a regressor of pixels by squared error, which ends at the mean of all images of an embedding
    nbnet      neighbourly deconvolution blocks (NbNet-A; Mai, Cao, Yuen & Jain, TPAMI 41, 2019), absolute
               error of pixels and a perceptual loss, here of f's own features
    one-point  the reference's ID encoder before the product's G: the code by squared error, and
               1 − cos(f(G(w)), z)

None has noise to draw from, so none has a spread.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.decoder.pairs import mirrored_pairs
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.generator.networks import Generator
from attribute_recovery.generator.quality import to_pixels
from attribute_recovery.generator.stylegan2 import EqualisedLinear
from attribute_recovery.generator.train import to_tensor
from attribute_recovery.recognizer.crops import to_crops
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.recognizer.networks import EmbeddingNetwork
from attribute_recovery.training.batches import batch_rows
from attribute_recovery.training.device import chunks
from attribute_recovery.training.loop import LoopSettings, train

Floats = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]
Decode = Callable[[Tensor], Tensor]

# Channels of a neighbourly convolution, as published.
NEIGHBOURS = 8
# f's features that are compared: those of this stage of its trunk, at a quarter of the image's side.
PERCEPTUAL_STAGE = 2
PERCEPTUAL_WEIGHT = 1.0
# Embeddings a step whose codes are decoded and embedded again; codes are compared in four times as many.
IDENTITY_WEIGHT = 3.0
CODES_A_DECODED = 4
# Standard deviations from the mean code that the one point may reach.
REACH = 3.0
POINT_WIDTH, POINT_LAYERS = 384, 8


@dataclass(frozen=True)
class Lessons:
    """What decoders learn from: the images of the split `train` and their mirror images.

    Attributes:
        images: (n, side, side, 3).
        embeddings: theirs by f, unit length, (n, d).
        codes: E(x), (n, code_size).
    """

    images: Images
    embeddings: Floats
    codes: Floats


@dataclass(frozen=True)
class Size:
    """How large and how long.

    Attributes:
        channels: of features, at 4 × 4 and from there on to the image's side or half of it.
        steps: of the training.
        batch_size: images a step.
        learning_rate: at its highest.
    """

    channels: tuple[int, ...]
    steps: int
    batch_size: int
    learning_rate: float


@dataclass(frozen=True)
class Around:
    """What stands around a decoder in training.

    Attributes:
        recognizer: f.
        generator: G and E.
        loop: of the optimisation, its steps and learning rate aside.
    """

    recognizer: Recognizer
    generator: LoadedGenerator
    loop: LoopSettings


def lessons_of(
    images: Images, embeddings: Floats, codes: Floats, recognizer: Recognizer, generator: LoadedGenerator
) -> Lessons:
    """Images (n, side, side, 3) with embeddings (n, d) and codes (n, code_size), and all mirrored."""
    mirrored = mirrored_pairs(generator, recognizer, images)
    return Lessons(
        np.concatenate([images, images[:, :, ::-1]]),
        np.concatenate([embeddings, mirrored.embeddings]),
        np.concatenate([codes, mirrored.codes]),
    )


class MeanRegressor(nn.Module):
    """The product's G, given the embedding in the code's place.

    Args:
        size: side of the image.
        embedding_size: d.
        channels: at 4 × 4 up to half the image's side.
    """

    def __init__(self, size: int, embedding_size: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.generator = Generator(size, embedding_size, channels, [1] * len(channels))

    def forward(self, embedding: Tensor) -> Tensor:
        """Images (n, 3, size, size) of embeddings (n, d)."""
        image: Tensor = self.generator(embedding * math.sqrt(embedding.shape[1]))
        return image


class NeighbourlyBlock(nn.Module):
    """Doubles the side: half of the channels by a deconvolution, the others by convolutions of eight
    channels, each of which sees all channels made so far.

    Args:
        inputs: channels.
        outputs: channels, a multiple of 16.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.deconvolution = _followed(nn.ConvTranspose2d(inputs, half, 4, stride=2, padding=1, bias=False))
        self.neighbours = nn.ModuleList(
            _followed(nn.Conv2d(known, NEIGHBOURS, 3, padding=1, bias=False))
            for known in range(half, outputs, NEIGHBOURS)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, inputs, h, w) to (n, outputs, 2h, 2w)."""
        known: Tensor = self.deconvolution(features)
        for neighbour in self.neighbours:
            known = torch.cat([known, neighbour(known)], dim=1)
        return known


def _followed(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU())


class NeighbourlyNetwork(nn.Module):
    """NbNet-A: embeddings (n, d) to images (n, 3, side, side).

    Args:
        embedding_size: d.
        channels: at 4 × 4 up to the image's side, all but the first multiples of 16.
    """

    def __init__(self, embedding_size: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.start = _followed(nn.ConvTranspose2d(embedding_size, channels[0], 4, bias=False))
        self.blocks = nn.Sequential(
            *(NeighbourlyBlock(low, high) for low, high in zip(channels[:-1], channels[1:], strict=True))
        )
        self.image = nn.Conv2d(channels[-1], 3, 3, padding=1)

    def forward(self, embedding: Tensor) -> Tensor:
        """Images (n, 3, side, side) in (−1, 1) of embeddings (n, d)."""
        scaled = embedding * math.sqrt(embedding.shape[1])
        return torch.tanh(self.image(self.blocks(self.start(scaled[:, :, None, None]))))


class OnePoint(nn.Module):
    """The reference's ID encoder for codes of one style: equalised linear layers, a hyperbolic tangent last.

    Args:
        embedding_size: d.
        codes: of the split `train`, (n, code_size), for their mean and spread.
    """

    code_mean: Tensor
    code_scale: Tensor

    def __init__(self, embedding_size: int, codes: Floats) -> None:
        super().__init__()
        widths = [embedding_size, *[POINT_WIDTH] * (POINT_LAYERS - 1)]
        last = EqualisedLinear(widths[-1], codes.shape[1])
        nn.init.normal_(last.weight, std=0.1)  # begins near the mean code, where the tangent has a slope
        self.layers = nn.Sequential(
            *(
                EqualisedLinear(low, high, activated=True)
                for low, high in zip(widths[:-1], widths[1:], strict=True)
            ),
            last,
        )
        self.register_buffer("code_mean", torch.from_numpy(codes.mean(0)))
        # A dead component stays at its mean.
        self.register_buffer("code_scale", torch.from_numpy(np.maximum(codes.std(0), 1e-6)))

    def forward(self, embedding: Tensor) -> Tensor:
        """Codes (n, code_size) of embeddings (n, d)."""
        bounded = torch.tanh(self.layers(embedding * math.sqrt(embedding.shape[1])))
        return self.code_mean + REACH * self.code_scale * bounded


def train_mean(lessons: Lessons, size: Size, around: Around) -> Decode:
    """The regressor of pixels by squared error.

    Args:
        lessons: pairs of embedding and image.
        size: channels at 4 × 4 up to half the image's side, and the training.
        around: f and G are not looked at.
    """
    torch.manual_seed(around.loop.seed)
    network = MeanRegressor(lessons.images.shape[1], lessons.embeddings.shape[1], size.channels)

    def losses(module: nn.Module, step: int) -> dict[str, Tensor]:
        embedding, image, _ = _batch(lessons, size.batch_size, around, step)
        return {"pixels": (module(embedding).float() - image).square().mean()}

    train(network, losses, _loop(size, around), label="mean regressor")
    return _clamped(network)


def train_nbnet(lessons: Lessons, size: Size, around: Around) -> Decode:
    """The network of neighbourly deconvolution blocks.

    Args:
        lessons: pairs of embedding and image.
        size: channels at 4 × 4 up to the image's side, and the training.
        around: f, whose features are compared.

    Raises:
        ValueError: f has no features that can be compared.
    """
    trunk = _trunk_of(around.recognizer)
    torch.manual_seed(around.loop.seed)
    network = NeighbourlyNetwork(lessons.embeddings.shape[1], size.channels)

    def losses(module: nn.Module, step: int) -> dict[str, Tensor]:
        embedding, image, _ = _batch(lessons, size.batch_size, around, step)
        decoded = module(embedding).float()
        with torch.no_grad():
            wanted = trunk(image)
        apart = (trunk(decoded) - wanted).square().mean() / wanted.square().mean()
        return {"pixels": (decoded - image).abs().mean(), "perceptual": PERCEPTUAL_WEIGHT * apart}

    # The statistics of batch norm are those of the last steps, so the weights have to be too.
    train(network, losses, _loop(size, around, averaged=False), label="neighbourly network")
    return _clamped(network)


def train_one_point(lessons: Lessons, size: Size, around: Around) -> Decode:
    """The deterministic transformer before G.

    Args:
        lessons: pairs of embedding and code.
        size: of the training; images a step are those that are decoded.
        around: f and G, through which gradients go.

    Raises:
        ValueError: f gives no gradients.
    """
    recognizer, generator = around.recognizer, around.generator
    if not recognizer.differentiable:
        raise ValueError(
            f"recognizer {recognizer.card.name!r}: found no gradients, allowed is a recognizer with "
            "gradients, through which the one-point transformer is trained"
        )
    torch.manual_seed(around.loop.seed)
    network = OnePoint(lessons.embeddings.shape[1], lessons.codes)

    def losses(module: nn.Module, step: int) -> dict[str, Tensor]:
        rows = _rows(lessons, CODES_A_DECODED * size.batch_size, around, step)
        embedding, wanted = (torch.from_numpy(a[rows]).to(recognizer.device) for a in _codes_of(lessons))
        code = module(embedding).float()
        apart = ((code - wanted) / network.code_scale).square().mean()
        decoded = generator.decode(code[: size.batch_size])
        cosine = (recognizer.embed(decoded) * embedding[: size.batch_size]).sum(1)
        return {"code": apart, "identity": IDENTITY_WEIGHT * (1 - cosine).mean()}

    train(network, losses, _loop(size, around), label="one-point transformer")
    return lambda embedding: generator.decode(network(embedding))


def decoded_images(
    decode: Decode, embeddings: Floats, device: torch.device, *, batch_size: int = 64
) -> Images:
    """Images (n, side, side, 3) that a decoder makes of embeddings (n, d)."""
    with torch.no_grad():
        parts = [
            to_pixels(decode(torch.from_numpy(embeddings[part]).to(device)))
            for part in chunks(len(embeddings), batch_size)
        ]
    return np.concatenate(parts)


def _codes_of(lessons: Lessons) -> tuple[Floats, Floats]:
    return lessons.embeddings, lessons.codes


def _rows(lessons: Lessons, batch_size: int, around: Around, step: int) -> npt.NDArray[np.int64]:
    return batch_rows(len(lessons.images), batch_size, (around.loop.seed,), step)


def _batch(lessons: Lessons, batch_size: int, around: Around, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings (b, d), images (b, 3, side, side) and codes (b, code_size) of a step."""
    rows, device = _rows(lessons, batch_size, around, step), around.recognizer.device
    embedding, code = (torch.from_numpy(array[rows]).to(device) for array in _codes_of(lessons))
    return embedding, to_tensor(lessons.images[rows]).to(device), code


def _clamped(network: nn.Module) -> Decode:
    def decode(embedding: Tensor) -> Tensor:
        image: Tensor = network(embedding)
        return image.float().clamp(-1, 1)

    return decode


def _trunk_of(recognizer: Recognizer) -> Decode:
    """f's features (n, c, h, w) of images (n, 3, side, side), in its own precision."""
    network = recognizer.network
    if not isinstance(network, EmbeddingNetwork):
        raise ValueError(
            f"recognizer {recognizer.card.name!r}: found architecture {recognizer.card.architecture!r}, "
            "allowed is 'residual', whose features the perceptual loss compares"
        )
    # A stage is a fold, a convolution, its norm, its activation and a residual block.
    layers = network.trunk[: 5 * PERCEPTUAL_STAGE]

    def features(image: Tensor) -> Tensor:
        with torch.autocast(recognizer.device.type, enabled=False):
            found: Tensor = layers(to_crops(image, recognizer.card))
        return found

    return features


def _loop(size: Size, around: Around, *, averaged: bool = True) -> LoopSettings:
    return LoopSettings(
        steps=size.steps,
        learning_rate=size.learning_rate,
        warmup_steps=min(100, size.steps // 10 + 1),
        average=max(0.0, min(0.998, 1 - 2 / size.steps)) if averaged else 0.0,
        precision=around.loop.precision,
        device=around.loop.device,
        seed=around.loop.seed,
    )
