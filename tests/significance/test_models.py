"""The models behind an edit, read from their files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from attribute_recovery.config import Compute
from attribute_recovery.significance.models import Models, load_models


@pytest.fixture(scope="module")
def models(stage_files: dict[str, Path]) -> Models:
    files = {
        name: (stage_files[f"{name}_weights"], stage_files[f"{name}_card"])
        for name in ("generator", "heads", "editor", "recognizer")
    }
    compute = Compute(threads=1, device="cpu", precision="float32")
    return load_models(compute, torch.device("cpu"), **files)


def test_shapes_and_lengths(models: Models) -> None:
    codes = np.random.default_rng(0).standard_normal((5, 6), dtype=np.float32)
    embedded, read = models.pipeline.embed(codes), models.pipeline.read(codes)
    assert embedded.shape == (5, 8)
    assert np.linalg.norm(embedded, axis=1) == pytest.approx(1, abs=1e-5)
    assert read.shape == (5, 6)
    assert read[:, 3:].sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert models.reconstruct(codes).shape == (5, 16, 16, 3)


def test_an_edit_that_asks_for_more_moves_the_code_further(models: Models) -> None:
    codes = np.random.default_rng(1).standard_normal((4, 6), dtype=np.float32)
    current = np.zeros((4, 6), np.float32)
    lengths = []
    for dose in (0.0, 0.5, 2.0):
        wanted = current.copy()
        wanted[:, 0] = dose
        lengths.append(np.linalg.norm(models.pipeline.edit(codes, current, wanted) - codes, axis=1).mean())
    assert lengths[0] == pytest.approx(0, abs=1e-4)
    assert 0 < lengths[1] < lengths[2]
