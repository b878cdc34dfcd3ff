"""A generator comes back as it was saved, and weights, cards and images that do not fit are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from attribute_recovery.config import GeneratorNetwork
from attribute_recovery.generator.cards import GENERATOR_KEYS
from attribute_recovery.generator.load import LoadedGenerator, load_generator
from attribute_recovery.generator.prepare import generator_card
from attribute_recovery.generator.train import Autoencoder, to_tensor
from attribute_recovery.training.weights import save_weights, write_card

Images = npt.NDArray[np.uint8]
CPU = torch.device("cpu")


@pytest.fixture
def card_values(network: GeneratorNetwork, pictures: Images) -> dict[str, Any]:
    """What the card says."""
    return generator_card(pictures, ["red", "hat"], network, {"steps": 3}, 0, "a test")


@pytest.fixture
def autoencoder(network: GeneratorNetwork) -> Autoencoder:
    """Networks whose images leave the range."""
    torch.manual_seed(0)
    found = Autoencoder(16, network).eval()
    torch.nn.init.normal_(found.generator.image.weight, std=3.0)
    return found


@pytest.fixture
def files(tmp_path: Path, autoencoder: Autoencoder, card_values: dict[str, Any]) -> tuple[Path, Path]:
    """Weights and card."""
    weights, card = tmp_path / "autoencoder.safetensors", tmp_path / "card.json"
    save_weights(autoencoder, weights)
    write_card(card, card_values)
    return weights, card


@pytest.fixture
def generator(files: tuple[Path, Path]) -> LoadedGenerator:
    """Loaded in float32."""
    return load_generator(*files, CPU, torch.float32)


def test_it_comes_back(generator: LoadedGenerator, autoencoder: Autoencoder, pictures: Images) -> None:
    assert (generator.code_size, generator.image_size) == (6, 16)
    image = to_tensor(pictures)
    with torch.no_grad():
        code = autoencoder.encoder(image)
        decoded = autoencoder.generator(code)
    torch.testing.assert_close(generator.encode(image), code, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(generator.decode(code), decoded.clamp(-1, 1), rtol=1e-4, atol=1e-4)
    assert float(decoded.abs().max()) > 1  # so there was something to clamp
    assert not any(p.requires_grad for p in generator.networks.parameters())


def test_codes_do_not_depend_on_the_batch_size(generator: LoadedGenerator, pictures: Images) -> None:
    expected = generator.encode_images(pictures)
    assert expected.shape == (64, 6) and expected.dtype == np.float32
    for size in (1, 7, 100):
        np.testing.assert_allclose(generator.encode_images(pictures, batch_size=size), expected, atol=1e-5)


def test_it_is_differentiable_in_images_and_codes(generator: LoadedGenerator, pictures: Images) -> None:
    image = to_tensor(pictures[:2]).clone().requires_grad_()
    generator.encode(image).sum().backward()  # type: ignore[no-untyped-call]
    code = torch.zeros(2, 6, requires_grad=True)
    generator.decode(code).sum().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None and bool(image.grad.any())
    assert code.grad is not None and bool(code.grad.any())


def test_images_of_another_size_are_refused(generator: LoadedGenerator) -> None:
    with pytest.raises(
        ValueError, match=r"^image: found shape \(3, 32, 32\), the generator's is \(3, 16, 16\)$"
    ):
        generator.encode(torch.zeros(2, 3, 32, 32))


def test_weights_of_other_sizes_are_refused(
    files: tuple[Path, Path], card_values: dict[str, Any], network: GeneratorNetwork
) -> None:
    weights, card = files
    other = network.model_copy(update={"code_size": 7}).model_dump(mode="json")
    write_card(card, card_values | {"network": other})
    with pytest.raises(
        ValueError, match=r"autoencoder.safetensors: tensor 'encoder.code.weight': found shape"
    ):
        load_generator(weights, card, CPU, torch.float32)


def test_a_card_must_fit_itself_and_be_whole(files: tuple[Path, Path], card_values: dict[str, Any]) -> None:
    weights, card = files
    write_card(card, card_values | {"image_size": 32})
    with pytest.raises(ValueError, match="size: found 32; 2 stages of channels make an image of side 16"):
        load_generator(weights, card, CPU, torch.float32)
    write_card(card, {key: value for key, value in card_values.items() if key != "licence"})
    with pytest.raises(ValueError, match="card.json: key 'licence' is missing"):
        load_generator(weights, card, CPU, torch.float32)
    write_card(card, card_values | {"network": {"code_size": 6}})
    with pytest.raises(ValueError, match="decoder_channels"):
        load_generator(weights, card, CPU, torch.float32)
    card.unlink()
    with pytest.raises(ValueError, match="card.json: the weights' card cannot be read"):
        load_generator(weights, card, CPU, torch.float32)


def test_a_missing_or_damaged_file_is_refused(files: tuple[Path, Path]) -> None:
    weights, card = files
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match="autoencoder.safetensors: cannot be read as safetensors"):
        load_generator(weights, card, CPU, torch.float32)


def test_the_card_says_what_it_was_trained_on(card_values: dict[str, Any], pictures: Images) -> None:
    assert set(card_values) == GENERATOR_KEYS
    assert card_values["images"] == 64 and card_values["image_size"] == 16
    changed = pictures.copy()
    changed[3, 2, 1, 0] ^= 1
    other = generator_card(changed, (), GeneratorNetwork.model_validate(card_values["network"]), {}, 0, "")
    assert other["images_sha256"] != card_values["images_sha256"]
    assert card_values["attributes"] == ["red", "hat"] and other["attributes"] == []
    json.dumps(card_values)
