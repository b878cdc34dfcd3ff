"""The entry writes what the recognizer says of each image, whole or not at all."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from attribute_recovery.config import Compute, EmbeddingsSection
from attribute_recovery.config_faces import FoldersDataset
from attribute_recovery.dataset.faces import prepare_faces
from attribute_recovery.dataset.store import read_table, write_array
from attribute_recovery.embeddings.extract import extract_embeddings
from attribute_recovery.embeddings.store import read_embeddings, shard_of
from attribute_recovery.recognizer.card import RecognizerCard, Template, write_recognizer_card
from attribute_recovery.recognizer.load import load_recognizer
from attribute_recovery.recognizer.networks import EmbeddingNetwork
from attribute_recovery.tracking.digest import sha256_file
from attribute_recovery.training.weights import save_weights

COMPUTE = Compute(threads=1, device="cpu", precision="float32")
IMAGES = np.random.default_rng(0).integers(0, 256, (200, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path, table_path: Path) -> Path:
    write_array(tmp_path / "images.bcolz", [IMAGES], (16, 16, 3), np.uint8, len(IMAGES))
    torch.manual_seed(0)
    _store(EmbeddingNetwork(16, (8,), 6), tmp_path)
    return table_path.parent


def _store(network: EmbeddingNetwork, folder: Path) -> None:
    save_weights(network, folder / "weights.safetensors")
    card = RecognizerCard(
        name="toy",
        architecture="residual",
        channels=(8,),
        crop_size=16,
        template=Template(0.44, 0.265),
        channel_order="RGB",
        value_range=(-1.0, 1.0),
        interpolation="bilinear",
        embedding_size=6,
        precision="float32",
        score="cosine",
        data_sha256="",
        licence="MIT",
        weights_sha256=sha256_file(folder / "weights.safetensors"),
    )
    write_recognizer_card(card, folder / "card.json")


def _extracted(
    folder: Path, *, shards: str = "shards", count: int = 3, batch_size: int = 64
) -> dict[str, object]:
    return extract_embeddings(
        EmbeddingsSection(shards=count, batch_size=batch_size),
        COMPUTE,
        images=folder / "images.bcolz",
        table=folder / "images.parquet",
        weights=folder / "weights.safetensors",
        card=folder / "card.json",
        shards=folder / shards,
    )


def test_each_image_has_its_own_embedding(folder: Path) -> None:
    metrics = _extracted(folder)
    recognizer = load_recognizer(folder / "weights.safetensors", folder / "card.json", torch.device("cpu"))
    found = read_embeddings(folder / "shards", read_table(folder / "images.parquet"))
    assert np.allclose(found, recognizer.embed_batches(IMAGES), atol=1e-6)
    assert (metrics["images"], metrics["embedding_size"], metrics["shards"]) == (200, 6, 3)
    norms = np.linalg.norm(recognizer.represent_batches(IMAGES), axis=1)
    assert metrics["norm"] == pytest.approx(
        {"lowest": norms.min(), "median": np.median(norms), "highest": norms.max()}, rel=1e-5
    )


def test_neither_shards_nor_batches_change_the_embeddings(folder: Path) -> None:
    table = read_table(folder / "images.parquet")
    _extracted(folder, shards="a", count=1, batch_size=200)
    _extracted(folder, shards="b", count=7, batch_size=5)
    assert np.abs(read_embeddings(folder / "a", table) - read_embeddings(folder / "b", table)).max() <= 1e-6


def test_the_same_input_gives_the_same_bytes_in_place_of_the_old(folder: Path) -> None:
    _extracted(folder, count=3)
    before = {
        path.relative_to(folder): path.read_bytes()
        for path in (folder / "shards").rglob("*")
        if path.is_file()
    }
    _extracted(folder, count=5)
    _extracted(folder, count=3)
    after = {
        path.relative_to(folder): path.read_bytes()
        for path in (folder / "shards").rglob("*")
        if path.is_file()
    }
    assert before == after
    assert len(list((folder / "shards").glob("*.parquet"))) == 3


def test_an_embedding_of_length_0_stops_the_stage_and_writes_nothing(folder: Path) -> None:
    network = EmbeddingNetwork(16, (8,), 6)
    nn.init.zeros_(network.embedding[2].weight)
    _store(network, folder)
    with pytest.raises(ValueError, match=r"image '.+/\d{3}': the length of its embedding is 0\.0"):
        _extracted(folder)
    assert not (folder / "shards").exists()
    assert not [path for path in folder.iterdir() if "partial" in path.name]


def _brought(folder: Path, faces: Path) -> dict[str, bytes]:
    """Embeddings of brought faces as bytes of the files of eight shards."""
    settings = FoldersDataset.model_validate(
        {
            "source": "folders",
            "path": faces,
            "image_size": 32,
            "align": {"by": "given", "crop": "stretch", "template": "unknown"},
            "splits": {"by": "shares", "recognizer": 0.0, "train": 0.5, "calibration": 0.25, "test": 0.25},
            "on_fault": {"all": "skip"},
            "labels": [],
            "attributes": {},
        }
    )
    names = {"images": "images.bcolz", "table": "images.parquet", "attributes": "a.json", "report": "r.json"}
    prepare_faces(settings, 3, COMPUTE, **{name: folder / file for name, file in names.items()})
    _extracted(folder, count=8)
    files = [path for path in sorted((folder / "shards").rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder / "shards")): path.read_bytes() for path in files}


def test_a_new_photograph_of_brought_faces_touches_one_shard(tmp_path: Path) -> None:
    rng, faces = np.random.default_rng(1), tmp_path / "faces"

    def photograph(name: str) -> None:
        (faces / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(faces / name)

    for i in range(48):
        photograph(f"person {i // 4:02d}/{i % 4}.png")
    torch.manual_seed(0)
    _store(EmbeddingNetwork(16, (8,), 6), tmp_path)
    before = _brought(tmp_path, faces)
    photograph("person 03/new.png")
    after = _brought(tmp_path, faces)
    changed = {
        name.split(".")[0] for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    }
    number = int(shard_of(["person 03/new.png"], 8)[0])
    assert changed == {f"shard-{number:04d}"}
