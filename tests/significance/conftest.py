"""Toy worlds: forecasts whose information is known, and a pipeline in which codes are attributes."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from scipy.special import ndtr

from attribute_recovery.attributes.edit import EditorNetworks
from attribute_recovery.attributes.networks import HeadsNetwork
from attribute_recovery.config import GeneratorNetwork
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema, write_schema
from attribute_recovery.dataset.store import write_array, write_table
from attribute_recovery.embeddings.store import write_embeddings
from attribute_recovery.generator.prepare import generator_card
from attribute_recovery.generator.train import Autoencoder
from attribute_recovery.recognizer.card import RecognizerCard, Template, write_recognizer_card
from attribute_recovery.recognizer.networks import EmbeddingNetwork
from attribute_recovery.recovery.forecast import continuous_marginal, discrete_marginal
from attribute_recovery.recovery.routes import ContinuousForecast, DiscreteForecast
from attribute_recovery.significance.effect import Originals, Pipeline, originals
from attribute_recovery.significance.forecasts import Recovered
from attribute_recovery.tracking.digest import sha256_file
from attribute_recovery.training.weights import save_weights, write_card

Floats = npt.NDArray[np.float32]

SCHEMA = AttributeSchema(
    (
        Attribute("length", "shape", "continuous", "identity", "sd", (-3.0, 3.0)),
        Attribute("yaw", "pose", "continuous", "image", "sd", (-3.0, 3.0)),
        Attribute("glasses", "appearance", "binary", "image", "class", categories=("off", "on")),
        Attribute(
            "hair", "appearance", "categorical", "mixed", "class", categories=("short", "long", "curly")
        ),
    )
)
SHARES = {"identity": 1.0, "image": 0.0, "mixed": 0.5}


def _values(codes: npt.NDArray[np.int64], rng: np.random.Generator) -> dict[str, npt.NDArray[np.generic]]:
    """Attributes of images with these identities, standard normal or with equal classes."""
    values: dict[str, npt.NDArray[np.generic]] = {}
    for attribute in SCHEMA:
        share = SHARES[attribute.level]
        own, each = rng.standard_normal(codes.max() + 1)[codes], rng.standard_normal(len(codes))
        latent = np.sqrt(share) * own + np.sqrt(1 - share) * each
        if attribute.is_discrete:
            part = np.floor(ndtr(latent) * attribute.n_classes).astype(np.int64)
            values[attribute.name] = np.clip(part, 0, attribute.n_classes - 1)
        else:
            values[attribute.name] = latent
    return values


@pytest.fixture(scope="session")
def schema() -> AttributeSchema:
    """One attribute of each kind, of all levels."""
    return SCHEMA


MakeRecovered = Callable[..., Recovered]


@pytest.fixture(scope="session")
def make_recovered() -> MakeRecovered:
    """Function (name, codes, hit=…, seed=…) -> right forecasts of an attribute of images with these
    identities.

    A continuous attribute is read as E[a | a + noise] with R² = hit, a discrete one from a label that is
    right with probability hit; with `hit=None` the forecast is the marginal.
    """

    def make(name: str, codes: npt.NDArray[np.int64], *, hit: float | None, seed: int = 0) -> Recovered:
        rng, attribute = np.random.default_rng(seed), SCHEMA[name]
        truth = _values(codes, rng)[name]
        population = _values(np.arange(4000), rng)[name]
        n = len(codes)
        if attribute.is_discrete:
            k = attribute.n_classes
            marginal = discrete_marginal(population, k)
            table = np.tile(marginal.probabilities, (n, 1))
            if hit is not None:
                seen = np.where(rng.random(n) < hit, truth, (truth + rng.integers(1, k, size=n)) % k)
                table = np.where(seen[:, None] == np.arange(k), hit, (1 - hit) / (k - 1))
            return Recovered(attribute, "probe", DiscreteForecast(table), truth, marginal)
        r2 = hit or 0.0
        # Where nothing is known a trace of noise keeps the means apart.
        mean = r2 * truth + np.sqrt(r2 * (1 - r2)) * rng.standard_normal(n) + 1e-3 * rng.standard_normal(n)
        forecast = ContinuousForecast(mean, np.full(n, np.sqrt(1 - r2)))
        return Recovered(attribute, "decoder", forecast, truth, continuous_marginal(name, population))

    return make


MakePipeline = Callable[..., tuple[Pipeline, Originals]]


def _embedder(weights: dict[str, float]) -> Callable[[Floats], Floats]:
    scale = np.zeros(8)
    for name, weight in weights.items():
        scale[SCHEMA.slices[name] if name != "rest" else slice(6, 8)] = weight

    def embed(codes: Floats) -> Floats:
        point = np.concatenate([np.ones((len(codes), 1)), codes * scale], axis=1)
        return (point / np.linalg.norm(point, axis=1, keepdims=True)).astype(np.float32)

    return embed


@pytest.fixture(scope="session")
def make_pipeline() -> MakePipeline:
    """Function (weights, people=…, images=…, leak=…) -> pipeline and originals.

    A code is the encoded attributes (6 columns) and two more; G and E change nothing. f sees each attribute,
    and "rest", with a weight, none by default. `leak` is how much of any edit also moves yaw.
    """

    def make(
        weights: dict[str, float], *, people: int = 20, images: int = 4, leak: float = 0.0
    ) -> tuple[Pipeline, Originals]:
        rng = np.random.default_rng(5)
        codes = np.repeat(np.arange(people), images)
        encoded = SCHEMA.encode(_values(codes, rng))
        all_codes = np.concatenate([encoded, rng.standard_normal((len(codes), 2), dtype=np.float32)], axis=1)

        def edit(values: Floats, current: Floats, wanted: Floats) -> Floats:
            moved = values.copy()
            moved[:, :6] += wanted - current
            moved[:, 1] += leak * np.abs(wanted - current).max(axis=1)
            return moved

        embed = _embedder(weights)
        pipeline = Pipeline(embed, lambda values: values[:, :6], edit)
        names = np.array([f"test-{i:02d}" for i in codes], dtype=object)
        return pipeline, originals(pipeline, SCHEMA, all_codes, names, embed(all_codes))

    return make


def _write_models(folder: Path, side: int, code_size: int) -> dict[str, Path]:
    """Untrained generator, heads, editor and recognizer of 16 px images."""
    torch.manual_seed(0)
    paths = {
        f"{name}_{part}": folder / f"{name}.{ending}"
        for name in ("generator", "heads", "editor", "recognizer")
        for part, ending in (("weights", "safetensors"), ("card", "json"))
    }
    sizes = GeneratorNetwork(
        code_size=code_size,
        decoder_channels=(8, 8),
        decoder_blocks=(0, 0),
        encoder_channels=(8, 8),
        encoder_blocks=(0, 0),
    )
    autoencoder = Autoencoder(side, sizes)
    save_weights(autoencoder, paths["generator_weights"])
    pixels = np.zeros((1, side, side, 3), np.uint8)
    write_card(paths["generator_card"], generator_card(pixels, [], sizes, {}, 0, "none"))
    entries = [asdict(attribute) for attribute in SCHEMA]
    save_weights(HeadsNetwork(SCHEMA, 16, [8, 8], 8), paths["heads_weights"])
    zeros, ones = ({a.name: value for a in SCHEMA.continuous} for value in (0.0, 1.0))
    card = {"attributes": entries, "image_size": side, "trunk": {"channels": [8, 8]}, "hidden": 8}
    calibration = dict.fromkeys(SCHEMA.names, 1.0)
    write_card(paths["heads_card"], card | {"means": zeros, "scales": ones, "calibration": calibration})
    save_weights(EditorNetworks(SCHEMA.width, code_size, 8), paths["editor_weights"])
    card = {"attributes": entries, "code_size": code_size, "hidden": 8, "iterations": 1}
    columns = {"means": [0.0] * SCHEMA.width, "scales": [1.0] * SCHEMA.width, "low": zeros, "high": ones}
    write_card(paths["editor_card"], card | columns)
    save_weights(EmbeddingNetwork(side, (8, 8), 8), paths["recognizer_weights"])
    described = RecognizerCard(
        name="toy",
        architecture="residual",
        channels=(8, 8),
        crop_size=side,
        template=Template(0.4, 0.4),
        channel_order="RGB",
        value_range=(-1.0, 1.0),
        interpolation="bilinear",
        embedding_size=8,
        precision="float32",
        score="cosine",
        data_sha256="",
        licence="MIT",
        weights_sha256=sha256_file(paths["recognizer_weights"]),
    )
    write_recognizer_card(described, paths["recognizer_card"])
    return paths


@pytest.fixture(scope="session")
def stage_files(tmp_path_factory: pytest.TempPathFactory, make_recovered: MakeRecovered) -> dict[str, Path]:
    """Everything that the stage reads: 12 + 9 people with 4 images each, and untrained models."""
    folder = tmp_path_factory.mktemp("stage")
    paths = _write_models(folder, 16, 6)
    paths |= {
        "table": folder / "images.parquet",
        "attributes": folder / "attributes.json",
        "codes": folder / "codes.bcolz",
        "shards": folder / "shards",
        "threshold": folder / "threshold.json",
        "recovered": folder / "recovered.parquet",
        "recovery_metrics": folder / "recovery.json",
    }
    rng = np.random.default_rng(7)
    people = [f"train-{i}" for i in range(12)] + [f"test-{i}" for i in range(9)]
    codes = np.repeat(np.arange(21), 4)
    values = _values(codes, rng)
    names = [f"{people[code]}/{i:03d}" for i, code in enumerate(codes)]
    identities = np.array(people, dtype=object)[codes]
    split = np.where(codes < 12, "train", "test")
    table = pd.DataFrame(
        {"image_id": names, "identity": identities, "split": split, "path": "", "sha256": ""}
    )
    table = pd.concat([table, SCHEMA.to_table(values)], axis=1)
    write_table(table, paths["table"])
    write_schema(SCHEMA, paths["attributes"])
    write_embeddings(paths["shards"], names, rng.standard_normal((84, 8)), count=2)
    write_array(paths["codes"], [rng.standard_normal((84, 6), dtype=np.float32)], (6,), np.float32, 84)
    paths["threshold"].write_text('{"value": 0.5}')
    recovered = table[split == "test"].reset_index(drop=True)
    for attribute in SCHEMA.continuous:
        read = recovered[f"attribute.{attribute.name}"] + 0.3 * rng.standard_normal(36)
        recovered = recovered.assign(**{f"recovered.{attribute.name}.location": read})
        recovered = recovered.assign(**{f"recovered.{attribute.name}.scale": 0.3})
        recovered = recovered.assign(**{f"recovered.{attribute.name}.contamination": 0.0})
    for attribute in SCHEMA.discrete:
        for category in attribute.categories:
            sure = 0.8 / (attribute.n_classes - 1)
            chosen = recovered[f"attribute.{attribute.name}"] == category
            column = {f"probe.{attribute.name}.{category}": np.where(chosen, 1 - 0.2, 0.2 * sure / 0.8)}
            recovered = recovered.assign(**column)
    write_table(recovered, paths["recovered"])
    routes = {"length": "decoder", "yaw": "decoder", "glasses": "probe", "hair": "probe"}
    paths["recovery_metrics"].write_text(json.dumps({"chosen": routes}))
    return paths


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, and torch's switches as they were afterwards."""
    before, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(deterministic)
