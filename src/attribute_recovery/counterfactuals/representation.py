"""Representation counterfactuals: z moved until the decision flips, decoded, and embedded again.

z and its moved copy are decoded with the same noise, so that their images differ by the move alone; what the
heads read in both, averaged over several noises, is the explanation. A flip counts where the decoded image of
the moved z has the other decision and the decoded image of the unmoved z had kept its own; all pairs are
counted.
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
    """Move z of `first` against z of `second` until the decision flips.

    Decisions are judged on the first sample of each; the explanation is a mean over `n_samples`.

    Args:
        decoder: T and G.
        recognizer: f.
        estimator: the heads.
        embeddings: (m, d), unit length.
        first: rows of the embeddings that are moved, (n,), n at least 1.
        second: rows of those that they are compared with, (n,).
        tau: the threshold.
        travel: on the sphere, times the closed form's.
        n_samples: decoded for each z.
        seed: of their noise, the same for z and its moved copy.

    Returns:
        One row a pair: `direction`; angles in degrees `closed_form` and `travel`; cosines `score` of the
        pair, `score_target` of the moved z, `score_unmoved` and `score_after` of the decoded images; `kept`,
        `flipped`; `change.<attribute>` and its standard error `change_se.<attribute>`. And the codes.

    Raises:
        ValueError: τ or travel is out of range.
    """
    z, other = embeddings[first].astype(np.float64), embeddings[second].astype(np.float64)
    flip = flip_embeddings(z, other, tau, travel=travel)
    before = decoder.sample(embeddings[first], n_samples, seed)
    after = decoder.sample(flip.moved.astype(np.float32), n_samples, seed)
    score = (z * other).sum(1)
    unmoved, moved = (
        (embed_codes(decoder.generator, recognizer, codes[:, 0]) * other).sum(1) for codes in (before, after)
    )
    matched = score >= tau
    kept = np.isfinite(unmoved) & ((unmoved >= tau) == matched)
    flipped = np.isfinite(moved) & ((moved >= tau) != matched)
    columns = {
        "direction": np.where(matched, "to_non_match", "to_match"),
        "score": score,
        "closed_form": np.degrees(flip.closed_form),
        "travel": np.degrees(flip.travel),
        "score_target": (flip.moved * other).sum(1),
        "score_unmoved": unmoved,
        "score_after": moved,
        "kept": kept,
        "flipped": kept & flipped,
    }
    columns |= _changes(decoder, estimator, before, after)
    return RepresentationResult(pd.DataFrame(columns), before[:, 0], after[:, 0])


def _changes(
    decoder: Decoder, estimator: AttributeEstimator, before: Floats, after: Floats
) -> dict[str, Floats]:
    """Mean change of each encoded attribute over the samples, and its standard error, by column name."""
    n, n_samples, _ = before.shape
    difference = _read(decoder, estimator, after) - _read(decoder, estimator, before)
    result = {}
    for attribute in estimator.schema:
        block = difference[:, :, estimator.schema.slices[attribute.name]]
        names = attribute.categories if attribute.kind == "categorical" else ("",)
        for i, name in enumerate(names):
            label = f"{attribute.name}.{name}" if name else attribute.name
            result[f"change.{label}"] = block[:, :, i].mean(1)
            error = np.full(n, np.nan, np.float32)
            if n_samples > 1:
                error = block[:, :, i].std(1, ddof=1) / np.sqrt(np.float32(n_samples))
            result[f"change_se.{label}"] = error
    return result


def _read(decoder: Decoder, estimator: AttributeEstimator, codes: Floats) -> Floats:
    """What the heads read in the images of codes (n, samples, code_size): (n, samples, width)."""
    flat = codes.reshape(-1, codes.shape[2])
    read = np.empty((len(flat), estimator.schema.width), np.float32)
    with torch.no_grad():
        for part in chunks(len(flat), 128):
            read[part] = soft_encoding(estimator, decoder.generator.decode(torch.from_numpy(flat[part])))
    return read.reshape(*codes.shape[:2], -1)
