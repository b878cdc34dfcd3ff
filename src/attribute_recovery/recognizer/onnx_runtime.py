"""A recognizer in ONNX Runtime: on the processor, deterministic, on as many images as the graph takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attribute_recovery.recognizer.blackbox import BatchLimits, forward_only, in_batches
from attribute_recovery.recognizer.card import RecognizerCard
from attribute_recovery.recognizer.onnx_graph import read_graph, torch_module

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}

Twin = Callable[[], nn.Module]


@dataclass(frozen=True)
class Port:
    """An input or output of a graph.

    Attributes:
        name: its name.
        shape: numbers, or None where a dimension is free.
        kind: type as ONNX Runtime writes it, such as "tensor(float)".
    """

    name: str
    shape: tuple[int | None, ...]
    kind: str


class OnnxNetwork(nn.Module):
    """An ONNX graph as a network: (n, channels, side, side) to (n, embedding_size).

    Forward passes always run in ONNX Runtime, with as many threads as torch has. Where a gradient is asked
    for and the graph has a torch module that was found to agree, that one runs instead.

    Args:
        source: ONNX file, or its content.
        card: sizes that the graph is held against.
        label: what errors call it.
        make_twin: makes the graph a torch module, when a gradient is first asked for; None for no gradients.

    Raises:
        ValueError: ONNX Runtime cannot run the graph, or its input or output is another than the card says.
    """

    def __init__(
        self, source: Path | bytes, card: RecognizerCard, *, label: str, make_twin: Twin | None = None
    ) -> None:
        super().__init__()
        self._session = open_session(source, label)
        self._input, self._output = _ports(self._session, card, label)
        self._card, self._label = card, label
        self._make_twin = make_twin
        self._twin: tuple[nn.Module, ...] = ()
        self._place = [each.name for each in self._session.get_outputs()].index(self._output.name)
        fixed = self._input.shape[0]
        self.limits = BatchLimits() if fixed is None else BatchLimits(fixed, fixed)
        self.differentiable = make_twin is not None

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, embedding_size) float32, not normalised."""
        if self._make_twin is not None and torch.is_grad_enabled() and images.requires_grad:
            return self.through_twin(images)
        size = self._card.embedding_size
        why = (
            f"recognizer {self._card.name!r}: runs in ONNX Runtime and has no gradient: its graph was not "
            "found to agree with a torch module (card.json, field fitted.notes); use forward passes only"
        )
        return forward_only(lambda given: in_batches(self._run, given, self.limits, size), images, why)

    def through_twin(self, images: Tensor) -> Tensor:
        """The torch module's embeddings (n, embedding_size), differentiable.

        Raises:
            ValueError: there is no such module.
        """
        if self._make_twin is None:
            raise ValueError(f"{self._label}: has no torch module, allowed are forward passes")
        if not self._twin:
            self._twin = (self._make_twin().to(images.device),)
        twin = self._twin[0]

        def run(part: Tensor) -> Tensor:
            found = twin(part.contiguous())
            # A graph of several outputs gives all of them.
            return _flat(found if isinstance(found, Tensor) else found[self._place], len(part))

        return in_batches(run, images, self.limits, self._card.embedding_size)

    def _run(self, images: Tensor) -> Tensor:
        pixels = np.ascontiguousarray(images.cpu().numpy().astype(_TYPES[self._input.kind]))
        try:
            found = self._session.run([self._output.name], {self._input.name: pixels})[0]
        except Exception as error:  # its errors have no class of their own in common
            reason = " ".join(str(error).split())
            raise ValueError(f"{self._label}: cannot be run on images {pixels.shape} ({reason})") from error
        return _flat(torch.from_numpy(np.asarray(found, np.float32)), len(images)).to(images.device)


def load_onnx(path: Path, card: RecognizerCard) -> OnnxNetwork:
    """Open an ONNX file, with its torch module where the card says that the two agree.

    Args:
        path: the file.
        card: its card.

    Returns:
        The network.

    Raises:
        ValueError: the file is damaged, or is not what the card says.
    """
    converted = card.fitted is not None and card.fitted.gradients == "converted"
    make_twin = (lambda: torch_module(read_graph(path))) if converted else None
    return OnnxNetwork(path, card, label=str(path), make_twin=make_twin)


def open_session(source: Path | bytes, label: str) -> Any:
    """Open a graph in ONNX Runtime so that it gives the same numbers every time.

    Args:
        source: ONNX file, or its content.
        label: what errors call it.

    Returns:
        An `onnxruntime.InferenceSession` with torch's number of threads.

    Raises:
        ValueError: ONNX Runtime cannot run the graph.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.use_deterministic_compute = True
    # Waiting threads sleep: torch's own run in between.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    model = source if isinstance(source, bytes) else str(source)
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class of their own in common
        reason = " ".join(str(error).split())
        raise ValueError(f"{label}: cannot be run in ONNX Runtime ({reason})") from error


def ports(found: Sequence[Any]) -> list[Port]:
    """Inputs or outputs of a session."""
    return [
        Port(each.name, tuple(d if isinstance(d, int) else None for d in each.shape), each.type)
        for each in found
    ]


def _ports(session: Any, card: RecognizerCard, label: str) -> tuple[Port, Port]:
    """The graph's image input and its embedding output."""
    inputs, outputs = ports(session.get_inputs()), ports(session.get_outputs())
    channels = 1 if card.channel_order == "gray" else 3
    wanted = (channels, card.crop_size, card.crop_size)
    fits = [
        len(each.shape) == 4 and all(a in (None, b) for a, b in zip(each.shape[1:], wanted, strict=True))
        for each in inputs
    ]
    if fits != [True] or inputs[0].kind not in _TYPES:
        raise ValueError(
            f"{label}: found the inputs {_shown(inputs)}, allowed is one of floating point numbers and shape "
            f"(n, {channels}, {card.crop_size}, {card.crop_size}), as the card says"
        )
    named = [each for each in outputs if _embeds(each, card.embedding_size)]
    if len(named) != 1:
        raise ValueError(
            f"{label}: found the outputs {_shown(outputs)}, allowed is one of shape "
            f"(n, {card.embedding_size}), as the card says"
        )
    return inputs[0], named[0]


def _embeds(port: Port, size: int) -> bool:
    """Whether an output may be (n, d), or the same with further dimensions of 1."""
    rest = port.shape[1:]
    return (
        port.kind in _TYPES
        and (rest[:1] in ((size,), (None,)))
        and all(each in (None, 1) for each in rest[1:])
    )


def _flat(values: Tensor, count: int) -> Tensor:
    """(n, d, 1, 1) as (n, d); a result for another number of images stays as it is, for whoever checks."""
    return values.reshape(count, -1) if values.ndim > 2 and len(values) == count else values


def _shown(found: Sequence[Port]) -> str:
    return ", ".join(f"{each.name} {each.kind} {each.shape}" for each in found) or "none"
