"""Every interval of the product on one draw of people from the closed-form worlds, and what each should hold.

The read-outs are frozen: fitted once to other people, as the product's are, so that what an interval should
hold is what those read-outs would give over all people.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.recovery.routes import gains, gains_interval
from attribute_recovery.significance.effect import Edited, Originals, distances, plan_edits
from attribute_recovery.significance.flips import DIRECTIONS, PairChanges, decision_changes
from attribute_recovery.significance.identity import share_intervals
from attribute_recovery.significance.shares import Sums, sums_by_identity
from attribute_recovery.statistics.bootstrap import (
    Interval,
    identity_mean_interval,
    pair_rate_interval,
    pair_ratio_interval,
)
from attribute_recovery.statistics.inputs import BoolArray, FloatArray, IntArray
from attribute_recovery.statistics.interval import effective_identities
from attribute_recovery.statistics.paired import (
    Weighted,
    paired_difference,
    ratio_of_sums,
    ratio_over_pairs,
    resample,
)
from benchmarks.validation.intervals.worlds import (
    Distances,
    Frozen,
    Labelled,
    Moved,
    Rng,
    freeze,
    images_of,
    unit,
)

MIXED = Labelled("mixed", "continuous", 1.0)
FAINTER = Labelled("mixed", "continuous", 0.8)
CLASSES = Labelled("classes", "binary", 1.0, 1.0)
BY_IMAGE = Labelled("by image", "binary", 1.0, 0.0)
SHADE_BY_IMAGE = Labelled("shade by image", "continuous", 1.0, 0.0)
ABSENT = Labelled("absent", "continuous", 0.0)
FROZEN_ON, FROZEN_SEED = 200, 7
MOVED, LESS_MOVED = Moved(), Moved(dose=0.7)
DISTANCES, OTHER_DISTANCES = Distances(), Distances(spreads=(0.4, 0.5, 0.6))
NEAR, FAR, FARTHER = 2.0, 2.8, 3.4
ATTACK_VARIANCE = 0.2
# Of an image rebuilt, each dimension; the flips are counted at this cosine.
REBUILT_NOISE, TAU = 0.2, 0.5
# Images of a person where pairs are compared.
MOST_IN_PAIRS = 4
COVERED = 1.6448536269514722
TOGGLED = Attribute("toggled", "appearance", "binary", "mixed", "", categories=("off", "on"))


@dataclass(frozen=True)
class Options:
    """How intervals are made: replicates and seed."""

    n_boot: int
    seed: int


@cache
def frozen(of: Labelled) -> Frozen:
    """The read-out that is held."""
    return freeze(of, FROZEN_ON, FROZEN_SEED)


def readouts(rng: Rng, k: int, options: Options) -> dict[str, Interval | None]:
    """Retained information, forecasts' coverage and identity shares, and differences of two recognizers."""
    codes = images_of(rng, k)
    found: dict[str, Interval | None] = {}
    sums: dict[str, Sums] = {}
    gain: dict[str, FloatArray] = {}
    for name, of in (("mixed", MIXED), ("classes", CLASSES), ("by image", BY_IMAGE), ("absent", ABSENT)):
        z, a = of.draw(rng, codes)
        known = frozen(of).recovered(z, a)
        gain[name] = gains(known.forecast, known.truth, known.marginal)
        sums[name] = sums_by_identity(known, codes)
        found[f"retained information, {name}"] = gains_interval(
            gain[name], known.truth, known.marginal, codes, n_boot=options.n_boot, seed=options.seed
        )
        if name == "mixed":
            inside = np.abs(a - frozen(of).readout(z)[:, 0]) <= COVERED * frozen(of).sd
            found["coverage of forecasts"] = _mean(inside.astype(np.float64), codes, options, (0.0, 1.0))
            # The second recognizer sees the same people and attributes, fainter and with noise of its own.
            second = frozen(FAINTER).recovered(FAINTER.embeddings(rng, codes, a), a)
            gain["fainter"] = gains(second.forecast, second.truth, second.marginal)
            sums["fainter"] = sums_by_identity(second, codes)
    shade = frozen(SHADE_BY_IMAGE).recovered(*SHADE_BY_IMAGE.draw(rng, codes))
    sums[SHADE_BY_IMAGE.name] = sums_by_identity(shade, codes)
    shown = ("mixed", "classes", "by image", SHADE_BY_IMAGE.name)
    of_shown = [sums[name] for name in shown]
    shares = share_intervals(of_shown, codes, n_boot=options.n_boot, seed=options.seed)
    for name, interval in zip(shown, shares, strict=True):
        found[f"identity share, {name}"] = interval
    counts = np.bincount(codes).astype(np.float64)
    information = [ratio_of_sums(np.bincount(codes, gain[name]), counts) for name in ("mixed", "fainter")]
    found["difference of retained information"] = _difference(information, counts, options)
    both = [_share_of(sums[name]) for name in ("mixed", "fainter")]
    found["difference of identity shares"] = _difference(both, counts, options)
    return found


