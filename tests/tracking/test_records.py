"""The journal, with real files: jobs that end well, fail, are interrupted."""

import json
import logging
import math
import os
import re
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attribute_recovery.tracking.digest import sha256_file, verify_manifest, write_manifest
from attribute_recovery.tracking.executions import begin_execution, job_record_paths, read_record
from attribute_recovery.tracking.records import Job, plain, recorded_job


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """`results/EXPERIMENT`, below a path with a space, with a folder to read and its manifest."""
    experiment = tmp_path / "my results" / "tiny"
    images = experiment / "dataset" / "images.bcolz"
    images.mkdir(parents=True)
    (images / "__0.blp").write_bytes(b"chunk")
    write_manifest(experiment / "dataset" / "manifest.json", [images], root=experiment.parent)
    return experiment


def job_arguments(experiment: Path) -> dict[str, Any]:
    decoder = experiment / "arc face" / "decoder"
    return {
        "rule": "decoder_train",
        "experiment_dir": experiment,
        "log": experiment / "logs" / "decoder_train.log",
        "inputs": {
            "dataset": experiment / "dataset" / "manifest.json",
            "images": [str(experiment / "dataset" / "images.bcolz")],
        },
        "outputs": {
            "weights": str(decoder / "weights.bin"),
            "samples": decoder / "samples",
            "manifest": decoder / "manifest.json",
        },
        "params": {"decoder": {"steps": 10, "rate": 0.5}, "tau": math.nan},
        "seed": 7,
        "code": "abc",
        "wildcards": {"recognizer": "arc face"},
    }


def write_outputs(experiment: Path) -> None:
    decoder = experiment / "arc face" / "decoder"
    (decoder / "samples").mkdir(parents=True)
    (decoder / "weights.bin").write_bytes(b"weights")
    (decoder / "samples" / "0.png").write_bytes(b"png")


def only_record(experiment: Path) -> dict[str, Any]:
    (path,) = job_record_paths(experiment)
    return read_record(path)


def test_a_job_that_ends_well_leaves_manifest_record_and_log(experiment: Path) -> None:
    with recorded_job(**job_arguments(experiment)) as job:
        running = only_record(experiment)
        print("training")
        job.log_metrics({"loss": 0.5, "steps": 10})
        job.log_metrics({"loss": np.float32(0.25)})
        write_outputs(experiment)
    record = only_record(experiment)
    manifest = experiment / "arc face" / "decoder" / "manifest.json"

    assert running["status"] == "running"
    assert running["process"]["pid"] == os.getpid()
    assert record["status"] == "finished"
    assert record["rule"] == "decoder_train"
    assert record["wildcards"] == {"recognizer": "arc face"}
    assert record["params"] == {"decoder": {"steps": 10, "rate": 0.5}, "tau": "nan"}
    assert (record["seed"], record["code"], record["execution"]) == (7, "abc", "manual")
    assert record["metrics"] == {"loss": 0.25, "steps": 10}
    assert record["duration_seconds"] >= 0
    assert record["peak_memory_mib"] > 1
    assert record["versions"]["numpy"] == np.__version__
    assert record["started"] <= record["ended"]
    assert re.fullmatch(r"tiny/manual/decoder_train-arc_face-[0-9a-f]{8}", record["record_id"])
    assert verify_manifest(manifest, root=experiment.parent) == []
    log = (experiment / "logs" / "decoder_train.log").read_text()
    assert "training\n" in log
    assert "INFO" in log


