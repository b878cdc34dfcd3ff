"""Training G from a data set on disk, interrupted or not, and taking the shipped one where it fits."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from PIL import Image

import attribute_recovery.generator.prepare as module
import attribute_recovery.generator.train as training_module
import attribute_recovery.generator.weights as weights_package
from attribute_recovery.config import (
    Compute,
    GeneratorConfig,
    GeneratorNetwork,
    GeneratorSection,
    GeneratorTraining,
)
from attribute_recovery.config_generator import (
    EigenfacesGenerator,
    FileGenerator,
    TunedGenerator,
    TunedTraining,
)
from attribute_recovery.dataset.store import read_images, read_table, write_array, write_table
from attribute_recovery.generator.load import load_generator
from attribute_recovery.generator.prepare import generator_card, prepare_generator
from attribute_recovery.generator.quality import measure_quality, reconstruct
from attribute_recovery.training.batches import batch_rows
from attribute_recovery.training.loop import LoopSettings
from attribute_recovery.training.weights import save_weights, write_card

Images = npt.NDArray[np.uint8]
REFERENCE = Path(__file__).parents[1] / "dataset" / "world" / "reference.png"
COMPUTE = Compute(threads=1, device="cpu", precision="float32")


@pytest.fixture
def section(network: GeneratorNetwork, training: GeneratorTraining) -> GeneratorSection:
    """Trained in a few steps, with labels and an adversary."""
    settings = training.model_copy(update={"adversarial_weight": 0.1, "attribute_weight": 0.5})
    return GeneratorSection(source="train", network=network, training=settings)


def prepare(section: GeneratorConfig, dataset: Path, folder: Path, seed: int = 1) -> dict[str, Any]:
    """The rule's call, its outputs in `folder`."""
    folder.mkdir(exist_ok=True)
    return prepare_generator(
        section,
        seed,
        COMPUTE,
        images=dataset / "images.bcolz",
        table=dataset / "images.parquet",
        attributes=dataset / "attributes.json",
        weights=folder / "autoencoder.safetensors",
        card=folder / "card.json",
        checkpoint=folder / "checkpoint.safetensors",
    )


def relabelled(dataset: Path, rows: slice) -> None:
    """Turn the order of these rows' labels around, images as they are."""
    table = read_table(dataset / "images.parquet")
    for column in [name for name in table if str(name).startswith("attribute.")]:
        values = table[column].to_numpy(copy=True)
        values[rows] = values[rows][::-1].copy()
        table[column] = values
    write_table(table, dataset / "images.parquet")


def outputs(folder: Path) -> dict[str, str]:
    """Digests of the files in a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_trained_generator_loads_and_its_checkpoint_is_gone(
    tmp_path: Path, dataset: Path, section: GeneratorSection
) -> None:
    folder = tmp_path / "generator"
    found = prepare(section, dataset, folder)
    assert set(outputs(folder)) == {"autoencoder.safetensors", "card.json"}
    losses = {"image", "bands", "strength", "attributes", "verdict", "discriminator"}
    assert set(found["final_losses"]) == losses and all(map(np.isfinite, found["final_losses"].values()))
    card = json.loads((folder / "card.json").read_text())
    assert card["network"] == section.network.model_dump(mode="json")
    assert card["training"]["adversarial_weight"] == 0.1 and card["seed"] == 1
    assert card["attributes"] == ["red", "green", "bright", "square"]
    generator = load_generator(
        folder / "autoencoder.safetensors", folder / "card.json", torch.device("cpu"), torch.float32
    )
    pixels = read_images(dataset / "images.bcolz")
    codes = generator.encode_images(pixels[:32])
    np.testing.assert_allclose(codes.mean(0), 0, atol=0.05)
    np.testing.assert_allclose(codes.var(0), 1, atol=0.05)


def test_only_the_splits_recognizer_and_train_are_seen(
    tmp_path: Path, dataset: Path, section: GeneratorSection, pictures: Images
) -> None:
    prepare(section, dataset, tmp_path / "once")
    changed = pictures.copy()
    changed[32:] = 255 - changed[32:]
    write_array(dataset / "images.bcolz", [changed], (16, 16, 3), np.uint8, 64)
    relabelled(dataset, slice(32, None))
    prepare(section, dataset, tmp_path / "again")
    assert outputs(tmp_path / "once") == outputs(tmp_path / "again")
    card = json.loads((tmp_path / "once" / "card.json").read_text())
    assert card["images"] == 32
    assert card["images_sha256"] == hashlib.sha256(pictures[:32].tobytes()).hexdigest()


def test_labels_are_those_of_the_images(
    tmp_path: Path, dataset: Path, section: GeneratorSection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The splits' rows, here the last, in the encoding of the schema."""
    table = read_table(dataset / "images.parquet")
    table["split"] = table["split"].to_numpy()[::-1]
    write_table(table, dataset / "images.parquet")
    seen = list[tuple[Images, npt.NDArray[np.float32]]]()

    def trained(pixels: Images, *_: object, labels: npt.NDArray[np.float32], checkpoint: Path) -> None:
        seen.append((pixels, labels))
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "train_autoencoder", trained)
    with pytest.raises(KeyboardInterrupt):
        prepare(section, dataset, tmp_path / "generator")
    ((pixels, labels),) = seen
    assert np.array_equal(pixels, read_images(dataset / "images.bcolz")[32:])
    assert labels.dtype == np.float32
    ground = pixels[:, 0, 0].astype(float)
    brightest = np.eye(3)[pixels[:, 7, 7].argmax(1)]
    expected = np.column_stack([ground[:, :2], ground.mean(1) > 127, brightest])
    assert np.array_equal(labels, expected)


