"""Row "a planted gap between groups is found": recognizers that were taught without nearly all people of one
group, and random groupings of people for a clean one.

The groups are thirds, the darkest and the fairest of skin and of hair, one after the other by the seed's
number: both belong to the person, and recognizers of this world heed both. One in twenty of the group's
people stays in the training. Then the product's account of error rates by group, of all attributes, with 600
people of the run's split `train`, which these recognizers have never seen: more than the 160 of `test`, since
a group's FMR rests on pairs of its people. A recognizer may have a gap of its own (dark skin has some more
false matches); the clean one's stand on the page, and a group that is starved has to be worse nevertheless.

What is to be expected: the loss pushes people apart whom it sees. Nobody has pushed the starved group's
people apart, so the recognizer has no use for what tells them from each other, and strangers of the group
look alike: their FMR rises. What one person's images have in common may suffer or not: they lie in a region
that the network has not spread, so genuine scores may even rise, and FNMR has no sure sign. So the test is
that of the difference in FMR; FNMR stands beside it.

Found is the gap where the product calls that difference significant, q below 0.05 among all differences in
FMR of the table, and the starved group's FMR is the higher one. A false alarm is a random grouping that the
product calls significant in the same way, beside all attributes of the table of the clean recognizer,
whichever sign it has.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema, KnownValues
from attribute_recovery.dataset.store import rows_of
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.recovery.measure import without_nan
from attribute_recovery.significance.group_table import SIGNIFICANT, group_table
from attribute_recovery.significance.groups import Compared, compare_images, grouped_rates, make_draws
from attribute_recovery.statistics.discovery import benjamini_hochberg
from attribute_recovery.training.device import prepare_torch
from benchmarks.validation.faults.trained import (
    Names,
    Taught,
    images_of,
    rates_of,
    seed_of,
    settings_of,
    taught_with,
    trained_on,
)
from benchmarks.validation.finished_run import FinishedRun, finished_run
from benchmarks.validation.outcome import Chunk, Found, Goal, Table

SEEDS, LEAST_FOUND = 20, 18
GROUPINGS, PER_CHUNK, MOST_ALARMS = 1000, 100, 0.05
# The starved groups in turn.
GROUPS = (("skin_tone", "low"), ("skin_tone", "high"), ("hair_lightness", "low"), ("hair_lightness", "high"))
# One in so many of the starved group stays in the training.
STAYS = 20
# Of the run's split `train`, which these recognizers do not learn from; each has the split's images.
PEOPLE = 600
CONTRAST = "high_less_low"
RATES = ("fmr", "fnmr")
RANDOM = Attribute("drawn", "label", "binary", "identity", "", categories=("off", "on"), editable=False)
RANDOM_CONTRAST = "on_less_off"
# Of random groupings p alone is read, which rests on permutations.
NO_INTERVALS = 10


@dataclass(frozen=True)
class HeldOut:
    """People that the recognizers are tested with: n images.

    Attributes:
        people: who is seen, (n,).
        values: true attributes, all of them known.
        compared: their pairs and the wrong decisions among them.
    """

    people: Names
    values: KnownValues
    compared: Compared


def plan(quick: bool, seed: int) -> dict[str, Chunk]:
    """The chunks of the row by name: the clean recognizer's table, one starved recognizer each, then random
    groupings for the clean one.

    Raises:
        ValueError: The run that the row stands on is not finished.
    """
    run = finished_run()
    seeds, groupings, each = (2, 8, 4) if quick else (SEEDS, GROUPINGS, PER_CHUNK)
    common: Chunk = {"run": run.digest, "quick": quick, "seed": seed}
    chunks: dict[str, Chunk] = {"clean": common | {"kind": "clean"}}
    chunks |= {
        f"starved-{number:02d}": common | {"kind": "starved", "number": number} for number in range(seeds)
    }
    return chunks | {
        f"random-{first:04d}": common | {"kind": "random", "first": first, "count": each}
        for first in range(0, groupings, each)
    }


def work(chunk: Chunk) -> Found:
    """Differences between groups for one recognizer.

    Raises:
        ValueError: The run has changed, or a file of it is missing or damaged.
    """
    run = finished_run(chunk["run"])
    device = prepare_torch(run.compute)
    taught = taught_with(run)
    number = chunk.get("number", 0)
    seed = seed_of(run, chunk["seed"], number)
    kept = np.ones(len(taught.people), dtype=np.bool_)
    if chunk["kind"] == "starved":
        kept = ~starved(run.schema, taught, *GROUPS[number % len(GROUPS)], seed)
    recognizer = trained_on(
        run,
        taught.images[kept],
        taught.people[kept],
        settings=settings_of(chunk["quick"]),
        seed=seed,
        device=device,
    )
    rates = rates_of(run, recognizer)
    held_out = held_out_of(run, recognizer, rates.tau)
    found: Found = {"kind": chunk["kind"], "rates": asdict(rates), "people": len(set(held_out.people))}
    if chunk["kind"] == "random":
        found["drawn"] = without_nan(_random(run, held_out, chunk))
        return found
    found |= {"number": number, "taught": len(set(taught.people[kept]))}
    found["rows"] = without_nan(_all_rows(run, held_out, seed))
    return found


def starved(
    schema: AttributeSchema, taught: Taught, name: str, side: str, seed: int
) -> npt.NDArray[np.bool_]:
    """Images (n,) of the people who are left out: those of the lowest or highest third of an attribute of the
    identity, all but one in `STAYS`, drawn by seed."""
    names, first, place = np.unique(taught.people.astype(str), return_index=True, return_inverse=True)
    value = taught.encoded[first, schema.slices[name].start]
    ends = np.quantile(value, [1 / 3, 2 / 3])
    group = np.flatnonzero(value <= ends[0] if side == "low" else value >= ends[1])
    lot = np.random.default_rng([seed, 6]).permutation(group)
    out = np.zeros(len(names), dtype=np.bool_)
    out[lot[-(-len(group) // STAYS) :]] = True
    return out[place]


def held_out_of(run: FinishedRun, recognizer: Recognizer, tau: float) -> HeldOut:
    """The first people of the run's split `train`, all their images compared."""
    table, schema = run.images(), run.schema
    rows = rows_of(table, "train")
    everybody = table["identity"].iloc[rows].to_numpy(object)
    rows = rows[np.isin(everybody, list(dict.fromkeys(everybody))[:PEOPLE])]
    chosen = table.iloc[rows]
    people = chosen["identity"].to_numpy(object)
    values = schema.from_table(chosen)
    known = {name: np.ones(len(rows), dtype=np.bool_) for name in values}
    compared = compare_images(recognizer.embed_batches(images_of(run, rows)), people, tau, run.config.seed)
    return HeldOut(people, KnownValues(values, known), compared)


