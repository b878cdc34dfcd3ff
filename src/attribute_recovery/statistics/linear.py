"""Linear read-outs of embeddings: ridge regression and multinomial logistic regression, penalties chosen on
held-out people."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, logsumexp, softmax

from attribute_recovery.statistics.inputs import BoolArray, FloatArray, IntArray, finite_array, identity_codes

# Penalties on the mean squared error (or mean log loss) of standardised inputs that are tried.
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
LOGISTIC_PENALTIES = (1e-3, 1e-2, 1e-1)
HELD_OUT_SHARE = 0.2


@dataclass(frozen=True)
class Standardiser:
    """Inputs less their mean over their deviation, column by column; (d,) each."""

    mean: FloatArray
    scale: FloatArray

    def __call__(self, x: npt.ArrayLike) -> FloatArray:
        """Standardised inputs (n, d)."""
        return (np.asarray(x, dtype=np.float64) - self.mean) / self.scale


@dataclass(frozen=True)
class LinearReadout:
    """x ↦ x W + b; weights (d, k), intercept (k,)."""

    weights: FloatArray
    intercept: FloatArray

    def __call__(self, x: FloatArray) -> FloatArray:
        """Read-outs (n, k) of standardised inputs (n, d)."""
        return np.asarray(x @ self.weights + self.intercept)


def fit_standardiser(x: npt.ArrayLike) -> Standardiser:
    """Mean and deviation of the columns of x (n, d); columns that do not vary are left unscaled.

    Raises:
        ValueError: x has not two dimensions, or a value is not finite.
    """
    values = finite_array("x", x, ndim=2)
    scale = values.std(axis=0)
    return Standardiser(values.mean(axis=0), np.where(scale > 1e-12, scale, 1.0))


def held_out_people(identities: npt.ArrayLike, seed: int) -> BoolArray:
    """Which images (n,) belong to the fifth of people, at least one, that a seeded choice holds out."""
    codes, k = identity_codes("identities", identities, len(np.asarray(identities)))
    count = max(1, round(HELD_OUT_SHARE * k))
    chosen = np.random.default_rng([seed, 21]).permutation(k)[:count]
    return np.isin(codes, chosen)


def folds_of_people(identities: npt.ArrayLike, n_folds: int, seed: int) -> IntArray:
    """Fold number, 0 to n_folds − 1, of each image (n,); all images of a person are in one fold.

    Raises:
        ValueError: there are fewer people than folds.
    """
    codes, k = identity_codes("identities", identities, len(np.asarray(identities)))
    if k < n_folds:
        raise ValueError(f"identities has {k} people, expected at least {n_folds}, one a fold")
    fold = np.random.default_rng([seed, 22]).permutation(np.arange(k) % n_folds)
    return fold[codes].astype(np.int64)


def fit_ridge(x: FloatArray, y: FloatArray, penalty: npt.ArrayLike) -> LinearReadout:
    """Ridge regression: for each target the minimiser of mean squared error + penalty ‖w‖², in closed form.

    Args:
        x: inputs (n, d), about standardised.
        y: targets (n, k).
        penalty: above 0; one for all targets, or (k,).
    """
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    centred = x - x_mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    turned = vectors.T @ (centred.T @ (y - y_mean)) / len(x)  # (d, k)
    weights = vectors @ (turned / (np.maximum(values, 0.0)[:, None] + np.asarray(penalty)))
    return LinearReadout(weights, y_mean - x_mean @ weights)


def choose_ridge_penalties(x: FloatArray, y: FloatArray, held: BoolArray) -> FloatArray:
    """For each of k targets (n, k) the penalty of `PENALTIES` with the least squared error on held-out
    people."""
    if held.all() or not held.any():
        return np.full(y.shape[1], 1e-2)
    errors = [
        np.sum((y[held] - fit_ridge(x[~held], y[~held], penalty)(x[held])) ** 2, axis=0)
        for penalty in PENALTIES
    ]
    chosen: FloatArray = np.asarray(PENALTIES)[np.argmin(errors, axis=0)]
    return chosen


def fit_logistic(x: FloatArray, labels: IntArray, n_classes: int, penalty: float) -> LinearReadout:
    """Multinomial logistic regression: the minimiser of mean log loss + penalty ‖W‖² / 2, by L-BFGS.

    Args:
        x: inputs (n, d), about standardised.
        labels: classes (n,), 0 to n_classes − 1.
        n_classes: K.
        penalty: above 0.

    Returns:
        Read-outs are logits (n, K).
    """
    from scipy.optimize import minimize  # heads need no logistic regression, and should not pay for it

    n, d = x.shape
    hot = np.eye(n_classes)[labels]
    design = np.concatenate([x, np.ones((n, 1))], axis=1)  # (n, d + 1)

    def objective(flat: FloatArray) -> tuple[float, FloatArray]:
        beta = flat.reshape(d + 1, n_classes)
        scores = design @ beta
        loss = np.mean(logsumexp(scores, axis=1) - np.sum(scores * hot, axis=1))
        gradient = design.T @ (softmax(scores, axis=1) - hot) / n
        shrunk = np.concatenate([beta[:d], np.zeros((1, n_classes))])  # the intercept is free
        value = float(loss + 0.5 * penalty * np.sum(shrunk**2))
        return value, np.asarray((gradient + penalty * shrunk).ravel())

    start = np.zeros((d + 1) * n_classes)
    start[-n_classes:] = np.log((hot.sum(axis=0) + 0.5) / (n + 0.5 * n_classes))
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 100, "ftol": 1e-7})
    beta = np.asarray(found.x).reshape(d + 1, n_classes)
    return LinearReadout(beta[:d], beta[d])


def choose_logistic_penalty(x: FloatArray, labels: IntArray, n_classes: int, held: BoolArray) -> float:
    """The penalty with the least log loss on held-out people."""
    if held.all() or not held.any():
        return 1e-2

    def loss(penalty: float) -> float:
        scores = fit_logistic(x[~held], labels[~held], n_classes, penalty)(x[held])
        return -float(np.mean(log_softmax(scores, axis=1)[np.arange(int(held.sum())), labels[held]]))

    return min(LOGISTIC_PENALTIES, key=loss)
