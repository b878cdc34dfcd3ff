"""Every name becomes a network, and what cannot be one gets its sentence."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from attribute_recovery.recognizer.architectures.catalogue import NAMES, build

FACES = ("mobilefacenet", "ir50", "iresnet18", "iresnet50", "iresnet100")


def settle(network: nn.Module, images: torch.Tensor) -> None:
    """Batch norms that have seen images; new ones of a deep network let next to nothing through."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        network.train()(images)
    network.eval()


@pytest.mark.parametrize("name", NAMES)
def test_names_become_networks_that_embed_each_image_by_itself(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, 12, 32)
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    settle(network, images)
    images.requires_grad_()
    found = network(images)
    assert found.shape == (3, 12) and bool(found.isfinite().all())
    size = float(found.detach().abs().max())
    assert float((found[0] - found[1]).detach().abs().max()) > 0.01 * size
    assert float((network(images[1:2]) - found[1:2]).detach().abs().max()) < 1e-3 * size
    (found / size).square().sum().backward()
    assert images.grad is not None and bool((images.grad.abs().amax((1, 2, 3)) > 0).all())


def test_the_names_that_the_card_may_hold_are_there() -> None:
    assert {*FACES, "torchvision:resnet18", "torchvision:resnet50"} <= set(NAMES)
    assert {"torchvision:mobilenet_v3_large", "torchvision:efficientnet_b0"} <= set(NAMES)


@pytest.mark.parametrize("name", FACES)
def test_face_networks_at_112_pixels_have_features_of_7_by_7(name: str) -> None:
    state = build(name, 512, 112).state_dict()
    last = {"mobilefacenet": "conv_6_dw.conv.weight", "ir50": "output_layer.3.weight"}.get(name, "fc.weight")
    expected = (512, 1, 7, 7) if name == "mobilefacenet" else (512, 512 * 49)
    assert tuple(state[last].shape) == expected


def test_what_cannot_be_built_gets_its_sentence() -> None:
    with pytest.raises(
        ValueError, match="architecture: found 'vgg', allowed are mobilefacenet, ir50, iresnet18"
    ):
        build("vgg", 512, 112)
    with pytest.raises(ValueError, match="architecture: found 'resnet18', allowed are"):
        build("resnet18", 512, 112)
    with pytest.raises(ValueError, match="embedding_size: found 0, allowed is 1 or more"):
        build("ir50", 0, 112)
    for size in (100, 0, -16):
        with pytest.raises(
            ValueError, match=f"crop_size: found {size}, allowed for ir50 is a multiple of 16"
        ):
            build("ir50", 512, size)
    with pytest.raises(
        ValueError, match="crop_size: found 16, allowed for torchvision:resnet18 is 32 or more"
    ):
        build("torchvision:resnet18", 512, 16)


def test_reading_the_names_imports_no_torch() -> None:
    code = (
        "import sys; from attribute_recovery.recognizer.architectures.catalogue import NAMES; "
        "assert NAMES; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
