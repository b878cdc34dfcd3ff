"""What a route read of other attributes, as calibration takes it."""

import numpy as np
import pytest

from attribute_recovery.attributes.heads import Estimates
from attribute_recovery.recovery.context import context_of, mean_readings, readings_of


def test_others_are_standardised_on_the_images_of_calibration_and_the_last_class_left_out() -> None:
    rng = np.random.default_rng(0)
    read = {
        "yaw": 5 + rng.standard_normal((60, 4, 1)),
        "pitch": 9 + 3 * rng.standard_normal((60, 4, 1)),
        "hair_style": rng.dirichlet([1, 1, 1], (60, 4)),
    }
    held = np.arange(60) < 40
    found = context_of(mean_readings(read), "yaw", held)
    assert found is not None and found.shape == (60, 3)
    assert found[held].mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-9)
    assert found[held].std(axis=0) == pytest.approx(np.ones(3))
    pitch = read["pitch"][:, :, 0].mean(axis=1)
    assert np.corrcoef(found[:, 0], pitch)[0, 1] == pytest.approx(1)


def test_what_does_not_vary_says_nothing_and_nothing_else_is_none() -> None:
    readings = readings_of(
        Estimates(
            {"yaw": np.full(5, 0.3, np.float32)}, {}, {"beard": np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 1]]}
        )
    )
    held = np.ones(5, bool)
    assert context_of(readings, "beard", held) == pytest.approx(np.zeros((5, 1)))
    assert context_of({"yaw": readings["yaw"]}, "yaw", held) is None
