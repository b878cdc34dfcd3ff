"""Permutations that keep the clustering of images by identity, and p-values from them.

Two schemes, named after the level of the attribute whose values they move: "identity" exchanges whole blocks
of images between identities with equally many images, "image" exchanges images within each identity.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt

from attribute_recovery.statistics.inputs import IntArray, finite_vector, identity_codes, require_length

Scheme = Literal["identity", "image"]


def permute_identity_blocks(identities: npt.ArrayLike, rng: np.random.Generator) -> IntArray:
    """Exchange whole identities: each gets the rows of another one (or itself) with equally many images.

    Args:
        identities: Identity of each row, shape (n,).
        rng: Source of the permutation.

    Returns:
        Indices of shape (n,), a permutation: `values[result]` are the permuted values. The order of the rows
        within a block is kept.

    Raises:
        ValueError: If the shape is not (n,).
    """
    order, counts = _grouped(identities)
    starts = np.cumsum(counts) - counts
    result = np.empty_like(order)
    for size in np.unique(counts):
        rows = order[starts[counts == size][:, None] + np.arange(size)]  # a block a line
        result[rows] = rows[rng.permutation(len(rows))]
    return result


def exchange_identities(identities: npt.ArrayLike, rng: np.random.Generator) -> IntArray:
    """Exchange whole identities whatever they bring: each gets the rows of another one (or itself) in turn,
    from its first again where it has more.

    Where all have equally many, it is `permute_identity_blocks`, which leaves an identity as it is that none
    equals in number; where not, rows are left out and repeated, so that this is no exact permutation.

    Args:
        identities: Identity of each row, shape (n,).
        rng: Source of the exchange.

    Returns:
        Indices of shape (n,): `values[result]` are the exchanged values.

    Raises:
        ValueError: If the shape is not (n,).
    """
    order, counts = _grouped(identities)
    starts = np.cumsum(counts) - counts
    given = rng.permutation(len(counts))
    turn = (np.arange(len(order)) - np.repeat(starts, counts)) % np.repeat(counts[given], counts)
    result = np.empty_like(order)
    result[order] = order[np.repeat(starts[given], counts) + turn]
    return result


def permute_within_identity(identities: npt.ArrayLike, rng: np.random.Generator) -> IntArray:
    """Exchange images within each identity.

    Args:
        identities: Identity of each row, shape (n,).
        rng: Source of the permutation.

    Returns:
        Indices of shape (n,), a permutation: `values[result]` are the permuted values.

    Raises:
        ValueError: If the shape is not (n,).
    """
    order, counts = _grouped(identities)
    # Rows in random order, then by identity: each block stays in its place and is shuffled.
    result = np.empty_like(order)
    result[order] = order[np.lexsort((rng.random(len(order)), np.repeat(np.arange(len(counts)), counts)))]
    return result


def distinct_permutations(
    identities: npt.ArrayLike, scheme: Scheme, *, values: npt.ArrayLike | None = None
) -> float:
    """Natural logarithm of the number of distinct arrangements that a scheme can make.

    For each set of m exchangeable units (blocks of equal size, or images of a person): m! / (product of r!
    over units with equal values), multiplied over the sets.

    Args:
        identities: Identity of each row, shape (n,).
        scheme: "identity" (blocks between identities) or "image" (images within identity).
        values: The values to be permuted, shape (n,) or (n, m); equal ones exchanged make no new arrangement.
            Left out, all count as different.

    Returns:
        The logarithm; 0 where only the arrangement as it is exists.

    Raises:
        ValueError: If the shape is not (n,) or the scheme is unknown.

    >>> round(math.exp(distinct_permutations(["a", "a", "b", "b", "c"], "image")))
    4
    """
    blocks = _blocks(identities)
    n = sum(map(len, blocks))
    codes = np.arange(n) if values is None else _value_codes(values, n)
    if scheme == "identity":
        return math.fsum(_log_arrangements(tuple(codes[block]) for block in s) for s in _strata(blocks))
    if scheme == "image":
        return math.fsum(_log_arrangements(codes[block]) for block in blocks)
    raise ValueError(f"scheme is {scheme!r}, expected 'identity' or 'image'")


def is_testable(
    identities: npt.ArrayLike, scheme: Scheme, n_permutations: int, *, values: npt.ArrayLike | None = None
) -> bool:
    """Whether a scheme has more distinct arrangements than the test wants to draw.

    Args:
        identities: Identity of each row, shape (n,).
        scheme: "identity" or "image", as in `distinct_permutations`.
        n_permutations: Permutations that the test draws, the B of p = (1 + b) / (1 + B).
        values: The values to be permuted, as in `distinct_permutations`.

    Returns:
        True if there are at least 1 + B arrangements, the one as it is included.

    Raises:
        ValueError: As `distinct_permutations`.

    >>> is_testable([1, 2, 3], "identity", 1999), is_testable(range(7), "identity", 1999)
    (False, True)
    """
    # The tolerance lets an exact tie pass: lgamma rounds.
    return distinct_permutations(identities, scheme, values=values) >= math.log1p(n_permutations) - 1e-9


def permutation_p_value(observed: float, null: npt.ArrayLike) -> float:
    """One-sided p-value (1 + b) / (1 + B), b the permuted statistics that are at least the observed one.

    Never 0, valid for any B (Phipson & Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010).

    Args:
        observed: Statistic of the data; large values speak against the null.
        null: Statistic of each permutation, shape (B,).

    Returns:
        The p-value, in (0, 1]; NaN where `observed` is NaN.

    Raises:
        ValueError: If `null` is empty or not finite.

    >>> permutation_p_value(2.0, [0.0, 1.0, 3.0])
    0.5
    """
    statistics = finite_vector("null", null)
    if math.isnan(observed):
        return math.nan
    # Permutations that give the same statistic in another order of summing must count as ties.
    tolerance = 1e-12 * max(1.0, abs(observed)) if math.isfinite(observed) else 0.0
    reached = int(np.count_nonzero(statistics >= observed - tolerance))
    return (1 + reached) / (1 + len(statistics))


def _grouped(identities: npt.ArrayLike) -> tuple[IntArray, IntArray]:
    """Row indices ordered by identity, rising within each, (n,); and the rows of each identity, (k,)."""
    codes, k = identity_codes("identities", identities, len(np.asarray(identities)))
    return np.argsort(codes, kind="stable"), np.bincount(codes, minlength=k)


def _blocks(identities: npt.ArrayLike) -> list[IntArray]:
    """Row indices of each identity, rising within each."""
    order, counts = _grouped(identities)
    return np.split(order, np.cumsum(counts)[:-1])


def _strata(blocks: list[IntArray]) -> list[list[IntArray]]:
    """Blocks grouped by their number of rows, smallest first."""
    sizes = sorted({len(block) for block in blocks})
    return [[block for block in blocks if len(block) == size] for size in sizes]


def _value_codes(values: npt.ArrayLike, n: int) -> IntArray:
    """Integers that are equal where values (n,) or rows of values (n, m) are equal."""
    array = np.asarray(values)
    require_length("values", array, n)
    _, codes = np.unique(array, return_inverse=True, axis=None if array.ndim == 1 else 0)
    return codes.reshape(n).astype(np.int64)


def _log_arrangements(units: Iterable[Hashable]) -> float:
    """log of m! / product of r!, over m units of which r are equal."""
    repeats = Counter(units)
    return math.lgamma(repeats.total() + 1) - math.fsum(math.lgamma(r + 1) for r in repeats.values())
