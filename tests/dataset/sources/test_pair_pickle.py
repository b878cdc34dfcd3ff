"""Files of pairs as InsightFace writes them are read; whatever would run code is refused before it runs."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attribute_recovery.dataset.sources.pair_pickle import read_pair_file

IMAGES = [b"\x89PNG one", b"\xff\xd8 two", b"three", b"four"]
SAME = [True, False]


def written(folder: Path, content: Any, protocol: int = 4) -> Path:
    """A pickle of anything."""
    path = folder / "lfw.bin"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "content",
    [
        (IMAGES, SAME),
        [tuple(IMAGES), tuple(SAME)],
        ([np.frombuffer(image, np.uint8) for image in IMAGES], np.array(SAME)),
        (IMAGES, [np.bool_(True), np.bool_(False)]),
        (IMAGES, np.array([1, 0], ">i4")),
        (IMAGES, [1, 0]),
    ],
    ids=["lists", "tuples", "arrays", "scalars", "big-endian numbers", "numbers"],
)
def test_every_admitted_form_in_every_protocol(tmp_path: Path, protocol: int, content: Any) -> None:
    assert read_pair_file(written(tmp_path, content, protocol)) == (IMAGES, SAME)


def test_what_python_2_and_old_numpy_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "lfw.bin"
    path.write_bytes(b"\x80\x02]q\x00(U\x03abcU\x03\xff\xd8ee]q\x01\x88a\x86.")
    assert read_pair_file(path) == ([b"abc", b"\xff\xd8e"], [True])
    new = pickle.dumps((IMAGES, np.array(SAME)), protocol=2)
    old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != new
    path.write_bytes(old)
    assert read_pair_file(path) == (IMAGES, SAME)


class Attack:
    """A pickle of this calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("touch {}",), r"posix\.system"),
        (eval, ("open('{}', 'w')",), r"(builtins|__builtin__)\.eval"),
        (getattr, (np, "load"), r"(builtins|__builtin__)\.getattr"),
        (np.load, ("{}",), r"numpy\.load"),
        (Path, ("{}",), r"pathlib\.\w+"),
    ],
)
def test_nothing_is_called(
    tmp_path: Path, protocol: int, function: Any, arguments: tuple[Any, ...], name: str
) -> None:
    trace = tmp_path / "trace"
    texts = [text.format(trace) if isinstance(text, str) else text for text in arguments]
    if texts[0] is np:  # a module has no pickle of its own
        texts[0] = 0
    path = written(tmp_path, ([b"a", Attack(function, *texts)], [True]), protocol)
    with pytest.raises(
        ValueError, match=rf"lfw\.bin: found {name} in the pickle, allowed are lists, tuples, byt"
    ):
        read_pair_file(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.array([{}, []], dtype=object), "an array of dtype 'O8'"),
        (np.zeros(2, [("a", "u1")]), "an array of dtype 'V1'"),
        (np.array(["a", "b"]), "an array of dtype 'U1'"),
        (np.array(["2020-01-01"], "M8[D]"), "an array of dtype 'M8'"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_arrays_of_other_things_are_refused(tmp_path: Path, protocol: int, array: Any, says: str) -> None:
    with pytest.raises(ValueError, match=rf"found {says} in the pickle"):
        read_pair_file(written(tmp_path, (IMAGES, array), protocol))


def test_fields_slipped_into_a_plain_dtype_are_refused(tmp_path: Path) -> None:
    plain = pickle.dumps((IMAGES, np.array([1, 0], "<u2")), protocol=2)
    state = b"K\x03X\x01\x00\x00\x00<"
    assert plain.count(state + b"q\x1aNNN") + plain.count(b"NNN") >= 1
    changed = plain.replace(b"NNN", b"N)N", 1)
    (tmp_path / "x.bin").write_bytes(changed)
    with pytest.raises(ValueError, match="found an array of a dtype with fields in the pickle"):
        read_pair_file(tmp_path / "x.bin")


def test_bytes_in_another_encoding_are_refused(tmp_path: Path) -> None:
    plain = pickle.dumps((IMAGES, SAME), protocol=2)
    assert b"latin1" in plain
    (tmp_path / "x.bin").write_bytes(plain.replace(b"X\x06\x00\x00\x00latin1", b"X\x05\x00\x00\x00rot13"))
    with pytest.raises(ValueError, match="found the encoding 'rot13' in the pickle"):
        read_pair_file(tmp_path / "x.bin")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"a": 1}, "found dict, expected a pair of images and bools"),
        ((IMAGES,), "found tuple of 1, expected a pair"),
        ((IMAGES, [True]), "found list of 4 and list of 1, expected 2 n images and n bools"),
        (([], []), "found list of 0 and list of 0"),
        ((IMAGES, None), "found list of 4 and NoneType"),
        ((["a", "b"], [True]), "found str for an image, expected the bytes of an image file"),
        (([1, 2], [True]), "found int for an image"),
        (([np.zeros((2, 2), np.uint8)] * 2, [True]), "found ndarray of 2 for an image"),
        ((IMAGES, [True, 2]), "found int for a pair, expected true or false"),
        ((IMAGES, [True, "no"]), "found str for a pair"),
        ((IMAGES, [True, None]), "found NoneType for a pair"),
    ],
)
def test_another_form_is_refused(tmp_path: Path, content: Any, says: str) -> None:
    with pytest.raises(ValueError, match=rf"lfw\.bin: {says}"):
        read_pair_file(written(tmp_path, content))


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    whole = pickle.dumps((IMAGES, SAME))
    for length in range(len(whole)):
        (tmp_path / "x.bin").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"x\.bin: cannot be read as a pickle of pairs"):
            read_pair_file(tmp_path / "x.bin")
    with pytest.raises(ValueError, match=r"no\.bin: cannot be read as a pickle of pairs \(.*No such file"):
        read_pair_file(tmp_path / "no.bin")
