"""Executions, and jobs that are killed with SIGKILL in real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from attribute_recovery.tracking.digest import write_json
from attribute_recovery.tracking.executions import (
    begin_execution,
    current_execution,
    end_execution,
    job_record_paths,
    read_execution,
    read_record,
)

PROGRAM = """
import pathlib, sys, time
from attribute_recovery.tracking.records import recorded_job
experiment = pathlib.Path(sys.argv[1])
with recorded_job(rule="slow", experiment_dir=experiment, log=experiment / "slow.log", inputs={},
                  outputs={"file": experiment / "file"}, params={}):
    (experiment / "file").write_text("half")
    time.sleep(60)
"""


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """An empty `results/EXPERIMENT`."""
    folder = tmp_path / "my results" / "tiny"
    folder.mkdir(parents=True)
    return folder


def started_job(experiment: Path) -> subprocess.Popen[bytes]:
    """A job in a process of its own, in the middle of its work."""
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(experiment)],
        env={"PYTHONPATH": ":".join(sys.path), "PATH": os.environ["PATH"]},
    )
    deadline = time.monotonic() + 30
    while not (experiment / "file").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return child


def running_record(experiment: Path, execution: str, process: dict[str, Any]) -> Path:
    path = experiment / "records" / execution / "other-0.json"
    record = {"schema_version": 1, "rule": "other", "status": "running", "log": "l", "process": process}
    write_json(path, record)
    return path


def test_an_execution_is_opened_and_closed(experiment: Path) -> None:
    assert current_execution(experiment) == "manual"
    execution = begin_execution(experiment, command=["snakemake", "-c 2", "all"])
    folder = experiment / "records" / execution
    assert current_execution(experiment) == execution
    assert read_execution(folder)["command"] == "snakemake '-c 2' all"
    assert read_execution(folder)["status"] == "running"
    assert end_execution(experiment, "failed", error="a rule failed") == []
    assert current_execution(experiment) == "manual"
    record = read_execution(folder)
    assert (record["status"], record["error"]) == ("failed", "a rule failed")
    assert record["started"] <= record["ended"]
    assert end_execution(experiment, "finished") == []
    assert read_execution(folder) == record


def test_a_status_that_is_none_is_refused(experiment: Path) -> None:
    with pytest.raises(ValueError, match="'done' is not one of finished, failed, interrupted"):
        end_execution(experiment, "done")


def test_a_job_killed_with_sigkill_becomes_failed(experiment: Path) -> None:
    begin_execution(experiment, command="make run")
    with started_job(experiment) as child:
        (path,) = job_record_paths(experiment)
        assert read_record(path)["status"] == "running"
        child.send_signal(signal.SIGKILL)
        child.wait()
    (sentence,) = end_execution(experiment, "failed")
    assert sentence.startswith("slow (slow-")
    assert "ended without a word" in sentence
    record = read_record(path)
    assert record["status"] == "failed"
    assert record["error"]["message"] == "killed: the process ended without a word"
    assert record["ended"] >= record["started"]
    assert end_execution(experiment, "failed") == []


def test_a_job_that_still_runs_is_left_and_seen_to_the_next_time(experiment: Path) -> None:
    first = begin_execution(experiment, command="make run")
    with started_job(experiment) as child:
        # The workflow was killed and starts again; its job of before is still at work.
        second = begin_execution(experiment, command="make run")
        (path,) = job_record_paths(experiment)
        assert read_record(path)["status"] == "running"
        assert read_execution(experiment / "records" / first)["status"] == "failed"
        child.send_signal(signal.SIGTERM)
        assert child.wait() == 143
    assert read_record(path)["status"] == "interrupted"
    assert not (experiment / "file").exists()
    assert end_execution(experiment, "finished") == []
    assert read_execution(experiment / "records" / second)["status"] == "finished"


def test_a_job_of_another_machine_counts_as_killed_when_the_execution_ends(experiment: Path) -> None:
    execution = begin_execution(experiment, command="make run")
    path = running_record(experiment, execution, {"host": "node7", "pid": os.getpid(), "started": None})
    assert len(end_execution(experiment, "finished")) == 1
    assert read_record(path)["status"] == "failed"


def test_manual_jobs_that_were_killed_are_found_too(experiment: Path) -> None:
    path = running_record(experiment, "manual", {"host": "node7", "pid": 1, "started": None})
    begin_execution(experiment, command="make run")
    assert read_record(path)["status"] == "failed"


def test_a_file_that_is_no_record_is_named(experiment: Path) -> None:
    path = experiment / "record.json"
    for text in ("{", json.dumps({"schema_version": 9}), "[]"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"record\.json' is not a record"):
            read_record(path)
