"""Long codes in few numbers: the directions in which the codes of images vary most, each of unit variance.

A code in W+ has thousands of components, of which images use few: the covariance of n codes has rank n − 1 at
most. Edits are then worked out along the leading principal components, and what of a code lies outside of
them stays as it is.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Codes = npt.NDArray[np.float32]

# Longer codes are edited along their principal components, of which there are at most so many.
LONGEST_CODE = 512
MOST_COMPONENTS = 256
# Share of the codes' variance beyond which further components are left out.
KEPT_VARIANCE = 0.999
# Images that the components are taken from: eight for each of them.
FITTED_TO = 2048


class PrincipalSpace(nn.Module):
    """Principal components of codes.

    Args:
        code_size: length of a code.
        components: how many directions there are.
    """

    centre: Tensor
    directions: Tensor
    deviations: Tensor

    def __init__(self, code_size: int, components: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(code_size))
        self.register_buffer("directions", torch.zeros(components, code_size))
        self.register_buffer("deviations", torch.ones(components))

    def within(self, code: Tensor) -> Tensor:
        """Coordinates (n, components), of about unit variance, of codes (n, code_size)."""
        return (code - self.centre) @ self.directions.T / self.deviations

    def code(self, coordinates: Tensor) -> Tensor:
        """Codes (n, code_size) of coordinates (n, components), with nothing outside of the space."""
        return self.centre + (coordinates * self.deviations) @ self.directions

    def moved(self, code: Tensor, change: Tensor) -> Tensor:
        """Codes (n, code_size) whose coordinates changed by (n, components), all else as it was."""
        return code + (change * self.deviations) @ self.directions


def principal_space(codes: Codes) -> tuple[PrincipalSpace, float]:
    """The space of codes' largest variance.

    Args:
        codes: (n, code_size), n at least 2; a seedless, even choice of them is used where there are many.

    Returns:
        The space, and the share of the codes' variance that it holds.

    Raises:
        ValueError: the codes have no variance, so that nothing could be edited.
    """
    chosen = np.unique(np.linspace(0, len(codes) - 1, min(len(codes), FITTED_TO)).astype(np.int64))
    used = codes[chosen].astype(np.float64)
    centre = used.mean(axis=0)
    used -= centre
    # Of n codes in more dimensions: eigenvectors of the n × n matrix of products.
    values, vectors = np.linalg.eigh(used @ used.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    total = float(values.clip(0).sum())
    if not total > 0:
        raise ValueError(f"codes: {len(codes)} codes are all the same, so nothing in them can be edited")
    enough = int(np.searchsorted(values.cumsum() / total, KEPT_VARIANCE)) + 1
    count = min(enough, MOST_COMPONENTS, len(chosen) - 1)
    directions = (used.T @ vectors[:, :count] / np.sqrt(values[:count])).T
    # The sign of an eigenvector is the library's choice.
    largest = np.abs(directions).argmax(axis=1)
    directions *= np.sign(directions[np.arange(count), largest])[:, None]
    space = PrincipalSpace(codes.shape[1], count)
    space.centre.copy_(torch.from_numpy(centre))
    space.directions.copy_(torch.from_numpy(directions))
    space.deviations.copy_(torch.from_numpy(np.sqrt(values[:count] / (len(chosen) - 1))))
    return space, float(values[:count].sum() / total)
