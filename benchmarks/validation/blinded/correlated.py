"""Row "correlated attributes are told apart": hair style and jaw width go together in a population, and a
recognizer sees only one of them (`one_sighted`). Its decision effects are to name that one.

In each seed a user's analysis is done with other people of that population: an editor is fitted to those of
`train`, edits are made in images of those of `test`, all by the product's functions. Named is the attribute
with the larger decision effect. Beside it stands what is merely observed, which both attributes share:
information that the embedding retains, and error rates by group.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.attributes.edit import train_editor
from attribute_recovery.dataset.attributes import AttributeSchema, KnownValues
from attribute_recovery.dataset.store import write_array, write_table
from attribute_recovery.embeddings.pairs import impostor_pairs
from attribute_recovery.embeddings.threshold import identity_pairs
from attribute_recovery.recovery.probe import Labelled
from attribute_recovery.significance.analyse import Split
from attribute_recovery.significance.groups import compare_images, grouped_rates, make_draws
from attribute_recovery.significance.permuted import draw_permutations
from attribute_recovery.significance.retained import retained_information
from attribute_recovery.statistics.discovery import benjamini_hochberg
from attribute_recovery.statistics.inputs import BoolArray, IntArray
from attribute_recovery.statistics.rates import threshold_at_fmr
from attribute_recovery.training.device import prepare_torch
from benchmarks.validation.blinded.blinded_effects import decided, pipeline_with, probed
from benchmarks.validation.blinded.correlated_people import (
    HAIR,
    JAW,
    LARGE,
    OTHER,
    SMALL,
    People,
    people_of,
)
from benchmarks.validation.blinded.one_sighted import one_sighted
from benchmarks.validation.finished_run import Files, FinishedRun, finished_run
from benchmarks.validation.kept import kept
from benchmarks.validation.outcome import Chunk, Found, Goal, Table

Floats = npt.NDArray[np.float32]

SEEDS, LEAST_RIGHT = 20, 19
# Seeds in turn are of the recognizer that sees the one and of that which sees the other.
SEEN = (HAIR, JAW)
# People of each split that a seed draws; so many seeds share those of `train`, and the editor fitted to them.
DRAWN = {"train": 500, "test": 60}
SHARING = 4
EDITED_IMAGES, PERMUTATIONS, BOOTSTRAP = 64, 999, 200
# Steps of the probe's network, which has two attributes to learn.
PROBE_STEPS = 200
FALSE_DISCOVERIES, FMR = 0.05, 1e-2


def plan(quick: bool, seed: int) -> dict[str, Chunk]:
    """The chunks of the row by name, one a seed.

    Raises:
        ValueError: The run that the row stands on is not finished.
    """
    run = finished_run()
    return {
        f"seed-{number:02d}": {
            "run": run.digest,
            "number": number,
            "seen": SEEN[number % len(SEEN)],
            "quick": quick,
            "seed": seed,
        }
        for number in range(len(SEEN) if quick else SEEDS)
    }


def work(chunk: Chunk) -> Found:
    """Both attributes' decision effects for one blinded recognizer, and what is observed of both.

    Raises:
        ValueError: The run has changed, a file of it is missing or damaged, or the recognizer sees both.
    """
    run = finished_run(chunk["run"])
    device, quick, seen = prepare_torch(run.compute), bool(chunk["quick"]), str(chunk["seen"])
    people = people_of(run, SMALL if quick else LARGE, device)
    sight = one_sighted(run, people, seen, quick, device)
    embeddings = sight.embeddings
    number = int(chunk["number"])
    seed = 1000 * int(chunk["seed"]) + number
    rows = drawn_rows(people.images, quick, int(chunk["seed"]), number)
    pair = AttributeSchema(tuple(people.schema[name] for name in SEEN))
    observed = _observed(run, people, embeddings, rows, pair, quick, seed)
    editor = _fitted_editor(run, people, rows["train"], seed - number % SHARING)
    pipeline = pipeline_with(run, sight.f, device, heads=people.heads, editor=editor)
    settings = run.config.significance
    settings = settings.model_copy(
        update={
            "images": settings.images if quick else EDITED_IMAGES,
            "bootstrap": min(BOOTSTRAP, settings.bootstrap),
        }
    )
    fitted, test = (_split(people, embeddings, rows[split]) for split in ("train", "test"))
    decision = decided(pipeline, people.schema, SEEN, fitted, test, settings, seed)
    overall = {one.attribute: one for one in decision.effects if one.direction == ""}
    q = benjamini_hochberg([overall[name].p for name in SEEN])
    effects = {
        name: {
            "effect": overall[name].interval.estimate,
            "p": overall[name].p,
            "q": float(q[i]),
            "placebo": overall[name].placebo_effect,
            "achieved": _or_none(overall[name].account.achieved),
            "cross_talk": overall[name].account.worst,
            "cross_talk_with": overall[name].account.worst_attribute,
        }
        for i, name in enumerate(SEEN)
    }
    return {
        "seen": seen,
        "truth": sight.truth,
        "effects": effects,
        "observed": observed,
    }


def drawn_rows(images: pd.DataFrame, quick: bool, seed: int, number: int) -> dict[str, IntArray]:
    """Rows of a seed's people with all their images: some of `train`, which `SHARING` numbers share, and of
    `test`; everybody of `calibration`."""
    rows: dict[str, IntArray] = {}
    for split, place in (("train", number // SHARING), ("calibration", 0), ("test", number)):
        rng = np.random.default_rng([seed, place, 8])
        everybody = np.unique(images["identity"][images["split"] == split].to_numpy(object))
        wanted = len(everybody) if quick or split not in DRAWN else DRAWN[split]
        people = rng.permutation(everybody)[:wanted]
        rows[split] = np.flatnonzero(images["identity"].isin(people)).astype(np.int64)
    return rows


def _split(people: People, embeddings: Floats, rows: IntArray) -> Split:
    chosen = people.images.iloc[rows]
    identities = chosen["identity"].to_numpy(object)
    return Split(embeddings[rows], people.codes[rows], identities, people.schema.from_table(chosen))


def _fitted_editor(run: FinishedRun, people: People, rows: IntArray, seed: int) -> Files:
    """Weights and card of an editor fitted to these images; it is kept for the seeds that share it."""
    told = {"run": run.digest, "people": people.heads[0].parent.name, "rows": rows.tolist(), "seed": seed}
    folder = kept("editor", __name__, told, lambda place: _fit_editor(run, people, rows, seed, place))
    return folder / "editor.safetensors", folder / "editor.json"


def _fit_editor(run: FinishedRun, people: People, rows: IntArray, seed: int, folder: Path) -> None:
    codes = people.codes[rows]
    write_table(people.images.iloc[rows].reset_index(drop=True), folder / "images.parquet")
    write_array(folder / "codes.bcolz", iter([codes]), codes.shape[1:], np.dtype(np.float32), len(codes))
    train_editor(
        run.config.attributes.editor,
        seed,
        run.compute,
        table=folder / "images.parquet",
        attributes=people.attributes,
        codes=folder / "codes.bcolz",
        generator_weights=run.generator[0],
        generator_card=run.generator[1],
        heads_weights=people.heads[0],
        heads_card=people.heads[1],
        weights=folder / "editor.safetensors",
        card=folder / "editor.json",
        checkpoint=folder / "checkpoint",
    )


def _observed(
    run: FinishedRun,
    people: People,
    embeddings: Floats,
    rows: Mapping[str, IntArray],
    pair: AttributeSchema,
    quick: bool,
    seed: int,
) -> dict[str, dict[str, float | None]]:
    """Retained information and the difference of false match rates of both attributes; None where there is
    none."""
    parts = {}
    for split, chosen in rows.items():
        known = people.images.iloc[chosen]
        parts[split] = Labelled(
            embeddings[chosen], known["identity"].to_numpy(object), pair.from_table(known)
        )
    test, calibration = parts["test"], parts["calibration"]
    count, n_boot = (99, 20) if quick else (PERMUTATIONS, BOOTSTRAP)
    permutations = draw_permutations(test.identities, count, seed)
    found: dict[str, dict[str, float]] = {}
    steps = min(PROBE_STEPS, run.config.recovery.probe_steps)
    settings = run.config.recovery.model_copy(update={"probe_steps": steps})
    for one in probed(pair, parts["train"], calibration, test, settings, seed):
        retained = retained_information(one, permutations, n_boot=n_boot, seed=seed)
        found[one.attribute.name] = {"retained": retained.interval.estimate, "retained_p": retained.p}
    impostors = impostor_pairs(calibration.embeddings, calibration.identities, seed=seed)
    tau = threshold_at_fmr(
        impostors.scores,
        FMR,
        n_identities=len(set(calibration.identities)),
        n_identity_pairs=identity_pairs(impostors),
    ).value
    compared = compare_images(test.embeddings, test.identities, tau, seed)
    draws = make_draws(compared.codes, compared.k, n_boot=n_boot, permutations=count, seed=seed)
    known_everywhere: dict[str, BoolArray] = {
        name: np.ones(len(test.embeddings), dtype=np.bool_) for name in pair.names
    }
    values = KnownValues(pair.from_table(people.images.iloc[rows["test"]]), known_everywhere)
    for attribute in pair:
        told = grouped_rates(pair, attribute, values, compared, draws).rows
        difference = next(
            row
            for row in told
            if (row["measure"], row["direction"]) == ("fmr_difference", "different_less_equal")
        )
        found[attribute.name] |= {"fmr_difference": difference["estimate"], "fmr_p": difference["p"]}
    return {name: {key: _or_none(value) for key, value in one.items()} for name, one in found.items()}


def _or_none(value: float) -> float | None:
    """JSON has no NaN, which stands for what cannot be told."""
    return float(value) if np.isfinite(value) else None


def named(part: Found) -> str:
    """The attribute with the larger decision effect."""
    return max(SEEN, key=lambda name: float(part["effects"][name]["effect"]))


def conclude(found: Mapping[str, Found]) -> dict[str, Any]:
    """Goals and tables of the row."""
    parts = [found[name] for name in sorted(found)]
    right = sum(named(part) == part["seen"] for part in parts)
    least = -(-LEAST_RIGHT * len(parts) // SEEDS)
    goals: list[Goal] = [
        {
            "goal": "the larger decision effect is that of the attribute that is seen, in at least "
            f"{least} of {len(parts)} seeds",
            "measured": f"{right} of {len(parts)}",
            "reached": right >= least,
        }
    ]
    truths = "; ".join(
        f"one that sees {name} by {part['truth'][name]:.3f}, the other attribute by "
        f"{part['truth'][OTHER[name]]:.4f}"
        for name in SEEN
        for part in [next(part for part in parts if part["seen"] == name)]
    )
    note = (
        "A recognizer here is what a network reads of one attribute, as a point on a circle or a sphere; the "
        "network has learned where both are independent. How far re-rendering by the dose really moves its "
        f"embeddings, mean of 1 − cos: {truths}. Both attributes are of the identity and go together with a "
        "correlation of 0.9 of their latent variables; poses and light are frontal. G is the shipped one; "
        f"heads were trained there once, an editor for every {SHARING} seeds."
    )
    return {"goals": goals, "tables": [_summary(parts), _listed(found)], "notes": [note]}


def _summary(parts: list[Found]) -> Table:
    """What each measure says of the attribute that is seen and of the other."""

    def p_below(kind: str, measure: str, seen: bool) -> str:
        listed = [part[kind][part["seen"] if seen else OTHER[part["seen"]]][measure] for part in parts]
        return str(sum(p is not None and p < FALSE_DISCOVERIES for p in listed))

    def larger(measure: str) -> str:
        told = [(part["observed"], part["seen"]) for part in parts]
        both = [(of[seen][measure] or 0.0, of[OTHER[seen]][measure] or 0.0) for of, seen in told]
        return str(sum(abs(one) > abs(other) for one, other in both))

    return {
        "caption": f"How many of {len(parts)} seeds: the attribute that is seen comes first (information in "
        "nats, differences by size); and each is significant at 0.05 (decision effects: q against placebo "
        "edits)",
        "columns": [
            "measure",
            "the seen one first",
            "the seen one significant",
            "the hidden one significant",
        ],
        "rows": [
            [
                "decision effect (interventional)",
                str(sum(named(part) == part["seen"] for part in parts)),
                p_below("effects", "q", True),
                p_below("effects", "q", False),
            ],
            [
                "retained information (observed)",
                larger("retained"),
                p_below("observed", "retained_p", True),
                p_below("observed", "retained_p", False),
            ],
            [
                "FMR of pairs that differ, less of equal ones (observed)",
                larger("fmr_difference"),
                p_below("observed", "fmr_p", True),
                p_below("observed", "fmr_p", False),
            ],
        ],
    }


def _listed(found: Mapping[str, Found]) -> Table:
    """Every seed, the attribute that is seen before the other in each cell."""
    rows = []
    for name in sorted(found):
        part, seen = found[name], found[name]["seen"]
        both = [part["effects"][one] | part["observed"][one] for one in (seen, OTHER[seen])]
        rows.append(
            [
                name,
                seen,
                *(" / ".join(_shown(one[key], form) for one in both) for key, form in _SHOWN.items()),
            ]
        )
    return {
        "caption": "Every seed: what is seen / what is hidden; p against placebo edits, the change that "
        "heads read over the one asked for, how far the other attribute that moved most did (in its "
        "deviations)",
        "columns": [
            "seed",
            "sees",
            "decision effect",
            "p",
            "achieved",
            "cross-talk",
            "retained, nats",
            "difference of FMR",
        ],
        "rows": rows,
    }


_SHOWN = {
    "effect": ".5f",
    "p": ".3f",
    "achieved": ".2f",
    "cross_talk": ".2f",
    "retained": ".3f",
    "fmr_difference": "+.4f",
}


def _shown(value: float | None, form: str) -> str:
    return "none" if value is None else f"{value:{form}}"
