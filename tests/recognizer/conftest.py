"""A toy world, recognizers of every format for it, and stand-ins for what other rooms bring."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from torch import nn

from attribute_recovery.config import Compute
from attribute_recovery.config_recognizers import FmrThreshold, RecognizerTraining, TrainedRecognizer
from attribute_recovery.dataset.store import write_array, write_json, write_table
from attribute_recovery.recognizer.card import RecognizerCard, Template

SIDE = 16
DIMENSIONS = 6


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
    """Function (n_identities, n_images, seed) -> images uint8 (n, 16, 16, 3), labels int64 (n,).

    A person is a pattern of 4 × 4 colours, an image that pattern with noise and exposure.
    """
    return _faces


@pytest.fixture(scope="session")
def settings() -> TrainedRecognizer:
    training = RecognizerTraining(steps=60, batch_size=32, learning_rate=4e-3, margin=0.1, scale=16.0)
    return TrainedRecognizer(
        source="train",
        embedding_size=16,
        channels=(8, 16),
        training=training,
        threshold=FmrThreshold(fmr=0.01),
    )


@pytest.fixture(scope="session")
def compute() -> Compute:
    return Compute(threads=1, device="cpu", precision="float32")


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[Path, Path]:
    """images.bcolz and images.parquet, report.json beside them: 8 people to train on, then 4 others."""
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
    write_json({"source": "world"}, tmp_path / "report.json")
    return tmp_path / "images.bcolz", tmp_path / "images.parquet"


@pytest.fixture
def pixels() -> torch.Tensor:
    """Ten images, RGB in [-1, 1], (10, 3, 16, 16)."""
    return torch.from_numpy(_faces(5, 2, 0)[0]).permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.fixture(scope="session")
def make_card() -> Callable[..., RecognizerCard]:
    """Function (field=value, ...) -> a card of a 16 px network of 6 dimensions, ONNX unless told else."""
    card = RecognizerCard(
        name="toy",
        architecture="onnx",
        channels=None,
        crop_size=SIDE,
        template=Template(0.44, 0.265),
        channel_order="RGB",
        value_range=(-1.0, 1.0),
        interpolation="bilinear",
        embedding_size=DIMENSIONS,
        precision="float32",
        score="cosine",
        data_sha256="",
        licence="MIT",
        weights_sha256="0" * 64,
    )
    return lambda **changes: replace(card, **changes)


class ToyNetwork(nn.Module):
    """Convolution, batch norm, PReLU, flatten, linear: what face networks are made of."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.slope = nn.PReLU(4)
        self.linear = nn.Linear(4 * (SIDE // 2) ** 2, DIMENSIONS)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.linear(
            self.slope(self.norm(self.convolution(images))).contiguous().flatten(1)
        )
        return features


@pytest.fixture(scope="session")
def toy() -> ToyNetwork:
    """The network that all formats hold, with statistics that are not those of the start."""
    torch.manual_seed(3)
    network = ToyNetwork()
    nn.init.normal_(network.norm.running_mean, 0.0, 0.1)
    nn.init.uniform_(network.norm.running_var, 0.5, 1.5)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def make_onnx(toy: ToyNetwork) -> Callable[..., Any]:
    """Function (batch, flatten, channels) -> `onnx.ModelProto` of the toy network.

    `batch` is a number, or a name for a free one. `flatten` is "Flatten", "Reshape" (to the batch given),
    "Shaped" (a Constant node that the Reshape shares with a bias) or "Expand", which keeps the batch fixed.
    """
    from onnx import TensorProto, helper, numpy_helper

    def made(batch: int | str = "n", flatten: str = "Flatten", *, last: str = "embedding") -> Any:
        count = batch if isinstance(batch, int) else 1
        weights = {name: value.numpy() for name, value in toy.state_dict().items() if value.ndim}
        weights["slope.weight"] = weights["slope.weight"].reshape(4, 1, 1)
        width = 4 * (SIDE // 2) ** 2
        initial = [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in weights.items()]
        norm = ["norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"]
        nodes = [
            helper.make_node(
                "Conv",
                ["image", "convolution.weight", "convolution.bias"],
                ["a"],
                strides=[2, 2],
                pads=[1, 1, 1, 1],
            ),
            helper.make_node("BatchNormalization", ["a", *norm], ["b"], epsilon=1e-5, training_mode=0),
            helper.make_node("PRelu", ["b", "slope.weight"], ["c"]),
        ]
        if flatten == "Flatten":
            nodes.append(helper.make_node("Flatten", ["c"], ["flat"], axis=1))
        elif flatten == "Reshape":
            initial.append(numpy_helper.from_array(np.array([count, -1], np.int64), "shape"))
            nodes.append(helper.make_node("Reshape", ["c", "shape"], ["flat"]))
        elif flatten == "Shaped":
            constant = numpy_helper.from_array(np.array([count, width], np.int64))
            initial.append(numpy_helper.from_array(np.zeros(width * count, np.float32), "zero"))
            nodes += [
                helper.make_node("Constant", [], ["shape"], value=constant),
                helper.make_node("Reshape", ["zero", "shape"], ["zeros"]),
                helper.make_node("Reshape", ["c", "shape"], ["flatter"]),
                helper.make_node("Add", ["flatter", "zeros"], ["flat"]),
            ]
        else:
            initial.append(numpy_helper.from_array(np.array([count, 4, SIDE // 2, SIDE // 2]), "size"))
            initial.append(numpy_helper.from_array(np.array([count, width], np.int64), "shape"))
            nodes += [
                helper.make_node("Slice", ["c", "zero1", "one1"], ["first"]),
                helper.make_node("Expand", ["first", "size"], ["same"]),
                helper.make_node("Reshape", ["same", "shape"], ["flat"]),
            ]
            initial += [
                numpy_helper.from_array(np.array([place], np.int64), f"{name}1")
                for name, place in (("zero", 0), ("one", count))
            ]
        nodes.append(helper.make_node("Gemm", ["flat", "linear.weight", "linear.bias"], [last], transB=1))
        graph = helper.make_graph(
            nodes,
            "toy",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])],
            [helper.make_tensor_value_info(last, TensorProto.FLOAT, [batch, DIMENSIONS])],
            initial,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    return made


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Stands in for the catalogue of architectures: one name, the toy network."""
    module = ModuleType("attribute_recovery.recognizer.architectures.catalogue")

    def build(name: str, embedding_size: int, crop_size: int) -> nn.Module:
        if (name, embedding_size, crop_size) != ("toynet", DIMENSIONS, SIDE):
            raise ValueError(f"toynet: found sizes {embedding_size} and {crop_size}, allowed are 6 and 16")
        return ToyNetwork()

    module.NAMES, module.build = ("toynet",), build  # type: ignore[attr-defined]
    package = ModuleType("attribute_recovery.recognizer.architectures")
    package.catalogue = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module
