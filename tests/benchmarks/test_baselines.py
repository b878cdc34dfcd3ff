"""What others decode with learns what it is meant to learn, on toys whose answer is known."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from benchmarks.validation.attacks import baselines
from benchmarks.validation.attacks.baselines import (
    Around,
    Lessons,
    MeanRegressor,
    NeighbourlyBlock,
    NeighbourlyNetwork,
    OnePoint,
    Size,
    decoded_images,
    train_mean,
    train_nbnet,
    train_one_point,
)
from torch import Tensor, nn

from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.recognizer.card import RecognizerCard
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.recognizer.networks import EmbeddingNetwork
from attribute_recovery.recognizer.prepare import WORLD_TEMPLATE
from attribute_recovery.training.loop import LoopSettings

SIDE, D = 16, 6
CPU = torch.device("cpu")
CARD = RecognizerCard(
    name="toy",
    architecture="residual",
    channels=(8, 8),
    crop_size=SIDE,
    template=WORLD_TEMPLATE,
    channel_order="RGB",
    value_range=(-1.0, 1.0),
    interpolation="bilinear",
    embedding_size=D,
    precision="float32",
    score="cosine",
    data_sha256="",
    licence="MIT",
    weights_sha256="",
)


class Painter:
    """A generator whose codes are an image's mean colours."""

    def decode(self, code: Tensor) -> Tensor:
        return code[:, :, None, None].expand(-1, 3, SIDE, SIDE).clamp(-1, 1)


def around(recognizer: Recognizer | None = None) -> Around:
    torch.manual_seed(3)
    f = recognizer or Recognizer(EmbeddingNetwork(SIDE, (8, 8), D), CARD, CPU)
    loop = LoopSettings(steps=1, learning_rate=1.0, precision="float32", device="cpu", seed=5)
    return Around(f, cast(LoadedGenerator, Painter()), loop)


def two_faces() -> Lessons:
    """Two embeddings: one of images that are all alike, one of images that are dark or bright."""
    rng = np.random.default_rng(0)
    z = np.eye(D, dtype=np.float32)[np.arange(64) % 2]
    gray = np.where(np.arange(64) % 2, 128 + 64 * rng.choice([-1, 1], 64), 200)
    gray[1::2] = np.tile([64, 192], 16)
    images = np.broadcast_to(gray[:, None, None, None], (64, SIDE, SIDE, 3)).astype(np.uint8)
    return Lessons(images, z, (images[:, 0, 0] / 127.5 - 1).astype(np.float32))


def level(decode: baselines.Decode, lessons: Lessons) -> list[float]:
    """Mean gray level that is decoded for both embeddings."""
    return [float(image.mean()) for image in decoded_images(decode, lessons.embeddings[:2], CPU)]


def test_the_mean_regressor_returns_the_mean() -> None:
    lessons = two_faces()
    found = level(train_mean(lessons, Size((8, 8), 120, 16, 5e-3), around()), lessons)
    assert found == pytest.approx([200, 128], abs=14)


def test_deconvolution_learns_images() -> None:
    lessons = two_faces()
    decode = train_nbnet(lessons, Size((16, 16, 16), 120, 16, 5e-3), around())
    images = decoded_images(decode, lessons.embeddings[:2], CPU)
    assert images.shape == (2, SIDE, SIDE, 3)
    # The error of a value between dark and bright is the same wherever it lies.
    assert images[0].mean() == pytest.approx(200, abs=20) and 44 < images[1].mean() < 212


def test_the_one_point_has_one_code() -> None:
    lessons = two_faces()
    decode = train_one_point(lessons, Size((), 150, 4, 1e-3), around())
    found = level(decode, lessons)
    # What the toy recognizer asks for besides may move codes a little.
    assert found[0] == pytest.approx(200, abs=40) and 64 < found[1] < 192
    z = torch.from_numpy(lessons.embeddings[:2])
    assert torch.equal(decode(z), decode(z))


@pytest.mark.parametrize(("inputs", "outputs"), [(8, 16), (16, 48)])
def test_half_of_a_blocks_channels_are_neighbours(inputs: int, outputs: int) -> None:
    block = NeighbourlyBlock(inputs, outputs)
    assert block(torch.randn(2, inputs, 4, 4)).shape == (2, outputs, 8, 8)
    assert len(block.neighbours) == outputs // 16
    seen = [cast(nn.Conv2d, cast(nn.Sequential, layer)[0]).in_channels for layer in block.neighbours]
    assert seen == list(range(outputs // 2, outputs, 8))


def test_networks_make_images_of_embeddings() -> None:
    z = torch.nn.functional.normalize(torch.randn(3, D))
    assert MeanRegressor(SIDE, D, (8, 8))(z).shape == (3, 3, SIDE, SIDE)
    assert NeighbourlyNetwork(D, (16, 16, 16))(z).shape == (3, 3, SIDE, SIDE)
    codes = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    point = OnePoint(D, 10 * codes + 7)
    reach = baselines.REACH * torch.from_numpy(10 * codes.std(0))
    assert ((point(z) - point.code_mean).abs() <= reach + 1e-3).all()


class Closed(nn.Module):
    """A black box."""

    differentiable = False


def test_recognizers_that_cannot_teach_are_told() -> None:
    f = Recognizer(Closed(), replace(CARD, architecture="python", channels=None), CPU)
    size = Size((16, 16, 16), 1, 4, 1e-3)
    with pytest.raises(ValueError, match="found architecture 'python', allowed is 'residual'"):
        train_nbnet(two_faces(), size, around(f))
    with pytest.raises(ValueError, match="found no gradients, allowed is a recognizer with gradients"):
        train_one_point(two_faces(), size, around(f))
