"""Networks that come as a program with their weights: of `torch.export`, or TorchScript."""

from pathlib import Path

import torch
from torch import Tensor, nn

from attribute_recovery.recognizer.blackbox import BatchLimits, Run, in_batches
from attribute_recovery.recognizer.card import RecognizerCard


class ProgramNetwork(nn.Module):
    """A program as a network: (n, channels, side, side) to (n, embedding_size), differentiable.

    Args:
        run: the program, on its device, its weights closed to gradients.
        card: its card.
        limits: how many images it takes at once.
        label: what errors call it.
    """

    differentiable = True

    def __init__(self, run: Run, card: RecognizerCard, *, limits: BatchLimits, label: str) -> None:
        super().__init__()
        # In a tuple, or it would be put into evaluation mode with all parts, which exported programs refuse.
        self._program = (run,)
        self._card, self.limits, self._label = card, limits, label

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, embedding_size), not normalised.

        Raises:
            ValueError: the program does not run on such images, or gives no tensor.
        """
        return in_batches(self._run, images, self.limits, self._card.embedding_size)

    def _run(self, images: Tensor) -> Tensor:
        try:
            found = self._program[0](images)
        except (RuntimeError, AssertionError, TypeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ValueError(
                f"{self._label}: does not run on images {tuple(images.shape)}, as the card has them "
                f"({reason})"
            ) from error
        single = found[0] if isinstance(found, tuple | list) and len(found) == 1 else found
        if not isinstance(single, Tensor):
            raise ValueError(f"{self._label}: gives {type(single).__name__}, allowed is one tensor")
        return single


def load_torchscript(path: Path, card: RecognizerCard, device: torch.device) -> ProgramNetwork:
    """Read a TorchScript file; it may hold any code.

    Args:
        path: file of `torch.jit.save`.
        card: its card.
        device: where it is to run.

    Returns:
        The network, in evaluation mode if it knows of one.

    Raises:
        ValueError: the file is no TorchScript.
    """
    try:
        module = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"{path}: cannot be read as TorchScript ({reason})") from error
    module.eval()
    for parameter in module.parameters():  # of a ScriptModule no more than one at a time
        parameter.requires_grad_(False)
    return ProgramNetwork(module, card, limits=BatchLimits(), label=str(path))
