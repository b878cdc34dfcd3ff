"""Which pairs are explained: those that the recognizer decides rightly, drawn by seed, none dropped later."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Identities = npt.NDArray[np.object_]


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


def decided_pairs(
    embeddings: Floats, identities: Identities, tau: float, *, genuine: bool
) -> tuple[Rows, Rows, npt.NDArray[np.float64]]:
    """Ordered pairs of rows (i, j), i ≠ j, that are decided rightly.

    Args:
        embeddings: (n, d), unit length.
        identities: (n,).
        tau: the threshold.
        genuine: whether genuine pairs that are accepted are meant, or impostor pairs that are rejected.

    Returns:
        Rows i and j and scores, (m,) each, by i, then j. Scores are computed in float64, so that nobody who
        computes them again sees another decision.
    """
    exact = embeddings.astype(np.float64)
    scores = exact @ exact.T
    codes = np.unique(identities.astype(str), return_inverse=True)[1]
    same = codes[:, None] == codes[None]
    wanted = same & (scores >= tau) if genuine else ~same & (scores < tau)
    np.fill_diagonal(wanted, False)
    first, second = np.nonzero(wanted)
    return first, second, scores[first, second]


def spread_over_deciles(distance: npt.NDArray[np.float64], count: int, rng: np.random.Generator) -> Rows:
    """Positions (count,) drawn evenly from the ten deciles of distances (n,); all of them where n is less."""
    order = np.argsort(distance, kind="stable")
    if count >= len(order):
        return order
    parts = np.array_split(order, 10)
    sizes = [len(part) for part in np.array_split(np.arange(count), 10)]
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
