"""The authors' files, tiny and random, in their layout; and full, by the filling rule, where that is."""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from attribute_recovery.decoder.authors.convert import ARCHITECTURES, import_authors, source_files
from attribute_recovery.decoder.authors.load import AuthorsModels, load_authors
from attribute_recovery.generator.authors import Sizes
from attribute_recovery.generator.point_encoder import PointTransformer
from attribute_recovery.recognizer.architectures.catalogue import build

SEED = Path(__file__).parents[4] / "shared" / "fixtures" / "seed"
SIZES = Sizes(crop=16, embedding=10, image=8, style=12, widest=4, total=32)
CPU = torch.device("cpu")


def write_authors_files(folder: Path, name: str) -> dict[str, nn.Module | torch.Tensor]:
    """The authors' four files with random weights of tiny networks, which are returned."""
    torch.manual_seed(11)
    files = source_files(folder, name)
    recognizer = build(ARCHITECTURES[name], SIZES.embedding, SIZES.crop).eval()
    generator = SIZES.generator().network
    transformer = PointTransformer(SIZES.embedding, generator.layers, SIZES.style)
    mean = torch.randn(1, generator.layers, SIZES.style)
    torch.save(
        {f"module.{key}": value for key, value in recognizer.state_dict().items()}, files["recognizer"]
    )
    other = {"g": {"w": torch.zeros(1)}, "g_optim": {"state": {}, "param_groups": []}}
    torch.save(other | {"g_ema": generator.state_dict()}, files["generator"])
    torch.save(transformer.state_dict(), files["transformer"])
    torch.save(mean, files["mean"])
    return {"recognizer": recognizer, "generator": generator, "transformer": transformer, "mean": mean}


@dataclass(frozen=True)
class Imported:
    """The authors' files in a folder, the networks that they are of, and the converted models."""

    source: Path
    models: Path
    networks: dict[str, nn.Module | torch.Tensor]
    loaded: AuthorsModels


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    folder = tmp_path_factory.mktemp("authors")
    networks = write_authors_files(folder, "mb")
    import_authors(folder, "mb", folder / "models", sizes=SIZES)
    return Imported(folder, folder / "models", networks, load_authors(folder / "models", CPU))


@dataclass(frozen=True)
class Reference:
    """The reference's models, by the filling rule, and what it computed with them."""

    loaded: AuthorsModels
    expected: dict[str, npt.NDArray[np.float32]]


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    if not SEED.is_dir():
        pytest.skip("what the reference computed is not here: no ../shared/fixtures/seed")
    spec = importlib.util.spec_from_file_location("fill", SEED / "fill.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    layout = json.loads((SEED / "layout.json").read_text())
    folder = tmp_path_factory.mktemp("reference")
    for path in source_files(folder, "mb").values():
        state = {
            key: torch.from_numpy(module.fill(path.name, key, tuple(shape), dtype, 1))
            for key, (shape, dtype) in layout[path.name].items()
        }
        if path.name == "550000.pt":
            torch.save({"g_ema": state}, path)
        else:
            torch.save(state.get("", state), path)
    import_authors(folder, "mb", folder / "models")
    with np.load(SEED / "expected_mb.npz") as arrays:
        return Reference(load_authors(folder / "models", CPU), dict(arrays))
