"""A state dict becomes safetensors of its network, or the first tensor that does not fit is named."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from attribute_recovery.recognizer.card import RecognizerCard
from attribute_recovery.recognizer.checkpoint import convert_checkpoint
from attribute_recovery.recognizer.load import network_of
from attribute_recovery.recognizer.networks import EmbeddingNetwork
from attribute_recovery.training.weights import load_into

Cards = Callable[..., RecognizerCard]

pytestmark = pytest.mark.usefixtures("catalogue")


@pytest.mark.parametrize("key", [None, "backbone"])
def test_a_checkpoint_becomes_the_network(
    tmp_path: Path, make_card: Cards, toy: nn.Module, pixels: torch.Tensor, key: str | None
) -> None:
    state = {f"module.{name}": value for name, value in toy.state_dict().items()}
    del state["module.norm.num_batches_tracked"]  # as older torch wrote it
    torch.save(state if key is None else {key: state}, tmp_path / "a.pth")
    card = make_card(architecture="toynet")
    convert_checkpoint(tmp_path / "a.pth", key, card, tmp_path / "a.safetensors")
    network = network_of(card)
    load_into(network, tmp_path / "a.safetensors")
    assert torch.equal(network.eval()(pixels), toy(pixels))


def test_our_own_architecture_is_taken_too(tmp_path: Path, make_card: Cards) -> None:
    torch.manual_seed(1)
    network = EmbeddingNetwork(16, (8, 16), 6)
    torch.save(network.state_dict(), tmp_path / "a.pth")
    card = make_card(architecture="residual", channels=(8, 16))
    convert_checkpoint(tmp_path / "a.pth", None, card, tmp_path / "a.safetensors")
    found = network_of(card)
    load_into(found, tmp_path / "a.safetensors")
    assert all(
        torch.equal(a, b)
        for a, b in zip(found.state_dict().values(), network.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"linear.weight": torch.ones(6, 9)},
            r"tensor 'linear.weight': found shape \(6, 9\), a toynet of the card's sizes has \(6, 256\)",
        ),
        (
            {"slope.weight": None},
            r"tensor 'slope.weight' of shape \(4,\) is missing for a toynet of the card's sizes; found are",
        ),
        ({"head.weight": torch.ones(3)}, "tensor 'head.weight' is not part of a toynet of the card's sizes"),
    ],
)
def test_the_first_tensor_that_does_not_fit_is_named(
    tmp_path: Path, make_card: Cards, toy: nn.Module, change: dict[str, torch.Tensor | None], said: str
) -> None:
    state = {name: value for name, value in (toy.state_dict() | change).items() if value is not None}
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=rf"a\.pth: {said}"):
        convert_checkpoint(
            tmp_path / "a.pth", None, make_card(architecture="toynet"), tmp_path / "a.safetensors"
        )
    assert not (tmp_path / "a.safetensors").exists()


def test_sizes_that_the_network_cannot_have_are_refused(
    tmp_path: Path, make_card: Cards, toy: nn.Module
) -> None:
    torch.save(toy.state_dict(), tmp_path / "a.pth")
    with pytest.raises(ValueError, match="toynet: found sizes 9 and 16"):
        convert_checkpoint(
            tmp_path / "a.pth",
            None,
            make_card(architecture="toynet", embedding_size=9),
            tmp_path / "a.safetensors",
        )
