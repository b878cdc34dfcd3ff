"""Embeddings that hold one attribute and nothing else."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.validation.blinded.one_sighted import RANGE, ByOneAttribute
from torch import Tensor, nn

from attribute_recovery.dataset.attributes import Attribute

JAW = Attribute("jaw", "shape", "continuous", "identity", "sd", range=(-2.0, 2.0))
HAIR = Attribute("hair", "appearance", "categorical", "identity", "class", categories=("a", "b", "c"))


def reading(**read: Tensor) -> Any:
    """Heads that read these, whatever they are shown."""
    return SimpleNamespace(network=nn.Identity(), readout=lambda images: read)


def test_a_continuous_reading_is_a_point_on_half_a_circle() -> None:
    ends = torch.tensor([[-RANGE / 2, 0.0], [0.0, 5.0], [RANGE / 2, -5.0]])
    f = ByOneAttribute(reading(jaw=ends, hair=torch.randn(3, 3)), JAW)
    points = f(torch.zeros(3, 3, 4, 4))
    np.testing.assert_allclose(points.numpy(), [[0, -1], [1, 0], [0, 1]], atol=1e-6)


def test_classes_are_the_roots_of_their_probabilities() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0]])
    f = ByOneAttribute(reading(jaw=torch.randn(2, 2), hair=logits), HAIR)
    points = f(torch.zeros(2, 3, 4, 4))
    assert points.square().sum(dim=1).tolist() == pytest.approx([1.0, 1.0])
    np.testing.assert_allclose(points.square().numpy(), torch.softmax(logits, 1).numpy(), atol=1e-6)
