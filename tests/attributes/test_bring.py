"""Heads that are brought: tried on the images, calibrated on labels, read where there is none."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from onnx import helper

from attribute_recovery.attributes.bring import bring_heads
from attribute_recovery.attributes.edit import soft_encoding
from attribute_recovery.attributes.heads import load_heads
from attribute_recovery.config_attributes import OnnxHeads, PythonHeads
from attribute_recovery.dataset.attributes import read_schema
from attribute_recovery.dataset.store import read_table, write_table
from attribute_recovery.generator.train import to_tensor

CPU = torch.device("cpu")
OUTPUTS = {
    "weights": "heads.safetensors",
    "card": "heads.json",
    "metrics": "metrics.json",
    "readings_table": "images.parquet",
    "readings_schema": "attributes.json",
    "readings": "readings.json",
}


def brought(experiment: Any, folder: Path, settings: Any) -> dict[str, Any]:
    """The rule's call, its outputs in `folder`."""
    folder.mkdir(exist_ok=True)
    report = folder.parent / "report.json"
    report.write_text(json.dumps({"crop": {"template": "as given"}}))
    return bring_heads(
        settings,
        experiment.compute,
        images=experiment.images,
        table=experiment.table,
        attributes=experiment.attributes,
        report=report,
        **{name: folder / file for name, file in OUTPUTS.items()},
    )


def onnx_settings(path: Path) -> OnnxHeads:
    return OnnxHeads(source="onnx", weights=path)


def unlabelled(experiment: Any) -> None:
    """The data set without any label."""
    table = read_table(experiment.table)
    write_table(table[[name for name in table if not str(name).startswith("attribute.")]], experiment.table)
    experiment.attributes.write_text("[]")


