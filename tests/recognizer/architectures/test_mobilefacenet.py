"""MobileFaceNet has the authors' layout, and its parts do what their paper says."""

import torch

from attribute_recovery.recognizer.architectures.catalogue import build
from attribute_recovery.recognizer.architectures.mobilefacenet import Bottleneck, LinearConvolution, Residuals


def test_the_layout_is_that_of_the_authors_file(layout: dict[str, dict[str, tuple[int, ...]]]) -> None:
    state = build("mobilefacenet", 512, 112).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == layout["arcface_mb.pth"]


def test_sizes() -> None:
    """Layers counted by hand: 12 bottlenecks and 3 that halve, one million and a half of weights."""
    network = build("mobilefacenet", 512, 112)
    bottlenecks = [part for part in network.modules() if isinstance(part, Bottleneck)]
    assert len(bottlenecks) == 3 + 2 + 3 + 6
    widths = {part.conv_dw.conv.groups for part in bottlenecks}
    assert widths == {128, 256, 512}
    assert all(part.conv_dw.conv.groups == part.conv_dw.conv.in_channels for part in bottlenecks)


def test_a_bottleneck_ends_linearly_and_residuals_add_to_what_came_in() -> None:
    torch.manual_seed(0)
    inside = Residuals(4, 8, 3).eval()
    features = torch.randn(2, 4, 5, 5)
    for block in inside.model:
        torch.nn.init.zeros_(block.project.bn.weight)
    torch.testing.assert_close(inside(features), features)
    torch.nn.init.constant_(inside.model[1].project.bn.bias, -2.0)  # a PReLU would make −0.5 of it
    torch.testing.assert_close(inside(features), features - 2)


def test_the_last_features_are_weighed_by_place() -> None:
    """A depthwise convolution as large as its input: each channel a weighted sum of its own places."""
    torch.manual_seed(0)
    layer = LinearConvolution(6, 6, 3, groups=6).eval()
    features = torch.randn(2, 6, 3, 3)
    expected = (features * layer.conv.weight[:, 0]).sum((2, 3)) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(layer(features).flatten(1), expected)
