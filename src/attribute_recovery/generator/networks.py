"""G and E: a code to an image and back.

Convolutions at full resolution are what costs on a processor, so pixels are folded into channels first (pixel
shuffle) and nothing is convolved at more than half the image's resolution. The code enters every block of G
as a scale and a shift of its channels, as in StyleGAN (Karras et al., CVPR 2019) and FiLM (Perez et al., AAAI
2018).
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn


def _convolution(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.kaiming_normal_(layer.weight, a=0.2, nonlinearity="leaky_relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class ModulatedBlock(nn.Module):
    """Residual block whose channels the code scales and shifts."""

    def __init__(self, channels: int, code_size: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = _convolution(channels, channels)
        nn.init.zeros_(self.second.weight)
        self.style = nn.Linear(code_size, 2 * channels)
        nn.init.normal_(self.style.weight, std=0.02)
        nn.init.zeros_(self.style.bias)

    def forward(self, features: Tensor, code: Tensor) -> Tensor:
        """Features (n, c, h, w) and codes (n, code_size) to features of the same shape."""
        scale, shift = self.style(code)[:, :, None, None].chunk(2, dim=1)
        inner = self.first(nn.functional.leaky_relu(features, 0.2))
        inner = inner * (1 + scale) + shift
        result: Tensor = features + self.second(nn.functional.leaky_relu(inner, 0.2))
        return result


class ResidualBlock(nn.Module):
    """Residual block of two 3 × 3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = _convolution(channels, channels)
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, c, h, w) to features of the same shape."""
        inner = self.first(nn.functional.leaky_relu(features, 0.2))
        result: Tensor = features + self.second(nn.functional.leaky_relu(inner, 0.2))
        return result


class Generator(nn.Module):
    """G: code (n, code_size), about standard normal, to image (n, 3, size, size) in about [-1, 1].

    Args:
        size: side of the image, 8 times a power of two.
        code_size: length of the code.
        channels: of the features at 4 × 4, 8 × 8, … up to size/2.
        blocks: residual blocks at each of these resolutions.
    """

    def __init__(self, size: int, code_size: int, channels: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        check_stages(size, channels, blocks)
        self.code_size, self.size = code_size, size
        self.mapping = nn.Sequential(
            nn.Linear(code_size, 4 * code_size), nn.LeakyReLU(0.2), nn.Linear(4 * code_size, 4 * code_size)
        )
        self.start = nn.Linear(4 * code_size, channels[0] * 16)
        self.blocks = nn.ModuleList(
            nn.ModuleList(ModulatedBlock(width, 4 * code_size) for _ in range(count))
            for width, count in zip(channels, blocks, strict=True)
        )
        self.up = nn.ModuleList(
            _convolution(low, 4 * high, 1) for low, high in zip(channels[:-1], channels[1:], strict=True)
        )
        self.image = _convolution(channels[-1], 12)
        nn.init.normal_(self.image.weight, std=0.01)

    def forward(self, code: Tensor) -> Tensor:
        """Images (n, 3, size, size) of codes (n, code_size)."""
        style = nn.functional.leaky_relu(self.mapping(code), 0.2)
        features = self.start(style).unflatten(1, (-1, 4, 4)).contiguous(memory_format=torch.channels_last)
        for i, stage in enumerate(self.blocks):
            if i:
                features = nn.functional.pixel_shuffle(self.up[i - 1](features), 2)
            for block in cast(nn.ModuleList, stage):
                features = block(features, style)
        return nn.functional.pixel_shuffle(self.image(nn.functional.leaky_relu(features, 0.2)), 2)


class Encoder(nn.Module):
    """E: image (n, 3, size, size) in [-1, 1] to code (n, code_size), each component of mean 0 and variance 1.

    Its trunk, from half the image's side down to 4 × 4, is also where attribute heads start from.
    """

    def __init__(self, size: int, code_size: int, channels: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        check_stages(size, channels, blocks)
        self.channels, self.blocks = tuple(channels[::-1]), tuple(blocks[::-1])  # as the trunk has them
        self.trunk = Trunk(self.channels, self.blocks)
        self.code = nn.Linear(channels[0] * 16, code_size)
        self.standardise = nn.BatchNorm1d(code_size, affine=False, momentum=0.01)

    def forward(self, image: Tensor) -> Tensor:
        """Codes (n, code_size) of images (n, 3, size, size)."""
        code: Tensor = self.standardise(self.raw(image))
        return code

    @property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation that codes are standardised with in evaluation, (code_size,) each."""
        mean, variance = self.standardise.running_mean, self.standardise.running_var
        assert mean is not None and variance is not None
        return mean, torch.sqrt(variance + self.standardise.eps)

    def raw(self, image: Tensor) -> Tensor:
        """Codes before they are standardised, (n, code_size) float32."""
        raw: Tensor = self.code(self.trunk(image).flatten(1))
        return raw.float()


class Trunk(nn.Module):
    """Image (n, 3, size, size) to features (n, channels[-1], 4, 4): a fold of 2 × 2, then blocks and folds.

    Args:
        channels: from size/2 down to 4 × 4.
        blocks: residual blocks at each resolution.
    """

    def __init__(self, channels: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        self.fold = _convolution(12, channels[0])
        self.blocks = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width) for _ in range(count)))
            for width, count in zip(channels, blocks, strict=True)
        )
        self.down = nn.ModuleList(
            _convolution(4 * high, low, 1) for high, low in zip(channels[:-1], channels[1:], strict=True)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Features (n, channels[-1], 4, 4) of images in [-1, 1]."""
        features = self.fold(nn.functional.pixel_unshuffle(image, 2))
        for i, stage in enumerate(self.blocks):
            if i:
                features = self.down[i - 1](nn.functional.pixel_unshuffle(features, 2))
            features = stage(features)
        return nn.functional.leaky_relu(features, 0.2)


def check_stages(size: int, channels: Sequence[int], blocks: Sequence[int]) -> None:
    """Make sure that stages fit an image, whichever way round.

    Raises:
        ValueError: they do not.
    """
    if len(channels) != len(blocks):
        raise ValueError(f"blocks: found {len(blocks)} numbers for {len(channels)} stages of channels")
    expected = 2 ** (len(channels) + 2)
    if size != expected:
        raise ValueError(
            f"size: found {size}; {len(channels)} stages of channels make an image of side {expected}"
        )
