"""StyleGAN2's parts against closed forms and a second computation; the layout of the authors' file."""

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from attribute_recovery.generator.stylegan2 import (
    EqualisedLinear,
    Filter,
    ModulatedConvolution,
    OffsetGenerator,
    PixelNorm,
    StyledConvolution,
    StyleGAN2,
    ToImage,
)

SEED = Path(__file__).parents[3] / "shared" / "fixtures" / "seed"


def tiny(size: int = 16) -> StyleGAN2:
    torch.manual_seed(4)
    return StyleGAN2(size, 12, widest=8, total=64).requires_grad_(False)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1.0, 0.01]), st.booleans())
def test_equalised_linear_is_its_formula(inputs: int, outputs: int, rate: float, activated: bool) -> None:
    torch.manual_seed(inputs)
    layer = EqualisedLinear(inputs, outputs, rate=rate, bias=0.7, activated=activated).double()
    value = torch.randn(3, inputs, dtype=torch.double)
    expected = rate * (value @ layer.weight.T / math.sqrt(inputs) + layer.bias)
    torch.testing.assert_close(
        layer.bias * rate, torch.full((outputs,), 0.7, dtype=torch.double), rtol=1e-6, atol=0
    )
    if activated:
        expected = torch.where(expected > 0, expected, 0.2 * expected) * math.sqrt(2)
    torch.testing.assert_close(layer(value), expected)


def test_equalised_layers_keep_unit_variance() -> None:
    torch.manual_seed(0)
    value = torch.randn(4000, 64)
    for rate in (1.0, 0.01):
        layer = EqualisedLinear(64, 64, rate=rate).requires_grad_(False)
        assert float(layer(value).var()) == pytest.approx(1, rel=0.05)
    features = torch.randn(1, 16, 64, 64)
    style = torch.randn(1, 12)
    for enlarging in (False, True):
        convolution = ModulatedConvolution(16, 32, 3, 12, enlarging=enlarging).requires_grad_(False)
        found = float(convolution(features, style)[..., 4:-4, 4:-4].var())
        expected = filtered_power() if enlarging else 1.0
        assert found == pytest.approx(expected, rel=0.15)


def filtered_power() -> float:
    """Variance of white noise after an enlarging convolution of unit power.

    Along one axis, the three taps of the kernel, 1/3 of its power each, land two on every even place and one
    on every odd one; the filter [1, 3, 3, 1]/4 gives both kinds the weight (1² + 3²)/16: in all 10/16.
    """
    return (10 / 16) ** 2


