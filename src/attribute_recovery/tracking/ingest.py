"""Brings the journal into MLflow: each job a run, below one parent run for each execution.

One writer, after the jobs: a server that is down or slow holds up nothing, and what was not brought in is
brought in the next time. Files are not copied; runs name them by path and sha256, as MLflow datasets. So no
face ever comes in; where people are pseudonymous, nor does what may name them (`withheld`).
"""

import fcntl
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from attribute_recovery.tracking.digest import write_json
from attribute_recovery.tracking.executions import (
    job_record_paths,
    read_execution,
    read_record,
)
from attribute_recovery.tracking.withheld import without_names

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run

SCHEMA_VERSION = 1
INGESTED_NAME = "ingested.json"
PARAM_LIMIT = 6000
TAG_LIMIT = 5000
# What MLflow allows: of a dataset's digest and name, of a key, of params in one batch.
DIGEST_LIMIT = 36
NAME_LIMIT = 500
KEY_LIMIT = 250
BATCH = 100
T = TypeVar("T")
Identities = Literal["named", "pseudonymous"]
RUN_STATES = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


def default_tracking_uri(results_dir: Path) -> str:
    """The URI of `mlflow.db` in a results folder; SQLAlchemy takes the path as it is, spaces too."""
    return f"sqlite:///{results_dir.absolute() / 'mlflow.db'}"


def ingest(
    experiment_dir: Path,
    *,
    tracking_uri: str | None = None,
    experiment_name: str,
    identities: Identities = "pseudonymous",
) -> int:
    """Brings in the records that are not there yet: ended jobs, and the ends of executions.

    Doing it twice adds nothing; one cut off half-way is completed by the next.

    Args:
        experiment_dir: `results/EXPERIMENT`.
        tracking_uri: Of an MLflow server or database; `mlflow.db` in the results folder if None.
        experiment_name: The MLflow experiment, made if it is not there.
        identities: Whether people may be named.

    Returns:
        The number of jobs brought in.

    Raises:
        mlflow.exceptions.MlflowException: The server cannot be reached, or refuses.
    """
    results_dir = experiment_dir.absolute().parent
    uri = tracking_uri or default_tracking_uri(results_dir)
    journal = _Journal(experiment_dir, "default" if tracking_uri is None else _uri_key(uri), uri)
    # Two writers would both create what neither finds, and a new database breaks when two set it up.
    with _locked(results_dir / ".ingest.lock"):
        waiting = journal.waiting()
        if not waiting:
            return 0
        writer = _Writer(uri, experiment_name, results_dir, named=identities == "named")
        count = 0
        for execution in waiting:
            count += writer.add_execution(execution)
            journal.add(execution)
        return count


@dataclass(frozen=True)
class _Execution:
    """What is to be brought in of one execution: `record` is empty for `manual`, `jobs` may be empty."""

    name: str
    experiment: str
    record: dict[str, Any]
    jobs: tuple[dict[str, Any], ...]

    @property
    def ended(self) -> bool:
        return bool(self.record) and self.record["status"] != "running"


class _Journal:
    """The records of an experiment, and for each tracking server the list of those brought in."""

    def __init__(self, experiment_dir: Path, key: str, uri: str) -> None:
        self._experiment_dir = experiment_dir.absolute()
        self._path = self._experiment_dir / "records" / INGESTED_NAME
        self._key = key
        self._lists = _read_lists(self._path)
        self._done = set() if _sqlite_file_is_gone(uri) else set(self._lists.get(key, []))

    def waiting(self) -> list[_Execution]:
        jobs: dict[Path, list[dict[str, Any]]] = {}
        for path in job_record_paths(self._experiment_dir):
            ended = jobs.setdefault(path.parent, [])
            if f"{path.parent.name}/{path.stem}" not in self._done:
                record = read_record(path)
                ended += [record] if record["status"] != "running" else []
        found = []
        for folder, records in jobs.items():
            execution = _Execution(
                folder.name, self._experiment_dir.name, read_execution(folder), tuple(records)
            )
            if execution.jobs or (execution.ended and execution.name not in self._done):
                found.append(execution)
        return found

    def add(self, execution: _Execution) -> None:
        self._done |= {f"{execution.name}/{job['record_id'].rpartition('/')[2]}" for job in execution.jobs}
        if execution.ended:
            self._done.add(execution.name)
        lists = {**self._lists, self._key: sorted(self._done)}
        write_json(self._path, {"schema_version": SCHEMA_VERSION, "servers": lists})


