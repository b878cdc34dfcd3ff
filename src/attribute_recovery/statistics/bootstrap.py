"""Intervals by resampling identities: people, not images or pairs, are what a study drew from the world.

One multinomial draw of weights over the identities serves both sides of every pair. Two images of one person
never become an impostor pair, though that person is drawn twice. Rates over impostor pairs are U-statistics,
and the bootstrap of a U-statistic is shifted unless it is recentred (Conti & Clemencon, arXiv 2211.07245):
here the replicates give the standard error around their own mean, and the interval is laid around the
estimate (`statistics.interval`), so that nothing is left of the shift.

Where single pairs of identities carry nearly all variance and single identities nearly none (very low FMR,
few people), resampling identities counts the former up to three times (Arcones & Gine, Ann. Statist. 20,
1992): the standard error is set right by `interval.pair_inflation`. And where few people are near to many
others, a rate over impostors that is low by chance has an error that is low as well: of few people each
replicate is therefore also measured in its own error (`interval.studentised_ends`), and an end that lies
further out that way is taken. In two worlds tried, each way held less than the other once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from attribute_recovery.statistics.inputs import (
    FloatArray,
    IntArray,
    finite_vector,
    identity_codes,
    require_length,
)
from attribute_recovery.statistics.interval import Interval as Interval
from attribute_recovery.statistics.interval import (
    effective_identities,
    pair_inflation,
    replicate_interval,
    studentised,
    studentised_ends,
    tailed_identities,
    unanimous_ends,
)
from attribute_recovery.statistics.pairs import (
    defined_ratio,
    pair_cells,
    pair_ratio_errors,
    weighted_pair_sum,
)

# Identities below which replicates of impostors' figures are measured in their own errors; of a hundred, ends
# already differ little.
_FEW = 200
# Ranges of figures that are means of decisions: rates, and net rates.
DECISIONS = ((0.0, 1.0), (-1.0, 1.0))


def pair_rate_interval(
    values: npt.ArrayLike,
    identity_a: npt.ArrayLike,
    identity_b: npt.ArrayLike,
    *,
    n_boot: int,
    seed: int,
    level: float = 0.95,
    clip: tuple[float, float] | None = None,
    batch_size: int = 256,
) -> Interval:
    """Interval of the mean of a value over pairs, such as the indicator score >= tau.

    Replicate: sum w_a w_b v / sum w_a w_b over impostor pairs, sum w_a v / sum w_a over genuine ones, where w
    is one multinomial draw over the identities. Of decisions that are all alike (`clip` (0, 1), or (−1, 1)
    for net ones), the interval is that of as many independent trials as there are identities, or pairs of
    identities for impostors.

    Args:
        values: One value a pair, shape (n,).
        identity_a: Identity of each pair's first image, shape (n,).
        identity_b: Identity of its second image, shape (n,). All pairs genuine (a = b) or all impostor (a !=
            b).
        n_boot: Replicates.
        seed: Seed of the draws.
        level: Nominal coverage, 0 to 1.
        clip: Range of the figure, (0, 1) for a rate, inside which the ends stay, see `interval.student_ends`.
        batch_size: Replicates worked at once; the result does not depend on it.

    Returns:
        The interval; `estimate` is the plain mean of the values.

    Raises:
        ValueError: If shapes differ, values are not finite, genuine and impostor pairs are mixed, there are
            fewer than 2 identities, or an option leaves its range.
    """
    checked = finite_vector("values", values)
    sides = _pair_codes(identity_a, identity_b, len(checked))
    _check_options(sides[2], n_boot, level, batch_size)
    draws = identity_weights(sides[2], n_boot, seed, batch_size)
    interval = _ratio_interval(checked, np.ones_like(checked), *sides, draws, level, clip)
    return _of_one_mind(interval, lambda: _pairs_of_identities(*sides), clip)


def pair_ratio_interval(
    numerator: npt.ArrayLike,
    denominator: npt.ArrayLike,
    identity_a: npt.ArrayLike,
    identity_b: npt.ArrayLike,
    *,
    n_boot: int,
    seed: int,
    level: float = 0.95,
    clip: tuple[float, float] | None = None,
    batch_size: int = 256,
) -> Interval:
    """Interval of a ratio of two sums over the same pairs, such as TAR of reconstructions over TAR of images.

    Replicates as in `pair_rate_interval`, with the same weights above and below the line.

    Args:
        numerator: One value a pair, shape (n,).
        denominator: One value a pair, shape (n,).
        identity_a: Identity of each pair's first image, shape (n,).
        identity_b: Identity of its second image, shape (n,). All pairs genuine (a = b) or all impostor (a !=
            b).
        n_boot: Replicates.
        seed: Seed of the draws.
        level: Nominal coverage, 0 to 1.
        clip: Range of the figure, inside which the ends stay.
        batch_size: Replicates worked at once; the result does not depend on it.

    Returns:
        The interval; all NaN but its counts where the denominator adds to 0.

    Raises:
        ValueError: As `pair_rate_interval`.
    """
    top, bottom = finite_vector("numerator", numerator), finite_vector("denominator", denominator)
    require_length("denominator", bottom, len(top))
    sides = _pair_codes(identity_a, identity_b, len(top))
    _check_options(sides[2], n_boot, level, batch_size)
    draws = identity_weights(sides[2], n_boot, seed, batch_size)
    return _ratio_interval(top, bottom, *sides, draws, level, clip)


def _ratio_interval(
    top: FloatArray,
    bottom: FloatArray,
    a: IntArray,
    b: IntArray,
    n: int,
    draws: Iterator[FloatArray],
    level: float,
    clip: tuple[float, float] | None,
) -> Interval:
    """Interval of Σ top / Σ bottom over pairs of identities a and b out of n, under draws of weights."""
    sum_top, sum_bottom = weighted_pair_sum(top, a, b, n), weighted_pair_sum(bottom, a, b, n)
    estimate = float(defined_ratio(np.array([top.sum()]), np.array([bottom.sum()]))[0])
    carried = _carried(top, bottom, estimate, a, b, n)
    errors_of = None
    if a[0] != b[0] and n < _FEW and clip is not None:
        errors_of = pair_ratio_errors(top, bottom, a, b, n, carried.identities)
    replicates, errors = [], []
    for w in draws:
        replicates.append(defined_ratio(sum_top(w), sum_bottom(w)))
        if errors_of is not None:
            errors.append(errors_of(w))
    drawn = np.concatenate(replicates)
    interval = replicate_interval(
        estimate, drawn, n, level, clip, effective=carried.freedom, inflation=carried.inflation
    )
    if errors_of is None or interval.collapsed or not np.isfinite(interval.low):
        return interval
    error = float(errors_of(np.ones((1, n)))[0])
    ratios = studentised(estimate, drawn, np.concatenate(errors), clip)
    ends = studentised_ends(estimate, error, ratios, level, clip)
    if ends is None:
        return interval
    return replace(interval, low=min(interval.low, ends[0]), high=max(interval.high, ends[1]))


def identity_mean_interval(
    values: npt.ArrayLike,
    identities: npt.ArrayLike,
    *,
    n_boot: int,
    seed: int,
    level: float = 0.95,
    clip: tuple[float, float] | None = None,
    batch_size: int = 256,
) -> Interval:
    """Interval of the mean of a value over images, whole identities resampled with all their images.

    Args:
        values: One value an image, shape (n,).
        identities: Identity of each image, shape (n,).
        n_boot: Replicates.
        seed: Seed of the draws.
        level: Nominal coverage, 0 to 1.
        clip: Range of the figure, inside which the ends stay.
        batch_size: Replicates worked at once; the result does not depend on it.

    Returns:
        The interval; `estimate` is the plain mean of the values.

    Raises:
        ValueError: If shapes differ, values are not finite, there are fewer than 2 identities, or an option
            leaves its range.
    """
    checked = finite_vector("values", values)
    codes, n = identity_codes("identities", identities, len(checked))
    _check_options(n, n_boot, level, batch_size)
    sums = np.bincount(codes, weights=checked, minlength=n)
    counts = np.bincount(codes, minlength=n)
    replicates = np.concatenate(
        [(w @ sums) / (w @ counts) for w in identity_weights(n, n_boot, seed, batch_size)]
    )
    interval = replicate_interval(
        float(checked.mean()), replicates, n, level, clip, effective=effective_identities(counts)
    )
    return _of_one_mind(interval, lambda: n, clip)


def clustered_interval(
    statistic: Callable[[IntArray, IntArray], float],
    identities: npt.ArrayLike,
    *,
    n_boot: int,
    seed: int,
    level: float = 0.95,
    clip: tuple[float, float] | None = None,
) -> Interval:
    """Interval of any statistic of images, whole identities resampled with all their images.

    Args:
        statistic: Called with `rows`, the images of one draw as indices with repeats, and `people`, their
            identities, in which each copy of a person drawn twice is a person of its own. A statistic that
            groups by identity must group by `people`. Not for pairs: two copies of one person are no
            impostors; use `pair_rate_interval`. The estimate is `statistic` of all rows as they are.
        identities: Identity of each image, shape (n,).
        n_boot: Replicates.
        seed: Seed of the draws.
        level: Nominal coverage, 0 to 1.
        clip: Range that the ends keep; unlike a rate's, an end may lie at its edge.

    Returns:
        The interval.

    Raises:
        ValueError: If `identities` is not of one dimension, has fewer than 2 of them, or an option leaves its
            range.
    """
    return clustered_intervals(
        lambda rows, people: np.array([statistic(rows, people)]),
        identities,
        n_boot=n_boot,
        seed=seed,
        level=level,
        clip=clip,
    )[0]


def clustered_intervals(
    statistic: Callable[[IntArray, IntArray], FloatArray],
    identities: npt.ArrayLike,
    *,
    n_boot: int,
    seed: int,
    level: float = 0.95,
    clip: tuple[float, float] | None = None,
) -> tuple[Interval, ...]:
    """`clustered_interval` for several statistics at once, from the same draws.

    Args:
        statistic: As in `clustered_interval`, but returns an array of shape (m,).
        identities: Identity of each image, shape (n,).
        n_boot: Replicates.
        seed: Seed of the draws.
        level: Nominal coverage, 0 to 1.
        clip: Range that the ends of all keep; unlike a rate's, an end may lie at its edge.

    Returns:
        One interval for each of the m statistics.

    Raises:
        ValueError: As `clustered_interval`.
    """
    codes, n = identity_codes("identities", identities, len(np.asarray(identities)))
    _check_options(n, n_boot, level, 1)
    estimates = np.asarray(statistic(np.arange(len(codes)), codes), dtype=np.float64)
    draws = np.random.default_rng(seed).integers(n, size=(n_boot, n))
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes, minlength=n)
    replicates = np.stack([np.asarray(statistic(*_resampled(order, counts, drawn))) for drawn in draws])
    effective = effective_identities(counts)
    return tuple(
        replicate_interval(float(estimate), column, n, level, None, effective=effective).within(clip)
        for estimate, column in zip(estimates, replicates.T, strict=True)
    )


def _resampled(order: IntArray, counts: IntArray, drawn: IntArray) -> tuple[IntArray, IntArray]:
    """Rows of the drawn identities, and each row's draw by number; `order` sorts rows by identity."""
    sizes = counts[drawn]
    people = np.repeat(np.arange(len(drawn)), sizes)
    starts = (np.cumsum(counts) - counts)[drawn]
    within = np.arange(len(people)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return order[starts[people] + within], people


def _pair_codes(
    identity_a: npt.ArrayLike, identity_b: npt.ArrayLike, n_pairs: int
) -> tuple[IntArray, IntArray, int]:
    """Both sides as codes of one list of identities, and its length; refuses a mix of both kinds of pair."""
    first, second = np.asarray(identity_a), np.asarray(identity_b)
    require_length("identity_a", first, n_pairs)
    require_length("identity_b", second, n_pairs)
    codes, n = identity_codes("identity_a, identity_b", np.concatenate([first, second]), 2 * n_pairs)
    a, b = codes[:n_pairs], codes[n_pairs:]
    genuine = int(np.count_nonzero(a == b))
    if genuine not in (0, n_pairs):
        raise ValueError(
            f"identity_a equals identity_b in {genuine} of {n_pairs} pairs, expected all (genuine pairs) "
            "or none (impostor pairs)"
        )
    return a, b, n


def identity_weights(n: int, n_boot: int, seed: int, batch_size: int) -> Iterator[FloatArray]:
    """Multinomial weights of n identities, `n_boot` in all, (r, n) a batch; its size does not change them."""
    rng = np.random.default_rng(seed)
    for start in range(0, n_boot, batch_size):
        size = min(batch_size, n_boot - start)
        yield rng.multinomial(n, np.full(n, 1 / n), size=size).astype(np.float64)


@dataclass(frozen=True)
class _Carried:
    """Who carries a figure over pairs.

    Attributes:
        identities: effective ones.
        freedom: those that Student's t counts.
        inflation: what the replicates' variance must be multiplied by.
    """

    identities: float
    freedom: float
    inflation: float


def _carried(
    top: FloatArray, bottom: FloatArray, estimate: float, a: IntArray, b: IntArray, n: int
) -> _Carried:
    """Who carries a ratio over pairs. Of genuine pairs' decisions (bottom all 1) t counts all: on the logit a
    few refused people stretch the upper end already."""
    genuine = bool(a[0] == b[0])
    sides = (a,) if genuine else (a, b)
    weights = np.sum([np.bincount(side, np.abs(bottom), minlength=n) for side in sides], axis=0)
    effective = effective_identities(weights)
    if not np.isfinite(estimate):
        return _Carried(effective, effective, 1.0)
    rest = top - estimate * bottom
    if genuine:
        k = max(effective, 2.0)
        rows: FloatArray = np.bincount(a, rest, minlength=n).astype(np.float64)
        inflation = k / (k - 1)
        if np.all(bottom == 1):
            return _Carried(effective, effective, inflation)
    else:
        cells = pair_cells(rest, a, b, n)
        rows = np.asarray(cells.sum(axis=0) + cells.sum(axis=1))
        own = cells.data if isinstance(cells, sparse.sparray) else cells
        inflation = pair_inflation(rows, own, effective)
    return _Carried(effective, float(tailed_identities(effective, rows[None])[0]), inflation)


def _pairs_of_identities(a: IntArray, b: IntArray, n: int) -> int:
    """Distinct pairs among those of identities a and b out of n; identities where a is b."""
    return len(np.unique(np.minimum(a, b) * n + np.maximum(a, b)))


def _of_one_mind(interval: Interval, trials: Callable[[], int], clip: tuple[float, float] | None) -> Interval:
    """The interval of decisions that are all alike, from the number of independent trials."""
    if clip not in DECISIONS or not interval.collapsed:
        return interval
    low, high = unanimous_ends(interval.estimate, trials(), interval.level, clip)
    return replace(interval, low=low, high=high)


def _check_options(n_identities: int, n_boot: int, level: float, batch_size: int) -> None:
    """Refuse what no interval can be made from."""
    if n_identities < 2:
        raise ValueError(f"there is {n_identities} identity, expected at least 2 to resample")
    if n_boot < 1:
        raise ValueError(f"n_boot is {n_boot}, expected at least 1")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, expected between 0 and 1")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
