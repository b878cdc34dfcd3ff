"""A recognizer that is a Python function of the user's: any service or closed library can be wrapped.

Its weights in the results are a small JSON file: the function's name, and the digest of its module's source,
so that a function which changed is noticed. The function runs with the user's rights; the configuration has
to say that it is trusted.
"""

import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attribute_recovery.recognizer.blackbox import forward_only
from attribute_recovery.recognizer.card import RecognizerCard
from attribute_recovery.tracking.digest import sha256_file, write_json

_KEYS = {"function", "source_sha256"}


class PythonNetwork(nn.Module):
    """A function as a network: (n, channels, side, side) to (n, embedding_size).

    Args:
        function: takes a NumPy array float32 (n, channels, side, side) in the card's order and range, gives
            anything that becomes an array (n, embedding_size).
        name: of the function, for errors.
        card: its card.
    """

    differentiable = False

    def __init__(self, function: Callable[[Any], Any], name: str, card: RecognizerCard) -> None:
        super().__init__()
        self._function, self._name, self._card = function, name, card

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, embedding_size) float32, as the function gives them.

        Raises:
            ValueError: the function failed, or gave something else.
        """
        why = (
            f"recognizer {self._card.name!r}: the function {self._name!r} is a black box and has no "
            "gradient; use forward passes only"
        )
        return forward_only(self._run, images, why)

    def _run(self, images: Tensor) -> Tensor:
        pixels = np.ascontiguousarray(images.float().cpu().numpy())
        try:
            found = self._function(pixels)
        except Exception as error:
            raise ValueError(
                f"function {self._name!r}: failed on images {pixels.shape} ({type(error).__name__}: {error})"
            ) from error
        values = found.detach().cpu().numpy() if isinstance(found, Tensor) else found
        try:
            result = np.asarray(values, np.float32)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"function {self._name!r}: found {type(found).__name__}, allowed is an array of numbers"
            ) from error
        wanted = (len(images), self._card.embedding_size)
        if result.shape != wanted or not np.isfinite(result).all():
            what = f"shape {result.shape}" if result.shape != wanted else "numbers that are not finite"
            raise ValueError(f"function {self._name!r}: found {what}, allowed is a finite array {wanted}")
        return torch.from_numpy(result).to(images.device)


def write_reference(name: str, path: Path) -> None:
    """Write the file that stands for a function.

    Args:
        name: `package.module:function`.
        path: JSON file, written.

    Raises:
        ValueError: the function cannot be imported.
    """
    write_json(path, {"function": name, "source_sha256": source_digest(name)})


def load_python(path: Path, card: RecognizerCard) -> PythonNetwork:
    """Import the function that a reference names.

    Args:
        path: file of `write_reference`.
        card: its card.

    Returns:
        The network.

    Raises:
        ValueError: the file is no reference, the function cannot be imported, or its module's source changed.
    """
    function, name = referenced_function(path, "recognizer")
    return PythonNetwork(function, name, card)


def referenced_function(path: Path, stage: str) -> tuple[Callable[[Any], Any], str]:
    """Import the function that a reference names.

    Args:
        path: file of `write_reference`.
        stage: that wrote it, for errors.

    Returns:
        The function and its name.

    Raises:
        ValueError: the file is no reference, the function cannot be imported, or its module's source changed.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: is not JSON ({error}), allowed is a reference to a function") from error
    if not isinstance(values, dict) or set(values) != _KEYS or not all(map(_is_text, values.values())):
        raise ValueError(
            f"{path}: is no reference, allowed is an object of the texts {', '.join(sorted(_KEYS))}"
        )
    name = values["function"]
    found = source_digest(name)
    if found != values["source_sha256"]:
        raise ValueError(
            f"function {name!r}: found a source of sha256 {found}, the results were made with "
            f"{values['source_sha256']}; run the stage {stage} again"
        )
    return function_of(name), name


def function_of(name: str) -> Callable[[Any], Any]:
    """Import a function.

    Args:
        name: `package.module:function`; installed, or below the working directory.

    Returns:
        The function.

    Raises:
        ValueError: its module cannot be imported, or has no such function.
    """
    module_name, _, function = name.partition(":")
    module = _imported(name, module_name)
    found = getattr(module, function, None)
    if not callable(found):
        raise ValueError(f"function {name!r}: the module {module_name} has no function {function!r}")
    made: Callable[[Any], Any] = found
    return made


def source_digest(name: str) -> str:
    """Digest of the file that a function's module was read from.

    Args:
        name: `package.module:function`.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: the module cannot be imported, or comes from no file.
    """
    module = _imported(name, name.partition(":")[0])
    try:
        return sha256_file(Path(inspect.getfile(module)))
    except (TypeError, OSError) as error:
        raise ValueError(
            f"function {name!r}: its module comes from no file, allowed is a Python file"
        ) from error


def _imported(name: str, module: str) -> Any:
    """The module; the working directory is looked through after all else, now and when the function runs."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    importlib.invalidate_caches()
    try:
        # Not by importlib: the digest of code would then count every module beside this one.
        return pkgutil.resolve_name(f"{module}:")
    except Exception as error:  # whatever the user's module does when it is imported
        raise ValueError(
            f"function {name!r}: its module cannot be imported ({type(error).__name__}: {error}); it has to "
            "be installed, or lie below the folder that the run starts in"
        ) from error


def _is_text(value: object) -> bool:
    return isinstance(value, str)
