"""A toy world: a person is a pattern of 4 × 4 colours, an image that pattern with noise and exposure."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from attribute_recovery.config import Compute, RecognizerTraining, TrainedRecognizer
from attribute_recovery.dataset.store import write_array, write_table

SIDE = 16


def _faces(
    n_identities: int, n_images: int, seed: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    patterns = rng.uniform(40, 215, (n_identities, 1, 4, 4, 3)).repeat(SIDE // 4, 2).repeat(SIDE // 4, 3)
    exposure = rng.uniform(-25, 25, (n_identities, n_images, 1, 1, 1))
    noise = rng.normal(0, 12, (n_identities, n_images, SIDE, SIDE, 3))
    images = np.clip(patterns + exposure + noise, 0, 255).astype(np.uint8)
    return images.reshape(-1, SIDE, SIDE, 3), np.repeat(np.arange(n_identities), n_images)


@pytest.fixture(scope="session")
def faces():
    """Function (n_identities, n_images, seed) -> images uint8 (n, 16, 16, 3), labels int64 (n,)."""
    return _faces


@pytest.fixture(scope="session")
def settings() -> TrainedRecognizer:
    training = RecognizerTraining(steps=60, batch_size=32, learning_rate=4e-3, margin=0.1, scale=16.0)
    return TrainedRecognizer(
        source="train", embedding_size=16, channels=(8, 16), training=training, target_fmr=0.01
    )


@pytest.fixture(scope="session")
def compute() -> Compute:
    return Compute(threads=1, device="cpu", precision="float32")


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[Path, Path]:
    """images.bcolz and images.parquet: 8 people to train on, then 4 others."""
    images, labels = _faces(12, 6, 3)
    splits = np.where(labels < 8, "recognizer", "test")
    names = [f"{split}-{label:04d}" for split, label in zip(splits, labels, strict=True)]
    table = pd.DataFrame(
        {
            "image_id": [f"{name}/{i:03d}" for i, name in enumerate(names)],
            "identity": names,
            "split": splits,
            "path": "",
            "sha256": [f"{i:064x}" for i in range(len(names))],
        }
    )
    write_array(tmp_path / "images.bcolz", [images], images.shape[1:], np.uint8, len(images))
    write_table(table, tmp_path / "images.parquet")
    return tmp_path / "images.bcolz", tmp_path / "images.parquet"
