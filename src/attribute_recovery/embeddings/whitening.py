"""How embeddings spread over their directions, and how networks are told of it.

They spread very unequally: a recognizer is trained to tell people apart, so these take the wide directions,
and what it was to drop, such as pose and light, is left over in narrow ones. It is there all the same, and as
exact as anything else. So networks that read embeddings are told them twice, as they are and with all
directions equally wide; and where they are disturbed in training, the narrow ones are disturbed less.
"""

import math

import torch
from torch import Tensor, nn

# Of the mean variance of a direction; narrower ones are not widened to the same.
_FLOOR = 1e-3


class Whitened(nn.Module):
    """Embeddings beside themselves whitened, with components of about unit variance.

    Args:
        size: d.
    """

    mean: Tensor
    whitening: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("whitening", math.sqrt(size) * torch.eye(size))

    def fit(self, embeddings: Tensor) -> None:
        """Learn how embeddings (n, d) spread; without that, both halves are alike.

        Directions that vary less than the floor, as all do beyond those that n embeddings span, count as if
        they varied so much.
        """
        self.mean.copy_(embeddings.mean(0))
        values, vectors = _directions(embeddings)
        least = (_FLOOR * values.mean()).clamp_min(1e-12)
        self.whitening.copy_((vectors / values.clamp_min(least).sqrt()) @ vectors.T)

    def forward(self, embedding: Tensor) -> Tensor:
        """(n, 2 d) of embeddings (n, d)."""
        return torch.cat([embedding * math.sqrt(self.size), (embedding - self.mean) @ self.whitening], dim=1)


def disturbed(embedding: Tensor, length: float, shape: Tensor) -> Tensor:
    """Embeddings (n, d) after a random step on the sphere of about `length`, again of unit length.

    Args:
        embedding: of unit length.
        length: in the embedding's unit, 0 or above.
        shape: of the steps, (d, d), see `shape_of`.
    """
    step = torch.randn_like(embedding) @ shape * length
    return nn.functional.normalize(embedding + step, dim=1)


def shape_of(embeddings: Tensor) -> Tensor:
    """Root R of the covariance of embeddings (n, d) over its trace, (d, d), 0 where all are the same: ε R, ε
    standard normal, spreads as they do, and is of about unit length. Steps equally long in all directions
    would drown what lies in the narrow ones.
    """
    values, vectors = _directions(embeddings)
    share = values / values.sum().clamp_min(1e-12)
    root: Tensor = ((vectors * share.sqrt()) @ vectors.T).to(embeddings.dtype)
    return root


def _directions(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """Variances (d,) of embeddings (n, d) along their principal directions (d, d), one a column; float64."""
    centred = (embeddings - embeddings.mean(0)).double()
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(embeddings))
    return values.clamp_min(0.0), vectors
