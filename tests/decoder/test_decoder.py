"""The decoder: noise of its own for each row and the same in every call, batches, files that do not fit."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attribute_recovery.decoder.decoder import Decoder, load_decoder, row_noise
from attribute_recovery.decoder.transformer import LatentTransformer
from attribute_recovery.statistics.quality import interval_coverage
from attribute_recovery.tracking.digest import sha256_file
from attribute_recovery.training.device import frozen
from attribute_recovery.training.weights import save_weights

CPU = torch.device("cpu")
SIZES = {"code_size": 6, "embedding_size": 8, "hidden": 16, "blocks": 1, "directions": 0}


def transformer(seed: int = 0) -> LatentTransformer:
    torch.manual_seed(seed)
    network = LatentTransformer(**SIZES)
    for layer in (network.out, network.embedding[-1]):  # start at 0, where every embedding is alike
        torch.nn.init.normal_(layer.weight, std=0.3)
    return frozen(network, CPU)


@pytest.fixture
def decoder(models) -> Decoder:
    return Decoder(transformer(), models[0], 3, CPU)


@pytest.fixture
def embeddings() -> np.ndarray:
    values = np.random.default_rng(1).standard_normal((7, 8), dtype=np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@given(st.integers(0, 1000), st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**40))
def test_the_first_samples_do_not_depend_on_how_many_there_are(
    row: int, few: int, more: int, seed: int
) -> None:
    short, long = row_noise(row, few, 5, seed), row_noise(row, few + more, 5, seed)
    assert np.array_equal(short, long[:few])


def test_noise_is_standard_normal_and_differs_by_row_and_seed() -> None:
    noise = np.stack([row_noise(row, 20, 10, 3) for row in range(200)])
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert abs(np.corrcoef(noise.reshape(200, -1))[np.triu_indices(200, 1)]).mean() < 0.1
    assert not np.allclose(noise[0], row_noise(0, 20, 10, 4))


def test_antithetic_noise_comes_in_pairs_of_opposite_signs(decoder: Decoder, embeddings: np.ndarray) -> None:
    paired = row_noise(3, 6, 10, 5, antithetic=True)
    assert np.array_equal(paired[1::2], -paired[::2]) and np.isfinite(paired).all()
    assert np.array_equal(row_noise(3, 5, 10, 5, antithetic=True), paired[:5])
    assert np.array_equal(paired[0], row_noise(3, 1, 10, 5)[0])
    plain, both = (decoder.sample(embeddings, 4, 9, antithetic=each) for each in (False, True))
    assert np.array_equal(plain[:, 0], both[:, 0]) and not np.allclose(plain[:, 1], both[:, 1])


def test_more_samples_keep_the_first_ones(decoder: Decoder, embeddings: np.ndarray) -> None:
    few, many = decoder.sample(embeddings, 2, 9), decoder.sample(embeddings, 5, 9)
    assert few.shape == (7, 2, 6)
    np.testing.assert_allclose(many[:, :2], few, atol=1e-5)


def test_an_embedding_in_the_same_row_meets_the_same_noise(decoder: Decoder, embeddings: np.ndarray) -> None:
    """What counterfactuals rest on: z and its moved copy differ by the move alone."""
    moved = embeddings.copy()
    moved[3] = -moved[3]
    before, after = decoder.sample(embeddings, 4, 9), decoder.sample(moved, 4, 9)
    others = [0, 1, 2, 4, 5, 6]
    assert np.array_equal(before[others], after[others])
    assert not np.allclose(before[3], after[3], atol=1e-2)


@pytest.mark.parametrize("batch_size", [1, 3, 10, 64])
def test_samples_do_not_depend_on_the_batch_size(
    decoder: Decoder, embeddings: np.ndarray, batch_size: int
) -> None:
    whole = decoder.sample(embeddings, 3, 2)
    np.testing.assert_allclose(decoder.sample(embeddings, 3, 2, batch_size=batch_size), whole, atol=1e-5)


def test_no_embeddings_give_no_samples(decoder: Decoder) -> None:
    assert decoder.sample(np.zeros((0, 8), np.float32), 3, 0).shape == (0, 3, 6)


class Noise(LatentTransformer):
    """p(w given z) is standard normal, whatever z."""

    def sample(self, embedding: torch.Tensor, noise: torch.Tensor, steps: int) -> torch.Tensor:
        return noise


@pytest.mark.parametrize("seed", range(6))
def test_coverage_of_a_perfect_decoder_is_nominal_in_every_run(models, seed: int) -> None:
    """Noise shared by all rows would make coverage a matter of 32 draws: sd 0.05, whatever the rows."""
    decoder = Decoder(Noise(**SIZES), models[0], 3, CPU)
    truth = np.random.default_rng(seed).standard_normal(2000)
    samples = decoder.sample(np.zeros((2000, 8), np.float32), 32, seed)[:, :, 0]
    assert interval_coverage(samples, truth, 0.9) == pytest.approx(0.9, abs=0.025)


@pytest.fixture
def files(tmp_path: Path, tiny_run) -> tuple[Path, Path]:
    weights, card = tmp_path / "transformer.safetensors", tmp_path / "transformer.json"
    save_weights(transformer(), weights)
    origin = {
        f"{name}_sha256": sha256_file(tiny_run.path(f"{name}_weights"))
        for name in ("generator", "recognizer")
    }
    card.write_text(json.dumps(SIZES | {"sampling_steps": 5} | origin))
    return weights, card


def changed(card: Path, **values: object) -> None:
    card.write_text(json.dumps(json.loads(card.read_text()) | values))


def test_a_decoder_is_read_back(files: tuple[Path, Path], models, embeddings: np.ndarray) -> None:
    loaded = load_decoder(*files, models[0])
    assert loaded.steps == 5
    expected = Decoder(transformer(), models[0], 5, CPU).sample(embeddings, 2, 1)
    assert np.array_equal(loaded.sample(embeddings, 2, 1), expected)
    assert not any(parameter.requires_grad for parameter in loaded.transformer.parameters())


def test_a_correction_is_read_back(files: tuple[Path, Path], models, embeddings: np.ndarray) -> None:
    torch.manual_seed(2)
    corrected = LatentTransformer(**SIZES | {"directions": 2})
    torch.nn.init.normal_(corrected.correction.out.weight)
    corrected.correction.basis.normal_()
    save_weights(corrected, files[0])
    with pytest.raises(ValueError, match="correction"):
        load_decoder(*files, models[0])
    changed(files[1], directions=2)
    found = load_decoder(*files, models[0]).sample(embeddings, 2, 1)
    assert np.array_equal(found, Decoder(frozen(corrected, CPU), models[0], 5, CPU).sample(embeddings, 2, 1))
    corrected.correction.basis.zero_()
    assert not np.allclose(found, Decoder(frozen(corrected, CPU), models[0], 5, CPU).sample(embeddings, 2, 1))


def test_codes_of_another_length_are_refused(files: tuple[Path, Path], models) -> None:
    weights, card = files
    changed(card, code_size=7)
    with pytest.raises(
        ValueError, match=r"transformer\.json: found code_size 7, allowed is 6, the length of"
    ):
        load_decoder(weights, card, models[0])


def test_weights_of_other_sizes_are_refused(files: tuple[Path, Path], models) -> None:
    weights, card = files
    changed(card, hidden=8)
    with pytest.raises(
        ValueError, match=r"transformer\.safetensors: tensor 'code.weight': found shape \(16, 6\)"
    ):
        load_decoder(weights, card, models[0])


def test_a_missing_key_and_missing_weights_are_named(files: tuple[Path, Path], models) -> None:
    weights, card = files
    values = json.loads(card.read_text())
    del values["blocks"]
    card.write_text(json.dumps(values))
    with pytest.raises(ValueError, match="key 'blocks' is missing"):
        load_decoder(weights, card, models[0])
    changed(card, blocks=1)
    weights.unlink()
    with pytest.raises(ValueError, match=r"transformer\.safetensors: cannot be read"):
        load_decoder(weights, card, models[0])
