"""Principal components against a second computation; edits along them leave the rest of a code alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attribute_recovery.attributes import principal
from attribute_recovery.attributes.principal import PrincipalSpace, principal_space


def codes_of_rank(n: int, size: int, rank: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scales = 0.5 ** np.arange(rank)
    return (3 + (rng.standard_normal((n, rank)) * scales) @ rng.standard_normal((rank, size))).astype(
        np.float32
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(8, 40), st.integers(5, 60), st.integers(1, 4), st.integers(0, 999))
def test_coordinates_are_those_of_a_singular_value_decomposition(
    n: int, size: int, rank: int, seed: int
) -> None:
    codes = codes_of_rank(n, size, rank, seed)
    space, kept = principal_space(codes)
    centred = codes.astype(np.float64) - codes.mean(axis=0)
    values = np.linalg.svd(centred, compute_uv=False)
    count = len(space.deviations)
    assert count <= rank and kept >= principal.KEPT_VARIANCE
    np.testing.assert_allclose(space.deviations.numpy(), values[:count] / np.sqrt(n - 1), rtol=2e-3)
    found = space.within(torch.from_numpy(codes)).numpy()
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.atleast_2d(np.cov(found.T)), np.eye(count), atol=5e-3)


def test_components_are_few_where_few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = codes_of_rank(50, 30, 3, 1)
    assert len(principal_space(codes)[0].deviations) <= 3
    monkeypatch.setattr(principal, "MOST_COMPONENTS", 1)
    space, kept = principal_space(codes)
    assert len(space.deviations) == 1 and 0.5 < kept < 0.99


def test_many_codes_give_the_components_of_a_part_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = codes_of_rank(400, 20, 2, 4)
    monkeypatch.setattr(principal, "FITTED_TO", 100)
    space, _ = principal_space(codes)
    expected, _ = principal_space(codes[np.linspace(0, 399, 100).astype(int)])
    assert torch.equal(space.directions, expected.directions)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999))
def test_there_and_back_again(seed: int) -> None:
    space, _ = principal_space(codes_of_rank(30, 12, 3, seed))
    coordinates = torch.randn(4, len(space.deviations))
    torch.testing.assert_close(space.within(space.code(coordinates)), coordinates, atol=1e-3, rtol=1e-3)


def test_what_lies_outside_of_the_space_stays() -> None:
    space = PrincipalSpace(3, 1)
    space.directions.copy_(torch.tensor([[1.0, 0.0, 0.0]]))
    space.deviations.copy_(torch.tensor([2.0]))
    moved = space.moved(torch.tensor([[1.0, 5.0, 7.0]]), torch.tensor([[1.5]]))
    assert moved.tolist() == [[4.0, 5.0, 7.0]]


def test_codes_that_are_all_the_same_cannot_be_edited() -> None:
    with pytest.raises(ValueError, match="5 codes are all the same"):
        principal_space(np.ones((5, 8), np.float32))
