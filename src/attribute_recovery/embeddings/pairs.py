"""Scores of pairs of images, by blocks: genuine pairs (one person) and impostor pairs (two people).

All pairs are compared, or, where there are more than a limit, a sample drawn by seed; how many there were is
always told.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Embeddings = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# More pairs than this are sampled; about 200 MB of scores, codes and rows.
PAIR_LIMIT = 5_000_000
# Rows compared at once. A constant, since the last bit of a matrix product depends on the block's shape.
_BLOCK = 512


@dataclass(frozen=True)
class Pairs:
    """Compared pairs of one kind, n of them, of images row_a < row_b, in that order.

    Attributes:
        scores: cosines, (n,) float32 in [-1, 1].
        identity_a: code of the first image's identity, (n,) int64; codes follow the sorted names.
        identity_b: of the second image's.
        row_a: row of the first image among the embeddings, (n,) int64.
        row_b: of the second image.
        possible: pairs of this kind that there are; more than n where they were sampled.
    """

    scores: npt.NDArray[np.float32]
    identity_a: Ints
    identity_b: Ints
    row_a: Ints
    row_b: Ints
    possible: int


def genuine_pairs(
    embeddings: Embeddings, identities: npt.ArrayLike, *, seed: int, limit: int = PAIR_LIMIT
) -> Pairs:
    """Pairs of two images of one person.

    Args:
        embeddings: (n, d) float32 of length 1.
        identities: names or numbers, (n,).
        seed: of the sample, where there are more pairs than the limit.
        limit: largest number of pairs.

    Returns:
        The pairs; none where everybody has one image.

    Raises:
        ValueError: shapes differ, an embedding is not of length 1, or the limit is below 1.
    """
    codes = _checked(embeddings, identities, limit)
    blocks = [_pairs_within(np.flatnonzero(codes == code)) for code in range(int(codes.max()) + 1)]
    rows = np.concatenate(blocks, axis=1)
    rows = rows[:, np.lexsort((rows[1], rows[0]))]
    possible = rows.shape[1]
    if possible > limit:
        rows = rows[:, np.sort(np.random.default_rng(seed).choice(possible, limit, replace=False))]
    return _scored(embeddings, codes, rows[0], rows[1], possible)


def impostor_pairs(
    embeddings: Embeddings, identities: npt.ArrayLike, *, seed: int, limit: int = PAIR_LIMIT
) -> Pairs:
    """Pairs of images of two different people; arguments, result and errors as for `genuine_pairs`."""
    codes = _checked(embeddings, identities, limit)
    n = len(codes)
    counts = np.bincount(codes)
    possible = n * (n - 1) // 2 - int((counts * (counts - 1) // 2).sum())
    if possible <= limit:
        return _all_impostors(embeddings, codes, possible)
    row_a, row_b = _sampled_impostors(codes, possible, limit, np.random.default_rng(seed))
    return _scored(embeddings, codes, row_a, row_b, possible)


def nearest_rows(embeddings: Embeddings) -> Ints:
    """Row of the most similar other image for each image.

    Args:
        embeddings: (n, d) float32 of length 1.

    Returns:
        Rows (n,) int64, of the first one where several are equally similar.

    Raises:
        ValueError: there are fewer than 2 embeddings.
    """
    n = len(embeddings)
    if n < 2:
        raise ValueError(f"embeddings: found {n}, a search needs at least 2")
    nearest = np.empty(n, dtype=np.int64)
    for start, scores in _blocks(embeddings):
        rows = np.arange(len(scores))
        scores[rows, start + rows] = -np.inf
        nearest[start : start + len(scores)] = scores.argmax(axis=1)
    return nearest


def _all_impostors(embeddings: Embeddings, codes: Ints, possible: int) -> Pairs:
    scores = np.empty(possible, np.float32)
    row_a, row_b = np.empty(possible, np.int64), np.empty(possible, np.int64)
    filled = 0
    for start, block in _blocks(embeddings):
        first, second = _impostors_of(codes, start, start + len(block))
        part = slice(filled, filled + len(first))
        scores[part], row_a[part], row_b[part] = block[first - start, second], first, second
        filled += len(first)
    return Pairs(scores, codes[row_a], codes[row_b], row_a, row_b, possible)


def _impostors_of(codes: Ints, start: int, stop: int) -> tuple[Ints, Ints]:
    """Impostor pairs whose first row lies in [start, stop), in order."""
    rows = np.arange(start, stop)
    wanted = (codes[rows, None] != codes) & (np.arange(len(codes)) > rows[:, None])
    first, second = np.nonzero(wanted)
    return first + start, second


def _sampled_impostors(codes: Ints, possible: int, limit: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """`limit` different impostor pairs, each as likely as any other, in order of rows."""
    n = len(codes)
    if possible <= 2 * limit:  # drawing until enough are found would take long when nearly all are wanted
        parts = [_impostors_of(codes, start, min(n, start + _BLOCK)) for start in range(0, n, _BLOCK)]
        found = np.concatenate([first * n + second for first, second in parts])
    else:
        found = np.empty(0, dtype=np.int64)
    while len(found) < limit:
        first, second = rng.integers(n, size=(2, 2 * (limit - len(found)) + 16))
        low, high = np.minimum(first, second), np.maximum(first, second)
        different = codes[low] != codes[high]  # an image with itself is one person too
        found = np.union1d(found, (low * n + high)[different])
    kept = np.sort(rng.choice(found, limit, replace=False))
    return kept // n, kept % n


def _pairs_within(rows: Ints) -> Ints:
    """All pairs (2, k) of rows of one person."""
    first, second = np.triu_indices(len(rows), 1)
    return np.stack([rows[first], rows[second]])


def _scored(embeddings: Embeddings, codes: Ints, row_a: Ints, row_b: Ints, possible: int) -> Pairs:
    scores = np.empty(len(row_a), np.float32)
    for start in range(0, len(row_a), 65_536):
        part = slice(start, start + 65_536)
        scores[part] = np.einsum("nd,nd->n", embeddings[row_a[part]], embeddings[row_b[part]])
    return Pairs(scores, codes[row_a], codes[row_b], row_a, row_b, possible)


def _blocks(embeddings: Embeddings) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """First row and cosines (rows, n) of each block of rows."""
    for start in range(0, len(embeddings), _BLOCK):
        yield start, embeddings[start : start + _BLOCK] @ embeddings.T


def _checked(embeddings: Embeddings, identities: npt.ArrayLike, limit: int) -> Ints:
    """Codes (n,) of the identities, after checking the arguments."""
    if embeddings.ndim != 2 or len(embeddings) == 0:
        raise ValueError(f"embeddings: found shape {embeddings.shape}, allowed is (n, d) with n at least 1")
    if limit < 1:
        raise ValueError(f"limit: found {limit}, allowed is 1 or more")
    lengths = np.linalg.norm(embeddings, axis=1)
    off = np.flatnonzero(~(np.abs(lengths - 1) < 1e-3))
    if len(off):
        raise ValueError(f"embeddings: row {off[0]} has length {lengths[off[0]]:g}, allowed is 1")
    names = np.asarray(identities)
    if names.shape != (len(embeddings),):
        raise ValueError(
            f"identities: found shape {names.shape} for {len(embeddings)} embeddings, allowed is (n,)"
        )
    return np.unique(names, return_inverse=True)[1].astype(np.int64)
