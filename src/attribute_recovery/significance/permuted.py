"""Permutations of labels among held-out images, drawn once and used for every attribute."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribute_recovery.statistics.inputs import FloatArray, IntArray, identity_codes
from attribute_recovery.statistics.permutation import (
    Scheme,
    is_testable,
    permutation_p_value,
    permute_identity_blocks,
    permute_within_identity,
)

# Permutations worked at once; the result does not depend on it.
BATCH = 250

Indices = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Permutations:
    """B permutations of n images by either scheme; `values[row]` are permuted values.

    Attributes:
        codes: identity of each image as a number, (n,).
        identity: whole identities exchanged, (B, n).
        image: images exchanged within identities, (B, n).
    """

    codes: IntArray
    identity: Indices
    image: Indices

    def rows(self, scheme: Scheme) -> Iterator[Indices]:
        """The permutations of a scheme, (b, n) a batch."""
        found = self.identity if scheme == "identity" else self.image
        for start in range(0, len(found), BATCH):
            yield found[start : start + BATCH]

    def p_value(
        self,
        scheme: Scheme,
        values: npt.ArrayLike,
        observed: float,
        statistic: Callable[[Indices], FloatArray],
    ) -> float:
        """p of a statistic whose large values speak against the null.

        Args:
            scheme: "identity" or "image".
            values: what is permuted, (n,) or (n, m), to see whether there are enough distinct arrangements.
            observed: the statistic of the data.
            statistic: of permutations (b, n), (b,).

        Returns:
            (1 + b) / (1 + B); NaN where the scheme has too few arrangements ("not testable") or `observed` is
            NaN.
        """
        if not is_testable(self.codes, scheme, len(self.identity), values=values) or math.isnan(observed):
            return math.nan
        return permutation_p_value(observed, np.concatenate([statistic(rows) for rows in self.rows(scheme)]))


def draw_permutations(identities: npt.ArrayLike, count: int, seed: int) -> Permutations:
    """`count` permutations by each scheme of images with these identities (n,)."""
    codes, _ = identity_codes("identities", identities, len(np.asarray(identities)))
    draws: list[Indices] = []
    for number, permute in enumerate((permute_identity_blocks, permute_within_identity)):
        rng = np.random.default_rng([seed, 31, number])
        drawn = np.empty((count, len(codes)), np.int32)
        for row in drawn:
            row[:] = permute(codes, rng)
        draws.append(drawn)
    return Permutations(codes, draws[0], draws[1])


def schemes_of(level: str) -> tuple[Scheme, ...]:
    """The schemes that an attribute of a level is tested by."""
    schemes: dict[str, tuple[Scheme, ...]] = {
        "identity": ("identity",),
        "image": ("image",),
        "mixed": ("identity", "image"),
    }
    return schemes[level]


def smallest_of(p_values: dict[Scheme, float]) -> float:
    """p of the claim that at least one of the tests' nulls is false: Bonferroni over those that could be
    made."""
    tested = [p for p in p_values.values() if not math.isnan(p)]
    return min(1.0, len(tested) * min(tested)) if tested else math.nan


def largest_of(p_values: dict[Scheme, float]) -> float:
    """p of the claim that all of the tests' nulls are false: the largest of those that could be made."""
    tested = [p for p in p_values.values() if not math.isnan(p)]
    return max(tested) if tested else math.nan
