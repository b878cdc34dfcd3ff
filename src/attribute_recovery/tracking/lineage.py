"""From a result back to where it came from, by the hashes in the journal, so that edits are noticed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attribute_recovery.tracking.digest import (
    folder_digest,
    manifest_paths,
    read_manifest,
    relative_path,
    sha256_file,
    verify_manifest,
)
from attribute_recovery.tracking.executions import job_record_paths, read_record


@dataclass(frozen=True)
class Step:
    """One file or folder on the way back, and the job that wrote it.

    Attributes:
        path: Relative to the results folder, absolute outside of it.
        sha256: Of its content; empty where it was never hashed.
        rule: The rule that wrote this content; empty if no job of the journal did.
        record: The job's record, relative to the results folder; empty likewise.
        code: Digest of the code that ran.
        seed: The job's seed.
        inputs: Path and sha256 of what the job read.
    """

    path: str
    sha256: str
    rule: str
    record: str
    code: str
    seed: int | None
    inputs: tuple[tuple[str, str], ...]


def trace(path: Path, results_dir: Path) -> list[Step]:
    """Follows a result back through the jobs that made it.

    Args:
        path: A file or folder that a job wrote, or a file inside such a folder.
        results_dir: The results folder.

    Returns:
        The result's step first, then those of its inputs and of theirs, each once; those without a rule are
        where the trail ends: sources from outside, or content that no job wrote.

    Raises:
        ValueError: `path` does not exist, or lies outside `results_dir`.
    """
    jobs = _finished_jobs(results_dir)
    name = relative_path(path, results_dir)
    if not path.exists():
        raise ValueError(f"path {str(path)!r} does not exist")
    pending = [_identify(name, results_dir, jobs)]
    seen: set[tuple[str, str]] = set()
    steps = []
    while pending:
        current = pending.pop(0)
        if current in seen:
            continue
        seen.add(current)
        step = _step(*current, jobs)
        steps.append(step)
        pending.extend(step.inputs)
    return steps


def verify(results_dir: Path) -> list[str]:
    """Checks a whole results folder: every file against its manifest, every result against its inputs.

    Args:
        results_dir: The results folder.

    Returns:
        Problems, one sentence each; none if all is well.
    """
    jobs = _finished_jobs(results_dir)
    problems = []
    for path in manifest_paths(results_dir):
        name = relative_path(path, results_dir)
        problems += [f"{name}: {problem}" for problem in verify_manifest(path, root=results_dir)]
        step = _step(name, sha256_file(path), jobs)
        if not step.rule:
            problems.append(f"{name}: no job of the journal wrote this content")
        for source, sha256 in step.inputs:
            file = results_dir / source
            if file.is_file() and sha256_file(file) != sha256:
                problems.append(f"{name}: was made from another content of {source} than is there now")
    return problems


def _finished_jobs(results_dir: Path) -> list[dict[str, Any]]:
    """Records of all experiments, the latest first."""
    found = []
    for folder in sorted(path.parent for path in results_dir.glob("*/records")):
        for path in job_record_paths(folder):
            record = read_record(path)
            if record["status"] == "finished":
                found.append({**record, "record": relative_path(path, results_dir)})
    return sorted(found, key=lambda record: str(record["ended"]), reverse=True)


def _identify(name: str, results_dir: Path, jobs: list[dict[str, Any]]) -> tuple[str, str]:
    """Path and hash of the output that `name` is, or lies in."""
    file = results_dir / name
    folders = {e["path"] for job in jobs for e in job["outputs"] if e["kind"] == "folder"}
    inside = next((folder for folder in folders if f"{name}/".startswith(f"{folder}/")), None)
    if inside is None:
        return name, sha256_file(file) if file.is_file() else ""
    for path in manifest_paths(results_dir):
        manifest = read_manifest(path)
        entries = {entry.path: entry.sha256 for entry in manifest.files}
        unchanged = file.is_dir() or entries.get(name) == sha256_file(file)
        if inside in manifest.folders and unchanged:
            return inside, folder_digest(manifest.files, inside)
    return name, sha256_file(file) if file.is_file() else ""


def _step(name: str, sha256: str, jobs: list[dict[str, Any]]) -> Step:
    written = [
        (entry["path"] != name, number)
        for number, job in enumerate(jobs)
        for entry in job["outputs"]
        if sha256 and entry["sha256"] == sha256
    ]
    if not written:
        return Step(name, sha256, "", "", "", None, ())
    # The job that wrote it at this very path, else the same content elsewhere; of several the latest.
    job = jobs[min(written)[1]]
    inputs = tuple((entry["path"], entry["sha256"]) for entry in job["inputs"])
    return Step(name, sha256, job["rule"], job["record"], job["code"], job["seed"], inputs)
