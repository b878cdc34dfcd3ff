"""Error rates of a decision by threshold; a pair is accepted when score >= tau."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribute_recovery.statistics.inputs import FloatArray, IntArray, finite_vector


@dataclass(frozen=True)
class Threshold:
    """A decision threshold and what it stands on.

    Attributes:
        value: The threshold tau, in the scores' unit; a pair is accepted at score >= tau.
        requested_fmr: The false match rate that was asked for.
        fmr: The one that was used: the requested one, or the smallest claimable one if that is larger.
        achieved_fmr: The share of the impostor pairs given that tau accepts, at most `fmr`.
        n_pairs: Impostor pairs of images that fixed tau.
        n_identity_pairs: Distinct pairs of identities among them, the n of the floor 3/n.
    """

    value: float
    requested_fmr: float
    fmr: float
    achieved_fmr: float
    n_pairs: int
    n_identity_pairs: int


@dataclass(frozen=True)
class EqualErrorRate:
    """Where FMR and FNMR are equal: the rate, and the threshold in the scores' unit."""

    rate: float
    threshold: float


@dataclass(frozen=True)
class DetCurve:
    """Detection error trade-off: three arrays of shape (p,), by rising FMR (falling thresholds)."""

    fmr: FloatArray
    fnmr: FloatArray
    thresholds: FloatArray


def claimable_fmr(n_identities: int) -> float:
    """Smallest false match rate that a set of identities can bear: 3/n, n its distinct pairs of identities.

    Pairs of images of the same two people are not independent, so n counts pairs of people. No event in n
    independent trials leaves 3/n as the upper 95 % bound (rule of three, Hanley & Lippman-Hand, JAMA 1983).

    Args:
        n_identities: Number of identities, at least 2.

    Returns:
        The rate, at most 1.

    Raises:
        ValueError: If there are fewer than 2 identities.

    >>> claimable_fmr(101) == 3 / 5050
    True
    """
    return _floor(_identity_pairs(n_identities))


def threshold_at_fmr(
    impostor_scores: npt.ArrayLike,
    fmr: float,
    *,
    n_identities: int,
    n_identity_pairs: int | None = None,
) -> Threshold:
    """Smallest threshold at which the share of accepted impostors is at most the false match rate.

    A rate below the claimable one is raised to it. The threshold is the next number after an impostor's
    score, in the precision of the scores given, so that it survives being compared in that precision.

    Args:
        impostor_scores: Scores of pairs of different people, shape (n,), a float array.
        fmr: Requested false match rate, 0 to 1.
        n_identities: Identities that the pairs were made of.
        n_identity_pairs: Distinct pairs of identities, if not all of them were compared. Left out, it is all
            of them, n_identities (n_identities - 1) / 2, or the number of scores where that is smaller.

    Returns:
        The threshold with the rates that it stands on.

    Raises:
        ValueError: If scores are empty or not finite, `fmr` leaves [0, 1], or the counts contradict each
            other.

    >>> threshold_at_fmr([0.1, 0.2, 0.3, 0.4], 0.25, n_identities=2).fmr  # one pair of people bears no claim
    1.0
    """
    scores = np.sort(_scores(impostor_scores))
    if not 0 <= fmr <= 1:
        raise ValueError(f"fmr is {fmr}, expected 0 to 1")
    most = min(_identity_pairs(n_identities), len(scores))
    pairs = most if n_identity_pairs is None else n_identity_pairs
    if not 1 <= pairs <= most:
        raise ValueError(f"n_identity_pairs is {pairs}, expected 1 to {most} with {n_identities} identities")
    used = max(float(fmr), _floor(pairs))
    tau = _threshold_accepting(scores, _most_accepted(used, len(scores)))
    achieved = false_match_rate(scores, tau)
    return Threshold(tau, float(fmr), used, achieved, len(scores), pairs)


def false_match_rate(scores: npt.ArrayLike, tau: float) -> float:
    """Share of impostor pairs with score >= tau.

    Args:
        scores: Scores of pairs of different people, shape (n,).
        tau: Threshold.

    Returns:
        The rate, 0 to 1.

    Raises:
        ValueError: If scores are empty or not finite.

    >>> false_match_rate([0.1, 0.2, 0.3, 0.4], 0.3)
    0.5
    """
    return float(np.mean(finite_vector("scores", scores) >= tau))


def true_accept_rate(scores: npt.ArrayLike, tau: float) -> float:
    """Share of genuine pairs with score >= tau.

    Args:
        scores: Scores of pairs of one person each, shape (n,).
        tau: Threshold.

    Returns:
        The rate, 0 to 1.

    Raises:
        ValueError: If scores are empty or not finite.
    """
    return false_match_rate(scores, tau)


