"""The authors' folder becomes the stage's G and E, which every later stage reads like any other's."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from attribute_recovery.generator import load as load_module
from attribute_recovery.generator.authors import AuthorsAutoencoder, read_models, take_models, untrained
from attribute_recovery.generator.authors_files import model_files
from attribute_recovery.generator.cards import GENERATOR_KEYS
from attribute_recovery.generator.load import LoadedGenerator, load_generator
from attribute_recovery.tracking.digest import sha256_file
from attribute_recovery.training.weights import read_card

CPU = torch.device("cpu")


@pytest.fixture
def taken(authors_models: Path, tmp_path: Path) -> tuple[Path, Path]:
    files = tmp_path / "autoencoder.safetensors", tmp_path / "card.json"
    metrics = take_models(authors_models, 8, weights=files[0], card=files[1])
    assert "550000.pt" in metrics["provenance"]
    return files


def test_the_card_tells_the_networks_and_the_recognizer(
    taken: tuple[Path, Path], authors_models: Path
) -> None:
    values = read_card(taken[1], GENERATOR_KEYS)
    assert values["image_size"] == 8
    encoder = values["network"]["encoder"]
    assert encoder["weights_sha256"] == sha256_file(model_files(authors_models)["recognizer"][0])
    assert (encoder["architecture"], encoder["crop_size"], encoder["embedding_size"]) == (
        "mobilefacenet",
        16,
        10,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_codes_are_those_of_embeddings_and_images_those_of_codes(
    taken: tuple[Path, Path], authors_models: Path, dtype: torch.dtype
) -> None:
    """In float32 whatever the precision of other networks: f is part of E."""
    loaded = load_generator(*taken, CPU, dtype)
    networks, _ = read_models(authors_models)
    images = torch.rand(3, 3, 8, 8) * 2 - 1
    with torch.no_grad():
        large = nn.functional.interpolate(images, (16, 16), mode="bilinear", align_corners=True)
        embedding = nn.functional.normalize(networks.encoder.recognizer(large))
        code = networks.encoder.transformer(embedding)
        torch.testing.assert_close(loaded.encode(images), code, atol=1e-5, rtol=1e-5)
        styles = code.view(3, 4, 12) + networks.generator.mean
        decoded = networks.generator.network(styles).clamp(-1, 1)
        torch.testing.assert_close(loaded.decode(code), decoded, atol=1e-5, rtol=1e-5)
    assert (loaded.code_size, loaded.image_size, loaded.dtype) == (48, 8, torch.float32)


def test_a_code_takes_gradients_from_its_image(taken: tuple[Path, Path]) -> None:
    loaded = load_generator(*taken, CPU, torch.float32)
    code = torch.zeros(2, 48, requires_grad=True)
    loaded.decode(code).sum().backward()
    assert code.grad is not None and bool(code.grad.any())
    assert not any(value.requires_grad for value in loaded.networks.parameters())


def test_many_codes_are_decoded_some_at_a_time(
    taken: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_generator(*taken, CPU, torch.float32)
    codes = torch.randn(7, 48)
    at_once = loaded.decode(codes)
    seen: list[int] = []
    inner = loaded.networks.generator.forward

    def counted(code: torch.Tensor) -> torch.Tensor:
        seen.append(len(code))
        return inner(code)

    monkeypatch.setattr(loaded.networks.generator, "forward", counted)
    monkeypatch.setattr(load_module, "PIXELS_AT_ONCE", 3 * 8**2)
    torch.testing.assert_close(loaded.decode(codes), at_once, atol=1e-5, rtol=1e-5)
    assert seen == [3, 3, 1]


def test_their_generator_of_full_size_decodes_eight_at_once(taken: tuple[Path, Path]) -> None:
    loaded = load_generator(*taken, CPU, torch.float32)
    assert LoadedGenerator(loaded.networks, 256, CPU, torch.float32).at_once == 8


def test_images_of_another_size_are_refused(authors_models: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="whose images have a side of 8, but the data set's have 16; set"):
        take_models(authors_models, 16, weights=tmp_path / "a", card=tmp_path / "b")
    assert not list(tmp_path.iterdir())


def test_cards_that_do_not_fit_are_named(taken: tuple[Path, Path]) -> None:
    values = json.loads(taken[1].read_text())
    with pytest.raises(ValueError, match="field network: found .*, allowed is an object with the arch"):
        untrained(values | {"network": values["network"] | {"other": 1}}, taken[1])
    encoder = values["network"]["encoder"] | {"blocks": 5}
    with pytest.raises(ValueError, match="T makes codes of 60, G takes codes of 48"):
        untrained(values | {"network": values["network"] | {"encoder": encoder}}, taken[1])


def test_t_of_another_generator_is_refused(authors_models: Path, tmp_path: Path) -> None:
    models = Path(shutil.copytree(authors_models, tmp_path / "models"))
    weights = model_files(models)["generator"][0]
    weights.write_bytes(weights.read_bytes()[:-4] + np.float32(1).tobytes())
    with pytest.raises(ValueError, match="generator.safetensors: found sha256 .* was trained for"):
        read_models(models)


def test_what_is_read_is_an_autoencoder_of_theirs(authors_models: Path) -> None:
    networks, values = read_models(authors_models)
    assert isinstance(networks, AuthorsAutoencoder) and not networks.training
    assert set(values) == GENERATOR_KEYS