def test_labels_matter_with_a_weight_only(tmp_path: Path, dataset: Path, section: GeneratorSection) -> None:
    unguided = section.model_copy(
        update={"training": section.training.model_copy(update={"attribute_weight": 0.0})}
    )
    prepare(section, dataset, tmp_path / "guided")
    found = prepare(unguided, dataset, tmp_path / "unguided")
    assert "attributes" not in found["final_losses"]
    assert json.loads((tmp_path / "unguided" / "card.json").read_text())["attributes"] == []
    relabelled(dataset, slice(0, 32))
    prepare(section, dataset, tmp_path / "guided_again")
    prepare(unguided, dataset, tmp_path / "unguided_again")
    assert outputs(tmp_path / "guided") != outputs(tmp_path / "guided_again")
    assert outputs(tmp_path / "unguided") == outputs(tmp_path / "unguided_again")


def test_a_data_set_without_attributes_trains_as_without_a_weight(
    tmp_path: Path, dataset: Path, section: GeneratorSection
) -> None:
    (dataset / "attributes.json").write_text("[]")
    found = prepare(section, dataset, tmp_path / "generator")
    assert "attributes" not in found["final_losses"]
    assert json.loads((tmp_path / "generator" / "card.json").read_text())["attributes"] == []


def test_an_interrupted_preparation_ends_with_the_same_bytes(
    tmp_path: Path, dataset: Path, section: GeneratorSection, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(section, dataset, tmp_path / "once")

    def stopping(count: int, batch_size: int, seed: tuple[int, ...], step: int) -> npt.NDArray[np.int64]:
        if step == 8:
            raise KeyboardInterrupt
        return batch_rows(count, batch_size, seed, step)

    def often(**values: Any) -> LoopSettings:
        return LoopSettings(**values, checkpoint_seconds=0.0)

    monkeypatch.setattr(training_module, "batch_rows", stopping)
    monkeypatch.setattr(module, "LoopSettings", often)
    with pytest.raises(KeyboardInterrupt):
        prepare(section, dataset, tmp_path / "again")
    assert set(outputs(tmp_path / "again")) == {"checkpoint.safetensors"}
    monkeypatch.setattr(training_module, "batch_rows", batch_rows)
    prepare(section, dataset, tmp_path / "again")
    assert outputs(tmp_path / "once") == outputs(tmp_path / "again")
    prepare(section, dataset, tmp_path / "other", seed=2)
    assert outputs(tmp_path / "once") != outputs(tmp_path / "other")


def test_a_network_of_another_image_size_is_refused(
    tmp_path: Path, dataset: Path, section: GeneratorSection
) -> None:
    network = section.network.model_copy(
        update={
            "decoder_channels": (8, 8, 8),
            "encoder_channels": (8, 8, 8),
            "decoder_blocks": (0, 0, 0),
            "encoder_blocks": (0, 0, 0),
        }
    )
    with pytest.raises(ValueError, match="^size: found 16; 3 stages of channels make an image of side 32$"):
        prepare(section.model_copy(update={"network": network}), dataset, tmp_path / "generator")


@pytest.fixture
def shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: GeneratorSection, pictures: Images
) -> GeneratorSection:
    """A section whose shipped generator is of images of side 16."""
    package = tmp_path / "packages" / "shipped_for_a_test"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "world64.safetensors").write_bytes(b"weights")
    write_card(package / "world64.json", generator_card(pictures, [], section.network, {}, 0, "the shop"))
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(module, "SHIPPED", package.name)
    return section.model_copy(update={"source": "shipped"})


