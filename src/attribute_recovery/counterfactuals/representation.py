"""Representation counterfactuals: z moved until the decision flips, decoded, and embedded again.

z and its moved copy are decoded with the same noise, so that their images differ by the move alone; what the
heads read in both, averaged over several noises, is the explanation. z' lies on the geodesic; where the image
decoded there does not flip and f has gradients, it is steered elsewhere within the same travel. A flip counts
where the decoded image of the moved z has the other decision and the decoded image of the unmoved z had kept
its own; all pairs are counted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from attribute_recovery.attributes.edit import soft_encoding
from attribute_recovery.attributes.heads import AttributeEstimator
from attribute_recovery.counterfactuals.geodesic import Flip, angle, flip_embeddings
from attribute_recovery.counterfactuals.steering import Aim, steer
from attribute_recovery.decoder.decoder import Decoder, row_noise
from attribute_recovery.decoder.pairs import embed_codes
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.training.device import chunks

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
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
        `flipped`; `flipped_on_geodesic`, the same without steering, and `flipped_samples`, the share of all
        samples that has the other decision; `change.<attribute>` and its standard error
        `change_se.<attribute>`. And the codes.

    Raises:
        ValueError: τ or travel is out of range.
    """
    other = embeddings[second].astype(np.float64)
    score = (embeddings[first] * embeddings[second]).sum(1).astype(np.float64)
    matched = score >= tau
    flip = flip_embeddings(embeddings[first].astype(np.float64), other, tau, travel=travel)
    before = decoder.sample(embeddings[first], n_samples, seed)
    unmoved = _scores(decoder, recognizer, before, other)[:, 0]
    kept = np.isfinite(unmoved) & ((unmoved >= tau) == matched)
    ahead = decoder.sample(flip.moved.astype(np.float32), 1, seed)
    on_geodesic = _flips(_scores(decoder, recognizer, ahead, other), matched, tau)[:, 0]
    moved = _steered(decoder, recognizer, embeddings[first], other, flip, kept & ~on_geodesic, tau, seed)
    after = decoder.sample(moved.astype(np.float32), n_samples, seed)
    scores = _scores(decoder, recognizer, after, other)
    flips = _flips(scores, matched, tau)
    columns = {
        "direction": np.where(matched, "to_non_match", "to_match"),
        "score": score,
        "closed_form": np.degrees(flip.closed_form),
        "travel": np.degrees(angle(moved, _unit(embeddings[first]))),
        "score_target": (moved * other).sum(1),
        "score_unmoved": unmoved,
        "score_after": scores[:, 0],
        "kept": kept,
        "flipped": kept & flips[:, 0],
        "flipped_on_geodesic": kept & on_geodesic,
        "flipped_samples": flips.mean(1),
    }
    columns |= _changes(decoder, estimator, before, after)
    return RepresentationResult(pd.DataFrame(columns), before[:, 0], after[:, 0])


def _scores(decoder: Decoder, recognizer: Recognizer, codes: Floats, other: Doubles) -> Doubles:
    """Cosines (n, samples) of the decoded images of codes (n, samples, code_size) with `other`, (n, d)."""
    flat = embed_codes(decoder.generator, recognizer, codes.reshape(-1, codes.shape[2]))
    return np.asarray((flat.reshape(*codes.shape[:2], -1) * other[:, None]).sum(2))


def _flips(scores: Doubles, matched: npt.NDArray[np.bool_], tau: float) -> npt.NDArray[np.bool_]:
    """Which scores (n, samples) are of the other decision than that of their row, (n,)."""
    return np.asarray(np.isfinite(scores) & ((scores >= tau) != matched[:, None]))


def _steered(
    decoder: Decoder,
    recognizer: Recognizer,
    embeddings: Floats,
    other: Doubles,
    flip: Flip,
    wanted: npt.NDArray[np.bool_],
    tau: float,
    seed: int,
) -> Doubles:
    """The moved embeddings (n, d), those of the wanted rows steered; each within the travel of its flip."""
    moved = flip.moved.copy()
    rows = np.flatnonzero(wanted)
    if not recognizer.differentiable or not len(rows):
        return moved
    size = decoder.transformer.code_size
    noise = np.stack([row_noise(int(row), 1, size, seed)[0] for row in rows])
    start = _unit(embeddings[rows])
    aim = Aim(start, _unit(other[rows]), flip.travel[rows], (start * other[rows]).sum(1) < tau, tau)
    moved[rows] = steer(decoder, recognizer, aim, moved[rows], noise)
    return moved


def _unit(vectors: npt.NDArray[np.floating[Any]]) -> Doubles:
    """Vectors (n, d) of length 1 in float64: those of float32 are 1e-7 off."""
    exact = vectors.astype(np.float64)
    return np.asarray(exact / np.linalg.norm(exact, axis=1, keepdims=True))


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
