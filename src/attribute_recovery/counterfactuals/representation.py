"""Representation counterfactuals: z moved until the decision flips, decoded, and embedded again.

z and its moved copy are decoded with the same noise, so that their images differ by the move alone; what the heads read
in both, averaged over several noises, is the explanation. A flip counts where the decoded image of the moved z has the
other decision and the decoded image of the unmoved z had kept its own; all pairs are counted.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from attribute_recovery.attributes.edit import soft_encoding
from attribute_recovery.attributes.heads import AttributeEstimator
from attribute_recovery.counterfactuals.geodesic import flip_embeddings
from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.decoder.train import embed_codes
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.training.device import chunks

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RepresentationResult:
    """What happened to each pair.

    Attributes:
        table: one row a pair.
        before, after: codes of the first sample, unmoved and moved, (n, code_size).
    """

    table: pd.DataFrame
    before: Floats
    after: Floats


def representation_counterfactuals(
    decoder: Decoder,
    recognizer: Recognizer,
    estimator: AttributeEstimator,
    embeddings: Floats,
    first: Rows,
    second: Rows,
    tau: float,
    *,
    travel: float,
    n_samples: int,
    seed: int,
) -> RepresentationResult:
    """Move z of `first` against z of `second`, (n,) rows of embeddings (m, d), until the decision flips.

    Decisions are judged on the first sample of each; the explanation is a mean over `n_samples`.
    """
    z, other = embeddings[first].astype(np.float64), embeddings[second].astype(np.float64)
    flip = flip_embeddings(z, other, tau, travel=travel)
    before = decoder.sample(z.astype(np.float32), n_samples, seed)
    after = decoder.sample(flip.moved.astype(np.float32), n_samples, seed)
    scores = {
        name: (embed_codes(decoder.generator, recognizer, codes[:, 0]) * other).sum(1)
        for name, codes in (("unmoved", before), ("moved", after))
    }
    score = (z * other).sum(1)
    matched = score >= tau
    kept = (scores["unmoved"] >= tau) == matched
    flipped = (scores["moved"] >= tau) != matched
    columns = {
        "direction": np.where(matched, "to_non_match", "to_match"),
        "score": score,
        "closed_form": np.degrees(flip.closed_form),
        "travel": np.degrees(flip.travel),
        "score_target": (flip.moved * other).sum(1),
        "score_unmoved": scores["unmoved"],
        "score_after": scores["moved"],
        "kept": kept,
        "flipped": kept & flipped,
    }
    columns.update(_changes(decoder, estimator, before, after))
    return RepresentationResult(pd.DataFrame(columns), before[:, 0], after[:, 0])


def _changes(decoder: Decoder, estimator: AttributeEstimator, before: Floats, after: Floats) -> dict[str, Floats]:
    """Mean change of each encoded attribute over the samples, and its standard error, by column name."""
    n, n_samples, size = before.shape
    read = []
    for codes in (before, after):
        flat = codes.reshape(-1, size)
        parts = []
        with torch.no_grad():
            for part in chunks(len(flat), 128):
                parts.append(soft_encoding(estimator, decoder.generator.decode(torch.from_numpy(flat[part]))))
        read.append(np.concatenate(parts).reshape(n, n_samples, -1))
    difference = read[1] - read[0]
    result = {}
    for attribute in estimator.schema:
        block = difference[:, :, estimator.schema.slices[attribute.name]]
        names = attribute.categories if attribute.kind == "categorical" else ("",)
        for i, name in enumerate(names):
            label = f"{attribute.name}.{name}" if name else attribute.name
            result[f"change.{label}"] = block[:, :, i].mean(1)
            error = block[:, :, i].std(1, ddof=1) / np.sqrt(n_samples) if n_samples > 1 else np.full(n, np.nan)
            result[f"change_se.{label}"] = error
    return result
