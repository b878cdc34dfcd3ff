"""One thread for every test; a schema of all three kinds, and pictures in which its attributes are seen."""

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pandas as pd
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

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


@dataclass(frozen=True)
class OnnxHeadsFile:
    """An ONNX file of heads and its card's values; `write` writes both, changed or not."""

    path: Path
    batch: int | str = "n"

    def write(self, nodes: list[Any], **changes: Any) -> Path:
        """Write graph and card; keys of the card replaced."""
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [self.batch, 3, 16, 16])
        outputs = [
            helper.make_tensor_value_info("brightness", TensorProto.FLOAT, [self.batch, 1]),
            helper.make_tensor_value_info("classes", TensorProto.FLOAT, [self.batch, 4]),
        ]
        tensors = [numpy_helper.from_array(value, name) for name, value in TENSORS.items()]
        graph = helper.make_graph(nodes, "heads", [image], outputs, tensors)
        opset = [helper.make_opsetid("", 13)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), self.path)
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        self.path.with_suffix(".json").write_text(json.dumps(CARD | {"weights_sha256": digest} | changes))
        return self.path


# Means of the channels to logits: of glasses, which darken the image, and of the three colours.
TENSORS = {
    "weight": np.array(
        [[-12.0, 30.0, 0.0, 0.0], [-12.0, 0.0, 30.0, 0.0], [-12.0, 0.0, 0.0, 30.0]], np.float32
    ),
    "bias": np.array([18.0, 0.0, 0.0, 0.0], np.float32),
}
CARD: dict[str, Any] = {
    "name": "means",
    "format": "onnx",
    "crop_size": 16,
    "template": "as given",
    "channel_order": "RGB",
    "value_range": [0.0, 1.0],
    "interpolation": "bilinear",
    "attributes": [
        {
            "name": "brightness",
            "kind": "continuous",
            "level": "image",
            "family": "appearance",
            "unit": "gray levels",
            "range": [0.0, 1.0],
            "output": "brightness",
            "columns": [0],
            "sd": 0.1,
        },
        {
            "name": "glasses",
            "kind": "binary",
            "level": "image",
            "family": "appearance",
            "output": "classes",
            "columns": [0],
            "activation": "logits",
        },
        {
            "name": "colour",
            "kind": "categorical",
            "level": "identity",
            "family": "appearance",
            "categories": ["red", "green", "blue"],
            "output": "classes",
            "columns": [1, 2, 3],
            "activation": "logits",
        },
    ],
    "licence": "MIT",
}


def heads_nodes() -> list[Any]:
    """Brightness is the mean of all pixels; classes come from the channels' means."""
    return [
        helper.make_node("ReduceMean", ["image"], ["all"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["all", "axis"], ["brightness"]),
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("Gemm", ["means", "weight", "bias"], ["classes"]),
    ]


TENSORS |= {"axis": np.array([1], np.int64), "white": np.array(255.0, np.float32)}


@pytest.fixture
def heads_file(tmp_path: Path) -> OnnxHeadsFile:
    """Where heads may be written."""
    return OnnxHeadsFile(tmp_path / "heads.onnx")


@pytest.fixture
def nodes() -> list[Any]:
    """Of the graph that is as its card says."""
    return heads_nodes()


@pytest.fixture
def card_values() -> dict[str, Any]:
    """A card that is allowed, to be changed."""
    values: dict[str, Any] = copy.deepcopy(CARD) | {"weights_sha256": "0" * 64}
    return values