def _all_rows(run: FinishedRun, held_out: HeldOut, seed: int) -> list[dict[str, Any]]:
    """The product's differences of all attributes, with q."""
    settings, compared = run.config.significance, held_out.compared
    draws = make_draws(
        compared.codes, compared.k, n_boot=settings.bootstrap, permutations=settings.permutations, seed=seed
    )
    found = [
        grouped_rates(run.schema, attribute, held_out.values, compared, draws) for attribute in run.schema
    ]
    table = group_table(run.recognizer, run.schema, [row for one in found for row in one.rows])
    names = [rate + ending for rate in RATES for ending in ("", "_difference")]
    columns = ["attribute", "measure", "direction", "estimate", "low", "high", "p", "q"]
    kept = table[table["measure"].isin(names)][columns]
    return [{str(key): value for key, value in row.items()} for row in kept.to_dict("records")]


def _random(run: FinishedRun, held_out: HeldOut, chunk: Chunk) -> list[dict[str, float]]:
    """p of the differences between two random halves of the people, by measure and contrast, of each one;
    each with permutations of its own."""
    settings, compared = run.config.significance, held_out.compared
    schema, known = AttributeSchema((RANDOM,)), {RANDOM.name: np.ones(len(held_out.people), dtype=np.bool_)}
    found = []
    for number in range(chunk["first"], chunk["first"] + chunk["count"]):
        seed = seed_of(run, chunk["seed"], 0) + 1_000_000 + number
        halves = np.random.default_rng([seed, 7]).permutation(compared.k) % 2
        values = KnownValues({RANDOM.name: halves[compared.codes]}, known)
        draws = make_draws(
            compared.codes,
            compared.k,
            n_boot=NO_INTERVALS,
            permutations=settings.permutations,
            seed=seed,
        )
        rows = grouped_rates(schema, RANDOM, values, compared, draws).rows
        found.append(
            {
                f"{row['measure']} {row['direction']}": float(row["p"])
                for row in rows
                if row["measure"].endswith("_difference")
            }
        )
    return found


def row_of(rows: list[dict[str, Any]], measure: str, attribute: str, direction: str) -> dict[str, Any]:
    """One row of the long table."""
    wanted = (measure, attribute, direction)
    return next(row for row in rows if (row["measure"], row["attribute"], row["direction"]) == wanted)


def is_found(part: Found) -> bool:
    """Whether the starved group's FMR is significantly the higher one."""
    name, side = GROUPS[part["number"] % len(GROUPS)]
    row = row_of(part["rows"], "fmr_difference", name, CONTRAST)
    if row["q"] is None:
        return False
    worse = row["estimate"] > 0 if side == "high" else row["estimate"] < 0
    return bool(worse and row["q"] < SIGNIFICANT)


def alarms_of(rows: list[dict[str, Any]], drawn: list[dict[str, float | None]], rate: str) -> list[bool]:
    """Whether the product calls each random grouping's difference significant, in the table of all
    attributes.

    Args:
        rows: of that table.
        drawn: p of each grouping's differences, by measure and contrast.
        rate: "fmr" or "fnmr".
    """
    measure = f"{rate}_difference"
    beside = [_number(row["p"]) for row in rows if row["measure"] == measure]
    alarms = []
    for one in drawn:
        own = {name: _number(p) for name, p in one.items() if name.startswith(f"{measure} ")}
        q = benjamini_hochberg([*own.values(), *beside])
        alarms.append(bool(q[list(own).index(f"{measure} {RANDOM_CONTRAST}")] < SIGNIFICANT))
    return alarms


