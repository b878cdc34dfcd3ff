"""Programs run on what their card says, with gradients, and fail in one sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from attribute_recovery.recognizer.blackbox import BatchLimits
from attribute_recovery.recognizer.card import RecognizerCard
from attribute_recovery.recognizer.program import ProgramNetwork, load_torchscript

CPU = torch.device("cpu")
Cards = Callable[..., RecognizerCard]


@pytest.mark.parametrize(
    "compiled", [torch.jit.script, lambda m: torch.jit.trace(m, torch.rand(2, 3, 16, 16))]
)
def test_torchscript_is_the_network_it_was_made_of(
    tmp_path: Path,
    make_card: Cards,
    toy: nn.Module,
    pixels: torch.Tensor,
    compiled: Callable[[nn.Module], torch.jit.ScriptModule],
) -> None:
    torch.jit.save(compiled(toy), tmp_path / "a.pt")
    network = load_torchscript(tmp_path / "a.pt", make_card(architecture="torchscript"), CPU)
    network.eval().requires_grad_(False)
    given, wanted = pixels.clone().requires_grad_(), pixels.clone().requires_grad_()
    assert torch.allclose(network(given), toy(wanted), atol=1e-5)
    network(given).square().sum().backward()
    toy(wanted).square().sum().backward()
    assert torch.allclose(given.grad, wanted.grad, atol=1e-4)
    assert network.differentiable


def test_torchscript_that_was_saved_while_training_is_run_in_evaluation_mode(
    tmp_path: Path, make_card: Cards, pixels: torch.Tensor
) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(768, 6))
    torch.jit.save(torch.jit.script(network.train()), tmp_path / "a.pt")
    found = load_torchscript(tmp_path / "a.pt", make_card(architecture="torchscript"), CPU)(pixels)
    assert torch.allclose(found, network.eval()(pixels), atol=1e-5)
    assert not found.requires_grad


def test_a_file_that_is_no_torchscript_is_refused(tmp_path: Path, make_card: Cards) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt: cannot be read as TorchScript \("):
        load_torchscript(tmp_path / "a.pt", make_card(architecture="torchscript"), CPU)


def test_a_program_that_fails_or_gives_no_tensor_says_so(make_card: Cards, pixels: torch.Tensor) -> None:
    linear = nn.Linear(5, 6)
    network = ProgramNetwork(linear, make_card(), limits=BatchLimits(), label="a.pt")
    with pytest.raises(
        ValueError, match=r"a\.pt: does not run on images \(10, 3, 16, 16\), as the card has them"
    ):
        network(pixels)
    several = ProgramNetwork(lambda x: (x, x), make_card(), limits=BatchLimits(), label="a.pt")
    with pytest.raises(ValueError, match=r"a\.pt: gives tuple, allowed is one tensor"):
        several(pixels)


def test_one_tensor_in_a_tuple_is_taken_out(make_card: Cards, pixels: torch.Tensor) -> None:
    network = ProgramNetwork(
        lambda x: (x.flatten(1)[:, :6],), make_card(), limits=BatchLimits(4, 4), label="a"
    )
    assert torch.equal(network(pixels), pixels.flatten(1)[:, :6])
