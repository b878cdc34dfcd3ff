"""The journal: one JSON record for every job, written as it starts and again as it ends.

It lies at results/EXPERIMENT/records/EXECUTION/RULE-WILDCARDS-XXXXXXXX.json. Jobs write files and never speak
to
MLflow: a server that is down loses nothing, and `ingest` is the one writer.
"""

import dataclasses
import logging
import math
import os
import re
import secrets
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, SupportsFloat

from attribute_recovery.tracking.digest import (
    FileEntry,
    file_entries,
    folder_digest,
    read_manifest,
    relative_path,
    remove_path,
    sha256_file,
    write_json,
    write_manifest,
)
from attribute_recovery.tracking.executions import SCHEMA_VERSION, current_execution, timestamp
from attribute_recovery.tracking.process import (
    Terminated,
    installed_versions,
    peak_memory_mib,
    sigterm_as_exception,
    this_process,
)
from attribute_recovery.tracking.streams import output_to_log

PathOrPaths = str | Path | Sequence[str | Path]


class Job:
    """What a script holds while its job runs.

    Args:
        record_path: The job's record; an attribute too.
    """

    def __init__(self, record_path: Path) -> None:
        self.record_path = record_path
        self._metrics: dict[str, float | str] = {}

    def log_metrics(self, metrics: Mapping[str, SupportsFloat]) -> None:
        """Adds figures to the record; a name given again takes the new value.

        Args:
            metrics: Numbers by name; NaN and infinities are kept as words.

        Raises:
            ValueError: A value is not a number.
        """
        for name, value in metrics.items():
            if isinstance(value, str | bytes) or not hasattr(value, "__float__"):
                raise ValueError(f"metrics[{name!r}] is {value!r}, it must be a number")
            self._metrics[name] = plain(float(value))

    def metrics(self) -> dict[str, float | str]:
        """The figures so far."""
        return dict(self._metrics)


@contextmanager
def recorded_job(
    *,
    rule: str,
    experiment_dir: str | Path,
    log: str | Path,
    inputs: Mapping[str, PathOrPaths],
    outputs: Mapping[str, PathOrPaths],
    params: Mapping[str, Any],
    seed: int | None = None,
    code: str = "",
    wildcards: Mapping[str, str] | None = None,
) -> Iterator[Job]:
    """Runs the block as a job of the journal: output to the log, manifest and record, no half output.

    An error in the block puts its traceback in the log and one line on the terminal (of a ValueError the
    sentence alone), removes all declared outputs, and ends the process by SystemExit: 1, or 130 and 143 where
    SIGINT or SIGTERM ended it.

    Args:
        rule: Name of the rule.
        experiment_dir: `results/EXPERIMENT`; its parent is the root of manifests and recorded paths.
        log: The log file.
        inputs: Paths by name. Files are hashed as the job starts; a folder's hash is taken from the manifest
            beside it.
        outputs: Paths by name, all below the root. One named `manifest` is written here, over all the others,
            as the last thing.
        params: The settings that the job ran with.
        seed: The seed of all its random numbers.
        code: `code_digest` of what it ran.
        wildcards: The rule's wildcards.

    Yields:
        The job, for its metrics.

    Raises:
        SystemExit: The block failed or was interrupted.
    """
    experiment = Path(os.path.abspath(experiment_dir))
    files = _JobFiles(experiment.parent, Path(os.path.abspath(log)), _by_name(inputs), _by_name(outputs))
    path = _new_record_path(experiment, rule, wildcards or {})
    job = Job(path)
    record = _header(path, rule=rule, params=params, seed=seed, code=code, wildcards=wildcards or {})
    begun = time.monotonic()
    with output_to_log(files.log) as terminal, sigterm_as_exception():
        try:
            record = _start(files, path, record)
            yield job
            record |= {"outputs": _written(files)}
            _end(path, record, job, status="finished", duration=time.monotonic() - begun)
        except BaseException as error:
            traceback.print_exc()
            _remove_outputs(files)
            status, exit_code = _outcome(error)
            record |= {"error": {"type": type(error).__name__, "message": _sentence(error)}}
            _end(path, record, job, status=status, duration=time.monotonic() - begun)
            print(_last_words(error, rule, files.log), file=terminal, flush=True)
            raise SystemExit(exit_code) from error


