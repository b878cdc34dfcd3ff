"""Networks that come as they are: run on as many images as they take, and never silently without gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attribute_recovery.training.device import chunks

Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class BatchLimits:
    """How many images a network takes at once.

    Attributes:
        low: fewest; 1 or more.
        high: most; None where there is no limit.
    """

    low: int = 1
    high: int | None = None


def in_batches(run: Run, images: Tensor, limits: BatchLimits, embedding_size: int) -> Tensor:
    """Run a network on any number of images, in parts that it takes; short parts are filled up.

    Args:
        run: (m, c, side, side) to (m, d) for the numbers m that `limits` allows.
        images: (n, c, side, side), n from 0.
        limits: of the network.
        embedding_size: d, for the result's shape where there are no images.

    Returns:
        (n, d); differentiable where `run` is.
    """
    parts = [
        _filled(run, images[part], limits.low)
        for part in chunks(len(images), limits.high or max(1, len(images)))
    ]
    return torch.cat(parts) if parts else images.new_empty(0, embedding_size)


def forward_only(run: Run, images: Tensor, why: str) -> Tensor:
    """Run what has no gradient.

    Args:
        run: images to embeddings.
        images: its argument.
        why: what somebody is told who asks for a gradient; a whole sentence.

    Returns:
        The embeddings. Where a gradient is asked for, asking fails: a loss of several parts would otherwise
        lose this one in silence.
    """
    result: Tensor = _ForwardOnly.apply(images, run, why)
    return result


class _ForwardOnly(torch.autograd.Function):
    """The identity of a black box: forward runs it, backward refuses."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, run: Run, why: str) -> Tensor:
        ctx.why = why
        return run(images.detach())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        raise RuntimeError(ctx.why)


def _filled(run: Run, images: Tensor, low: int) -> Tensor:
    missing = low - len(images)
    if missing <= 0:
        return run(images)
    return run(torch.cat([images, images[-1:].expand(missing, *images.shape[1:])]))[: len(images)]
