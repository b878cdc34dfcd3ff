"""Images as the chunks keep and compare them."""

import json

import numpy as np
import pandas as pd
import pytest
from benchmarks.validation.attacks.attack_chunks import (
    SIZES,
    HeldOut,
    apart,
    packed_images,
    size_of,
    two_of_everybody,
    unpacked_images,
)


def test_images_come_back_to_the_bit_and_smooth_ones_are_small() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 8, 8, 3), np.uint8)
    assert np.array_equal(unpacked_images(json.loads(json.dumps(packed_images(images)))), images)
    smooth = np.broadcast_to(np.arange(0, 256, 4, np.uint8)[:, None], (20, 64, 64, 3))
    assert len(packed_images(smooth)["deflated"]) < smooth.size / 100


def test_two_images_lie_apart_in_units_of_pixels() -> None:
    dark, bright = np.zeros((2, 4, 4, 3), np.uint8), np.full((2, 4, 4, 3), 255, np.uint8)
    assert apart(dark, bright) == apart(bright, dark) == 2
    assert apart(dark, dark) == 0


def test_pairs_are_of_one_person_and_never_an_image_with_itself() -> None:
    images = np.arange(6, dtype=np.uint8)[:, None, None, None]
    listed = pd.DataFrame({"identity": ["b", "a", "b", "c", "a", "b"]})
    first, second = two_of_everybody(HeldOut(np.arange(6), listed, images))
    assert first.ravel().tolist() == [1, 0, 2] and second.ravel().tolist() == [4, 2, 5]


@pytest.mark.parametrize(("side", "stages"), [(32, 3), (64, 4), (128, 5)])
def test_baselines_end_at_the_images_side(side: int, stages: int) -> None:
    assert len(size_of("mean", side, quick=False).channels) == stages
    assert len(size_of("nbnet", side, quick=True).channels) == stages + 1
    assert size_of("one-point", side, quick=False) == SIZES["one-point"]
