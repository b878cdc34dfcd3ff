"""Row "nothing is found where nothing is", its statistical half: attributes drawn independently of Gaussian
embeddings, read out as the product reads them, tested as the product tests them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit
from scipy.stats import kstest

from attribute_recovery.dataset.attributes import Attribute
from attribute_recovery.recovery.forecast import continuous_marginal, discrete_marginal
from attribute_recovery.recovery.linear import fit_logistic, fit_ridge, fit_standardiser
from attribute_recovery.recovery.routes import ContinuousForecast, DiscreteForecast, Forecast, gains
from attribute_recovery.significance.forecasts import Recovered
from attribute_recovery.significance.identity import identity_shares
from attribute_recovery.significance.permuted import draw_permutations
from attribute_recovery.significance.retained import retained_information
from attribute_recovery.statistics.discovery import benjamini_hochberg
from attribute_recovery.statistics.inputs import FloatArray, IntArray
from attribute_recovery.statistics.paired import paired_difference, ratio_of_sums, resample
from benchmarks.validation.intervals.worlds import Rng, images_of
from benchmarks.validation.outcome import Chunk, Found, Goal, Table

SEEDS, PER_CHUNK, PERMUTATIONS = 200, 4, 1999
PEOPLE, MOST, DIMENSIONS, CLUSTERED = 60, 5, 16, 0.6
PENALTY, FALSE_DISCOVERIES = 1e-2, 0.05
MOST_SEEDS, LEAST_P = 15, 0.01
# Of each level and kind.
COPIES = 2
MEASURES = ("retained information", "identity share", "difference of retained information")


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
    codes = images_of(rng, PEOPLE, MOST)
    train = images_of(rng, PEOPLE, MOST)
    declared = list(attributes())
    values = [(_values(rng, each, train), _values(rng, each, codes)) for each in declared]
    recognizers = [(_embeddings(rng, train), _embeddings(rng, codes)) for _ in range(2)]
    one, other = (
        [_read(each, z, pair, train) for each, pair in zip(declared, values, strict=True)]
        for z in recognizers
    )
    drawn = draw_permutations(codes, chunk["permutations"], number)
    retained = [retained_information(each, drawn, n_boot=20, seed=number) for each in one]
    shares = identity_shares(one, drawn, [0.0] * len(one), n_boot=20, seed=number)
    signs = [_difference(pair, codes, chunk["permutations"], number) for pair in zip(one, other, strict=True)]
    schemes: dict[str, list[float]] = {"flips of sign": signs}
    for measure, found in (("retained information", retained), ("identity share", shares)):
        for each in found:
            for scheme, p in each.p_by_scheme.items():
                schemes.setdefault(f"{measure}, {scheme}", []).append(p)
    tested = ([each.p for each in retained], [each.p for each in shares], signs)
    discoveries = {
        measure: int(np.count_nonzero(benjamini_hochberg(p) < FALSE_DISCOVERIES))
        for measure, p in zip(MEASURES, tested, strict=True)
    }
    kept = {name: [p for p in found if np.isfinite(p)] for name, found in schemes.items()}
    return {"discoveries": discoveries, "p": kept}


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
    attribute: Attribute, z: tuple[FloatArray, FloatArray], a: tuple[FloatArray, FloatArray], train: IntArray
) -> Recovered:
    """A read-out fitted to other people's embeddings and labels."""
    standardise = fit_standardiser(z[0])
    x, new = standardise(z[0]), standardise(z[1])
    forecast: Forecast
    if attribute.is_discrete:
        read = fit_logistic(x, a[0].astype(np.int64), 2, PENALTY)(new)
        on = expit(read[:, 1] - read[:, 0])
        forecast = DiscreteForecast(np.stack([1 - on, on], axis=1))
        return Recovered(attribute, "probe", forecast, a[1], discrete_marginal(a[0], 2))
    readout = fit_ridge(x, a[0][:, None], PENALTY)
    sd = float(np.std(a[0] - readout(x)[:, 0]))
    forecast = ContinuousForecast(readout(new)[:, 0], np.full(len(new), sd))
    return Recovered(attribute, "probe", forecast, a[1], continuous_marginal(attribute.name, a[0], train))


def _difference(pair: tuple[Recovered, Recovered], codes: IntArray, flips: int, seed: int) -> float:
    """p of no difference of two recognizers that both hold nothing."""
    counts = np.bincount(codes).astype(np.float64)
    first, second = (
        resample(
            ratio_of_sums(np.bincount(codes, gains(one.forecast, one.truth, one.marginal)), counts),
            PEOPLE,
            n_boot=2,
            seed=seed,
        )
        for one in pair
    )
    return paired_difference(first, second, n_flips=flips, seed=seed).p


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
    goals = discovery_goals(seeds, MEASURES) + uniformity_goals(p_values)
    return {"goals": goals, "tables": [low_p_table(p_values, caption)], "notes": [note]}


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
