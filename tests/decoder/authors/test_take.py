"""T of the authors stands where a trained T stands, for its own recognizer only."""

from pathlib import Path

import numpy as np
import pytest
import torch

from attribute_recovery.decoder.authors.take import take_transformer
from attribute_recovery.decoder.decoder import load_decoder
from attribute_recovery.generator.authors import take_models
from attribute_recovery.generator.authors_files import model_files
from attribute_recovery.generator.cards import check_origin
from attribute_recovery.generator.load import load_generator

from .conftest import CPU, Imported


@pytest.fixture
def generator(imported: Imported, tmp_path: Path) -> tuple[Path, Path]:
    files = tmp_path / "autoencoder.safetensors", tmp_path / "card.json"
    take_models(imported.models, 8, weights=files[0], card=files[1])
    return files


def test_it_decodes_as_the_models_do(
    imported: Imported, generator: tuple[Path, Path], tmp_path: Path
) -> None:
    recognizer = model_files(imported.models)["recognizer"][0]
    files = tmp_path / "transformer.safetensors", tmp_path / "transformer.json"
    take_transformer(generator, recognizer, weights=files[0], card=files[1])
    check_origin(files[1], generator_weights=generator[0], recognizer_weights=recognizer)
    decoder = load_decoder(*files, load_generator(*generator, CPU, torch.bfloat16))
    assert decoder.one_point
    embeddings = torch.nn.functional.normalize(torch.randn(3, 10))
    found = decoder.sample(embeddings.numpy(), 2, seed=1)
    with torch.no_grad():
        expected = imported.loaded.transformer(embeddings).numpy()
    np.testing.assert_allclose(found, np.stack([expected, expected], 1), atol=1e-5)


def test_another_recognizer_is_refused(
    imported: Imported, generator: tuple[Path, Path], tmp_path: Path
) -> None:
    other = tmp_path / "weights.safetensors"
    other.write_bytes(b"x")
    with pytest.raises(ValueError, match="weights.safetensors: found sha256 .*, the recognizer whose embedd"):
        take_transformer(generator, other, weights=tmp_path / "t", card=tmp_path / "c")
    assert not (tmp_path / "t").exists()
