"""Threads, determinism and device: what every job that runs a network sets first."""

from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import nn

from attribute_recovery.config import Compute
from attribute_recovery.training.loop import resolve_precision

M = TypeVar("M", bound=nn.Module)


def prepare_torch(compute: Compute) -> torch.device:
    """Set torch's threads, deterministic algorithms, true float32; the device that the configuration means.

    The thread count comes from the configuration, never from the workflow: sums depend on it.

    Raises:
        ValueError: "cuda" is asked for and there is none.
    """
    torch.set_num_threads(compute.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # On a GPU torch would round the factors of convolutions to 10 bits and still call it float32.
    torch.backends.cudnn.allow_tf32 = False
    if compute.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("compute.device: found cuda, but torch sees no GPU here; allowed are auto and cpu")
    use_gpu = compute.device != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if use_gpu else "cpu")


def inference_dtype(compute: Compute) -> torch.dtype:
    """Precision in which our own networks (never the recognizer) are run: bfloat16 where it is native."""
    return torch.bfloat16 if resolve_precision(compute.precision) == "bf16" else torch.float32


def frozen(module: M, device: torch.device) -> M:
    """The module in evaluation mode on the device, channels last, its weights closed to gradients."""
    module = module.to(device).eval().requires_grad_(False)
    for value in (*module.parameters(), *module.buffers()):
        if value.ndim == 4:  # torch's own conversion stops at weights of five axes, as StyleGAN2 has them
            value.data = value.data.to(memory_format=torch.channels_last)
    return module


def chunks(count: int, size: int) -> Iterator[slice]:
    """Slices that cover range(count), `size` at a time; the last one may be shorter."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
