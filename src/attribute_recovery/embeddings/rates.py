"""How well a recognizer tells people apart: τ from the split `calibration`, rates on the split `test`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.config import RecognizerConfig
from attribute_recovery.dataset.store import read_table, rows_of, write_json, write_table
from attribute_recovery.embeddings.pairs import Embeddings, Pairs, genuine_pairs, impostor_pairs, nearest_rows
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.statistics.bootstrap import Interval, identity_mean_interval, pair_rate_interval
from attribute_recovery.statistics.rates import Threshold, det_curve, equal_error_rate, threshold_at_fmr

CURVE_POINTS = 200

Names = npt.NDArray[np.str_]


@dataclass(frozen=True)
class SplitPairs:
    """A split's images and their pairs: embeddings (n, d), identities (n,), genuine and impostor pairs."""

    embeddings: Embeddings
    identities: Names
    genuine: Pairs
    impostor: Pairs

    @property
    def n_identities(self) -> int:
        """People in the split."""
        return len(np.unique(self.identities))


def measure_rates(
    settings: RecognizerConfig,
    seed: int,
    n_boot: int,
    *,
    table: Path,
    shards: Path,
    rates: Path,
    curve: Path,
    metrics: Path,
) -> dict[str, Any]:
    """Fix the threshold and measure the rates; the entry of the stage.

    Args:
        settings: of the recognizer; `target_fmr` is the false match rate that is asked for.
        seed: of the bootstrap, and of pairs where there are too many to compare all.
        n_boot: bootstrap replicates.
        table: images.parquet, read.
        shards: folder of embeddings, read.
        rates: JSON of a `Threshold`, written.
        curve: Parquet of the DET curve on `test`, columns fmr, fnmr, threshold, written.
        metrics: JSON of what is returned, written.

    Returns:
        `tar_at_target_fmr` and `fmr_at_threshold` on `test` at the threshold from `calibration`, and
        `rank_1`, each with "<key>_interval" [low, high] at 95 %, identities resampled; `target_fmr`,
        `used_fmr` (the target, or the smallest that the calibration identities can bear), `threshold`, `eer`,
        mean scores, counts of identities, images and pairs, `split`.

    Raises:
        ValueError: a split has fewer than 2 identities or nobody with two images, or an embedding is missing.
    """
    images = read_table(table)
    calibration = split_pairs(images, shards, "calibration", seed)
    threshold = threshold_of(calibration, settings.target_fmr)
    test = split_pairs(images, shards, "test", seed)
    values = measured(test, threshold, seed=seed, n_boot=n_boot)
    write_json(asdict(threshold), rates)
    det = det_curve(test.genuine.scores, test.impostor.scores, CURVE_POINTS)
    write_table(pd.DataFrame({"fmr": det.fmr, "fnmr": det.fnmr, "threshold": det.thresholds}), curve)
    write_json(values, metrics)
    return values


def split_pairs(images: pd.DataFrame, shards: Path, split: str, seed: int) -> SplitPairs:
    """Pairs of a split.

    Args:
        images: images.parquet as a table.
        shards: folder of embeddings.
        split: its name.
        seed: of the sample, where there are too many pairs.

    Returns:
        The split's pairs.

    Raises:
        ValueError: it has fewer than 2 identities or nobody with two images, or an embedding is missing.
    """
    rows = images.iloc[rows_of(images, split)]
    identities = rows["identity"].to_numpy(str)
    people, counts = np.unique(identities, return_counts=True)
    if len(people) < 2 or counts.max() < 2:
        raise ValueError(
            f"split {split}: found {len(people)} identities with at most {counts.max(initial=0)} images "
            "each; rates need at least 2 identities, and one of them with 2 images"
        )
    embeddings = read_embeddings(shards, rows)
    genuine = genuine_pairs(embeddings, identities, seed=seed)
    return SplitPairs(embeddings, identities, genuine, impostor_pairs(embeddings, identities, seed=seed))


def threshold_of(calibration: SplitPairs, target_fmr: float) -> Threshold:
    """Where impostors of the split pass at most at the target rate, or at the smallest claimable one."""
    pairs = calibration.impostor
    people = calibration.n_identities
    low, high = np.minimum(pairs.identity_a, pairs.identity_b), np.maximum(pairs.identity_a, pairs.identity_b)
    compared = len(np.unique(low * people + high))
    return threshold_at_fmr(pairs.scores, target_fmr, n_identities=people, n_identity_pairs=compared)


def measured(test: SplitPairs, threshold: Threshold, *, seed: int, n_boot: int) -> dict[str, Any]:
    """The metrics of `measure_rates`, from the pairs of the split `test`."""
    tar = _accepted(test.genuine, threshold.value, seed, n_boot)
    fmr = _accepted(test.impostor, threshold.value, seed, n_boot)
    rank_1 = _rank_1(test, seed, n_boot)
    return {
        **_with_interval("tar_at_target_fmr", tar),
        "target_fmr": threshold.requested_fmr,
        "used_fmr": threshold.fmr,
        "threshold": threshold.value,
        **_with_interval("fmr_at_threshold", fmr),
        "eer": equal_error_rate(test.genuine.scores, test.impostor.scores).rate,
        **_with_interval("rank_1", rank_1),
        "genuine_score_mean": float(test.genuine.scores.mean(dtype=np.float64)),
        "impostor_score_mean": float(test.impostor.scores.mean(dtype=np.float64)),
        "n_identities": test.n_identities,
        "n_images": len(test.identities),
        "n_genuine_pairs": len(test.genuine.scores),
        "n_impostor_pairs": len(test.impostor.scores),
        "n_genuine_pairs_possible": test.genuine.possible,
        "n_impostor_pairs_possible": test.impostor.possible,
        "split": "test",
    }


def _accepted(pairs: Pairs, tau: float, seed: int, n_boot: int) -> Interval:
    """Share of the pairs with score >= τ."""
    return pair_rate_interval(
        pairs.scores >= tau, pairs.identity_a, pairs.identity_b, n_boot=n_boot, seed=seed, clip=(0.0, 1.0)
    )


def _rank_1(test: SplitPairs, seed: int, n_boot: int) -> Interval:
    """Share of images whose nearest other image shows the same person, over people with several images."""
    _, codes, counts = np.unique(test.identities, return_inverse=True, return_counts=True)
    findable = counts[codes] > 1
    hits = codes[nearest_rows(test.embeddings)] == codes
    return identity_mean_interval(hits[findable], codes[findable], n_boot=n_boot, seed=seed, clip=(0.0, 1.0))


def _with_interval(key: str, interval: Interval) -> dict[str, Any]:
    """Estimate and ends; null instead of ends that are not defined."""
    ends = [float(end) if np.isfinite(end) else None for end in (interval.low, interval.high)]
    return {key: interval.estimate, f"{key}_interval": ends}
