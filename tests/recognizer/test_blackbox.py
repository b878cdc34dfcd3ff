"""Any number of images through what takes a few at a time, and no gradient in silence."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribute_recovery.recognizer.blackbox import BatchLimits, forward_only, in_batches


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(count=st.integers(0, 9), low=st.integers(1, 4), more=st.none() | st.integers(0, 3))
def test_every_image_gets_its_embedding_in_batches_that_are_taken(
    count: int, low: int, more: int | None
) -> None:
    limits = BatchLimits(low, None if more is None else low + more)
    seen = []

    def run(part: torch.Tensor) -> torch.Tensor:
        seen.append(len(part))
        return part.flatten(1)[:, :2] * 3

    images = torch.arange(float(count * 12)).reshape(count, 3, 2, 2)
    found = in_batches(run, images, limits, 2)
    assert torch.equal(found, images.flatten(1)[:, :2] * 3)
    assert all(size >= low and (limits.high is None or size <= limits.high) for size in seen)


def test_parts_keep_their_gradients() -> None:
    images = torch.rand(5, 3, 2, 2, requires_grad=True)
    in_batches(lambda part: part.flatten(1) ** 2, images, BatchLimits(2, 2), 12).sum().backward()
    assert torch.allclose(images.grad, 2 * images.detach())


def test_a_black_box_runs_and_refuses_gradients() -> None:
    images = torch.rand(2, 3, 4, 4, requires_grad=True)
    found = forward_only(lambda given: given.flatten(1), images, "f has no gradient")
    assert torch.equal(found, images.detach().flatten(1))
    weight = torch.ones(1, requires_grad=True)
    with pytest.raises(RuntimeError, match="f has no gradient"):
        (found.sum() * weight).sum().backward()
    with torch.no_grad():
        assert not forward_only(lambda given: given, images, "").requires_grad
