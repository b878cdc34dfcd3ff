import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from attribute_recovery.tracking.digest import read_manifest, write_manifest
from attribute_recovery.tracking.scripts import checkpoint_path, data_paths, flat_metrics, recorded_script


@dataclass
class FakeJob:
    rule: str = "decoder_train"
    input: dict[str, Any] = field(default_factory=dict)
    output: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    wildcards: dict[str, Any] = field(default_factory=lambda: {"experiment": "e", "recognizer": "r"})
    log: tuple[str, ...] = ("results/e/logs/decoder_train.log",)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeJob:
    monkeypatch.chdir(tmp_path)
    table = Path("results/e/dataset/images.parquet")
    table.parent.mkdir(parents=True)
    table.write_bytes(b"rows")
    manifest = table.with_name("manifest-dataset.json")
    write_manifest(manifest, [table], root=Path("results"))
    return FakeJob(
        input={"manifests": [str(manifest)], "table": str(table)},
        output={
            "weights": "results/e/r/decoder/transformer.safetensors",
            "manifest": "results/e/r/decoder/manifest-decoder_train.json",
        },
        params={"settings": {"steps": 3}, "seed": 7, "code": "abc"},
    )


def test_data_paths_are_those_that_a_function_reads_and_writes(job):
    job.input["source"] = ["brought.safetensors"]
    assert data_paths(job) == {
        "table": Path("results/e/dataset/images.parquet"),
        "weights": Path("results/e/r/decoder/transformer.safetensors"),
    }


def test_a_checkpoint_is_named_after_all_that_it_depends_on(job):
    first = checkpoint_path(job)
    assert first == checkpoint_path(job)
    assert first.parent == Path("results/e/checkpoints")
    assert first.name.startswith("decoder_train-r-")
    job.params["settings"]["steps"] = 4
    other_settings = checkpoint_path(job)
    job.params["code"] = "abd"
    other_code = checkpoint_path(job)
    Path(job.input["manifests"][0]).write_text("other")
    other_inputs = checkpoint_path(job)
    assert len({first, other_settings, other_code, other_inputs}) == 4


def test_a_finished_job_leaves_manifest_and_record_and_no_checkpoint(job):
    checkpoint = checkpoint_path(job)
    neighbour = checkpoint.with_name("decoder_train-r2-0123456789abcdef.safetensors")
    with recorded_script(job) as record:
        checkpoint.parent.mkdir(parents=True)
        checkpoint.write_bytes(b"half")
        neighbour.write_bytes(b"another recognizer's")
        paths = data_paths(job)
        paths["weights"].parent.mkdir(parents=True)
        paths["weights"].write_bytes(b"whole")
        record.log_metrics({"loss": 0.5})
    assert not checkpoint.exists()
    assert neighbour.exists()
    manifest = read_manifest(Path(job.output["manifest"]))
    assert [entry.path for entry in manifest.files] == ["e/r/decoder/transformer.safetensors"]
    found = json.loads(record.record_path.read_text())
    assert (found["status"], found["rule"], found["seed"], found["code"]) == ("finished", job.rule, 7, "abc")
    assert found["params"] == {"settings": {"steps": 3}}
    assert found["metrics"] == {"loss": 0.5}
    assert {entry["name"] for entry in found["inputs"]} == {"manifests", "table"}


def test_a_failed_job_keeps_its_checkpoint_and_no_output(job):
    checkpoint = checkpoint_path(job)
    with pytest.raises(SystemExit) as ended, recorded_script(job):
        checkpoint.parent.mkdir(parents=True)
        checkpoint.write_bytes(b"half")
        weights = data_paths(job)["weights"]
        weights.parent.mkdir(parents=True)
        weights.write_bytes(b"half")
        raise ValueError("steps: found 3, allowed is 4")
    assert ended.value.code == 1
    assert checkpoint.exists()
    assert not Path(job.output["weights"]).exists()
    assert not Path(job.output["manifest"]).exists()


def test_a_rule_without_seed_is_recorded_without(job):
    del job.params["seed"]
    job.output = {"manifest": job.output["manifest"]}
    with recorded_script(job) as record:
        pass
    assert json.loads(record.record_path.read_text())["seed"] is None


def test_flat_metrics_keep_numbers_only():
    nested = {
        "tar": 0.9,
        "interval": [0.8, 0.95],
        "by": {"yaw": {"r2": 1}, "note": "none"},
        "missing": None,
        "undefined": float("nan"),
        "empty": {},
    }
    assert flat_metrics(nested) == {"tar": 0.9, "interval.0": 0.8, "interval.1": 0.95, "by.yaw.r2": 1}


def test_a_fold_has_checkpoints_and_a_place_in_the_record_of_its_own(job):
    whole = checkpoint_path(job)
    job.wildcards["fold"] = ""
    assert checkpoint_path(job) == whole
    job.wildcards["fold"] = "/fold_2"
    assert checkpoint_path(job).parent == whole.parent
    assert checkpoint_path(job).name.startswith("decoder_train-r-fold_2-")
    with recorded_script(job) as record:
        data_paths(job)["weights"].parent.mkdir(parents=True)
        data_paths(job)["weights"].write_bytes(b"whole")
    assert json.loads(record.record_path.read_text())["wildcards"]["fold"] == "fold_2"
