"""The rule's entry writes what the configuration asks for, for its owner alone, and again the same."""

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attribute_recovery.config import Compute
from attribute_recovery.config_authors import FolderSection
from attribute_recovery.decoder.authors.folders import principal_directions
from attribute_recovery.decoder.authors.run import run_on_folder
from attribute_recovery.embeddings.store import iterate_shards

from .conftest import Imported

COMPUTE = Compute(threads=1, device="cpu", precision="auto")
NAMES = ("reconstructed", "features", "directions", "points")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for i in range(5):
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        (tmp_path / "faces" / f"p{i % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "faces" / f"p{i % 2}" / f"{i}.png")
    return tmp_path / "faces"


def run(imported: Imported, images: Path, out: Path, directions: int, points: int) -> dict[str, Any]:
    settings = FolderSection(images=images, directions=directions, points=points, batch_size=2)
    paths = {name: out / name for name in NAMES}
    return run_on_folder(settings, imported.models, 3, COMPUTE, **paths, metrics=out / "folder.json")


def pictures(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}


def test_everything_that_is_asked_for_is_there(imported: Imported, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    values = run(imported, images, out, 2, 3)
    assert json.loads((out / "folder.json").read_text()) == values
    assert (values["images"], values["directions"], values["points"]) == (5, 2, 3)
    assert pictures(out / "reconstructed") == pictures(images)
    embeddings = np.concatenate([shard.embeddings for shard in iterate_shards(out / "features")])
    assert embeddings.shape == (5, 10)
    every = principal_directions(embeddings, 4).variances
    assert values["direction_variance"] == pytest.approx(every[:2].sum() / every.sum(), rel=1e-4)
    both = {f"{kind}_mean/{i:03d}.png" for kind in ("with", "without") for i in range(2)}
    assert pictures(out / "directions") == both | {"mean.png"}
    assert len(pictures(out / "points")) == 3
    for path in (path for name in NAMES for path in (out / name).rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_nothing_more_is_made_where_nothing_is_asked_for(
    imported: Imported, images: Path, tmp_path: Path
) -> None:
    values = run(imported, images, tmp_path / "out", 0, 0)
    assert values["direction_variance"] is None
    for name in ("directions", "points"):
        assert (tmp_path / "out" / name).is_dir() and not list((tmp_path / "out" / name).iterdir())


def test_the_same_seed_gives_the_same_pictures(imported: Imported, images: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run(imported, images, tmp_path / name, 1, 2)
    for path in (path for path in (tmp_path / "a").rglob("*.png")):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_too_few_images_for_the_directions_are_named(
    imported: Imported, images: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="count: found 9, allowed is 1 to 4"):
        run(imported, images, tmp_path / "out", 9, 0)
