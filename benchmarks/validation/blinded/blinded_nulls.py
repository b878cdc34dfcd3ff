"""Row "nothing is found where nothing is", its recognizers' half: the finished run's f behind a mask that
hides some attributes for certain, tested as the product tests.

Their re-rendering moves no embedding (see `blinded`), so that embeddings of the run's images are what they
are whatever these attributes' values: new values, drawn by the population independently of everything, need
no new images. So each seed draws people and values anew.

The decision effect is told by the product's edits, which pass G and the editor: an edit of a hidden attribute
moves a little of what the mask lets through, a placebo edit moves anything. So p is not uniform, as no null
hypothesis says that both move alike; it must not be small.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.dataset.prepare import population_of
from attribute_recovery.dataset.store import read_array, read_images
from attribute_recovery.recognizer.load import load_recognizer
from attribute_recovery.recovery.probe import Labelled
from attribute_recovery.significance.analyse import Split
from attribute_recovery.significance.effect import Pipeline
from attribute_recovery.significance.identity import identity_shares
from attribute_recovery.significance.permuted import draw_permutations
from attribute_recovery.significance.retained import retained_information
from attribute_recovery.statistics.discovery import benjamini_hochberg
from attribute_recovery.statistics.inputs import IntArray
from attribute_recovery.training.device import prepare_torch
from benchmarks.validation.blinded.blinded import FULL, QUICK, Blindness, Looks, behind_mask, blindness_to
from benchmarks.validation.blinded.blinded_effects import decided, pipeline_with, probed
from benchmarks.validation.finished_run import FinishedRun, finished_run
from benchmarks.validation.kept import kept
from benchmarks.validation.outcome import Chunk, Found

Floats = npt.NDArray[np.float32]

# Of every level and kind, and all below the brows, so that much is left to see.
HIDDEN = ("lip_thickness", "smile", "mouth_opening", "beard", "eye_color")
SEEDS, PER_CHUNK, PERMUTATIONS, PLACEBOS = 200, 10, 1999, 59
# Steps of the probe's network: it has nothing to learn here.
PROBE_STEPS = 50
# People and images each that a seed draws.
DRAWN = {"train": (300, 3), "calibration": (60, 5), "test": (100, 5)}
# Edits are made in two images each of so many people, of the attributes of one level: placebos, which cost
# most, are those of the level, so seeds take the levels in turn. Mixed attributes need the placebos of both,
# and their p is the larger one.
EDITED_PEOPLE = 2
LEVELS = ("identity", "image")
FALSE_DISCOVERIES = 0.05
MEASURES = ("retained information", "identity share", "decision effect")


@dataclass(frozen=True)
class Sight:
    """The run's images as the blinded recognizer sees them.

    Attributes:
        images: rows of the images table, of all splits but the recognizer's, n.
        embeddings: theirs, (n, d).
        codes: theirs, (n, code_size).
        blindness: the mask and what it hides.
    """

    images: pd.DataFrame
    embeddings: Floats
    codes: Floats
    blindness: Blindness


def plan(quick: bool, seed: int) -> dict[str, Chunk]:
    """The chunks of this half by name.

    Raises:
        ValueError: The run that they stand on is not finished.
    """
    run = finished_run()
    seeds, per_chunk = (2, 1) if quick else (SEEDS, PER_CHUNK)
    return {
        f"blinded-{start:03d}": {
            "run": run.digest,
            "first": start,
            "seeds": per_chunk,
            "permutations": 99 if quick else PERMUTATIONS,
            "placebos": 19 if quick else PLACEBOS,
            "quick": quick,
            "seed": seed,
        }
        for start in range(0, seeds, per_chunk)
    }


def work(chunk: Chunk) -> Found:
    """p-values by scheme and discoveries by measure of each seed, and what the hidden attributes move.

    Raises:
        ValueError: The run has changed, a file of it is missing or damaged, or nothing is hidden for certain.
    """
    run = finished_run(chunk["run"])
    device = prepare_torch(run.compute)
    sight = sight_of(run, QUICK if chunk["quick"] else FULL, device)
    f = behind_mask(load_recognizer(*run.f, device), sight.blindness.mask)
    pipeline = pipeline_with(run, f, device, heads=run.heads, editor=run.editor)
    numbers = range(chunk["first"], chunk["first"] + chunk["seeds"])
    told = {"moved": sight.blindness.moved, "seen": float(sight.blindness.mask.mean())}
    return told | {"seeds": [_one_seed(run, sight, pipeline, number, chunk) for number in numbers]}


def sight_of(run: FinishedRun, looks: Looks, device: torch.device) -> Sight:
    """The blinded recognizer's sight of the run's images; what is costly is kept.

    Raises:
        ValueError: every hidden attribute moves an embedding.
    """
    blindness = blindness_to(run, run.schema, HIDDEN, looks, device)
    if not blindness.nulls:
        raise ValueError(
            f"mask: found that {', '.join(HIDDEN)} all move embeddings behind it, allowed is at least one "
            "that does not; widen the margin"
        )
    table = run.images()
    rows = np.flatnonzero(table["split"] != "recognizer")

    def make(folder: Path) -> None:
        f = behind_mask(load_recognizer(*run.f, device), blindness.mask)
        images = read_images(run.folder / "dataset" / "images.bcolz", rows)
        np.save(folder / "embeddings.npy", f.embed_batches(images), allow_pickle=False)

    folder = kept("sight", __name__, {"run": run.digest, "looks": repr(looks)}, make)
    embeddings = np.load(folder / "embeddings.npy", allow_pickle=False)
    codes = read_array(run.folder / "generator" / "codes.bcolz", rows)
    return Sight(table.iloc[rows].reset_index(drop=True), embeddings, codes, blindness)


def drawn_rows(images: pd.DataFrame, split: str, rng: np.random.Generator) -> IntArray:
    """Places of images of a seed's people of a split, person by person, (people × each,); of all people, and
    as many images as each has, where there are fewer than `DRAWN` says."""
    people, each = DRAWN[split]
    places = np.flatnonzero(images["split"] == split)
    by_person = pd.Series(places).groupby(images["identity"].to_numpy()[places]).apply(np.asarray)
    chosen = rng.permutation(len(by_person))[:people]
    each = min(each, min(len(found) for found in by_person))
    return np.concatenate([rng.permutation(by_person.iloc[person])[:each] for person in chosen])


def _one_seed(
    run: FinishedRun, sight: Sight, pipeline: Pipeline, number: int, chunk: Chunk
) -> dict[str, Any]:
    rng = np.random.default_rng([chunk["seed"], number, 7])
    schema = AttributeSchema(tuple(a for a in run.schema if a.name in sight.blindness.nulls))
    encoded = _permutation_measures(run, sight, schema, rng, number, chunk)
    names = edited_names(schema, number)
    effects = _decision_effects(run, sight, pipeline, names, number, chunk)
    tested = dict(zip(MEASURES, (*encoded["tested"], effects["p"].values()), strict=True))
    discoveries = {
        measure: int(np.count_nonzero(benjamini_hochberg(list(p)) < FALSE_DISCOVERIES))
        for measure, p in tested.items()
    }
    return {"discoveries": discoveries, "p": encoded["p"], "decision": effects}


def edited_names(schema: AttributeSchema, number: int) -> list[str]:
    """The attributes that a seed edits: those of one of the levels that there are, in turn; all where there
    are none of these."""
    levels = [level for level in LEVELS if any(a.level == level for a in schema)]
    if not levels:
        return schema.names
    return [a.name for a in schema if a.level == levels[number % len(levels)]]


def _permutation_measures(
    run: FinishedRun,
    sight: Sight,
    schema: AttributeSchema,
    rng: np.random.Generator,
    number: int,
    chunk: Chunk,
) -> dict[str, Any]:
    """Retained information and identity share of values that are drawn anew."""
    population = population_of(run.world)
    parts = {}
    for split in DRAWN:
        rows = drawn_rows(sight.images, split, rng)
        identities = sight.images["identity"].to_numpy(object)[rows]
        people = len(set(identities))
        values = population.draw(people, len(rows) // people, rng)
        parts[split] = Labelled(
            sight.embeddings[rows], identities, {name: values[name] for name in schema.names}
        )
    steps = min(PROBE_STEPS, run.config.recovery.probe_steps)
    settings = run.config.recovery.model_copy(update={"probe_steps": steps})
    found = probed(schema, parts["train"], parts["calibration"], parts["test"], settings, number)
    permutations = draw_permutations(parts["test"].identities, chunk["permutations"], number)
    retained = [retained_information(one, permutations, n_boot=20, seed=number) for one in found]
    shares = identity_shares(found, permutations, [0.0] * len(found), n_boot=20, seed=number)
    p_values: dict[str, list[float]] = {}
    for measure, p_by_scheme in (
        *(("retained information", one.p_by_scheme) for one in retained),
        *(("identity share", one.p_by_scheme) for one in shares),
    ):
        for scheme, p in p_by_scheme.items():
            if np.isfinite(p):
                p_values.setdefault(f"{measure}, {scheme}", []).append(p)
    return {"tested": ([one.p for one in retained], [one.p for one in shares]), "p": p_values}


def _decision_effects(
    run: FinishedRun, sight: Sight, pipeline: Pipeline, names: Sequence[str], number: int, chunk: Chunk
) -> dict[str, dict[str, float]]:
    """p, effect and the placebos' median effect of each hidden attribute, in images of a seed's people."""
    settings = run.config.significance.model_copy(
        update={"placebos": chunk["placebos"], "images": 2 * EDITED_PEOPLE, "bootstrap": 19}
    )
    fitted, test = (_split(run.schema, sight, split) for split in ("train", "test"))
    seed = 1000 * chunk["seed"] + number
    decision = decided(pipeline, run.schema, names, fitted, test, settings, seed)
    overall = [effect for effect in decision.effects if effect.direction == ""]
    return {
        "p": {one.attribute: one.p for one in overall},
        "effect": {one.attribute: one.interval.estimate for one in overall},
        "placebo": {one.attribute: one.placebo_effect for one in overall},
    }


def _split(schema: AttributeSchema, sight: Sight, split: str) -> Split:
    rows = np.flatnonzero(sight.images["split"] == split)
    chosen = sight.images.iloc[rows]
    return Split(
        sight.embeddings[rows],
        sight.codes[rows],
        chosen["identity"].to_numpy(object),
        schema.from_table(chosen),
    )


def moved_by_attribute(found: Mapping[str, Found]) -> dict[str, float]:
    """How far each hidden attribute moves embeddings at most; the same in all chunks."""
    return dict(next(iter(found.values()))["moved"])