def _share_of(sums: Sums) -> Weighted:
    return lambda weights: np.array([sums.share(row) for row in weights])


def effects(rng: Rng, k: int, options: Options) -> dict[str, Interval | None]:
    """Decision effects."""
    codes = images_of(rng, k)
    y = MOVED.draw(rng, codes)
    values = [distances(unit(y), unit(world.moved(y))) for world in (MOVED, LESS_MOVED)]
    counts = np.bincount(codes).astype(np.float64)
    sums = [ratio_of_sums(np.bincount(codes, each), counts) for each in values]
    return {
        "decision effect": _mean(values[0], codes, options, (0.0, 2.0)),
        "difference of decision effects": _difference(sums, counts, options),
    }


def flips(rng: Rng, k: int, options: Options) -> dict[str, Interval | None]:
    """Net flip rates of an edit that moves decisions, and of one that does not."""
    found = {}
    for name, changes in flipped(rng, images_of(rng, k, MOST_IN_PAIRS)).items():
        enough = len(changes.net) > 0
        found[name] = changes.interval(n_boot=options.n_boot, seed=options.seed) if enough else None
    return found


def flipped(rng: Rng, codes: IntArray) -> dict[str, PairChanges]:
    """Pairs of each direction, of an edit that toggles an attribute, and of one that only repeats the noise
    of rebuilding; images of these people (n,)."""
    n, d = len(codes), MOVED.dimensions
    y, on = MOVED.draw(rng, codes), rng.random(n) < 0.5
    y[:, 0] += 0.5 * MOVED.dose * np.where(on, 1.0, -1.0)
    noise = [REBUILT_NOISE * rng.standard_normal((n, d)) for _ in range(2)]
    current = on.astype(np.float32)[:, None]
    schema = AttributeSchema((TOGGLED,))
    known = Originals(
        np.zeros((n, 1), np.float32),
        codes.astype(object),
        unit(y),
        unit(y + noise[0]),
        current,
        current,
    )
    toggled, repeated = y + noise[0], y + noise[1]
    toggled[:, 0] -= MOVED.dose * np.where(on, 1.0, -1.0)
    found: dict[str, PairChanges] = {}
    for ending, after, directions in (
        ("", toggled, DIRECTIONS),
        (", no effect", repeated, ("genuine_lost", "impostor_lost")),
    ):
        edits = []
        for edit in plan_edits(schema, current, {}):
            moved = unit(after[edit.rows])
            nothing = np.zeros(len(edit.rows))
            edits.append(Edited(edit, known.codes[edit.rows], moved, nothing, nothing))
        changes = decision_changes(TOGGLED, slice(0, 1), known, edits, TAU)
        found |= {f"net flips, {name.replace('_', ' ')}{ending}": changes[name] for name in directions}
    return found


