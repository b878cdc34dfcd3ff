"""The two routes and the choice between them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attribute_recovery.attributes.heads import Estimates
from attribute_recovery.recovery.forecast import continuous_marginal, discrete_marginal
from attribute_recovery.recovery.probe import ProbeReadings
from attribute_recovery.recovery.routes import ContinuousForecast, DiscreteForecast, gains, routes


def _yaw(seed: int, decoder_noise: float, probe_noise: float) -> tuple[Any, ...]:
    """Samples (n, 24, 1), readings, truth, held of a standard normal attribute read with these noises."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(800)
    centre = truth + decoder_noise * rng.standard_normal(800)
    samples = centre[:, None] + decoder_noise * rng.standard_normal((800, 24))
    linear = (truth + probe_noise * rng.standard_normal(800)).astype(np.float32)
    useless = rng.standard_normal(800).astype(np.float32)
    one = np.ones(800, np.float32)
    readings = ProbeReadings(
        Estimates({"yaw": linear}, {"yaw": one}, {}), Estimates({"yaw": useless}, {"yaw": one}, {})
    )
    return samples[:, :, None], readings, truth, np.arange(800) < 400


@pytest.mark.parametrize(("decoder", "direct", "better"), [(0.3, 1.0, "decoder"), (1.0, 0.3, "probe")])
def test_the_better_route_is_chosen_and_both_are_calibrated(
    linear_world: Any, decoder: float, direct: float, better: str
) -> None:
    samples, readings, truth, held = _yaw(0, decoder, direct)
    marginal = continuous_marginal("yaw", truth)
    found = routes(linear_world.schema["yaw"], {"yaw": samples}, readings, truth, held, marginal)
    assert found.chosen == better
    assert found.probe_kind == "linear"
    for forecast, noise in ((found.probe, direct), (found.decoder, decoder * np.sqrt(1 + 1 / 24))):
        assert isinstance(forecast, ContinuousForecast)
        known = 0.5 * np.log(1 + 1 / noise**2)
        rest = forecast.part(~held)
        assert gains(rest, truth[~held], marginal).mean() == pytest.approx(known, abs=0.1)
        assert np.std((truth - forecast.mean)[~held] / rest.sd) == pytest.approx(1, abs=0.1)


def test_one_sample_is_a_forecast_whose_spread_is_fitted(linear_world: Any) -> None:
    samples, readings, truth, held = _yaw(3, 0.6, 1.0)
    marginal = continuous_marginal("yaw", truth)
    found = routes(linear_world.schema["yaw"], {"yaw": samples[:, :1]}, readings, truth, held, marginal)
    forecast = found.decoder
    assert isinstance(forecast, ContinuousForecast)
    assert forecast.tilted is not None and len(set(forecast.tilted.scale.round(9))) == 1
    error = (truth - forecast.mean)[~held]
    assert np.std(error / forecast.sd[~held]) == pytest.approx(1, abs=0.1)
    assert np.std(error) < 0.8 < 1 <= np.std(truth[~held]) + 0.1


def test_one_samples_probabilities_are_the_heads_own() -> None:
    from attribute_recovery.dataset.attributes import Attribute

    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 600)
    sure = np.where(truth == 1, 0.999, 0.001)
    read = np.stack([1 - sure, sure], 1)[:, None]
    half = np.full((600, 2), 0.5, np.float32)
    flat = Estimates({}, {}, {"beard": half})
    beard = Attribute("beard", "appearance", "binary", "mixed", "", categories=("off", "on"))
    marginal = discrete_marginal(truth, 2)
    held = np.arange(600) < 300
    found = routes(beard, {"beard": read}, ProbeReadings(flat, flat), truth, held, marginal)
    assert isinstance(found.decoder, DiscreteForecast) and found.chosen == "decoder"
    right = found.decoder.probabilities[np.arange(600), truth]
    assert right.min() > 0.97


