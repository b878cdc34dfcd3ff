"""Identity share: whether z carries an attribute as part of who somebody is.

Of what z tells about the attribute of an image, out of sample and in nats, how much lies in what the person's
images have in common (between), and how much in the image alone (within): the share is between / (between +
within). Only different images of a person speak for the person, so that a state of single images, however
well it is read, counts as none; people of whom there is one image say nothing. A continuous attribute of
variance T, of which B is explained between people, has −log(1 − B / T) / 2 between, and the rest of
−log(1 − R²) / 2 within. A discrete one has between what the mean forecast for the person's other images gains
in log loss, and within what the image's own forecast gains beyond.

A read-out of z inherits z's own clustering by identity, so the intraclass correlation of what is recovered
means nothing by itself: beside it stands the one that read-outs reach whose labels were exchanged between
identities, and only the excess says something.

p-values. Whole identities exchanged (levels identity and mixed): is anything carried between identities?
Images exchanged within identities (level image; beside the other for mixed): is more carried between
identities than within them, seen against images that are exchangeable? Exchanging images leaves the
identities' means where they are, so for an attribute that is read well in single images this p is near 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribute_recovery.recovery.forecast import PROBABILITY_FLOOR, DiscreteMarginal
from attribute_recovery.recovery.routes import ContinuousForecast
from attribute_recovery.significance.forecasts import Recovered
from attribute_recovery.significance.permuted import Permutations, schemes_of
from attribute_recovery.significance.shares import (
    ContinuousStatistics,
    DiscreteStatistics,
    Sums,
    share_of,
    sums_by_identity,
)
from attribute_recovery.statistics.bootstrap import Interval, identity_weights
from attribute_recovery.statistics.dependence import (
    between_within_gaussian,
    between_within_information,
    icc1,
)
from attribute_recovery.statistics.inputs import FloatArray, IntArray, identity_codes
from attribute_recovery.statistics.interval import LEAST_DEFINED, effective_identities, share_ends
from attribute_recovery.statistics.linear import (
    choose_ridge_penalties,
    fit_ridge,
    fit_standardiser,
    held_out_people,
)
from attribute_recovery.statistics.permutation import Scheme, exchange_identities

REFITS = 49
LEVEL = 0.95


@dataclass(frozen=True)
class Share:
    """Identity share of one attribute.

    Attributes:
        interval: the share with 95 % interval, 0 to 1; NaN where z carries neither part.
        between, within: nats; `within` is NaN for an attribute that is constant within identities.
        variance_share: share of explained variance that lies between identities, by components of variance;
            for discrete attributes over the columns of their classes.
        icc_recovered, icc_true: ICC(1) of what is recovered, and of the truth.
        icc_permuted: mean ICC(1) of read-outs fitted to labels exchanged between identities.
        p: by the level's own scheme; whole identities for a mixed attribute.
        p_by_scheme: of each scheme that the attribute's level asks for.
    """

    interval: Interval
    between: float
    within: float
    variance_share: float
    icc_recovered: float
    icc_true: float
    icc_permuted: float
    p: float
    p_by_scheme: dict[Scheme, float]


def identity_shares(
    recovered: list[Recovered],
    permutations: Permutations,
    icc_permuted: list[float],
    *,
    n_boot: int,
    seed: int,
) -> list[Share]:
    """The measure of every attribute.

    Args:
        recovered: forecasts of n held-out images, one entry an attribute.
        permutations: of these images.
        icc_permuted: see `permuted_iccs`, one an attribute.
        n_boot: replicates of the intervals; all attributes share the draws.
        seed: of the intervals.

    Raises:
        ValueError: there are fewer than two people, or none has two images.
    """
    codes = permutations.codes
    sums = [sums_by_identity(one, codes) for one in recovered]
    intervals = share_intervals(sums, codes, n_boot=n_boot, seed=seed)
    result = []
    for one, interval, permuted in zip(recovered, intervals, icc_permuted, strict=True):
        between, within = _parts(one, codes)
        p_by_scheme = _p_values(one, permutations)
        result.append(
            Share(
                interval,
                between,
                within,
                _variance_share(one, codes),
                mean_icc(one.readouts(), codes),
                mean_icc(one.targets(), codes),
                permuted,
                p_by_scheme.get("identity", p_by_scheme.get("image", math.nan)),
                p_by_scheme,
            )
        )
    return result


def share_intervals(sums: Sequence[Sums], codes: IntArray, *, n_boot: int, seed: int) -> tuple[Interval, ...]:
    """The identity share of each attribute with its interval, people resampled once for all.

    Args:
        sums: by identity, see `shares.sums_by_identity`, one an attribute.
        codes: identity of each image as a number from 0, (n,).
        n_boot: replicates.
        seed: of the draws.

    Raises:
        ValueError: there are fewer than two people.
    """
    k = len(np.bincount(codes))
    weights = np.concatenate(list(identity_weights(k, n_boot, seed, n_boot)))
    intervals = []
    for one in sums:
        parts = one.parts(np.ones(k))
        replicates = np.array([one.parts(row) for row in weights])
        estimate, defined = share_of(*parts), np.isfinite(replicates).any(axis=1)
        low, high = math.nan, math.nan
        if not math.isnan(estimate) and defined.mean() >= LEAST_DEFINED:
            # People of one image are resampled, and carry nothing.
            effective, carry = effective_identities(one.images), np.flatnonzero(one.images)
            contributions = np.array([one.parts(1.0 - (np.arange(k) == person)) for person in carry])
            low, high = share_ends(parts, replicates[defined], contributions, effective, LEVEL)
        intervals.append(Interval(estimate, low, high, k, int(defined.sum()), LEVEL))
    return tuple(intervals)


def _parts(recovered: Recovered, codes: IntArray) -> tuple[float, float]:
    """Between and within in nats."""
    if isinstance(recovered.forecast, ContinuousForecast):
        found = between_within_gaussian(recovered.forecast.mean, recovered.truth, codes)
        return found.between, found.within
    assert isinstance(recovered.marginal, DiscreteMarginal)
    split = between_within_information(
        recovered.forecast.probabilities,
        recovered.truth,
        codes,
        marginal=recovered.marginal.probabilities,
        floor=PROBABILITY_FLOOR,
    )
    return split.between, split.within


def _variance_share(recovered: Recovered, people: IntArray) -> float:
    """Share of explained variance between identities; of several columns the mean of those that have one."""
    pairs = zip(recovered.readouts().T, recovered.targets().T, strict=True)
    shares = [between_within_gaussian(read, true, people).variance_share for read, true in pairs]
    defined = [share for share in shares if not math.isnan(share)]
    return float(np.mean(defined)) if defined else math.nan


def mean_icc(columns: FloatArray, codes: IntArray) -> float:
    """Mean of the ICC(1) of columns (n, k) that vary, images grouped by identity (n,); NaN where none
    varies."""
    found = [icc1(column, codes) for column in columns.T]
    defined = [value for value in found if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan


def permuted_iccs(
    fitted: tuple[npt.ArrayLike, npt.ArrayLike, list[FloatArray]],
    read: tuple[npt.ArrayLike, IntArray],
    seed: int,
    *,
    refits: int = REFITS,
) -> list[float]:
    """ICC(1) that read-outs of z have by z's own clustering: ridge regressions on labels exchanged between
    identities.

    Args:
        fitted: embeddings (n, d) of the split `train`, their identities (n,), and for each attribute the
            label columns (n, k), see `forecasts.target_columns`.
        read: embeddings (m, d) of held-out images with their identities as numbers (m,).
        seed: of the permutations.
        refits: permutations; all attributes share them.

    Returns:
        The mean over refits, one an attribute.
    """
    embeddings, identities, labels = fitted
    to_standard = fit_standardiser(embeddings)
    x, new = to_standard(embeddings), to_standard(read[0])
    y = np.concatenate(labels, axis=1)
    penalties = choose_ridge_penalties(x, y, held_out_people(identities, seed))
    codes, _ = identity_codes("identities", identities, len(x))
    rng = np.random.default_rng([seed, 32])
    ends = np.cumsum([columns.shape[1] for columns in labels])[:-1]
    found = np.empty((refits, len(labels)))
    for refit in found:
        readouts = fit_ridge(x, y[exchange_identities(codes, rng)], penalties)(new)
        refit[:] = [mean_icc(columns, read[1]) for columns in np.split(readouts, ends, axis=1)]
    return [float(value) for value in found.mean(axis=0)]


def _p_values(recovered: Recovered, permutations: Permutations) -> dict[Scheme, float]:
    schemes = schemes_of(recovered.attribute.level)
    statistics: ContinuousStatistics | DiscreteStatistics
    if isinstance(recovered.forecast, ContinuousForecast):
        statistics = ContinuousStatistics(
            recovered.forecast.mean, recovered.truth.astype(np.float64), permutations.codes
        )
    else:
        statistics = DiscreteStatistics(recovered, permutations.codes)
    as_they_are = np.arange(len(permutations.codes), dtype=np.int32)[None]
    p_values: dict[Scheme, float] = {}
    for scheme in schemes:
        statistic = statistics.between if scheme == "identity" else statistics.excess
        observed = float(statistic(as_they_are)[0])
        p_values[scheme] = permutations.p_value(scheme, recovered.truth, observed, statistic)
    return p_values