def test_the_shipped_generator_is_copied(tmp_path: Path, dataset: Path, shipped: GeneratorSection) -> None:
    found = prepare(shipped, dataset, tmp_path / "generator")
    assert (tmp_path / "generator" / "autoencoder.safetensors").read_bytes() == b"weights"
    assert json.loads((tmp_path / "generator" / "card.json").read_text())["provenance"] == "the shop"
    assert json.loads(found["provenance"]) == "the shop"


def test_a_shipped_generator_of_another_image_size_is_refused(
    tmp_path: Path, dataset: Path, shipped: GeneratorSection
) -> None:
    write_array(dataset / "images.bcolz", [np.zeros((1, 32, 32, 3), np.uint8)], (32, 32, 3), np.uint8, 1)
    sentence = (
        "^generator.source: found shipped, whose images have a side of 16, "
        "but the data set's have 32; allowed is train$"
    )
    with pytest.raises(ValueError, match=sentence):
        prepare(shipped, dataset, tmp_path / "generator")
    assert not outputs(tmp_path / "generator")


def test_a_package_without_weights_says_so(
    tmp_path: Path, dataset: Path, shipped: GeneratorSection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHIPPED", "attribute_recovery.training")
    sentence = "^generator.source: found shipped, but no weights are in the package; allowed is train$"
    with pytest.raises(ValueError, match=sentence):
        prepare(shipped, dataset, tmp_path / "generator")


@pytest.fixture
def brought(tmp_path: Path, dataset: Path, section: GeneratorSection) -> FileGenerator:
    """A generator that another experiment trained on images of side 16."""
    prepare(section, dataset, tmp_path / "other")
    return FileGenerator(source="file", weights=tmp_path / "other/autoencoder.safetensors", card=None)


def test_a_generator_from_a_file_is_the_same_and_says_where_it_is_from(
    tmp_path: Path, dataset: Path, brought: FileGenerator, pictures: Images
) -> None:
    found = prepare(brought, dataset, tmp_path / "generator")
    digest = hashlib.sha256(brought.weights.read_bytes()).hexdigest()
    assert found == {"weights_sha256": digest, "code_size": 6}
    card = json.loads((tmp_path / "generator/card.json").read_text())
    assert card["provenance"] == (
        f"brought as a file with sha256 {digest}, whose card says: trained by this experiment"
    )
    original = json.loads(brought.card_path.read_text())
    assert card | {"provenance": ""} == original | {"provenance": ""}
    loaded = [
        load_generator(
            folder / "autoencoder.safetensors", folder / "card.json", torch.device("cpu"), torch.float32
        )
        for folder in (tmp_path / "generator", tmp_path / "other")
    ]
    first, second = (each.encode_images(pictures[:3]) for each in loaded)
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda file: file.weights.write_bytes(b"no"), "cannot be read as safetensors"),
        (lambda file: file.card_path.unlink(), r"card\.json: the weights' card cannot be read"),
        (lambda file: file.card_path.write_text("{}"), "is missing; a card has attributes, image_size"),
        (
            lambda file: write_card(
                file.card_path,
                json.loads(file.card_path.read_text()) | {"image_size": 32},
            ),
            "size: found 32; 2 stages of channels make an image of side 16",
        ),
        (lambda file: save_weights(torch.nn.Linear(1, 1), file.weights), "tensor 'encoder.* is missing"),
    ],
)
def test_a_file_that_is_no_generator_is_one_sentence(
    tmp_path: Path, dataset: Path, brought: FileGenerator, spoil: Any, sentence: str
) -> None:
    spoil(brought)
    with pytest.raises(ValueError, match=sentence):
        prepare(brought, dataset, tmp_path / "generator")
    assert not outputs(tmp_path / "generator")


def test_a_file_of_another_image_size_is_refused(
    tmp_path: Path, dataset: Path, brought: FileGenerator
) -> None:
    write_array(dataset / "images.bcolz", [np.zeros((1, 32, 32, 3), np.uint8)], (32, 32, 3), np.uint8, 1)
    with pytest.raises(
        ValueError, match=r"^generator\.weights: .* have a side of 16, but the data set's have 32"
    ):
        prepare(brought, dataset, tmp_path / "generator")
    assert not outputs(tmp_path / "generator")


