"""Each change of an image alone, against what it must leave as it was."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d

from attribute_recovery.training.augmentation import Augmentation, augmented, for_few_images

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 12, 12, 3), dtype=np.uint8)
PLAIN = IMAGES.astype(np.float32) / 127.5 - 1


def _changed(settings: Augmentation, seed: int = 1) -> np.ndarray:
    return augmented(IMAGES, settings, np.random.default_rng(seed))


def test_no_change_leaves_the_pixels_in_the_unit_range() -> None:
    found = _changed(Augmentation())
    assert found.dtype == np.float32
    assert np.allclose(found, PLAIN, atol=1e-6)


def test_the_same_seed_makes_the_same_images_and_another_seed_others() -> None:
    settings = Augmentation(shift=2, contrast=0.2, brightness=0.2, cutout=0.4, mirror=0.5)
    assert np.array_equal(_changed(settings), _changed(settings))
    assert not np.array_equal(_changed(settings), _changed(settings, seed=2))


def test_the_stored_images_stay_as_they_are() -> None:
    before = IMAGES.copy()
    _changed(Augmentation(shift=2, contrast=0.2, brightness=0.2, cutout=0.4, mirror=1.0))
    assert np.array_equal(IMAGES, before)


def test_a_share_is_mirrored() -> None:
    assert np.allclose(_changed(Augmentation(mirror=1.0)), PLAIN[:, :, ::-1], atol=1e-6)
    found = _changed(Augmentation(mirror=0.5))
    turned = np.isclose(found, PLAIN[:, :, ::-1], atol=1e-6).all(axis=(1, 2, 3))
    same = np.isclose(found, PLAIN, atol=1e-6).all(axis=(1, 2, 3))
    assert (turned | same).all()
    assert 10 < turned.sum() < 30


def test_shifted_images_are_windows_of_the_padded_ones() -> None:
    padded = np.pad(PLAIN, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    seen = set()
    for image, source in zip(_changed(Augmentation(shift=2)), padded, strict=True):
        windows = {(i, j): source[i : i + 12, j : j + 12] for i in range(5) for j in range(5)}
        places = [place for place, window in windows.items() if np.allclose(window, image, atol=1e-6)]
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) > 10


def test_exposure_is_one_line_for_each_image() -> None:
    found = _changed(Augmentation(contrast=0.2, brightness=0.1))
    for image, source in zip(found, PLAIN, strict=True):
        gain, offset = np.polyfit(source.ravel(), image.ravel(), 1)
        assert np.allclose(gain * source + offset, image, atol=1e-4)
        assert 0.8 - 1e-4 <= gain <= 1.2 + 1e-4
        assert abs(offset) <= 0.1 + 1e-4


def test_a_square_is_cut_out() -> None:
    found = _changed(Augmentation(cutout=0.5))
    sides = []
    for image, source in zip(found, PLAIN, strict=True):
        cut = ~np.isclose(image, source, atol=1e-6).all(axis=2)
        rows, columns = np.flatnonzero(cut.any(axis=1)), np.flatnonzero(cut.any(axis=0))
        assert (image[cut] == 0).all()
        assert cut.sum() == len(rows) * len(columns)
        assert len(rows) == len(columns)
        sides.append(len(rows))
    assert max(sides) <= 6
    assert max(sides) >= 4
    assert sides.count(max(sides)) < len(sides)


@pytest.mark.parametrize("count", [0, 1])
def test_few_images_are_no_special_case(count: int) -> None:
    found = augmented(IMAGES[:count], Augmentation(1, 0.1, 0.1, 0.3, 0.5), np.random.default_rng(0))
    assert found.shape == (count, 12, 12, 3)


def test_blur_is_the_weighted_binomial_filter_of_scipy() -> None:
    """Image + w (blur − image), one w for each image, uniform up to `blur`."""
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    blurred = convolve1d(convolve1d(PLAIN, kernel, axis=1, mode="nearest"), kernel, axis=2, mode="nearest")
    found = _changed(Augmentation(degraded=1.0, blur=0.8))
    weights = []
    for image, source, target in zip(found, PLAIN, blurred, strict=True):
        direction = (target - source).ravel()
        weight = float(direction @ (image - source).ravel() / (direction @ direction))
        assert np.allclose(image, source + weight * (target - source), atol=1e-5)
        weights.append(weight)
    assert min(weights) >= -1e-5 and max(weights) <= 0.8 + 1e-5
    assert max(weights) - min(weights) > 0.5


def test_a_training_in_bf16_gets_the_same_images() -> None:
    settings = Augmentation(shift=1, degraded=1.0, blur=1.0, noise=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        found = _changed(settings)
    assert found.dtype == np.float32
    assert np.array_equal(found, _changed(settings))


def test_noise_is_normal_and_of_another_strength_in_each_image() -> None:
    found = _changed(Augmentation(degraded=1.0, noise=0.3)) - PLAIN
    deviations = found.std(axis=(1, 2, 3))
    assert deviations.max() <= 0.3 * 1.1 and deviations.min() < 0.1 < 0.2 < deviations.max()
    assert abs(found.mean()) < 0.01


def test_a_share_is_degraded() -> None:
    found = _changed(Augmentation(degraded=0.5, blur=1.0, noise=0.1))
    left = np.isclose(found, PLAIN, atol=1e-6).all(axis=(1, 2, 3))
    assert 10 < left.sum() < 30


def test_a_warp_moves_smooth_images_a_little_and_invents_no_values() -> None:
    across, down = np.meshgrid(np.linspace(0, 255, 32), np.linspace(0, 255, 32))
    slope = np.stack([across, down, np.full_like(across, 128)], axis=-1).astype(np.uint8)[None].repeat(20, 0)
    plain = slope.astype(np.float32) / 127.5 - 1
    found = augmented(slope, Augmentation(warp=0.1), np.random.default_rng(3))
    assert found.shape == plain.shape
    assert found.min() >= plain.min() - 1e-5 and found.max() <= plain.max() + 1e-5
    assert np.allclose(found[..., 2], plain[..., 2], atol=1e-5)
    moved = np.abs(found - plain)[..., :2]
    # Three entries move a corner, each by at most a tenth of half the side.
    assert moved.mean() > 0.01
    assert moved.max() <= 0.3 + 0.1
    assert len(np.unique(moved.mean(axis=(1, 2, 3)).round(6))) == 20


def test_a_warp_of_nothing_is_nothing() -> None:
    assert np.allclose(_changed(Augmentation(warp=1e-9)), PLAIN, atol=1e-5)


def test_changes_for_few_images_grow_with_the_strength_and_keep_what_is_done_besides() -> None:
    base = Augmentation(shift=1, brightness=0.2, cutout=0.25)
    assert for_few_images(0.0) == Augmentation()
    assert for_few_images(0.0, base) == base
    found = for_few_images(0.5, base)
    assert (found.shift, found.cutout, found.mirror) == (1, 0.25, 0.5)
    assert (found.brightness, found.contrast, found.warp) == (0.2, 0.25, 0.1)
    assert for_few_images(1.0, base).brightness == 0.3
