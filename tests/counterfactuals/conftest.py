"""A world without networks: an image shows its attributes as pixels, and f turns their sum into an angle.

Everything in it has a known answer: G is the identity, an edit does what it says, and the score of two images
is the cosine of the difference of their angles.
"""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from attribute_recovery.attributes.heads import Estimates
from attribute_recovery.config import Compute, CounterfactualsSection
from attribute_recovery.counterfactuals.material import Material
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.generator.quality import reconstruct

CPU = torch.device("cpu")
PIXELS = 48
RANGE = (-0.9, 0.9)


def _number(name: str, editable: bool = True) -> Attribute:
    return Attribute(name, "shape", "continuous", "identity", "of its range", (-1.0, 1.0), editable=editable)


SCHEMA = AttributeSchema(
    (
        _number("jaw"),
        _number("nose"),
        _number("brow"),
        Attribute("glasses", "appearance", "binary", "image", "class", categories=("off", "on")),
        Attribute(
            "hair", "appearance", "categorical", "mixed", "class", categories=("short", "long", "curly")
        ),
        _number("age", editable=False),
    )
)
COLUMNS = {"jaw": 0, "nose": 1, "brow": 2, "glasses": 3, "short": 4, "long": 5, "curly": 6, "age": 7}
Angle = Callable[[Tensor], Tensor]


def encoded(hair: int = 0, **values: float) -> np.ndarray:
    """Encoded attributes (8,): those given, else 0, and a class of hair."""
    row = np.zeros(SCHEMA.width, np.float32)
    row[4 + hair] = 1
    for name, value in values.items():
        row[COLUMNS[name]] = value
    return row


def linear(**degrees: float) -> Angle:
    """Degrees that each column adds to the angle of the embedding."""
    weights = torch.zeros(SCHEMA.width)
    for name, value in degrees.items():
        weights[COLUMNS[name]] = value
    return lambda attributes: attributes @ weights


def at(*degrees: float) -> np.ndarray:
    """Embeddings in the plane at these angles."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


@dataclass
class StubGenerator:
    """G paints a code of attributes as pixels."""

    decoded: int = 0
    device: torch.device = CPU
    at_once: int | None = None

    def decode(self, code: Tensor) -> Tensor:
        self.decoded += len(code)
        return torch.nn.functional.pad(code, (0, PIXELS - code.shape[1])).view(-1, 3, 4, 4)


@dataclass
class StubRecognizer:
    """f: the angle of an image's attributes, as a point on the circle."""

    angle: Angle
    embedding_size: int = 2
    differentiable: bool = False

    def embed(self, images: Tensor) -> Tensor:
        radians = torch.deg2rad(self.angle(images.reshape(len(images), PIXELS)[:, : SCHEMA.width]))
        return torch.stack([radians.cos(), radians.sin()], 1)


@dataclass
class StubEditor:
    """Changes exactly what is asked for."""

    schema: AttributeSchema = SCHEMA
    scales: Tensor = field(default_factory=lambda: torch.ones(SCHEMA.width))
    means: Tensor = field(default_factory=lambda: torch.zeros(SCHEMA.width))
    low: Mapping[str, float] = field(default_factory=lambda: {a.name: RANGE[0] for a in SCHEMA.continuous})
    high: Mapping[str, float] = field(default_factory=lambda: {a.name: RANGE[1] for a in SCHEMA.continuous})
    asked: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def edit(self, code: Tensor, current: Tensor, wanted: Tensor) -> Tensor:
        self.asked.append((current, wanted))
        return code + wanted - current


class StubEstimator:
    """Reads attributes off the pixels, as surely as it says."""

    schema = SCHEMA
    sd = 0.003

    def estimate(self, images: Tensor) -> Estimates:
        values = images.reshape(len(images), PIXELS)[:, : SCHEMA.width].numpy()
        on = values[:, 3:4].clip(0, 1)
        names = [attribute.name for attribute in SCHEMA.continuous]
        return Estimates(
            mean={name: values[:, COLUMNS[name]] for name in names},
            sd={name: np.full(len(values), self.sd, np.float32) for name in names},
            probabilities={"glasses": np.concatenate([1 - on, on], 1), "hair": values[:, 4:7]},
        )


class StubTransformer:
    """T of one attribute: jaw is the embedding's angle over 90°, and `spread` times the noise is added."""

    code_size = SCHEMA.width

    def __init__(self, spread: float = 0.0, bias: float = 0.0) -> None:
        self.spread, self.bias = spread, bias

    def sample(self, embedding: Tensor, noise: Tensor, steps: int) -> Tensor:
        code = torch.from_numpy(np.stack([encoded()] * len(embedding)))
        angle = torch.rad2deg(torch.atan2(embedding[:, 1], embedding[:, 0]))
        code[:, 0] = angle / 90 + self.bias + self.spread * noise[:, 0]
        return code


@pytest.fixture(scope="session")
def world() -> SimpleNamespace:
    """The parts above by name."""
    parts = (StubGenerator, StubRecognizer, StubEditor, StubEstimator, StubTransformer, encoded, linear, at)
    return SimpleNamespace(schema=SCHEMA, range=RANGE, **{part.__name__: part for part in parts})


@pytest.fixture
def material(world: SimpleNamespace) -> Callable[..., Material]:
    """Function (attributes (n, 8), identities, tau) -> Material whose images, codes and embeddings agree."""

    def made(attributes: np.ndarray, identities: list[str], tau: float, **angle: float) -> Material:
        generator, recognizer = StubGenerator(), StubRecognizer(linear(**(angle or {"jaw": 90.0})))
        attributes = np.asarray(attributes, np.float32)
        images = reconstruct(generator, attributes)
        embeddings = recognizer.embed(generator.decode(torch.from_numpy(attributes))).numpy()
        return Material(
            decoder=Decoder(StubTransformer(), generator, 1, CPU),
            generator=generator,
            recognizer=recognizer,
            estimator=StubEstimator(),
            editor=StubEditor(),
            tau=tau,
            images=images,
            image_ids=np.array([f"{name}/{i}" for i, name in enumerate(identities)], dtype=object),
            identities=np.array(identities, dtype=object),
            codes=attributes,
            embeddings=embeddings,
        )

    return made


@pytest.fixture(scope="session")
def settings() -> CounterfactualsSection:
    return CounterfactualsSection(
        representation_pairs=6,
        travel=1.4,
        attribute_pairs=8,
        max_attributes=3,
        quantile_range=(0.1, 0.9),
        error_pairs=6,
        error_orders=2,
    )


@pytest.fixture(scope="session")
def compute() -> Compute:
    return Compute(threads=1, device="cpu", precision="float32")


@pytest.fixture(scope="session")
def tiny_files() -> ModuleType:
    """What writes the tiny run of the decoder's tests, which this stage reads too."""
    path = Path(__file__).parents[1] / "decoder" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tiny_run_of_decoder", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys_modules_entry(spec.name, module)
    spec.loader.exec_module(module)
    return module


def sys_modules_entry(name: str, module: ModuleType) -> None:
    """Dataclasses look their module up by name."""
    import sys

    sys.modules[name] = module
