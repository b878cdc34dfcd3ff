"""Intervals from an estimate, its standard error, and how many people really carry it.

Quantiles of bootstrap replicates cover too little where people are few or bring unequally many images: the
replicates spread less than the estimate does, and the normal's quantiles stand where Student's are due. So
the replicates give the standard error only, and Student's t, on a scale on which the figure's range has no
ends, gives the interval. `benchmarks/validation` measures how often it holds the truth.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from attribute_recovery.statistics.inputs import FloatArray, finite_vector

# The spread of fewer replicates than this share of those asked for would be that of the lucky draws only.
LEAST_DEFINED = 0.9
# A spread below this share of the estimate is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Interval:
    """An estimate with its bootstrap interval.

    Attributes:
        estimate: The statistic of the data as they are.
        low: Lower end; NaN where more than a tenth of the replicates were undefined.
        high: Upper end, likewise.
        n_identities: Identities that were resampled.
        n_boot: Replicates in which the statistic was defined.
        level: Nominal coverage, such as 0.95.
    """

    estimate: float
    low: float
    high: float
    n_identities: int
    n_boot: int
    level: float

    @property
    def collapsed(self) -> bool:
        """Whether both ends coincide: every identity has the same value, which is not certainty."""
        return self.low == self.high

    def within(self, bounds: tuple[float, float] | None) -> "Interval":
        """The interval with its ends cut off at bounds."""
        if bounds is None:
            return self
        low, high = (float(end) for end in np.clip([self.low, self.high], *bounds))
        return replace(self, low=low, high=high)


def effective_identities(weights: npt.ArrayLike) -> float:
    """How many equally weighted identities carry as much as these: (Σ w)² / Σ w² (Kish 1965).

    Args:
        weights: What each identity brings, such as its images or pairs, 0 or above, shape (k,).

    Returns:
        1 to k; 2 at least is used for intervals, see `student_ends`.

    Raises:
        ValueError: If the shape is not (k,) with k > 0, or a weight is not finite.

    >>> effective_identities([5, 5, 5]), effective_identities([4, 1, 1, 1, 1])
    (3.0, 3.2)
    """
    values = finite_vector("weights", weights)
    squares = float(np.sum(values**2))
    return float(values.sum()) ** 2 / squares if squares > 0 else 1.0


def student_ends(
    estimate: float,
    error: float,
    effective: float,
    level: float,
    bounds: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """Estimate ± t · error; inside a range, on a scale on which the range has no ends.

    With bounds (l, h) and x = (estimate − l) / (h − l): logit x ± t · error / ((h − l) x (1 − x)), turned
    back (Brown, Cai & DasGupta, Statist. Sci. 16, 2001; for clustered samples Dean & Pagano, Surv. Stat.
    Methodol. 3, 2015). With one bound only: the logarithm of the distance to it.

    Args:
        estimate: The figure.
        error: Its standard error, 0 or above.
        effective: Identities that carry it, see `effective_identities`; t has one degree of freedom less, 1
            at least.
        level: Nominal coverage, 0 to 1.
        bounds: Range of the figure, an end infinite where there is none; left out, it has none.

    Returns:
        Lower and upper end, inside the bounds.

    >>> [round(end, 3) for end in student_ends(0.9, 0.05, 10, 0.95, (0.0, 1.0))]
    [0.719, 0.969]
    """
    reach = float(student_reach(effective, level)) * error
    return scaled_ends(estimate, reach, reach, bounds)


def scaled_ends(
    estimate: float, down: float, up: float, bounds: tuple[float, float] | None
) -> tuple[float, float]:
    """Estimate − down and + up; inside a range, as far on a scale without ends, see `student_ends`.

    Args:
        estimate: The figure.
        down, up: How far the ends lie from it, in its own unit.
        bounds: Range of the figure, an end infinite where there is none; left out, it has none.

    Returns:
        Lower and upper end, inside the bounds.
    """
    low, high = (-math.inf, math.inf) if bounds is None else bounds
    below, above = estimate - low, high - estimate
    if down == up == 0 or (math.isinf(below + above) and math.isinf(min(below, above))):
        return estimate - down, estimate + up
    if below <= 0 or above <= 0:
        return max(low, estimate - down), min(high, estimate + up)
    # Steps that double on the scale of a logarithm reach far beyond floats for a figure close to its end.
    if math.isinf(above):
        return low + below * _exp(-down / below), low + below * _exp(up / below)
    if math.isinf(below):
        return high - above * _exp(down / above), high - above * _exp(-up / above)
    centre, slope = math.log(below / above), (high - low) / (below * above)
    ends = (0.5 * (1 + math.tanh(0.5 * (centre + arm * slope))) for arm in (-down, up))  # the logistic
    first, last = (low + (high - low) * end for end in ends)
    return first, last


def studentised(
    estimate: float,
    replicates: FloatArray,
    errors: FloatArray,
    bounds: tuple[float, float] | None,
) -> FloatArray:
    """How far each replicate lies above the estimate, in standard errors of its own, on the scale of
    `student_ends`.

    Args:
        estimate: Strictly inside the bounds.
        replicates: Of it, (n_boot,).
        errors: Standard error of each, (n_boot,).
        bounds: Range of the figure; left out, it has none.

    Returns:
        (n_boot,); infinite for a replicate at an end of the range, NaN where replicate or error is.
    """
    low, high = (-math.inf, math.inf) if bounds is None else bounds
    figures = np.append(replicates, estimate)
    placed, slope = figures, np.ones_like(figures)
    with np.errstate(divide="ignore", invalid="ignore"):
        if math.isfinite(low):
            placed, slope = np.log(figures - low), 1 / (figures - low)
        if math.isfinite(high):
            placed = (placed if math.isfinite(low) else 0.0) - np.log(high - figures)
            slope = (slope if math.isfinite(low) else 0.0) + 1 / (high - figures)
        apart = (placed[:-1] - placed[-1]) / (slope[:-1] * errors)
    at_an_end = np.isinf(placed[:-1])
    return np.asarray(np.where(at_an_end, placed[:-1], apart))


def studentised_ends(
    estimate: float,
    error: float,
    ratios: FloatArray,
    level: float,
    bounds: tuple[float, float] | None,
) -> tuple[float, float] | None:
    """Ends whose distance is told by replicates in their own standard errors (bootstrap-t, Efron 1982; Hall,
    Ann. Statist. 16, 1988): they are uneven where the error rises and falls with the estimate.

    Args:
        estimate: The figure.
        error: Its standard error.
        ratios: Of the replicates, see `studentised`, (n_boot,).
        level: Nominal coverage, 0 to 1.
        bounds: Range of the figure; left out, it has none.

    Returns:
        Lower and upper end; None where too many replicates lie at an end of the range, or have no error, for
        a quantile.
    """
    if np.isnan(ratios).mean() > 1 - LEAST_DEFINED or not error > 0:
        return None
    tail = (1 - level) / 2
    lowest, highest = np.quantile(ratios[~np.isnan(ratios)], [tail, 1 - tail], method="higher")
    if not math.isfinite(lowest) or not math.isfinite(highest):
        return None
    return scaled_ends(estimate, highest * error, -lowest * error, bounds)


def student_reach(effective: npt.ArrayLike, level: float) -> FloatArray:
    """Student's quantile, in standard errors, for so many effective identities each."""
    return np.asarray(-stdtrit(np.maximum(effective, 2.0) - 1, (1 - level) / 2))


