"""Which pairs are explained, drawn by seed and none dropped later: decided rightly, or wrongly (errors)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Identities = npt.NDArray[np.object_]

ERROR_KINDS = ("false_match", "false_non_match")


@dataclass(frozen=True)
class DrawnPairs:
    """Ordered pairs of rows (i, j), i ≠ j, n of them.

    Attributes:
        first: row of the image that is changed, (n,).
        second: row of the image that it is compared with, (n,).
        to_match: whether the pair is to become a match, (n,): an impostor pair that is rejected now.
    """

    first: Rows
    second: Rows
    to_match: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True)
class ErrorPairs:
    """Pairs of rows that are decided wrongly, n of them, false matches first.

    Attributes:
        first: row of the image that is changed, (n,).
        second: row of the image that it is compared with, (n,).
        kinds: of `ERROR_KINDS`, (n,).
        found: how many errors of each kind there are to draw from.
    """

    first: Rows
    second: Rows
    kinds: npt.NDArray[np.object_]
    found: dict[str, int]

    def __len__(self) -> int:
        return len(self.first)


def decided_pairs(
    embeddings: Floats, identities: Identities, tau: float, *, genuine: bool, rightly: bool = True
) -> tuple[Rows, Rows, npt.NDArray[np.float64]]:
    """Ordered pairs of rows (i, j), i ≠ j, that are decided rightly, or those that are not.

    Args:
        embeddings: (n, d), unit length.
        identities: (n,).
        tau: the threshold; a pair is accepted at a score of at least that.
        genuine: whether genuine pairs are meant, or impostor pairs.
        rightly: whether genuine pairs that are accepted are meant and impostor pairs that are rejected, or
            the others.

    Returns:
        Rows i and j and scores, (m,) each, by i, then j. Scores are computed in float64, so that nobody who
        computes them again sees another decision.
    """
    exact = embeddings.astype(np.float64)
    scores = exact @ exact.T
    codes = np.unique(identities.astype(str), return_inverse=True)[1]
    wanted = (codes[:, None] == codes[None]) == genuine
    wanted &= (scores >= tau) == (genuine == rightly)
    np.fill_diagonal(wanted, False)
    first, second = np.nonzero(wanted)
    return first, second, scores[first, second]


def spread_over_deciles(distance: npt.NDArray[np.float64], count: int, rng: np.random.Generator) -> Rows:
    """Positions (count,) drawn evenly from the ten deciles of distances (n,), one more from some that are
    evenly spread; all of them where n is less."""
    order = np.argsort(distance, kind="stable")
    if count >= len(order):
        return order
    parts = np.array_split(order, 10)
    sizes = np.full(10, count // 10)
    roomy = np.flatnonzero([len(part) > size for part, size in zip(parts, sizes, strict=True)])
    left = count % 10
    sizes[roomy[(2 * np.arange(left) + 1) * len(roomy) // (2 * max(left, 1))]] += 1
    return np.concatenate(
        [rng.choice(part, size, replace=False) for part, size in zip(parts, sizes, strict=True)]
    )


def random_pairs(
    embeddings: Floats, identities: Identities, tau: float, count: int, seed: int, *, genuine: bool
) -> DrawnPairs:
    """At most `count` pairs that are decided rightly, each as likely as any other, see `decided_pairs`."""
    first, second, _ = decided_pairs(embeddings, identities, tau, genuine=genuine)
    rng = np.random.default_rng([seed, 11, int(not genuine)])
    drawn = np.sort(rng.choice(len(first), min(count, len(first)), replace=False))
    return DrawnPairs(first[drawn], second[drawn], np.full(len(drawn), not genuine))


def spread_pairs(embeddings: Floats, identities: Identities, tau: float, count: int, seed: int) -> DrawnPairs:
    """At most `count` pairs, half genuine accepted, half impostor rejected.

    Each half is spread over the deciles of the distance from τ, so that it has easy and hard pairs alike.
    """
    parts = []
    for number, genuine in enumerate((True, False)):
        first, second, scores = decided_pairs(embeddings, identities, tau, genuine=genuine)
        rng = np.random.default_rng([seed, 12, number])
        drawn = spread_over_deciles(np.abs(scores - tau), count // 2, rng)
        parts.append((first[drawn], second[drawn], np.full(len(drawn), not genuine)))
    first, second, to_match = (np.concatenate(values) for values in zip(*parts, strict=True))
    return DrawnPairs(first, second, to_match)


def error_pairs(embeddings: Floats, identities: Identities, tau: float, count: int, seed: int) -> ErrorPairs:
    """At most `count` errors, each as likely as any other of its kind, half of them of each kind.

    Where there are too few of one kind, the other gives more. Which of a pair's two images is the first is
    drawn too.
    """
    errors = []
    for kind in ERROR_KINDS:
        genuine = kind == "false_non_match"
        first, second, _ = decided_pairs(embeddings, identities, tau, genuine=genuine, rightly=False)
        errors.append(np.stack([first, second])[:, first < second])  # each pair once
    sizes = [each.shape[1] for each in errors]
    matches = min(sizes[0], max(count // 2, count - sizes[1]))
    drawn = []
    for number, (pairs, most) in enumerate(zip(errors, (matches, count - matches), strict=True)):
        rng = np.random.default_rng([seed, 14, number])
        chosen = pairs[:, np.sort(rng.choice(pairs.shape[1], min(most, pairs.shape[1]), replace=False))]
        turned = rng.random(chosen.shape[1]) < 0.5
        drawn.append(np.where(turned, chosen[::-1], chosen))
    kinds = np.repeat(np.array(ERROR_KINDS, dtype=object), [each.shape[1] for each in drawn])
    first, second = np.concatenate(drawn, axis=1)
    return ErrorPairs(first, second, kinds, dict(zip(ERROR_KINDS, sizes, strict=True)))
