"""The state dict of a network that is known here, as it was published, to safetensors."""

from pathlib import Path

from torch import Tensor, nn

from attribute_recovery.recognizer.card import RecognizerCard
from attribute_recovery.recognizer.load import network_of
from attribute_recovery.training.weights import save_weights

# Counts batches of a training; older torch did not write it, and nothing that is measured reads it.
_UNUSED = "num_batches_tracked"


def convert_checkpoint(source: Path, key: str | None, card: RecognizerCard, target: Path) -> None:
    """Read a checkpoint into the network that its card names, and write that as safetensors.

    Args:
        source: file with a state dict.
        key: where in the file it lies; None where the file is one, or has it under a usual name.
        card: names the network and its sizes.
        target: safetensors file, written.

    Raises:
        ValueError: the file needs pickle or is damaged, the network cannot be made in these sizes, or a
            tensor is missing, unknown or of another shape; the first one is named.
    """
    from attribute_recovery.training.checkpoints import read_checkpoint

    found = read_checkpoint(source, key)
    network = network_of(card)
    fill(network, found, f"{source}: ", card.architecture)
    save_weights(network, target)


def fill(network: nn.Module, found: dict[str, Tensor], label: str, architecture: str) -> None:
    """Fill a network with tensors by name; all of them have to fit.

    Args:
        network: changed in place.
        found: tensors by name.
        label: begins the sentence of an error.
        architecture: what the network is called.

    Raises:
        ValueError: a tensor is missing, unknown or of another shape; the first one is named.
    """
    wanted = network.state_dict()
    for name, value in wanted.items():
        if name.endswith(_UNUSED) and name not in found:
            continue
        if name not in found:
            raise ValueError(
                f"{label}tensor {name!r} of shape {tuple(value.shape)}, which {architecture!r} has, is "
                f"missing (found are {', '.join(sorted(found)[:3])}, ...)"
            )
        if found[name].shape != value.shape:
            raise ValueError(
                f"{label}tensor {name!r}: found shape {tuple(found[name].shape)}, {architecture!r} in the "
                f"card's sizes has {tuple(value.shape)}"
            )
    unknown = sorted(name for name in found if name not in wanted and not name.endswith(_UNUSED))
    if unknown:
        raise ValueError(f"{label}tensor {unknown[0]!r} does not belong to {architecture!r}")
    kept = {name: found.get(name, value) for name, value in wanted.items()}
    network.load_state_dict(kept)
