"""Figures of several folds as one: means, their intervals, and p-values."""

import numpy as np
import numpy.typing as npt

from attribute_recovery.statistics.inputs import FloatArray, finite_vector, require_length
from attribute_recovery.statistics.interval import student_reach

LARGEST_P = 0.99
# Folds that have an interval stand for those that have none where they hold this share of the people.
LEAST_BOUNDED = 0.5


def pooled_interval(
    estimates: npt.ArrayLike,
    lows: npt.ArrayLike,
    highs: npt.ArrayLike,
    weights: npt.ArrayLike,
    narrowed: npt.ArrayLike | None = None,
) -> tuple[float, float, float]:
    """The weighted mean of independent estimates with the interval that their own intervals give it.

    With weights cᵢ that add up to 1, estimates eᵢ and their ends lᵢ and uᵢ, the ends are

        Σ cᵢ eᵢ − √(Σ cᵢ² (eᵢ − lᵢ)²)   and   Σ cᵢ eᵢ + √(Σ cᵢ² (uᵢ − eᵢ)²):

    the method of variance estimates recovery (Zou and Donner, Statistics in Medicine 2008), which keeps
    intervals lopsided where they are.

    Args:
        estimates: of k folds, (k,), k at least 1.
        lows, highs: their intervals, (k,) each.
        weights: (k,), above 0; only their ratios matter.
        narrowed: factors, (k,), of the distances to the ends, see `student_narrowing`; 1 if left out.

    Returns:
        Mean, low and high.

    Raises:
        ValueError: lengths differ, a number is not finite, or a weight is not above 0.

    >>> pooled_interval([1.0, 3.0], [0.0, 2.0], [1.0, 3.0], [1, 1])
    (2.0, 1.2928932188134525, 2.0)
    """
    e, share = finite_vector("estimates", estimates), _shares(weights, len(np.atleast_1d(estimates)))
    low, high = finite_vector("lows", lows), finite_vector("highs", highs)
    require_length("lows", low, len(e))
    require_length("highs", high, len(e))
    factors = np.ones(len(e)) if narrowed is None else finite_vector("narrowed", narrowed)
    require_length("narrowed", factors, len(e))
    mean = float(share @ e)
    below, above = (float(np.sqrt(np.sum((share * factors * (e - end)) ** 2))) for end in (low, high))
    return mean, mean - below, mean + above


def pooled_figure(
    estimates: npt.ArrayLike, lows: npt.ArrayLike, highs: npt.ArrayLike, people: npt.ArrayLike
) -> tuple[float, float, float]:
    """The mean of folds' estimates with its interval, where some folds lack one or the other.

    The mean is over all folds with an estimate. Its interval is that of the folds that have one
    (`pooled_interval` with `student_narrowing`), moved to the mean, no farther than any fold's end or
    estimate: a rate stays a rate.

    Args:
        estimates: of k folds, (k,), NaN where there is none.
        lows, highs: their intervals, (k,) each, NaN likewise.
        people: identities of each fold, (k,), above 0: the weights.

    Returns:
        Mean, low and high. NaN without estimates; NaN ends where folds with an interval hold less than half
        of the people, or where these show no spread though estimates differ.

    Raises:
        ValueError: lengths differ, or a weight is not above 0.

    >>> pooled_figure([0.2, 0.4, float("nan")], [0.1, float("nan"), 0.0], [0.3, float("nan"), 1.0], [5, 5, 5])
    (0.30000000000000004, 0.2, 0.4)
    """
    e, low, high = (np.asarray(side, dtype=np.float64) for side in (estimates, lows, highs))
    weights = finite_vector("people", people)
    for name, side in (("estimates", e), ("lows", low), ("highs", high)):
        require_length(name, side, len(weights))
    known = np.isfinite(e)
    if not known.any():
        return float("nan"), float("nan"), float("nan")
    mean = float(_shares(weights[known]) @ e[known])
    bounded = known & np.isfinite(low) & np.isfinite(high)
    if weights[bounded].sum() < LEAST_BOUNDED * weights[known].sum():
        return mean, float("nan"), float("nan")
    sides, own = (e[bounded], low[bounded], high[bounded]), weights[bounded]
    centre, first, last = pooled_interval(*sides, own, student_narrowing(own))
    first = max(first + mean - centre, float(min(low[bounded].min(), e[known].min())))
    last = min(last + mean - centre, float(max(high[bounded].max(), e[known].max())))
    if first == last and np.ptp(e[known]) > 0:
        return mean, float("nan"), float("nan")
    return mean, first, last


def student_narrowing(people: npt.ArrayLike, level: float = 0.95) -> FloatArray:
    """By how much Student's interval of each fold is too wide for the pooled one.

    A fold's interval is that of its few people; pooled, errors stand on the degrees of freedom of all folds.

    Args:
        people: identities of each fold, (k,), 2 at least.
        level: nominal coverage.

    Returns:
        t with Σ (mᵢ − 1) degrees of freedom over t with mᵢ − 1, (k,), 1 for a single fold.

    >>> student_narrowing([8, 8, 8, 8, 8]).round(3).tolist()
    [0.859, 0.859, 0.859, 0.859, 0.859]
    """
    counts = finite_vector("people", people)
    together = student_reach(float(np.sum(counts - 1)) + 1, level)
    return np.asarray([together / student_reach(float(count), level) for count in counts])


def combined_p_value(p_values: npt.ArrayLike, weights: npt.ArrayLike) -> float:
    """One p-value of several for the same question, which may depend on each other.

    The Cauchy combination ½ − arctan(Σ cᵢ tan((½ − pᵢ) π)) / π (Liu and Xie, JASA 2020): folds share what
    they train on, so that their p-values are not independent, which Fisher's method would ask for. Above 0.99
    they count as 0.99, since a single 1 would outweigh all others (Fang et al., Statistica Sinica 2023). Of
    five tests of nothing at 0.05 it finds something in 0.0505 of cases where they are independent, in 0.06
    where they are correlated at 0.5 (200,000 draws).

    Args:
        p_values: of k folds, (k,), above 0, 1 at most.
        weights: (k,), above 0; only their ratios matter.

    Returns:
        The combined p-value, 0 to 1.

    Raises:
        ValueError: lengths differ, a p-value is not above 0 or above 1, or a weight is not above 0.

    >>> round(combined_p_value([0.2, 0.2], [1, 3]), 12)
    0.2
    """
    p = finite_vector("p_values", p_values)
    if p.min() <= 0 or p.max() > 1:
        raise ValueError(f"p_values: found {p.min():g} to {p.max():g}, allowed is above 0 up to 1")
    share = _shares(weights, len(p))
    total = float(share @ np.tan((0.5 - np.minimum(p, LARGEST_P)) * np.pi))
    return float(np.clip(0.5 - np.arctan(total) / np.pi, 0.0, 1.0))


def _shares(weights: npt.ArrayLike, length: int | None = None) -> FloatArray:
    found = finite_vector("weights", weights)
    require_length("weights", found, len(found) if length is None else length)
    if found.min() <= 0:
        raise ValueError(f"weights: found {found.min():g}, allowed is above 0")
    return np.asarray(found / found.sum())
