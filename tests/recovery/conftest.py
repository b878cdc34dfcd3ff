"""A linear Gaussian world whose information is known, and its files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from scipy.special import ndtr

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema, write_schema
from attribute_recovery.dataset.store import write_array, write_table
from attribute_recovery.embeddings.store import write_embeddings
from attribute_recovery.recovery.probe import Labelled

SCHEMA = AttributeSchema(
    (
        Attribute("length", "shape", "continuous", "identity", "sd", (-4.0, 4.0)),
        Attribute("yaw", "pose", "continuous", "image", "sd", (-4.0, 4.0)),
        Attribute("glasses", "appearance", "binary", "image", "class", categories=("off", "on")),
        Attribute(
            "hair", "appearance", "categorical", "mixed", "class", categories=("short", "long", "curly")
        ),
    )
)
# Noise beside each attribute's direction in z: R² of the continuous ones is 1 / (1 + noise²).
NOISE = {"length": 0.5, "yaw": 1.0, "glasses": 0.5, "hair": 0.7}


@dataclass(frozen=True)
class LinearWorld:
    """Images with known latent variables: z holds each attribute's latent plus noise, turned by a rotation.

    Attributes:
        schema: one attribute of each kind.
        labelled: embeddings (not normalised), identities, truth.
        split: of each image.
        r2: what can be read of the continuous attributes.
    """

    schema: AttributeSchema
    labelled: Labelled
    split: npt.NDArray[np.object_]
    r2: dict[str, float]

    def of(self, split: str) -> Labelled:
        """The images of a split."""
        return self.labelled.rows(self.split == split)


def _world(people: dict[str, int], images: int, seed: int) -> LinearWorld:
    rng = np.random.default_rng(seed)
    names = [f"{split}-{i:03d}" for split, count in people.items() for i in range(count)]
    codes = np.repeat(np.arange(len(names)), images)
    identities = np.array(names, dtype=object)[codes]
    columns, values = [], {}
    for attribute in SCHEMA:
        share = {"identity": 1.0, "image": 0.0, "mixed": 0.5}[attribute.level]
        own, each = rng.standard_normal(len(names))[codes], rng.standard_normal(len(codes))
        latent = np.sqrt(share) * own + np.sqrt(1 - share) * each
        columns.append(latent + NOISE[attribute.name] * rng.standard_normal(len(codes)))
        if attribute.is_discrete:
            part = np.floor(ndtr(latent) * attribute.n_classes).astype(np.int64)
            values[attribute.name] = np.clip(part, 0, attribute.n_classes - 1)
        else:
            values[attribute.name] = latent
    columns += [rng.standard_normal(len(codes)) for _ in range(4)]
    turned = np.stack(columns, axis=1) @ np.linalg.qr(rng.standard_normal((8, 8)))[0]
    split = np.array([name.split("-")[0] for name in identities], dtype=object)
    r2 = {a.name: 1 / (1 + NOISE[a.name] ** 2) for a in SCHEMA.continuous}
    return LinearWorld(SCHEMA, Labelled(turned.astype(np.float32), identities, values), split, r2)


@pytest.fixture(scope="session")
def linear_world() -> LinearWorld:
    """240 + 60 + 60 people with 6 images each."""
    return _world({"train": 240, "calibration": 60, "test": 60}, 6, 1)


@pytest.fixture(scope="session")
def few_people() -> LinearWorld:
    """20 + 10 + 10 people with 6 images each."""
    return _world({"train": 20, "calibration": 10, "test": 10}, 6, 2)


def _samples(world: LinearWorld, rows: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.float32]:
    """What heads would read: draws from N(truth + error, error²), and one-hot draws that hit with 80 %."""
    rng, parts = np.random.default_rng(3), []
    for attribute in world.schema:
        true = np.asarray(world.labelled.values[attribute.name])[rows]
        if attribute.is_discrete:
            wrong = rng.random((len(rows), count)) < 0.2
            drawn = np.where(wrong, rng.integers(attribute.n_classes, size=wrong.shape), true[:, None])
            parts.append(np.eye(attribute.n_classes)[drawn])
        else:
            centre = true + 0.5 * rng.standard_normal(len(rows))
            parts.append((centre[:, None] + 0.5 * rng.standard_normal((len(rows), count)))[:, :, None])
    return np.concatenate(parts, axis=2).astype(np.float32)


@pytest.fixture(scope="session")
def recovery_files(few_people: LinearWorld, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files that the stage reads, of `few_people`, `test` before `calibration`."""
    folder, world = tmp_path_factory.mktemp("recovery"), few_people
    paths = {
        "table": folder / "images.parquet",
        "attributes": folder / "attributes.json",
        "shards": folder / "shards",
        "samples_read": folder / "samples_read.bcolz",
        "samples_table": folder / "samples.parquet",
    }
    names = [f"{name}/{i:03d}" for i, name in enumerate(world.labelled.identities)]
    table = pd.DataFrame({"image_id": names, "identity": world.labelled.identities, "split": world.split})
    table = table.assign(path="", sha256="")
    write_table(pd.concat([table, world.schema.to_table(world.labelled.values)], axis=1), paths["table"])
    write_schema(world.schema, paths["attributes"])
    write_embeddings(paths["shards"], names, world.labelled.embeddings, count=2)
    rows = np.concatenate([np.flatnonzero(world.split == split) for split in ("test", "calibration")])
    read = _samples(world, rows, 24)
    write_array(paths["samples_read"], [read], read.shape[1:], np.float32, len(read))
    write_table(table.iloc[rows][["image_id", "identity", "split"]], paths["samples_table"])
    return paths


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, and torch's switches as they were afterwards."""
    before, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(deterministic)