def tailed_identities(effective: float, contributions: FloatArray) -> FloatArray:
    """Effective identities for Student's t, fewer where single people carry much of the variance.

    A variance from k contributions of kurtosis κ varies by 2 / (k − 1) + (κ − 3) / k of its square, as χ² of
    2 / (2 / (k − 1) + (κ − 3) / k) degrees of freedom does (Satterthwaite, Biometrics Bull. 2, 1946); κ − 3
    is estimated as of normal samples without bias (Joanes & Gill, Statistician 47, 1998).

    Args:
        effective: Identities that carry the figure by what they bring, see `effective_identities`.
        contributions: What each identity adds to each figure, up to a constant, (figures, k).

    Returns:
        At most `effective`, (figures,); just that where there are fewer than four contributions, or all are
        equal.
    """
    k = contributions.shape[1]
    if k < 4:
        return np.full(len(contributions), effective)
    squares = (contributions - contributions.mean(axis=1, keepdims=True)) ** 2
    fourth, square = np.mean(squares**2, axis=1), np.mean(squares, axis=1) ** 2
    normal = 3 * (k - 1) / (k + 1)
    kurtosis = np.divide(fourth, square, out=np.full_like(square, normal), where=square > 0)
    excess = (k - 1) * (k + 1) / ((k - 2) * (k - 3)) * (kurtosis - normal)
    # Below the normal's, the estimate is no reason to trust the variance more than that.
    freedom = 2 / (2 / (k - 1) + np.maximum(excess, 0.0) / k)
    return np.asarray(np.minimum(effective, freedom + 1))


def _exp(power: float) -> float:
    return math.exp(min(power, 700.0))


def unanimous_ends(value: float, n: int, level: float, bounds: tuple[float, float]) -> tuple[float, float]:
    """Ends for a mean of decisions that are all equal, in n independent trials.

    Up to 1 − (1 − level)^(1/n) of the trials could be otherwise without any being seen: about 3 / n at 95 %
    (rule of three, Hanley & Lippman-Hand, JAMA 1983).

    Args:
        value: Of every trial.
        n: Trials.
        level: Nominal coverage, 0 to 1.
        bounds: Smallest and largest value that a trial may have.

    Returns:
        Lower and upper end.

    >>> [round(end, 3) for end in unanimous_ends(1.0, 100, 0.95, (0.0, 1.0))]
    [0.97, 1.0]
    """
    unseen = 1 - (1 - level) ** (1 / n)
    return value - unseen * (value - bounds[0]), value + unseen * (bounds[1] - value)


def of_decisions(interval: Interval, trials: int, most: float) -> Interval:
    """The interval of a mean of decisions; where all are alike, with ends that tell what could be otherwise
    in so many trials without being seen.

    Args:
        interval: of the mean.
        trials: that are independent, such as people, or pairs of people.
        most: each is −`most` to `most`.
    """
    if not interval.collapsed:
        return interval
    low, high = unanimous_ends(interval.estimate, max(1, trials), interval.level, (-most, most))
    return replace(interval, low=low, high=high)


