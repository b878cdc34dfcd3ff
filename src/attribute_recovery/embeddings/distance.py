"""A deployed system that compares distances: how its decisions differ from those by cosine.

On the unit sphere ‖x − y‖² = 2 − 2 cos, so both scores decide alike. Embeddings that are not normalised, as
those of dlib's network, differ in length besides, and what that changes is measured here.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.embeddings.pairs import Pairs
from attribute_recovery.embeddings.store import iterate_shards
from attribute_recovery.embeddings.threshold import DecisionThreshold
from attribute_recovery.statistics.bootstrap import Interval, pair_rate_interval
from attribute_recovery.statistics.rates import equal_error_rate

Floats = npt.NDArray[np.float64]


def read_norms(shards: Path, table: pd.DataFrame) -> Floats:
    """Lengths of embeddings before normalisation.

    Args:
        shards: folder of shards.
        table: has the column `image_id`; each image has an embedding.

    Returns:
        float64 (n,), row i for row i of the table.

    Raises:
        ValueError: an image has no embedding.
    """
    known = {
        name: float(norm)
        for shard in iterate_shards(shards)
        for name, norm in zip(shard.image_ids, shard.norms, strict=True)
    }
    missing = [name for name in table["image_id"] if name not in known]
    if missing:
        raise ValueError(f"{shards}: image {missing[0]!r} has no embedding")
    return np.array([known[name] for name in table["image_id"]])


def distances(pairs: Pairs, norms: Floats) -> Floats:
    """Distances between embeddings before normalisation: ‖x − y‖² = ‖x‖² + ‖y‖² − 2 ‖x‖ ‖y‖ cos.

    Args:
        pairs: n pairs of rows, with their cosines.
        norms: lengths by row.

    Returns:
        (n,), 0 or more.
    """
    first, second = norms[pairs.row_a], norms[pairs.row_b]
    squares = first**2 + second**2 - 2 * first * second * pairs.scores.astype(np.float64)
    result: Floats = np.sqrt(np.maximum(squares, 0))
    return result


def compared_by_distance(
    genuine: Pairs, impostor: Pairs, norms: Floats, threshold: DecisionThreshold, *, seed: int, n_boot: int
) -> dict[str, Any]:
    """The rates of the rule "distance at most so much" beside those of the rule by cosine.

    Args:
        genuine: pairs of one person each, of the split `test`.
        impostor: pairs of two people, of that split.
        norms: lengths of the split's embeddings before normalisation.
        threshold: τ, and the largest distance that is accepted.
        seed: of the bootstrap.
        n_boot: bootstrap replicates.

    Returns:
        `threshold` (the distance), `tar` and `fmr` with intervals, `eer`, `decided_otherwise_genuine` and
        `decided_otherwise_impostor` (shares of pairs that the two rules decide differently), and the lowest,
        median and highest `norm`.

    Raises:
        ValueError: the threshold has no distance.
    """
    if threshold.distance is None:
        raise ValueError(
            "threshold: has no distance, allowed is one of a recognizer whose score is euclidean"
        )
    result: dict[str, Any] = {"threshold": threshold.distance}
    found = {}
    for key, name, pairs in (("tar", "genuine", genuine), ("fmr", "impostor", impostor)):
        found[name] = distances(pairs, norms)
        accepted = found[name] <= threshold.distance
        interval = pair_rate_interval(
            accepted, pairs.identity_a, pairs.identity_b, n_boot=n_boot, seed=seed, clip=(0.0, 1.0)
        )
        result |= with_interval(key, interval)
        result[f"decided_otherwise_{name}"] = float(np.mean(accepted != (pairs.scores >= threshold.value)))
    result["eer"] = equal_error_rate(-found["genuine"], -found["impostor"]).rate
    low, middle, high = (float(value) for value in np.quantile(norms, [0, 0.5, 1]))
    return result | {"norm": {"lowest": low, "median": middle, "highest": high}}


def with_interval(key: str, interval: Interval) -> dict[str, Any]:
    """Estimate and ends as metrics have them; null instead of ends that are not defined."""
    ends = [float(end) if np.isfinite(end) else None for end in (interval.low, interval.high)]
    return {key: interval.estimate, f"{key}_interval": ends}
