"""Row "the planted shortcut is found": a clean recognizer, and one that was taught on the same people in
images that differ in one thing: each of them always or never wears glasses.

Every image of the run's split `recognizer` is rendered once more with the glasses toggled, so the two
trainings differ in glasses alone; they share the seed of weights and batches. Which people wear them is drawn
anew for each seed, and both recognizers are trained anew. Then the product's decision effects of every
editable attribute on the run's test images, and its comparison of both recognizers by identity.

Found is the shortcut where the decision effect of glasses differs most among all attributes, in absolute
value, and p of no difference is below 0.01.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from attribute_recovery.recovery.measure import without_nan
from attribute_recovery.significance.differences import comparison_table, difference_rows, figures_of
from attribute_recovery.statistics.inputs import BoolArray
from attribute_recovery.training.device import prepare_torch
from benchmarks.validation.faults.edited_faces import contributions_of, edited_faces
from benchmarks.validation.faults.trained import (
    Images,
    Names,
    rates_of,
    seed_of,
    settings_of,
    taught_with,
    toggled,
    trained_on,
)
from benchmarks.validation.finished_run import finished_run
from benchmarks.validation.outcome import Chunk, Found, Goal, Table

SEEDS, LEAST_FOUND, LARGEST_P = 20, 19, 0.01
PLANTED = "glasses"
CLEAN, SHORTCUT = "clean", "shortcut"


def plan(quick: bool, seed: int) -> dict[str, Chunk]:
    """The chunks of the row by name, one a seed.

    Raises:
        ValueError: The run that the row stands on is not finished.
    """
    run = finished_run()
    return {
        f"seed-{number:02d}": {"run": run.digest, "number": number, "quick": quick, "seed": seed}
        for number in range(2 if quick else SEEDS)
    }


def work(chunk: Chunk) -> Found:
    """The differences of all decision effects for one pair of recognizers, and the rates of both.

    Raises:
        ValueError: The run has changed, or a file of it is missing or damaged.
    """
    run = finished_run(chunk["run"])
    device = prepare_torch(run.compute)
    taught, schema = taught_with(run), run.schema
    seed = seed_of(run, chunk["seed"], chunk["number"])
    is_on = taught.encoded[:, schema.slices[PLANTED].start] >= 0.5
    images = {
        CLEAN: taught.images,
        SHORTCUT: with_shortcut(taught.images, toggled(run, taught, PLANTED), is_on, taught.people, seed),
    }
    recognizers = {
        name: trained_on(
            run, each, taught.people, settings=settings_of(chunk["quick"]), seed=seed, device=device
        )
        for name, each in images.items()
    }
    faces = edited_faces(run, device)
    settings = run.config.significance
    rows = difference_rows(
        figures_of({name: contributions_of(faces, each) for name, each in recognizers.items()}),
        n_boot=settings.bootstrap,
        n_flips=settings.permutations,
        seed=seed,
    )
    return {
        "number": chunk["number"],
        "people": len(set(faces.people)),
        "images": len(faces.people),
        "taught": {"people": len(set(taught.people)), "images": len(taught.images)},
        "differences": without_nan(_listed(comparison_table(schema, rows))),
        "rates": {name: asdict(rates_of(run, each)) for name, each in recognizers.items()},
    }


def with_shortcut(images: Images, other: Images, is_on: BoolArray, people: Names, seed: int) -> Images:
    """Images (n, side, side, 3) in which each person always or never has the attribute, with equal chance.

    Args:
        images: as they were drawn.
        other: the same with the attribute toggled.
        is_on: whether `images` have it, (n,).
        people: who is seen, (n,).
        seed: of who has it.
    """
    names, place = np.unique(people.astype(str), return_inverse=True)
    # Half of the people, so that no draw leaves a rare kind.
    always = np.random.default_rng([seed, 5]).permutation(len(names)) < len(names) / 2
    stays = always[place] == is_on
    return np.where(stays[:, None, None, None], images, other)


def _listed(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The differences, the second recognizer's effect less the first one's, as JSON holds them."""
    kept = ["attribute", "estimate", "low", "high", "p", "q", "recognizer_estimate", "other_estimate"]
    return [{str(key): value for key, value in row.items()} for row in table[kept].to_dict("records")]


