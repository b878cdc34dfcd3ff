"""Checkpoints from elsewhere: the tensors that a file holds, by name, and nothing that could run.

A checkpoint of torch is a pickle, and a pickle is a program. torch's restricted reader (`weights_only`)
admits tensors and plain containers; what needs more is refused, with what it asked for and the way out.
"""

import argparse
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

# Where trainings keep the weights among their other things; the smoothed ones of a generator are `g_ema`.
STATE_KEYS = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "backbone",
    "generator",
    "params_ema",
    "g_ema",
)
# What wrappers put before every name: DataParallel and AveragedModel, torch.compile.
PREFIXES = ("module.", "_orig_mod.")
# Counts batches of a training, which nothing that is measured reads.
UNUSED = "num_batches_tracked"
# Of AveragedModel: how many states it has averaged; no weight.
COUNTER = "n_averaged"

WAY_OUT = (
    "where the code of its model is at hand, save the weights alone (torch.save(model.state_dict(), path) or "
    "safetensors.torch.save_file(model.state_dict(), path)), or export the model to ONNX"
)


def read_checkpoint(path: Path, key: str | None = None) -> dict[str, Tensor]:
    """The tensors of a checkpoint, on the processor; floating ones as float32.

    Args:
        path: .safetensors, or a file of torch.save that holds a state dict, a mapping with a state dict in
            it, or one tensor (whose name is then "").
        key: of the state dict in that mapping; None takes the only one that lies under one of `STATE_KEYS`.

    Returns:
        Tensors by name; the prefixes of wrappers (`module.` of DataParallel) are taken off where all names
        have them.

    Raises:
        ValueError: the file is missing, damaged, of another format, or needs more than weights to be read;
            there is no state dict in it under that key, or several and no key was given; a state dict is
            empty.
    """
    if not path.is_file():
        raise ValueError(f"{path}: is missing, expected a checkpoint (.safetensors, or a file of torch.save)")
    tensors = _safetensors(path) if path.suffix == ".safetensors" else _state(path, _load(path), key)
    if not tensors:
        raise ValueError(f"{path}: found no tensor, expected a state dict")
    return {
        name: value.detach().float() if value.is_floating_point() else value.detach()
        for name, value in without_prefix(tensors).items()
    }


def without_prefix(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under the names of the network itself, without what wrappers put before them.

    A prefix is only one where all names have it: a network may have a part that is called `module`.

    Args:
        tensors: by name.

    Returns:
        The same tensors; the counter of an AveragedModel is left out with its prefix.

    >>> sorted(without_prefix({"module.a": torch.ones(1), "module.b": torch.ones(1)}))
    ['a', 'b']
    """
    found = dict(tensors)
    while True:
        weights = {name: value for name, value in found.items() if name != COUNTER}
        prefix = next((p for p in PREFIXES if weights and all(name.startswith(p) for name in weights)), None)
        if prefix is None:
            return found
        found = {name.removeprefix(prefix): value for name, value in weights.items()}


def check_state(
    network: nn.Module, tensors: Mapping[str, Tensor], path: Path, *, kind: str | None = None
) -> dict[str, Tensor]:
    """Make sure that tensors are the whole state of a network, no more and no less.

    Args:
        network: may lie on the device "meta", which costs no memory.
        tensors: by name.
        path: the file that they come from, for the sentence.
        kind: what the network is called in it; its class by default.

    Returns:
        The tensors, completed by the counters of batch norms that old versions of torch did not write, and
        without such counters of networks that count nothing.

    Raises:
        ValueError: a tensor is missing, unknown or of another shape; the first one is named.
    """
    wanted, kind = network.state_dict(), kind or type(network).__name__
    found = {name: value for name, value in tensors.items() if name in wanted or not name.endswith(UNUSED)}
    for name, value in wanted.items():
        if name not in found and name.endswith(UNUSED):
            found[name] = torch.tensor(0)
        if name not in found:
            raise ValueError(
                f"{path}: tensor {name!r} of shape {tuple(value.shape)} is missing for a {kind}; "
                f"found are {_some(tensors)}"
            )
        if found[name].shape != value.shape:
            shapes = f"found shape {tuple(found[name].shape)}, a {kind} has {tuple(value.shape)}"
            raise ValueError(f"{path}: tensor {name!r}: {shapes}")
    unknown = sorted(set(found) - set(wanted))
    if unknown:
        raise ValueError(f"{path}: tensor {unknown[0]!r} is not part of a {kind} ({len(unknown)} are not)")
    return found


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: cannot be read as safetensors ({_line(error)})") from error


def _load(path: Path) -> object:
    _refuse_programs(path)
    try:
        # Trainings put their command line's settings beside the weights; a Namespace holds values only.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on bytes that are no checkpoint the reader raises whatever it runs into
        asked = re.search(
            r"GLOBAL (\S+)|class (\S+) was not|Trying to (?:call|instantiate) (\S+)", str(error)
        )
        if asked:
            name = next(found for found in asked.groups() if found)
            raise ValueError(
                f"{path}: holds more than weights (it needs pickle for {name}), and a pickle can run any "
                f"code, so it is refused; {WAY_OUT}"
            ) from error
        raise ValueError(
            f"{path}: cannot be read as a checkpoint ({type(error).__name__}), it is damaged or of another "
            "format; allowed are .safetensors and what torch.save writes of a state dict"
        ) from error


def _refuse_programs(path: Path) -> None:
    """Archives that hold a program are not checkpoints; each has a way of its own into the product."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        inner = {name.partition("/")[2] for name in archive.namelist()}
    if "constants.pkl" in inner:
        raise ValueError(
            f"{path}: is a TorchScript archive, which is code; expected a state dict. Bring it as a "
            f"recognizer of architecture torchscript, with trusted: true, or {WAY_OUT}"
        )
    if "models/model.json" in inner:
        raise ValueError(
            f"{path}: is an exported program of torch.export; expected a state dict. Bring it as a "
            "recognizer of architecture exported"
        )


def _state(path: Path, content: object, key: str | None) -> dict[str, Tensor]:
    if isinstance(content, Tensor) and key is None:
        return {"": content}
    if not isinstance(content, Mapping):
        raise ValueError(
            f"{path}: found {type(content).__name__}, expected a state dict or a mapping with one"
        )
    named = f"its keys are {_some(content)}"
    if key is not None:
        if not _is_state(content.get(key)):
            raise ValueError(f"{path}: found no state dict under key {key!r}; {named}")
        return cast(dict[str, Tensor], dict(content[key]))
    if _is_state(content):
        return cast(dict[str, Tensor], dict(content))
    found = [name for name in STATE_KEYS if _is_state(content.get(name))]
    if len(found) == 1:
        return cast(dict[str, Tensor], dict(content[found[0]]))
    if found:
        raise ValueError(f"{path}: found state dicts under {', '.join(found)}; say which one by its key")
    raise ValueError(
        f"{path}: found no state dict, neither the file itself nor under {', '.join(STATE_KEYS)}; {named}"
    )


def _is_state(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items())
    )


def _some(content: Mapping[Any, object]) -> str:
    """The first keys, in words."""
    shown = [repr(name) for name in list(content)[:8]]
    return ", ".join(shown) + (", …" if len(content) > len(shown) else "") if shown else "none"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