class _Writer:
    """Writes runs by a client and run ids; MLflow's global run is never touched."""

    def __init__(self, uri: str, experiment_name: str, results_dir: Path, *, named: bool) -> None:
        self._named = named
        _quieten_mlflow()
        from mlflow.tracking import MlflowClient

        self._client: MlflowClient = MlflowClient(tracking_uri=uri)
        artifacts = (results_dir / "mlartifacts").as_uri() if uri.startswith("sqlite:") else None
        self._experiment_id = self._experiment(experiment_name, artifacts)

    def add_execution(self, execution: _Execution) -> int:
        if not self._named:
            jobs = tuple(without_names(job) for job in execution.jobs)
            execution = replace(execution, record=without_names(execution.record), jobs=jobs)
        known = self._runs_of(execution.name)
        parent = self._parent(execution, known)
        for record in execution.jobs:
            self._add_job(record, parent, known.get(record["record_id"]))
        if execution.ended:
            error = execution.record.get("error", "")
            self._log(parent, tags={"error.message": error} if error else {})
            end = _milliseconds(execution.record["ended"])
            self._client.set_terminated(parent, RUN_STATES[execution.record["status"]], end)
        elif not execution.record:
            end = max(_milliseconds(job["ended"]) for job in execution.jobs)
            self._client.set_terminated(parent, "FINISHED", end)
        return len(execution.jobs)

    def _experiment(self, name: str, artifacts: str | None) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name, artifact_location=artifacts))
            except MlflowException:
                # Another process was faster.
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _runs_of(self, execution: str) -> "dict[str, Run]":
        """Runs of an execution by record id, unfinished ones too: what a writer left that was cut off."""
        runs: dict[str, Run] = {}
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id],
                filter_string=f"tags.execution = '{execution}'",
                max_results=1000,
                page_token=token,
            )
            runs |= {run.data.tags["record_id"]: run for run in page if "record_id" in run.data.tags}
            token = page.token
            if not token:
                return runs

    def _parent(self, execution: _Execution, known: "Mapping[str, Run]") -> str:
        record_id = f"{execution.experiment}/{execution.name}"
        if record_id in known:
            return str(known[record_id].info.run_id)
        record = execution.record
        started = record.get("started") or min(job["started"] for job in execution.jobs)
        tags = {"record_id": record_id, "execution": execution.name, "command": record.get("command", "")}
        return self._create(execution.name, started, tags)

    def _create(self, name: str, started: str, tags: Mapping[str, str]) -> str:
        cut = {key: _cut(value, TAG_LIMIT) for key, value in tags.items()}
        run = self._client.create_run(self._experiment_id, _milliseconds(started), cut, run_name=name)
        return str(run.info.run_id)

    def _add_job(self, record: Mapping[str, Any], parent: str, known: "Run | None") -> None:
        if known is not None and known.info.status != "RUNNING":
            return
        tags = _tags(record)
        ids = {key: tags[key] for key in ("record_id", "execution")} | {"mlflow.parentRunId": parent}
        run_id = known.info.run_id if known else self._create(_run_name(record), record["started"], ids)
        self._log(run_id, tags=tags, params=_params(record))
        self._log_metrics(run_id, record)
        if datasets := _datasets(record):
            self._client.log_inputs(run_id, datasets)
        # Last, since a run that has ended is taken as complete.
        self._client.set_terminated(run_id, RUN_STATES[record["status"]], _milliseconds(record["ended"]))

    def _log(self, run_id: str, *, tags: Mapping[str, str], params: Mapping[str, str] | None = None) -> None:
        from mlflow.entities import Param, RunTag

        for keys in _chunks(list(tags), BATCH):
            self._client.log_batch(run_id, tags=[RunTag(key, _cut(tags[key], TAG_LIMIT)) for key in keys])
        given = params or {}
        for keys in _chunks(list(given), BATCH):
            batch = [Param(key, _cut(given[key], PARAM_LIMIT)) for key in keys]
            self._client.log_batch(run_id, params=batch)

    def _log_metrics(self, run_id: str, record: Mapping[str, Any]) -> None:
        from mlflow.entities import Metric

        # All at the time of the end, so that logging the same again leaves one value.
        time = _milliseconds(record["ended"])
        metrics = [Metric(_key(name), float(value), time, 0) for name, value in _metrics(record).items()]
        for batch in _chunks(metrics, BATCH):
            self._client.log_batch(run_id, metrics=batch)


