"""Placebo edits: directions in code space that mean nothing, as the null of the decision effect.

An effect of 1 − cos is never negative, so it is tested against edits of the same length that an editor fitted
to permuted labels would make: the ridge regression of codes on a permuted label, one direction each. Labels
are exchanged between identities or within them, so that the directions vary as codes vary between people, or
between images.

Placebos are costly, and shared: each is decoded in a few images at a few lengths that span those of the real
edits, and its effect at any length is read off between these (both logarithmic). An attribute is compared
with them in the very same images, at its own lengths there.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribute_recovery.significance.effect import Edited, Pipeline, distances
from attribute_recovery.statistics.inputs import FloatArray, IntArray, identity_codes
from attribute_recovery.statistics.permutation import (
    Scheme,
    permutation_p_value,
    permute_identity_blocks,
    permute_within_identity,
)

Floats = npt.NDArray[np.float32]

IMAGES = 4
# Quantiles of the real edits' lengths at which placebos are decoded.
LENGTHS = (0.2, 0.8)
SMALLEST = 1e-9


@dataclass(frozen=True)
class Placebos:
    """Effects of placebo edits.

    Attributes:
        rows: images in which they were made, places among the originals, (m,).
        log_lengths: logarithms of the lengths in code space, (l,), rising.
        log_effects: logarithms of 1 − cos, (placebos, m, l), by scheme.
    """

    rows: IntArray
    log_lengths: FloatArray
    log_effects: dict[Scheme, FloatArray]

    def at(self, scheme: Scheme, image: int, length: float) -> FloatArray:
        """Effect of each placebo in the image at place `image` of `rows`, at a length, (placebos,)."""
        curves, x = self.log_effects[scheme][:, image], self.log_lengths
        if len(x) == 1 or length <= 0:
            return np.asarray(np.exp(curves[:, 0]) * (1.0 if length > 0 else 0.0))
        target = np.log(length)
        left = int(np.clip(np.searchsorted(x, target) - 1, 0, len(x) - 2))
        part = (target - x[left]) / (x[left + 1] - x[left])
        found = curves[:, left] + part * (curves[:, left + 1] - curves[:, left])
        return np.asarray(np.minimum(np.exp(found), 2.0))

    def p_value(self, scheme: Scheme, edited: list[Edited]) -> tuple[float, float]:
        """p of an attribute's effect, and the placebos' median effect, at the same images and lengths.

        Args:
            scheme: "identity" or "image".
            edited: the edits that are taken together.

        Returns:
            (1 + b) / (1 + B) and the median; both NaN where none of the images was edited.
        """
        observed, null, weights = 0.0, np.zeros(len(self.log_effects[scheme])), 0.0
        for one in edited:
            places = {int(row): place for place, row in enumerate(one.edit.rows)}
            for image, row in enumerate(self.rows):
                place = places.get(int(row))
                if place is None:
                    continue
                weight = float(one.edit.weights[place])
                weights += weight
                observed += weight * float(one.effects[place])
                null += weight * self.at(scheme, image, float(one.norms[place]))
        if weights == 0:
            return np.nan, np.nan
        return permutation_p_value(observed / weights, null / weights), float(np.median(null / weights))


def placebo_directions(
    codes: Floats,
    labels: FloatArray,
    identities: npt.ArrayLike,
    scheme: Scheme,
    count: int,
    seed: int,
) -> Floats:
    """Unit directions (count, code_size) of ridge regressions of codes on permuted labels.

    With one label the direction is that of the covariance, whatever the ridge.

    Args:
        codes: (n, code_size).
        labels: columns of labels (n, k), taken in turn.
        identities: (n,).
        scheme: "identity" exchanges labels between identities, "image" within them.
        count: placebos.
        seed: of the permutations.
    """
    people, _ = identity_codes("identities", identities, len(codes))
    permute = permute_identity_blocks if scheme == "identity" else permute_within_identity
    rng = np.random.default_rng([seed, 42, scheme == "identity"])
    centred = (codes - codes.mean(axis=0)).astype(np.float64)
    standard = (labels - labels.mean(axis=0)) / np.maximum(labels.std(axis=0), 1e-12)
    found = np.empty((count, codes.shape[1]))
    for number, direction in enumerate(found):
        direction[:] = standard[permute(people, rng), number % labels.shape[1]] @ centred
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    unit: Floats = (found / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit


def make_placebos(
    pipeline: Pipeline,
    codes: Floats,
    rebuilt: Floats,
    identities: npt.ArrayLike,
    norms: FloatArray,
    directions: dict[Scheme, Floats],
    seed: int,
) -> Placebos:
    """Decode and embed placebo edits.

    Args:
        pipeline: for `embed`.
        codes, rebuilt: of the originals, (n, code_size) and (n, d).
        identities: of the originals (n,); the images are of as many people as there can be.
        norms: lengths of all real edits, any number of them.
        directions: unit directions (count, code_size) by scheme.
        seed: of the choice of images.
    """
    rows = _images_of_different_people(identities, seed)
    moving = norms[norms > SMALLEST]
    lengths = np.unique(np.quantile(moving, LENGTHS)) if len(moving) else np.ones(1)
    log_effects: dict[Scheme, FloatArray] = {}
    for scheme, unit in directions.items():
        steps = unit[:, None] * lengths.astype(np.float32)[:, None]  # (count, l, code_size)
        moved = codes[rows][None, :, None] + steps[:, None]  # (count, m, l, code_size)
        embeddings = pipeline.embed(moved.reshape(-1, codes.shape[1]))
        before = np.repeat(np.tile(rebuilt[rows], (len(unit), 1)), len(lengths), axis=0)
        effects = distances(before, embeddings).reshape(len(unit), len(rows), len(lengths))
        log_effects[scheme] = np.log(np.maximum(effects, SMALLEST))
    return Placebos(rows, np.log(lengths), log_effects)


def _images_of_different_people(identities: npt.ArrayLike, seed: int) -> IntArray:
    people, k = identity_codes("identities", identities, len(np.asarray(identities)))
    first = np.unique(people, return_index=True)[1]
    chosen = np.random.default_rng([seed, 43]).permutation(k)[:IMAGES]
    return np.sort(first[chosen]).astype(np.int64)
