"""Arguments read into checked arrays, so that every statistic refuses the same things in the same words."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def finite_array(name: str, values: npt.ArrayLike, *, ndim: int) -> FloatArray:
    """Values as float64, after checking dimension, that there are some, and that all are finite.

    Args:
        name: The argument's name, for the error's text.
        values: Numbers or booleans, of `ndim` dimensions.
        ndim: Dimensions that the array must have.

    Returns:
        The same numbers as float64, same shape.

    Raises:
        ValueError: If the dimension differs, the array is empty, or a value is NaN or infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim:
        raise ValueError(f"{name} has shape {array.shape}, expected {ndim} dimension(s)")
    if array.size == 0:
        raise ValueError(f"{name} is empty (shape {array.shape}), expected at least one value")
    wrong = np.count_nonzero(~np.isfinite(array))
    if wrong:
        raise ValueError(
            f"{name} holds {wrong} values that are NaN or infinite, expected finite numbers only"
        )
    return array


def finite_vector(name: str, values: npt.ArrayLike) -> FloatArray:
    """`finite_array` of one dimension.

    Args:
        name: The argument's name, for the error's text.
        values: Numbers or booleans, shape (n,).

    Returns:
        The same numbers as float64, shape (n,).

    Raises:
        ValueError: If the shape is not (n,) with n > 0, or a value is NaN or infinite.
    """
    return finite_array(name, values, ndim=1)


def require_length(name: str, array: npt.NDArray[np.generic], n: int) -> None:
    """Check that an array has n rows.

    Args:
        name: The argument's name, for the error's text.
        array: Any array of at least one dimension.
        n: Rows that it must have.

    Raises:
        ValueError: If it has another number of rows.
    """
    if len(array) != n:
        raise ValueError(f"{name} has {len(array)} rows, expected {n}, as the other arguments have")


def identity_codes(name: str, identities: npt.ArrayLike, n: int) -> tuple[IntArray, int]:
    """Identities of any comparable kind as the integers 0 to k - 1.

    Args:
        name: The argument's name, for the error's text.
        identities: Names or numbers of identities, shape (n,).
        n: Rows that there must be.

    Returns:
        Codes, int64 of shape (n,), in the order of the sorted names; and k, the number of identities.

    Raises:
        ValueError: If the shape is not (n,).
    """
    array = np.asarray(identities)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}, expected one dimension")
    require_length(name, array, n)
    names, codes = np.unique(array, return_inverse=True)
    return codes.astype(np.int64), len(names)


def class_probabilities(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
    """Probabilities of K classes and the true classes, checked against each other.

    Args:
        probabilities: Shape (n, K), rows adding to 1 (within 1e-3), or (n,): of class 1 out of the classes 0
            and 1.
        labels: True classes, integers (or booleans) from 0 to K - 1, shape (n,).

    Returns:
        Probabilities, float64 of shape (n, K), and labels, int64 of shape (n,).

    Raises:
        ValueError: If shapes disagree, a probability leaves [0, 1], a row does not add to 1, or a label is no
            class.
    """
    given = np.asarray(probabilities)
    table = finite_array("probabilities", given, ndim=1 if given.ndim == 1 else 2)
    if table.min() < 0 or table.max() > 1:
        raise ValueError(f"probabilities run from {table.min()} to {table.max()}, expected 0 to 1")
    if table.ndim == 1:
        table = np.stack([1 - table, table], axis=1)  # (n, 2)
    off = np.abs(table.sum(axis=1) - 1).max()
    if off > 1e-3:
        raise ValueError(
            f"probabilities has a row that misses the sum 1 by {off:.3g}, expected at most 0.001"
        )
    classes = finite_vector("labels", labels)
    require_length("labels", classes, len(table))
    n_classes = table.shape[1]
    if np.any(classes != np.floor(classes)) or classes.min() < 0 or classes.max() >= n_classes:
        raise ValueError(
            f"labels run from {classes.min()} to {classes.max()}, expected whole numbers 0 to {n_classes - 1}"
        )
    return table, classes.astype(np.int64)
