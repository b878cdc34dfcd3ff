"""IR-50 of ArcFace with squeeze-and-excitation, by the names in `arcface_r50.pth`.

The improved residual unit of Deng et al. (ArcFace, arXiv 1801.07698v1): BN, convolution, BN, PReLU,
convolution, BN, the stride in the second convolution, nothing after the sum. The first convolution keeps the
resolution, and the embedding comes from BN, dropout, linear, BN (their option E). Squeeze-and-excitation
(Hu et al., CVPR 2018) weighs the channels of each unit's result, with a sixteenth of them inside.
"""

import torch
from torch import Tensor, nn

UNITS = (3, 4, 14, 3)
CHANNELS = (64, 128, 256, 512)
REDUCTION = 16
DROPOUT = 0.4


class SqueezeExcitation(nn.Module):
    """Channels weighed by what all places together say of them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // REDUCTION, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // REDUCTION, channels, 1, bias=False)

    def forward(self, value: Tensor) -> Tensor:
        """Features (n, channels, h, w) to features of the same shape."""
        weight = torch.sigmoid(self.fc2(torch.relu(self.fc1(value.mean((2, 3), keepdim=True)))))
        return value * weight


class Unit(nn.Module):
    """The improved residual unit; where it halves the resolution, its shortcut is a 1 × 1 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer = (
            nn.Identity()
            if stride == 1
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            SqueezeExcitation(outputs),
        )

    def forward(self, value: Tensor) -> Tensor:
        """Features (n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        result: Tensor = self.shortcut_layer(value) + self.res_layer(value)
        return result


class IR50(nn.Module):
    """The network of `arcface_r50.pth`.

    Args:
        embedding_size: d.
        crop_size: a multiple of 16.
    """

    def __init__(self, embedding_size: int, crop_size: int) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, CHANNELS[0], 3, 1, 1, bias=False), nn.BatchNorm2d(CHANNELS[0]), nn.PReLU(CHANNELS[0])
        )
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(CHANNELS[-1]),
            nn.Dropout(DROPOUT),
            nn.Flatten(),
            nn.Linear(CHANNELS[-1] * (crop_size // 16) ** 2, embedding_size),
            nn.BatchNorm1d(embedding_size),
        )
        units, before = list[nn.Module](), CHANNELS[0]
        for count, channels in zip(UNITS, CHANNELS, strict=True):
            units += [Unit(before, channels, 2)] + [Unit(channels, channels, 1) for _ in range(count - 1)]
            before = channels
        self.body = nn.Sequential(*units)

    def forward(self, image: Tensor) -> Tensor:
        """Embeddings (n, d), not normalised, of images (n, 3, crop_size, crop_size) in [-1, 1]."""
        embedding: Tensor = self.output_layer(self.body(self.input_layer(image)))
        return embedding
