"""MobileFaceNet (Chen et al., CCBR 2018) in the size of the reference, by the names in `arcface_mb.pth`.

Inverted residual bottlenecks with PReLU; the last features are weighed by place, not averaged (a depthwise
convolution as large as they are), since in an aligned crop where something is says who it is. The reference
has 2, 3 and 6 bottlenecks at 64, 128 and 256 channels where the paper has 5, 6 and 2 at 64, 128 and 128.
"""

from typing import cast

from torch import Tensor, nn


class Convolution(nn.Module):
    """Convolution without bias, batch norm, and PReLU unless it is a linear one."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)

    def forward(self, value: Tensor) -> Tensor:
        """Features (n, inputs, h, w) to (n, outputs, h', w')."""
        result: Tensor = self.prelu(self.bn(self.conv(value)))
        return result


class LinearConvolution(nn.Module):
    """Convolution without bias and batch norm; nothing after it bends what it says."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, value: Tensor) -> Tensor:
        """Features (n, inputs, h, w) to (n, outputs, h', w')."""
        result: Tensor = self.bn(self.conv(value))
        return result


class Bottleneck(nn.Module):
    """Widened by a 1 × 1 convolution, convolved channel by channel, narrowed again without an activation."""

    def __init__(self, inputs: int, outputs: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.conv = Convolution(inputs, width, 1)
        self.conv_dw = Convolution(width, width, 3, stride=stride, padding=1, groups=width)
        self.project = LinearConvolution(width, outputs, 1)

    def forward(self, value: Tensor) -> Tensor:
        """Features (n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        result: Tensor = self.project(self.conv_dw(self.conv(value)))
        return result


class Residuals(nn.Module):
    """Bottlenecks whose result is added to what came in.

    Args:
        channels: of input and output.
        width: inside the bottlenecks.
        count: of bottlenecks.
    """

    def __init__(self, channels: int, width: int, count: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*(Bottleneck(channels, channels, width, stride=1) for _ in range(count)))

    def forward(self, value: Tensor) -> Tensor:
        """Features (n, channels, h, w) to features of the same shape."""
        for block in self.model:
            value = value + cast(Bottleneck, block)(value)
        return value


class MobileFaceNet(nn.Module):
    """The network of `arcface_mb.pth`.

    Args:
        embedding_size: d.
        crop_size: a multiple of 16.
    """

    def __init__(self, embedding_size: int, crop_size: int) -> None:
        super().__init__()
        self.conv1 = Convolution(3, 64, 3, stride=2, padding=1)
        self.conv2_dw = Convolution(64, 64, 3, padding=1, groups=64)
        self.conv_23 = Bottleneck(64, 64, 128, stride=2)
        self.conv_3 = Residuals(64, 128, 2)
        self.conv_34 = Bottleneck(64, 128, 256, stride=2)
        self.conv_4 = Residuals(128, 256, 3)
        self.conv_45 = Bottleneck(128, 256, 512, stride=2)
        self.conv_5 = Residuals(256, 512, 6)
        self.conv_6_sep = Convolution(256, 512, 1)
        self.conv_6_dw = LinearConvolution(512, 512, crop_size // 16, groups=512)
        self.linear = nn.Linear(512, embedding_size, bias=False)
        self.bn = nn.BatchNorm1d(embedding_size)

    def forward(self, image: Tensor) -> Tensor:
        """Embeddings (n, d), not normalised, of images (n, 3, crop_size, crop_size) in [-1, 1]."""
        value = self.conv2_dw(self.conv1(image))
        value = self.conv_3(self.conv_23(value))
        value = self.conv_4(self.conv_34(value))
        value = self.conv_5(self.conv_45(value))
        value = self.conv_6_dw(self.conv_6_sep(value))
        embedding: Tensor = self.bn(self.linear(value.flatten(1)))
        return embedding
