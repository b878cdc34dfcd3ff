"""Training of T in rounds: where pairs come from, what is decoded, that an interruption changes nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from attribute_recovery.config import Compute, DecoderSection
from attribute_recovery.dataset.store import read_array, read_images, read_table, rows_of
from attribute_recovery.decoder import train as stage
from attribute_recovery.decoder.decoder import load_decoder
from attribute_recovery.decoder.pairs import Pairs, mirrored_pairs
from attribute_recovery.decoder.train import round_checkpoint, train_transformer
from attribute_recovery.decoder.transformer import LatentTransformer
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.tracking.digest import sha256_file

CODES, EMBEDDINGS = 3, 4


class StubGenerator:
    """G doubles the code."""

    code_size, device = CODES, torch.device("cpu")

    def decode(self, code: Tensor) -> Tensor:
        return 2 * code


class StubRecognizer:
    """f is a fixed linear map, normalised; it counts, and may break."""

    embedding_size = EMBEDDINGS
    matrix = torch.randn(CODES, EMBEDDINGS, generator=torch.Generator().manual_seed(0))

    def __init__(self) -> None:
        self.embedded: list[Tensor] = []
        self.breaks_at: int | None = None
        self.differentiable = False

    def embed(self, images: Tensor) -> Tensor:
        if len(self.embedded) == self.breaks_at:
            raise KeyboardInterrupt
        self.embedded.append(images)
        return torch.nn.functional.normalize(images @ self.matrix, dim=1)


def embedded(codes: np.ndarray) -> np.ndarray:
    features = 2 * codes @ StubRecognizer.matrix.numpy()
    return features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.fixture
def data() -> tuple[Pairs, np.ndarray]:
    codes = np.random.default_rng(0).standard_normal((100, CODES)).astype(np.float32)
    identities = np.array([f"person {i // 4}" for i in range(100)], dtype=object)
    return Pairs(codes, embedded(codes).astype(np.float32)), identities


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor]]:
    """Every batch that the loss sees: codes and embeddings."""
    seen: list[tuple[Tensor, Tensor]] = []
    original = stage.flow_loss

    def spied(network: LatentTransformer, code: Tensor, embedding: Tensor) -> Tensor:
        seen.append((code, embedding))
        return original(network, code, embedding)

    monkeypatch.setattr(stage, "flow_loss", spied)
    return seen


def fitted(
    data, settings: DecoderSection, recognizer=None, checkpoint: Path | None = None
) -> LatentTransformer:  # type: ignore[no-untyped-def]
    recognizer = recognizer or StubRecognizer()
    return train_transformer(
        *data, StubGenerator(), recognizer, settings, 3, "float32", checkpoint=checkpoint
    )


def changed(settings: DecoderSection, **values: object) -> DecoderSection:
    return settings.model_copy(update=values)


def test_without_decoded_share_there_is_one_round_of_real_pairs(
    data, settings: DecoderSection, batches
) -> None:
    recognizer = StubRecognizer()
    fitted(data, changed(settings, decoded_share=0.0, embedding_noise=0.0), recognizer)
    assert not recognizer.embedded
    assert len(batches) == settings.steps
    real = {tuple(row) for row in data[0].codes.tolist()}
    for code, embedding in batches:
        assert len(code) == settings.batch_size
        assert {tuple(row) for row in code.tolist()} <= real
        np.testing.assert_allclose(embedding, embedded(code.numpy()), atol=1e-5)


def test_decoded_pairs_are_their_share_of_later_rounds_and_true(
    data, settings: DecoderSection, batches
) -> None:
    recognizer = StubRecognizer()
    fitted(data, changed(settings, decoded_share=0.25, embedding_noise=0.0), recognizer)
    real = {tuple(row) for row in data[0].codes.tolist()}
    shares = [np.mean([tuple(row) not in real for row in code.tolist()]) for code, _ in batches]
    assert len(batches) == settings.steps
    assert shares == [0.0] * 6 + [0.25] * 14
    for code, embedding in batches:
        np.testing.assert_allclose(embedding, embedded(code.numpy()), atol=1e-4)
    # two rounds draw; the last draws none
    assert sum(len(part) for part in recognizer.embedded) == 2 * settings.decoded_pairs


def test_the_second_drawing_adds_to_the_first(data, settings: DecoderSection, batches) -> None:
    recognizer = StubRecognizer()
    fitted(data, changed(settings, decoded_share=1.0, steps=100), recognizer)
    first, both = (
        set(map(tuple, (torch.cat(parts) / 2).tolist()))
        for parts in (recognizer.embedded[:1], recognizer.embedded)
    )
    last = {tuple(row) for code, _ in batches[60:] for row in code.tolist()}
    assert last <= both
    assert last & first
    assert last - first


def test_embeddings_are_disturbed_in_training(data, settings: DecoderSection, batches) -> None:
    fitted(data, changed(settings, decoded_share=0.0, embedding_noise=0.3))
    code, embedding = batches[0]
    distance = np.linalg.norm(embedding.numpy() - embedded(code.numpy()), axis=1)
    assert 0.1 < distance.mean() < 0.5
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-5)


def test_codes_are_standardised_and_a_constant_component_stays(data, settings: DecoderSection) -> None:
    codes = data[0].codes * np.float32([3, 1, 0]) + np.float32([1, 0, 5])
    network = fitted((Pairs(codes, data[0].embeddings), data[1]), settings)
    np.testing.assert_allclose(network.code_mean, codes.mean(0), rtol=1e-6)
    np.testing.assert_allclose(network.code_scale, [codes[:, 0].std(), codes[:, 1].std(), 1], rtol=1e-5)
    assert all(bool(torch.isfinite(value).all()) for value in network.state_dict().values())


def test_training_is_a_function_of_the_seed(data, settings: DecoderSection) -> None:
    first, second = fitted(data, settings), fitted(data, settings)
    other = train_transformer(*data, StubGenerator(), StubRecognizer(), settings, 4, "float32")
    assert same(first, second)
    assert not same(first, other)


def same(first: LatentTransformer, second: LatentTransformer) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("breaks_at", [0, 1])
def test_a_training_interrupted_between_rounds_ends_as_one_that_was_not(
    data, settings: DecoderSection, tmp_path: Path, batches, breaks_at: int
) -> None:
    recognizer, checkpoint = StubRecognizer(), tmp_path / "t.safetensors"
    recognizer.breaks_at = breaks_at  # the codes of a round are embedded in one batch
    with pytest.raises(KeyboardInterrupt):
        fitted(data, settings, recognizer, checkpoint)
    done = len(batches)
    assert round_checkpoint(checkpoint, breaks_at).exists()
    resumed = fitted(data, settings, checkpoint=checkpoint)
    assert len(batches) == settings.steps  # no step was taken twice
    assert 0 < done < settings.steps
    assert same(resumed, fitted(data, settings))


def test_a_training_interrupted_within_a_round_ends_as_one_that_was_not(
    data, settings: DecoderSection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = stage.flow_loss, []

    def breaking(*args) -> Tensor:  # type: ignore[no-untyped-def]
        calls.append(1)
        if len(calls) == 9:  # the third step of the second round
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(stage, "flow_loss", breaking)
    with pytest.raises(KeyboardInterrupt):
        fitted(data, settings, checkpoint=tmp_path / "t.safetensors")
    resumed = fitted(data, settings, checkpoint=tmp_path / "t.safetensors")
    assert len(calls) == 9 + 14
    assert same(resumed, fitted(data, settings))


@pytest.fixture(scope="module")
def trained(tiny_run, settings: DecoderSection, compute: Compute, tmp_path_factory):  # type: ignore[no-untyped-def]
    """The entry's metrics, weights, card and checkpoint."""
    folder = tmp_path_factory.mktemp("trained")
    models = ("generator_weights", "generator_card", "recognizer_weights", "recognizer_card")
    read = tiny_run.paths("images", "codes", "shards", *models)
    weights, card, checkpoint = (
        folder / "w.safetensors",
        folder / "w.json",
        folder / "checkpoints" / "c.safetensors",
    )
    metrics = stage.train_decoder(
        settings,
        7,
        compute,
        table=tiny_run.path("images_table"),
        **read,
        weights=weights,
        card=card,
        checkpoint=checkpoint,
    )
    return metrics, weights, card, checkpoint


def test_the_entry_writes_a_decoder_of_the_split_train(
    trained, tiny_run, models, settings: DecoderSection
) -> None:
    metrics, weights, card, checkpoint = trained
    assert metrics == {"pairs": 40, "learned_identity": True}  # as many again mirrored
    assert not list(checkpoint.parent.iterdir())
    values = json.loads(card.read_text())
    assert values["recognizer_sha256"] == sha256_file(tiny_run.path("recognizer_weights"))
    assert values["generator_sha256"] == sha256_file(tiny_run.path("generator_weights"))
    loaded = load_decoder(weights, card, models[0])
    table = read_table(tiny_run.path("images_table"))
    rows = rows_of(table, "train")
    pairs = Pairs(
        read_array(tiny_run.path("codes"), rows), read_embeddings(tiny_run.path("shards"), table.iloc[rows])
    )
    pairs = pairs.joined(mirrored_pairs(*models, read_images(tiny_run.path("images"), rows)))
    np.testing.assert_allclose(loaded.transformer.code_mean, pairs.codes.mean(0), rtol=1e-5)
    people = np.tile(table["identity"].to_numpy(object)[rows], 2)
    assert same(loaded.transformer, train_transformer(pairs, people, *models, settings, 7, "float32"))
