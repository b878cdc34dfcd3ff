"""StyleGAN2's generator in plain torch, by the names in `550000.pt` under the key `g_ema`.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020): a constant of 4 × 4
pixels, convolutions whose weights a style modulates and which are demodulated again, noise added by place,
and an image summed over the resolutions. Learning rates are equalised (Karras et al., ICLR 2018): weights are
stored at unit variance and scaled where they are used. A code in W+ has one style for each layer; the one
that makes an image of a resolution is also the first of the next one.
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

SLOPE = 0.2
GAIN = math.sqrt(2)  # of the leaky ReLU, so that it keeps the variance of what goes through
EPSILON = 1e-8
MAPPING_LAYERS = 8
MAPPING_RATE = 0.01
FILTER = (1.0, 3.0, 3.0, 1.0)


class EqualisedLinear(nn.Module):
    """y = r · (W x / √inputs + b), and √2 · leaky ReLU of it where it is activated.

    Args:
        inputs: length of x.
        outputs: length of y.
        rate: r, the layer's learning rate relative to the others'.
        bias: b · r at the beginning.
        activated: whether the leaky ReLU follows.
    """

    def __init__(
        self, inputs: int, outputs: int, *, rate: float = 1.0, bias: float = 0.0, activated: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.rate, self.activated = rate, activated

    def forward(self, value: Tensor) -> Tensor:
        """Values (…, inputs) to (…, outputs)."""
        scale = self.rate / math.sqrt(self.weight.shape[1])
        result = nn.functional.linear(value, self.weight * scale, self.bias * self.rate)
        return nn.functional.leaky_relu(result, SLOPE) * GAIN if self.activated else result


class PixelNorm(nn.Module):
    """x / √mean(x²) over the last axis."""

    def forward(self, value: Tensor) -> Tensor:
        """Values (…, n) to values of the same shape, of length √n."""
        return value * torch.rsqrt(value.square().mean(-1, keepdim=True) + EPSILON)


class Filter(nn.Module):
    """The separable filter [1, 3, 3, 1] that enlarges; its sum is 4, since one pixel in four is known."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        line = torch.tensor(FILTER)
        square = torch.outer(line, line)
        self.register_buffer("kernel", square / square.sum() * 4)

    def smooth(self, value: Tensor) -> Tensor:
        """Features (n, c, 2h + 1, 2w + 1) of a transposed convolution to (n, c, 2h, 2w)."""
        weight = self.kernel.flip(0, 1).expand(value.shape[1], 1, -1, -1)
        return nn.functional.conv2d(value, weight, padding=1, groups=value.shape[1])

    def enlarge(self, value: Tensor) -> Tensor:
        """Images (n, c, h, w) to (n, c, 2h, 2w)."""
        weight = self.kernel.expand(value.shape[1], 1, -1, -1)
        return nn.functional.conv_transpose2d(value, weight, stride=2, padding=1, groups=value.shape[1])


class ModulatedConvolution(nn.Module):
    """A convolution whose weights w are scaled for each image by its style, and demodulated.

    w'_oi = s_i w_oi / √(Σ_i,k (s_i w_oi)²). The features are scaled before and after instead of the weights,
    which is the same, and one convolution then serves all images of a batch.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: its side.
        style_size: length of a style.
        demodulated: whether the result is brought to unit variance.
        enlarging: whether the resolution doubles.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        style_size: int,
        *,
        demodulated: bool = True,
        enlarging: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel))
        self.modulation = EqualisedLinear(style_size, inputs, bias=1.0)
        self.blur = Filter() if enlarging else None
        self.demodulated = demodulated

    def forward(self, value: Tensor, style: Tensor) -> Tensor:
        """Features (n, inputs, h, w), styles (n, style_size) to (n, outputs, h, w); 2h, 2w enlarged."""
        weight = self.weight[0] / math.sqrt(self.weight[0, 0].numel())
        scale = self.modulation(style)
        value = value * scale[:, :, None, None]
        if self.blur is None:
            value = nn.functional.conv2d(value, weight, padding=weight.shape[2] // 2)
        else:
            value = self.blur.smooth(nn.functional.conv_transpose2d(value, weight.transpose(0, 1), stride=2))
        if self.demodulated:
            power = scale.square() @ weight.square().sum((2, 3)).T
            value = value * torch.rsqrt(power + EPSILON)[:, :, None, None]
        return value


class Noise(nn.Module):
    """Noise by place, as strong as it was learned."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, value: Tensor, noise: Tensor) -> Tensor:
        """Features (n, c, h, w) with noise (1 or n, 1, h, w)."""
        return value + self.weight * noise


class Activation(nn.Module):
    """√2 · leaky ReLU after a bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, value: Tensor) -> Tensor:
        """Features (n, channels, h, w) to features of the same shape."""
        return nn.functional.leaky_relu(value + self.bias[:, None, None], SLOPE) * GAIN


class StyledConvolution(nn.Module):
    """Modulated convolution of 3 × 3, noise, bias, activation."""

    def __init__(self, inputs: int, outputs: int, style_size: int, *, enlarging: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConvolution(inputs, outputs, 3, style_size, enlarging=enlarging)
        self.noise = Noise()
        self.activate = Activation(outputs)

    def forward(self, value: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        """Features (n, inputs, h, w), styles (n, style_size) and noise to (n, outputs, h', w')."""
        result: Tensor = self.activate(self.noise(self.conv(value, style), noise))
        return result


class ToImage(nn.Module):
    """What one resolution adds to the image; that of the resolution before is enlarged."""

    def __init__(self, inputs: int, style_size: int, *, enlarging: bool = True) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.conv = ModulatedConvolution(inputs, 3, 1, style_size, demodulated=False)
        self.upsample = Filter() if enlarging else None

    def forward(self, value: Tensor, style: Tensor, image: Tensor | None = None) -> Tensor:
        """Features (n, inputs, h, w), styles and the image so far (n, 3, h/2, w/2) to (n, 3, h, w)."""
        result: Tensor = self.conv(value, style) + self.bias
        if self.upsample is not None and image is not None:
            result = result + self.upsample.enlarge(image)
        return result


class Constant(nn.Module):
    """Where every image begins: features of 4 × 4."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))


