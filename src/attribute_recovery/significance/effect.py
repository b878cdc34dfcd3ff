"""Decision effect: how far the embedding moves when one attribute alone changes, f(G(w)) against
f(G(edit(w))).

Both sides are decoded, so that G's own error is not counted. The dose is the attribute's declared one: a
continuous attribute is moved by one population standard deviation either way, within its range; a binary one
is toggled; a categorical one is set to each other class, weighted by how common that is.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.statistics.bootstrap import Interval, identity_mean_interval
from attribute_recovery.statistics.inputs import FloatArray, IntArray, identity_codes
from attribute_recovery.training.device import chunks

Floats = npt.NDArray[np.float32]

# Edits at once; results do not depend on it.
BATCH = 256


@dataclass(frozen=True)
class Pipeline:
    """What an edit passes through, as functions of codes (n, code_size).

    Attributes:
        embed: f(G(w)), embeddings (n, d) of length 1.
        read: the attributes that heads read in G(w), encoded, (n, width), probabilities for classes.
        edit: codes whose images have attributes `wanted` (third argument) in place of `current` (second), (n,
            width).
    """

    embed: Callable[[Floats], Floats]
    read: Callable[[Floats], Floats]
    edit: Callable[[Floats, Floats, Floats], Floats]


@dataclass(frozen=True)
class Originals:
    """The n images whose attributes are changed.

    Attributes:
        codes: E(x), (n, code_size).
        identities: of each image, (n,).
        real: f(x), (n, d).
        rebuilt: f(G(E(x))), (n, d).
        read: attributes as heads read them in G(E(x)), probabilities for classes, (n, width).
        current: the same with the likeliest class, (n, width).
    """

    codes: Floats
    identities: npt.NDArray[np.object_]
    real: Floats
    rebuilt: Floats
    read: Floats
    current: Floats


@dataclass(frozen=True)
class Edit:
    """One attribute changed in one direction, in some of the images.

    Attributes:
        attribute: its name.
        direction: "increase", "decrease", "add", "remove" or "to_<class>".
        rows: images that are changed, places among the originals, (r,).
        wanted: encoded attributes (r, width), as they were but for this one.
        weights: of each image's effect where an attribute's directions are taken together, (r,).
    """

    attribute: str
    direction: str
    rows: IntArray
    wanted: Floats
    weights: FloatArray


@dataclass(frozen=True)
class Edited:
    """An edit carried out.

    Attributes:
        edit: what was asked for.
        codes: edited codes (r, code_size).
        embeddings: f(G(edit(w))), (r, d).
        norms: how far codes moved, (r,).
        effects: 1 − cos of the embeddings before and after, (r,), 0 to 2.
    """

    edit: Edit
    codes: Floats
    embeddings: Floats
    norms: FloatArray
    effects: FloatArray


def choose_images(identities: npt.ArrayLike, count: int, seed: int) -> IntArray:
    """Places of about `count` images, (m,) rising: the same number of each chosen person, two at least, or
    all of a person who has fewer.

    There are pairs of both kinds among them where there can be, and as many people as that allows.

    Args:
        identities: of all images (n,).
        count: images wanted; fewer are returned where there are fewer.
        seed: of the choice.
    """
    codes, k = identity_codes("identities", identities, len(np.asarray(identities)))
    each = max(2, -(-count // k))
    rng = np.random.default_rng([seed, 41])
    people = rng.permutation(k)
    brought = np.minimum(np.bincount(codes)[people], each).cumsum()
    people = people[: max(2, int(np.searchsorted(brought, count, side="right")))]
    chosen = [rng.permutation(np.flatnonzero(codes == person))[:each] for person in people]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def originals(
    pipeline: Pipeline,
    schema: AttributeSchema,
    codes: Floats,
    identities: npt.NDArray[np.object_],
    real: Floats,
) -> Originals:
    """The images with codes (n, code_size), decoded, embedded and read; `real` are f(x), (n, d)."""
    read = pipeline.read(codes)
    return Originals(codes, identities, real, pipeline.embed(codes), read, schema.encode(schema.decode(read)))


def plan_edits(schema: AttributeSchema, current: Floats, frequencies: Mapping[str, FloatArray]) -> list[Edit]:
    """The edits that the decision effect of every editable attribute needs.

    Args:
        schema: the attributes with their doses and ranges.
        current: encoded attributes of the images, (n, width).
        frequencies: of the classes of each categorical attribute in the population, (classes,).
    """
    edits: list[Edit] = []
    for attribute in schema:
        if not attribute.editable:
            continue
        place = schema.slices[attribute.name]
        if attribute.kind == "categorical":
            edits += _class_edits(attribute, place, current, frequencies[attribute.name])
        elif attribute.kind == "binary":
            edits += _toggles(attribute, place, current)
        else:
            edits += _doses(attribute, place, current)
    return [edit for edit in edits if len(edit.rows)]


def _doses(attribute: Attribute, place: slice, current: Floats) -> list[Edit]:
    value, everybody = current[:, place.start], np.arange(len(current))
    low, high = (np.full_like(value, end) for end in attribute.range)
    # Heads may read beyond the range: then the edit stays where it is rather than going back.
    moved = {
        "increase": np.minimum(value + np.float32(attribute.dose), np.maximum(high, value)),
        "decrease": np.maximum(value - np.float32(attribute.dose), np.minimum(low, value)),
    }
    weights = np.full(len(current), 0.5)
    return [
        Edit(attribute.name, direction, everybody, _with(current, place, column[:, None]), weights)
        for direction, column in moved.items()
    ]


def _toggles(attribute: Attribute, place: slice, current: Floats) -> list[Edit]:
    is_on = current[:, place.start] >= 0.5
    edits = []
    for direction, rows in (("add", np.flatnonzero(~is_on)), ("remove", np.flatnonzero(is_on))):
        wanted = _with(current[rows], place, 1 - current[rows, place])
        edits.append(Edit(attribute.name, direction, rows, wanted, np.ones(len(rows))))
    return edits


def _class_edits(attribute: Attribute, place: slice, current: Floats, frequencies: FloatArray) -> list[Edit]:
    is_class = current[:, place].argmax(axis=1)
    edits = []
    for number, name in enumerate(attribute.categories):
        # What nobody of the population is has no weight, and nobody who could tell the editor what it is.
        rows = np.flatnonzero(is_class != number) if frequencies[number] > 0 else np.arange(0)
        wanted = _with(current[rows], place, np.eye(attribute.width, dtype=np.float32)[[number]])
        weights = frequencies[number] / (1 - frequencies[is_class[rows]])
        edits.append(Edit(attribute.name, f"to_{name}", rows, wanted, weights))
    return edits


def _with(encoded: Floats, place: slice, columns: Floats) -> Floats:
    changed = encoded.copy()
    changed[:, place] = columns
    return changed


def carry_out(pipeline: Pipeline, known: Originals, edit: Edit) -> Edited:
    """Edit, decode and embed."""
    codes = known.codes[edit.rows]
    moved = np.concatenate(
        [
            pipeline.edit(codes[part], known.current[edit.rows[part]], edit.wanted[part])
            for part in chunks(len(codes), BATCH)
        ]
    )
    embeddings = pipeline.embed(moved)
    norms = np.linalg.norm((moved - codes).astype(np.float64), axis=1)
    return Edited(edit, moved, embeddings, norms, distances(known.rebuilt[edit.rows], embeddings))


def distances(a: Floats, b: Floats) -> FloatArray:
    """1 − cos of unit vectors (n, d), row by row, (n,): ‖a − b‖² / 2, which loses nothing where both are
    near."""
    return np.asarray(0.5 * np.sum((a.astype(np.float64) - b.astype(np.float64)) ** 2, axis=1))


def together(edited: list[Edited], values: list[FloatArray], n: int) -> FloatArray:
    """An attribute's directions taken together by their weights, one number an image, (n,); NaN where none
    applies.

    Args:
        edited: the edits of one attribute.
        values: of the images of each edit, (r,) each.
        n: images.
    """
    sums, weights = np.zeros(n), np.zeros(n)
    for one, column in zip(edited, values, strict=True):
        np.add.at(sums, one.edit.rows, one.edit.weights * column)
        np.add.at(weights, one.edit.rows, one.edit.weights)
    mean: FloatArray = np.divide(sums, weights, out=np.full(n, np.nan), where=weights > 0)
    return mean


def effect_interval(
    values: FloatArray, identities: npt.NDArray[np.object_], *, n_boot: int, seed: int
) -> Interval:
    """Mean of effects (n,), 0 to 2, with its 95 % interval, identities (n,) resampled; without ends where all
    are of one person."""
    if len(np.unique(identities.astype(str))) < 2:
        return Interval(float(values.mean()), math.nan, math.nan, 1, 0, 0.95)
    return identity_mean_interval(values, identities, n_boot=n_boot, seed=seed, clip=(0.0, 2.0))
