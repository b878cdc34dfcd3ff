"""Row "nothing is found where nothing is", its statistical half: attributes drawn independently of Gaussian
embeddings, read out as the product reads them, tested as the product tests them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from scipy.special import expit
from scipy.stats import kstest

from attribute_recovery.dataset.attributes import Attribute
from attribute_recovery.recovery.forecast import Marginal, continuous_marginal, discrete_marginal
from attribute_recovery.recovery.routes import (
    ContinuousForecast,
    DiscreteForecast,
    Forecast,
    calibrated,
    gains,
)
from attribute_recovery.significance.differences import Figure, Key, difference_rows
from attribute_recovery.significance.forecasts import Recovered
from attribute_recovery.significance.identity import identity_shares
from attribute_recovery.significance.permuted import draw_permutations
from attribute_recovery.significance.retained import retained_information
from attribute_recovery.statistics.discovery import benjamini_hochberg
from attribute_recovery.statistics.inputs import FloatArray, IntArray
from attribute_recovery.statistics.linear import fit_logistic, fit_ridge, fit_standardiser
from attribute_recovery.statistics.paired import ratio_of_sums
from benchmarks.validation.intervals.worlds import Frozen, Labelled, Rng, freeze, images_of
from benchmarks.validation.outcome import Chunk, Found, Goal, Table

SEEDS, PER_CHUNK, PERMUTATIONS = 200, 4, 1999
PEOPLE, MOST, DIMENSIONS, CLUSTERED = 60, 5, 16, 0.6
PENALTY, FALSE_DISCOVERIES = 1e-2, 0.05
MOST_SEEDS, LEAST_P = 15, 0.01
# Of the p-values that need not be uniform, at or below 0.05.
MOST_LOW = 0.05
# Of each level and kind.
COPIES = 2
MEASURES = ("retained information", "identity share", "difference of retained information")
# What two recognizers see alike, and how many people its read-out was fitted to.
EQUALLY_SEEN = (
    Labelled("continuous", "continuous", 1.0),
    Labelled("binary by person", "binary", 1.0, 1.0),
    Labelled("binary by image", "binary", 1.0, 0.0),
)
FITTED_TO, FITTED_SEED = 200, 7
FLIPS = "difference of retained information, equally good recognizers"
FLIPS_OF_NOTHING = "flips of sign between read-outs of nothing"


def attributes() -> Iterator[Attribute]:
    """Attributes of every level, continuous and binary."""
    for number in range(COPIES):
        yield Attribute(f"shade_{number}", "appearance", "continuous", "identity", "", range=(-9.0, 9.0))
        yield Attribute(f"light_{number}", "appearance", "continuous", "image", "", range=(-9.0, 9.0))
        yield Attribute(f"length_{number}", "appearance", "continuous", "mixed", "", range=(-9.0, 9.0))
        yield Attribute(f"mole_{number}", "appearance", "binary", "identity", "", categories=("off", "on"))
        yield Attribute(f"hat_{number}", "appearance", "binary", "image", "", categories=("off", "on"))
        yield Attribute(f"beard_{number}", "appearance", "binary", "mixed", "", categories=("off", "on"))


def plan(quick: bool, seed: int) -> dict[str, Chunk]:
    """The chunks of the row by name."""
    seeds, per_chunk = (2, 1) if quick else (SEEDS, PER_CHUNK)
    return {
        f"seeds-{start:03d}": {
            "first": start,
            "seeds": per_chunk,
            "permutations": 99 if quick else PERMUTATIONS,
            "seed": seed,
        }
        for start in range(0, seeds, per_chunk)
    }


def work(chunk: Chunk) -> Found:
    """p-values by scheme and discoveries by measure of each seed."""
    seeds = []
    for number in range(chunk["first"], chunk["first"] + chunk["seeds"]):
        seeds.append(_one_seed(np.random.default_rng([chunk["seed"], number, 4]), number, chunk))
    return {"seeds": seeds}


def _one_seed(rng: Rng, number: int, chunk: Chunk) -> dict[str, Any]:
    # People to learn from, to calibrate on and to measure: nobody is in two of the splits.
    splits = [images_of(rng, PEOPLE, MOST) for _ in range(3)]
    train, _, codes = splits
    declared = list(attributes())
    values = [[_values(rng, each, split) for split in splits] for each in declared]
    recognizers = [[_embeddings(rng, split) for split in splits] for _ in range(2)]
    one, other = (
        [_read(each, z, of_splits, train) for each, of_splits in zip(declared, values, strict=True)]
        for z in recognizers
    )
    drawn = draw_permutations(codes, chunk["permutations"], number)
    retained, of_other = (
        [retained_information(each, drawn, n_boot=20, seed=number) for each in read] for read in (one, other)
    )
    shares = identity_shares(one, drawn, [0.0] * len(one), n_boot=20, seed=number)
    names = [each.name for each in declared]
    figures = {
        name: _figures(read, codes, dict(zip(names, (each.p for each in own), strict=True)))
        for name, read, own in (("one", one, retained), ("other", other, of_other))
    }
    differences = _p_of_differences(figures, chunk["permutations"], number)
    untested = {
        name: {key: replace(figure, p=math.nan) for key, figure in found.items()}
        for name, found in figures.items()
    }
    schemes = {FLIPS: _p_of_equals(rng, codes, chunk["permutations"], number)}
    of_nothing = _p_of_differences(untested, chunk["permutations"], number)
    for measure, found in (("retained information", retained), ("identity share", shares)):
        for each in found:
            for scheme, p in each.p_by_scheme.items():
                schemes.setdefault(f"{measure}, {scheme}", []).append(p)
    tested = ([each.p for each in retained], [each.p for each in shares], differences)
    discoveries = {
        measure: int(np.count_nonzero(benjamini_hochberg(p) < FALSE_DISCOVERIES))
        for measure, p in zip(MEASURES, tested, strict=True)
    }
    kept = {name: [p for p in found if np.isfinite(p)] for name, found in schemes.items()}
    return {"discoveries": discoveries, "p": kept, "difference": differences, "of_nothing": of_nothing}


def _embeddings(rng: Rng, codes: IntArray) -> FloatArray:
    person = rng.standard_normal((PEOPLE, DIMENSIONS))[codes]
    image = rng.standard_normal((len(codes), DIMENSIONS))
    return np.asarray(np.sqrt(CLUSTERED) * person + np.sqrt(1 - CLUSTERED) * image)


def _values(rng: Rng, attribute: Attribute, codes: IntArray) -> FloatArray:
    between = {"identity": 1.0, "image": 0.0, "mixed": 0.5}[attribute.level]
    person, image = rng.standard_normal(PEOPLE)[codes], rng.standard_normal(len(codes))
    latent = np.sqrt(between) * person + np.sqrt(1 - between) * image
    return (latent > 0).astype(np.float64) if attribute.is_discrete else np.asarray(latent)


def _read(
    attribute: Attribute, z: Sequence[FloatArray], a: Sequence[FloatArray], train: IntArray
) -> Recovered:
    """A read-out fitted to other people's embeddings and labels, calibrated on yet others, as the product's
    probe; embeddings and labels are those of the three splits, identities those of the first."""
    standardise = fit_standardiser(z[0])
    x, new = standardise(z[0]), standardise(np.concatenate(z[1:]))
    truth, held = np.concatenate(a[1:]), np.arange(len(new)) < len(a[1])
    raw: Forecast
    marginal: Marginal
    if attribute.is_discrete:
        read = fit_logistic(x, a[0].astype(np.int64), 2, PENALTY)(new)
        on = expit(read[:, 1] - read[:, 0])
        raw, marginal = DiscreteForecast(np.stack([1 - on, on], axis=1)), discrete_marginal(a[0], 2)
        truth = truth.astype(np.int64)
    else:
        readout = fit_ridge(x, a[0][:, None], PENALTY)
        sd = float(np.std(a[0] - readout(x)[:, 0]))
        raw = ContinuousForecast(readout(new)[:, 0], np.full(len(new), sd))
        marginal = continuous_marginal(attribute.name, a[0], train)
    return Recovered(attribute, "probe", calibrated(raw, truth, held, marginal).part(~held), a[2], marginal)


def _figures(read: Sequence[Recovered], codes: IntArray, p: Mapping[str, float]) -> dict[Key, Figure]:
    """Retained information of each attribute, with p of there being none."""
    counts = np.bincount(codes).astype(np.float64)
    people = tuple(str(code) for code in range(len(counts)))
    return {
        ("retained_information", one.attribute.name, ""): Figure(
            ratio_of_sums(np.bincount(codes, gains(one.forecast, one.truth, one.marginal)), counts),
            people,
            len(codes),
            over_pairs=False,
            p=p[one.attribute.name],
        )
        for one in read
    }


@cache
def _held(of: Labelled) -> Frozen:
    return freeze(of, FITTED_TO, FITTED_SEED)


def _p_of_equals(rng: Rng, codes: IntArray, flips: int, seed: int) -> list[float]:
    """p of each attribute that two recognizers see alike, each with noise of its own; one read-out serves
    both, so that over all people it gains as much from either."""
    read: list[list[Recovered]] = [[], []]
    for of in EQUALLY_SEEN:
        a = of.values(rng, codes)
        for recovered in read:
            recovered.append(_held(of).recovered(of.embeddings(rng, codes, a), a))
    figures = {
        name: _figures(found, codes, dict.fromkeys((of.name for of in EQUALLY_SEEN), math.nan))
        for name, found in zip(("one", "other"), read, strict=True)
    }
    return _p_of_differences(figures, flips, seed)


def _p_of_differences(figures: Mapping[str, Mapping[Key, Figure]], flips: int, seed: int) -> list[float]:
    """p of each attribute; where figures have no p of their own, that of the flips alone."""
    return [row["p"] for row in difference_rows(figures, n_boot=2, n_flips=flips, seed=seed)]


def conclude(found: Mapping[str, Found]) -> dict[str, Any]:
    """Goals and tables of this half."""
    seeds = [seed for part in found.values() for seed in part["seeds"]]
    p_values = p_by_scheme(seeds)
    caption = (
        f"p-values of {len(seeds)} seeds with {len(list(attributes()))} attributes each: how many % lie at "
        "or below 0.01 and 0.05"
    )
    anywhere = sum(any(seed["discoveries"].values()) for seed in seeds)
    note = (
        "False discoveries are controlled within each measure, so the goal holds for each; a discovery in "
        f"any of the {len(MEASURES)} measures together: {anywhere} of {len(seeds)} seeds."
    )
    difference = {MEASURES[2]: [p for seed in seeds for p in seed["difference"]]}
    goals = [
        *discovery_goals(seeds, MEASURES),
        *uniformity_goals(p_values),
        not_low_goal(MEASURES[2], difference[MEASURES[2]]),
    ]
    of_nothing = {FLIPS_OF_NOTHING: [p for seed in seeds for p in seed["of_nothing"]]}
    of_difference = (
        "Two read-outs of nothing are wrong in different ways, so flips of sign rightly tell frozen ones "
        "apart, and their p is no p of both holding nothing. The product lets a difference count only where "
        "one of the two recognizers is found to hold something; that p is larger and need not be uniform, "
        "only not too low. It is to be uniform where both hold something, and as much: three attributes, one "
        "read-out of each for both."
    )
    tables = [low_p_table(p_values | difference | of_nothing, caption)]
    return {"goals": goals, "tables": tables, "notes": [note, of_difference]}


def p_by_scheme(seeds: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """p-values of all seeds and attributes by measure and scheme."""
    p_values: dict[str, list[float]] = {}
    for seed in seeds:
        for name, listed in seed["p"].items():
            p_values.setdefault(name, []).extend(listed)
    return p_values


def discovery_goals(seeds: Sequence[Mapping[str, Any]], measures: Sequence[str]) -> list[Goal]:
    """Whether few enough seeds have any discovery, for each measure."""
    allowed = MOST_SEEDS * len(seeds) // SEEDS
    counts = {measure: sum(seed["discoveries"][measure] > 0 for seed in seeds) for measure in measures}
    return [
        {
            "goal": f"{measure}: at most {allowed} of {len(seeds)} seeds with any discovery at q 0.05",
            "measured": str(count),
            "reached": count <= allowed,
        }
        for measure, count in counts.items()
    ]


def uniformity_goals(p_values: Mapping[str, Sequence[float]]) -> list[Goal]:
    """Whether p-values are uniform, for each scheme."""
    uniform = {name: float(kstest(listed, "uniform").pvalue) for name, listed in p_values.items()}
    return [
        {
            "goal": f"p of {name}: uniform, Kolmogorov-Smirnov p ≥ {LEAST_P}",
            "measured": f"{p:.3f}",
            "reached": p >= LEAST_P,
        }
        for name, p in uniform.items()
    ]


def not_low_goal(measure: str, listed: Sequence[float]) -> Goal:
    """Whether p-values that need not be uniform are low no more often than uniform ones."""
    low = float(np.mean(np.array(listed) <= MOST_LOW))
    return {
        "goal": f"p of {measure}: at most {100 * MOST_LOW:g} % at or below {MOST_LOW:g}",
        "measured": f"{100 * low:.1f} %",
        "reached": low <= MOST_LOW,
    }


def low_p_table(p_values: Mapping[str, Sequence[float]], caption: str) -> Table:
    """How many p-values are low."""
    rows = [
        [
            name,
            str(len(listed)),
            *(f"{100 * np.mean(np.array(listed) <= level):.2f}" for level in (0.01, 0.05)),
        ]
        for name, listed in p_values.items()
    ]
    return {"caption": caption, "columns": ["p of", "p-values", "≤ 0.01", "≤ 0.05"], "rows": rows}
