"""Executions of the workflow: the folders that job records lie in, opened as it starts and closed as it ends.

    results/EXPERIMENT/records/current                       the execution under way, one word
    results/EXPERIMENT/records/EXECUTION/execution.json      its command, start, end and status
    results/EXPERIMENT/records/EXECUTION/RULE-...json        one for each job, see `records`

A job that runs outside of an execution goes to the folder `manual`, which has no `execution.json`.
"""

import json
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attribute_recovery.tracking.digest import atomic_output, write_json
from attribute_recovery.tracking.process import ProcessId, is_alive, this_process

SCHEMA_VERSION = 1
MANUAL = "manual"
EXECUTION_FILE = "execution.json"
END_STATES = ("finished", "failed", "interrupted")
NO_WORD = "killed: the process ended without a word"


def timestamp() -> str:
    """Now, as ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def begin_execution(experiment_dir: Path, *, command: str | Sequence[str]) -> str:
    """Opens an execution, to which later jobs belong; closes one that a killed workflow left open.

    Args:
        experiment_dir: `results/EXPERIMENT`.
        command: What was called, as one string or as a list of arguments.

    Returns:
        The execution's id, which sorts by time.
    """
    end_execution(experiment_dir, "failed", error=NO_WORD)
    execution = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    record = {
        "schema_version": SCHEMA_VERSION,
        "execution": execution,
        "experiment": experiment_dir.absolute().name,
        "command": command if isinstance(command, str) else shlex.join(command),
        "status": "running",
        "settled": False,
        "started": timestamp(),
        "process": asdict(this_process()),
    }
    write_json(experiment_dir / "records" / execution / EXECUTION_FILE, record)
    with atomic_output(_current_path(experiment_dir)) as partial:
        partial.write_text(execution + "\n", "utf-8")
    return execution


def current_execution(experiment_dir: Path) -> str:
    """The id of the execution under way, `manual` if there is none."""
    try:
        return _current_path(experiment_dir).read_text("utf-8").strip() or MANUAL
    except FileNotFoundError:
        return MANUAL


def end_execution(experiment_dir: Path, status: str, *, error: str = "") -> list[str]:
    """Closes the execution under way, if there is one, and the records of jobs that were killed.

    A job is taken as killed if its record says that it runs and its process does not live on this machine.
    Should it live on another one after all, it overwrites its record when it ends.

    Args:
        experiment_dir: `results/EXPERIMENT`.
        status: `finished`, `failed` or `interrupted`.
        error: Why, in one sentence.

    Returns:
        One sentence for each job that was killed.

    Raises:
        ValueError: Another status.
    """
    if status not in END_STATES:
        raise ValueError(f"status {status!r} is not one of {', '.join(END_STATES)}")
    _current_path(experiment_dir).unlink(missing_ok=True)
    sentences = []
    for folder in sorted(path for path in (experiment_dir / "records").glob("*") if path.is_dir()):
        execution = read_execution(folder)
        if execution.get("settled"):
            continue
        killed, running = _close_killed(folder)
        sentences += killed
        if execution.get("status") == "running":
            execution |= {"status": status, "ended": timestamp(), "error": error}
        if execution:
            write_json(folder / EXECUTION_FILE, {**execution, "settled": not running})
    return sentences


def read_record(path: Path) -> dict[str, Any]:
    """Reads the record of a job or an execution.

    Args:
        path: A JSON file below `records/`.

    Returns:
        Its content.

    Raises:
        ValueError: It is not a record of this schema.
    """
    try:
        record = json.loads(path.read_text("utf-8"))
    except ValueError:
        record = None
    if not isinstance(record, dict) or record.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"path {str(path)!r} is not a record of schema {SCHEMA_VERSION}")
    return record


def read_execution(folder: Path) -> dict[str, Any]:
    """The record of the execution whose jobs lie in `folder`; empty for `manual`, which has none."""
    path = folder / EXECUTION_FILE
    return read_record(path) if path.is_file() else {}


def job_record_paths(experiment_dir: Path) -> list[Path]:
    """The records of all jobs of an experiment, sorted by execution and name."""
    found = (experiment_dir / "records").glob("*/*.json")
    return sorted(path for path in found if path.name != EXECUTION_FILE and not path.name.startswith("."))


def _current_path(experiment_dir: Path) -> Path:
    return experiment_dir / "records" / "current"


def _close_killed(folder: Path) -> tuple[list[str], bool]:
    """Marks the jobs in `folder` that were killed; their sentences, and whether others still run."""
    sentences, running = [], False
    for path in sorted(folder.glob("*.json")):
        if path.name == EXECUTION_FILE or path.name.startswith("."):
            continue
        record = read_record(path)
        if record["status"] != "running":
            continue
        if is_alive(ProcessId(**record["process"])):
            running = True
            continue
        # Read again: the job may have ended well between the reading and the look at its process.
        record = read_record(path)
        if record["status"] == "running":
            failure = {"error": {"type": "Killed", "message": NO_WORD}, "ended": timestamp()}
            write_json(path, {**record, **failure, "status": "failed"})
            sentences.append(f"{record['rule']} ({path.stem}): {NO_WORD}; its log is {record['log']}")
    return sentences, running
