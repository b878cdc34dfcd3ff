"""The models behind a decoded face are those of the files, and T of another pair of models is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from attribute_recovery.attributes.heads import load_heads
from attribute_recovery.config import Compute, DecoderSection
from attribute_recovery.decoder.models import Models, load_models
from attribute_recovery.decoder.pairs import embed_codes
from attribute_recovery.decoder.train import train_decoder

Files = dict[str, tuple[Path, Path]]


@pytest.fixture(scope="module")
def files(tiny_run, settings: DecoderSection, compute: Compute, tmp_path_factory) -> Files:  # type: ignore[no-untyped-def]
    """Weights and card of each model; T is trained for the others."""
    folder = tmp_path_factory.mktemp("models")
    own = folder / "t.safetensors", folder / "t.json"
    names = ("generator", "recognizer")
    given = tiny_run.paths(*(f"{name}_{part}" for name in names for part in ("weights", "card")))
    data = tiny_run.paths("images", "codes", "shards") | {"table": tiny_run.path("images_table")}
    written = {"weights": own[0], "card": own[1], "checkpoint": folder / "c.safetensors"}
    train_decoder(settings, 1, compute, **data, **given, **written)
    found = {name: (tiny_run.path(f"{name}_weights"), tiny_run.path(f"{name}_card")) for name in names}
    heads = tiny_run.path("heads_weights"), tiny_run.path("heads_card")
    return found | {"heads": heads, "transformer": own}


def test_each_model_is_that_of_its_files(files: Files, compute: Compute, models) -> None:  # type: ignore[no-untyped-def]
    found = load_models(compute, torch.device("cpu"), **files)
    assert isinstance(found, Models)
    codes = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
    embedded = embed_codes(found.decoder.generator, found.recognizer, codes)
    np.testing.assert_array_equal(embedded, embed_codes(*models, codes))
    image = found.decoder.generator.decode(torch.from_numpy(codes))
    alone = load_heads(*files["heads"], torch.device("cpu"), torch.float32).estimate(image)
    for name, mean in found.estimator.estimate(image).mean.items():
        np.testing.assert_array_equal(mean, alone.mean[name])
    assert found.decoder.sample(embedded, 2, 0).shape == (4, 2, 6)


@pytest.mark.parametrize("name", ["generator", "recognizer"])
def test_t_of_another_model_is_refused(files: Files, compute: Compute, tmp_path: Path, name: str) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(files[name][0].read_bytes() + b"x")
    with pytest.raises(ValueError, match=f"the {name} that .* was trained for; train the decoder again"):
        load_models(compute, torch.device("cpu"), **(files | {name: (other, files[name][1])}))
