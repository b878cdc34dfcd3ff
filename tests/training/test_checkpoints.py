"""Checkpoints come back by name whatever they were wrapped in; what is no checkpoint gets its sentence."""

import argparse
import io
import os
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from attribute_recovery.training.checkpoints import (
    STATE_KEYS,
    check_state,
    read_checkpoint,
    without_prefix,
)

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.count": torch.tensor(7)}


class Payload:
    """Unpickled by a reader that isn't restricted, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pth"


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return set(found) == set(expected) and all(torch.equal(found[k], v) for k, v in expected.items())


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_comes_back_in_both_formats_of_torch(path: Path, zipped: bool) -> None:
    torch.save(OrderedDict(STATE), path, _use_new_zipfile_serialization=zipped)
    assert same(read_checkpoint(path), STATE)


def test_safetensors_come_back(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors")
    assert same(read_checkpoint(tmp_path / "a.safetensors"), STATE)


@pytest.mark.parametrize("key", STATE_KEYS)
def test_a_state_dict_is_found_among_a_trainings_other_things(path: Path, key: str) -> None:
    optimiser = {"state": {0: {"step": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]}
    torch.save({"epoch": 3, key: STATE, "optimizer": optimiser}, path)
    assert same(read_checkpoint(path), STATE)


def test_a_key_chooses_among_several(path: Path) -> None:
    other = {"w": torch.zeros(2)}
    torch.save({"g": other, "g_ema": STATE, "model": other, "args": argparse.Namespace(size=256)}, path)
    assert same(read_checkpoint(path, "g_ema"), STATE)
    assert same(read_checkpoint(path, "g"), other)
    with pytest.raises(ValueError, match="model.pth: found state dicts under model, g_ema; say which one"):
        read_checkpoint(path)
    with pytest.raises(ValueError, match="no state dict under key 'ema'; its keys are 'g', 'g_ema', 'model'"):
        read_checkpoint(path, "ema")


def test_a_tensor_alone_has_the_empty_name(path: Path) -> None:
    torch.save(torch.ones(1, 14, 512), path)
    assert same(read_checkpoint(path), {"": torch.ones(1, 14, 512)})
    with pytest.raises(ValueError, match="found Tensor, expected a state dict"):
        read_checkpoint(path, "mean")


def test_tensors_are_float32_without_gradients(path: Path) -> None:
    torch.save(
        {"half": torch.ones(2).half(), "w": nn.Parameter(torch.ones(2)), "n": torch.ones(1).long()}, path
    )
    found = read_checkpoint(path)
    assert [found[name].dtype for name in ("half", "w", "n")] == [torch.float32, torch.float32, torch.int64]
    assert not found["w"].requires_grad


@pytest.mark.parametrize("prefix", ["module.", "module.module.", "_orig_mod.", "_orig_mod.module."])
def test_prefixes_of_wrappers_are_taken_off(path: Path, prefix: str) -> None:
    torch.save({prefix + name: value for name, value in STATE.items()}, path)
    assert same(read_checkpoint(path), STATE)


def test_wrappers_of_torch_load_into_what_they_wrapped(path: Path) -> None:
    network, other = nn.Linear(3, 2), nn.Linear(3, 2)
    for wrapped in (nn.DataParallel(network), AveragedModel(network)):
        torch.save(wrapped.state_dict(), path)
        other.load_state_dict(read_checkpoint(path))
        assert torch.equal(other.weight, network.weight)


def test_a_part_that_is_called_module_keeps_its_name() -> None:
    tensors = {"module.weight": torch.ones(1), "head.weight": torch.ones(1), "n_averaged": torch.ones(1)}
    assert same(without_prefix(tensors), tensors)


def test_a_checkpoint_that_needs_pickle_is_refused_and_runs_nothing(path: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": STATE, "more": Payload(tmp_path / "ran")}, path)
    with pytest.raises(
        ValueError, match=r"needs pickle for \w+.mkdir\), and a pickle can run any code.*ONNX"
    ):
        read_checkpoint(path)
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "ran").exists()  # the payload does what the test says it does


def test_a_whole_module_is_refused_with_the_way_out(path: Path) -> None:
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(
        ValueError, match=r"needs pickle for torch.nn.modules.linear.Linear\).*model.state_dict"
    ):
        read_checkpoint(path)


def test_archives_with_programs_are_named(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), str(path))
    with pytest.raises(ValueError, match="TorchScript archive, which is code; .* trusted: true"):
        read_checkpoint(path)
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),)), buffer)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="exported program of torch.export; .* architecture exported"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"hello world", b"\x08\x07\x12\x07pytorch", b"PK\x03\x04 no more"])
def test_other_bytes_get_their_sentence(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match="model.pth: cannot be read as a checkpoint .*allowed are .safetensors"
    ):
        read_checkpoint(path)


def test_files_cut_short_get_their_sentence(path: Path, tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(30_000)}, path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        read_checkpoint(path)
    other = tmp_path / "a.safetensors"
    save_file(STATE, other)
    other.write_bytes(other.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"a.safetensors: cannot be read as safetensors \("):
        read_checkpoint(other)


def test_a_zip_of_something_else_gets_its_sentence(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes/a.txt", "hello")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        read_checkpoint(path)


def test_what_holds_no_state_dict_says_what_it_holds(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="model.pth: is missing, expected a checkpoint"):
        read_checkpoint(path)
    torch.save({"epoch": 3, "loss": torch.ones(1)}, path)
    with pytest.raises(ValueError, match="found no state dict, .* its keys are 'epoch', 'loss'"):
        read_checkpoint(path)
    torch.save([torch.ones(1)], path)
    with pytest.raises(ValueError, match="found list, expected a state dict"):
        read_checkpoint(path)
    torch.save({}, path)
    with pytest.raises(ValueError, match="found no state dict, .* its keys are none"):
        read_checkpoint(path)
    save_file({}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="a.safetensors: found no tensor, expected a state dict"):
        read_checkpoint(tmp_path / "a.safetensors")


def test_a_state_is_whole_or_the_first_fault_is_named() -> None:
    with torch.device("meta"):
        network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    state = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).state_dict()
    assert check_state(network, state, Path("a.pth")) == state
    old = {name: value for name, value in state.items() if name != "1.num_batches_tracked"}
    assert set(check_state(network, old, Path("a.pth"))) == set(state)
    with pytest.raises(
        ValueError, match=r"a.pth: tensor '0.bias' of shape \(2,\) is missing for a Sequential"
    ):
        check_state(network, {k: v for k, v in state.items() if k != "0.bias"}, Path("a.pth"))
    with pytest.raises(ValueError, match=r"tensor '0.bias': found shape \(5,\), a Sequential has \(2,\)"):
        check_state(network, state | {"0.bias": torch.zeros(5)}, Path("a.pth"))
    with pytest.raises(ValueError, match=r"tensor '2.bias' is not part of a Sequential \(1 are not\)"):
        check_state(network, state | {"2.bias": torch.zeros(5)}, Path("a.pth"))