def share_ends(
    parts: tuple[float, float],
    replicates: FloatArray,
    contributions: FloatArray,
    effective: float,
    level: float,
) -> tuple[float, float]:
    """Ends for the share a / (a + b) of two parts, negative ones counted as 0 (Fieller, JRSS B 16, 1954).

    A share s is refused as too small where (1 − s) a − s b lies more than t errors above 0, and as too large
    where it lies as far below: ends that hold where a or b may well be 0, and a share's own error means
    little.

    Args:
        parts: a and b; a NaN one counts as 0.
        replicates: Of both, (n_boot, 2).
        contributions: What each identity adds to both, up to a constant, (k, 2): t has fewer degrees of
            freedom where few people make the variance, see `tailed_identities`.
        effective: Identities that carry them.
        level: Nominal coverage, 0 to 1.

    Returns:
        Lower and upper end, 0 to 1, to within 0.001: both 0 where a is surely below 0 and b above, both 1 the
        other way round.
    """
    centre, drawn, own = (np.nan_to_num(np.asarray(each)) for each in (parts, replicates, contributions))
    k = max(effective, 2.0)
    covariance = np.cov(drawn.T) * k / (k - 1)
    share = np.linspace(0.0, 1.0, 1001)
    contrast = np.stack([1 - share, -share], axis=1)  # (s, 2)
    value = contrast @ centre
    variance = np.einsum("si,ij,sj->s", contrast, covariance, contrast)
    quantile = student_reach(tailed_identities(effective, contrast @ own.T), level)
    reach = quantile * np.sqrt(np.maximum(variance, 0.0)) + _ROUNDING
    small, large = np.flatnonzero(value <= reach), np.flatnonzero(value >= -reach)
    return float(share[small[0]]) if len(small) else 1.0, float(share[large[-1]]) if len(large) else 0.0


def pair_variance(crossed: npt.ArrayLike, own: npt.ArrayLike, effective: float) -> FloatArray:
    """Variance of a sum over pairs of identities, a U-statistic.

    With r_ij what the pairs of identities i < j add, less the estimate's share, and r_i = Σ_j r_ij, it is
    Σ r_i² − Σ r_ij² (what pairs share through one identity, and each pair's own part once), at least Σ r_ij²
    as if pairs of identities were independent. r is taken from an estimate; for all pairs of k identities
    k (k − 1) / ((k − 2) (k − 3)) makes up for that exactly, in both parts (from Hoeffding's decomposition,
    Ann. Math. Statist. 19, 1948).

    Args:
        crossed: Σ r_i².
        own: Σ r_ij², of the same shape.
        effective: Identities that carry the figure; 4 at least is used.

    Returns:
        Variances, of the shape given.
    """
    k = max(effective, 4.0)
    lost = k * (k - 1) / ((k - 2) * (k - 3))
    both, single = np.asarray(crossed, dtype=np.float64), np.asarray(own, dtype=np.float64)
    return np.asarray(np.maximum((both - single) * lost, single))


def pair_inflation(rows: FloatArray, cells: FloatArray, effective: float) -> float:
    """Variance of a U-statistic, see `pair_variance`, over that of its bootstrap replicates, which vary by
    Σ r_i² + Σ r_ij².

    Args:
        rows: r_i, (k,).
        cells: r_ij of the pairs of identities that occur, (m,).
        effective: Identities that carry the figure; 4 at least is used.

    Returns:
        The ratio of variances; 1 where nothing varies.
    """
    own, crossed = np.sum(cells**2), np.sum(rows**2)
    if own + crossed == 0:
        return 1.0
    return float(pair_variance(crossed, own, effective) / (crossed + own))


def replicate_interval(
    estimate: float,
    replicates: FloatArray,
    n_identities: int,
    level: float,
    clip: tuple[float, float] | None,
    *,
    effective: float,
    inflation: float | None = None,
) -> Interval:
    """Student's interval around the estimate, with the standard deviation of the replicates that are defined.

    Args:
        estimate: of the people as they are.
        replicates: under each draw of identities, (n_boot,); NaN where undefined.
        n_identities: that were resampled.
        level: nominal coverage.
        clip: range of the figure.
        effective: identities that carry it, see `effective_identities`.
        inflation: variance of the estimate over that of the replicates; left out, k / (k − 1) for k effective
            identities, as for a mean.
    """
    defined = replicates[np.isfinite(replicates)]
    if not np.isfinite(estimate) or len(defined) < LEAST_DEFINED * len(replicates):
        return Interval(estimate, np.nan, np.nan, n_identities, len(defined), level)
    k = max(effective, 2.0)
    error = float(defined.std() * np.sqrt(k / (k - 1) if inflation is None else inflation))
    if error <= _ROUNDING * abs(estimate):
        error = 0.0
    low, high = student_ends(estimate, error, effective, level, clip)
    return Interval(estimate, low, high, n_identities, len(defined), level)
