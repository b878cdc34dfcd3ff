"""iresnets have the layout and the sizes that InsightFace publishes."""

import pytest
import torch
from torch import nn

from attribute_recovery.recognizer.architectures.catalogue import build
from attribute_recovery.recognizer.architectures.iresnet import Unit

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def names_of(units: tuple[int, ...]) -> set[str]:
    """All names of the published checkpoints, written down from their layout."""

    def norm(prefix: str) -> set[str]:
        return {f"{prefix}.{part}" for part in NORM}

    names = {"conv1.weight", "prelu.weight", "fc.weight", "fc.bias"}
    names |= norm("bn1") | norm("bn2") | norm("features")
    for stage, count in enumerate(units, 1):
        for i in range(count):
            own = f"layer{stage}.{i}"
            names |= {f"{own}.conv1.weight", f"{own}.conv2.weight", f"{own}.prelu.weight"}
            names |= norm(f"{own}.bn1") | norm(f"{own}.bn2") | norm(f"{own}.bn3")
        names |= {f"layer{stage}.0.downsample.0.weight"} | norm(f"layer{stage}.0.downsample.1")
    return names


@pytest.mark.parametrize(
    ("name", "units", "millions"),
    [
        ("iresnet18", (2, 2, 2, 2), 24.0),
        ("iresnet50", (3, 4, 14, 3), 43.6),
        ("iresnet100", (3, 13, 30, 3), 65.2),
    ],
)
def test_names_and_numbers_of_weights(name: str, units: tuple[int, ...], millions: float) -> None:
    network = build(name, 512, 112)
    assert set(network.state_dict()) == names_of(units)
    count = sum(value.numel() for value in network.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.05)


def test_the_unit_has_its_stride_in_the_second_convolution_and_nothing_after_the_sum() -> None:
    unit = Unit(4, 6, 2).eval()
    assert (unit.conv1.stride, unit.conv2.stride) == ((1, 1), (2, 2))
    nn.init.zeros_(unit.bn3.weight)
    nn.init.constant_(unit.bn3.bias, -3.0)
    value = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(unit(value), unit.downsample(value) - 3)


def test_a_unit_that_says_nothing_is_the_identity() -> None:
    unit = Unit(4, 4, 1).eval()
    nn.init.zeros_(unit.bn3.weight)
    value = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(unit(value), value)