class StyleGAN2(nn.Module):
    """Styles (n, layers, style_size) in W+ to images (n, 3, size, size), about in [-1, 1].

    Args:
        size: side of the image, a power of two, 8 or more.
        style_size: length of a style.
        widest: most channels that a resolution has.
        total: channels × side that a resolution has at most.

    Raises:
        ValueError: the size is not possible.
    """

    def __init__(
        self, size: int = 256, style_size: int = 512, *, widest: int = 512, total: int = 32_768
    ) -> None:
        super().__init__()
        levels = size.bit_length() - 1
        if size < 8 or size != 2**levels:
            raise ValueError(f"size: found {size}, allowed is a power of two, 8 or more")
        self.size, self.style_size, self.layers = size, style_size, 2 * levels - 2
        channels = [min(widest, total // 2**level) for level in range(2, levels + 1)]
        mapping = (
            EqualisedLinear(style_size, style_size, rate=MAPPING_RATE, activated=True)
            for _ in range(MAPPING_LAYERS)
        )
        self.style = nn.Sequential(PixelNorm(), *mapping)
        self.input = Constant(channels[0])
        self.conv1 = StyledConvolution(channels[0], channels[0], style_size)
        self.to_rgb1 = ToImage(channels[0], style_size, enlarging=False)
        self.convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        for before, after in zip(channels, channels[1:], strict=False):
            self.convs.append(StyledConvolution(before, after, style_size, enlarging=True))
            self.convs.append(StyledConvolution(after, after, style_size))
            self.to_rgbs.append(ToImage(after, style_size))
        self.noises = nn.Module()
        for i in range(self.layers - 1):
            side = 2 ** ((i + 5) // 2)
            self.noises.register_buffer(f"noise_{i}", torch.randn(1, 1, side, side))

    def map(self, latent: Tensor) -> Tensor:
        """Styles in W, (n, style_size), of standard normal latents (n, style_size)."""
        style: Tensor = self.style(latent)
        return style

    def forward(self, styles: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Images of styles.

        The reference draws new noise at every call; here it is the noise that is stored with the weights, so
        that one code has one image, and that image doesn't depend on what else is in its batch.

        Args:
            styles: float (n, layers, style_size), one for each layer from coarse to fine.
            noise: one tensor (1 or n, 1, h, w) for each convolution, in place of the stored ones.

        Returns:
            Float (n, 3, size, size), not clamped.

        Raises:
            ValueError: the styles have another shape, or there is more or less noise than convolutions.
        """
        if styles.ndim != 3 or tuple(styles.shape[1:]) != (self.layers, self.style_size):
            raise ValueError(
                f"styles: found shape {tuple(styles.shape)}, allowed is (n, {self.layers}, {self.style_size})"
            )
        if noise is None:
            noise = [cast(Tensor, getattr(self.noises, f"noise_{i}")) for i in range(self.layers - 1)]
        if len(noise) != self.layers - 1:
            raise ValueError(f"noise: found {len(noise)} tensors, allowed are {self.layers - 1}")
        value = self.input.input.expand(len(styles), -1, -1, -1)
        value = self.conv1(value, styles[:, 0], noise[0])
        image: Tensor = self.to_rgb1(value, styles[:, 1])
        for i, to_image in enumerate(self.to_rgbs):
            first, second = 2 * i + 1, 2 * i + 2
            value = self.convs[2 * i](value, styles[:, first], noise[first])
            value = self.convs[2 * i + 1](value, styles[:, second], noise[second])
            image = to_image(value, styles[:, second + 1], image)
        return image


class OffsetGenerator(nn.Module):
    """G of the pipeline on a StyleGAN2: its code is the offset in W+ from a mean, laid out in one row.

    Args:
        network: the generator.
    """

    mean: Tensor

    def __init__(self, network: StyleGAN2) -> None:
        super().__init__()
        self.network = network
        self.size, self.code_size = network.size, network.layers * network.style_size
        self.register_buffer("mean", torch.zeros(network.layers, network.style_size))

    def styles(self, code: Tensor) -> Tensor:
        """Styles (n, layers, style_size) in W+ of codes (n, code_size): the mean added.

        Raises:
            ValueError: the codes have another shape.
        """
        if code.ndim != 2 or code.shape[1] != self.code_size:
            raise ValueError(f"code: found shape {tuple(code.shape)}, allowed is (n, {self.code_size})")
        return code.reshape(-1, *self.mean.shape) + self.mean

    def forward(self, code: Tensor) -> Tensor:
        """Images (n, 3, size, size), about in [-1, 1], of codes (n, code_size)."""
        image: Tensor = self.network(self.styles(code))
        return image