def _number(p: float | None) -> float:
    return np.nan if p is None else p


def conclude(found: Mapping[str, Found]) -> dict[str, Any]:
    """Goals and tables of the row."""
    parts = sorted((part for part in found.values() if part["kind"] == "starved"), key=lambda p: p["number"])
    clean = next(part for part in found.values() if part["kind"] == "clean")
    drawn = [one for part in found.values() if part["kind"] == "random" for one in part["drawn"]]
    count, n = sum(map(is_found, parts)), len(parts)
    least = -(-LEAST_FOUND * n // SEEDS)
    goals: list[Goal] = [
        {
            "goal": f"the starved group's FMR is higher, q below {SIGNIFICANT:g}, in at least {least} of {n} "
            "seeds",
            "measured": f"{count} of {n}",
            "reached": count >= least,
        }
    ]
    for rate in RATES:
        share = float(np.mean(alarms_of(clean["rows"], drawn, rate)))
        goals.append(
            {
                "goal": f"false alarms in {rate.upper()}, q below {SIGNIFICANT:g}, in at most "
                f"{100 * MOST_ALARMS:g} % of {len(drawn):,} random groupings",
                "measured": f"{100 * share:.1f} %",
                "reached": share <= MOST_ALARMS,
            }
        )
    tables = [_by_seed(parts), _of_clean(clean), _of_drawn(clean, drawn)]
    return {"goals": goals, "tables": tables, "notes": [_note(clean, parts)]}


def _note(clean: Found, parts: list[Found]) -> str:
    taught = sorted({part["taught"] for part in parts})
    return (
        f"The starved recognizers have learned from {taught[0]} to {taught[-1]} people, the clean one from "
        f"{clean['taught']}; all are tested with {clean['people']} people whom none of them has seen, at τ "
        "of FMR 1e-3. What was expected before: nobody has pushed the starved group's people apart, so "
        "strangers of the group look alike and FMR rises, while FNMR has no sure sign; so the test is that "
        "of FMR. A difference is significant where q, over all differences in FMR of all attributes, is "
        f"below {SIGNIFICANT:g}, and so is a false alarm: the random grouping is put beside all attributes "
        "of the clean recognizer. Its p is uniform where nothing is, so that its share below 0.05 scatters "
        "around 5 % by 0.7 from one set of 1,000 groupings to the next."
    )


def _by_seed(parts: list[Found]) -> Table:
    rows = []
    for part in parts:
        name, side = GROUPS[part["number"] % len(GROUPS)]
        cells = [str(part["number"]), f"{name} {side}", f"{part['rates']['tar']:.2f}"]
        for rate in RATES:
            cells += _both(part["rows"], rate, name, side)
        rows.append([*cells, "yes" if is_found(part) else "**no**"])
    return {
        "caption": "Error rates in % of the starved third and of the other outer third, with q of their "
        "difference",
        "columns": [
            "seed",
            "starved",
            "TAR of all",
            "FMR, starved",
            "other",
            "q",
            "FNMR, starved",
            "other",
            "q",
            "found",
        ],
        "rows": rows,
    }


def _both(rows: list[dict[str, Any]], rate: str, name: str, side: str) -> list[str]:
    """Rates of one group and of its opposite, and q of the difference."""
    other = "low" if side == "high" else "high"
    q = row_of(rows, f"{rate}_difference", name, CONTRAST)["q"]
    shown = [f"{100 * row_of(rows, rate, name, each)['estimate']:.2f}" for each in (side, other)]
    return [*shown, "not testable" if q is None else f"{q:.4f}"]


def _of_clean(clean: Found) -> Table:
    rows = []
    for name in dict.fromkeys(name for name, _ in GROUPS):
        cells = [name]
        for rate in RATES:
            cells += _both(clean["rows"], rate, name, "low")
        rows.append(cells)
    return {
        "caption": f"The same of the clean recognizer, TAR {clean['rates']['tar']:.2f}: what the groups "
        "differ in though none was starved",
        "columns": ["attribute", "FMR, low", "high", "q", "FNMR, low", "high", "q"],
        "rows": rows,
    }


def _of_drawn(clean: Found, drawn: list[dict[str, float | None]]) -> Table:
    alarms = {f"{rate}_difference {RANDOM_CONTRAST}": alarms_of(clean["rows"], drawn, rate) for rate in RATES}
    rows = []
    for name in dict.fromkeys(name for one in drawn for name in one):
        p = np.array([_number(one.get(name)) for one in drawn])
        known = p[np.isfinite(p)]
        called = f"{100 * np.mean(alarms[name]):.1f}" if name in alarms else "not asked"
        share = f"{100 * np.mean(known < 0.05):.1f}" if len(known) else "not testable"
        rows.append([name.replace("_", " "), str(len(known)), share, called])
    return {
        "caption": "Random halves of the people, with the clean recognizer: in how many % p and q are below "
        "0.05",
        "columns": ["difference", "testable", "p below 0.05", "q below 0.05"],
        "rows": rows,
    }