def by_weights(layer: ModulatedConvolution, value: Tensor, style: Tensor) -> Tensor:
    """The same by the paper's equations: weights modulated and demodulated for each image."""
    results = []
    for features, scale in zip(value, layer.modulation(style), strict=True):
        weight = layer.weight[0] / math.sqrt(layer.weight[0, 0].numel()) * scale[None, :, None, None]
        if layer.demodulated:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        results.append(nn.functional.conv2d(features[None], weight, padding=weight.shape[2] // 2))
    return torch.cat(results)


@pytest.mark.parametrize(("kernel", "demodulated"), [(3, True), (1, False)])
def test_features_are_scaled_as_the_weights_would_be(kernel: int, demodulated: bool) -> None:
    torch.manual_seed(0)
    layer = ModulatedConvolution(6, 5, kernel, 4, demodulated=demodulated).double()
    value = torch.randn(3, 6, 7, 7, dtype=torch.double)
    style = torch.randn(3, 4, dtype=torch.double)
    torch.testing.assert_close(layer(value, style), by_weights(layer, value, style))


def test_demodulation_forgets_how_strong_a_style_is() -> None:
    layer = ModulatedConvolution(6, 5, 3, 4).double()
    nn.init.zeros_(layer.modulation.bias)
    value, style = torch.randn(2, 6, 7, 7).double(), torch.randn(2, 4).double()
    torch.testing.assert_close(layer(value, 3 * style), layer(value, style))


def enlarged_by_hand(value: Tensor, kernel: Tensor, before: int, after: int) -> Tensor:
    """Zeros between the pixels, a frame of zeros, and the kernel slid over it pixel by pixel."""
    n, c, h, w = value.shape
    spread = torch.zeros(n, c, 2 * h, 2 * w, dtype=value.dtype)
    spread[:, :, ::2, ::2] = value
    spread = nn.functional.pad(spread, (before, after, before, after))
    windows = spread.unfold(2, 4, 1).unfold(3, 4, 1)
    return (windows * kernel.flip(0, 1)).sum((-1, -2))


def test_an_image_is_enlarged_as_by_zeros_and_a_filter() -> None:
    part = Filter().double()
    value = torch.randn(2, 3, 5, 5, dtype=torch.double)
    torch.testing.assert_close(part.enlarge(value), enlarged_by_hand(value, part.kernel, 2, 1))
    flat = part.enlarge(torch.ones(1, 3, 8, 8).double())
    torch.testing.assert_close(flat[..., 2:-2, 2:-2], torch.ones(1, 3, 12, 12).double())


def test_the_enlarging_convolution_is_a_transposed_one_and_a_filter() -> None:
    """A kernel with one tap in its middle moves nothing: the filter alone is left, at its places."""
    layer = ModulatedConvolution(2, 2, 3, 4, enlarging=True, demodulated=False).double()
    nn.init.zeros_(layer.weight)
    layer.weight.data[0, :, :, 1, 1] = torch.eye(2) * math.sqrt(2 * 9)
    nn.init.zeros_(layer.modulation.weight)
    value = torch.randn(1, 2, 5, 5, dtype=torch.double)
    found = layer(value, torch.zeros(1, 4).double())
    assert layer.blur is not None
    torch.testing.assert_close(found, enlarged_by_hand(value, layer.blur.kernel, 2, 1))


def test_pixel_norm_gives_unit_mean_square() -> None:
    value = torch.randn(5, 12) * 7
    torch.testing.assert_close(PixelNorm()(value).square().mean(-1), torch.ones(5))


def test_styles_of_latents_depend_on_their_direction_only() -> None:
    network, latent = tiny(), torch.randn(3, 12)
    torch.testing.assert_close(network.map(5 * latent), network.map(latent), atol=1e-6, rtol=1e-4)
    assert network.map(latent).shape == (3, 12)


@pytest.mark.parametrize(("size", "layers"), [(8, 4), (16, 6), (64, 10), (256, 14)])
def test_a_code_has_two_styles_a_resolution_but_the_last(size: int, layers: int) -> None:
    network = StyleGAN2(size, 12, widest=4, total=1024)
    assert network.layers == layers
    sides = [value.shape[-1] for value in network.noises.buffers()]
    assert sides == [4] + [2**level for level in range(3, size.bit_length()) for _ in range(2)]
    assert network(torch.zeros(2, layers, 12)).shape == (2, 3, size, size)


def test_the_layout_is_that_of_the_authors_file() -> None:
    if not SEED.is_dir():
        pytest.skip("the authors' layouts are not here: no ../shared/fixtures/seed")
    layout = json.loads((SEED / "layout.json").read_text())["550000.pt"]
    with torch.device("meta"):
        state = StyleGAN2().state_dict()
    assert {name: list(value.shape) for name, value in state.items()} == {
        name: shape for name, (shape, _) in layout.items()
    }


def test_each_style_works_from_its_layer_on() -> None:
    """A changed style leaves the image of all coarser resolutions as it was."""
    network = tiny()
    styles = torch.randn(1, network.layers, 12)
    before = network(styles)
    for layer in range(network.layers):
        changed = styles.clone()
        changed[:, layer] += 1
        assert float((network(changed) - before).abs().max()) > 1e-3
    # The last one only weighs channels into colours: without its weights the image forgets it.
    network.to_rgbs[-1].conv.weight.zero_()
    changed = styles.clone()
    changed[:, -1] += 1
    assert torch.equal(network(changed), network(styles))


def test_images_do_not_depend_on_their_batch_or_on_the_call() -> None:
    network = tiny()
    for part in network.modules():
        if isinstance(part, StyledConvolution):
            part.noise.weight.fill_(0.5)
    styles = torch.randn(3, network.layers, 12)
    whole = network(styles)
    assert torch.equal(network(styles), whole)
    torch.testing.assert_close(network(styles[1:2]), whole[1:2], atol=1e-5, rtol=1e-5)


def test_noise_counts_as_much_as_its_strength() -> None:
    network = tiny()
    styles = torch.randn(1, network.layers, 12)
    other = [torch.randn_like(value) for value in network.noises.buffers()]
    assert torch.equal(network(styles, other), network(styles))  # strength 0 at the beginning
    layer = network.conv1
    layer.noise.weight.fill_(2.0)
    value = torch.zeros(1, 8, 4, 4)
    expected = torch.nn.functional.leaky_relu(2 * other[0], 0.2) * math.sqrt(2)
    torch.testing.assert_close(layer(value, styles[:, 0], other[0]), expected.expand(-1, 8, -1, -1))
    assert not torch.allclose(network(styles, other), network(styles))


def test_the_image_is_a_sum_over_resolutions() -> None:
    layer = ToImage(4, 12)
    nn.init.zeros_(layer.conv.weight)
    layer.bias.data[:] = torch.tensor([0.1, 0.2, 0.3])[:, None, None]
    image = torch.randn(1, 3, 4, 4)
    assert layer.upsample is not None
    expected = layer.upsample.enlarge(image) + layer.bias
    torch.testing.assert_close(layer(torch.randn(1, 4, 8, 8), torch.zeros(1, 12), image), expected)


def test_codes_are_offsets_from_the_mean() -> None:
    generator = OffsetGenerator(tiny())
    generator.mean.copy_(torch.randn(6, 12))
    code = torch.randn(2, 72)
    assert generator.code_size == 72
    torch.testing.assert_close(generator.styles(code), code.view(2, 6, 12) + generator.mean)
    mean = generator(torch.zeros(1, 72))
    assert torch.equal(mean, generator.network(generator.mean[None]))


def test_gradients_reach_the_code() -> None:
    generator, code = OffsetGenerator(tiny()), torch.randn(2, 72, requires_grad=True)
    generator(code).square().sum().backward()
    assert code.grad is not None and bool((code.grad.view(2, 6, 12).abs().amax(2) > 0).all())


def test_what_does_not_fit_gets_its_sentence() -> None:
    for size in (0, 4, 100):
        with pytest.raises(ValueError, match=f"size: found {size}, allowed is a power of two, 8 or more"):
            StyleGAN2(size)
    network = tiny()
    with pytest.raises(ValueError, match=r"styles: found shape \(2, 12\), allowed is \(n, 6, 12\)"):
        network(torch.zeros(2, 12))
    with pytest.raises(ValueError, match="noise: found 1 tensors, allowed are 5"):
        network(torch.zeros(2, 6, 12), [torch.zeros(1, 1, 4, 4)])
    with pytest.raises(ValueError, match=r"code: found shape \(2, 71\), allowed is \(n, 72\)"):
        OffsetGenerator(network)(torch.zeros(2, 71))
