"""Shapes, gradients, determinism, weights that come back, and sizes that do not fit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from attribute_recovery.generator.networks import Encoder, Generator, ModulatedBlock, ResidualBlock, Trunk
from attribute_recovery.training.weights import load_into, save_weights

SIZES = [(16, (12, 8), (1, 0)), (32, (12, 8, 4), (0, 1, 2)), (64, (16, 12, 8, 4), (1, 1, 2, 1))]
BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "generator": lambda: Generator(16, 5, (12, 8), (1, 1)),
    "encoder": lambda: Encoder(16, 5, (12, 8), (1, 1)),
    "trunk": lambda: Trunk((8, 12), (1, 1)),
}
INPUTS = {"generator": (4, 5), "encoder": (4, 3, 16, 16), "trunk": (4, 3, 16, 16)}
OUTPUTS = {"generator": (4, 3, 16, 16), "encoder": (4, 5), "trunk": (4, 12, 4, 4)}


@pytest.mark.parametrize(("size", "channels", "blocks"), SIZES)
def test_shapes(size: int, channels: tuple[int, ...], blocks: tuple[int, ...]) -> None:
    image = torch.randn(3, 3, size, size)
    assert Generator(size, 7, channels, blocks)(torch.randn(3, 7)).shape == image.shape
    assert Encoder(size, 7, channels, blocks)(image).shape == (3, 7)
    assert Trunk(channels[::-1], blocks[::-1])(image).shape == (3, channels[0], 4, 4)


@pytest.mark.parametrize("name", BUILDERS)
def test_each_network_is_determined_by_its_seed_and_comes_back_from_disk(name: str, tmp_path: Path) -> None:
    value = torch.randn(INPUTS[name], generator=torch.Generator().manual_seed(9))
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(BUILDERS[name]().eval())
    out = [module(value) for module in found]
    assert out[0].shape == OUTPUTS[name]
    assert torch.equal(out[0], out[1]) and not torch.equal(out[0], out[2])
    save_weights(found[0], tmp_path / "weights.safetensors")
    load_into(found[2], tmp_path / "weights.safetensors")
    assert torch.equal(found[2](value), out[0])


@pytest.mark.parametrize("name", BUILDERS)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    module = BUILDERS[name]()
    for block in module.modules():  # which begin as the identity
        if isinstance(block, ModulatedBlock | ResidualBlock):
            nn.init.normal_(block.second.weight, std=0.1)
    value = torch.randn(INPUTS[name], requires_grad=True)
    module(value).pow(3).sum().backward()
    assert value.grad is not None and bool(value.grad.any())
    for parameter_name, parameter in module.named_parameters():
        if parameter_name != "code.bias":  # batch normalisation takes it away again
            assert parameter.grad is not None and bool(parameter.grad.any()), parameter_name


def test_blocks_begin_as_the_identity() -> None:
    features = torch.randn(2, 4, 5, 5)
    assert torch.equal(ResidualBlock(4)(features), features)
    assert torch.equal(ModulatedBlock(4, 3)(features, torch.randn(2, 3)), features)


def test_codes_are_standardised_within_a_batch_in_training() -> None:
    torch.manual_seed(0)
    encoder = Encoder(16, 5, (12, 8), (1, 1)).train()
    code = encoder(torch.randn(64, 3, 16, 16))
    torch.testing.assert_close(code.mean(0), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(code.var(0, correction=0), torch.ones(5), atol=1e-2, rtol=0)


def test_codes_of_an_image_do_not_depend_on_its_neighbours_in_evaluation() -> None:
    torch.manual_seed(0)
    encoder, image = Encoder(16, 5, (12, 8), (1, 1)).eval(), torch.randn(6, 3, 16, 16)
    torch.testing.assert_close(encoder(image)[2:3], encoder(image[2:3]))
    assert encoder.raw(image).dtype is torch.float32


@pytest.mark.parametrize("network", [Generator, Encoder])
def test_sizes_that_do_not_fit_are_refused(network: type[Generator] | type[Encoder]) -> None:
    with pytest.raises(ValueError, match="^size: found 32; 2 stages of channels make an image of side 16$"):
        network(32, 5, (12, 8), (1, 1))
    with pytest.raises(ValueError, match="^blocks: found 3 numbers for 2 stages of channels$"):
        network(16, 5, (12, 8), (1, 1, 1))
