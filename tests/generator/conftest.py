"""One thread for every test, pictures of 16 pixels with labels, and networks small enough for them."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch

from attribute_recovery.config import GeneratorNetwork, GeneratorTraining
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema, write_schema
from attribute_recovery.dataset.store import write_array, write_table


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, and torch's switches as they were afterwards."""
    before, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(deterministic)


MakePictures = Callable[[int, int], npt.NDArray[np.uint8]]


@pytest.fixture
def make_pictures() -> MakePictures:
    """Function (n, seed) -> squares of random colour on grounds of random colour, (n, 16, 16, 3) uint8.

    The ground is seen at [0, 0], the square at [7, 7].
    """

    def make(count: int, seed: int) -> npt.NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        images = np.empty((count, 16, 16, 3), np.uint8)
        images[:] = rng.integers(0, 256, (count, 1, 1, 3))
        for image in images:
            top, left = rng.integers(2, 8, 2)
            image[top : top + 6, left : left + 6] = rng.integers(0, 256, 3)
        return images

    return make


@pytest.fixture
def pictures(make_pictures: MakePictures) -> npt.NDArray[np.uint8]:
    """64 of them."""
    return make_pictures(64, 0)


@pytest.fixture
def network() -> GeneratorNetwork:
    """G and E for images of side 16."""
    return GeneratorNetwork(
        code_size=6,
        decoder_channels=(16, 8),
        decoder_blocks=(1, 1),
        encoder_channels=(16, 8),
        encoder_blocks=(1, 0),
    )


@pytest.fixture
def training() -> GeneratorTraining:
    """A training without labels, cycle or adversary."""
    return GeneratorTraining(
        steps=12,
        batch_size=8,
        learning_rate=3e-3,
        code_noise=0.1,
        strength_weight=0.5,
        attribute_weight=0.0,
        cycle_weight=0.0,
        cycle_from=0.5,
        adversarial_weight=0.0,
        adversarial_from=0.5,
        augmentation=0.0,
    )


@pytest.fixture
def dataset(tmp_path: Path, pictures: npt.NDArray[np.uint8]) -> Path:
    """A folder with images.bcolz, images.parquet and attributes.json: 64 pictures of 16 people in four
    splits, labelled with their colours.
    """
    people = [
        f"{split}-{i:04d}" for split in ("recognizer", "train", "calibration", "test") for i in range(4)
    ]
    table = pd.DataFrame(
        {
            "image_id": [f"{person}/{j:03d}" for person in people for j in range(4)],
            "identity": [person for person in people for _ in range(4)],
            "split": [person.split("-")[0] for person in people for _ in range(4)],
            "path": "",
            "sha256": "",
        }
    )
    ground, square = pictures[:, 0, 0].astype(np.float32), pictures[:, 7, 7]
    schema = AttributeSchema(
        (
            Attribute("red", "appearance", "continuous", "image", "gray levels", (0.0, 255.0)),
            Attribute("green", "appearance", "continuous", "image", "gray levels", (0.0, 255.0)),
            Attribute("bright", "appearance", "binary", "image", "", categories=("off", "on")),
            Attribute(
                "square", "appearance", "categorical", "image", "", categories=("red", "green", "blue")
            ),
        )
    )
    labels = schema.to_table(
        {
            "red": ground[:, 0],
            "green": ground[:, 1],
            "bright": ground.mean(1) > 127,
            "square": square.argmax(1),
        }
    )
    folder = tmp_path / "dataset"
    write_array(folder / "images.bcolz", [pictures], (16, 16, 3), np.uint8, 64)
    write_table(pd.concat([table, labels], axis=1), folder / "images.parquet")
    write_schema(schema, folder / "attributes.json")
    return folder


@pytest.fixture(scope="session")
def authors_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the authors' models, tiny and random: images of 8 pixels, codes of 4 styles of 12."""
    path = Path(__file__).parents[1] / "decoder" / "authors" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tiny_files_of_authors", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("authors")
    module.write_authors_files(folder, "mb")
    module.import_authors(folder, "mb", folder / "models", sizes=module.SIZES)
    return folder / "models"
