"""One thread for every test; a schema of all three kinds, and pictures in which its attributes are seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch

from attribute_recovery.config import Compute, GeneratorNetwork
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema, write_schema
from attribute_recovery.dataset.store import write_array, write_table
from attribute_recovery.generator.prepare import generator_card
from attribute_recovery.generator.train import Autoencoder, standardise_codes
from attribute_recovery.training.weights import save_weights, write_card

Images = npt.NDArray[np.uint8]
Values = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Experiment:
    """Files of the stages before, and the settings."""

    images: Path
    table: Path
    attributes: Path
    generator_weights: Path
    generator_card: Path
    compute: Compute


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, and torch's switches as they were afterwards."""
    before, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture
def schema() -> AttributeSchema:
    """Brightness, glasses, colour."""
    return AttributeSchema(
        (
            Attribute("brightness", "appearance", "continuous", "image", "gray levels", (40.0, 200.0)),
            Attribute("glasses", "appearance", "binary", "image", "", categories=("off", "on")),
            Attribute(
                "colour", "appearance", "categorical", "identity", "", categories=("red", "green", "blue")
            ),
        )
    )


@pytest.fixture
def world(schema: AttributeSchema) -> tuple[Images, Values]:
    """160 pictures (160, 16, 16, 3) and what is true of them."""
    rng = np.random.default_rng(0)
    count = 160
    values: Values = {
        "brightness": rng.uniform(40, 200, count).astype(np.float32),
        "glasses": rng.integers(0, 2, count),
        "colour": rng.integers(0, 3, count),
    }
    images = np.empty((count, 16, 16, 3), np.uint8)
    images[:] = values["brightness"][:, None, None, None]
    for image, glasses, colour in zip(images, values["glasses"], values["colour"], strict=True):
        image[10:14, :, colour] = 255
        image[3:6, 2:14] = 0 if glasses else image[3:6, 2:14]
    return images, values


@pytest.fixture
def experiment(tmp_path: Path, schema: AttributeSchema, world: tuple[Images, Values]) -> Experiment:
    """The files of data set and generator: 80 images to train on, 40 to calibrate on, 40 to test on."""
    images, values = world
    split = np.repeat(["train", "calibration", "test"], [80, 40, 40])
    number = [f"{name}-{i // 4:04d}" for i, name in enumerate(split)]
    keys = {"image_id": [f"{person}/{i % 4:03d}" for i, person in enumerate(number)], "identity": number}
    table = pd.concat(
        [pd.DataFrame(keys | {"split": split, "path": "", "sha256": ""}), schema.to_table(values)], axis=1
    )
    network = GeneratorNetwork(
        code_size=6,
        decoder_channels=(12, 8),
        decoder_blocks=(1, 0),
        encoder_channels=(12, 8),
        encoder_blocks=(1, 0),
    )
    torch.manual_seed(0)
    autoencoder = Autoencoder(16, network)
    standardise_codes(autoencoder.encoder, images)
    found = Experiment(
        tmp_path / "images.bcolz",
        tmp_path / "images.parquet",
        tmp_path / "attributes.json",
        tmp_path / "autoencoder.safetensors",
        tmp_path / "autoencoder.json",
        Compute(threads=1, device="cpu", precision="float32"),
    )
    write_array(found.images, [images], (16, 16, 3), np.uint8, len(images))
    write_table(table, found.table)
    write_schema(schema, found.attributes)
    save_weights(autoencoder, found.generator_weights)
    write_card(found.generator_card, generator_card(images, [], network, {}, 0, "a test"))
    return found
