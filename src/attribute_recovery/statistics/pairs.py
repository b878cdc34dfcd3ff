"""Sums over pairs of identities, under weights of the identities."""

from collections.abc import Callable

import numpy as np
from scipy import sparse

from attribute_recovery.statistics.inputs import FloatArray, IntArray
from attribute_recovery.statistics.interval import pair_variance

# Below this share of identity pairs that occur, a sparse product is faster than BLAS on the full matrix.
_SPARSE_BELOW = 0.05


def weighted_pair_sum(
    values: FloatArray, a: IntArray, b: IntArray, n: int
) -> Callable[[FloatArray], FloatArray]:
    """Function from weights of n identities (r, n) to weighted sums over pairs (r,).

    Args:
        values: one value a pair, (m,).
        a, b: identities of each pair as numbers 0 to n − 1, (m,); equal in all pairs (genuine), whose weight
            is then w_a, or in none (impostor), whose weight is w_a w_b.
        n: identities.
    """
    if a[0] == b[0]:  # all are genuine
        sums = np.bincount(a, weights=values, minlength=n)
        return lambda w: w @ sums
    cells = pair_cells(values, a, b, n)
    if isinstance(cells, sparse.sparray):
        if cells.nnz < _SPARSE_BELOW * n * n:
            transposed = cells.T.tocsr()
            return lambda w: np.asarray(np.einsum("rn,nr->r", w, transposed @ w.T))
        cells = cells.toarray()
    return lambda w: np.einsum("rn,rn->r", w @ cells, w)


def pair_cells(values: FloatArray, a: IntArray, b: IntArray, n: int) -> FloatArray | sparse.csr_array:
    """Values summed by pair of identities, upper triangle of (n, n); sparse where few pairs can occur."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    if len(values) < n * n:
        return sparse.coo_array((values, (low, high)), shape=(n, n)).tocsr()  # adds up
    return np.bincount(low * n + high, weights=values, minlength=n * n).reshape(n, n)


def defined_ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """top / bottom, NaN where bottom is 0."""
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)


def pair_ratio_errors(
    top: FloatArray, bottom: FloatArray, a: IntArray, b: IntArray, n: int, effective: float
) -> Callable[[FloatArray], FloatArray]:
    """Function from weights of n identities (r, n) to the standard error (r,) of Σ top / Σ bottom under each,
    over pairs of two people, see `interval.pair_variance`; the copies of a person count as people of their
    own. NaN where the lower sum is 0.

    Args:
        top, bottom: one value a pair, (m,).
        a, b: identities of each pair as numbers 0 to n − 1, (m,), different in every pair.
        n: identities; matrices of (n, n) are held.
        effective: identities that carry the figure.
    """
    above, below = _both_ways(top, a, b, n), _both_ways(bottom, a, b, n)
    squares = above**2, above * below, below**2

    def errors(weights: FloatArray) -> FloatArray:
        rows_above, rows_below = weights @ above, weights @ below
        total = np.einsum("rn,rn->r", rows_below, weights) / 2
        ratio = defined_ratio(np.einsum("rn,rn->r", rows_above, weights) / 2, total)
        crossed = np.einsum("rn,rn->r", (rows_above - ratio[:, None] * rows_below) ** 2, weights)
        parts = [np.einsum("rn,rn->r", weights @ square, weights) / 2 for square in squares]
        own = parts[0] - 2 * ratio * parts[1] + ratio**2 * parts[2]
        return defined_ratio(np.sqrt(pair_variance(crossed, own, effective)), total)

    return errors


def _both_ways(values: FloatArray, a: IntArray, b: IntArray, n: int) -> FloatArray:
    cells = pair_cells(values, a, b, n)
    full: FloatArray = cells.toarray() if isinstance(cells, sparse.sparray) else cells
    return np.asarray(full + full.T)