def test_truth_outside_the_held_images_is_not_looked_at(linear_world: Any) -> None:
    samples, readings, truth, held = _yaw(1, 0.5, 0.5)
    marginal = continuous_marginal("yaw", truth)
    hidden = np.where(held, truth, 99.0)
    first = routes(linear_world.schema["yaw"], {"yaw": samples}, readings, truth, held, marginal)
    second = routes(linear_world.schema["yaw"], {"yaw": samples}, readings, hidden, held, marginal)
    assert isinstance(first.decoder, ContinuousForecast)
    assert isinstance(second.decoder, ContinuousForecast)
    assert np.array_equal(first.decoder.mean, second.decoder.mean)
    assert first.chosen == second.chosen


def test_what_else_is_seen_puts_a_reading_right(linear_world: Any) -> None:
    """Both routes read yaw too high by what they read of pitch, and less exactly where pitch is large."""
    samples, readings, truth, held = _yaw(4, 0.4, 0.4)
    rng = np.random.default_rng(5)
    pitch = rng.standard_normal(800)
    more = 0.6 * pitch + 0.5 * np.abs(rng.standard_normal(800)) * (pitch > 0)
    marginal = continuous_marginal("yaw", truth)
    seen = {"yaw": samples + more[:, None, None], "pitch": np.repeat(pitch[:, None, None], 24, axis=1)}
    linear = Estimates(
        {"yaw": (readings.linear.mean["yaw"] + more).astype(np.float32)}, readings.linear.sd, {}
    )
    alone = ProbeReadings(linear, readings.mlp)
    told = replace(linear, mean=linear.mean | {"pitch": pitch.astype(np.float32)})
    yaw = linear_world.schema["yaw"]
    before = routes(yaw, {"yaw": seen["yaw"]}, alone, truth, held, marginal)
    after = routes(yaw, seen, ProbeReadings(told, readings.mlp), truth, held, marginal)
    for route in ("decoder", "probe"):
        gained = [
            gains(getattr(found, route).part(~held), truth[~held], marginal).mean()
            for found in (before, after)
        ]
        assert gained[1] > gained[0] + 0.01, route


def test_kinds_that_do_not_fit_are_refused() -> None:
    forecast = DiscreteForecast(np.full((3, 2), 0.5))
    with pytest.raises(ValueError, match="ContinuousMarginal"):
        gains(forecast, np.zeros(3), continuous_marginal("a", np.arange(9.0)))
    assert gains(forecast, np.zeros(3, np.int64), discrete_marginal([0, 1], 2)) == pytest.approx(np.zeros(3))


def test_without_calibration_forecasts_stay_as_they_are(linear_world: Any) -> None:
    samples, readings, truth, held = _yaw(2, 0.3, 1.0)
    marginal = continuous_marginal("yaw", truth)
    nowhere = np.full_like(truth, np.nan)
    found = routes(
        linear_world.schema["yaw"], {"yaw": samples}, readings, nowhere, np.zeros_like(held), marginal
    )
    assert (found.chosen, found.probe_kind) == ("probe", "linear")
    assert isinstance(found.decoder, ContinuousForecast) and isinstance(found.probe, ContinuousForecast)
    assert found.decoder.mean == pytest.approx(samples[:, :, 0].mean(axis=1))
    assert found.probe.mean == pytest.approx(readings.linear.mean["yaw"])


def test_samples_at_an_end_of_the_range_are_not_certain(linear_world: Any) -> None:
    """All samples of some images are cut off at one value that is not quite the truth."""
    samples, readings, truth, held = _yaw(1, 0.5, 1.0)
    cut = ~held & (truth > 1)
    samples[cut] = 1.0
    marginal = continuous_marginal("yaw", truth)
    found = routes(linear_world.schema["yaw"], {"yaw": samples}, readings, truth, held, marginal)
    assert cut.sum() > 20
    assert gains(found.decoder.part(cut), truth[cut], marginal).min() > -30
