"""Weights on disk: a safetensors file and the JSON card that says what they are."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


def save_weights(module: nn.Module, path: Path, *, dtype: torch.dtype = torch.float32) -> None:
    """Write a module's parameters and buffers; floating ones as `dtype`."""
    tensors = {}
    for name, value in module.state_dict().items():
        kept = value.detach().cpu().to(memory_format=torch.contiguous_format)
        tensors[name] = (kept.to(dtype) if kept.is_floating_point() else kept).contiguous().clone()
    save_file(tensors, path)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file, floating tensors as float32.

    Raises:
        ValueError: the file is missing, or is not a whole safetensors file.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: cannot be read as safetensors ({' '.join(str(error).split())})") from error
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}


def load_into(module: nn.Module, path: Path) -> None:
    """Fill a module with the weights of a file.

    Raises:
        ValueError: a tensor is missing, unknown or of another shape; the first one is named.
    """
    found = read_weights(path)
    wanted = module.state_dict()
    for name, value in wanted.items():
        if name not in found:
            raise ValueError(f"{path}: tensor {name!r} of shape {tuple(value.shape)} is missing")
        if found[name].shape != value.shape:
            shapes = f"found shape {tuple(found[name].shape)}, the card's sizes make {tuple(value.shape)}"
            raise ValueError(f"{path}: tensor {name!r}: {shapes}")
    unknown = sorted(set(found) - set(wanted))
    if unknown:
        raise ValueError(
            f"{path}: tensor {unknown[0]!r} does not belong to the network that the card describes"
        )
    module.load_state_dict(found)


def write_card(path: Path, values: dict[str, Any]) -> None:
    """Write a card: sorted JSON, one key a line at the top level."""
    path.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n")


def read_card(path: Path, keys: set[str], optional: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Read a card that must have exactly `keys`, and may have `optional` ones.

    Raises:
        ValueError: the file is missing or not JSON, or a key is missing or unknown.
    """
    try:
        values = json.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"{path}: the weights' card cannot be read ({error.strerror})") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: is not JSON ({error})") from error
    found = set(values) if isinstance(values, dict) else set()
    if found - optional != keys:
        wrong = sorted((found - optional) ^ keys)[0]
        state = "is not known" if wrong in found else "is missing"
        raise ValueError(f"{path}: key {wrong!r} {state}; a card has {', '.join(sorted(keys))}")
    return dict(values)
