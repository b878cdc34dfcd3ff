"""Brought faces made by the tests: settings, files, and detectors in the published layout of ONNX."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydantic import TypeAdapter

from attribute_recovery.config import DatasetConfig
from attribute_recovery.config_faces import FacesDataset

GIVEN = {"by": "given", "crop": "centre", "template": "unknown"}
SHARES = {"by": "shares", "recognizer": 0.0, "train": 0.5, "calibration": 0.25, "test": 0.25}
OWN: dict[str, dict[str, Any]] = {
    "folders": {},
    "table": {"root": "faces", "columns": {"path": "path", "identity": "identity", "split": None}},
    "celeba": {"images": "aligned"},
    "lfw": {"pairs": None},
    "insightface": {"name": "lfw", "form": "arrays", "channel_order": "BGR"},
}
WORLD = Path(__file__).parent / "world" / "reference.png"

Settings = Callable[..., FacesDataset]


@pytest.fixture
def settings_of() -> Settings:
    """Settings of a source, keys replaced."""

    def made(source: str, path: Path, **changes: Any) -> FacesDataset:
        values = {
            "source": source,
            "path": str(path),
            "image_size": 32,
            "align": GIVEN,
            "splits": SHARES,
            "on_fault": {"all": "skip"},
            "labels": [],
            "attributes": {},
            **OWN[source],
            **changes,
        }
        found: FacesDataset = TypeAdapter(DatasetConfig).validate_python(values)
        return found

    return made


@pytest.fixture(scope="session")
def faces() -> npt.NDArray[np.uint8]:
    """The default world's 16 reference renders, aligned by the eyes: (16, 64, 64, 3)."""
    pixels = np.asarray(Image.open(WORLD).convert("RGB"))
    return pixels.reshape(4, 64, 4, 64, 3).swapaxes(1, 2).reshape(16, 64, 64, 3)


def picture(seed: int, side: int = 40) -> npt.NDArray[np.uint8]:
    """Smooth noise (side, side, 3) that no two seeds share."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


@pytest.fixture
def pictures() -> Callable[..., npt.NDArray[np.uint8]]:
    """`picture`."""
    return picture


@pytest.fixture
def face_folder(tmp_path: Path) -> Callable[[Mapping[str, int]], Path]:
    """A folder of identity/number.png with so many images of each identity."""

    def made(counts: Mapping[str, int]) -> Path:
        seed = 0
        for identity, count in counts.items():
            (tmp_path / "faces" / identity).mkdir(parents=True)
            for number in range(count):
                Image.fromarray(picture(seed)).save(tmp_path / "faces" / identity / f"{number}.png")
                seed += 1
        return tmp_path / "faces"

    return made


def varint(value: int) -> bytes:
    """A whole number as protocol buffers have it."""
    found = b""
    while value >= 128:
        found += bytes([value % 128 + 128])
        value //= 128
    return found + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    """A field of a message: a whole number, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor_type(name: str, shape: tuple[int | str, ...]) -> bytes:
    """A ValueInfoProto of float32; a text in the shape is an open dimension."""
    dims = b"".join(
        field(1, field(1, side) if isinstance(side, int) else field(2, side.encode())) for side in shape
    )
    return field(1, name.encode()) + field(2, field(1, field(1, 1) + field(2, dims)))


@pytest.fixture
def onnx_file() -> Callable[..., Path]:
    """An ONNX model (onnx.proto, IR 8) with one input and constant outputs."""

    def made(
        path: Path, shape: tuple[int | str, ...], outputs: Mapping[str, npt.NDArray[np.float32]]
    ) -> Path:
        graph = field(2, b"detector")
        for name, array in outputs.items():
            dims = b"".join(field(1, side) for side in array.shape)
            values = array.astype("<f4").tobytes()
            graph += field(5, dims + field(2, 1) + field(8, f"{name}_value".encode()) + field(9, values))
            graph += field(
                1, field(1, f"{name}_value".encode()) + field(2, name.encode()) + field(4, b"Identity")
            )
            graph += field(12, tensor_type(name, array.shape))
        graph += field(11, tensor_type("input", shape))
        path.write_bytes(field(1, 8) + field(8, field(1, b"") + field(2, 13)) + field(7, graph))
        return path

    return made
