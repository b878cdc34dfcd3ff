"""Resampling against closed forms: ramps, averages, and the corners that stay where they are."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attribute_recovery.recognizer.resampling import INTERPOLATIONS, resample


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(2, 40), st.floats(-2, 2), st.floats(-2, 2))
def test_with_aligned_corners_a_plane_stays_a_plane_from_corner_to_corner(
    height: int, width: int, side: int, down: float, right: float
) -> None:
    def plane(h: int, w: int) -> torch.Tensor:
        return down * torch.linspace(0, 1, h)[:, None] + right * torch.linspace(0, 1, w)[None]

    found = resample(plane(height, width)[None, None], side, "bilinear_aligned_corners")
    torch.testing.assert_close(found[0, 0], plane(side, side), atol=1e-4, rtol=0)


def test_with_aligned_corners_nothing_is_averaged() -> None:
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 1, 1] = 1.0
    assert float(resample(image, 3, "bilinear_aligned_corners").abs().max()) == 0.0


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_otherwise_a_pixel_between_is_not_lost(interpolation: str) -> None:
    image = torch.zeros(1, 1, 16, 16)
    image[0, 0, 5, 5] = 1.0
    assert float(resample(image, 4, interpolation).sum()) == pytest.approx(1 / 16, abs=0.01)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_images_of_the_right_size_come_back_and_others_have_gradients(interpolation: str) -> None:
    images = torch.randn(2, 3, 8, 8)
    assert resample(images, 8, interpolation) is images
    images.requires_grad_()
    found = resample(images, 5, interpolation)
    assert found.shape == (2, 3, 5, 5)
    found.sum().backward()
    assert images.grad is not None and float(images.grad.abs().sum()) > 0


def test_an_unknown_way_gets_its_sentence() -> None:
    with pytest.raises(
        ValueError, match="interpolation: found 'nearest', allowed are bilinear, bicubic, bil"
    ):
        resample(torch.zeros(1, 3, 4, 4), 4, "nearest")