def test_files_are_recorded_with_size_and_hash_and_folders_by_their_manifest(experiment: Path) -> None:
    with recorded_job(**job_arguments(experiment)):
        write_outputs(experiment)
    record = only_record(experiment)
    inputs = {entry["name"]: entry for entry in record["inputs"]}
    outputs = {entry["name"]: entry for entry in record["outputs"]}
    assert inputs["dataset"]["path"] == "tiny/dataset/manifest.json"
    assert inputs["dataset"]["sha256"] == sha256_file(experiment / "dataset" / "manifest.json")
    assert inputs["images"]["kind"] == "folder"
    assert len(inputs["images"]["sha256"]) == 64
    assert set(outputs) == {"weights", "samples", "manifest"}
    assert outputs["weights"]["size"] == len(b"weights")
    assert outputs["samples"]["size"] == len(b"png")
    manifest = experiment / "arc face" / "decoder" / "manifest.json"
    assert outputs["manifest"]["sha256"] == sha256_file(manifest)
    named = {entry["path"] for entry in json.loads(manifest.read_text())["files"]}
    folder = "tiny/arc face/decoder"
    assert named == {f"{folder}/weights.bin", f"{folder}/samples/0.png"}


def test_the_folder_that_one_job_writes_has_the_same_hash_as_input_of_the_next(experiment: Path) -> None:
    with recorded_job(**job_arguments(experiment)):
        write_outputs(experiment)
    samples = experiment / "arc face" / "decoder" / "samples"
    (written,) = [e for e in only_record(experiment)["outputs"] if e["name"] == "samples"]
    with recorded_job(
        rule="next",
        experiment_dir=experiment,
        log=experiment / "logs" / "next.log",
        inputs={"samples": samples},
        outputs={},
        params={},
    ):
        pass
    (read,) = read_record(job_record_paths(experiment)[-1])["inputs"]
    assert read["sha256"] == written["sha256"]


