"""The embedding network's shapes and gradient, and the head against its formula."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from attribute_recovery.recognizer.networks import AdditiveMarginHead, EmbeddingNetwork, ResidualBlock


@pytest.mark.parametrize(("size", "channels"), [(16, (4,)), (32, (4, 6, 8)), (64, (4, 4, 4, 4))])
def test_images_become_embeddings(size: int, channels: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = EmbeddingNetwork(size, channels, 10)
    assert network(torch.rand(3, 3, size, size)).shape == (3, 10)


def test_nothing_is_convolved_at_full_resolution() -> None:
    network = EmbeddingNetwork(32, (4, 6), 10)
    sides: list[int] = []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda _module, _inputs, output: sides.append(output.shape[-1]))
    network(torch.rand(2, 3, 32, 32))
    assert max(sides) == 16
    assert min(sides) == 8


def test_every_parameter_and_pixel_has_a_gradient() -> None:
    torch.manual_seed(0)
    network = EmbeddingNetwork(16, (4, 6), 10)
    for block in network.modules():
        if isinstance(block, ResidualBlock):
            torch.nn.init.ones_(
                block.inner[-1].weight
            )  # starts at 0, which would hold back what is before it
    image = torch.rand(8, 3, 16, 16, requires_grad=True)
    (network(image) * torch.randn(8, 10)).sum().backward()
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters()
    )
    assert image.grad is not None
    assert (image.grad.abs().sum(dim=(1, 2, 3)) > 0).all()


def test_a_residual_block_starts_as_the_identity() -> None:
    features = torch.randn(4, 6, 5, 5)
    assert torch.equal(ResidualBlock(6)(features), features)


@pytest.mark.parametrize(("size", "channels"), [(20, (4, 4, 4)), (64, ())])
def test_sizes_that_do_not_fit_are_refused(size: int, channels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="size: found 20; 3 stages|channels: found none"):
        EmbeddingNetwork(size, channels, 10)


def test_the_head_is_its_formula() -> None:
    torch.manual_seed(0)
    head = AdditiveMarginHead(5, 7, margin=0.3, scale=20.0)
    embedding, label = 3 * torch.randn(4, 5), torch.tensor([0, 3, 3, 6])
    expected = 0.0
    for row, y in zip(embedding.tolist(), label.tolist(), strict=True):
        cosines = [
            sum(a * b for a, b in zip(row, weight, strict=True)) / math.hypot(*row) / math.hypot(*weight)
            for weight in head.weight.tolist()
        ]
        target = math.exp(20.0 * (cosines[y] - 0.3))
        others = sum(math.exp(20.0 * cosine) for j, cosine in enumerate(cosines) if j != y)
        expected -= math.log(target / (target + others)) / 4
    assert head(embedding, label).item() == pytest.approx(expected, rel=1e-5)


def test_without_margin_it_is_the_softmax_of_cosines() -> None:
    torch.manual_seed(0)
    head = AdditiveMarginHead(5, 7, margin=0.0, scale=16.0)
    embedding, label = torch.randn(4, 5), torch.tensor([1, 2, 3, 4])
    cosines = normalize(embedding) @ normalize(head.weight).T
    assert torch.allclose(head(embedding, label), cross_entropy(16 * cosines, label))


def test_the_head_keeps_full_precision_under_autocast() -> None:
    torch.manual_seed(0)
    head = AdditiveMarginHead(32, 50, margin=0.25, scale=24.0)
    embedding, label = torch.randn(8, 32), torch.arange(8)
    plain = head(embedding, label)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(head(embedding, label), plain)


@pytest.mark.parametrize(
    ("identities", "margin", "scale", "said"),
    [
        (1, 0.2, 24.0, "identities: found 1"),
        (5, 1.0, 24.0, "margin: found 1.0"),
        (5, 0.2, 0.0, "scale: found 0.0"),
    ],
)
def test_the_head_refuses_what_has_no_meaning(
    identities: int, margin: float, scale: float, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        AdditiveMarginHead(8, identities, margin=margin, scale=scale)
