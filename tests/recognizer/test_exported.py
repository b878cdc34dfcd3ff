"""Exported programs run as they were, and files that could run more than torch's operators are refused."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from attribute_recovery.recognizer.blackbox import BatchLimits
from attribute_recovery.recognizer.card import RecognizerCard
from attribute_recovery.recognizer.exported import check_archive, load_exported, program_shapes, read_program

CPU = torch.device("cpu")
Cards = Callable[..., RecognizerCard]


def _export(network: nn.Module, path: Path, count: int, batch: Any = None) -> Path:
    shapes = None if batch is None else ({0: batch},)
    program = torch.export.export(network, (torch.rand(count, 3, 16, 16),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


@pytest.fixture(scope="session")
def free(tmp_path_factory: pytest.TempPathFactory, toy: nn.Module) -> Path:
    """The toy network with a free batch of at most 8."""
    path = tmp_path_factory.mktemp("exported") / "free.pt2"
    return _export(toy, path, 2, torch.export.Dim("batch", max=8))


@pytest.fixture(scope="session")
def fixed(tmp_path_factory: pytest.TempPathFactory, toy: nn.Module) -> Path:
    """The toy network for three images at once."""
    return _export(toy, tmp_path_factory.mktemp("exported") / "fixed.pt2", 3)


@pytest.mark.parametrize(("name", "limits"), [("free", BatchLimits(1, 8)), ("fixed", BatchLimits(3, 3))])
def test_a_program_is_the_network_it_was_made_of(
    request: pytest.FixtureRequest,
    make_card: Cards,
    toy: nn.Module,
    pixels: torch.Tensor,
    name: str,
    limits: BatchLimits,
) -> None:
    network = load_exported(request.getfixturevalue(name), make_card(architecture="exported"), CPU)
    network.eval().requires_grad_(False)
    assert network.limits == limits
    given, wanted = pixels.clone().requires_grad_(), pixels.clone().requires_grad_()
    assert torch.allclose(network(given), toy(wanted), atol=1e-5)
    network(given).square().sum().backward()
    toy(wanted).square().sum().backward()
    assert torch.allclose(given.grad, wanted.grad, atol=1e-4)
    for count in (1, 2):
        assert torch.allclose(network(pixels[:count]), toy(pixels[:count]), atol=1e-5)


def test_shapes_of_a_program(fixed: Path, free: Path) -> None:
    assert program_shapes(read_program(fixed)) == ([(3, 3, 16, 16)], [(3, 6)])
    assert program_shapes(read_program(free))[0][0][1:] == (3, 16, 16)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"crop_size": 20}, r"found the inputs .*allowed is one of shape \(n, 3, 20, 20\), as the card says"),
        ({"channel_order": "gray"}, r"found the inputs .*allowed is one of shape \(n, 1, 16, 16\)"),
    ],
)
def test_a_program_for_other_images_is_refused(
    fixed: Path, make_card: Cards, change: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=rf"fixed\.pt2: {said}"):
        load_exported(fixed, make_card(architecture="exported", **change), CPU)


def _changed(source: Path, target: Path, change: Callable[[str, bytes], bytes | None], *more: str) -> Path:
    """A copy of an archive with some records changed, left out (None) or added."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            content = change(name.partition("/")[2], old.read(name))
            if content is not None:
                new.writestr(name, content)
        for name in more:
            new.writestr(f"{root}/{name}", b"x")
    return target


class _Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def _in_json(path: str, change: Callable[[Any], None]) -> Callable[[str, bytes], bytes]:
    def changed(name: str, content: bytes) -> bytes:
        if name != path:
            return content
        values = json.loads(content)
        change(values)
        return json.dumps(values).encode()

    return changed


def _target(name: str) -> Callable[[Any], None]:
    return lambda values: values["graph_module"]["graph"]["nodes"][0].update(target=name)


def _size(text: str) -> Callable[[Any], None]:
    def change(values: Any) -> None:
        sizes = values["graph_module"]["graph"]["tensor_values"]["images"]["sizes"]
        sizes[0] = {"as_expr": {"expr_str": text, "hint": None}}

    return change


def _pickled(values: Any) -> None:
    next(iter(values["config"].values()))["use_pickle"] = True


def _object(values: Any) -> None:
    values["config"]["thing"] = {"path_name": "opaque_obj_0", "use_pickle": False}


MODEL, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            _in_json(MODEL, _target("torch.os.system")),
            "calls 'torch.os.system' .*none of torch's own operators",
        ),
        (_in_json(MODEL, _target("_operator.call")), "calls '_operator.call'"),
        (_in_json(MODEL, _target("torch.ops.aten.from_file.default")), "calls 'torch.ops.aten.from_file"),
        (_in_json(MODEL, _target("torch.ops.mine.run.default")), "calls 'torch.ops.mine.run.default'"),
        (_in_json(MODEL, _size("__import__('os').system('true')")), "has the size .*more than arithmetic"),
        (_in_json(MODEL, _size("exec(chr(1))")), r"has the size 'exec\(chr\(1\)\)'"),
        (_in_json(MODEL, _size("Symbol('s1', cls=exec)")), "has the size .*cls"),
        (_in_json(WEIGHTS, _pickled), "holds the pickled object 'convolution.weight'"),
        (_in_json("data/constants/model_constants_config.json", _object), "holds the pickled object 'thing'"),
        (
            lambda name, content: pickle.dumps(_Payload()) if "sample_inputs" in name else content,
            "holds a pickle of more than tensors",
        ),
        (lambda name, content: None if name == MODEL else content, "is no exported program of torch 2.8"),
    ],
)
def test_what_could_run_code_is_refused(
    tmp_path: Path, free: Path, change: Callable[[str, bytes], bytes | None], said: str
) -> None:
    path = _changed(free, tmp_path / "a.pt2", change)
    with pytest.raises(ValueError, match=rf"a\.pt2: {said}.*; export it again with torch\.export\.save"):
        read_program(path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("data/aotinductor/model/kernel.so", "holds compiled code"),
        ("data/weights/model.pt", "holds pickled weights"),
    ],
)
def test_compiled_code_and_pickled_weights_are_refused(
    tmp_path: Path, free: Path, name: str, said: str
) -> None:
    path = _changed(free, tmp_path / "a.pt2", lambda _, content: content, name)
    with pytest.raises(ValueError, match=rf"a\.pt2: {said} \({name}\)"):
        check_archive(path)


def test_a_record_that_is_there_twice_is_refused(tmp_path: Path, free: Path) -> None:
    """Readers of archives differ in which one they take."""
    path = tmp_path / "a.pt2"
    path.write_bytes(free.read_bytes())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(next(n for n in archive.namelist() if n.endswith(MODEL)), b"{}")
    with pytest.raises(ValueError, match="is no exported program"):
        check_archive(path)


def test_a_usual_program_is_not_refused(free: Path, fixed: Path) -> None:
    check_archive(free)
    check_archive(fixed)


def test_files_of_other_kinds_and_damaged_ones_are_refused(tmp_path: Path, free: Path) -> None:
    damaged = tmp_path / "a.pt2"
    damaged.write_bytes(free.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"a\.pt2: cannot be read as an exported program \("):
        read_program(damaged)
    other = tmp_path / "b.pt2"
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(2)}, buffer)
    other.write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match=r"b\.pt2: is no exported program of torch 2\.8"):
        read_program(other)
    with pytest.raises(ValueError, match=r"c\.pt2: cannot be read"):
        read_program(tmp_path / "c.pt2")
