"""Making groups alike in everything else that is known, by weights, and saying how alike they are.

Overlap weights (Li, Morgan & Zaslavsky, JASA 113, 2018; for more than two groups Li & Li, Ann. Appl. Stat.
13, 2019): each unit counts by how likely it could have been of the other groups. They are bounded, and for
two groups the means of all covariates become equal, but for the ridge. What they describe are the people
whose group could have been another.
"""

import numpy as np
import numpy.typing as npt

from attribute_recovery.statistics.inputs import FloatArray, IntArray, require_length
from attribute_recovery.statistics.interval import effective_identities

_ITERATIONS = 50
_CONVERGED = 1e-8


def overlap_weights(covariates: npt.ArrayLike, labels: npt.ArrayLike, *, ridge: float = 0.01) -> FloatArray:
    """Weights of units that make groups alike in their covariates.

    The group is forecast from the covariates by a multinomial logistic regression; a unit of group g weighs
    h / e_g, where e are its probabilities and h = 1 / Σ 1/e. With two groups that is the probability of the
    other one.

    Args:
        covariates: shape (n, p), finite; standardised here, and a column that does not vary is left out.
        labels: group of each unit, 0 to G − 1, shape (n,).
        ridge: strength of the penalty on coefficients, so that groups that do not overlap have weights too
            (which then leave a difference).

    Returns:
        Weights (n,), 0 to 1.

    Raises:
        ValueError: shapes differ, or there are fewer than 2 groups.
    """
    x, y = np.asarray(covariates, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if x.ndim != 2:
        raise ValueError(f"covariates has shape {x.shape}, expected two dimensions")
    require_length("labels", y, len(x))
    n_groups = int(y.max(initial=0)) + 1
    if n_groups < 2:
        raise ValueError(f"labels name {n_groups} group, expected at least 2")
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0))[:, spread > 1e-9] / spread[spread > 1e-9]
    chances = _probabilities(np.column_stack([np.ones(len(x)), x]), y, n_groups, ridge)
    harmonic = 1 / (1 / chances).sum(axis=1)
    return np.asarray(harmonic / chances[np.arange(len(y)), y])


def _probabilities(x: FloatArray, y: IntArray, n_groups: int, ridge: float) -> FloatArray:
    """Of each group, (n, G), by damped Newton steps; the first column of x (n, p) is the intercept."""
    n, p = x.shape
    free = n_groups - 1
    penalty = np.full((p, free), ridge)
    penalty[0] = 1e-6
    told = (y[:, None] == np.arange(1, n_groups)).astype(np.float64)
    beta = np.zeros((p, free))
    chances, loss = _forecast(x, y, beta, penalty)
    for _ in range(_ITERATIONS):
        gradient = x.T @ (chances[:, 1:] - told) + penalty * beta
        if np.abs(gradient).max() < _CONVERGED * n:
            break
        hessian = np.empty((free, p, free, p))
        for i in range(free):
            for j in range(free):
                w = chances[:, i + 1] * ((i == j) - chances[:, j + 1])
                hessian[i, :, j] = (x * w[:, None]).T @ x
        square = hessian.reshape(free * p, free * p) + np.diag(penalty.T.ravel())
        step = np.linalg.solve(square, gradient.T.ravel()).reshape(free, p).T
        scale = 1.0
        while scale > 1e-6:
            moved, lower = _forecast(x, y, beta - scale * step, penalty)
            if lower <= loss:
                break
            scale /= 2
        beta, chances, loss = beta - scale * step, moved, lower
    return np.maximum(chances, 1e-12)


def _forecast(x: FloatArray, y: IntArray, beta: FloatArray, penalty: FloatArray) -> tuple[FloatArray, float]:
    """Probabilities (n, G) and the penalised loss."""
    scores = np.column_stack([np.zeros(len(x)), x @ beta])
    scores -= scores.max(axis=1, keepdims=True)
    logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    loss = -float(logs[np.arange(len(y)), y].sum()) + float(0.5 * (penalty * beta**2).sum())
    return np.exp(logs), loss


def mean_differences(
    covariates: FloatArray, labels: IntArray, weights: FloatArray | None = None
) -> FloatArray:
    """Standardised mean differences of each covariate: with two groups of the second less the first, with
    more of each group less the others, the largest.

    The unit is the root of the mean variance of both sides without weights, so that figures before and after
    weighting compare (Austin, Stat. Med. 28, 2009).

    Args:
        covariates: (n, p).
        labels: group of each unit, 0 to G − 1, (n,).
        weights: of units, (n,); left out, all are 1.

    Returns:
        Differences (p,), signed; 0 where a covariate does not vary.
    """
    each = np.ones(len(labels)) if weights is None else weights
    n_groups = int(labels.max()) + 1
    found = []
    for group in range(1, 2) if n_groups == 2 else range(n_groups):
        inside = labels == group
        means, spreads = [], []
        for side in (inside, ~inside):
            total = max(float(each[side].sum()), 1e-300)
            means.append(each[side] @ covariates[side] / total)
            spreads.append(covariates[side].var(axis=0))
        unit = np.sqrt((spreads[0] + spreads[1]) / 2)
        gap = means[0] - means[1]
        found.append(np.divide(gap, unit, out=np.zeros_like(gap), where=unit > 1e-9))
    stacked = np.stack(found)  # (comparisons, p)
    return np.asarray(stacked[np.abs(stacked).argmax(axis=0), np.arange(stacked.shape[1])])


def effective_number(weights: FloatArray) -> float:
    """How many equal weights are worth as much: (Σ w)² / Σ w² (Kish); 0 where there is none."""
    return effective_identities(weights) if weights.any() else 0.0
