"""InsightFace's `.bin` files of pairs, which are pickles: read by an unpickler that runs nobody's code.

This is a foreign format; nothing of ours is stored so. Admitted are lists, tuples, bytes, texts, numbers,
bools and numpy arrays of these. All that a pickle can call are the four functions below, which stand in for
numpy's own and only ever make arrays.
"""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# dtype kinds of an array: bools, integers, floats and bytes; no objects, no records.
KINDS = "biufS"
ADMITTED = "lists, tuples, bytes, bools and numpy arrays"


class _RefusedError(pickle.UnpicklingError):
    """A pickle asks for what is not admitted."""


class _Dtype:
    """Stands in for `numpy.dtype` while a pickle is read."""

    def __init__(self, name: object, align: object = False, copy: object = False) -> None:
        del align, copy
        text = name.decode("ascii", "replace") if isinstance(name, bytes) else name
        found = np.dtype(text) if isinstance(text, str) and text.isalnum() else None
        if found is None or found.kind not in KINDS:
            raise _RefusedError(f"an array of dtype {text!r}")
        self.dtype = found

    def __setstate__(self, state: Any) -> None:
        """Only the byte order of a state is taken; fields and subarrays are refused."""
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "=", "|") or any(part is not None for part in state[2:5]):
            raise _RefusedError("an array of a dtype with fields")
        if order == ">":
            self.dtype = self.dtype.newbyteorder(">")


class _Array:
    """Stands in for `numpy.ndarray` while a pickle is read."""

    array: npt.NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        """Version, shape, dtype, whether in Fortran's order, and the bytes."""
        _, shape, kind, fortran, data = state
        if not isinstance(kind, _Dtype) or not isinstance(data, bytes):
            raise _RefusedError("an array of objects")
        self.array = _filled(data, kind.dtype, shape, fortran=bool(fortran))


def _filled(data: bytes, dtype: np.dtype[Any], shape: Any, *, fortran: bool) -> npt.NDArray[Any]:
    return np.frombuffer(data, dtype).reshape(tuple(shape), order="F" if fortran else "C")


def _reconstruct(kind: object, shape: object, typecode: object) -> _Array:
    """For `numpy._reconstruct`: an array whose content follows as its state."""
    del kind, shape, typecode
    return _Array()


def _scalar(kind: Any, data: bytes) -> Any:
    """For `numpy.scalar`: one number."""
    return _filled(data, kind.dtype, (1,), fortran=False)[0].item()


def _frombuffer(data: Any, kind: Any, shape: Any, order: Any) -> npt.NDArray[Any]:
    """For `numpy._frombuffer`, of protocol 5."""
    return _filled(bytes(data), kind.dtype, shape, fortran=order == "F")


def _encode(text: str, encoding: str) -> bytes:
    """For `_codecs.encode`, which is how Python 3 puts bytes into old protocols."""
    if encoding not in ("latin1", "latin-1"):
        raise _RefusedError(f"the encoding {encoding!r}")
    return text.encode("latin-1")


_STANDING_IN: dict[tuple[str, str], Callable[..., Any]] = {("_codecs", "encode"): _encode}
for _core in ("numpy.core", "numpy._core"):
    _STANDING_IN |= {
        (f"{_core}.multiarray", "_reconstruct"): _reconstruct,
        (f"{_core}.multiarray", "scalar"): _scalar,
        (f"{_core}.numeric", "_frombuffer"): _frombuffer,
    }
_STANDING_IN |= {("numpy", "dtype"): _Dtype, ("numpy", "ndarray"): _Array}


class _PairUnpickler(pickle.Unpickler):
    """Finds the functions above, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle may call.

        Raises:
            _RefusedError: It asks for something else.
        """
        found = _STANDING_IN.get((module, name))
        if found is None:
            raise _RefusedError(f"{module}.{name}")
        return found


def read_pair_file(path: Path) -> tuple[list[bytes], list[bool]]:
    """Images and pairs of a `.bin` file: images 2 i and 2 i + 1 are pair i.

    Args:
        path: The file: a pickle of 2 n encoded images (bytes or uint8 arrays) and n bools.

    Returns:
        The bytes of 2 n image files, and for each of n pairs whether both show one person.

    Raises:
        ValueError: It holds anything but lists, tuples, bytes, bools and numpy arrays, is cut short, or is
            not in that form.
    """
    try:
        content = _PairUnpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except _RefusedError as error:
        raise ValueError(
            f"{path}: found {error} in the pickle, allowed are {ADMITTED}: a pickle can run any code"
        ) from error
    except Exception as error:  # a damaged pickle can fail in any way
        raise ValueError(f"{path}: cannot be read as a pickle of pairs ({error})") from error
    if not isinstance(content, list | tuple) or len(content) != 2:
        raise ValueError(f"{path}: found {_shown(content)}, expected a pair of images and bools")
    images, same = (_items(part) for part in content)
    if images is None or same is None or len(images) != 2 * len(same) or not images:
        raise ValueError(
            f"{path}: found {_shown(content[0])} and {_shown(content[1])}, expected 2 n images and n bools"
        )
    return [_image(image, path) for image in images], [_bool(value, path) for value in same]


def _items(part: object) -> list[Any] | None:
    """A list or tuple, or the first axis of an array."""
    plain = part.array if isinstance(part, _Array) else part
    return list(plain) if isinstance(plain, list | tuple | np.ndarray) else None


def _image(image: object, path: Path) -> bytes:
    plain = image.array if isinstance(image, _Array) else image
    if isinstance(plain, np.ndarray) and plain.dtype == np.uint8 and plain.ndim == 1:
        return plain.tobytes()
    if isinstance(plain, bytes):
        return plain
    raise ValueError(f"{path}: found {_shown(image)} for an image, expected the bytes of an image file")


def _bool(value: object, path: Path) -> bool:
    if isinstance(value, bool | np.bool_) or (isinstance(value, int | np.integer) and value in (0, 1)):
        return bool(value)
    raise ValueError(f"{path}: found {_shown(value)} for a pair, expected true or false")


def _shown(value: object) -> str:
    plain = value.array if isinstance(value, _Array) else value
    count = f" of {len(plain)}" if isinstance(plain, list | tuple | np.ndarray) else ""
    return f"{type(plain).__name__}{count}"
