"""iresnet18, 50 and 100, by the names in the checkpoints that InsightFace publishes.

The improved residual unit of Deng et al. (ArcFace, arXiv 1801.07698v1), as in `ir50`, without
squeeze-and-excitation: BN, convolution, BN, PReLU, convolution with the stride, BN.
"""

from collections.abc import Sequence

from torch import Tensor, nn

CHANNELS = (64, 128, 256, 512)


class Unit(nn.Module):
    """The improved residual unit; where it halves the resolution, its shortcut is a 1 × 1 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Identity()
            if stride == 1
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, value: Tensor) -> Tensor:
        """Features (n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        inner = self.prelu(self.bn2(self.conv1(self.bn1(value))))
        result: Tensor = self.bn3(self.conv2(inner)) + self.downsample(value)
        return result


class IResNet(nn.Module):
    """A residual network with the improved unit.

    Args:
        units: in each of the four stages.
        embedding_size: d.
        crop_size: a multiple of 16.
    """

    def __init__(self, units: Sequence[int], embedding_size: int, crop_size: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, CHANNELS[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(CHANNELS[0])
        self.prelu = nn.PReLU(CHANNELS[0])
        self.layer1 = _stage(CHANNELS[0], CHANNELS[0], units[0])
        self.layer2 = _stage(CHANNELS[0], CHANNELS[1], units[1])
        self.layer3 = _stage(CHANNELS[1], CHANNELS[2], units[2])
        self.layer4 = _stage(CHANNELS[2], CHANNELS[3], units[3])
        self.bn2 = nn.BatchNorm2d(CHANNELS[3])
        # Theirs drops nothing either; a part without weights that their code has by this name.
        self.dropout = nn.Dropout(0.0)
        self.fc = nn.Linear(CHANNELS[3] * (crop_size // 16) ** 2, embedding_size)
        self.features = nn.BatchNorm1d(embedding_size)

    def forward(self, image: Tensor) -> Tensor:
        """Embeddings (n, d), not normalised, of images (n, 3, crop_size, crop_size) in [-1, 1]."""
        value = self.prelu(self.bn1(self.conv1(image)))
        value = self.layer4(self.layer3(self.layer2(self.layer1(value))))
        value = self.dropout(self.bn2(value)).flatten(1)
        embedding: Tensor = self.features(self.fc(value))
        return embedding


def _stage(inputs: int, outputs: int, count: int) -> nn.Sequential:
    return nn.Sequential(Unit(inputs, outputs, 2), *(Unit(outputs, outputs, 1) for _ in range(count - 1)))
