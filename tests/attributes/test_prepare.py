"""The rule's entry: trained where the settings say so, else brought."""

import json
from pathlib import Path

import attribute_recovery.attributes.prepare as module
from attribute_recovery.attributes.prepare import prepare_heads
from attribute_recovery.config_attributes import Heads, OnnxHeads


def test_heads_are_trained_or_brought_as_the_settings_say(
    experiment, tmp_path: Path, heads_file, nodes, monkeypatch
) -> None:
    data = {"images": experiment.images, "table": experiment.table, "attributes": experiment.attributes}
    own = {name: tmp_path / f"{name}.json" for name in ("weights", "card", "metrics", "checkpoint")}
    (tmp_path / "report.json").write_text(json.dumps({"crop": None}))
    read = {name: tmp_path / name for name in ("readings_table", "readings_schema", "readings")}
    brought = OnnxHeads(source="onnx", weights=heads_file.write(nodes))
    found = prepare_heads(
        brought, 1, experiment.compute, **data, **own, **read, report=tmp_path / "report.json"
    )
    assert found["source"] == "onnx" and all(path.is_file() for path in read.values())
    asked = {}
    monkeypatch.setattr(module, "train_heads", lambda *args, **files: asked.update(files) or {"trained": 1})
    generator = {
        "generator_weights": experiment.generator_weights,
        "generator_card": experiment.generator_card,
    }
    trained = Heads(source="train", trunk=(8,), steps=1, batch_size=2, learning_rate=1e-3, augmentation=0.0)
    assert prepare_heads(trained, 1, experiment.compute, **data, **own, **generator) == {"trained": 1}
    assert asked == {**data, **own, **generator}
