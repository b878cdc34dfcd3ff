"""The default world's settings."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from attribute_recovery.config import load_config
from attribute_recovery.config_world import Correlation, SplitCounts, WorldDataset


def test_the_default_is_a_world_whose_images_have_its_side() -> None:
    dataset = load_config(Path("config/default.yaml")).dataset
    assert isinstance(dataset, WorldDataset)
    assert dataset.image_size == dataset.world.image_size == 64


def test_counts_come_in_the_order_of_the_splits() -> None:
    counts = SplitCounts(recognizer=0, train=4, calibration=3, test=2)
    assert counts.items() == [("recognizer", 0), ("train", 4), ("calibration", 3), ("test", 2)]


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_a_correlation_lies_inside_minus_one_and_one(value: float) -> None:
    with pytest.raises(ValidationError):
        Correlation(attributes=("a", "b"), value=value)