def test_a_folder_without_a_manifest_is_recorded_without_a_hash(experiment: Path) -> None:
    arguments = job_arguments(experiment)
    arguments["inputs"] = {"source": experiment.parent.parent}
    with recorded_job(**arguments):
        write_outputs(experiment)
    (entry,) = only_record(experiment)["inputs"]
    assert entry["sha256"] == ""
    assert entry["path"] == str(experiment.parent.parent)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("tau is 2, it must lie\n  in [-1, 1]"), "tau is 2, it must lie in [-1, 1]\n"),
        (RuntimeError("out of memory"), "decoder_train failed: RuntimeError: out of memory (traceback in "),
    ],
)
def test_a_job_that_fails_says_why_once_and_leaves_no_output(
    experiment: Path, capfd: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    with pytest.raises(SystemExit) as exit_, recorded_job(**job_arguments(experiment)) as job:
        write_outputs(experiment)
        job.log_metrics({"loss": 1.0})
        raise error
    assert exit_.value.code == 1
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(line)
    assert captured.err.count("\n") == 1
    record = only_record(experiment)
    assert record["status"] == "failed"
    assert record["error"]["type"] == type(error).__name__
    assert record["error"]["message"] == " ".join(str(error).split())
    assert record["metrics"] == {"loss": 1.0}
    assert record["inputs"]
    assert list((experiment / "arc face" / "decoder").iterdir()) == []
    assert "Traceback" in (experiment / "logs" / "decoder_train.log").read_text()


def test_an_output_that_was_not_written_fails_the_job(experiment: Path) -> None:
    with pytest.raises(SystemExit), recorded_job(**job_arguments(experiment)):
        (experiment / "arc face" / "decoder").mkdir(parents=True)
        (experiment / "arc face" / "decoder" / "weights.bin").write_bytes(b"weights")
    record = only_record(experiment)
    assert record["status"] == "failed"
    assert "samples" in record["error"]["message"]
    assert list((experiment / "arc face" / "decoder").iterdir()) == []


def test_a_missing_input_and_an_output_outside_are_found_before_the_work(experiment: Path) -> None:
    missing, outside = job_arguments(experiment), job_arguments(experiment)
    missing["inputs"] = {"weights": experiment / "nothing.bin"}
    outside["outputs"] = {"weights": experiment.parent.parent / "weights.bin"}
    worked = False
    for arguments in (missing, outside):
        with pytest.raises(SystemExit), recorded_job(**arguments):
            worked = True
    assert not worked
    messages = {read_record(path)["error"]["message"] for path in job_record_paths(experiment)}
    assert any("nothing.bin' does not exist" in message for message in messages)
    assert any("outside the root" in message for message in messages)


def test_a_manifest_from_before_does_not_survive_the_start(experiment: Path) -> None:
    with recorded_job(**job_arguments(experiment)):
        write_outputs(experiment)
    manifest = experiment / "arc face" / "decoder" / "manifest.json"
    seen = []
    with recorded_job(**job_arguments(experiment)):
        seen.append(manifest.exists())
    assert seen == [False]
    assert manifest.exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_job_that_is_interrupted_is_recorded_so(
    experiment: Path, number: signal.Signals, code: int
) -> None:
    # A shell that starts the tests in the background has them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as exit_, recorded_job(**job_arguments(experiment)):
            write_outputs(experiment)
            os.kill(os.getpid(), number)
            time.sleep(20)
    finally:
        signal.signal(signal.SIGINT, before)
    assert exit_.value.code == code
    assert only_record(experiment)["status"] == "interrupted"
    assert list((experiment / "arc face" / "decoder").iterdir()) == []


def test_an_error_in_answer_to_the_end_is_no_failure(experiment: Path) -> None:
    with pytest.raises(SystemExit) as exit_, recorded_job(**job_arguments(experiment)):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(20)
        except BaseException as error:
            raise ImportError("half of a library") from error
    assert exit_.value.code == 143
    assert only_record(experiment)["status"] == "interrupted"


def test_streams_and_logging_are_back_after_a_job(
    experiment: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sys.stdout, sys.stderr, logging.getLogger().handlers[:]
    with recorded_job(**job_arguments(experiment)):
        write_outputs(experiment)
        os.write(1, b"hidden\n")
    assert (sys.stdout, sys.stderr, logging.getLogger().handlers[:]) == before
    os.write(1, b"shown\n")
    assert capfd.readouterr().out == "shown\n"


def test_a_job_belongs_to_the_execution_under_way(experiment: Path) -> None:
    execution = begin_execution(experiment, command="make run")
    with recorded_job(**job_arguments(experiment)) as job:
        write_outputs(experiment)
    assert job.record_path.parent.name == execution
    assert only_record(experiment)["execution"] == execution


def test_relative_paths_mean_the_folder_in_which_the_job_started(
    experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(experiment.parent.parent)
    (experiment / "out").mkdir()
    arguments = {
        "rule": "r",
        "experiment_dir": "my results/tiny",
        "log": "my results/tiny/logs/r.log",
        "inputs": {},
        "outputs": {"page": "my results/tiny/out/page.html"},
        "params": {},
    }
    with recorded_job(**arguments):  # type: ignore[arg-type]
        (experiment / "out" / "page.html").write_text("page")
        monkeypatch.chdir("/")
    assert only_record(experiment)["outputs"][0]["path"] == "tiny/out/page.html"


def test_metrics_must_be_numbers(tmp_path: Path) -> None:
    job = Job(tmp_path / "record.json")
    job.log_metrics({"a": np.float64(1), "b": math.inf, "c": True})
    assert job.metrics() == {"a": 1.0, "b": "inf", "c": 1.0}
    with pytest.raises(ValueError, match=r"metrics\['d'\] is 'high'"):
        job.log_metrics({"d": "high"})  # type: ignore[dict-item]


def test_plain_values_are_what_json_holds() -> None:
    @dataclass
    class Settings:
        path: Path
        rates: tuple[float, ...]

    given = {
        1: Settings(Path("a b"), (0.1, -math.inf)),
        "array": np.arange(4).reshape(2, 2),
        "number": np.int64(3),
        "set": {"b", "a"},
        "none": None,
        "bytes": b"x",
    }
    expected = {
        "1": {"path": "a b", "rates": [0.1, "-inf"]},
        "array": [[0, 1], [2, 3]],
        "number": 3,
        "set": ["a", "b"],
        "none": None,
        "bytes": "b'x'",
    }
    assert plain(given) == expected
    json.dumps(plain(given), allow_nan=False)