def rates(rng: Rng, k: int, options: Options) -> dict[str, Interval | None]:
    """Rates at a threshold, their ratio, and their differences between recognizers."""
    codes = images_of(rng, k, MOST_IN_PAIRS)
    first, second = compared(DISTANCES, rng, codes), compared(OTHER_DISTANCES, rng, codes)
    kinds = {"TAR": first.genuine, "FMR": ~first.genuine}
    found: dict[str, Interval | None] = {}
    for name, reach in (("TAR", FAR), ("TAR", FARTHER), ("FMR", NEAR), ("FMR", FAR)):
        chosen = kinds[name]
        accepted = (first.distance[chosen] <= reach).astype(np.float64)
        key = f"{name} of {first.truth(name, reach):.2g}"
        found[key] = pair_rate_interval(
            accepted,
            first.a[chosen],
            first.b[chosen],
            n_boot=options.n_boot,
            seed=options.seed,
            clip=(0.0, 1.0),
        )
    for name in ("TAR", "FMR"):
        chosen = kinds[name]
        a, b = first.a[chosen], first.b[chosen]
        sides = [(one.distance[chosen] <= FAR).astype(np.float64) for one in (first, second)]
        ones = np.ones(len(a))
        over = [ratio_over_pairs(side, ones, a, b, k) for side in sides]
        pairs = np.bincount(np.concatenate([a, b]), minlength=k).astype(np.float64)
        found[f"difference of {name}"] = _difference(over, pairs, options, recentre=name == "FMR")
    a, b = first.a[first.genuine], first.b[first.genuine]
    base = first.distance[first.genuine] <= FAR
    attack = first.attacked[first.genuine] <= FAR
    # In the range that the product gives it, see `decoder.attacks`.
    found["ratio of TAR"] = pair_ratio_interval(
        attack, base, a, b, n_boot=options.n_boot, seed=options.seed, clip=(0.0, math.inf)
    )
    return found


@dataclass(frozen=True)
class Compared:
    """All pairs of images of one draw: identities, distances, and those of an attack on one image."""

    world: Distances
    a: IntArray
    b: IntArray
    distance: FloatArray
    attacked: FloatArray

    @property
    def genuine(self) -> BoolArray:
        """Which are of one person."""
        return np.asarray(self.a == self.b)

    def truth(self, name: str, reach: float) -> float:
        """The rate over all people."""
        return self.world.tar(reach) if name == "TAR" else self.world.fmr(reach)


def compared(world: Distances, rng: Rng, codes: IntArray) -> Compared:
    """All pairs of images of these people (n,)."""
    z = world.draw(rng, codes)
    attack = z + np.sqrt(ATTACK_VARIANCE) * rng.standard_normal(z.shape)
    i, j = np.triu_indices(len(codes), 1)
    squares = np.sum(z**2, axis=1)
    apart = squares[:, None] + squares[None] - 2 * z @ z.T
    attacked = np.sum(attack**2, axis=1)[:, None] + squares[None] - 2 * attack @ z.T
    root = [np.sqrt(np.maximum(each[i, j], 0.0)) for each in (apart, attacked)]
    return Compared(world, codes[i], codes[j], *root)


def _mean(
    values: FloatArray, codes: IntArray, options: Options, clip: tuple[float, float] | None = None
) -> Interval:
    return identity_mean_interval(values, codes, n_boot=options.n_boot, seed=options.seed, clip=clip)


def _difference(
    figures: list[Weighted], brought: FloatArray, options: Options, recentre: bool = False
) -> Interval:
    """`brought`: images or pairs of each person, (k,)."""
    k, effective = len(brought), effective_identities(brought)
    first, second = (resample(figure, k, n_boot=options.n_boot, seed=options.seed) for figure in figures)
    return paired_difference(
        first, second, n_flips=1, seed=0, recentre=recentre, effective=effective
    ).interval
