"""The state dict of a network that is known here, as it was published, to safetensors."""

from pathlib import Path

from attribute_recovery.recognizer.card import RecognizerCard
from attribute_recovery.recognizer.load import network_of
from attribute_recovery.training.weights import save_weights


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
    from attribute_recovery.training.checkpoints import check_state, read_checkpoint

    found = read_checkpoint(source, key)
    network = network_of(card)
    kind = f"{card.architecture} of the card's sizes"
    network.load_state_dict(check_state(network, found, source, kind=kind))
    save_weights(network, target)
