"""Row "intervals cover": 2,000 draws of few and many people, every interval of the product, against what each
should hold."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from attribute_recovery.recovery.routes import gains
from attribute_recovery.significance.shares import Sums, share_of, sums_by_identity
from attribute_recovery.statistics.bootstrap import Interval, identity_weights
from attribute_recovery.statistics.inputs import FloatArray, IntArray
from benchmarks.validation.intervals import measures
from benchmarks.validation.intervals.measures import (
    ABSENT,
    ATTACK_VARIANCE,
    BY_IMAGE,
    CLASSES,
    COVERED,
    DISTANCES,
    FAINTER,
    FAR,
    LESS_MOVED,
    MIXED,
    MOST_IN_PAIRS,
    MOVED,
    NEAR,
    OTHER_DISTANCES,
    SHADE_BY_IMAGE,
    Options,
    compared,
    frozen,
)
from benchmarks.validation.intervals.worlds import Labelled, Rng, freeze, images_of
from benchmarks.validation.outcome import Chunk, Found, Goal, Table

PEOPLE = (10, 20, 40, 100)
DRAWS, PER_CHUNK, REPLICATES = 2000, 50, 500
# People whose figures stand for the truth where it has no closed form.
TRUTH_BLOCKS, TRUTH_PEOPLE, SHARE_PEOPLE = 240, 250, 200_000
LOWEST, HIGHEST = 0.93, 0.97
WORLDS: tuple[Callable[[Rng, int, Options], dict[str, Interval | None]], ...] = (
    measures.readouts,
    measures.effects,
    measures.flips,
    measures.rates,
)
# What the read-out of an attribute that is not there, or not the person's, must not claim.
ZERO = ("retained information, absent", "identity share, by image", "identity share, shade by image")
FITTED_ON = (25, 100, 400, 1600)


def plan(quick: bool, seed: int) -> dict[str, Chunk]:
    """The chunks of the row by name."""
    draws, per_chunk = (8, 4) if quick else (DRAWS, PER_CHUNK)
    chunks: dict[str, Chunk] = {}
    blocks = 2 if quick else TRUTH_BLOCKS
    for start in range(0, blocks, 20):
        chunks[f"truth-{start:03d}"] = {
            "kind": "truth",
            "first": start,
            "blocks": min(20, blocks - start),
            "people": 40 if quick else TRUTH_PEOPLE,
            "seed": seed,
        }
    chunks["shares"] = {"kind": "shares", "people": 2000 if quick else SHARE_PEOPLE, "seed": seed}
    chunks["fits"] = {"kind": "fits", "seeds": 2 if quick else 40, "seed": seed}
    for people in PEOPLE[:2] if quick else PEOPLE:
        for start in range(0, draws, per_chunk):
            chunks[f"draws-{people:03d}-{start:04d}"] = {
                "kind": "draws",
                "people": people,
                "first": start,
                "draws": per_chunk,
                "replicates": 60 if quick else REPLICATES,
                "seed": seed,
            }
    return chunks


def work(chunk: Chunk) -> Found:
    """One chunk."""
    kinds = {"truth": _truth, "shares": _shares, "fits": _fits, "draws": _draws}
    return kinds[chunk["kind"]](chunk)


def _draws(chunk: Chunk) -> Found:
    """Estimate and ends of every measure, a list by measure; null where an interval is not defined."""
    found: dict[str, list[list[float] | None]] = {}
    for number in range(chunk["first"], chunk["first"] + chunk["draws"]):
        options = Options(chunk["replicates"], number)
        rng = np.random.default_rng([chunk["seed"], chunk["people"], number, 1])
        for world in WORLDS:
            for name, interval in world(rng, chunk["people"], options).items():
                defined = interval is not None and np.isfinite([interval.low, interval.high]).all()
                ends = [interval.estimate, interval.low, interval.high] if interval and defined else None
                found.setdefault(name, []).append(ends)
        for name, faulty in _faulty(rng, chunk["people"], options).items():
            found.setdefault(name, []).append(faulty)
    return {"people": chunk["people"], "intervals": found}


def _faulty(rng: Rng, k: int, options: Options) -> dict[str, list[float]]:
    """Intervals that the product does not make: pairs or images resampled; people resampled and not
    recentred, copies of one person taken for impostors; and the plain quantiles of the right replicates."""
    codes = images_of(rng, k, MOST_IN_PAIRS)
    pairs = compared(DISTANCES, rng, codes)
    apart = ~pairs.genuine
    accepted = (pairs.distance[apart] <= FAR).astype(np.float64)
    rate, n = float(accepted.mean()), len(accepted)
    of_pairs = rng.binomial(n, rate, size=options.n_boot) / n
    weights = np.concatenate(list(identity_weights(k, options.n_boot, options.seed, 256)))
    hits = _by_pair(pairs.a[apart], pairs.b[apart], accepted, k)
    counts = _by_pair(pairs.a[apart], pairs.b[apart], np.ones(n), k)
    top, bottom = (np.einsum("rk,rk->r", weights @ each, weights) for each in (hits, counts))
    plain = top / bottom
    # A copy of a person against the original: all their images, each also against itself.
    images = np.bincount(codes, minlength=k).astype(np.float64)
    own = _by_pair(pairs.a[~apart], pairs.b[~apart], (pairs.distance[~apart] <= FAR).astype(np.float64), k)
    own_hits = np.diag(own) + images
    copies = weights * (weights - 1)
    with_copies = (top + copies @ own_hits) / (bottom + copies @ images**2)
    z, a = MIXED.draw(rng, codes)
    known = frozen(MIXED).recovered(z, a)
    gain = gains(known.forecast, known.truth, known.marginal)
    rows = rng.integers(len(gain), size=(options.n_boot, len(gain)))
    sums = np.bincount(codes, gain, minlength=k)
    return {
        "FMR: pairs resampled": _quantiles(rate, of_pairs),
        "FMR: people resampled, copies as impostors, not recentred": _quantiles(rate, with_copies),
        "FMR: people resampled, recentred, plain quantiles": _quantiles(rate, plain + rate - plain.mean()),
        "retained information: images resampled": _quantiles(gain.mean(), gain[rows].mean(axis=1)),
        "retained information: people resampled, plain quantiles": _quantiles(
            gain.mean(), (weights @ sums) / (weights @ images)
        ),
    }


def _by_pair(a: IntArray, b: IntArray, values: FloatArray, k: int) -> FloatArray:
    """Sums by pair of people, (k, k), each pair in both orders."""
    upper = np.bincount(a * k + b, weights=values, minlength=k * k).reshape(k, k)
    return np.asarray(upper + upper.T, dtype=np.float64)


def _quantiles(estimate: float, replicates: FloatArray) -> list[float]:
    return [float(estimate), *map(float, np.quantile(replicates, [0.025, 0.975]))]


def _truth(chunk: Chunk) -> Found:
    """Sums of net flips and pairs over many people, direction by direction."""
    sums: dict[str, list[float]] = {}
    for block in range(chunk["first"], chunk["first"] + chunk["blocks"]):
        rng = np.random.default_rng([chunk["seed"], block, 2])
        for name, changes in measures.flipped(rng, images_of(rng, chunk["people"], MOST_IN_PAIRS)).items():
            total = sums.setdefault(name, [0.0, 0.0])
            total[0] += float(changes.net.sum())
            total[1] += len(changes.net)
    return {"flips": sums}


def _shares(chunk: Chunk) -> Found:
    """Identity shares of discrete attributes over many people: a mean of others' forecasts has no closed
    form."""
    found = {}
    for number, of in enumerate((CLASSES, BY_IMAGE)):
        rng = np.random.default_rng([chunk["seed"], number, 3])
        parts: list[Sums] = []
        for _ in range(max(1, chunk["people"] // 2000)):
            codes = images_of(rng, min(2000, chunk["people"]))
            parts.append(sums_by_identity(frozen(of).recovered(*of.draw(rng, codes)), codes))
        both = np.mean([part.parts(np.ones(min(2000, chunk["people"]))) for part in parts], axis=0)
        found[of.name] = share_of(float(both[0]), float(both[1]))
    return {"shares": found}


def _fits(chunk: Chunk) -> Found:
    """Distance of what read-outs give over all people to the closed form, by how many people they were
    fitted to."""
    rows = []
    for people in FITTED_ON:
        row: dict[str, float] = {"people": people}
        for of in (MIXED, CLASSES):
            fits = [freeze(of, people, 1000 + chunk["seed"] + number) for number in range(chunk["seeds"])]
            key = f"information, {of.name}"
            row[key] = _mean_distance([fit.information() for fit in fits], of.information())
            if of.kind == "continuous":
                row["share, mixed"] = _mean_distance([fit.share() for fit in fits], of.share())
        rows.append(row)
    return {"fits": rows}


def _mean_distance(values: list[float], truth: float) -> float:
    return float(np.mean(np.abs(np.array(values) - truth)))


def truths(found: Mapping[str, Found]) -> dict[str, float]:
    """What each interval should hold."""
    flips: dict[str, FloatArray] = {}
    shares: dict[str, float] = {}
    for part in found.values():
        for name, sums in part.get("flips", {}).items():
            flips[name] = flips.get(name, np.zeros(2)) + np.array(sums)
        shares |= part.get("shares", {})
    fixed = {name: frozen(name) for name in (MIXED, FAINTER, CLASSES, BY_IMAGE, ABSENT)}
    known = {
        f"retained information, {of.name}": fixed[of].information()
        for of in (MIXED, CLASSES, BY_IMAGE, ABSENT)
    }
    known["coverage of forecasts"] = fixed[MIXED].coverage(COVERED)
    known |= {f"identity share, {of.name}": frozen(of).share() for of in (MIXED, SHADE_BY_IMAGE)}
    known |= {f"identity share, {name}": share for name, share in shares.items()}
    known["difference of retained information"] = _less(MIXED, FAINTER, lambda one: frozen(one).information())
    known["difference of identity shares"] = _less(MIXED, FAINTER, lambda one: frozen(one).share())
    known["decision effect"] = MOVED.effect()
    known["difference of decision effects"] = MOVED.effect() - LESS_MOVED.effect()
    known |= {name: float(sums[0] / sums[1]) for name, sums in flips.items()}
    # Rebuilt twice with the same kind of noise: flips either way are equally likely.
    known |= dict.fromkeys((name for name in flips if name.endswith("no effect")), 0.0)
    for name, reach in (("TAR", FAR), ("TAR", measures.FARTHER), ("FMR", NEAR), ("FMR", FAR)):
        rate = DISTANCES.tar(reach) if name == "TAR" else DISTANCES.fmr(reach)
        known[f"{name} of {rate:.2g}"] = rate
    known["difference of TAR"] = DISTANCES.tar(FAR) - OTHER_DISTANCES.tar(FAR)
    known["difference of FMR"] = DISTANCES.fmr(FAR) - OTHER_DISTANCES.fmr(FAR)
    known["ratio of TAR"] = DISTANCES.tar(FAR, ATTACK_VARIANCE) / DISTANCES.tar(FAR)
    for name in FAULTY:
        known[name] = DISTANCES.fmr(FAR) if name.startswith("FMR") else fixed[MIXED].information()
    return known


FAULTY = (
    "FMR: pairs resampled",
    "FMR: people resampled, copies as impostors, not recentred",
    "FMR: people resampled, recentred, plain quantiles",
    "retained information: images resampled",
    "retained information: people resampled, plain quantiles",
)


def _less(one: Labelled, other: Labelled, value: Callable[[Labelled], float]) -> float:
    return value(one) - value(other)


def conclude(found: Mapping[str, Found]) -> dict[str, Any]:
    """Goals and tables of the row."""
    known = truths(found)
    ends: dict[str, dict[int, list[list[float] | None]]] = {}
    for part in found.values():
        for name, listed in part.get("intervals", {}).items():
            ends.setdefault(name, {}).setdefault(part["people"], []).extend(listed)
    people = sorted({k for by_people in ends.values() for k in by_people})
    own = [name for name in ends if name not in FAULTY]
    two_sided = [name for name in own if name not in ZERO]
    covered = {name: [_covered(ends[name][k], known[name]) for k in people] for name in ends}
    one_sided = {name: [_not_above_zero(ends[name][k]) for k in people] for name in ZERO}
    goals: list[Goal] = []
    for name in two_sided:
        least, most = min(covered[name]), max(covered[name])
        goals.append(
            {
                "goal": f"{name}: 93 to 97 %",
                "measured": f"{_percent(least)} to {_percent(most)} %",
                "reached": bool(least >= LOWEST and most <= HIGHEST),
            }
        )
    for name in ZERO:
        goals.append(
            {
                "goal": f"{name}, true value 0: at least 95 % do not claim more",
                "measured": f"{_percent(min(one_sided[name]))} %",
                "reached": bool(min(one_sided[name]) >= 0.95),
            }
        )
    return {"goals": goals, "tables": _tables(found, known, covered, one_sided, ends, people, own)}


def _covered(listed: list[list[float] | None], truth: float) -> float:
    held = [one[1] <= truth <= one[2] for one in listed if one is not None]
    return float(np.mean(held)) if held else float("nan")


def _not_above_zero(listed: list[list[float] | None]) -> float:
    return float(np.mean([one[1] <= 0 for one in listed if one is not None]))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _tables(
    found: Mapping[str, Found],
    known: Mapping[str, float],
    covered: Mapping[str, list[float]],
    one_sided: Mapping[str, list[float]],
    ends: Mapping[str, Mapping[int, list[list[float] | None]]],
    people: list[int],
    own: list[str],
) -> list[Table]:
    heads = [f"{k} people" for k in people]
    draws = max(len(listed) for listed in ends[own[0]].values())

    def rows(names: list[str]) -> list[list[str]]:
        return [[name, f"{known[name]:.4g}", *map(_percent, covered[name])] for name in names]

    undefined = [
        [name, *(str(sum(one is None for one in ends[name][k])) for k in people)]
        for name in own
        if any(one is None for k in people for one in ends[name][k])
    ]
    fits = next(part["fits"] for part in found.values() if "fits" in part)
    keys = [key for key in fits[0] if key != "people"]
    tables: list[Table] = [
        {
            "caption": f"Of {draws:,} intervals at 95 %, how many % hold the truth of the frozen read-out",
            "columns": ["measure", "truth", *heads],
            "rows": rows(own),
        },
        {
            "caption": "True value 0: how many % of the intervals do not lie above it",
            "columns": ["measure", *heads],
            "rows": [[name, *map(_percent, shares)] for name, shares in one_sided.items()],
        },
        {
            "caption": "Faulty ways, for comparison: how many % hold the truth",
            "columns": ["way", "truth", *heads],
            "rows": rows([name for name in FAULTY if name in ends]),
        },
        {
            "caption": "Mean distance of the frozen read-out's truth to the closed form",
            "columns": ["fitted to people", *keys],
            "rows": [[str(row["people"]), *(f"{row[key]:.2g}" for key in keys)] for row in fits],
        },
    ]
    if undefined:
        tables.append(
            {
                "caption": f"Draws out of {draws:,} without an interval (no such pairs, or too few people)",
                "columns": ["measure", *heads],
                "rows": undefined,
            }
        )
    return tables
