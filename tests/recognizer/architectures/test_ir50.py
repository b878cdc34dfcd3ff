"""IR-50 has the authors' layout, and its unit is computed a second time by hand."""

import torch
from torch import Tensor, nn

from attribute_recovery.recognizer.architectures.catalogue import build
from attribute_recovery.recognizer.architectures.ir50 import SqueezeExcitation, Unit


def test_the_layout_is_that_of_the_authors_file(layout: dict[str, dict[str, tuple[int, ...]]]) -> None:
    wanted = layout["arcface_r50.pth"]
    network = build("ir50", 512, 112)
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == wanted
    zeros = {name: torch.zeros(shape) for name, shape in wanted.items()}
    network.load_state_dict(zeros, strict=True)


def randomised(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + 0.1 * ("running_var" in name))
    return module.eval()


def norm(value: Tensor, layer: nn.BatchNorm2d) -> Tensor:
    scaled = (value - layer.running_mean[:, None, None]) / (layer.running_var[:, None, None] + 1e-5).sqrt()
    return scaled * layer.weight[:, None, None] + layer.bias[:, None, None]


def test_the_unit_is_bn_conv_bn_prelu_conv_bn_with_the_stride_in_the_second_convolution() -> None:
    unit = randomised(Unit(16, 32, 2))
    value = torch.randn(2, 16, 9, 9, generator=torch.Generator().manual_seed(1))
    layers = unit.res_layer
    inner = nn.functional.conv2d(norm(value, layers[0]), layers[1].weight, padding=1)
    inner = norm(inner, layers[2])
    inner = torch.where(inner > 0, inner, inner * layers[3].weight[:, None, None])
    inner = norm(nn.functional.conv2d(inner, layers[4].weight, padding=1, stride=2), layers[5])
    excited = layers[6].fc2.weight[:, :, 0, 0] @ torch.relu(
        layers[6].fc1.weight[:, :, 0, 0] @ inner.mean((2, 3)).T
    )
    inner = inner / (1 + torch.exp(-excited.T))[:, :, None, None]
    shortcut = norm(
        nn.functional.conv2d(value[:, :, ::2, ::2], unit.shortcut_layer[0].weight), unit.shortcut_layer[1]
    )
    torch.testing.assert_close(unit(value), shortcut + inner, atol=1e-3, rtol=1e-5)


def test_a_unit_that_says_nothing_is_the_identity() -> None:
    unit = Unit(16, 16, 1).eval()
    nn.init.zeros_(unit.res_layer[5].weight)
    value = torch.randn(2, 16, 4, 4)
    torch.testing.assert_close(unit(value), value)


def test_excitation_without_weights_halves() -> None:
    layer = SqueezeExcitation(16)
    nn.init.zeros_(layer.fc2.weight)
    value = torch.randn(2, 16, 4, 4)
    torch.testing.assert_close(layer(value), value / 2)