def plain(value: object) -> Any:
    """`value` as JSON can hold it: arrays as lists, paths as text, NaN and infinities as words.

    Args:
        value: Mappings, sequences, sets, dataclasses, pydantic models, arrays, numbers; others by their
            `str`.

    Returns:
        Dictionaries with text keys, lists, text, numbers, booleans and None.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    for method in ("model_dump", "tolist"):
        if callable(convert := getattr(value, method, None)) and not isinstance(value, type):
            return plain(convert())
    return str(value)


@dataclass(frozen=True)
class _JobFiles:
    root: Path
    log: Path
    inputs: dict[str, tuple[Path, ...]]
    outputs: dict[str, tuple[Path, ...]]

    def all_outputs(self) -> list[Path]:
        return [path for paths in self.outputs.values() for path in paths]

    def data_outputs(self) -> list[Path]:
        return [path for name, paths in self.outputs.items() if name != "manifest" for path in paths]


def _by_name(given: Mapping[str, PathOrPaths]) -> dict[str, tuple[Path, ...]]:
    return {
        name: tuple(
            Path(os.path.abspath(path)) for path in ([paths] if isinstance(paths, str | Path) else paths)
        )
        for name, paths in given.items()
    }


def _new_record_path(experiment_dir: Path, rule: str, wildcards: Mapping[str, str]) -> Path:
    words = "-".join([rule, *(str(value) for value in wildcards.values())])
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", words)[:120]
    folder = experiment_dir / "records" / current_execution(experiment_dir)
    return folder / f"{name}-{secrets.token_hex(4)}.json"


def _header(
    path: Path,
    *,
    rule: str,
    params: Mapping[str, Any],
    seed: int | None,
    code: str,
    wildcards: Mapping[str, str],
) -> dict[str, Any]:
    execution, experiment = path.parent.name, path.parent.parent.parent.name
    return {
        "schema_version": SCHEMA_VERSION,
        "record_id": f"{experiment}/{execution}/{path.stem}",
        "execution": execution,
        "experiment": experiment,
        "rule": rule,
        "wildcards": {name: str(value) for name, value in wildcards.items()},
        "params": plain(params),
        "seed": seed,
        "code": code,
        "process": asdict(this_process()),
        "versions": installed_versions(),
        "started": timestamp(),
        "status": "running",
    }


def _start(files: _JobFiles, path: Path, record: dict[str, Any]) -> dict[str, Any]:
    record = {**record, "log": _shown(files.log, files.root)}
    write_json(path, record)
    logging.getLogger(__name__).info("%s started, seed %s", record["record_id"], record["seed"])
    manifests = files.outputs.get("manifest", ())
    if len(manifests) > 1:
        raise ValueError(f"outputs['manifest'] names {len(manifests)} files, it must be one")
    # Now, not after hours of training.
    for output in files.all_outputs():
        relative_path(output, files.root)
    # A manifest left from before would vouch for outputs that this job is about to change.
    for manifest in manifests:
        manifest.unlink(missing_ok=True)
    entries = [_input_entry(name, file, files.root) for name, paths in files.inputs.items() for file in paths]
    record = {**record, "inputs": entries}
    write_json(path, record)
    return record


def _end(path: Path, record: Mapping[str, Any], job: Job, *, status: str, duration: float) -> None:
    own, children = peak_memory_mib()
    measured = {
        "status": status,
        "ended": timestamp(),
        "duration_seconds": round(duration, 3),
        "peak_memory_mib": round(own, 1),
        "peak_memory_children_mib": round(children, 1),
        "metrics": job.metrics(),
    }
    write_json(path, {**record, **measured})
    logging.getLogger(__name__).info("%s after %.1f s, peak memory %.0f MiB", status, duration, own)


def _input_entry(name: str, path: Path, root: Path) -> dict[str, Any]:
    if path.is_dir():
        return _entry(name, "folder", FileEntry(_shown(path, root), 0, _folder_hash(path, root)))
    if not path.is_file():
        raise ValueError(f"inputs[{name!r}] {str(path)!r} does not exist")
    return _entry(name, "file", FileEntry(_shown(path, root), path.stat().st_size, sha256_file(path)))


def _written(files: _JobFiles) -> list[dict[str, Any]]:
    """Writes the manifest, if one is declared, and gives the entries of all outputs."""
    manifests = files.outputs.get("manifest", ())
    if manifests:
        entries = write_manifest(manifests[0], files.data_outputs(), root=files.root)
    else:
        entries = file_entries(files.data_outputs(), files.root)
    known = {entry.path: entry for entry in [*entries, *file_entries(manifests, files.root)]}
    return [_output_entry(n, path, files.root, known) for n, paths in files.outputs.items() for path in paths]


def _output_entry(name: str, path: Path, root: Path, known: Mapping[str, FileEntry]) -> dict[str, Any]:
    shown = relative_path(path, root)
    if not path.is_dir():
        return _entry(name, "file", known[shown])
    size = sum(entry.size for entry in known.values() if entry.path.startswith(shown + "/"))
    return _entry(name, "folder", FileEntry(shown, size, folder_digest(known.values(), shown)))


def _entry(name: str, kind: str, file: FileEntry) -> dict[str, Any]:
    return {"name": name, "kind": kind, **asdict(file)}


def _folder_hash(folder: Path, root: Path) -> str:
    """The hash by the manifest beside a folder; empty if none names it, since its files are not read."""
    if not folder.is_relative_to(root):
        return ""
    shown = relative_path(folder, root)
    for path in sorted(folder.parent.glob("manifest*.json")):
        try:
            manifest = read_manifest(path)
        except ValueError:
            continue
        if shown in manifest.folders:
            return folder_digest(manifest.files, shown)
    return ""


def _shown(path: Path, root: Path) -> str:
    return relative_path(path, root) if path.is_relative_to(root) else str(path)


def _remove_outputs(files: _JobFiles) -> None:
    for path in files.all_outputs():
        if path.is_relative_to(files.root) and remove_path(path):
            logging.getLogger(__name__).info("removed %s, which may be incomplete", _shown(path, files.root))


def _outcome(error: BaseException) -> tuple[str, int]:
    """A library may answer the end that it was told with an error of its own, as an import does."""
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, KeyboardInterrupt):
            return "interrupted", 130
        if isinstance(chain, Terminated):
            return "interrupted", 143
        chain = chain.__cause__ or chain.__context__
    return "failed", 1


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _last_words(error: BaseException, rule: str, log: Path) -> str:
    if isinstance(error, ValueError):
        return _sentence(error)
    if isinstance(error, Exception):
        return f"{rule} failed: {type(error).__name__}: {_sentence(error)} (traceback in {log})"
    return f"{rule} was ended by {type(error).__name__}"
