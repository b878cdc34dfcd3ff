"""A user's function is called as its card says, and what it does wrong is said."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from attribute_recovery.recognizer.card import RecognizerCard
from attribute_recovery.recognizer.python_function import (
    PythonNetwork,
    function_of,
    load_python,
    source_digest,
    write_reference,
)
from attribute_recovery.tracking.digest import sha256_file

Cards = Callable[..., RecognizerCard]
SOURCE = """
def embed(images):
    assert images.dtype == "float32" and images.flags.c_contiguous
    return images.reshape(len(images), -1)[:, :6].tolist()


number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """wrapped/service.py below the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "wrapped" / "service.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    yield path
    for name in ("wrapped.service", "wrapped"):
        sys.modules.pop(name, None)


def test_a_function_is_found_called_and_compared(
    module: Path, tmp_path: Path, make_card: Cards, pixels: torch.Tensor
) -> None:
    reference = tmp_path / "reference.json"
    write_reference("wrapped.service:embed", reference)
    assert json.loads(reference.read_text()) == {
        "function": "wrapped.service:embed",
        "source_sha256": sha256_file(module),
    }
    network = load_python(reference, make_card(architecture="python"))
    found = network(pixels.contiguous(memory_format=torch.channels_last))
    assert torch.equal(found, pixels.flatten(1)[:, :6])
    assert not network.differentiable


def test_a_function_that_changed_is_noticed(module: Path, tmp_path: Path, make_card: Cards) -> None:
    reference = tmp_path / "reference.json"
    write_reference("wrapped.service:embed", reference)
    module.write_text(SOURCE + "\n")
    with pytest.raises(
        ValueError, match=r"function 'wrapped.service:embed': found a source of sha256 .*run the stage recog"
    ):
        load_python(reference, make_card(architecture="python"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wrapped.service:other", "the module wrapped.service has no function 'other'"),
        ("wrapped.service:number", "the module wrapped.service has no function 'number'"),
        ("wrapped.nothing:embed", r"cannot be imported \(ModuleNotFoundError: .*below the folder"),
    ],
)
@pytest.mark.usefixtures("module")
def test_what_cannot_be_found_is_said(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"function {name!r}: .*{said}"):
        function_of(name)


def test_a_module_that_fails_is_said(module: Path) -> None:
    module.write_text("raise OSError('no licence server')")
    with pytest.raises(ValueError, match=r"cannot be imported \(OSError: no licence server\)"):
        function_of("wrapped.service:embed")


def test_a_module_of_no_file_is_refused() -> None:
    with pytest.raises(ValueError, match="function 'sys:exit': its module comes from no file"):
        source_digest("sys:exit")


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"function": "a:b"}', '{"function": 1, "source_sha256": ""}']
)
def test_a_file_that_is_no_reference_is_refused(tmp_path: Path, make_card: Cards, content: str) -> None:
    (tmp_path / "reference.json").write_text(content)
    with pytest.raises(ValueError, match=r"reference\.json: is (no reference|not JSON)"):
        load_python(tmp_path / "reference.json", make_card(architecture="python"))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (
            lambda images: np.ones((len(images), 5)),
            r"found shape \(10, 5\), allowed is a finite array \(10, 6\)",
        ),
        (lambda images: np.ones((1, 6)), r"found shape \(1, 6\)"),
        (lambda images: np.full((len(images), 6), np.nan), "found numbers that are not finite"),
        (lambda images: "secret", "found str, allowed is an array of numbers"),
        (lambda images: None, r"found (NoneType|shape)"),
        (lambda images: 1 / 0, r"failed on images \(10, 3, 16, 16\) \(ZeroDivisionError: division by zero\)"),
    ],
)
def test_a_function_that_gives_something_else_is_refused(
    make_card: Cards, pixels: torch.Tensor, function: Callable[[object], object], said: str
) -> None:
    with pytest.raises(ValueError, match=rf"function 'a:b': {said}"):
        PythonNetwork(function, "a:b", make_card(architecture="python"))(pixels)


def test_tensors_are_taken_and_gradients_refused(make_card: Cards, pixels: torch.Tensor) -> None:
    weight = torch.rand(768, 6, requires_grad=True)
    network = PythonNetwork(
        lambda images: torch.from_numpy(images).flatten(1) @ weight, "a:b", make_card(architecture="python")
    )
    found = network(pixels.requires_grad_())
    assert torch.allclose(found, pixels.flatten(1) @ weight, atol=1e-5)
    with pytest.raises(
        RuntimeError, match="recognizer 'toy': the function 'a:b' is a black box and has no grad"
    ):
        found.sum().backward()
