"""Attribute heads that somebody brings, as a network of the same read-outs as those that are trained here.

They run forward only; no stage asks for gradients through heads. What they give is turned into the raw
read-outs of `networks.split_readout`: logits of classes, standardised means and logarithms of deviations.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attribute_recovery.attributes.card import BinaryOutput, ContinuousOutput, HeadsCard, Output
from attribute_recovery.recognizer.blackbox import BatchLimits, forward_only, in_batches
from attribute_recovery.recognizer.crops import to_crops
from attribute_recovery.recognizer.onnx_runtime import Port, open_session, ports
from attribute_recovery.recognizer.python_function import referenced_function
from attribute_recovery.recognizer.template import AnyTemplate

# Probabilities below this are taken as this, so that their logarithm is finite.
LEAST_PROBABILITY = 1e-6
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}

# Crops (n, c, side, side) to arrays by output; the name is "" where a function returns one array.
Outputs = Callable[[Tensor], Mapping[str, Any]]


class BroughtHeads(nn.Module):
    """Images (n, 3, size, size) in [-1, 1] to raw read-outs (n, width), as `networks.HeadsNetwork`.

    Args:
        card: what the outputs mean.
        outputs: runs the file or function on crops.
        limits: how many images it takes at once.
        attributes: names of those that are read, in the order of the read-outs.
        means, scales: of the continuous ones, by name, in their units.
        image_size: side of the images.
        images: template of the images.
    """

    def __init__(
        self,
        card: HeadsCard,
        outputs: Outputs,
        limits: BatchLimits,
        *,
        attributes: Sequence[str],
        means: Mapping[str, float],
        scales: Mapping[str, float],
        image_size: int,
        images: AnyTemplate,
    ) -> None:
        super().__init__()
        by_name = {output.name: output for output in card.attributes}
        self.image_size = image_size
        self._card, self._outputs, self._limits = card, outputs, limits
        self._read = [by_name[name] for name in attributes]
        self._means, self._scales = means, scales
        self._crops = card.crops(images)

    def forward(self, image: Tensor) -> Tensor:
        """Raw read-outs (n, width), float32."""
        return self.readouts(self.columns(image))

    def columns(self, image: Tensor) -> Tensor:
        """The outputs' columns (n, columns) float32 as they come, in the order of the attributes.

        Raises:
            ValueError: the file or function cannot be run, or gives other outputs than the card says.
        """
        why = f"heads {self._card.name!r}: are a black box and have no gradient; use forward passes only"
        with torch.autocast(image.device.type, enabled=False):
            crops = to_crops(image.float(), self._crops)
        width = sum(len(output.columns) for output in self._read)
        return forward_only(lambda given: in_batches(self._run, given, self._limits, width), crops, why)

    def readouts(self, columns: Tensor) -> Tensor:
        """Raw read-outs (n, width) of the outputs' columns (n, columns)."""
        split = torch.split(columns, [len(output.columns) for output in self._read], dim=1)
        return torch.cat([self._readout(*each) for each in zip(self._read, split, strict=True)], dim=1)

    def _readout(self, output: Output, part: Tensor) -> Tensor:
        if isinstance(output, ContinuousOutput):
            mean, scale = self._means[output.name], self._scales[output.name]
            sd = part[:, 1] if output.sd is None else torch.full_like(part[:, 0], output.sd)
            return torch.stack([(part[:, 0] - mean) / scale, torch.log(sd / scale)], 1)
        if isinstance(output, BinaryOutput) and len(output.columns) == 1:
            off = torch.zeros_like(part) if output.activation == "logits" else 1 - part
            part = torch.cat([off, part], 1)
        return part if output.activation == "logits" else torch.log(part.clamp_min(LEAST_PROBABILITY))

    def _run(self, crops: Tensor) -> Tensor:
        found = self._outputs(crops)
        parts = [_chosen(found, output, len(crops), self._card.name) for output in self._read]
        return torch.cat(parts, dim=1).to(crops.device)