def _quieten_mlflow() -> None:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    # With the default of seven retries, one call to a server that is down takes four minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _run_name(record: Mapping[str, Any]) -> str:
    return " ".join([record["rule"], *record["wildcards"].values()])


def _tags(record: Mapping[str, Any]) -> dict[str, str]:
    tags = {
        "record_id": record["record_id"],
        "execution": record["execution"],
        "rule": record["rule"],
        "code_digest": record["code"],
        "host": record["process"]["host"],
        "log": record["log"],
        "mlflow.source.name": record["rule"],
        **{f"wildcard.{name}": value for name, value in record["wildcards"].items()},
        **{f"version.{name}": version for name, version in record["versions"].items()},
        **{f"error.{name}": text for name, text in record.get("error", {}).items()},
    }
    return {_key(name): value for name, value in tags.items() if value}


def _params(record: Mapping[str, Any]) -> dict[str, str]:
    params = {_key(name): value for name, value in _flat(record["params"])}
    if record["seed"] is not None:
        params["seed"] = str(record["seed"])
    return params


def _metrics(record: Mapping[str, Any]) -> dict[str, float | str]:
    measured = ("duration_seconds", "peak_memory_mib", "peak_memory_children_mib")
    own = {name: record[name] for name in measured if name in record}
    return {**record.get("metrics", {}), **own}


def _datasets(record: Mapping[str, Any]) -> "list[DatasetInput]":
    from mlflow.entities import Dataset, DatasetInput, InputTag

    found = {}
    for context in ("input", "output"):
        for entry in record.get(f"{context}s", []):
            digest = entry["sha256"][:DIGEST_LIMIT] or "not hashed"
            source = {key: entry[key] for key in ("path", "kind", "size", "sha256")}
            dataset = Dataset(entry["path"][-NAME_LIMIT:], digest, "file", json.dumps(source, sort_keys=True))
            tags = [InputTag("mlflow.data.context", context), InputTag("name", entry["name"])]
            found[dataset.name, digest] = DatasetInput(dataset, tags)
    return list(found.values())


def _flat(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names and text; a list stays one value."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif name:
        yield name, value if isinstance(value, str) else json.dumps(value)


def _key(name: str) -> str:
    """A name as MLflow allows it."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:KEY_LIMIT]


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _chunks(items: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def _uri_key(uri: str) -> str:
    # Hashed, since it may hold a password.
    return hashlib.sha256(uri.encode()).hexdigest()[:16]


def _sqlite_file_is_gone(uri: str) -> bool:
    return uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).is_file()


def _read_lists(path: Path) -> dict[str, list[str]]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        # Lost or damaged: the search by record id finds what is already there.
        return {}
    return dict(content["servers"])


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
