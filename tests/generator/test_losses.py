"""Bands add up to the image; losses are nought at equality and answer to what they are meant for."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from attribute_recovery.generator.losses import octave_bands, reconstruction_losses


@pytest.fixture
def image() -> Tensor:
    """Noise of several sizes, (3, 3, 32, 32)."""
    random = torch.Generator().manual_seed(0)
    layers = [torch.rand(3, 3, side, side, generator=random) for side in (4, 8, 16, 32)]
    return sum((functional.interpolate(layer, size=32) for layer in layers), torch.zeros(())) / 2 - 1


def test_bands_add_up_to_the_image(image: Tensor) -> None:
    bands, rest = octave_bands(image, 3)
    assert [band.shape[-1] for band in bands] == [32, 16, 8] and rest.shape[-1] == 4
    for band in reversed(bands):
        rest = functional.interpolate(rest, scale_factor=2, mode="bilinear", align_corners=False) + band
    torch.testing.assert_close(rest, image)


def test_what_is_left_is_the_mean_over_squares(image: Tensor) -> None:
    _, rest = octave_bands(image, 3)
    torch.testing.assert_close(rest, image.unflatten(3, (4, 8)).unflatten(2, (4, 8)).mean((3, 5)))


def test_the_same_image_costs_nothing(image: Tensor) -> None:
    assert all(float(term) == 0 for term in reconstruction_losses(image, image, strength_weight=0.5).values())


def test_bands_and_strength_do_not_depend_on_contrast(image: Tensor) -> None:
    decoded = image + 0.1 * torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    found = reconstruction_losses(decoded, image, strength_weight=0.5)
    faint = reconstruction_losses(decoded / 5, image / 5, strength_weight=0.5)
    torch.testing.assert_close(faint["bands"], found["bands"])
    torch.testing.assert_close(faint["strength"], found["strength"])
    torch.testing.assert_close(5 * faint["image"], found["image"])


def test_strength_sees_how_much_detail_there_is_not_where(image: Tensor) -> None:
    """A negative has the same strength everywhere, a blur less of it."""
    negative = reconstruction_losses(-image, image, strength_weight=1.0)
    assert float(negative["strength"]) == pytest.approx(0, abs=1e-6) and float(negative["bands"]) > 1
    blurred = functional.avg_pool2d(image, 3, 1, 1)
    assert float(reconstruction_losses(blurred, image, strength_weight=1.0)["strength"]) > 0.1


def test_strength_is_weighted(image: Tensor) -> None:
    decoded = functional.avg_pool2d(image, 3, 1, 1)
    once, twice = (reconstruction_losses(decoded, image, strength_weight=w)["strength"] for w in (0.3, 0.6))
    torch.testing.assert_close(twice, 2 * once)


def test_a_brighter_image_costs_its_brightness_alone(image: Tensor) -> None:
    found = reconstruction_losses(image + 0.1, image, strength_weight=1.0)
    assert float(found["image"]) == pytest.approx(5 * 0.1, rel=1e-4)
    assert float(found["bands"]) < 1e-5 and float(found["strength"]) < 1e-5


def test_flat_images_have_finite_losses_and_gradients() -> None:
    decoded = torch.full((2, 3, 32, 32), 0.25, requires_grad=True)
    terms = reconstruction_losses(decoded, torch.full((2, 3, 32, 32), 0.5), strength_weight=0.5)
    total = torch.stack(list(terms.values())).sum()
    total.backward()  # type: ignore[no-untyped-call]
    assert bool(total.isfinite()) and decoded.grad is not None and bool(decoded.grad.isfinite().all())
