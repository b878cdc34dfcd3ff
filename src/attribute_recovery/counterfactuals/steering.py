"""Moved embeddings steered to where the decoded image flips, where the way straight ahead does not.

Far along a geodesic there may be no face: T then draws one that embeds beside z', often back where it came
from. Within the same travel other directions lead along embeddings that faces have. They are found by the
gradient of the decoded image's score with respect to z', through T, G and f, with the noise held fixed.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.counterfactuals.geodesic import along, angle
from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.training.device import chunks

Floats = npt.NDArray[np.float64]

BATCH = 64
# Steps of the search, and the length of the first as a part of the travel; the last is a tenth of that.
STEPS = 12
FIRST_STEP = 0.3


@dataclass(frozen=True)
class Aim:
    """What z' must be, row by row.

    Attributes:
        start: embeddings that are moved, unit length (n, d).
        other: embeddings that they are compared with, unit length (n, d).
        reach: largest travel from `start` in radians, (n,).
        to_match: whether the score is to rise to τ or above; otherwise below, (n,).
        tau: the threshold, a cosine.
    """

    start: Floats
    other: Floats
    reach: Floats
    to_match: npt.NDArray[np.bool_]
    tau: float

    def rows(self, chosen: slice) -> "Aim":
        """The same for some rows."""
        return Aim(
            self.start[chosen], self.other[chosen], self.reach[chosen], self.to_match[chosen], self.tau
        )


def steer(
    decoder: Decoder, recognizer: Recognizer, aim: Aim, moved: Floats, noise: npt.NDArray[np.float32]
) -> Floats:
    """Move z' until its decoded image flips, or as near to that as the search comes.

    Each step goes against the gradient and then back into what is allowed: within `reach` of z, and itself
    on the other side of τ.

    Args:
        decoder: T and G.
        recognizer: f, with gradients.
        aim: what is allowed and wanted.
        moved: where the search begins, unit length (n, d).
        noise: T's, standard normal (n, code_size).

    Returns:
        The best z' seen, `moved` itself among them, unit length float64 (n, d).
    """
    best = moved.copy()
    for part in chunks(len(moved), _batch(decoder)):
        best[part] = _steer(decoder, recognizer, aim.rows(part), moved[part], torch.from_numpy(noise[part]))
    return best


def _batch(decoder: Decoder) -> int:
    """Images at once: gradients keep about four times what a forward pass does."""
    most = decoder.generator.at_once
    return BATCH if most is None else min(BATCH, max(1, most // 4))


def _steer(decoder: Decoder, recognizer: Recognizer, aim: Aim, moved: Floats, noise: Tensor) -> Floats:
    sign = np.where(aim.to_match, -1.0, 1.0)
    best, least = moved.copy(), np.full(len(moved), np.inf)
    here = moved
    for number in range(STEPS + 1):
        score, gradient = _score(decoder, recognizer, aim, here, noise)
        better = sign * score < least
        best[better], least[better] = here[better], (sign * score)[better]
        missing = least >= sign * aim.tau
        if number == STEPS or not missing.any():
            break
        length = FIRST_STEP * aim.reach * (1 - 0.9 * number / STEPS)
        downhill = (
            -sign[:, None] * gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-12)
        )
        tried = _allowed(along(here, downhill, length), aim)
        here = np.where(missing[:, None], tried, here)
    return best


def _score(
    decoder: Decoder, recognizer: Recognizer, aim: Aim, here: Floats, noise: Tensor
) -> tuple[Floats, Floats]:
    """Cosine of the decoded image's embedding with `other`, (n,), and its gradient at z', (n, d)."""
    point = torch.from_numpy(here.astype(np.float32)).to(decoder.device).requires_grad_()
    code = decoder.transformer.sample(nn.functional.normalize(point), noise.to(decoder.device), decoder.steps)
    other = torch.from_numpy(aim.other.astype(np.float32)).to(decoder.device)
    score = (recognizer.embed(decoder.generator.decode(code)) * other).sum(1)
    (gradient,) = torch.autograd.grad(score.sum(), point)
    return score.detach().cpu().double().numpy(), gradient.cpu().double().numpy()


def _allowed(point: Floats, aim: Aim) -> Floats:
    """The point brought to the other side of τ, then within reach of z.

    Both are caps of the sphere that meet, since the geodesic's end lies in both; where the second move
    crosses τ again, the first point of the geodesic through z and `other` that is allowed takes over.
    """
    edge = np.full(len(point), np.arccos(aim.tau))
    beyond = (angle(point, aim.other) < edge) == aim.to_match
    point = np.where(beyond[:, None], point, along(aim.other, point, edge))
    inside = angle(point, aim.start) <= aim.reach
    point = np.where(inside[:, None], point, along(aim.start, point, aim.reach))
    beyond = np.where(aim.to_match, 1, -1) * (edge - angle(point, aim.other)) >= -1e-9
    return np.where(beyond[:, None], point, along(aim.other, aim.start, edge))
