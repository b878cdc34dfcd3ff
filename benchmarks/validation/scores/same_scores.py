"""Row "same scores, same rates": pyeer and bob.measure on the same score files."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attribute_recovery.statistics.inputs import FloatArray
from attribute_recovery.statistics.rates import (
    det_curve,
    equal_error_rate,
    false_match_rate,
    false_non_match_rate,
    threshold_at_fmr,
)
from benchmarks.validation.outcome import Chunk, Found, Goal, Table

HERE = Path(__file__).parent
# The other tools' Python; the variable serves where they are installed elsewhere.
PEERS = HERE.parents[2] / ".venv-peers" / "bin" / "python"
VARIABLE = "VALIDATION_PEERS"
TOOLS = ("pyeer", "bob.measure")
CLOSE = 1e-9
MOST_THRESHOLDS = 400
KINDS = {
    "normal": "normal scores, 5,000 genuine and 50,000 impostor",
    "cosines": "cosines in float32",
    "tied": "scores of two decimals, many of them equal",
    "few": "20 genuine and 30 impostor scores",
    "apart": "genuine and impostor scores that do not overlap",
    "upside down": "genuine scores mostly below impostor scores",
}


def plan(quick: bool, seed: int) -> dict[str, Chunk]:
    """The chunks of the row by name: one a score file."""
    kinds = ("few", "tied") if quick else tuple(KINDS)
    return {kind.replace(" ", "-"): {"kind": kind, "seed": seed} for kind in kinds}


def scores_of(kind: str, seed: int) -> tuple[FloatArray, FloatArray]:
    """Genuine and impostor scores."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind), 5])
    if kind == "few":
        return rng.normal(1.0, 1.0, 20), rng.normal(0.0, 1.0, 30)
    if kind == "apart":
        return rng.uniform(0.6, 1.0, 400), rng.uniform(-0.2, 0.5, 4000)
    if kind == "upside down":
        return rng.normal(-1.0, 1.0, 500), rng.normal(0.0, 1.0, 5000)
    if kind == "cosines":
        people = rng.standard_normal((300, 16))
        images = (people[:, None] + 0.8 * rng.standard_normal((300, 2, 16))).astype(np.float32)
        images /= np.linalg.norm(images, axis=2, keepdims=True)
        first, second = images[:, 0], images[:, 1]
        table = first @ second.T
        return np.diag(table).astype(np.float64), table[np.triu_indices(300, 1)].astype(np.float64)
    genuine, impostor = rng.normal(2.0, 1.0, 5000), rng.normal(0.0, 1.0, 50_000)
    return (genuine.round(2), impostor.round(2)) if kind == "tied" else (genuine, impostor)


def work(chunk: Chunk) -> Found:
    """Largest differences of the rates, and where the equal error rate lies, for each tool.

    Raises:
        ValueError: The other tools are not installed, or failed.
    """
    genuine, impostor = scores_of(chunk["kind"], chunk["seed"])
    taus = _thresholds(genuine, impostor, chunk["seed"])
    ours = {
        "fmr": np.array([false_match_rate(impostor, tau) for tau in taus]),
        "fnmr": np.array([false_non_match_rate(genuine, tau) for tau in taus]),
    }
    eer = equal_error_rate(genuine, impostor).rate
    tools = {}
    for name, theirs in _ask_peers(genuine, impostor, taus).items():
        gap = {rate: float(np.abs(ours[rate] - np.array(theirs[rate])).max()) for rate in ours}
        tools[name] = {**gap, "eer": theirs["eer"]}
    return {"kind": chunk["kind"], "thresholds": len(taus), "eer": eer, "tools": tools}


def _thresholds(genuine: FloatArray, impostor: FloatArray, seed: int) -> FloatArray:
    """Scores that occur, thresholds that the product chooses, some between scores, and both ends."""
    every = np.unique(np.concatenate([genuine, impostor]))
    rng = np.random.default_rng([seed, 6])
    drawn = rng.choice(every, size=min(len(every), MOST_THRESHOLDS // 2), replace=False)
    curve = det_curve(genuine, impostor, 50).thresholds
    fixed = [threshold_at_fmr(impostor, fmr, n_identities=1000).value for fmr in (0.001, 0.01, 0.1)]
    between = rng.uniform(every[0], every[-1], size=50)
    return np.concatenate([drawn, curve, fixed, between, [every[0] - 1, every[-1] + 1]])


def _ask_peers(genuine: FloatArray, impostor: FloatArray, taus: FloatArray) -> dict[str, dict[str, Any]]:
    python = Path(os.environ.get(VARIABLE) or PEERS)
    if not python.is_file():
        raise ValueError(
            f"{python}: not there; `make validation` installs envs/benchmarks.txt, or say in {VARIABLE} "
            "which Python has pyeer and bob.measure"
        )
    with tempfile.TemporaryDirectory() as folder:
        scores, thresholds = Path(folder) / "scores.txt", Path(folder) / "thresholds.txt"
        lines = [
            f"{label} {score!r}" for label, kind in ((1, genuine), (-1, impostor)) for score in kind.tolist()
        ]
        scores.write_text("\n".join(lines) + "\n")
        thresholds.write_text("\n".join(repr(tau) for tau in taus.tolist()) + "\n")
        done = subprocess.run(
            [str(python), str(HERE / "peers.py"), str(scores), str(thresholds)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise ValueError(f"{HERE.name}/peers.py: {done.stderr.strip()[-500:]}")
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def conclude(found: Mapping[str, Found]) -> dict[str, Any]:
    """Goals and tables of the row."""
    files = list(found.values())
    goals: list[Goal] = []
    for tool in TOOLS:
        gap = max(max(one["tools"][tool][rate] for rate in ("fmr", "fnmr")) for one in files)
        inside = sum(_inside(one, tool) for one in files)
        goals += [
            {
                "goal": f"FMR and FNMR as {tool} has them, to 1e-9",
                "measured": f"largest difference {gap:.1g}",
                "reached": gap <= CLOSE,
            },
            {
                "goal": f"EER inside the bracket of {tool}",
                "measured": f"{inside} of {len(files)} score files",
                "reached": inside == len(files),
            },
        ]
    rows = [
        [KINDS[one["kind"]], str(one["thresholds"]), f"{one['eer']:.6f}", *(_bracket(one, t) for t in TOOLS)]
        for one in files
    ]
    tables: list[Table] = [
        {
            "caption": "Equal error rates",
            "columns": ["scores", "thresholds compared", "EER", *(f"bracket of {tool}" for tool in TOOLS)],
            "rows": rows,
        }
    ]
    return {"goals": goals, "tables": tables}


def _inside(one: Found, tool: str) -> bool:
    low, high = one["tools"][tool]["eer"]
    return bool(low - CLOSE <= one["eer"] <= high + CLOSE)


def _bracket(one: Found, tool: str) -> str:
    low, high = one["tools"][tool]["eer"]
    return f"{low:.6f} to {high:.6f}"