def _chosen(found: Mapping[str, Any], output: Output, count: int, name: str) -> Tensor:
    """An attribute's columns (n, k) float32 of what the heads gave."""
    key = next(iter(found)) if output.output is None and len(found) == 1 else output.output
    told = f"heads {name!r}: attribute {output.name}"
    if key is None or key not in found:
        raise ValueError(
            f"{told}: found the outputs {', '.join(map(repr, found))}, the card asks for {output.output!r}"
        )
    given = found[key].detach().cpu().numpy() if isinstance(found[key], Tensor) else found[key]
    try:
        values = np.asarray(given, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{told}: found {type(given).__name__}, allowed is an array of numbers") from error
    if values.ndim < 1 or len(values) != count or values.size < count * (max(output.columns) + 1):
        raise ValueError(
            f"{told}: found shape {values.shape} for {count} images, allowed is ({count}, k) with k more "
            f"than {max(output.columns)}, the card's largest column"
        )
    return torch.from_numpy(np.ascontiguousarray(values.reshape(count, -1)[:, list(output.columns)]))


def open_outputs(path: Path, card: HeadsCard) -> tuple[Outputs, BatchLimits]:
    """Open an ONNX file, or import the function that a reference names.

    Args:
        path: the file.
        card: its card.

    Returns:
        What runs it, and how many images it takes at once.

    Raises:
        ValueError: it is damaged, cannot be imported, or is not what the card says.
    """
    return _open_function(path) if card.format == "python" else _open_onnx(path, card)


def _open_onnx(path: Path, card: HeadsCard) -> tuple[Outputs, BatchLimits]:
    session = open_session(path, str(path))
    inputs, outputs = ports(session.get_inputs()), ports(session.get_outputs())
    channels = 1 if card.channel_order == "gray" else 3
    wanted = (channels, card.crop_size, card.crop_size)
    if len(inputs) != 1 or not _takes(inputs[0], wanted):
        raise ValueError(
            f"{path}: found the inputs {_shown(inputs)}, allowed is one of floating point numbers and shape "
            f"(n, {channels}, {card.crop_size}, {card.crop_size}), as the card says"
        )
    names = [port.name for port in outputs]
    asked = [names[0] if each.output is None and len(names) == 1 else each.output for each in card.attributes]
    for output, name in zip(card.attributes, asked, strict=True):
        if name not in names:
            raise ValueError(
                f"{path}: attribute {output.name}: found the outputs {_shown(outputs)}, the card asks for "
                f"{output.output!r}"
            )
    kept = list(dict.fromkeys(name for name in asked if name is not None))

    def run(crops: Tensor) -> Mapping[str, Any]:
        pixels = np.ascontiguousarray(crops.cpu().numpy().astype(TYPES[inputs[0].kind]))
        try:
            return dict(zip(kept, session.run(kept, {inputs[0].name: pixels}), strict=True))
        except Exception as error:  # its errors have no class of their own in common
            reason = " ".join(str(error).split())
            raise ValueError(f"{path}: cannot be run on images {pixels.shape} ({reason})") from error

    fixed = inputs[0].shape[0]
    return run, BatchLimits() if fixed is None else BatchLimits(fixed, fixed)


def _takes(port: Port, wanted: tuple[int, ...]) -> bool:
    shape = port.shape[1:]
    fits = len(port.shape) == 4 and all(a in (None, b) for a, b in zip(shape, wanted, strict=True))
    return fits and port.kind in TYPES


def _shown(found: Sequence[Port]) -> str:
    return ", ".join(f"{each.name} {each.kind} {each.shape}" for each in found) or "none"


def _open_function(path: Path) -> tuple[Outputs, BatchLimits]:
    function, name = referenced_function(path, "attributes")

    def run(crops: Tensor) -> Mapping[str, Any]:
        pixels = np.ascontiguousarray(crops.float().cpu().numpy())
        try:
            found = function(pixels)
        except Exception as error:
            raise ValueError(
                f"function {name!r}: failed on images {pixels.shape} ({type(error).__name__}: {error})"
            ) from error
        if isinstance(found, Mapping):
            if not found:
                raise ValueError(f"function {name!r}: found no outputs, allowed are arrays by name")
            return {str(key): value for key, value in found.items()}
        return {"": found}

    return run, BatchLimits()


def is_brought(card: Path) -> bool:
    """Whether a card of the results is one of heads that were brought; damaged ones are read elsewhere."""
    try:
        values = json.loads(card.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and "brought" in values
