"""Brought photographs that come or change are seen by the workflow, and other files beside them are not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

FACES = """
dataset:
  source: folders
  path: {path}
  image_size: 32
  align: {{by: given, crop: stretch, template: unknown}}
  splits: {{by: shares, recognizer: 0.25, train: 0.25, calibration: 0.25, test: 0.25}}
  on_fault: {{all: skip}}
  labels: []
  attributes: {{}}
"""
MANIFEST = "results/tiny/dataset/manifest-dataset.json"


def photograph(path: Path, seed: int) -> None:
    """A file of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40, 3), np.uint8)).save(path)


def test_photographs_are_watched(clone, tmp_path):
    faces = tmp_path / "my faces"
    for i in range(16):
        photograph(faces / f"person {i // 2}" / f"{i % 2}.png", i)
    config = clone.write_config("faces.yaml", FACES.format(path=f"'{faces}'"))

    def called(*options: str) -> str:
        done = clone.call("snakemake", "--configfile", config, "-c1", *options, "--", MANIFEST)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    called()
    manifest = (clone.folder / MANIFEST).read_bytes()
    (faces / "person 3" / ".DS_Store").write_bytes(b"x")
    assert "Nothing to be done" in called("-n")
    (faces / "person 3" / "0.png").touch()
    assert "Params have changed" in called("-n")
    called()
    assert (clone.folder / MANIFEST).read_bytes() == manifest
    photograph(faces / "person 3" / "2.png", 99)
    assert "Params have changed" in called("-n")
    called()
    table = pd.read_parquet(clone.results / "dataset/images.parquet")
    assert len(table) == 17 and "person 3/2.png" in set(table["image_id"])
    assert "Nothing to be done" in called("-n")
