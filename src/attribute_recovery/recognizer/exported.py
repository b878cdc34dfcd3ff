"""Programs of `torch.export`: looked through before they are loaded, and held against the card.

`torch.export.load` unpickles what a file asks it to, evaluates its texts as expressions and calls what they
name. So a file is refused if it holds pickled parts that are more than tensors, compiled code, operators
other than torch's own, or sizes that are more than arithmetic.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from attribute_recovery.recognizer.blackbox import BatchLimits
from attribute_recovery.recognizer.card import RecognizerCard
from attribute_recovery.recognizer.program import ProgramNetwork

_OPERATORS = re.compile(
    r"torch\.ops\.(aten\.(?!from_file\b|save\b)|prims\.|torchvision\.)\w+(\.\w+)?"
    r"|torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|eq|ne|lt|le|gt|ge|and_|or_|getitem)"
    r"|torch\.sym_(min|max|not|int|float|ite|sum)|math\.(ceil|floor|trunc)"
)
# Symbols as torch writes them, whole numbers, arithmetic, and the functions that torch has for sizes.
_SIZES = re.compile(
    r"(Symbol\('[su]\d+'(, (positive|nonnegative|integer)=True)*\)|[su]\d+|\d+"
    r"|(Integer|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CeilDiv|CleanDiv)(?=\()|[-+*/(), ])*"
)
_WAY_OUT = "export it again with torch.export.save of torch 2.8 or later, in evaluation mode"


def load_exported(path: Path, card: RecognizerCard, device: torch.device) -> ProgramNetwork:
    """Read an exported program.

    Args:
        path: file of `torch.export.save`.
        card: its card.
        device: where it is to run.

    Returns:
        The network.

    Raises:
        ValueError: the file is damaged, holds more than a program of torch's operators, or takes other images
            than the card says.
    """
    program = read_program(path)
    limits = _limits(program, card, path)
    if device.type != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    # Without guards: those are code of the file's. The card has checked the shapes.
    module = program.module(check_guards=False).requires_grad_(False)
    return ProgramNetwork(module, card, limits=limits, label=str(path))


def read_program(path: Path) -> Any:
    """Read an exported program after looking through it.

    Args:
        path: file of `torch.export.save`.

    Returns:
        The `torch.export.ExportedProgram`, on the processor.

    Raises:
        ValueError: the file is damaged, or holds more than a program of torch's operators.
    """
    check_archive(path)
    try:
        with path.open("rb") as file:
            return torch.export.load(file)
    except Exception as error:  # a damaged file fails anywhere in the reader
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"{path}: cannot be read as an exported program ({reason}); {_WAY_OUT}") from error


def program_shapes(program: Any) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Shapes of a program's inputs and outputs; dimensions that are free are symbols, not numbers.

    Args:
        program: a `torch.export.ExportedProgram`.

    Returns:
        Shapes of inputs and of outputs; empty ones for what is no tensor.
    """
    named = {node.name: node.meta.get("val") for node in program.graph.nodes}
    signature = program.graph_signature
    return tuple(  # type: ignore[return-value]
        [tuple(v.shape) if isinstance(v := named.get(name), torch.Tensor) else () for name in names]
        for names in (signature.user_inputs, signature.user_outputs)
    )


def check_archive(path: Path) -> None:
    """Make sure that reading a file as an exported program runs nothing but torch's operators.

    Args:
        path: the file.

    Raises:
        ValueError: it is no such file, or holds what could run code.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            fault = _fault(archive)
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: cannot be read as an exported program ({reason}); {_WAY_OUT}") from error
    if fault:
        raise ValueError(f"{path}: {fault}; {_WAY_OUT}")


def _fault(archive: zipfile.ZipFile) -> str:
    """What is wrong with an archive; empty if nothing is."""
    names = archive.namelist()
    roots, inner = {name.partition("/")[0] for name in names}, {name.partition("/")[2] for name in names}
    if len(roots) != 1 or len(inner) != len(names) or "models/model.json" not in inner:
        return "is no exported program of torch 2.8 or later"
    root = roots.pop()
    for name in sorted(inner):
        if name.startswith(("data/aotinductor/", "data/executorch/")) or name.endswith((".so", ".o")):
            return f"holds compiled code ({name})"
        if name.startswith(("data/weights/", "data/constants/")):
            fault = _payload_fault(name, archive.read(f"{root}/{name}") if name.endswith(".json") else b"")
        elif name.startswith("data/sample_inputs/"):
            fault = _pickle_fault(name, archive.read(f"{root}/{name}"))
        else:
            fault = _program_fault(name, archive.read(f"{root}/{name}")) if name.endswith(".json") else ""
        if fault:
            return fault
    return ""


def _payload_fault(name: str, content: bytes) -> str:
    """Weights and constants have to be plain tensors."""
    if name.endswith(".pt"):
        return f"holds pickled weights ({name})"
    if not content:
        return ""
    for tensor, entry in json.loads(content)["config"].items():
        if entry["use_pickle"] is not False or entry["path_name"].startswith(("custom_obj", "opaque_obj")):
            return f"holds the pickled object {tensor!r}"
    return ""


def _pickle_fault(name: str, content: bytes) -> str:
    """The inputs that it was exported with are a pickle, of tensors only."""
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except (UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        return f"holds a pickle of more than tensors ({name}: {' '.join(str(error).split())[:200]})"
    return ""


def _program_fault(name: str, content: bytes) -> str:
    for key, text in _texts(json.loads(content)):
        if key in ("target", "as_operator") and not _OPERATORS.fullmatch(text):
            return f"calls {text!r} ({name}), which is none of torch's own operators"
        if key == "expr_str" and not _SIZES.fullmatch(text):
            return f"has the size {text!r} ({name}), which is more than arithmetic"
    return ""


def _texts(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a JSON document with the key that it stands under."""
    if isinstance(node, dict):
        for inner_key, inner in node.items():
            yield from _texts(inner, inner_key)
    elif isinstance(node, list):
        for inner in node:
            yield from _texts(inner, key)
    elif isinstance(node, str):
        yield key, node


def _limits(program: Any, card: RecognizerCard, path: Path) -> BatchLimits:
    """How many images the program takes at once.

    Raises:
        ValueError: it takes other images than the card says.
    """
    shapes = program_shapes(program)[0]
    wanted = (1 if card.channel_order == "gray" else 3, card.crop_size, card.crop_size)
    if len(shapes) != 1 or len(shapes[0]) != 4 or not _fits(shapes[0][1:], wanted):
        raise ValueError(
            f"{path}: found the inputs {', '.join(map(str, shapes)) or 'none'}, allowed is one of shape "
            f"(n, {', '.join(map(str, wanted))}), as the card says"
        )
    batch = shapes[0][0]
    if isinstance(batch, int):
        return BatchLimits(batch, batch)
    known = program.range_constraints.get(batch.node.expr)
    if known is None:
        return BatchLimits()
    high = known.upper
    return BatchLimits(max(1, int(known.lower)), int(high) if getattr(high, "is_Integer", False) else None)


def _fits(found: tuple[Any, ...], wanted: tuple[int, ...]) -> bool:
    """Whether dimensions are those wanted, or free."""
    return all(not isinstance(a, int) or a == b for a, b in zip(found, wanted, strict=True))
