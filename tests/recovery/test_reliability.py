"""The reliability figure."""

from pathlib import Path

import numpy as np
import pytest

from attribute_recovery.recovery.reliability import draw_reliability
from attribute_recovery.recovery.routes import ContinuousForecast, DiscreteForecast


@pytest.mark.parametrize("kinds", ["both", "discrete", "continuous"])
def test_it_is_drawn_for_any_mixture_of_kinds(tmp_path: Path, kinds: str) -> None:
    rng = np.random.default_rng(0)
    forecasts: dict[str, ContinuousForecast | DiscreteForecast] = {}
    if kinds != "discrete":
        forecasts["yaw"] = ContinuousForecast(np.zeros(100), np.ones(100))
    if kinds != "continuous":
        p = rng.random(100)
        forecasts["beard"] = DiscreteForecast(np.stack([1 - p, p], axis=1))
    truth = {"yaw": rng.standard_normal(100), "beard": rng.integers(2, size=100)}
    path = tmp_path / "reliability.png"
    draw_reliability({"decoder": forecasts, "probe": forecasts}, truth, path)
    first = path.read_bytes()
    assert first.startswith(b"\x89PNG")
    draw_reliability({"decoder": forecasts, "probe": forecasts}, truth, path)
    assert path.read_bytes() == first