def test_the_weights_that_are_shipped_make_the_world_as_it_is() -> None:
    """Its 16 reference renders, extremes among them. The weights of the world before give an L1 of 0.065."""
    folder = Path(weights_package.__file__).parent
    generator = load_generator(
        folder / "world64.safetensors", folder / "world64.json", torch.device("cpu"), torch.float32
    )
    sheet = np.asarray(Image.open(REFERENCE).convert("RGB"))
    real = sheet.reshape(4, 64, 4, 64, 3).transpose(0, 2, 1, 3, 4).reshape(16, 64, 64, 3)
    found = measure_quality(real, reconstruct(generator, generator.encode_images(real)))
    assert found["l1"] < 0.056
    assert all(0.67 < ratio < 1.5 for ratio in found["band_power_ratio"])
    assert 0.7 < found["sharpness_ratio"] < 1.25


def test_labels_may_be_missing(tmp_path: Path, dataset: Path, section: GeneratorSection) -> None:
    table = pd.read_parquet(dataset / "images.parquet")
    names = [name for name in table if name.startswith("attribute.")]
    for number, name in enumerate(names):
        table[name] = table[name].mask(np.arange(len(table)) % (2 + number) == 0)
    write_table(table, dataset / "images.parquet")
    found = prepare(section, dataset, tmp_path / "generator")
    assert np.isfinite(found["final_losses"]["attributes"])
    card = json.loads((tmp_path / "generator" / "card.json").read_text())
    assert [f"attribute.{name}" for name in card["attributes"]] == names


@pytest.fixture
def tuned(brought: FileGenerator) -> TunedGenerator:
    """That generator, trained on for a few steps."""
    training = TunedTraining(
        steps=6,
        batch_size=8,
        learning_rate=3e-3,
        code_noise=0.05,
        strength_weight=0.5,
        cycle_weight=1.0,
        reading_weight=5.0,
        adversarial_weight=0.1,
        adversarial_from=0.5,
    )
    return TunedGenerator(source="tuned", weights=brought.weights, card=None, training=training)


def test_a_generator_that_is_trained_on_keeps_its_codes_and_says_where_it_is_from(
    tmp_path: Path, dataset: Path, tuned: TunedGenerator, pictures: Images
) -> None:
    found = prepare(tuned, dataset, tmp_path / "generator")
    digest = hashlib.sha256(tuned.weights.read_bytes()).hexdigest()
    assert found["weights_sha256"] == digest and "reading" in found["final_losses"]
    assert set(outputs(tmp_path / "generator")) == {"autoencoder.safetensors", "card.json"}
    card, origin = (
        json.loads(path.read_text()) for path in (tmp_path / "generator/card.json", tuned.card_path)
    )
    told = f"G trained on from a file with sha256 {digest}, whose card says: trained by this experiment"
    assert card["provenance"] == told and card["network"] == origin["network"]
    assert card["training"]["reading_weight"] == 5.0 and card["attributes"] == origin["attributes"]
    first, second = (
        load_generator(
            folder / "autoencoder.safetensors", folder / "card.json", torch.device("cpu"), torch.float32
        )
        for folder in (tmp_path / "generator", tmp_path / "other")
    )
    codes = first.encode_images(pictures[:3])
    assert np.array_equal(codes, second.encode_images(pictures[:3]))
    assert not np.array_equal(reconstruct(first, codes), reconstruct(second, codes))


def test_principal_components_are_not_trained_on(
    tmp_path: Path, dataset: Path, tuned: TunedGenerator
) -> None:
    linear = EigenfacesGenerator(source="eigenfaces", code_size=6, copies=2, augmentation=0.3)
    prepare(linear, dataset, tmp_path / "other")
    sentence = r"^generator\.weights: .*, whose networks cannot be trained on; allowed is a generator"
    with pytest.raises(ValueError, match=sentence):
        prepare(tuned, dataset, tmp_path / "generator")
    assert not outputs(tmp_path / "generator")


def test_a_generator_of_another_size_is_not_trained_on(
    tmp_path: Path, dataset: Path, tuned: TunedGenerator
) -> None:
    write_array(dataset / "images.bcolz", [np.zeros((64, 32, 32, 3), np.uint8)], (32, 32, 3), np.uint8, 64)
    with pytest.raises(ValueError, match=r"have a side of 16, but the data set's have 32; allowed is"):
        prepare(tuned, dataset, tmp_path / "generator")
