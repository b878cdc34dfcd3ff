"""Differences of two figures of the same people, say of two recognizers: interval, and p of no difference.

A figure is given as a function of how often each identity counts, so that one draw of identities serves both
sides and what the people have in common cancels. The p-value flips signs: where there is no difference, each
identity's part in it is as likely to point the other way. An identity's part is its jackknife pseudo-value
less the jackknife's correction for bias, which runs wild where a share is cut off at 0 or 1; for a mean over
equally many images it is the mean over the identity's own images.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribute_recovery.statistics.bootstrap import Interval, identity_weights
from attribute_recovery.statistics.inputs import FloatArray, IntArray, finite_vector, require_length
from attribute_recovery.statistics.interval import replicate_interval
from attribute_recovery.statistics.pairs import defined_ratio, weighted_pair_sum
from attribute_recovery.statistics.permutation import permutation_p_value

# From weights of k identities, (r, k), to the figure under each, (r,).
Weighted = Callable[[FloatArray], FloatArray]

# Rows of weights or of signs at once; results do not depend on it.
_BATCH = 256
# Parts that differ by less than this share of the figures themselves differ by rounding.
_ROUNDING = 1e-11


@dataclass(frozen=True)
class Resampled:
    """A figure with all that its differences to others need.

    Attributes:
        estimate: of the people as they are.
        replicates: under each draw of identities, (n_boot,); NaN where it is not defined.
        parts: each identity's part in it, (k,); their mean is the estimate.
    """

    estimate: float
    replicates: FloatArray
    parts: FloatArray


@dataclass(frozen=True)
class Difference:
    """First figure less second.

    Attributes:
        interval: with 95 % interval; NaN ends where more than a tenth of the replicates were undefined.
        p: of no difference; 1 where every identity has the same part in both, NaN where it is not testable.
    """

    interval: Interval
    p: float


def ratio_of_sums(top: npt.ArrayLike, bottom: npt.ArrayLike) -> Weighted:
    """The figure Σ w_i top_i / Σ w_i bottom_i, such as a mean over images from sums by identity.

    Args:
        top: one number an identity, shape (k,).
        bottom: likewise, such as the identity's images.

    Returns:
        The figure; NaN where the lower sum is 0.

    Raises:
        ValueError: lengths differ, or a value is not finite.
    """
    above, below = finite_vector("top", top), finite_vector("bottom", bottom)
    require_length("bottom", below, len(above))
    return lambda weights: defined_ratio(weights @ above, weights @ below)


def ratio_over_pairs(
    top: npt.ArrayLike, bottom: npt.ArrayLike, a: IntArray, b: IntArray, n_identities: int
) -> Weighted:
    """The figure Σ w_a w_b top / Σ w_a w_b bottom over pairs of two identities each: a U-statistic's.

    Args:
        top: one number a pair, shape (m,), or summed over the pairs of the same two identities.
        bottom: likewise, such as 1 or their count.
        a, b: identities of each pair as numbers from 0, shape (m,); different in all pairs, or in none.
        n_identities: k.

    Returns:
        The figure; NaN where the lower sum is 0.

    Raises:
        ValueError: lengths differ, or a value is not finite.
    """
    above, below = finite_vector("top", top), finite_vector("bottom", bottom)
    for name, array in (("bottom", below), ("a", a), ("b", b)):
        require_length(name, array, len(above))
    sum_top = weighted_pair_sum(above, a, b, n_identities)
    sum_bottom = weighted_pair_sum(below, a, b, n_identities)
    return lambda weights: defined_ratio(sum_top(weights), sum_bottom(weights))


def resample(figure: Weighted, n_identities: int, *, n_boot: int, seed: int) -> Resampled:
    """A figure under draws of identities, and without each of them.

    Args:
        figure: the figure.
        n_identities: k.
        n_boot: replicates.
        seed: of the draws: figures of equal k and seed share them.

    Returns:
        The figure resampled.

    Raises:
        ValueError: there are fewer than 2 identities.
    """
    if n_identities < 2:
        raise ValueError(f"there is {n_identities} identity, expected at least 2 to resample")
    k = n_identities
    estimate = float(figure(np.ones((1, k)))[0])
    draws = [figure(weights) for weights in identity_weights(k, n_boot, seed, _BATCH)]
    without = []
    for start in range(0, k, _BATCH):
        rows = np.arange(start, min(k, start + _BATCH))
        weights = np.ones((len(rows), k))
        weights[rows - start, rows] = 0.0
        without.append(figure(weights))
    lost = np.concatenate(without)
    return Resampled(estimate, np.concatenate(draws), estimate + (k - 1) * (lost.mean() - lost))


def paired_difference(
    first: Resampled,
    second: Resampled,
    *,
    n_flips: int,
    seed: int,
    level: float = 0.95,
    recentre: bool = False,
    effective: float | None = None,
) -> Difference:
    """First less second, people resampled together.

    Args:
        first, second: figures of the same identities in the same order, with the same draws.
        n_flips: flips of signs behind the p-value.
        seed: of these.
        level: nominal coverage, 0 to 1.
        recentre: whether the figures are over pairs of different people, whose replicates count a pair's own
            part thrice, see `interval.pair_inflation`.
        effective: identities that carry the figures by what they bring, see `interval.effective_identities`;
            left out, all alike.

    Returns:
        The difference.

    Raises:
        ValueError: both differ in identities or replicates.
    """
    for name in ("parts", "replicates"):
        require_length(f"second.{name}", getattr(second, name), len(getattr(first, name)))
    parts = first.parts - second.parts
    size = np.maximum(np.abs(first.parts), np.abs(second.parts)).max()
    parts[np.abs(parts) <= _ROUNDING * size] = 0.0
    replicates = first.replicates - second.replicates
    identities = float(len(parts)) if effective is None else effective
    interval = replicate_interval(
        first.estimate - second.estimate,
        replicates,
        len(parts),
        level,
        None,
        effective=identities,
        inflation=_pair_inflation(replicates, parts)
        if recentre
        else _inflation(replicates, parts, identities),
    )
    return Difference(interval, sign_flip_p_value(parts, n_flips=n_flips, seed=seed))


def _inflation(replicates: FloatArray, parts: FloatArray, effective: float) -> float | None:
    """What the jackknife's variance is of the replicates': those of a figure that is no mean, such as a share
    of two parts either of which may come out at nothing, have tails that the figure has not (of the
    difference of two shares of 100 people their deviation was 17 % above the true one in 400 draws, the
    jackknife's 9 %); None where it cannot be told."""
    spread, jackknife = _variances(replicates, parts)
    if not math.isfinite(jackknife) or spread <= 0:
        return None
    k, n = max(effective, 2.0), len(parts)
    return jackknife / spread * (n - 1) / n * k / (k - 1)


def _variances(replicates: FloatArray, parts: FloatArray) -> tuple[float, float]:
    """Of replicates, and of the mean of parts by the jackknife."""
    return float(np.nanvar(replicates)), float(parts.var()) / (len(parts) - 1)


def _pair_inflation(replicates: FloatArray, parts: FloatArray) -> float | None:
    """As `interval.pair_inflation`, where only replicates and parts are known: a pair's own part of the
    variance counts three times in replicates and twice in the jackknife, whose Σ r_i² is larger by
    k (k − 1) / (k − 2)²; None where it cannot be told."""
    spread, jackknife = _variances(replicates, parts)
    if not math.isfinite(jackknife) or spread <= 0:
        return None
    k = max(len(parts), 4)
    lost = k * (k - 1) / ((k - 2) * (k - 3))
    return max(2 * jackknife / spread * (k - 2) / (k - 3) - lost, 1 / 3)


def sign_flip_p_value(parts: npt.ArrayLike, *, n_flips: int, seed: int) -> float:
    """Two-sided p of a mean of zero, by flipping the signs of the identities' parts.

    Exact for parts that are distributed symmetrically about zero, as they are where two recognizers could be
    exchanged; for others as the identities become many.

    Args:
        parts: one number an identity, shape (k,).
        n_flips: flips, the B of p = (1 + b) / (1 + B).
        seed: of the flips.

    Returns:
        p, in (0, 1]; 1 where all parts are zero; NaN ("not testable") where a part is NaN, or where the parts
        that are not zero have fewer than 1 + B arrangements of signs that differ in more than all signs.
    """
    values = np.asarray(parts, dtype=np.float64)
    moved = int(np.count_nonzero(values))
    if moved == 0:
        return 1.0
    if not np.isfinite(values).all() or (moved - 1) * math.log(2) < math.log1p(n_flips):
        return math.nan
    rng = np.random.default_rng([seed, 51])
    null = np.empty(n_flips)
    for start in range(0, n_flips, _BATCH):
        stop = min(n_flips, start + _BATCH)
        signs = 2.0 * rng.integers(2, size=(stop - start, len(values))) - 1.0
        null[start:stop] = np.abs(signs @ values)
    return permutation_p_value(abs(float(values.sum())), null)
