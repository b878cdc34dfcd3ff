"""Made embeddings of people in all splits, as a table and as shards."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.dataset.store import write_table


@pytest.fixture(scope="session")
def population():
    """(noise, seed) -> table of 30 calibration and 20 test people, 4 images each, features (n, 8)."""

    def made(noise: float, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
        rng = np.random.default_rng(seed)
        names = [f"calibration-{i:04d}" for i in range(30)] + [f"test-{i:04d}" for i in range(20)]
        identity = np.repeat(names, 4)
        table = pd.DataFrame(
            {
                "image_id": [f"{name}/{i % 4:03d}" for i, name in enumerate(identity)],
                "identity": identity,
                "split": [name.split("-")[0] for name in identity],
                "path": "",
                "sha256": "",
            }
        )
        features = np.repeat(rng.normal(size=(50, 8)), 4, axis=0) + noise * rng.normal(size=(200, 8))
        return table, (3 * features).astype(np.float32)

    return made


@pytest.fixture
def table_path(tmp_path: Path, population) -> Path:
    path = tmp_path / "images.parquet"
    write_table(population(0.3, 0)[0], path)
    return path
