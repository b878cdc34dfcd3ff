"""Row "nothing is found where nothing is": Gaussian embeddings with attributes drawn independently of them
(`nulls`), and a recognizer of the rendered world that provably does not see some (`blinded_nulls`)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.validation.blinded import blinded_nulls, nulls
from benchmarks.validation.blinded.blinded import STILL
from benchmarks.validation.outcome import Chunk, Found, Goal, Table

GAUSSIAN, BLINDED = "Gaussian embeddings", "blinded recognizer"


def plan(quick: bool, seed: int) -> dict[str, Chunk]:
    """The chunks of both halves by name.

    Raises:
        ValueError: The run that one half stands on is not finished.
    """
    gaussian = {f"gaussian-{name}": chunk for name, chunk in nulls.plan(quick, seed).items()}
    return blinded_nulls.plan(quick, seed) | gaussian


def work(chunk: Chunk) -> Found:
    """p-values and discoveries of some seeds; see the halves.

    Raises:
        ValueError: The run has changed, or a file of it is missing or damaged.
    """
    return blinded_nulls.work(chunk) if "run" in chunk else nulls.work(chunk)


def conclude(found: Mapping[str, Found]) -> dict[str, Any]:
    """Goals and tables of the row."""
    blinded = {name: part for name, part in found.items() if "moved" in part}
    gaussian = nulls.conclude({name: part for name, part in found.items() if name not in blinded})
    seeds = [seed for part in blinded.values() for seed in part["seeds"]]
    p_values = nulls.p_by_scheme(seeds)
    decision = {"decision effect": [p for seed in seeds for p in seed["decision"]["p"].values()]}
    goals = nulls.discovery_goals(seeds, blinded_nulls.MEASURES) + nulls.uniformity_goals(p_values)
    caption = (
        f"{BLINDED}: p-values of {len(seeds)} seeds with {_nulls(blinded)} hidden attributes each, how many "
        "% lie at or below 0.01 and 0.05"
    )
    gaussian["tables"][0]["caption"] = f"{GAUSSIAN}: {gaussian['tables'][0]['caption']}"
    tables = [*gaussian["tables"], nulls.low_p_table(p_values | decision, caption), _hidden(blinded)]
    part = float(next(iter(blinded.values()))["seen"])
    notes = [
        *(f"{GAUSSIAN}: {note}" for note in gaussian["notes"]),
        f"{BLINDED}: behind the mask {100 * part:.0f} % of the pixels are left. Where the embedding does not "
        "move, values drawn anew are as good as heads rendered anew. p of the decision effect need not be "
        "uniform: an edit of a hidden attribute moves little of what the mask lets through, a placebo edit "
        "moves anything.",
    ]
    return {
        "goals": [
            *_of(GAUSSIAN, gaussian["goals"]),
            *_of(BLINDED, [*goals, nulls.not_low_goal("decision effect", decision["decision effect"])]),
        ],
        "tables": tables,
        "notes": notes,
    }


def _of(half: str, goals: list[Goal]) -> list[Goal]:
    return [{**goal, "goal": f"{half}: {goal['goal']}"} for goal in goals]


def _nulls(blinded: Mapping[str, Found]) -> int:
    return sum(distance <= STILL for distance in blinded_nulls.moved_by_attribute(blinded).values())


def _hidden(blinded: Mapping[str, Found]) -> Table:
    """What each attribute moves, and what its edits do beside placebo edits."""
    told = [seed["decision"] for part in blinded.values() for seed in part["seeds"]]
    rows = []
    for name, distance in blinded_nulls.moved_by_attribute(blinded).items():
        values = {key: [one[key][name] for one in told if name in one[key]] for key in told[0]}
        rows.append(
            [
                name,
                f"{distance:.1g}",
                *(f"{np.median(values[key]):.5f}" if values[key] else "" for key in ("effect", "placebo")),
                f"{min(values['p']):.3f}" if values["p"] else "not edited",
            ]
        )
    return {
        "caption": f"{BLINDED}: attributes that the mask was to hide; the largest distance that re-rendering "
        f"moves an embedding (null at {STILL:g} or less, and only then tested), medians over seeds of the "
        "decision effect of the product's edits and of placebo edits as long, and the smallest p",
        "columns": ["attribute", "moved by re-rendering", "effect", "placebo", "smallest p"],
        "rows": rows,
    }
