"""The files that the stage reads, tiny: random networks, images of 16 × 16, as earlier stages write them."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from attribute_recovery.attributes.edit import EditorNetworks
from attribute_recovery.attributes.networks import HeadsNetwork
from attribute_recovery.config import Compute, DecoderSection, GeneratorNetwork, IdentityLesson
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.dataset.store import write_array, write_table
from attribute_recovery.embeddings.store import write_embeddings
from attribute_recovery.generator.load import LoadedGenerator, load_generator
from attribute_recovery.generator.train import Autoencoder
from attribute_recovery.recognizer.card import RecognizerCard, Template, write_recognizer_card
from attribute_recovery.recognizer.load import Recognizer, load_recognizer
from attribute_recovery.recognizer.networks import EmbeddingNetwork
from attribute_recovery.tracking.digest import sha256_file
from attribute_recovery.training.weights import save_weights, write_card

CPU = torch.device("cpu")
SIDE, CODE_SIZE, EMBEDDING_SIZE = 16, 6, 8
PEOPLE = {"train": 5, "calibration": 3, "test": 5}
IMAGES_EACH = 4
SCHEMA = AttributeSchema(
    (
        Attribute("yaw", "pose", "continuous", "image", "degrees", (-40.0, 40.0)),
        Attribute("glasses", "appearance", "binary", "image", "class", categories=("off", "on")),
        Attribute(
            "hair", "appearance", "categorical", "mixed", "class", categories=("short", "long", "curly")
        ),
        Attribute("smile", "expression", "continuous", "image", "of full"),
    )
)


@dataclass(frozen=True)
class TinyRun:
    """Paths of a tiny run; each entry function takes some of them by these names."""

    root: Path

    def paths(self, *names: str) -> dict[str, Path]:
        endings = {"weights": "safetensors", "card": "json", "table": "parquet", "threshold": "json"}
        return {name: self.root / f"{name}.{endings.get(name.split('_')[-1], 'bcolz')}" for name in names}

    def path(self, name: str) -> Path:
        return self.paths(name)[name]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def compute() -> Compute:
    return Compute(threads=1, device="cpu", precision="float32")


@pytest.fixture(scope="session")
def settings() -> DecoderSection:
    return decoder_settings()


def decoder_settings() -> DecoderSection:
    return DecoderSection(
        source="train",
        hidden=16,
        blocks=1,
        steps=20,
        batch_size=16,
        learning_rate=1e-3,
        embedding_noise=0.05,
        decoded_share=0.5,
        decoded_pairs=50,
        mirrored=True,
        identity=IdentityLesson(steps=6, batch_size=8, learning_rate=1e-3, weight=30.0),
        sampling_steps=3,
        samples=19,
    )


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    return write_run(tmp_path_factory.mktemp("tiny"))


def write_run(folder: Path) -> TinyRun:
    run = TinyRun(folder)
    torch.manual_seed(5)
    write_models(run)
    write_data(run)
    return run


@pytest.fixture(scope="session")
def schema() -> AttributeSchema:
    return SCHEMA


def write_models(run: TinyRun) -> None:
    network = GeneratorNetwork(
        code_size=CODE_SIZE,
        decoder_channels=(16, 8),
        decoder_blocks=(1, 0),
        encoder_channels=(16, 8),
        encoder_blocks=(1, 0),
    )
    autoencoder = Autoencoder(SIDE, network)
    torch.nn.init.normal_(autoencoder.generator.image.weight, std=0.3)  # else all images are gray
    save_weights(autoencoder, run.path("generator_weights"))
    sizes = {"image_size": SIDE, "network": network.model_dump(mode="json"), "images": 0, "seed": 0}
    words = dict.fromkeys(("images_sha256", "training", "attributes", "licence", "provenance"), "")
    write_card(run.path("generator_card"), sizes | words)

    _write_heads(run)
    networks = EditorNetworks(SCHEMA.width, CODE_SIZE, 16)
    save_weights(networks, run.path("editor_weights"))
    card = {"attributes": [asdict(a) for a in SCHEMA], "code_size": CODE_SIZE, "hidden": 16, "iterations": 1}
    card |= {"means": [0.0] * SCHEMA.width, "scales": [16.0] + [1.0] * (SCHEMA.width - 1)}
    ranges = {"low": {"yaw": -30.0, "smile": 0.0}, "high": {"yaw": 30.0, "smile": 1.0}}
    write_card(run.path("editor_card"), card | ranges)

    recognizer = EmbeddingNetwork(SIDE, (8, 16), EMBEDDING_SIZE)
    save_weights(recognizer, run.path("recognizer_weights"))
    described = RecognizerCard(
        name="tiny",
        architecture="residual",
        channels=(8, 16),
        crop_size=SIDE,
        template=Template(0.4, 0.4),
        channel_order="RGB",
        value_range=(-1.0, 1.0),
        interpolation="bilinear",
        embedding_size=EMBEDDING_SIZE,
        precision="float32",
        score="cosine",
        data_sha256="",
        licence="MIT",
        weights_sha256=sha256_file(run.path("recognizer_weights")),
    )
    write_recognizer_card(described, run.path("recognizer_card"))


def _write_heads(run: TinyRun) -> None:
    heads = HeadsNetwork(SCHEMA, 16, [8, 16], 16)
    torch.nn.init.normal_(heads.readout.weight, std=0.3)
    save_weights(heads, run.path("heads_weights"))
    card = {"attributes": [asdict(a) for a in SCHEMA], "image_size": SIDE, "trunk": {"channels": [8, 16]}}
    card |= {"hidden": 16, "calibration": dict.fromkeys(SCHEMA.names, 1.0)}
    card |= {"means": {"yaw": 0.0, "smile": 0.5}, "scales": {"yaw": 16.0, "smile": 0.3}}
    write_card(run.path("heads_card"), card)


def write_data(run: TinyRun) -> None:
    """Images of random colour patches, their table, codes, embeddings, and τ at the middle of all scores."""
    rng = np.random.default_rng(8)
    names = [f"{split}-{i:04d}" for split, n in PEOPLE.items() for i in range(n) for _ in range(IMAGES_EACH)]
    n = len(names)
    patches = rng.integers(0, 256, (n, 4, 4, 3), dtype=np.uint8)
    images = patches.repeat(4, 1).repeat(4, 2)
    values = {
        "yaw": rng.normal(0, 16, n),
        "glasses": rng.integers(2, size=n),
        "hair": rng.integers(3, size=n),
        "smile": rng.uniform(size=n),
    }
    table = pd.DataFrame(
        {
            "image_id": [f"{name}/{i % IMAGES_EACH:03d}" for i, name in enumerate(names)],
            "identity": names,
            "split": [name.split("-")[0] for name in names],
            "path": "",
            "sha256": [f"{i:064x}" for i in range(n)],
        }
    )
    table = pd.concat([table, SCHEMA.to_table(values)], axis=1)
    write_table(table, run.path("images_table"))
    write_array(run.path("images"), [images], images.shape[1:], np.uint8, n)
    generator, recognizer = load_models(run)
    codes = generator.encode_images(images)
    write_array(run.path("codes"), [codes], codes.shape[1:], np.float32, n)
    embeddings = recognizer.embed_batches(images)
    write_embeddings(run.path("shards"), table["image_id"], embeddings, count=2)
    test = embeddings[table["split"].to_numpy() == "test"]
    tau = float(np.median((test @ test.T)[np.triu_indices(len(test), 1)]))
    run.path("threshold").write_text(json.dumps({"value": tau}))


def load_models(run: TinyRun) -> tuple[LoadedGenerator, Recognizer]:
    generator = load_generator(run.path("generator_weights"), run.path("generator_card"), CPU, torch.float32)
    return generator, load_recognizer(run.path("recognizer_weights"), run.path("recognizer_card"), CPU)


@pytest.fixture(scope="session")
def models(tiny_run: TinyRun) -> tuple[LoadedGenerator, Recognizer]:
    return load_models(tiny_run)
