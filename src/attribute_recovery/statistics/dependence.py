"""How much one thing tells about another: information from held-out log losses, identity shares.

Information estimated from the log losses of held-out predictions is a lower bound of the mutual information,
as far as the reference predictions are those of the true marginal; it may be negative, and stays so here.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribute_recovery.statistics.inputs import (
    FloatArray,
    class_probabilities,
    finite_array,
    finite_vector,
    identity_codes,
    require_length,
)
from attribute_recovery.statistics.interval import effective_identities


@dataclass(frozen=True)
class BetweenWithinGaussian:
    """How well a continuous attribute is read, apart for what the images of one person have in common and for
    how they differ, as information of Gaussians in nats.

    Attributes:
        between: -log(1 - B / T) / 2, T the variance over images, B the variance that is explained between
            people.
        within: The rest, total - between; NaN where images of a person do not differ.
        total: -log(1 - R2) / 2 of the read-out of single images.
        share: between / (between + within), negative parts counted as 0; NaN where neither is positive.
        variance_share: The share of explained variance that lies between identities, by components of
            variance (ANOVA), everybody counted.
        n_identities: Identities with at least two images; the others are left out.
        n_images: Their images.
    """

    between: float
    within: float
    total: float
    share: float
    variance_share: float
    n_identities: int
    n_images: int


@dataclass(frozen=True)
class BetweenWithinInformation:
    """The same split for a discrete attribute: gains in log loss, in nats an image.

    Attributes:
        between: Gain over the marginal when an image's class is predicted by the mean prediction for the
            other images of its identity.
        within: Further gain when it is predicted from the image itself; between + within = total.
        total: Gain of the image's own prediction over the marginal.
        share: between / (between + within), negative parts counted as 0; NaN where neither is positive.
        n_identities: Identities with at least two images; the others are left out.
        n_images: Their images.
    """

    between: float
    within: float
    total: float
    share: float
    n_identities: int
    n_images: int


def information(log_loss_marginal: npt.ArrayLike, log_loss_conditional: npt.ArrayLike) -> float:
    """Estimate of I(a; z) in nats: mean log loss without z minus mean log loss with z, on held-out samples.

    Args:
        log_loss_marginal: -log p(a) of each sample, nats, shape (n,).
        log_loss_conditional: -log p(a given z) of each sample, nats, shape (n,).

    Returns:
        Nats a sample; negative where z made the prediction worse.

    Raises:
        ValueError: If lengths differ or a loss is not finite.

    >>> information([0.5, 0.75], [0.25, 0.0])
    0.5
    """
    marginal = finite_vector("log_loss_marginal", log_loss_marginal)
    conditional = finite_vector("log_loss_conditional", log_loss_conditional)
    require_length("log_loss_conditional", conditional, len(marginal))
    return float(np.mean(marginal - conditional))


def entropy(labels: npt.ArrayLike) -> float:
    """Plug-in entropy of labels, in nats.

    Args:
        labels: Labels of any comparable kind, shape (n,).

    Returns:
        Entropy, 0 to the log of the number of classes.

    Raises:
        ValueError: If the shape is not (n,) with n > 0.

    >>> entropy(["beard", "none"]) == math.log(2)
    True
    """
    codes, n_classes = identity_codes("labels", labels, len(np.asarray(labels)))
    if n_classes == 0:
        raise ValueError("labels is empty, expected at least one")
    shares = np.bincount(codes) / len(codes)
    return float(-np.sum(shares * np.log(shares))) + 0.0  # no negative zero


def theils_u(information: float, entropy: float) -> float:
    """Theil's uncertainty coefficient U = I / H: the share of a discrete attribute's entropy that is known.

    Args:
        information: I in nats, may be negative.
        entropy: H in nats, at least 0.

    Returns:
        U, at most 1 where I is true to H; NaN where H is 0, since there is nothing to know.

    Raises:
        ValueError: If the entropy is negative.
    """
    if entropy < 0:
        raise ValueError(f"entropy is {entropy}, expected at least 0")
    return information / entropy if entropy > 0 else math.nan


def informational_r2(information: float, m: int = 1) -> float:
    """R2 = 1 - exp(-2 I / m), the squared correlation of a Gaussian (Linfoot, Inf. Control 1, 1957).

    Args:
        information: I in nats, may be negative.
        m: Length of the attribute, 1 for a scalar.

    Returns:
        R2 below 1; negative where I is.

    Raises:
        ValueError: If m < 1.

    >>> round(informational_r2(gaussian_information(0.64)), 12)
    0.64
    """
    if m < 1:
        raise ValueError(f"m is {m}, expected at least 1")
    return -math.expm1(-2 * information / m)


def gaussian_information(r2: float) -> float:
    """Information of two Gaussians with squared correlation r2: -log(1 - r2) / 2 nats.

    Args:
        r2: R2, below 1; negative ones (a prediction worse than the mean) give negative information.

    Returns:
        Nats.

    Raises:
        ValueError: If r2 >= 1.
    """
    if r2 >= 1:
        raise ValueError(f"r2 is {r2}, expected below 1")
    return -0.5 * math.log1p(-r2)


def bounded_information(r2: float) -> float:
    """`gaussian_information` of an estimate: R2 of 1 or more counts as a little less, NaN stays NaN."""
    return math.nan if math.isnan(r2) else gaussian_information(min(r2, 1 - 1e-12))


def gaussian_log_loss(y: npt.ArrayLike, mean: npt.ArrayLike, sd: npt.ArrayLike) -> FloatArray:
    """-log of the normal density, sample by sample; components of a vector are independent given the mean.

    Args:
        y: True values, shape (n,) or (n, m).
        mean: Predicted means, of a shape that broadcasts to y's.
        sd: Predicted standard deviations, above 0, of a shape that broadcasts to y's.

    Returns:
        Nats, shape (n,), summed over the m components.

    Raises:
        ValueError: If y has more than two dimensions, a value is not finite, or an sd is not above 0.
    """
    truth = finite_array("y", y, ndim=max(1, np.ndim(y)))
    if truth.ndim > 2:
        raise ValueError(f"y has shape {truth.shape}, expected (n,) or (n, m)")
    centre = finite_array("mean", np.broadcast_to(np.asarray(mean), truth.shape), ndim=truth.ndim)
    scale = finite_array("sd", np.broadcast_to(np.asarray(sd), truth.shape), ndim=truth.ndim)
    if scale.min() <= 0:
        raise ValueError(f"sd holds {scale.min()}, expected above 0")
    loss = 0.5 * ((truth - centre) / scale) ** 2 + np.log(scale) + 0.5 * math.log(2 * math.pi)
    return loss if truth.ndim == 1 else np.sum(loss, axis=1, dtype=np.float64)


def categorical_log_loss(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, *, floor: float = 1e-12
) -> FloatArray:
    """-log of the probability given to the true class, sample by sample.

    Args:
        probabilities: Shape (n, K), rows adding to 1, or (n,): of class 1 out of the classes 0 and 1.
        labels: True classes, integers from 0 to K - 1, shape (n,).
        floor: Smallest probability reckoned with: float32 rounds sure predictions to 0, whose loss is
            infinite.

    Returns:
        Nats, shape (n,), 0 to -log(floor).

    Raises:
        ValueError: If probabilities and labels do not fit each other, or floor is outside [0, 1).
    """
    if not 0 <= floor < 1:
        raise ValueError(f"floor is {floor}, expected 0 or above, and below 1")
    table, classes = class_probabilities(probabilities, labels)
    chosen = np.clip(table[np.arange(len(classes)), classes], floor, 1.0)
    with np.errstate(divide="ignore"):
        return np.abs(np.log(chosen))  # of a number that is at most 1, so that a sure hit is 0 and not -0


def icc1(values: npt.ArrayLike, identities: npt.ArrayLike) -> float:
    """Intraclass correlation ICC(1), one-way random effects, ANOVA form.

    (MSB - MSW) / (MSB + (n0 - 1) MSW), n0 = (N - sum n_i^2 / N) / (k - 1), for k identities with n_i images
    and N in all (Donner, Int. Stat. Rev. 54, 1986; Shrout & Fleiss, Psychol. Bull. 86, 1979, for equal n_i).

    Args:
        values: One value an image, shape (n,).
        identities: Identity of each image, shape (n,).

    Returns:
        ICC, at most 1, may be negative; NaN where all values are equal.

    Raises:
        ValueError: If shapes differ, values are not finite, there are fewer than 2 identities, or none has
            two images.
    """
    checked = finite_vector("values", values)
    between, within, n0 = _mean_squares(checked, checked, identities)
    total = between + (n0 - 1) * within
    return (between - within) / total if np.ptp(checked) > 0 else math.nan


def between_within_gaussian(
    predicted: npt.ArrayLike, true: npt.ArrayLike, identities: npt.ArrayLike
) -> BetweenWithinGaussian:
    """Split of how well a continuous attribute is read, between identities and within them.

    The variance between people, and what is left of it in the errors, are means of products of two
    *different* images of a person: in a person's mean the images at hand would count as person, and an
    attribute that has nothing to do with identity is read in the mean as well as in each image.

    Args:
        predicted: Held-out predictions, shape (n,).
        true: True values, shape (n,).
        identities: Identity of each image, shape (n,).

    Returns:
        Both parts with their share.

    Raises:
        ValueError: If shapes differ, values are not finite, there are fewer than 2 identities, or none has
            two images.
    """
    truth, guess = finite_vector("true", true), finite_vector("predicted", predicted)
    require_length("predicted", guess, len(truth))
    variance_share = _share(*_explained_components(guess, truth, identities))
    codes, _ = identity_codes("identities", identities, len(truth))
    counts = np.bincount(codes)
    kept = counts[codes] > 1
    a, error, people = truth[kept] - truth[kept].mean(), (truth - guess)[kept], codes[kept]
    of_people, of_images = _variances(a, people)
    variance = of_people + of_images
    between = within = total = math.nan
    if variance > 0:
        between = bounded_information((of_people - _variance_between(error, people)) / variance)
        total = bounded_information(1 - float(np.mean(error**2)) / variance)
        # Deviations that are only rounding are none: what is read of rounding errors would be arbitrary.
        deviations = _means_and_deviations(truth, codes, len(counts))[1]
        within = total - between if np.abs(deviations).max() > 1e-9 * np.abs(truth).max() else math.nan
    share = _share(*(0.0 if math.isnan(part) else part for part in (between, within)))
    return BetweenWithinGaussian(
        between, within, total, share, variance_share, int((counts > 1).sum()), len(a)
    )


def between_within_information(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    identities: npt.ArrayLike,
    *,
    marginal: npt.ArrayLike | None = None,
    floor: float = 1e-12,
) -> BetweenWithinInformation:
    """Split of how well a discrete attribute is read, between identities and within, as gains in log loss.

    The identity's prediction for an image is the mean over its *other* images: with the image itself in the
    mean, an attribute that has nothing to do with identity would gain by being part of its own mean.

    Args:
        probabilities: Held-out predictions, shape (n, K), rows adding to 1, or (n,): of class 1 out of 0 and
            1.
        labels: True classes, integers from 0 to K - 1, shape (n,).
        identities: Identity of each image, shape (n,).
        marginal: Class probabilities without z, shape (K,), from the training split; left out, the
            frequencies of the labels given, which is the harder reference.
        floor: As in `categorical_log_loss`.

    Returns:
        Both gains with their share.

    Raises:
        ValueError: If arguments do not fit each other, or no identity has two images.
    """
    table, classes = class_probabilities(probabilities, labels)
    codes, k = identity_codes("identities", identities, len(classes))
    counts = np.bincount(codes, minlength=k)
    kept = counts[codes] > 1
    if not kept.any():
        raise ValueError("identities has no identity with two images, expected at least one")
    sums = np.stack([np.bincount(codes, weights=column, minlength=k) for column in table.T], axis=1)  # (k, K)
    others = (sums[codes] - table)[kept] / (counts[codes][kept] - 1)[:, None]  # (n kept, K)
    others = np.clip(others, 0.0, 1.0)  # differences of sums may leave the range by rounding
    frequencies = np.bincount(classes, minlength=table.shape[1]) / len(classes)
    reference = frequencies if marginal is None else finite_vector("marginal", marginal)
    require_length("marginal", reference, table.shape[1])
    true = classes[kept]
    loss_marginal = categorical_log_loss(np.broadcast_to(reference, others.shape), true, floor=floor)
    loss_identity = categorical_log_loss(others, true, floor=floor)
    between = information(loss_marginal, loss_identity)
    within = information(loss_identity, categorical_log_loss(table[kept], true, floor=floor))
    share = _share(between, within)
    return BetweenWithinInformation(
        between, within, between + within, share, int((counts > 1).sum()), len(true)
    )


def _means_and_deviations(
    values: FloatArray, codes: npt.NDArray[np.int64], k: int
) -> tuple[FloatArray, FloatArray]:
    """Means of each identity (k,) and deviations from them (n,)."""
    means = np.bincount(codes, weights=values, minlength=k) / np.bincount(codes, minlength=k)
    return means, values - means[codes]


def _mean_squares(x: FloatArray, y: FloatArray, identities: npt.ArrayLike) -> tuple[float, float, float]:
    """Mean products of x and y between and within identities (mean squares for x = y), and n0."""
    codes, k = identity_codes("identities", identities, len(x))
    n = len(x)
    if k < 2 or n <= k:
        raise ValueError(
            f"identities has {k} identities on {n} images, expected at least 2, one with two images"
        )
    counts = np.bincount(codes, minlength=k)
    x_means, x_deviations = _means_and_deviations(x, codes, k)
    y_means, y_deviations = _means_and_deviations(y, codes, k)
    between = np.sum(counts * (x_means - x.mean()) * (y_means - y.mean())) / (k - 1)
    within = np.sum(x_deviations * y_deviations) / (n - k)
    return float(between), float(within), float((n - np.sum(counts**2) / n) / (k - 1))


def _explained_components(
    predicted: FloatArray, true: FloatArray, identities: npt.ArrayLike
) -> tuple[float, float]:
    """Explained variance between and within: components of the true values less those of the residuals."""
    residual = true - predicted
    true_between, true_within, n0 = _mean_squares(true, true, identities)
    left_between, left_within, _ = _mean_squares(residual, residual, identities)
    between = (true_between - true_within) / n0 - (left_between - left_within) / n0
    return between, true_within - left_within


def _variance_between(values: FloatArray, codes: npt.NDArray[np.int64]) -> float:
    """Mean over images (n,) of the products of two different images of their person; all have two."""
    counts = np.bincount(codes)
    sums, squares = np.bincount(codes, weights=values), np.bincount(codes, weights=values**2)
    return float(np.sum((sums**2 - squares)[counts > 0] / (counts[counts > 0] - 1)) / len(values))


def _variances(values: FloatArray, codes: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Variance between people and among a person's images, unbiased; values (n,) less their mean, which holds
    1 / k of the former and 1 / n of the latter. NaN where there is but one person."""
    k, products = effective_identities(np.bincount(codes)), _variance_between(values, codes)
    among = float(np.mean(values**2)) - products
    return (products + among / len(values)) * k / (k - 1) if k > 1 else math.nan, among


def _share(between: float, within: float) -> float:
    """between / (between + within) of the positive parts."""
    between, within = max(between, 0.0), max(within, 0.0)
    return between / (between + within) if between + within > 0 else math.nan
