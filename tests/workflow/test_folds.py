"""A whole run in folds: few people, each held out once, with an ONNX recognizer and labels with gaps."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

FOLDS = """experiment: folded
dataset:
  source: folders
  path: {path}
  image_size: 32
  align: {{by: given, crop: centre, template: unknown}}
  splits: {{by: folds, folds: 3}}
  on_fault: {{all: skip}}
  labels: [{{path: labels.csv, format: table, key: path}}]
  attributes:
    bright: {{kind: binary, level: image, family: appearance}}
    warmth: {{kind: continuous, level: image, family: appearance, unit: share, range: [0.0, 2.0]}}
generator: {{source: eigenfaces, code_size: 16, copies: 3, augmentation: 0.3}}
attributes:
  heads: {{trunk: [8, 16, 16], augmentation: 0.3}}
recognizers:
  default: null
  brought: {{source: onnx, weights: net.onnx, threshold: {{fmr: 0.001}}}}
"""
ONCE = {"dataset", "recognizer", "embeddings", "rates", "report"}
POOLED = {
    *("generator_train", "generator_codes", "attributes_heads"),
    *("decoder_samples", "recovery", "significance", "counterfactuals"),
}
IN_FOLDS = POOLED | {"fold", "attributes_editor", "decoder_train"}
PEOPLE = 12


def write_recognizer(path: Path, side: int = 32) -> None:
    """An ONNX file whose embedding is a random projection of an image of 4 × 4, and its card."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = np.random.default_rng(5).standard_normal((48, 12)).astype(np.float32)
    nodes = [
        helper.make_node(
            "AveragePool", ["image"], ["small"], kernel_shape=[side // 4] * 2, strides=[side // 4] * 2
        ),
        helper.make_node("Flatten", ["small"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight"], ["embedding"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, side, side])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 12])
    graph = helper.make_graph(nodes, "net", [image], [embedding], [numpy_helper.from_array(weight, "weight")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    card = {
        "name": "projection",
        "architecture": "onnx",
        "channel_order": "RGB",
        "channels": None,
        "crop_size": side,
        "data_sha256": "",
        "embedding_size": 12,
        "interpolation": "bilinear",
        "licence": "MIT",
        "precision": "float32",
        "score": "cosine",
        "template": "as given",
        "value_range": [-1.0, 1.0],
        "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    path.with_suffix(".json").write_text(json.dumps(card))


def write_labels(faces: Path, path: Path) -> list[str]:
    """Labels read off the pixels, a tenth of one left out; the images, by path."""
    rows = []
    for file in sorted(faces.rglob("*.png")):
        pixels = np.asarray(Image.open(file).convert("RGB"), dtype=np.float64)
        name = file.relative_to(faces).as_posix()
        rows.append({"path": name, "bright": pixels.mean(), "warmth": pixels[..., 0].mean() / pixels.mean()})
    table = pd.DataFrame(rows)
    table["bright"] = (table["bright"] > table["bright"].median()).astype("Int64")
    table.loc[::10, "bright"] = pd.NA
    table.to_csv(path, index=False)
    return [str(row["path"]) for row in rows]


@pytest.fixture
def few_faces(face_folder: Path, tmp_path: Path) -> Path:
    """Some of the made faces: twelve people."""
    folder = tmp_path / "few"
    folder.mkdir()
    for person in sorted(face_folder.iterdir())[:PEOPLE]:
        shutil.copytree(person, folder / person.name)
    return folder


def test_everything_from_the_generator_on_is_planned_once_a_fold(clone, few_faces) -> None:
    write_recognizer(clone.folder / "net.onnx")
    write_labels(few_faces, clone.folder / "labels.csv")
    config = clone.write_config("folded.yaml", FOLDS.format(path=few_faces))
    assert clone.planned(config) == ONCE | IN_FOLDS | {f"pooled_{name}" for name in POOLED}


@pytest.mark.slow
def test_a_run_in_folds_holds_everybody_out_once_and_reports_all_of_them(clone, few_faces) -> None:
    write_recognizer(clone.folder / "net.onnx")
    images = write_labels(few_faces, clone.folder / "labels.csv")
    config = clone.write_config("folded.yaml", FOLDS.format(path=few_faces))
    done = clone.run(config)
    assert done.returncode == 0, done.stdout + done.stderr
    results = clone.folder / "results/folded"
    for number in (1, 2, 3):
        made = {path.stem for path in (results / f"fold_{number}").glob("**/manifest-*.json")}
        stems = {f"manifest-{name}" for name in IN_FOLDS - {"fold"}} | {"manifest-dataset"}
        assert made == stems, number
    recovered = pd.read_parquet(results / "brought/recovery/recovered.parquet")
    assert sorted(recovered["image_id"]) == images
    metrics = json.loads((results / "report/metrics.json").read_text())
    figures = metrics["recognizers"]["brought"]
    assert metrics["dataset"]["folds"] == figures["recovery"]["folds"] == 3
    assert figures["recognizer"]["threshold_split"] == "test"
    # 12 people make 66 pairs.
    assert figures["recognizer"]["claimable_fmr"] == pytest.approx(3 / 66)
    assert figures["recognizer"]["used_fmr"] == pytest.approx(3 / 66)
    assert figures["significance"]["n_identities"] == PEOPLE
    table = pd.read_parquet(results / "brought/significance/significance.parquet")
    assert not table.duplicated(["recognizer", "attribute", "measure", "direction"]).any()
    page = (results / "report/index.html").read_text()
    assert "cross-fitted in 3 folds by identity" in page
    assert "Files that gave nothing" not in page
    assert clone.planned(config) == set()
    verified = clone.call("attribute_recovery.cli", "verify")
    assert verified.returncode == 0, verified.stdout
    changed = clone.planned(
        clone.write_config("other.yaml", f"{FOLDS.format(path=few_faces)}recovery: {{probe_steps: 9}}")
    )
    assert changed == {
        *("recovery", "significance", "pooled_recovery", "pooled_significance", "report"),
    }
