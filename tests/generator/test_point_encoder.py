"""The ID encoder has the authors' layout, and is computed a second time from its weights."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from attribute_recovery.generator.point_encoder import INTERPOLATION, PointTransformer, RecognizerEncoder
from attribute_recovery.recognizer.crops import resized

SEED = Path(__file__).parents[3] / "shared" / "fixtures" / "seed"


def tiny() -> PointTransformer:
    torch.manual_seed(2)
    return PointTransformer(10, 3, 12).requires_grad_(False)


@pytest.mark.parametrize("file", ["id_delta_gc_rm_mb.pth", "id_delta_gc_rm_r50.pth"])
def test_the_layout_is_that_of_the_authors_files(file: str) -> None:
    if not SEED.is_dir():
        pytest.skip("the authors' layouts are not here: no ../shared/fixtures/seed")
    layout = json.loads((SEED / "layout.json").read_text())[file]
    with torch.device("meta"):
        state = PointTransformer(512, 14, 512).state_dict()
    assert {name: list(value.shape) for name, value in state.items()} == {
        name: shape for name, (shape, _) in layout.items()
    }


def layer(state: dict[str, Tensor], name: str, value: Tensor) -> Tensor:
    weight = state[f"{name}.weight"]
    return value @ weight.T / math.sqrt(weight.shape[1]) + state[f"{name}.bias"]


def bent(value: Tensor) -> Tensor:
    return torch.where(value > 0, value, value / 5) * math.sqrt(2)


def test_codes_are_what_the_weights_make_of_sixteen_times_the_embedding() -> None:
    network = tiny()
    for name, value in network.named_parameters():
        if name.endswith("bias"):
            value.normal_(0, 0.3)
    state = network.state_dict()
    embedding = nn.functional.normalize(torch.randn(4, 10))
    shared = 16 * embedding
    for i in range(4):
        shared = bent(layer(state, f"mapping.{i}", shared))
    expected = []
    for head in range(3):
        value = shared
        for i in range(3):
            value = bent(layer(state, f"heads.{head}.{i}", value))
        expected.append(torch.tanh(layer(state, f"heads.{head}.3", value)))
    torch.testing.assert_close(network(embedding), torch.cat(expected, 1))


class Means(nn.Module):
    """A recognizer that says how bright an image is in each colour."""

    def forward(self, image: Tensor) -> Tensor:
        assert image.shape[2:] == (6, 6)
        return image.mean((2, 3))


def test_an_images_code_is_the_code_of_its_embedding() -> None:
    torch.manual_seed(0)
    transformer = PointTransformer(3, 2, 4)
    encoder = RecognizerEncoder(Means(), 6, transformer)
    images = torch.randn(2, 3, 9, 11)
    features = resized(images, 6, INTERPOLATION).mean((2, 3))
    torch.testing.assert_close(encoder.represent(images), features)
    torch.testing.assert_close(encoder.embed(images), features / features.norm(dim=1, keepdim=True))
    torch.testing.assert_close(encoder(images), transformer(encoder.embed(images)))


def test_gradients_reach_the_image() -> None:
    encoder = RecognizerEncoder(Means(), 6, PointTransformer(3, 2, 4))
    images = torch.rand(2, 3, 6, 6, requires_grad=True)
    encoder(images).square().sum().backward()
    assert images.grad is not None and bool((images.grad.abs().amax((1, 2, 3)) > 0).all())
