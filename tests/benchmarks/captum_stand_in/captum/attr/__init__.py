"""Both methods in their simplest form, with captum's arguments."""

from collections.abc import Callable

import torch
from torch import Tensor

Score = Callable[[Tensor, Tensor], Tensor]


class IntegratedGradients:
    """Gradient along a straight line, times its length."""

    def __init__(self, score: Score) -> None:
        self.score = score

    def attribute(
        self,
        inputs: Tensor,
        *,
        baselines: Tensor,
        additional_forward_args: tuple[Tensor],
        n_steps: int,
        internal_batch_size: int,
    ) -> Tensor:
        """Attributions of the inputs' shape."""
        total = torch.zeros_like(inputs)
        for step in range(n_steps):
            point = baselines + (step + 0.5) / n_steps * (inputs - baselines)
            point = point.detach().requires_grad_()
            total += torch.autograd.grad(self.score(point, *additional_forward_args).sum(), point)[0]
        return total / n_steps * (inputs - baselines)


class Occlusion:
    """What the score loses where a window shows the baseline."""

    def __init__(self, score: Score) -> None:
        self.score = score

    def attribute(
        self,
        inputs: Tensor,
        *,
        sliding_window_shapes: tuple[int, int, int],
        strides: tuple[int, int, int],
        baselines: Tensor,
        additional_forward_args: tuple[Tensor],
        perturbations_per_eval: int,
    ) -> Tensor:
        """Attributions of the inputs' shape."""
        (_, high, wide), (_, down, right) = sliding_window_shapes, strides
        total, whole = torch.zeros_like(inputs), self.score(inputs, *additional_forward_args)
        for top in range(0, inputs.shape[2] - high + 1, down):
            for left in range(0, inputs.shape[3] - wide + 1, right):
                place = (..., slice(top, top + high), slice(left, left + wide))
                occluded = inputs.clone()
                occluded[place] = baselines[place]
                lost = whole - self.score(occluded, *additional_forward_args)
                total[place] += lost[:, None, None, None]
        return total
