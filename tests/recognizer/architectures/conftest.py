"""The layout of the authors' checkpoints, where it is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

SEED = Path(__file__).parents[4] / "shared" / "fixtures" / "seed"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def layout() -> dict[str, dict[str, tuple[int, ...]]]:
    """Shapes by name, by file."""
    if not SEED.is_dir():
        pytest.skip("the authors' layouts are not here: no ../shared/fixtures/seed")
    content: dict[str, dict[str, Any]] = json.loads((SEED / "layout.json").read_text())
    return {file: {key: tuple(shape) for key, (shape, _) in keys.items()} for file, keys in content.items()}
