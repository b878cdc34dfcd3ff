"""Intervals by resampling identities: people, not images or pairs, are what a study drew from the world.

One multinomial draw of weights over the identities serves both sides of every pair. Two images of one person
never become an impostor pair, though that person is drawn twice. Rates over impostor pairs are U-statistics,
and the bootstrap of a U-statistic is shifted unless it is recentred (Conti & Clemencon, arXiv 2211.07245):
here the replicates give the standard error around their own mean, and the interval is laid around the
estimate (`statistics.interval`), so that nothing is left of the shift.

Where single pairs of identities carry nearly all variance and single identities nearly none (very low FMR,
few people), resampling identities counts the former up to three times (Arcones & Gine, Ann. Statist. 20,
1992): the standard error is set right by `interval.pair_inflation`.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

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
    unanimous_ends,
)

# Below this share of identity pairs that occur, a sparse product is faster than BLAS on the full matrix.
_SPARSE_BELOW = 0.05
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
    replicates = np.concatenate([defined_ratio(sum_top(w), sum_bottom(w)) for w in draws])
    estimate = float(defined_ratio(np.array([top.sum()]), np.array([bottom.sum()]))[0])
    effective, inflation = _of_pairs(top, bottom, estimate, a, b, n)
    return replicate_interval(estimate, replicates, n, level, clip, effective=effective, inflation=inflation)


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


def weighted_pair_sum(
    values: FloatArray, a: IntArray, b: IntArray, n: int
) -> Callable[[FloatArray], FloatArray]:
    """Function from weights of n identities (r, n) to weighted sums over pairs (r,).

    Args:
        values: one value a pair, (m,).
        a, b: identities of each pair as numbers 0 to n − 1, (m,); equal in all pairs (genuine), whose weight
            is then w_a, or in none (impostor), whose weight is w_a w_b.
        n: identities.
    """
    if a[0] == b[0]:  # all are genuine
        sums = np.bincount(a, weights=values, minlength=n)
        return lambda w: w @ sums
    cells = _cells(values, a, b, n)
    if isinstance(cells, sparse.sparray):
        if cells.nnz < _SPARSE_BELOW * n * n:
            transposed = cells.T.tocsr()
            return lambda w: np.asarray(np.einsum("rn,nr->r", w, transposed @ w.T))
        cells = cells.toarray()
    return lambda w: np.einsum("rn,rn->r", w @ cells, w)


def _cells(values: FloatArray, a: IntArray, b: IntArray, n: int) -> FloatArray | sparse.csr_array:
    """Values summed by pair of identities, upper triangle of (n, n); sparse where few pairs can occur."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    if len(values) < n * n:
        return sparse.coo_array((values, (low, high)), shape=(n, n)).tocsr()  # adds up
    return np.bincount(low * n + high, weights=values, minlength=n * n).reshape(n, n)


def identity_weights(n: int, n_boot: int, seed: int, batch_size: int) -> Iterator[FloatArray]:
    """Multinomial weights of n identities, `n_boot` in all, (r, n) a batch; its size does not change them."""
    rng = np.random.default_rng(seed)
    for start in range(0, n_boot, batch_size):
        size = min(batch_size, n_boot - start)
        yield rng.multinomial(n, np.full(n, 1 / n), size=size).astype(np.float64)


def defined_ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """top / bottom, NaN where bottom is 0."""
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)


def _of_pairs(
    top: FloatArray, bottom: FloatArray, estimate: float, a: IntArray, b: IntArray, n: int
) -> tuple[float, float | None]:
    """Identities that carry a ratio over pairs, and what its replicates' variance must be multiplied by."""
    if a[0] == b[0] or not np.isfinite(estimate):  # all are genuine
        return effective_identities(np.bincount(a, weights=np.abs(bottom), minlength=n)), None
    rest = top - estimate * bottom
    cells = _cells(rest, a, b, n)
    rows = np.asarray(cells.sum(axis=0) + cells.sum(axis=1))
    weights = sum(np.bincount(side, weights=np.abs(bottom), minlength=n) for side in (a, b))
    effective = effective_identities(weights)
    own = cells.data if isinstance(cells, sparse.sparray) else cells
    return effective, pair_inflation(rows, own, effective)


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
