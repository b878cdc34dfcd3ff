"""Embeddings that T is asked for in training: those of people, and points that lie on ways from them.

What T draws for them is decoded and embedded, so no code needs to be known. Three kinds, a third each: an
embedding of the split as it is; one moved towards another person's, which is a person not in the split; one
moved away from another image of the same person, as a counterfactual moves it.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

# Largest moves in radians: from one person most of the way to another, and from a person's own images to
# beyond where decisions about them are made.
TOWARDS_OTHERS = 1.2
AWAY_FROM_OWN = 0.8


def asked_embeddings(
    embeddings: Floats, identities: npt.NDArray[np.object_], count: int, rng: np.random.Generator
) -> Floats:
    """Draw embeddings to ask T for.

    Args:
        embeddings: of the split, unit length, (n, d).
        identities: theirs, (n,).
        count: how many.
        rng: draws them.

    Returns:
        float32 (count, d), unit length. The only image of a person is not moved away from itself.
    """
    first = rng.integers(len(embeddings), size=count)
    kind = rng.integers(3, size=count)
    other = np.where(
        kind == 2, _of_same_person(identities, first, rng), rng.integers(len(embeddings), size=count)
    )
    reach = np.array([0.0, TOWARDS_OTHERS, -AWAY_FROM_OWN])[kind]
    return moved_towards(embeddings[first], embeddings[other], reach * rng.random(count))


def _of_same_person(
    identities: npt.NDArray[np.object_], rows: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """For each row, (m,), one of the same identity, which may be the row itself."""
    _, person, counts = np.unique(identities.astype(str), return_inverse=True, return_counts=True)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    in_order = np.argsort(person, kind="stable")
    place = rng.integers(1 << 30, size=len(rows)) % counts[person[rows]]
    return np.asarray(in_order[starts[person[rows]] + place])


def moved_towards(embeddings: Floats, others: Floats, angle: npt.NDArray[np.float64]) -> Floats:
    """Embeddings (n, d) after a move by angles (n,) in radians along the great circle towards others (n, d).

    A negative angle moves away from them; equal or opposite ones have no direction, and nothing moves.
    """
    along = others - (others * embeddings).sum(1, keepdims=True) * embeddings
    length = np.linalg.norm(along, axis=1, keepdims=True)
    direction = np.divide(along, length, out=np.zeros_like(along), where=length > 1e-4)
    moved = np.cos(angle)[:, None] * embeddings + np.sin(angle)[:, None] * direction
    result: Floats = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
    return result
