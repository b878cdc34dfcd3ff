"""Whole runs on faces in folders: without labels and heads, and with what a user brings in their place."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FOLDERS = """experiment: brought
dataset:
  source: folders
  path: {path}
  image_size: 32
  align: {{by: given, crop: centre, template: unknown}}
  splits: {{by: shares, recognizer: 0.2, train: 0.4, calibration: 0.2, test: 0.2}}
  on_fault: {{all: skip}}
  labels: []
  attributes: {{}}
"""
WITHOUT_ATTRIBUTES = {
    "dataset",
    "generator_train",
    "generator_codes",
    "recognizer",
    "embeddings",
    "rates",
    "decoder_train",
    "decoder_samples",
    "report",
}
LEFT_OUT = ("attributes", "recovery", "significance", "counterfactuals")


def text_of(page: Path) -> str:
    """The page without its tags."""
    return " ".join(re.sub(r"<style.*?</style>|<[^>]+>", " ", page.read_text(), flags=re.DOTALL).split())


def test_without_labels_the_stages_about_attributes_are_not_planned(clone, face_folder) -> None:
    text = FOLDERS.format(path=face_folder)
    assert clone.planned(clone.write_config("mine.yaml", text)) == WITHOUT_ATTRIBUTES
    second = "recognizers: {second: {source: weights, weights: a.safetensors, threshold: {fmr: 0.1}}}"
    for name in ("a.safetensors", "a.json"):
        (clone.folder / name).touch()
    assert clone.planned(clone.write_config("two.yaml", f"{text}{second}")) == WITHOUT_ATTRIBUTES


@pytest.mark.slow
def test_a_run_without_labels_ends_with_a_report_that_says_what_to_supply(clone, face_folder) -> None:
    config = clone.write_config("mine.yaml", FOLDERS.format(path=face_folder))
    done = clone.run(config)
    assert done.returncode == 0, done.stdout + done.stderr
    results = clone.folder / "results/brought"
    made = {path.stem.removeprefix("manifest-") for path in results.glob("**/manifest-*.json")}
    assert made == WITHOUT_ATTRIBUTES
    page = text_of(results / "report/index.html")
    for stage in LEFT_OUT:
        assert f"{stage} (" in page
    assert "What was left out" in page and "label-sheet" in page
    assert "Not computed" not in page and "Files that gave nothing" not in page
    metrics = json.loads((results / "report/metrics.json").read_text())
    assert 0 <= metrics["recognizers"]["default"]["decoder"]["type_1_tar"] <= 1
    assert clone.planned(config) == set()
    sheet = clone.call(
        *("attribute_recovery.cli", "label-sheet", "sheet", "--attribute", "glasses", "--config", config)
    )
    assert sheet.returncode == 0 and "sheet/labels.csv" in sheet.stdout


def write_heads(path: Path, side: int) -> None:
    """An ONNX file that reads brightness, a warm or cold light and the ground's colour, and its card."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = np.array([[40.0, 10.0, 0.0, 0.0], [0.0, 0.0, 10.0, 0.0], [-40.0, 0.0, 0.0, 10.0]], np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["brightness"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("Gemm", ["means", "weight", "bias"], ["logits"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, side, side])
    outputs = [
        helper.make_tensor_value_info("brightness", TensorProto.FLOAT, ["n"]),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 4]),
    ]
    bias = numpy_helper.from_array(np.array([-4.0, 0.0, 0.0, 0.0], np.float32), "bias")
    tensors = [numpy_helper.from_array(weight, "weight"), bias]
    graph = helper.make_graph(nodes, "heads", [image], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    common = {"level": "image", "family": "appearance"}
    card = {
        "name": "three means",
        "format": "onnx",
        "crop_size": side,
        "template": "as given",
        "channel_order": "RGB",
        "value_range": [0.0, 1.0],
        "interpolation": "bilinear",
        "attributes": [
            {
                "name": "brightness",
                "kind": "continuous",
                "unit": "of white",
                "range": [0.0, 1.0],
                "output": "brightness",
                "columns": [0],
                "sd": 0.02,
                **common,
            },
            {
                "name": "warm",
                "kind": "binary",
                "output": "logits",
                "columns": [0],
                "activation": "logits",
                **common,
            },
        ],
        "licence": "MIT",
        "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    path.with_suffix(".json").write_text(json.dumps(card))


WITH_HEADS = WITHOUT_ATTRIBUTES | {
    "attributes_heads",
    "attributes_editor",
    "recovery",
    "significance",
    "counterfactuals",
}


@pytest.mark.slow
def test_a_run_with_brought_heads_and_no_labels_has_every_stage(clone, face_folder) -> None:
    write_heads(clone.folder / "heads.onnx", 32)
    heads = "attributes: {heads: {source: onnx, weights: heads.onnx}}"
    config = clone.write_config("mine.yaml", FOLDERS.format(path=face_folder) + heads)
    done = clone.run(config)
    assert done.returncode == 0, done.stdout + done.stderr
    results = clone.folder / "results/brought"
    made = {path.stem.removeprefix("manifest-") for path in results.glob("**/manifest-*.json")}
    assert made == WITH_HEADS
    page = text_of(results / "report/index.html")
    assert "“three means” (onnx, licence MIT" in page
    assert page.count("No image has a label: what is called true of an attribute") == 2
    assert "What was left out" not in page and "Files that gave nothing" not in page
    table = pd.read_parquet(results / "attributes/images.parquet")
    assert set(table["attribute.warm"]) == {"off", "on"} and table["attribute.brightness"].between(0, 1).all()
    weighed = pd.read_parquet(results / "default/significance/significance.parquet")
    assert set(weighed["attribute"]) == {"brightness", "warm"}
    assert json.loads((results / "generator/card.json").read_text())["attributes"] == ["brightness", "warm"]
    assert clone.planned(config) == set()
    heads_again = json.loads((clone.folder / "heads.json").read_text()) | {"licence": "CC0"}
    (clone.folder / "heads.json").write_text(json.dumps(heads_again))
    assert "attributes_heads" in clone.planned(config)