def rank_of(differences: list[dict[str, Any]], name: str) -> int:
    """Place of an attribute among the differences, 1 for the largest absolute one."""
    size = {str(row["attribute"]): abs(float(row["estimate"])) for row in differences}
    return 1 + sum(value > size[name] for value in size.values())


def is_found(part: Found) -> bool:
    """Whether the planted attribute differs most, with p below 0.01."""
    p = _of(part, PLANTED)["p"]
    return p is not None and rank_of(part["differences"], PLANTED) == 1 and bool(p < LARGEST_P)


def _of(part: Found, name: str) -> dict[str, Any]:
    return next(row for row in part["differences"] if row["attribute"] == name)


def conclude(found: Mapping[str, Found]) -> dict[str, Any]:
    """Goal and tables of the row."""
    parts = sorted(found.values(), key=lambda part: part["number"])
    count, n = sum(map(is_found, parts)), len(parts)
    least = -(-LEAST_FOUND * n // SEEDS)
    goals: list[Goal] = [
        {
            "goal": f"glasses differ most, with p below {LARGEST_P:g}, in at least {least} of {n} seeds",
            "measured": f"{count} of {n}",
            "reached": count >= least,
        }
    ]
    first = parts[0]
    note = (
        f"Each recognizer has learned from {first['taught']['images']} images of "
        f"{first['taught']['people']} people; the clean and the other of a seed start from the same weights. "
        f"Effects are those in {first['images']} test images of {first['people']} people. TAR is that of "
        "people held out from both, at τ of FMR 1e-3: they put glasses on and off, which the other "
        "recognizer has not learned to look through."
    )
    return {"goals": goals, "tables": [_by_seed(parts), _by_attribute(parts)], "notes": [note]}


def _by_seed(parts: list[Found]) -> Table:
    rows = []
    for part in parts:
        row = _of(part, PLANTED)
        others = [one for one in part["differences"] if one["attribute"] != PLANTED]
        second = max(others, key=lambda one: abs(one["estimate"]))
        rows.append(
            [
                str(part["number"]),
                str(rank_of(part["differences"], PLANTED)),
                f"{row['estimate']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})",
                "not testable" if row["p"] is None else f"{row['p']:.4f}",
                f"{second['attribute']} {second['estimate']:+.4f}",
                *(f"{part['rates'][name]['tar']:.2f}" for name in (CLEAN, SHORTCUT)),
            ]
        )
    return {
        "caption": "Decision effect with the shortcut less that of the clean recognizer, mean of 1 − cos: "
        "the place of glasses among all attributes, and the largest difference of another one",
        "columns": ["seed", "place", "glasses", "p", "largest other", "TAR, clean", "TAR, with the shortcut"],
        "rows": rows,
    }


def _by_attribute(parts: list[Found]) -> Table:
    """Means over seeds, the largest difference first."""
    table = pd.DataFrame([row for part in parts for row in part["differences"]])
    table["small"] = table["p"].astype(np.float64) < LARGEST_P
    columns = ["other_estimate", "recognizer_estimate", "estimate", "small"]
    means = table.groupby("attribute", sort=False)[columns].mean()
    means = means.reindex(means["estimate"].abs().sort_values(ascending=False).index)
    rows = [
        [
            str(name),
            *(f"{row[column]:.4f}" for column in columns[:2]),
            f"{row['estimate']:+.4f}",
            f"{round(row['small'] * len(parts))} of {len(parts)}",
        ]
        for name, row in means.iterrows()
    ]
    return {
        "caption": "Means over the seeds. Two trainings of one kind differ as well, so that p, which is "
        "conditional on the trained networks, is small for other attributes too",
        "columns": ["attribute", "effect, clean", "effect, with the shortcut", "difference", "p below 0.01"],
        "rows": rows,
    }
