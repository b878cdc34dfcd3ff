"""The standard protocol of pair sets in folds: accuracy at a threshold that the other folds choose."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribute_recovery.statistics.inputs import FloatArray, finite_vector


@dataclass(frozen=True)
class FoldAccuracy:
    """Accuracy over k folds.

    Attributes:
        mean: Of the folds' accuracies, 0 to 1.
        standard_error: Their standard deviation (with k − 1) over √k.
        accuracies: (k,) share of each fold's pairs that are told right.
        thresholds: (k,) chosen on the other folds; a pair is accepted at score >= threshold.
        n_pairs: Pairs in all.
    """

    mean: float
    standard_error: float
    accuracies: FloatArray
    thresholds: FloatArray
    n_pairs: int


def fold_accuracy(scores: npt.ArrayLike, genuine: npt.ArrayLike, folds: npt.ArrayLike) -> FoldAccuracy:
    """Accuracy in each fold at the threshold that is most accurate on the others, and their mean.

    Huang, Ramesh, Berg, Learned-Miller, "Labeled Faces in the Wild", UMass Amherst 07-49, 2007, section 4:
    mean accuracy p̂ over ten folds and its standard error σ̂ / √10, σ̂² = Σ (pᵢ − p̂)² / 9.

    Args:
        scores: Similarity of each pair, (n,), finite.
        genuine: Whether both images show one person, (n,) bool.
        folds: Number of each pair's fold, (n,); two folds or more.

    Returns:
        Accuracies and thresholds by rising number of the fold. Of thresholds that are equally accurate, the
        middle one of the middle gap between scores is taken.

    Raises:
        ValueError: Lengths differ, a score is not finite, there are fewer than two folds, or a fold has not
            both kinds of pairs.

    >>> found = fold_accuracy([0.9, 0.1, 0.8, 0.2], [True, False, True, False], [0, 0, 1, 1])
    >>> found.mean, found.standard_error, found.thresholds.tolist()
    (1.0, 0.0, [0.5, 0.5])
    """
    values = finite_vector("scores", scores)
    same, numbers = np.asarray(genuine, np.bool_), np.asarray(folds)
    if same.shape != values.shape or numbers.shape != values.shape:
        raise ValueError(
            f"genuine, folds: found shapes {same.shape} and {numbers.shape} for {len(values)} scores, "
            "allowed is one of each a score"
        )
    names = np.unique(numbers)
    if len(names) < 2:
        raise ValueError(f"folds: found {len(names)}, allowed are 2 or more")
    accuracies, thresholds = np.empty(len(names)), np.empty(len(names))
    for place, name in enumerate(names):
        inside = numbers == name
        if same[inside].all() or not same[inside].any():
            raise ValueError(f"folds: fold {name} has pairs of one kind only, both kinds are needed")
        thresholds[place] = most_accurate_threshold(values[~inside], same[~inside])
        accuracies[place] = ((values[inside] >= thresholds[place]) == same[inside]).mean()
    error = accuracies.std(ddof=1) / np.sqrt(len(names))
    return FoldAccuracy(float(accuracies.mean()), float(error), accuracies, thresholds, len(values))


def most_accurate_threshold(scores: npt.ArrayLike, genuine: npt.ArrayLike) -> float:
    """The threshold at which most pairs are told right, accepted when score >= threshold.

    Args:
        scores: Similarities, (n,), n at least 1.
        genuine: Whether both images show one person, (n,) bool.

    Returns:
        The middle between two neighbouring scores; of several equally accurate gaps the middle one. Beyond
        all scores where accepting or rejecting all is best.

    Raises:
        ValueError: There are no scores, or one is not finite.

    >>> most_accurate_threshold([0.0, 0.25, 0.75, 1.0], [False, False, True, True])
    0.5
    """
    values = finite_vector("scores", scores)
    same = np.asarray(genuine, np.bool_)
    levels, places = np.unique(values, return_inverse=True)
    accepted = np.bincount(places, weights=np.where(same, 1.0, -1.0), minlength=len(levels))
    # Pairs told right when all from level i on are accepted, less what is the same for every i.
    gain = np.concatenate([np.cumsum(accepted[::-1])[::-1], [0.0]])
    best = np.flatnonzero(gain == gain.max())
    cut = int(best[len(best) // 2])
    edges = np.concatenate([[levels[0] - 1.0], levels, [levels[-1] + 1.0]])
    return float((edges[cut] + edges[cut + 1]) / 2)
