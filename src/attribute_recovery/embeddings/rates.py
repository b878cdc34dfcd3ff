"""How well a recognizer tells people apart: τ from the split `calibration`, rates on the split `test`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.config_recognizers import ExperimentThreshold, RecognizerConfig
from attribute_recovery.dataset.store import read_table, rows_of, write_json, write_table
from attribute_recovery.embeddings.distance import (
    compared_by_distance,
    distances,
    read_norms,
    with_interval,
)
from attribute_recovery.embeddings.pairs import Embeddings, Pairs, genuine_pairs, impostor_pairs, nearest_rows
from attribute_recovery.embeddings.protocol import measure_protocol
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.embeddings.threshold import (
    Calibration,
    DecisionThreshold,
    fixed_threshold,
    identity_pairs,
)
from attribute_recovery.recognizer.card import RecognizerCard, read_recognizer_card
from attribute_recovery.statistics.bootstrap import Interval, identity_mean_interval, pair_rate_interval
from attribute_recovery.statistics.rates import (
    Threshold,
    det_curve,
    equal_error_rate,
    threshold_at_fmr,
)

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
    report: Path,
    pairs: Path,
    shards: Path,
    card: Path,
    rates: Path,
    curve: Path,
    metrics: Path,
) -> dict[str, Any]:
    """Fix the threshold and measure the rates; the entry of the stage.

    Args:
        settings: of the recognizer; `threshold` says where τ comes from. That of another experiment is read
            from its folder beside this one's: RESULTS/OTHER/RECOGNIZER/recognizer/threshold.json.
        seed: of the bootstrap, and of pairs where there are too many to compare all.
        n_boot: bootstrap replicates.
        table: images.parquet, read.
        report: report.json of the data, read.
        pairs: Parquet of the data's standard pairs, without rows where it has none; read.
        shards: folder of embeddings, read.
        card: of the recognizer, read.
        rates: JSON of a `DecisionThreshold`, written, as
            RESULTS/EXPERIMENT/RECOGNIZER/recognizer/threshold.json.
        curve: Parquet of the DET curve on `test`, columns fmr, fnmr, threshold, written.
        metrics: JSON of what is returned, written.

    Returns:
        `tar_at_target_fmr` and `fmr_at_threshold` on `test` at τ, and `rank_1`, each with "<key>_interval"
        [low, high] at 95 %, identities resampled; `threshold`, `threshold_kind`, `target_fmr` (None where
        none was asked for), `used_fmr` (what may be claimed at τ) and `claimable_fmr`, see
        `DecisionThreshold`; `threshold_split`; `eer`, mean scores, counts of identities, images and pairs,
        `split`; of the card `score`, `differentiable`, `gradients`, `runs_user_code` and `notes`; where the
        card's score is euclidean, `euclidean`, see `distance.compared_by_distance`; where the data come with
        standard pairs, `protocol`, see `protocol.measure_protocol`.

    Raises:
        ValueError: a split has fewer than 2 identities or nobody with two images, an embedding is missing, or
            the threshold cannot be fixed.
    """
    images, described = read_table(table), read_recognizer_card(card)
    calibration = _calibration(images, shards, described, seed)
    threshold = fixed_threshold(settings.threshold, calibration, other=_threshold_elsewhere(settings, rates))
    test = split_pairs(images, shards, "test", seed)
    values = measured(test, threshold, seed=seed, n_boot=n_boot) | _of_card(described)
    values["threshold_split"] = threshold_split(images)
    if described.score == "euclidean":
        norms = read_norms(shards, images.iloc[rows_of(images, "test")])
        values["euclidean"] = compared_by_distance(
            test.genuine, test.impostor, norms, threshold, seed=seed, n_boot=n_boot
        )
    trained_here = settings.source == "train"
    protocol = measure_protocol(images, pairs=pairs, report=report, shards=shards, trained_here=trained_here)
    values |= {"protocol": protocol} if protocol else {}
    write_json(threshold.to_json(), rates)
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


def threshold_split(images: pd.DataFrame) -> str:
    """The split that fixes τ: `calibration`, or, where everybody is held out once in folds, `test`."""
    return "test" if "fold" in images else "calibration"


def threshold_of(pairs: SplitPairs, fmr: float) -> Threshold:
    """τ at a false match rate on a split's impostors, or at the smallest rate that they can bear."""
    return threshold_at_fmr(
        pairs.impostor.scores,
        fmr,
        n_identities=pairs.n_identities,
        n_identity_pairs=identity_pairs(pairs.impostor),
    )


def measured(test: SplitPairs, threshold: DecisionThreshold, *, seed: int, n_boot: int) -> dict[str, Any]:
    """The metrics of `measure_rates`, from the pairs of the split `test`."""
    tar = _accepted(test.genuine, threshold.value, seed, n_boot)
    fmr = _accepted(test.impostor, threshold.value, seed, n_boot)
    rank_1 = _rank_1(test, seed, n_boot)
    return {
        **with_interval("tar_at_target_fmr", tar),
        "target_fmr": threshold.requested_fmr,
        "used_fmr": threshold.fmr,
        "claimable_fmr": threshold.claimable_fmr,
        "threshold": threshold.value,
        "threshold_kind": threshold.kind,
        **with_interval("fmr_at_threshold", fmr),
        "eer": equal_error_rate(test.genuine.scores, test.impostor.scores).rate,
        **with_interval("rank_1", rank_1),
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


def _calibration(images: pd.DataFrame, shards: Path, card: RecognizerCard, seed: int) -> Calibration:
    """The pairs of the split `calibration`, and the lengths of its embeddings."""
    name = threshold_split(images)
    split = split_pairs(images, shards, name, seed)
    norms = read_norms(shards, images.iloc[rows_of(images, name)])
    apart = distances(split.impostor, norms) if card.score == "euclidean" else None
    return Calibration(
        split.impostor, split.n_identities, apart, float(np.median(norms)), card.weights_sha256
    )


def _threshold_elsewhere(settings: RecognizerConfig, rates: Path) -> Path:
    """Where the other experiment's threshold lies, seen from this one's; its own where none is named."""
    if not isinstance(settings.threshold, ExperimentThreshold):
        return rates
    stage = rates.absolute().parent
    return stage.parents[2] / settings.threshold.from_ / stage.parent.name / stage.name / rates.name


def _of_card(card: RecognizerCard) -> dict[str, Any]:
    """What the report says of a recognizer besides its rates."""
    fitted = card.fitted
    return {
        "score": card.score,
        "gradients": "own" if fitted is None else fitted.gradients,
        "differentiable": fitted is None or fitted.gradients != "none",
        "runs_user_code": fitted is not None and fitted.runs_user_code,
        "notes": [] if fitted is None else list(fitted.notes),
    }
