"""Who lives in the default world: identities and their images, drawn from a Gaussian copula.

Each attribute has a latent standard normal variable per image, u = √s·u_identity + √(1 − s)·u_image, where s
is its identity share: 1 for an attribute of the identity, 0 for one of the image, between for a mixed one.
Latents of different attributes are correlated as the configuration says (independent by default); the
marginal's quantile function turns Φ(u) into the attribute's value, so that marginals are exact whatever the
share and the correlations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema

Values = dict[str, npt.NDArray[np.generic]]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Marginal:
    """Distribution of one attribute in the population.

    Attributes:
        identity_share: s above, 0 to 1.
        mean, sd: of a normal distribution, truncated to [low, high]; None for a uniform one.
        low, high: range of a continuous attribute, in its unit.
        probabilities: of the classes of a discrete attribute, in order; empty for a continuous one.
    """

    identity_share: float
    low: float = 0.0
    high: float = 1.0
    mean: float | None = None
    sd: float | None = None
    probabilities: tuple[float, ...] = ()

    def quantile(self, rank: Floats) -> npt.NDArray[np.generic]:
        """Values at ranks (n,) in (0, 1): float32, or class numbers (int64)."""
        if self.probabilities:
            edges = np.cumsum(self.probabilities)[:-1] / np.sum(self.probabilities)
            return np.searchsorted(edges, rank).astype(np.int64)
        if self.mean is None or self.sd is None:
            return (self.low + (self.high - self.low) * rank).astype(np.float32)
        low, high = ndtr((np.array([self.low, self.high]) - self.mean) / self.sd)
        value = self.mean + self.sd * ndtri(low + (high - low) * rank)
        clipped: npt.NDArray[np.float32] = np.clip(value, self.low, self.high).astype(np.float32)
        return clipped

    def standard_deviation(self) -> float:
        """Population standard deviation of a continuous attribute, in its unit, by quadrature over 10,000
        ranks.
        """
        ranks = (np.arange(10_000) + 0.5) / 10_000
        return float(np.std(self.quantile(ranks).astype(np.float64)))


@dataclass(frozen=True)
class Population:
    """The marginals of all attributes and the correlations between their latents.

    Attributes:
        schema: the attributes, in order.
        marginals: one for each attribute.
        correlations: (name, name, value in (−1, 1)) for pairs that are not independent.
    """

    schema: AttributeSchema
    marginals: Mapping[str, Marginal]
    correlations: Sequence[tuple[str, str, float]] = ()

    def correlation_root(self) -> Floats:
        """Cholesky factor (k, k) of the latents' correlation matrix.

        Raises:
            ValueError: a name is not declared, or the matrix is not positive definite.
        """
        names = self.schema.names
        matrix = np.eye(len(names))
        for first, second, value in self.correlations:
            unknown = [name for name in (first, second) if name not in names]
            if unknown:
                raise ValueError(
                    f"correlations: {unknown[0]!r} is not an attribute; known are {', '.join(names)}"
                )
            i, j = names.index(first), names.index(second)
            matrix[i, j] = matrix[j, i] = value
        try:
            root: Floats = np.linalg.cholesky(matrix).astype(np.float64)
        except np.linalg.LinAlgError:
            raise ValueError(
                "correlations: the matrix is not positive definite; make the values smaller"
            ) from None
        return root

    def draw(self, n_identities: int, n_images: int, rng: np.random.Generator) -> Values:
        """Attributes of n_identities × n_images images, identity by identity, (n,) each."""
        root = self.correlation_root()
        k = len(self.schema)
        of_identity = rng.standard_normal((n_identities, 1, k)) @ root.T
        of_image = rng.standard_normal((n_identities, n_images, k)) @ root.T
        share = np.array([self.marginals[name].identity_share for name in self.schema.names])
        latent = np.sqrt(share) * of_identity + np.sqrt(1.0 - share) * of_image
        rank = np.clip(ndtr(latent.reshape(-1, k)), 1e-9, 1 - 1e-9)
        return {name: self.marginals[name].quantile(rank[:, i]) for i, name in enumerate(self.schema.names)}

    def declared(self) -> AttributeSchema:
        """The schema with each continuous attribute's range and dose as this population has them."""
        return AttributeSchema(tuple(self._declared(attribute) for attribute in self.schema))

    def _declared(self, attribute: Attribute) -> Attribute:
        marginal = self.marginals[attribute.name]
        share = marginal.identity_share
        level = "identity" if share == 1.0 else "image" if share == 0.0 else "mixed"
        fields = dict(attribute.__dict__)
        fields.update(level=level, source="default world")
        if not attribute.is_discrete:
            fields.update(range=(marginal.low, marginal.high), dose=marginal.standard_deviation())
        return Attribute(**fields)
