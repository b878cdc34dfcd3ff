"""Placebo edits: directions in code space that mean nothing, as the null of the decision effect.

An effect of 1 − cos is never negative, so it is tested against edits of the same length that an editor fitted
to permuted labels would make: the ridge regression of codes on a permuted label, one direction each. Labels
are exchanged between identities or within them, so that the directions vary as codes vary between people, or
between images.

Placebos are costly, and shared: all are decoded in a few images at one length, the median one of the real
edits. How their effect grows with length is taken from the first of them, decoded at three lengths that span
the real ones: in each image the mean logarithm of the effect is a curve of the logarithm of the length, and
every placebo is moved along it. An attribute is compared with them in the very same images, at its own
lengths there.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribute_recovery.dataset.known import columns_by_pattern
from attribute_recovery.significance.effect import Edited, Pipeline, distances
from attribute_recovery.statistics.inputs import FloatArray, IntArray, identity_codes
from attribute_recovery.statistics.permutation import (
    Scheme,
    exchange_identities,
    is_testable,
    permutation_p_value,
    permute_within_identity,
)

Floats = npt.NDArray[np.float32]

IMAGES = 5
# Quantiles of the real edits' lengths at which the first placebos are decoded; all are at the middle one.
LENGTHS = (0.1, 0.5, 0.9)
# Placebos that tell how effects grow with length.
PILOTS = 60
SMALLEST = 1e-9


@dataclass(frozen=True)
class Placebos:
    """Effects of placebo edits.

    Attributes:
        rows: images in which they were made, places among the originals, (m,).
        log_effects: logarithms of 1 − cos at the middle length, (placebos, m), by scheme.
        log_lengths: logarithms of the lengths in code space, (l,), rising.
        growth: what is added to the logarithm at each length, 0 at the middle one, (m, l), by scheme.
    """

    rows: IntArray
    log_effects: dict[Scheme, FloatArray]
    log_lengths: FloatArray
    growth: dict[Scheme, FloatArray]

    def at(self, scheme: Scheme, image: int, length: float) -> FloatArray:
        """Effect of each placebo in the image at place `image` of `rows`, at a length, (placebos,)."""
        if length <= 0:
            return np.zeros(len(self.log_effects[scheme]))
        x, y = self.log_lengths, self.growth[scheme][image]
        shift = 0.0
        if len(x) > 1:
            # Beyond the ends the last pieces go on.
            left = int(np.clip(np.searchsorted(x, np.log(length)) - 1, 0, len(x) - 2))
            part = (np.log(length) - x[left]) / (x[left + 1] - x[left])
            shift = float(y[left] + part * (y[left + 1] - y[left]))
        return np.asarray(np.minimum(np.exp(self.log_effects[scheme][:, image] + shift), 2.0))

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
        labels: columns of labels (n, k), taken in turn; of each the images on which it is known (not NaN) are
            used and exchanged.
        identities: (n,).
        scheme: "identity" exchanges labels between identities, "image" within them.
        count: placebos.
        seed: of the permutations.

    Returns:
        The directions; none, (0, code_size), where no column can be arranged in more ways than there are
        placebos: what is exchanged for its like is the label itself, whose direction means something.
    """
    people, _ = identity_codes("identities", identities, len(codes))
    labels = labels[:, [_can_be_exchanged(column, people, scheme, count) for column in labels.T]]
    if not labels.shape[1]:
        return np.empty((0, codes.shape[1]), np.float32)
    permute = exchange_identities if scheme == "identity" else permute_within_identity
    rng = np.random.default_rng([seed, 42, scheme == "identity"])
    columns: dict[int, tuple[FloatArray, FloatArray, IntArray]] = {}
    for places, known in columns_by_pattern(~np.isnan(labels)):
        some, chosen = labels[np.ix_(known, places)], codes[known]
        standard = (some - some.mean(axis=0)) / np.maximum(some.std(axis=0), 1e-12)
        centred = (chosen - chosen.mean(axis=0)).astype(np.float64)
        columns |= {int(place): (standard[:, i], centred, people[known]) for i, place in enumerate(places)}
    found = np.empty((count, codes.shape[1]))
    for number, direction in enumerate(found):
        column, centred, of = columns[number % labels.shape[1]]
        direction[:] = column[permute(of, rng)] @ centred
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    unit: Floats = (found / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit


def _can_be_exchanged(column: FloatArray, people: IntArray, scheme: Scheme, count: int) -> bool:
    known = ~np.isnan(column)
    if scheme == "image":
        return is_testable(people[known], scheme, count, values=column[known])
    sums, images = (np.bincount(people[known], weights=each) for each in (column[known], known[known]))
    # People are exchanged whatever they bring, so each is one thing to arrange.
    means = sums[images > 0] / images[images > 0]
    return is_testable(np.arange(len(means)), scheme, count, values=means)


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
    middle = len(lengths) // 2

    def log_effects(unit: Floats, length: float) -> FloatArray:
        moved = codes[rows] + np.float32(length) * unit[:, None]  # (count, m, code_size)
        embeddings = pipeline.embed(moved.reshape(-1, codes.shape[1]))
        effects = distances(np.tile(rebuilt[rows], (len(unit), 1)), embeddings)
        return np.log(np.maximum(effects, SMALLEST)).reshape(len(unit), len(rows))

    everywhere = {scheme: log_effects(unit, lengths[middle]) for scheme, unit in directions.items()}
    growth = {}
    for scheme, unit in directions.items():
        curves = [log_effects(unit[:PILOTS], length) for length in lengths]  # l times (pilots, m)
        growth[scheme] = np.stack([np.mean(curve - curves[middle], axis=0) for curve in curves], axis=1)
    return Placebos(rows, everywhere, np.log(lengths), growth)


def _images_of_different_people(identities: npt.ArrayLike, seed: int) -> IntArray:
    people, k = identity_codes("identities", identities, len(np.asarray(identities)))
    first = np.unique(people, return_index=True)[1]
    chosen = np.random.default_rng([seed, 43]).permutation(k)[:IMAGES]
    return np.sort(first[chosen]).astype(np.int64)
