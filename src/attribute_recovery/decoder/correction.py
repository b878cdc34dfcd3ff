"""What T's samples are moved by so that they embed as asked, in the directions of code space that belong to
the person and in no other.

A sample that embeds too far from z could be brought nearer by facing the camera as well as by looking more
like the person, and a network that may do either gives up the spread of pose and light first. So it may move
a sample only where people differ and one person's images do not: what f drops stays as it was drawn.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import eigh
from torch import Tensor, nn

from attribute_recovery.statistics.inputs import FloatArray

Floats = npt.NDArray[np.float32]

# A direction belongs to the person where less of its variance than this lies within people.
LARGEST_WITHIN = 0.3
# Of long codes, principal components in which directions are looked for.
MOST_COMPONENTS = 512
# Of the variance of a standardised code, so that dead components have some.
_RIDGE = 1e-3
_BLOCKS = 2


class Correction(nn.Module):
    """Moves standardised codes along the directions of the person.

    Args:
        code_size: length of the code.
        embedding_size: d.
        directions: number of directions.
        hidden: width of its residual blocks.
    """

    basis: Tensor

    def __init__(self, code_size: int, embedding_size: int, directions: int, hidden: int) -> None:
        super().__init__()
        self.scale = math.sqrt(embedding_size)  # components of about unit variance
        self.first = nn.Linear(code_size + embedding_size, hidden)
        self.blocks = nn.ModuleList(_block(hidden) for _ in range(_BLOCKS))
        self.out = nn.Linear(hidden, directions)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("basis", torch.zeros(directions, code_size))

    def steps(self, point: Tensor, embedding: Tensor) -> Tensor:
        """How far along each direction, in its standard deviations, (n, directions)."""
        value = self.first(torch.cat([point, embedding * self.scale], dim=1))
        for block in self.blocks:
            value = value + block(value)
        steps: Tensor = self.out(value)
        return steps

    def moved(self, point: Tensor, steps: Tensor) -> Tensor:
        """Standardised codes (n, code_size) after these steps."""
        return point + steps.to(point.dtype) @ self.basis

    def forward(self, point: Tensor, embedding: Tensor) -> Tensor:
        """Standardised codes (n, code_size) brought nearer to embeddings (n, d)."""
        return self.moved(point, self.steps(point, embedding))


def _block(width: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))


def person_directions(codes: Floats, identities: npt.NDArray[np.object_]) -> Floats:
    """The directions of code space that belong to the person, by Fisher's discriminant analysis.

    With W the covariance within people and S that of all, W v = λ S v has λ, the share within people, from 0
    to 1; a direction changes vᵀw of one v alone, by one standard deviation.

    Args:
        codes: standardised, (n, code_size).
        identities: of each, (n,).

    Returns:
        float32 (directions, code_size): those with λ below `LARGEST_WITHIN`, or the one with the smallest;
        all principal ones where nobody has two images, since then nothing is known of λ.
    """
    _, person, counts = np.unique(identities.astype(str), return_inverse=True, return_counts=True)
    centred = codes.astype(np.float64) - codes.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:MOST_COMPONENTS]  # (m, code_size)
    points = centred @ axes.T
    if len(counts) == len(points):
        return np.asarray(points.std(0)[:, None] * axes, dtype=np.float32)
    within, overall = _scatter(points, person, counts)
    shares, vectors = eigh(within, overall + _RIDGE * np.eye(len(overall)))
    kept = shares < max(LARGEST_WITHIN, float(shares[0]) + 1e-9)
    # Rows of the inverse: what changes one coordinate and leaves the others.
    return np.asarray((np.linalg.inv(vectors)[kept]) @ axes, dtype=np.float32)


def _scatter(
    points: FloatArray, person: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Covariances (m, m) within people and of people and images together, without bias for any counts."""
    means = np.stack([np.bincount(person, column) for column in points.T], axis=1) / counts[:, None]
    deviations = points - means[person]
    within = deviations.T @ deviations / (len(points) - len(counts))
    # A mean of n images varies by W / n besides.
    between = np.cov(means.T).reshape(within.shape) - within * float(np.mean(1 / counts))
    values, vectors = np.linalg.eigh(between)
    return within, within + (vectors * np.maximum(values, 0.0)) @ vectors.T