def test_without_labels_what_is_read_stands_for_the_truth(
    experiment, tmp_path: Path, heads_file, nodes, world
) -> None:
    unlabelled(experiment)
    path = heads_file.write(nodes)
    found = brought(experiment, tmp_path / "out", onnx_settings(path))
    assert found == json.loads((tmp_path / "out/metrics.json").read_text())
    assert found["labelled"] == dict.fromkeys(("brightness", "glasses", "colour"), 0)
    assert found["read"] == dict.fromkeys(("brightness", "glasses", "colour"), 160)
    assert found["r2"] == found["balanced_accuracy"] == {} and found["n_images"] == 0
    assert found["weights_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (tmp_path / "out/heads.safetensors").read_bytes() == path.read_bytes()
    table = read_table(tmp_path / "out/images.parquet")
    schema = read_schema(tmp_path / "out/attributes.json")
    values = schema.from_table(table)  # nothing is missing
    means = world[0].astype(np.float64).mean((1, 2)) / 255
    np.testing.assert_allclose(values["brightness"], means.mean(1), atol=1e-5)
    np.testing.assert_array_equal(values["glasses"], 18 - 12 * means.sum(1) > 0)
    np.testing.assert_array_equal(values["colour"], means.argmax(1))
    assert schema["brightness"].dose == pytest.approx(means.mean(1).std(), rel=1e-4)
    described = json.loads((tmp_path / "out/readings.json").read_text())["attributes"]
    assert described["brightness"]["splits"]["test"]["sd"] > 0
    assert any("taken as they say it" in note for note in found["notes"])


def test_readings_that_pile_up_at_the_end_of_their_range_are_refused(
    experiment, tmp_path: Path, heads_file, nodes, world, card_values
) -> None:
    unlabelled(experiment)
    middle = float(np.median(world[0].astype(np.float64).mean((1, 2, 3)) / 255))
    first, *others = card_values["attributes"]
    path = heads_file.write(nodes, attributes=[first | {"range": [0.0, middle]}, *others])
    with pytest.raises(ValueError, match="heads 'means': attribute 'brightness': .* are equal"):
        brought(experiment, tmp_path / "out", onnx_settings(path))
    assert not list((tmp_path / "out").iterdir())


def test_the_estimator_reads_as_the_table_says(experiment, tmp_path: Path, heads_file, nodes, world) -> None:
    unlabelled(experiment)
    brought(experiment, tmp_path / "out", onnx_settings(heads_file.write(nodes)))
    files = (tmp_path / "out/heads.safetensors", tmp_path / "out/heads.json")
    estimator = load_heads(*files, CPU, torch.bfloat16)
    image = to_tensor(world[0])
    found = estimator.estimate(image)
    schema = read_schema(tmp_path / "out/attributes.json")
    values = schema.from_table(read_table(tmp_path / "out/images.parquet"))
    np.testing.assert_allclose(found.mean["brightness"], values["brightness"], atol=1e-5)
    np.testing.assert_allclose(found.sd["brightness"], 0.1, rtol=1e-4)
    np.testing.assert_array_equal(found.values()["colour"], values["colour"])
    assert soft_encoding(estimator, image).shape == (160, 5)
    np.testing.assert_allclose(
        estimator.estimate(image, batch_size=7).mean["brightness"], found.mean["brightness"]
    )


def test_labels_stay_the_truth_and_heads_are_calibrated_and_measured_on_them(
    experiment, tmp_path: Path, heads_file, nodes, world, card_values
) -> None:
    """Half of the labels are there; brightness in the labels' unit, off by a known error."""
    table = read_table(experiment.table)
    labelled = np.arange(160) % 2 == 0
    for name in ("brightness", "glasses", "colour"):
        table[f"attribute.{name}"] = table[f"attribute.{name}"].where(labelled)
    write_table(table, experiment.table)
    entries = card_values["attributes"]
    entries[0] |= {"range": [0.0, 255.0], "sd": 1.0}
    scaled = [*nodes[1:], helper.make_node("Mul", ["all", "white"], ["scaled"])]
    scaled = [
        nodes[0],
        scaled[-1],
        helper.make_node("Unsqueeze", ["scaled", "axis"], ["brightness"]),
        *nodes[2:],
    ]
    path = heads_file.write(scaled, attributes=entries)
    found = brought(experiment, tmp_path / "out", onnx_settings(path))
    assert found["labelled"] == dict.fromkeys(("brightness", "glasses", "colour"), 80)
    assert found["n_images"] == 20 and found["split"] == "test"
    merged = read_table(tmp_path / "out/images.parquet")
    own = table["attribute.colour"][labelled]
    assert merged["attribute.colour"][labelled].tolist() == own.tolist()
    read = 255 * (world[0].astype(np.float64).mean((1, 2, 3)) / 255)
    expected = np.clip(read, 40, 200)[~labelled]  # the labels' range
    np.testing.assert_allclose(merged["attribute.brightness"][~labelled], expected, rtol=1e-4)
    test = labelled & (table["split"] == "test").to_numpy()
    truth = world[1]["brightness"].astype(np.float64)
    expected = 1 - ((truth - read)[test] ** 2).sum() / ((truth[test] - truth[test].mean()) ** 2).sum()
    assert found["r2"]["brightness"] == pytest.approx(expected, abs=1e-3)
    assert found["balanced_accuracy"]["colour"] == 1.0
    held = labelled & (table["split"] == "calibration").to_numpy()
    factor = json.loads((tmp_path / "out/heads.json").read_text())["calibration"]["brightness"]
    assert factor == pytest.approx(np.sqrt(((truth - read)[held] ** 2).mean()), rel=1e-2)
    estimator = load_heads(
        tmp_path / "out/heads.safetensors", tmp_path / "out/heads.json", CPU, torch.float32
    )
    np.testing.assert_allclose(
        estimator.estimate(to_tensor(world[0][:3])).sd["brightness"], factor, rtol=1e-3
    )


FUNCTION = """
import numpy as np

def read(images):
    means = images.mean((2, 3))
    glasses = 18 - 12 * means.sum(1, keepdims=True)
    return {"brightness": means.mean(1), "classes": np.concatenate([glasses, 30 * means], 1)}
"""


def test_a_function_reads_the_same_and_is_named(
    experiment, tmp_path: Path, heads_file, nodes, card_values, monkeypatch
) -> None:
    unlabelled(experiment)
    brought(experiment, tmp_path / "onnx", onnx_settings(heads_file.write(nodes)))
    monkeypatch.chdir(tmp_path)
    Path("heads_of_a_bring_test.py").write_text(FUNCTION)
    card = tmp_path / "function.json"
    card.write_text(json.dumps(card_values | {"format": "python", "weights_sha256": ""}))
    settings = PythonHeads(source="python", function="heads_of_a_bring_test:read", card=card, trusted=True)
    found = brought(experiment, tmp_path / "out", settings)
    assert found["runs_user_code"] is True and found["source"] == "python"
    assert found["weights_sha256"] == hashlib.sha256(FUNCTION.encode()).hexdigest()
    tables = [pd.read_parquet(tmp_path / folder / "images.parquet") for folder in ("onnx", "out")]
    assert tables[0]["attribute.colour"].tolist() == tables[1]["attribute.colour"].tolist()
    np.testing.assert_allclose(
        tables[0]["attribute.brightness"], tables[1]["attribute.brightness"], atol=1e-6
    )
    card.write_text(json.dumps(card_values | {"format": "python"}))
    with pytest.raises(
        ValueError, match="function 'heads_of_a_bring_test:read': found sha256 .* are other heads"
    ):
        brought(experiment, tmp_path / "out", settings)


def refused(experiment: Any, folder: Path, path: Path, says: str) -> None:
    """One sentence, and nothing written."""
    with pytest.raises(ValueError, match=says) as caught:
        brought(experiment, folder, onnx_settings(path))
    assert "\n" not in str(caught.value)
    assert not list(folder.iterdir())


def test_outputs_that_are_not_what_the_card_says_are_refused(
    experiment, tmp_path: Path, heads_file, nodes, card_values
) -> None:
    entries = card_values["attributes"]
    entries[1]["activation"] = "probabilities"
    says = "attribute glasses: found probabilities from .* to .*, allowed is 0 to 1; are they logits"
    refused(experiment, tmp_path / "out", heads_file.write(nodes, attributes=entries), says)
    square = [*nodes[:-1], helper.make_node("Gemm", ["means", "weight", "bias"], ["raw"])]
    square.append(helper.make_node("Sigmoid", ["raw"], ["classes"]))
    entries[2]["activation"] = "probabilities"
    says = "attribute colour: found probabilities that add up to 1 ± .*, allowed is 1"
    refused(experiment, tmp_path / "out", heads_file.write(square, attributes=entries), says)
    logs = [*nodes[:-1], helper.make_node("Gemm", ["means", "weight", "bias"], ["raw"])]
    logs.append(helper.make_node("Log", ["raw"], ["classes"]))
    says = "attribute glasses: gives numbers that are not finite"
    refused(experiment, tmp_path / "out", heads_file.write(logs), says)


def test_heads_that_look_at_the_whole_batch_are_refused(
    experiment, tmp_path: Path, heads_file, nodes
) -> None:
    together = [
        helper.make_node("ReduceMean", ["image"], ["batch"], axes=[0, 1, 2, 3], keepdims=1),
        helper.make_node("Sub", ["image", "batch"], ["centred"]),
        helper.make_node("ReduceMean", ["centred"], ["all"], axes=[1, 2, 3], keepdims=0),
        *nodes[1:],
    ]
    says = "heads 'means': what is read in an image depends on the other images of its batch"
    refused(experiment, tmp_path / "out", heads_file.write(together), says)


def test_heads_that_see_nothing_are_refused(experiment, tmp_path: Path, heads_file, nodes) -> None:
    dark = [helper.make_node("Sub", ["image", "image"], ["dark"]), *nodes]
    for node in (dark[1], dark[3]):
        node.input[0] = "dark"
    says = "heads 'means': read the same in all of 64 images; is the value range"
    refused(experiment, tmp_path / "out", heads_file.write(dark), says)


def test_another_file_than_the_cards_is_refused(experiment, tmp_path: Path, heads_file, nodes) -> None:
    path = heads_file.write(nodes, weights_sha256="0" * 64)
    refused(experiment, tmp_path / "out", path, "heads.onnx: found sha256 .*, the card allows 000")
    path = heads_file.write(nodes, format="python")
    refused(
        experiment, tmp_path / "out", path, "key format: found 'python', allowed is 'onnx' for source onnx"
    )
    path = heads_file.write(nodes)
    path.unlink()
    refused(experiment, tmp_path / "out", path, "heads.onnx: is missing, expected the heads 'means'")
    path.with_suffix(".json").unlink()
    refused(
        experiment, tmp_path / "out", path, "heads.json: is missing; heads are only loaded with their card"
    )


def test_labels_of_another_kind_are_refused(
    experiment, tmp_path: Path, heads_file, nodes, card_values
) -> None:
    card_values["attributes"][2]["categories"] = ["red", "green", "violet"]
    path = heads_file.write(nodes, attributes=card_values["attributes"])
    says = (
        "attribute colour: found categorical red, green, violet, allowed is categorical red, green, blue, as"
    )
    refused(experiment, tmp_path / "out", path, says)
