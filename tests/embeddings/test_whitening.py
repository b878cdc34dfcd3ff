"""What networks are told of embeddings, and how these are disturbed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attribute_recovery.embeddings.whitening import Whitened, disturbed, shape_of


def on_sphere(count: int, size: int, generator: torch.Generator) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(count, size, generator=generator), dim=1)


def unequal(count: int) -> Tensor:
    """Embeddings that spread a hundred times as far in one direction as in another."""
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([2.0, 1.0, 0.02])
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator)).Q
    return (
        torch.nn.functional.normalize(torch.randn(count, 3, generator=generator) * scales + 3, dim=1) @ turn
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.floats(0.0, 2.0), st.integers(0, 2**31))
def test_disturbed_embeddings_stay_on_the_sphere(size: int, length: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    z = on_sphere(20, size, generator)
    torch.manual_seed(seed + 1)  # with the same seed the step would be along z
    moved = disturbed(z, length, shape_of(z))
    torch.testing.assert_close(moved.norm(dim=1), torch.ones(20), atol=1e-5, rtol=0)
    if length == 0:
        torch.testing.assert_close(moved, z)


def test_the_disturbance_is_as_long_as_asked() -> None:
    z = on_sphere(5000, 64, torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    assert float((disturbed(z, 0.1, shape_of(z)) - z).norm(dim=1).mean()) == pytest.approx(0.1, rel=0.03)


def test_the_disturbance_spreads_as_embeddings_do() -> None:
    z = unequal(20_000)
    torch.manual_seed(1)
    step = torch.randn(20_000, 3) @ shape_of(z)
    torch.testing.assert_close(step.T.cov(), z.T.cov() / z.T.cov().trace(), atol=0.01, rtol=0)


def test_equal_embeddings_have_no_directions_to_step_in() -> None:
    z = torch.tensor([[1.0, 0.0]] * 3)
    torch.testing.assert_close(disturbed(z, 0.3, shape_of(z)), z)


def test_all_directions_are_told_equally_wide() -> None:
    z = unequal(5000)
    told = Whitened(3)
    torch.testing.assert_close(told(z), torch.cat([z, z], 1) * 3**0.5)  # before it knows how they spread
    told.fit(z)
    torch.testing.assert_close(told(z)[:, :3], z * 3**0.5)
    torch.testing.assert_close(told(z)[:, 3:].mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(told(z)[:, 3:].T.cov(), torch.eye(3), atol=2e-3, rtol=0)


def test_directions_that_few_embeddings_do_not_span_are_not_blown_up() -> None:
    generator = torch.Generator().manual_seed(0)
    z = on_sphere(5, 64, generator)
    told = Whitened(64)
    told.fit(z)
    new = told(on_sphere(100, 64, generator))[:, 64:]
    # widened by no more than the root of a thousand
    assert float(new.norm(dim=1).max()) <= (1000 / float(z.var(0, unbiased=False).mean())) ** 0.5 * 2
    equal = z[:1].repeat(5, 1)
    told.fit(equal)
    assert torch.isfinite(told(z)).all()
