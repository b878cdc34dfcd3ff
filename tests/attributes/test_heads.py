"""Heads follow the schema, estimates follow the formulas, and files that do not fit are refused."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attribute_recovery.attributes.heads import (
    AttributeEstimator,
    Estimates,
    load_heads,
    schema_from,
)
from attribute_recovery.attributes.networks import (
    EncoderHeads,
    EncoderTrunk,
    HeadsNetwork,
    readout_width,
    split_readout,
)
from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.training.weights import save_weights, write_card

CPU = torch.device("cpu")
CALIBRATION = {"brightness": 2.0, "glasses": 0.5, "colour": 4.0}


@pytest.fixture
def network(schema: AttributeSchema) -> HeadsNetwork:
    """For images of side 16."""
    torch.manual_seed(0)
    found = HeadsNetwork(schema, 16, [8, 12], 10)
    torch.nn.init.normal_(found.readout.weight)
    return found.eval()


@pytest.fixture
def card(schema: AttributeSchema) -> dict[str, Any]:
    """Its card."""
    return {
        "attributes": [asdict(attribute) for attribute in schema],
        "image_size": 16,
        "trunk": {"channels": [8, 12]},
        "hidden": 10,
        "means": {"brightness": 120.0},
        "scales": {"brightness": 50.0},
        "calibration": CALIBRATION,
    }


@pytest.fixture
def files(tmp_path: Path, network: HeadsNetwork, card: dict[str, Any]) -> tuple[Path, Path]:
    """Weights and card on disk."""
    save_weights(network, tmp_path / "heads.safetensors")
    write_card(tmp_path / "heads.json", card)
    return tmp_path / "heads.safetensors", tmp_path / "heads.json"


@pytest.fixture
def estimator(files: tuple[Path, Path]) -> AttributeEstimator:
    """Loaded in float32."""
    return load_heads(*files, CPU, torch.float32)


def test_the_schema_decides_the_read_outs(schema: AttributeSchema, network: HeadsNetwork) -> None:
    assert readout_width(schema) == 2 + 2 + 3
    assert network(torch.zeros(4, 3, 16, 16)).shape == (4, 7)
    turned = AttributeSchema(schema.attributes[::-1])
    readout = torch.arange(14.0).view(2, 7)
    for found, expected in (
        (split_readout(schema, readout), {"brightness": [0, 1], "glasses": [2, 3], "colour": [4, 5, 6]}),
        (split_readout(turned, readout), {"colour": [0, 1, 2], "glasses": [3, 4], "brightness": [5, 6]}),
    ):
        assert {name: part[0].tolist() for name, part in found.items()} == expected
        assert list(found) == list(expected)


def test_every_parameter_gets_a_gradient(network: HeadsNetwork) -> None:
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)  # the last of each block starts at zero
    network(torch.randn(3, 3, 16, 16)).pow(2).sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in network.parameters())


def test_calibrated_read_outs_by_formula(estimator: AttributeEstimator) -> None:
    parts = {
        "brightness": torch.tensor([[0.5, -1.0], [0.0, 9.0]]),
        "glasses": torch.tensor([[0.0, 1.0]] * 2),
        "colour": torch.tensor([[4.0, 0.0, 0.0]] * 2),
    }
    found = estimator.calibrated(parts)
    expected = torch.tensor([[120 + 25, 50 * 2 * np.exp(-1)], [120, 50 * 2 * np.exp(2)]])  # sd bounded
    torch.testing.assert_close(found["brightness"], expected.float())
    assert found["glasses"][0, 1].item() == pytest.approx(1 / (1 + np.exp(-1 / 0.5)))
    assert found["colour"][0].tolist() == pytest.approx(np.array([np.e, 1, 1]) / (np.e + 2))


def test_estimates_do_not_depend_on_the_batch_size(estimator: AttributeEstimator) -> None:
    image = torch.randn(23, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = estimator.estimate(image)
    assert expected.mean["brightness"].std() > 0
    for size in (1, 5, 23):
        found = estimator.estimate(image, batch_size=size)
        np.testing.assert_allclose(found.mean["brightness"], expected.mean["brightness"], rtol=1e-4)
        np.testing.assert_allclose(found.sd["brightness"], expected.sd["brightness"], rtol=1e-4)
        for name in ("glasses", "colour"):
            np.testing.assert_allclose(found.probabilities[name], expected.probabilities[name], atol=1e-5)


def test_estimates_are_distributions_of_each_attribute(estimator: AttributeEstimator) -> None:
    found = estimator.estimate(torch.randn(9, 3, 16, 16))
    assert set(found.mean) == set(found.sd) == {"brightness"} and found.mean["brightness"].shape == (9,)
    assert bool((found.sd["brightness"] > 0).all())
    for name, classes in (("glasses", 2), ("colour", 3)):
        assert found.probabilities[name].shape == (9, classes)
        np.testing.assert_allclose(found.probabilities[name].sum(1), 1, rtol=1e-5)


def test_values_are_means_and_likeliest_classes() -> None:
    probabilities = {"colour": np.array([[0.2, 0.7, 0.1], [0.5, 0.1, 0.4]], np.float32)}
    mean = np.array([1.5, 2.5], np.float32)
    found = Estimates({"brightness": mean}, {"brightness": mean}, probabilities).values()
    assert found["brightness"].tolist() == [1.5, 2.5] and found["colour"].tolist() == [1, 0]


def test_read_outs_are_differentiable_in_the_image(estimator: AttributeEstimator) -> None:
    image = torch.randn(2, 3, 16, 16, requires_grad=True)
    estimator.readout(image)["brightness"].sum().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None and bool(image.grad.any())


def test_bfloat16_gives_float32_estimates_nearby(files: tuple[Path, Path]) -> None:
    image = torch.randn(20, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    exact, half = (load_heads(*files, CPU, t).estimate(image) for t in (torch.float32, torch.bfloat16))
    assert half.mean["brightness"].dtype == np.float32
    gap = np.abs(half.mean["brightness"] - exact.mean["brightness"]).mean()
    assert 0 < gap < 0.05 * exact.mean["brightness"].std()


def test_images_of_another_size_are_refused(estimator: AttributeEstimator) -> None:
    with pytest.raises(ValueError, match=r"^image: found shape \(3, 32, 32\), the heads' is \(3, 16, 16\)$"):
        estimator.estimate(torch.zeros(1, 3, 32, 32))


def test_files_that_do_not_fit_are_refused(files: tuple[Path, Path], card: dict[str, Any]) -> None:
    weights, path = files

    def refused(change: dict[str, Any], sentence: str) -> None:
        write_card(path, card | change)
        with pytest.raises(ValueError, match=sentence):
            load_heads(weights, path, CPU, torch.float32)

    refused(
        {"image_size": 64}, r"heads.safetensors: tensor 'trunk.embedding.2.weight': found shape \(10, 192\)"
    )
    refused({"hidden": 11}, r"heads.safetensors: tensor 'trunk.embedding.2.weight': found shape \(10, 192\)")
    refused({"attributes": card["attributes"][:2]}, "heads.safetensors: tensor 'readout.weight': found shape")
    refused({"unknown": 1}, "heads.json: key 'unknown' is not known")
    write_card(path, {key: value for key, value in card.items() if key != "means"})
    with pytest.raises(ValueError, match="heads.json: key 'means' is missing"):
        load_heads(weights, path, CPU, torch.float32)
    weights.unlink()
    write_card(path, card)
    with pytest.raises(ValueError, match="heads.safetensors: cannot be read as safetensors"):
        load_heads(weights, path, CPU, torch.float32)


def test_a_schema_comes_back_from_a_card(schema: AttributeSchema, card: dict[str, Any]) -> None:
    listed = [entry | {"range": list(entry["range"])} for entry in card["attributes"]]  # as JSON has it
    assert schema_from(listed) == schema
    with pytest.raises(ValueError, match="attributes: entry 'brightness': .*'colour'"):
        schema_from([listed[0] | {"colour": 1}])
    with pytest.raises(ValueError, match="attributes: entry 'x': .*missing"):
        schema_from([{"name": "x"}])


def test_heads_from_the_encoder_come_back_from_their_files(
    tmp_path: Path, schema: AttributeSchema, card: dict[str, Any]
) -> None:
    torch.manual_seed(4)
    network = EncoderHeads(schema, 16, EncoderTrunk((6, 8), (0, 1), 5), 10).eval()
    save_weights(network, tmp_path / "heads.safetensors")
    write_card(
        tmp_path / "heads.json", card | {"trunk": {"channels": [6, 8], "blocks": [0, 1], "code_size": 5}}
    )
    found = load_heads(tmp_path / "heads.safetensors", tmp_path / "heads.json", CPU, torch.float32)
    images = torch.rand(3, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(torch.cat(list(found.readout(images).values()), 1), network(images))


@pytest.mark.parametrize(
    ("trunk", "message"),
    [
        ({}, "trunk has nothing, allowed are channels alone, or channels, blocks and code_size"),
        ({"channels": [6, 8], "blocks": [0, 1]}, "trunk has blocks, channels, allowed are"),
        ({"channels": [6, 8, 8], "blocks": [0, 1, 1], "code_size": 5}, "make an image of side 32"),
    ],
)
def test_a_trunk_that_is_neither_is_refused(
    tmp_path: Path, card: dict[str, Any], trunk: dict[str, Any], message: str
) -> None:
    write_card(tmp_path / "heads.json", card | {"trunk": trunk})
    with pytest.raises(ValueError, match=message):
        load_heads(tmp_path / "heads.safetensors", tmp_path / "heads.json", CPU, torch.float32)
