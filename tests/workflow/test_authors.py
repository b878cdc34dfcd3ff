"""The authors' models from their files to the report, tiny and random; and the rule that runs on a folder."""

import importlib.util
import json
import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from .conftest import ROOT, Clone, new_clone

pytestmark = pytest.mark.slow

CONFIG = """experiment: theirs
generator: {source: authors, models: models}
attributes: {heads: {trunk: [8, 16, 16]}}
recognizers:
  default: null
  mb: {source: weights, weights: models/recognizer.safetensors, threshold: {fmr: 0.1}}
decoder:
  source: authors
  folder: {images: faces, directions: 2, points: 2, batch_size: 4}
counterfactuals: {representation_pairs: 2, attribute_pairs: 2, max_attributes: 1}
"""


def authors() -> ModuleType:
    """What writes the authors' files."""
    path = ROOT / "tests/decoder/authors/conftest.py"
    spec = importlib.util.spec_from_file_location("files_of_authors_for_workflow", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    """A clone with imported models of 32 pixels and codes of 8 x 72, a folder of faces, a configuration."""
    clone, module = new_clone(tmp_path_factory.mktemp("authors") / "a clone"), authors()
    sizes = module.Sizes(crop=16, embedding=16, image=32, style=72, widest=8, total=128)
    module.SIZES = sizes
    source = clone.folder / "files"
    source.mkdir()
    module.write_authors_files(source, "mb")
    module.import_authors(source, "mb", clone.folder / "models", sizes=sizes)
    for i in range(4):
        path = clone.folder / "faces" / f"p{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return clone, clone.write_config("theirs.yaml", CONFIG)


def test_their_models_run_on_a_folder_alone_and_through_the_pipeline(prepared: tuple[Clone, str]) -> None:
    clone, config = prepared
    done = clone.run(config, "--until", "decoder_folder")
    assert done.returncode == 0, done.stdout + done.stderr
    results = clone.folder / "results/theirs"
    made = results / "mb/decoder"
    assert len(list((made / "folder-reconstructed").rglob("*.png"))) == 4
    assert len(list((made / "folder-directions").rglob("*.png"))) == 5
    assert len(list((made / "folder-points").rglob("*.png"))) == 2
    assert (made / "manifest-decoder_folder.json").is_file() and not (results / "dataset").exists()

    done = clone.run(config)
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = json.loads((results / "report/metrics.json").read_text())
    decoder = metrics["recognizers"]["mb"]["decoder"]
    assert decoder["samples"] == 1 and set(decoder["coverage_90"].values()) == {None}
    # E is T after f: what is decoded from an embedding is the reconstruction.
    assert decoder["sample_cosine"] == pytest.approx(decoder["reconstruction_cosine"], abs=1e-4)
    assert {"recovery", "significance", "counterfactuals"} <= set(metrics["recognizers"]["mb"])
    assert json.loads((results / "attributes/editor.json").read_text())["components"] > 1
    page = (results / "report/index.html").read_text()
    assert "the code of an image is the code of its embedding" in page
    assert "One sample has no spread" in page
    assert clone.call("attribute_recovery.cli", "verify").returncode == 0
    assert "Nothing to be done" in "".join([(again := clone.run(config)).stdout, again.stderr])


def test_an_image_more_runs_the_folder_again_and_nothing_else(prepared: tuple[Clone, str]) -> None:
    clone, config = prepared
    source = next((clone.folder / "faces").rglob("*.png"))
    source.with_name("more.png").write_bytes(source.read_bytes())
    assert clone.planned(config) == {"decoder_folder"}
