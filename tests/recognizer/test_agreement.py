"""Agreement is counted on normalised embeddings, alone and in batches, and gradients have to be there."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from attribute_recovery.recognizer.agreement import (
    check_embeddings,
    compared,
    largest_difference,
    one_by_one,
    with_gradient,
)
from attribute_recovery.recognizer.card import RecognizerCard
from attribute_recovery.recognizer.load import Recognizer

CPU = torch.device("cpu")
Cards = Callable[..., RecognizerCard]
Run = Callable[[torch.Tensor], torch.Tensor]


def test_the_same_network_agrees_with_itself_at_any_length(toy: nn.Module, pixels: torch.Tensor) -> None:
    verdict = compared(lambda images: 3 * toy(images), one_by_one(toy, pixels), pixels)
    assert verdict.accepted
    assert verdict.difference < 1e-6
    assert verdict.reason == ""


@pytest.mark.parametrize("amount", [2e-5, 1e-2])
def test_a_difference_is_measured_and_judged(toy: nn.Module, pixels: torch.Tensor, amount: float) -> None:
    reference = one_by_one(toy, pixels)
    noise = torch.zeros(6)
    noise[0] = amount
    unit = nn.functional.normalize(reference)
    verdict = compared(lambda images: nn.functional.normalize(toy(images)) + noise, unit, pixels)
    assert verdict.accepted == (amount < 1e-4)
    assert 0.2 * amount < verdict.difference < 2 * amount
    assert verdict.reason.startswith("embeddings differ by up to") != verdict.accepted


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (lambda images, found: found[:1], r"images run in a batch come out as \(1, 6\), expected \(10, 6\)"),
        (lambda images, found: found[:, :5], r"images run alone come out as \(10, 5\)"),
        (lambda images, found: found + (len(images) > 1) * 0.5, "embeddings differ by up to"),
        (lambda images, found: found * float("nan"), "embeddings differ by up to inf"),
        (lambda images, found: found.reshape(7, -1), "it does not run"),
    ],
)
def test_batches_that_come_out_otherwise_are_found(
    toy: nn.Module,
    pixels: torch.Tensor,
    spoilt: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    said: str,
) -> None:
    verdict = compared(lambda images: spoilt(images, toy(images)), one_by_one(toy, pixels), pixels)
    assert not verdict.accepted
    assert said.replace("\\", "") in verdict.reason


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (lambda images: images.flatten(1)[:, :6] + 2, ""),
        (lambda images: images.flatten(1)[:, :6].round() + 2, "gradients are 0 or not finite"),
        (lambda images: images.detach().flatten(1) + torch.ones(1, requires_grad=True), "gradients are 0"),
        (lambda images: images.detach().flatten(1), "no gradient can be had"),
    ],
)
def test_gradients_have_to_be_there(pixels: torch.Tensor, run: Run, said: str) -> None:
    found = with_gradient(run, pixels)
    assert found.startswith(said) if said else found == ""


def test_a_usual_recognizer_passes(make_card: Cards, toy: nn.Module, pixels: torch.Tensor) -> None:
    assert check_embeddings(Recognizer(toy, make_card(), CPU), pixels) < 1e-5


class _Spoilt(nn.Module):
    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self._run(images)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (
            lambda x: x.flatten(1)[:, :6] - x.flatten(1)[:, :6].mean(0) + 0.1,
            "depends on the other images .*evalua",
        ),
        (
            lambda x: 0 * x.flatten(1)[:, :6] + 1,
            "the same embedding for all of 10 images; is the value range",
        ),
        (lambda x: 0 * x.flatten(1)[:, :6], "whose length is 0 or not finite"),
        (lambda x: x.flatten(1)[:, :6] / 0, "whose length is 0 or not finite"),
    ],
)
def test_what_no_recognizer_does_is_refused(
    make_card: Cards, pixels: torch.Tensor, run: Run, said: str
) -> None:
    with pytest.raises(ValueError, match=f"recognizer 'toy': .*{said}"):
        check_embeddings(Recognizer(_Spoilt(run), make_card(), CPU), pixels)


def test_the_same_image_may_have_the_same_embedding(
    make_card: Cards, toy: nn.Module, pixels: torch.Tensor
) -> None:
    check_embeddings(Recognizer(toy, make_card(), CPU), pixels[:1].expand(4, 3, 16, 16))


def test_differences_that_are_not_finite_are_infinite() -> None:
    assert largest_difference(torch.tensor([[float("nan"), 1.0]]), torch.ones(1, 2)) == float("inf")
    assert largest_difference(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0]])) == 0
