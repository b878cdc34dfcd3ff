"""T's last lesson where G and f are known: what is drawn comes to embed as z, and the rest stays."""

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
PEOPLE = np.array([f"p{i // 2}" for i in range(40)], dtype=object)


class Generator:
    device, code_size = torch.device("cpu"), 4

    def decode(self, code: Tensor) -> Tensor:
        return code


class Recognizer:
    """f sees the first three numbers of four."""

    embedding_size, differentiable = 3, True

    def embed(self, images: Tensor) -> Tensor:
        return torch.nn.functional.normalize(images[:, :3], dim=1)


def embeddings() -> np.ndarray:
    values = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def blurred() -> LatentTransformer:
    """T on pairs whose codes say only roughly who it is; the fourth number is free, with variance 4."""
    rng = np.random.default_rng(3)
    z = np.repeat(embeddings(), 20, 0)
    codes = np.concatenate([z + 0.4 * rng.standard_normal(z.shape), 2 * rng.standard_normal((len(z), 1))], 1)
    torch.manual_seed(0)
    network = LatentTransformer(4, 3, hidden=32, blocks=2)
    codes = codes.astype(np.float32)
    network.code_mean.copy_(torch.from_numpy(codes.mean(0)))
    network.code_scale.copy_(torch.from_numpy(codes.std(0)))
    settings = DecoderSection.model_construct(batch_size=128, decoded_share=0.0, embedding_noise=0.05)
    stage.fit_transformer(
        network, Pairs(codes, z.astype(np.float32)), None, settings, replace(LOOP, steps=400)
    )
    return network


def learned(network: LatentTransformer, settings: DecoderSection, weight: float) -> LatentTransformer:
    copied = LatentTransformer(4, 3, hidden=32, blocks=2)
    copied.load_state_dict(network.state_dict())
    lesson = settings.identity.model_copy(update={"weight": weight, "batch_size": 32})
    settings = settings.model_copy(update={"identity": lesson, "sampling_steps": 4})
    learn_identity(copied, embeddings(), PEOPLE, Generator(), Recognizer(), settings, LOOP)  # type: ignore[arg-type]
    return copied


def drawn(network: LatentTransformer) -> tuple[Tensor, Tensor]:
    """Codes of 25 samples for each embedding, and their cosines with what was asked for."""
    z = torch.from_numpy(embeddings()).repeat_interleave(25, 0)
    noise = torch.randn(len(z), 4, generator=torch.Generator().manual_seed(8))
    with torch.no_grad():
        code = network.sample(z, noise, 4)
    return code, (Recognizer().embed(code) * z).sum(1)


def test_what_is_drawn_comes_to_embed_as_z_and_what_f_does_not_see_stays(
    blurred: LatentTransformer, settings: DecoderSection
) -> None:
    before, cosine = drawn(blurred)
    after, learned_cosine = drawn(learned(blurred, settings, 10.0))
    assert 1 - float(learned_cosine.mean()) < 0.5 * (1 - float(cosine.mean()))
    assert float(after[:, 3].std()) == pytest.approx(float(before[:, 3].std()), rel=0.1)
    # the same noise gives nearly the same free number: samples are corrected, not drawn anew
    assert float(torch.corrcoef(torch.stack([before[:, 3], after[:, 3]]))[0, 1]) > 0.98


def test_the_weight_says_how_far_codes_may_stray(
    blurred: LatentTransformer, settings: DecoderSection
) -> None:
    before, _ = drawn(blurred)
    strayed, cosines = [], []
    for weight in (0.1, 10.0):
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
