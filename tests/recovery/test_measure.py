"""Figures of a route, against forecasts that are right by construction."""

from typing import Any

import numpy as np
import pytest

from attribute_recovery.recovery.forecast import Tilted, continuous_marginal, discrete_marginal
from attribute_recovery.recovery.measure import by_figure, covers, measure_route, without_nan
from attribute_recovery.recovery.routes import ContinuousForecast, DiscreteForecast, Routes


@pytest.mark.parametrize("tilted", [True, False])
def test_a_right_continuous_forecast(linear_world: Any, tilted: bool) -> None:
    rng = np.random.default_rng(0)
    n, r2 = 6000, 0.75
    truth = rng.standard_normal(n)
    mean = r2 * truth + np.sqrt(r2 * (1 - r2)) * rng.standard_normal(n)
    sd = np.full(n, np.sqrt(1 - r2))
    marginal = continuous_marginal("yaw", truth)
    forecast = ContinuousForecast(mean, sd)
    if tilted:  # of a normal marginal: normal again
        forecast = ContinuousForecast.of(Tilted(mean, sd, 0.0, marginal))
    found = Routes(linear_world.schema["yaw"], marginal, forecast, forecast, "linear", "decoder")
    values = measure_route(forecast, truth, found, truth, np.arange(n) // 6, 99, 0)
    assert values["r2"] == pytest.approx(r2, abs=0.02)
    assert values["informational_r2"] == pytest.approx(r2, abs=0.02)
    assert values["information"] == pytest.approx(-0.5 * np.log(1 - r2), abs=0.03)
    assert values["information_interval"][0] < values["information"] < values["information_interval"][1]
    # Normal forecasts: both scores are proportional to the deviation.
    assert values["crps_skill"] == pytest.approx(1 - np.sqrt(1 - r2), abs=0.02)
    assert values["coverage_90"] == pytest.approx(0.9, abs=0.02)
    assert values["log_loss"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e * (1 - r2)), abs=0.03)


def test_a_right_discrete_forecast(linear_world: Any) -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(2, size=5000)
    seen = np.where(rng.random(5000) < 0.1, 1 - labels, labels)
    table = np.where(seen[:, None] == np.arange(2), 0.9, 0.1)
    forecast = DiscreteForecast(table)
    found = Routes(
        linear_world.schema["glasses"], discrete_marginal(labels, 2), forecast, forecast, "mlp", "probe"
    )
    values = measure_route(forecast, labels, found, labels, np.arange(5000) // 5, 99, 0)
    known = np.log(2) + 0.9 * np.log(0.9) + 0.1 * np.log(0.1)
    assert values["information"] == pytest.approx(known, abs=0.02)
    assert values["theils_u"] == pytest.approx(known / np.log(2), abs=0.03)
    assert values["balanced_accuracy"] == pytest.approx(0.9, abs=0.02)
    assert values["ece"] < 0.02


def test_intervals_of_a_normal_forecast() -> None:
    forecast = ContinuousForecast(np.zeros(3), np.ones(3))
    assert covers(forecast, np.array([0.0, 1.6, 1.7]), 0.9).tolist() == [1.0, 1.0, 0.0]


def test_figures_are_turned_round() -> None:
    assert by_figure([("yaw", {"r2": 1.0}), ("beard", {"ece": 0.5})]) == {
        "r2": {"yaw": 1.0},
        "ece": {"beard": 0.5},
    }


def test_what_json_does_not_know_becomes_none() -> None:
    assert without_nan({"a": [float("nan"), 1.0], "b": float("inf")}) == {"a": [None, 1.0], "b": None}
