"""Runs a row chunk by chunk: each chunk's findings are a file, so that a run that was killed goes on where it
stopped. A chunk is done again when the seed or the code that it reaches has changed."""

import ast
import hashlib
import json
import multiprocessing
import os
import platform
import subprocess
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from attribute_recovery.tracking.code import PackageCode
from attribute_recovery.tracking.digest import write_json
from benchmarks.validation.outcome import Chunk, Found, Method, Row

ROOT = Path(__file__).parents[2]
HERE = "benchmarks.validation"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_row(
    row: Row,
    *,
    seed: int,
    quick: bool,
    processes: int,
    results: Path,
    scratch: Path,
    say: Callable[[str], None] = print,
) -> Path:
    """Measure one row and write its result.

    Args:
        row: that has a module.
        seed: of every draw.
        quick: a few tiny draws that say nothing about the goals; the result is marked as such.
        processes: chunks at once, each on one thread.
        results: folder of the row's JSON.
        scratch: folder of the chunks' findings.
        say: progress, a line each.

    Returns:
        The result's path.
    """
    method = cast(Method, import_module(f"{HERE}.{row.module}"))
    chunks = method.plan(quick, seed)
    code, at = code_of(f"{HERE}.{row.module}"), commit()
    folder = scratch / ("quick" if quick else "full") / folder_name(row, method, chunks, seed)
    folder.mkdir(parents=True, exist_ok=True)
    pending = {name: chunk for name, chunk in chunks.items() if not (folder / f"{name}.json").is_file()}
    say(f"{row.name}: {len(chunks) - len(pending)} of {len(chunks)} chunks are there")
    _work_through(row.module, pending, folder, processes, say)
    found = {name: json.loads((folder / f"{name}.json").read_text()) for name in chunks}
    result = {
        "row": row.name,
        "quick": quick,
        "seed": seed,
        "commit": at,
        "code": code,
        "machine": machine(),
        "runs": runs_of(chunks),
        "core_minutes": round(sum(part["seconds"] for part in found.values()) / 60, 1),
        **method.conclude({name: part["found"] for name, part in found.items()}),
    }
    path = results / f"{row.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, result)
    return path


def folder_name(row: Row, method: Method, chunks: dict[str, Chunk], seed: int) -> str:
    """The folder of a row's findings, named after all that they depend on; rows whose chunks are another
    module's, the same for several, share one.

    Chunks that stand on a finished run say which, in `run`.
    """
    own = f"{HERE}.{row.module}"
    made_by = method.work.__module__
    name = row.name if made_by == own else made_by.rpartition(".")[2]
    return "-".join([name, str(seed), code_of(made_by)[:12], *(run[:12] for run in runs_of(chunks))])


def runs_of(chunks: dict[str, Chunk]) -> list[str]:
    """Digests of the finished runs that chunks stand on; most stand on none."""
    return sorted({str(chunk["run"]) for chunk in chunks.values() if "run" in chunk})


def _work_through(
    module: str, pending: dict[str, Chunk], folder: Path, processes: int, say: Callable[[str], None]
) -> None:
    jobs = [(module, name, chunk, str(folder)) for name, chunk in pending.items()]
    started = time.monotonic()
    # Started afresh, so that numpy's threads are told before numpy is loaded.
    for name in THREADS:
        os.environ[name] = "1"
    with multiprocessing.get_context("spawn").Pool(max(1, min(processes, len(jobs)))) as pool:
        for number, name in enumerate(pool.imap_unordered(_do, jobs), 1):
            minutes = (time.monotonic() - started) / 60
            say(f"{name} done, {number} of {len(jobs)}, {minutes:.1f} min")


def _do(job: tuple[str, str, Chunk, str]) -> str:
    """One chunk, in a process of its own."""
    module, name, chunk, folder = job
    started = time.monotonic()
    found: Found = cast(Method, import_module(f"{HERE}.{module}")).work(chunk)
    write_json(Path(folder) / f"{name}.json", {"seconds": time.monotonic() - started, "found": found})
    return name


def code_of(module: str) -> str:
    """SHA-256 over the syntax trees of a module of the validation and of all that it reaches, here and in the
    package."""
    package, seen = PackageCode(), set[str]()
    digest = hashlib.sha256()
    pending = [module]
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        tree = ast.parse(_source(name).read_text())
        digest.update(f"{name}\n{ast.dump(tree)}\n".encode())
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                continue
            if node.module.startswith("attribute_recovery."):
                entries = sorted(f"{node.module}:{each.name}" for each in node.names)
                digest.update("".join(package.digest(entry) for entry in entries).encode())
            elif node.module == HERE or node.module.startswith(f"{HERE}."):
                whole = _source(node.module).is_file()
                pending += (
                    [node.module] if whole else sorted(f"{node.module}.{each.name}" for each in node.names)
                )
    return digest.hexdigest()


def _source(module: str) -> Path:
    """Where a module's source would lie; a package has none there."""
    return (ROOT / module.replace(".", "/")).with_suffix(".py")


def commit() -> str:
    """The commit of the working tree, with a plus where files differ from it; empty outside of a clone."""
    told = []
    for command in (("rev-parse", "HEAD"), ("status", "--porcelain", "--", "src", "benchmarks")):
        done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            return ""
        told.append(done.stdout.strip())
    return told[0] + ("+" if told[1] else "")


def machine() -> dict[str, Any]:
    """What figures may depend on; no names."""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