def false_non_match_rate(scores: npt.ArrayLike, tau: float) -> float:
    """Share of genuine pairs with score < tau: 1 - TAR.

    Args:
        scores: Scores of pairs of one person each, shape (n,).
        tau: Threshold.

    Returns:
        The rate, 0 to 1.

    Raises:
        ValueError: If scores are empty or not finite.
    """
    return float(np.mean(finite_vector("scores", scores) < tau))


def equal_error_rate(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> EqualErrorRate:
    """The rate at which FMR and FNMR cross, linear between the two neighbouring scores.

    Args:
        genuine: Scores of pairs of one person each, shape (n,).
        impostor: Scores of pairs of different people, shape (m,).

    Returns:
        Rate, 0 to 1, and threshold.

    Raises:
        ValueError: If an array is empty or not finite.

    >>> equal_error_rate([0.8, 0.9], [0.1, 0.2]).rate
    0.0
    """
    own, other = np.sort(_scores(genuine)), np.sort(_scores(impostor))
    taus = np.unique(np.concatenate([own, other]).astype(np.float64))
    taus = np.append(
        taus, np.nextafter(taus[-1], np.inf)
    )  # the last one accepts nobody, so that the curves cross
    fmr, fnmr = _fmr(other, taus), _fnmr(own, taus)
    right = int(np.argmax(fnmr >= fmr))  # never 0: the lowest score accepts every pair, FMR 1 and FNMR 0
    left = right - 1
    gap_left, gap_right = fmr[left] - fnmr[left], fmr[right] - fnmr[right]
    share = gap_left / (gap_left - gap_right)
    rate = fmr[left] + share * (fmr[right] - fmr[left])
    return EqualErrorRate(float(rate), float(taus[left] + share * (taus[right] - taus[left])))


def det_curve(genuine: npt.ArrayLike, impostor: npt.ArrayLike, n_points: int) -> DetCurve:
    """FNMR against FMR, at rates evenly spaced on the logarithmic axis from 1/m to 1.

    Args:
        genuine: Scores of pairs of one person each, shape (n,).
        impostor: Scores of pairs of different people, shape (m,).
        n_points: Points to aim for, at least 2; there are fewer where tied or few scores give no more.

    Returns:
        The curve; each point is a threshold as `threshold_at_fmr` would choose it, its FMR the achieved one.

    Raises:
        ValueError: If an array is empty or not finite, or n_points < 2.
    """
    if n_points < 2:
        raise ValueError(f"n_points is {n_points}, expected at least 2")
    own, other = np.sort(_scores(genuine)), np.sort(_scores(impostor))
    counts = np.unique(np.rint(np.geomspace(1, len(other), n_points)).astype(np.int64))
    taus = np.array([_threshold_accepting(other, int(count)) for count in counts])
    fmr, first = np.unique(_fmr(other, taus), return_index=True)
    positive = fmr > 0
    chosen = taus[first[positive]]
    return DetCurve(fmr[positive], _fnmr(own, chosen), chosen)


def _identity_pairs(n_identities: int) -> int:
    """Distinct pairs of n identities."""
    if n_identities < 2:
        raise ValueError(f"n_identities is {n_identities}, expected at least 2")
    return n_identities * (n_identities - 1) // 2


def _floor(n_identity_pairs: int) -> float:
    """Rule of three, at most 1."""
    return min(1.0, 3 / n_identity_pairs)


def _scores(scores: npt.ArrayLike) -> npt.NDArray[np.floating]:
    """Checked scores in their own float precision (float64 for what is not an array of floats)."""
    checked = finite_vector("scores", scores)
    given = np.asarray(scores)
    return given if np.issubdtype(given.dtype, np.floating) else checked


def _most_accepted(fmr: float, n: int) -> int:
    """Largest k with k / n <= fmr in floating point, where fmr * n alone may round to the wrong side."""
    k = min(n, int(fmr * n) + 1)
    while k / n > fmr:
        k -= 1
    return k


def _threshold_accepting(ascending: npt.NDArray[np.floating], k: int) -> float:
    """Smallest number that at most k of the sorted scores reach; the lowest score where k is all of them."""
    if k >= len(ascending):
        return float(ascending[0])
    refused = ascending[len(ascending) - 1 - k]
    return float(np.nextafter(refused, refused.dtype.type(np.inf)))


def _fmr(ascending: npt.NDArray[np.floating], taus: FloatArray) -> FloatArray:
    """Share of sorted scores >= each threshold, shape of taus."""
    return (len(ascending) - _below(ascending, taus)) / len(ascending)


def _fnmr(ascending: npt.NDArray[np.floating], taus: FloatArray) -> FloatArray:
    """Share of sorted scores < each threshold, shape of taus."""
    return _below(ascending, taus) / len(ascending)


def _below(ascending: npt.NDArray[np.floating], taus: FloatArray) -> IntArray:
    """Count of sorted scores < each threshold."""
    return np.searchsorted(ascending.astype(np.float64), taus, side="left").astype(np.int64)
