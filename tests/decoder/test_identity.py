"""T's last lesson where G and f are known: what is drawn comes to embed as z, and the rest stays."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from attribute_recovery.config import DecoderSection
from attribute_recovery.decoder import train as stage
from attribute_recovery.decoder.identity import learn_identity
from attribute_recovery.decoder.pairs import Pairs
from attribute_recovery.decoder.train import learns_identity, train_transformer
from attribute_recovery.decoder.transformer import LatentTransformer
from attribute_recovery.training.loop import LoopSettings

LOOP = LoopSettings(
    steps=120, learning_rate=3e-3, warmup_steps=10, average=0.9, precision="float32", device="cpu", seed=1
)
PEOPLE = np.array([f"p{i}" for i in range(40)], dtype=object)
# What f sees of the number that is free.
SEEN = 0.1


class Generator:
    device, code_size = torch.device("cpu"), 4

    def decode(self, code: Tensor) -> Tensor:
        return code


class Recognizer:
    """f sees the first three numbers of four, and a little of the fourth."""

    embedding_size, differentiable = 3, True

    def embed(self, images: Tensor) -> Tensor:
        seen = images[:, :3] + SEEN * images[:, 3:]
        return torch.nn.functional.normalize(seen, dim=1)


def embeddings() -> np.ndarray:
    values = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


IMAGES = 20


def pairs() -> Pairs:
    """Twenty images of everybody: three numbers that are the person's, and a free one with variance 4."""
    z = np.repeat(embeddings(), IMAGES, 0)
    free = 2 * np.random.default_rng(3).standard_normal((len(z), 1))
    return Pairs(np.concatenate([z, free], 1).astype(np.float32), z)


@pytest.fixture(scope="module")
def blurred() -> LatentTransformer:
    """T on codes that say only roughly who it is."""
    codes, z = pairs()
    rng = np.random.default_rng(4)
    codes[:, :3] += 0.4 * rng.standard_normal((len(z), 3), dtype=np.float32)
    torch.manual_seed(0)
    network = LatentTransformer(4, 3, hidden=32, blocks=2)
    network.code_mean.copy_(torch.from_numpy(codes.mean(0)))
    network.code_scale.copy_(torch.from_numpy(codes.std(0)))
    settings = DecoderSection.model_construct(batch_size=128, decoded_share=0.0, embedding_noise=0.05)
    stage.fit_transformer(network, Pairs(codes, z), None, settings, replace(LOOP, steps=400))
    return network


def learned(
    network: LatentTransformer, settings: DecoderSection, weight: float, near: float | None = None
) -> LatentTransformer:
    copied = LatentTransformer(4, 3, hidden=32, blocks=2)
    copied.load_state_dict(network.state_dict())
    lesson = settings.identity.model_copy(update={"weight": weight, "batch_size": 32})
    settings = settings.model_copy(update={"identity": lesson, "sampling_steps": 4, "hidden": 32})
    images = pairs()
    if near is not None:  # images whose reconstructions embed at this cosine from them
        aside = np.cross(images.embeddings, np.roll(images.embeddings, 1, axis=1))
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        moved = near * images.embeddings + math.sqrt(1 - near**2) * aside
        images = Pairs(images.codes * np.array([1, 1, 1, 0], np.float32), moved.astype(np.float32))
    people = np.repeat(PEOPLE, IMAGES)
    learn_identity(copied, images, people, Generator(), Recognizer(), settings, LOOP)  # type: ignore[arg-type]
    return copied


def drawn(network: LatentTransformer) -> tuple[Tensor, Tensor]:
    """Codes of 25 samples for each embedding, and their cosines with what was asked for."""
    z = torch.from_numpy(embeddings()).repeat_interleave(25, 0)
    noise = torch.randn(len(z), 4, generator=torch.Generator().manual_seed(8))
    with torch.no_grad():
        code = network.sample(z, noise, 4)
    return code, (Recognizer().embed(code) * z).sum(1)


def test_what_is_drawn_comes_to_embed_as_z_and_what_is_not_the_persons_stays(
    blurred: LatentTransformer, settings: DecoderSection
) -> None:
    before, cosine = drawn(blurred)
    after, learned_cosine = drawn(learned(blurred, settings, 300.0))
    assert 1 - float(learned_cosine.mean()) < 0.5 * (1 - float(cosine.mean()))
    # f sees a little of the free number, so that giving up its spread would pay
    assert float((after[:, 3] - before[:, 3]).abs().max()) < 0.15 * float(before[:, 3].std())


def test_nothing_is_gained_beyond_what_reconstructions_reach(
    blurred: LatentTransformer, settings: DecoderSection
) -> None:
    _, freely = drawn(learned(blurred, settings, 300.0))
    _, held = drawn(learned(blurred, settings, 300.0, near=0.9))
    _, before = drawn(blurred)
    assert float(before.mean()) < float(held.mean()) < float(freely.mean()) - 0.01


def test_the_weight_says_how_far_codes_may_stray(
    blurred: LatentTransformer, settings: DecoderSection
) -> None:
    before, _ = drawn(blurred)
    strayed, cosines = [], []
    for weight in (1.0, 300.0):
        code, cosine = drawn(learned(blurred, settings, weight))
        strayed.append(float((code - before).square().mean()))
        cosines.append(float(cosine.mean()))
    assert strayed[0] < 0.3 * strayed[1]
    assert cosines[0] < cosines[1]


def test_a_black_box_is_not_asked_for_gradients(settings: DecoderSection) -> None:
    class BlackBox(Recognizer):
        differentiable = False

        def embed(self, images: Tensor) -> Tensor:
            assert not images.requires_grad
            return super().embed(images).detach()

    assert not learns_identity(settings, BlackBox())  # type: ignore[arg-type]
    assert learns_identity(settings, Recognizer())  # type: ignore[arg-type]
    none = settings.model_copy(update={"identity": settings.identity.model_copy(update={"steps": 0})})
    assert not learns_identity(none, Recognizer())  # type: ignore[arg-type]
    codes = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
    data = (Pairs(codes, embeddings()), PEOPLE, Generator())
    boxed, without = (
        train_transformer(*data, recognizer, chosen, 3, "float32")  # type: ignore[arg-type]
        for recognizer, chosen in ((BlackBox(), settings), (Recognizer(), none))
    )
    for a, b in zip(boxed.state_dict().values(), without.state_dict().values(), strict=True):
        assert torch.equal(a, b)
