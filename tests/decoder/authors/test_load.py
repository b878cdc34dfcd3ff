"""The authors' models compute what the reference computed, and fit where the stages' own models stand."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from attribute_recovery.decoder.authors.load import load_authors
from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.generator.authors_files import model_files

from .conftest import CPU, Imported, Reference


def test_the_chain_is_the_references(reference: Reference) -> None:
    """Largest differences demanded: 1e-4 for embedding and code, 1e-3 of the image's range of 2."""
    models, expected = reference.loaded, reference.expected
    with torch.no_grad():
        embedding = models.embed(torch.from_numpy(expected["image"]))
        code = models.styles(embedding)
        decoded = models.decode(embedding)
    assert float(np.abs(embedding.numpy() - expected["embedding"]).max()) < 1e-5
    assert float(np.abs(code.numpy() - expected["code"]).max()) < 1e-4
    assert float(np.abs(decoded.numpy() - expected["decoded"]).max()) < 1e-3


def test_codes_of_the_references_own_embeddings_are_its_codes(reference: Reference) -> None:
    with torch.no_grad():
        code = reference.loaded.styles(torch.from_numpy(reference.expected["embedding"]))
    assert float(np.abs(code.numpy() - reference.expected["code"]).max()) < 1e-5


def test_what_was_loaded_is_what_was_saved(imported: Imported) -> None:
    networks, images = imported.networks, torch.rand(3, 3, 16, 16) * 2 - 1
    recognizer, transformer, generator = (networks[k] for k in ("recognizer", "transformer", "generator"))
    mean = networks["mean"]
    assert isinstance(mean, torch.Tensor)
    with torch.no_grad():
        features = recognizer(images)
        embedding = nn.functional.normalize(features)
        styles = transformer(embedding).view(3, 4, 12) + mean
        models = imported.loaded
        assert torch.equal(models.represent(images), features)
        assert torch.equal(models.embed(images), embedding)
        assert torch.equal(models.styles(embedding), styles)
        assert torch.equal(models.decode(embedding), generator(styles))


def test_they_stand_where_the_stages_have_g_and_e(imported: Imported) -> None:
    models = imported.loaded
    generator, images = models.generator(), torch.rand(2, 3, 8, 8) * 2 - 1
    assert (generator.code_size, generator.image_size) == (48, 8)
    with torch.no_grad():
        code = generator.encode(images)
        torch.testing.assert_close(code, models.transformer(models.embed(images)))
        torch.testing.assert_close(generator.decode(code), models.decode(models.embed(images)).clamp(-1, 1))
    pixels = ((images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    assert generator.encode_images(pixels, batch_size=1).shape == (2, 48)


def test_all_samples_of_an_embedding_are_one_point(imported: Imported) -> None:
    transformer = imported.loaded.transformer
    size = transformer.code_size
    decoder: Decoder = imported.loaded.decoder()
    embeddings = torch.nn.functional.normalize(torch.randn(3, 10)).numpy()
    found = decoder.sample(embeddings, 4, seed=1)
    assert found.shape == (3, 4, size)
    assert np.array_equal(found, np.broadcast_to(found[:, :1], found.shape))
    expected = transformer(torch.from_numpy(embeddings)).numpy()
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-4)
    assert float(np.abs(found[0, 0] - found[1, 0]).max()) > 1e-3


def test_weights_are_closed_to_gradients(imported: Imported) -> None:
    networks = imported.loaded.networks
    assert not networks.training
    assert not any(value.requires_grad for value in networks.parameters())


@pytest.fixture
def models(imported: Imported, tmp_path: Path) -> Path:
    return Path(shutil.copytree(imported.models, tmp_path / "models"))


def change(card: Path, **values: object) -> None:
    card.write_text(json.dumps(json.loads(card.read_text()) | values))


def test_missing_files_are_named(models: Path) -> None:
    for part, (weights, card) in model_files(models).items():
        for path in (weights, card):
            moved = path.rename(path.with_name("moved"))
            with pytest.raises(ValueError, match=f"{part}"):
                load_authors(models, CPU)
            moved.rename(path)
    load_authors(models, CPU)


def test_weights_of_another_recognizer_are_refused(models: Path, imported: Imported) -> None:
    files = model_files(models)
    content = files["recognizer"][0].read_bytes()
    files["recognizer"][0].write_bytes(content[:-4] + b"\x00\x00\x80\x3f")
    with pytest.raises(
        ValueError, match="recognizer.safetensors: found sha256 .* the recognizer that .* trained"
    ):
        load_authors(models, CPU)
    files["recognizer"][0].write_bytes(content)
    change(files["recognizer"][1], weights_sha256="0" * 64)
    with pytest.raises(ValueError, match="recognizer.safetensors: found sha256 .*, the card allows 0000"):
        load_authors(models, CPU)


def test_cards_that_do_not_fit_are_named(models: Path) -> None:
    files = model_files(models)
    kept = {part: card.read_text() for part, (_, card) in files.items()}
    files["recognizer"][1].write_text("[]")
    with pytest.raises(ValueError, match="recognizer.json: cannot be read as the card of a recognizer"):
        load_authors(models, CPU)
    files["recognizer"][1].write_text(kept["recognizer"])
    change(files["recognizer"][1], interpolation="bicubic")
    with pytest.raises(
        ValueError, match="recognizer.json: field interpolation: found 'bicubic', allowed is 'bil"
    ):
        load_authors(models, CPU)
    files["recognizer"][1].write_text(kept["recognizer"])
    change(files["generator"][1], network={"architecture": "stylegan3"})
    with pytest.raises(
        ValueError, match="generator.json: field network: found .*stylegan3.* allowed is an object"
    ):
        load_authors(models, CPU)
    files["generator"][1].write_text(kept["generator"])
    change(files["transformer"][1], blocks=3)
    with pytest.raises(ValueError, match="T makes codes of 36, G takes codes of 48"):
        load_authors(models, CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same(imported: Imported) -> None:
    there = load_authors(imported.models, torch.device("cuda"))
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        found, expected = (models.decode(models.embed(images)).cpu() for models in (there, imported.loaded))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
