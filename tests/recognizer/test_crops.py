"""Eyes, sizes, colours and values end where the card wants them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from attribute_recovery.recognizer.card import Fitted, RecognizerCard, Template
from attribute_recovery.recognizer.crops import placed, resized, to_crops
from attribute_recovery.recognizer.template import AnyTemplate, eyes

Cards = Callable[..., RecognizerCard]


def _spots(side: int, template: AnyTemplate, width: float = 0.03) -> torch.Tensor:
    """An image of two bright spots at a template's eyes, the right one half as bright, (1, 3, side, side)."""
    steps = (torch.arange(side) + 0.5) / side
    image = torch.full((side, side), -1.0)
    for (x, y), height in zip(eyes(template), (2.0, 1.0), strict=True):
        image += height * torch.exp(-((steps - x) ** 2 + (steps[:, None] - y) ** 2) / (2 * width**2))
    return image.expand(1, 3, side, side)


def _centres(image: torch.Tensor) -> np.ndarray:
    """Centres of brightness of the left and right half of (1, 3, s, s), (2, 2) in units of the side."""
    light = (image[0, 0] + 1).clamp(min=0).numpy().astype(np.float64)
    side = len(light)
    steps = (np.arange(side) + 0.5) / side
    halves = []
    for columns in (slice(0, side // 2), slice(side // 2, side)):
        part = light[:, columns]
        halves.append([(part.sum(0) * steps[columns]).sum(), (part.sum(1) * steps).sum()] / part.sum())
    return np.array(halves)


def _fitted(images: AnyTemplate) -> Fitted:
    return Fitted(images, "own", (), False, "")


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "bilinear_aligned_corners", "area"])
@pytest.mark.parametrize("side", [64, 112, 200])
@pytest.mark.parametrize(
    ("crop", "images"),
    [
        ("arcface", Template(0.44, 0.265)),
        (Template(0.5, 0.2), Template(0.44, 0.265)),
        (Template(0.44, 0.265), "arcface"),
    ],
)
def test_eyes_come_to_lie_where_the_card_has_them(
    make_card: Cards, crop: AnyTemplate, images: AnyTemplate, side: int, interpolation: str
) -> None:
    card = make_card(crop_size=112, template=crop, interpolation=interpolation, fitted=_fitted(images))
    found = to_crops(_spots(side, images), card)
    assert found.shape == (1, 3, 112, 112)
    assert np.abs(_centres(found) - eyes(crop)).max() < 0.6 / 112


def test_what_lies_outside_of_the_image_is_black(make_card: Cards) -> None:
    card = make_card(crop_size=40, template=Template(0.5, 0.1), fitted=_fitted(Template(0.5, 0.2)))
    found = to_crops(torch.ones(2, 3, 40, 40), card)
    assert torch.allclose(found[:, :, 15:25, 15:25], torch.ones(10, 10), atol=1e-5)
    assert torch.allclose(found[:, :, :5], torch.tensor(-1.0))


def test_a_crop_of_more_image_than_pixels_is_averaged(make_card: Cards) -> None:
    """Stripes finer than the crop's pixels become gray instead of some stripe's colour."""
    stripes = torch.tensor([-1.0, 1.0]).repeat(100).expand(1, 3, 200, 200)
    card = make_card(crop_size=20, template=Template(0.5, 0.25), fitted=_fitted(Template(0.5, 0.3)))
    assert placed(stripes, card).shape[2] == 240
    assert to_crops(stripes, card)[:, :, 4:-4, 4:-4].abs().max() < 0.25


@pytest.mark.parametrize("images", [Template(0.441, 0.265), "as given"])
def test_nothing_moves_where_templates_agree_or_are_not_known(make_card: Cards, images: AnyTemplate) -> None:
    pixels = torch.rand(2, 3, 16, 16) * 2 - 1
    assert torch.equal(to_crops(pixels, make_card(fitted=_fitted(images))), pixels)
    assert torch.equal(to_crops(pixels, make_card()), pixels)


def test_aligned_corners_keep_the_corner_pixels() -> None:
    pixels = torch.rand(1, 3, 31, 31) * 2 - 1
    found = resized(pixels, 16, "bilinear_aligned_corners")
    assert torch.allclose(found[..., ::15, ::15], pixels[..., ::30, ::30], atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(2, 40), st.floats(-2, 2), st.floats(-2, 2))
def test_resized_a_plane_stays_a_plane_from_corner_to_corner(
    height: int, width: int, side: int, down: float, right: float
) -> None:
    def plane(h: int, w: int) -> Tensor:
        return down * torch.linspace(0, 1, h)[:, None] + right * torch.linspace(0, 1, w)[None]

    found = resized(plane(height, width)[None, None], side, "bilinear_aligned_corners")
    torch.testing.assert_close(found[0, 0], plane(side, side), atol=1e-4, rtol=0)


def test_resized_nothing_is_averaged_and_what_fits_comes_back() -> None:
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 1, 1] = 1.0
    assert float(resized(image, 3, "bilinear_aligned_corners").abs().max()) == 0.0
    assert resized(image, 5, "bilinear_aligned_corners") is image


def test_area_is_the_mean_of_each_block() -> None:
    pixels = torch.rand(1, 3, 64, 64) * 2 - 1
    found = resized(pixels, 16, "area")
    assert torch.allclose(found, pixels.reshape(1, 3, 16, 4, 16, 4).mean((3, 5)), atol=1e-6)


@pytest.mark.parametrize(
    ("interpolation", "filter_"),
    [("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)],
)
def test_bilinear_and_bicubic_are_pillows(interpolation: str, filter_: int) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (50, 50)).astype(np.float32)
    expected = np.asarray(Image.fromarray(values).resize((16, 16), filter_))
    found = resized(torch.from_numpy(values).expand(1, 3, 50, 50), 16, interpolation)
    assert np.abs(found[0, 0].numpy() - expected).max() < 1e-4


def test_order_gray_and_range(make_card: Cards) -> None:
    pixels = torch.rand(2, 3, 16, 16) * 2 - 1
    assert torch.equal(to_crops(pixels, make_card(channel_order="BGR")), pixels.flip(1))
    gray = to_crops(pixels, make_card(channel_order="gray"))
    assert gray.shape == (2, 1, 16, 16)
    bytes_ = ((pixels + 1) * 127.5).round().clamp(0, 255)
    pillow = Image.fromarray(bytes_[0].permute(1, 2, 0).numpy().astype(np.uint8)).convert("L")
    assert np.abs((gray[0, 0].numpy() + 1) * 127.5 - np.asarray(pillow)).max() < 1.1
    ranged = to_crops(pixels, make_card(value_range=(0.0, 255.0)))
    assert torch.allclose(ranged, (pixels + 1) * 127.5, atol=1e-4)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "bilinear_aligned_corners", "area"])
def test_gradients_reach_the_image(make_card: Cards, interpolation: str) -> None:
    card = make_card(interpolation=interpolation, template="arcface", fitted=_fitted(Template(0.44, 0.265)))
    pixels = (torch.rand(1, 3, 24, 24) * 2 - 1).requires_grad_()
    to_crops(pixels, card).sum().backward()
    assert pixels.grad is not None
    assert (pixels.grad[..., 8:16, 8:16].abs() > 0).all()
