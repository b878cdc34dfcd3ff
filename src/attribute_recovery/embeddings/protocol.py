"""The standard protocol of a data set that comes with pairs: LFW's, and those of InsightFace's sets."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.dataset.store import read_parquet
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.statistics.protocol import FoldAccuracy, fold_accuracy

# Pairs compared at once.
_BLOCK = 65_536


def measure_protocol(
    images: pd.DataFrame, *, pairs: Path, report: Path, shards: Path, trained_here: bool
) -> dict[str, Any]:
    """Accuracy over the folds of the standard pairs, see `statistics.protocol.fold_accuracy`.

    A score is the cosine of two stored embeddings; no embedding of the mirrored image is added to them, as
    some publications do. Pairs are of all splits, since the recognizer has seen nobody in them; where it was
    trained here, pairs with anybody of the split `recognizer` are left out.

    Args:
        images: images.parquet as a table.
        pairs: Parquet with the columns fold, first, second (image_ids) and genuine, those whose images are
            both in the data; read.
        report: report.json of the data, which counts the others; read.
        shards: folder of embeddings, read where there are pairs.
        trained_here: whether the recognizer was trained on the split `recognizer`.

    Returns:
        Nothing where the data have no standard pairs. Else `accuracy` and `standard_error` over the folds and
        `threshold`, the mean of theirs: None where they cannot be computed, and `why`, a sentence without its
        full stop, says so ("" where they can). `pairs`, `genuine` and `folds` that they stand on; `lost`,
        pairs of which an image is not in the data; `trained_on`, pairs left out since the recognizer was
        trained on somebody in them.

    Raises:
        ValueError: the table of pairs is damaged, or an image has no embedding.
    """
    told = json.loads(report.read_text("utf-8")).get("pairs")
    if told is None:
        return {}
    listed = read_parquet(pairs)
    seen = set(images["image_id"][images["split"] == "recognizer"]) if trained_here else set()
    kept = listed[~(listed["first"].isin(seen) | listed["second"].isin(seen))]
    why = _why_not(kept, len(listed), told["lost"])
    found = None if why else _accuracy(kept, images, shards)
    return {
        "accuracy": found.mean if found else None,
        "standard_error": found.standard_error if found else None,
        "threshold": float(found.thresholds.mean()) if found else None,
        "folds": int(kept["fold"].nunique()),
        "pairs": len(kept),
        "genuine": int(kept["genuine"].sum()),
        "lost": int(told["lost"]),
        "trained_on": len(listed) - len(kept),
        "why": why,
    }


def _why_not(kept: pd.DataFrame, n_listed: int, lost: int) -> str:
    """What keeps the accuracy from being computed; "" where nothing does."""
    if not n_listed:
        return f"none of the {lost} standard pairs has both of its images in the data"
    if kept.empty:
        return f"the recognizer was trained on somebody in each of the {n_listed} pairs"
    kinds = kept.groupby("fold")["genuine"].nunique()
    if len(kinds) < 2:
        return "all pairs are in one fold, and a fold's threshold is chosen on the others"
    of_one = kinds[kinds < 2]
    if len(of_one):
        only = "genuine" if kept["genuine"][kept["fold"] == of_one.index[0]].all() else "impostor"
        return f"of fold {int(of_one.index[0]) + 1} only {only} pairs are left"
    return ""


def _accuracy(kept: pd.DataFrame, images: pd.DataFrame, shards: Path) -> FoldAccuracy:
    used = images[images["image_id"].isin(pd.unique(kept[["first", "second"]].to_numpy().ravel()))]
    embeddings, places = read_embeddings(shards, used), pd.Index(used["image_id"])
    first, second = (places.get_indexer(pd.Index(kept[name])) for name in ("first", "second"))
    scores: npt.NDArray[np.float32] = np.empty(len(kept), np.float32)
    for start in range(0, len(kept), _BLOCK):
        part = slice(start, start + _BLOCK)
        scores[part] = np.einsum("nd,nd->n", embeddings[first[part]], embeddings[second[part]])
    return fold_accuracy(scores, kept["genuine"].to_numpy(np.bool_), kept["fold"].to_numpy(np.int64))
