"""What two rows make of people whose attributes were recovered: right forecasts, and wrong ones."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from benchmarks.validation.forecasts import recovery_loss, samples_calibrated
from benchmarks.validation.forecasts.new_people import Recovery, packed, unpacked
from scipy.special import ndtri, softmax

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.recovery.forecast import continuous_marginal, discrete_marginal
from attribute_recovery.recovery.routes import ContinuousForecast, DiscreteForecast
from attribute_recovery.significance.forecasts import Recovered
from attribute_recovery.statistics.dependence import categorical_log_loss

N = 4000
# Variance of what z adds to a continuous attribute, and how far its classes lie apart.
NOISE = {"length": 0.3, "yaw": 1.0, "light": 2.0}
APART = {"glasses": 2.0, "beard": 1.0, "hair": 1.5}
SCHEMA = AttributeSchema(
    tuple(Attribute(name, "shape", "continuous", "image", "sd", (-9.0, 9.0)) for name in (*NOISE, "nowhere"))
    + tuple(
        Attribute(name, "appearance", "binary", "image", "class", categories=("off", "on"))
        for name in ("glasses", "beard")
    )
    + (Attribute("hair", "appearance", "categorical", "image", "class", categories=("a", "b", "c")),)
)


def recovery(*, spread: float = 1.0, sharper: float = 1.0, lost: float = 0.0) -> Recovery:
    """Exact posteriors by the probe.

    Those of the samples are too wide by `spread`, their logits too large by `sharper`, and they rest on a
    noisier reading by `lost`.
    """
    rng, columns = np.random.default_rng(0), {}
    by_route: dict[str, dict[str, Recovered]] = {"decoder": {}, "probe": {}}
    losses: dict[str, dict[str, float]] = {"decoder": {}, "probe": {}}
    for a in SCHEMA:
        if a.is_discrete:
            truth: npt.NDArray[np.generic] = rng.integers(a.n_classes, size=N)
            seen = APART[a.name] * np.eye(a.n_classes)[truth] + rng.standard_normal((N, a.n_classes))
            for route, factor in (("decoder", sharper), ("probe", 1.0)):
                noise = lost * (route == "decoder")
                read = seen + np.sqrt(noise) * rng.standard_normal(seen.shape)
                table = softmax(factor * APART[a.name] * read / (1 + noise), axis=1)
                reference = discrete_marginal(np.arange(3000) % a.n_classes, a.n_classes)
                by_route[route][a.name] = Recovered(a, route, DiscreteForecast(table), truth, reference)
                losses[route][a.name] = float(categorical_log_loss(table, truth).mean())
            columns[f"attribute.{a.name}"] = truth
            continue
        truth = rng.standard_normal(N)
        columns[f"attribute.{a.name}"] = truth
        variance = NOISE.get(a.name, 1e9)
        seen = truth + np.sqrt(variance) * rng.standard_normal(N)
        reference = continuous_marginal(a.name, rng.standard_normal(20_000))
        for route in by_route:
            noise = lost * (route == "decoder")
            total = variance + noise
            mean = (seen + np.sqrt(noise) * rng.standard_normal(N)) / (1 + total)
            sd = np.full(N, np.sqrt(total / (1 + total)) * (spread if route == "decoder" else 1.0))
            by_route[route][a.name] = Recovered(a, route, ContinuousForecast(mean, sd), truth, reference)
            if route == "decoder":
                for level in (0.05, 0.25, 0.75, 0.95):
                    columns[f"recovered.{a.name}.q{round(100 * level):02d}"] = mean + sd * ndtri(level)
    rows = pd.DataFrame(columns | {"identity": [f"new-{i}" for i in range(N)]})
    metrics: dict[str, Any] = {route: {"log_loss": losses[route]} for route in by_route}
    return Recovery(SCHEMA, rows, by_route, metrics | {"chosen": dict.fromkeys(SCHEMA.names, "decoder")})


def goals(module: Any, monkeypatch: pytest.MonkeyPatch, **how: float) -> dict[str, dict[str, Any]]:
    monkeypatch.setattr(module, "recovery_of", lambda found: recovery(**how))
    monkeypatch.setattr(module, "REPLICATES", 60)
    return {goal["goal"].split(" at ")[0]: goal for goal in module.conclude({})["goals"]}


def missed(found: dict[str, dict[str, Any]]) -> list[str]:
    return [name for name, goal in found.items() if not goal["reached"]]


CENTRAL = [f"continuous: central {level} % intervals hold the truth within 3 points" for level in (50, 90)]
SLOPE, ECE = "discrete: calibration slope 0.9 to 1.1", "discrete: ECE"
LIKE_PROBE = "log score no worse than 1.1 × the direct probe's"
BETTER = "log score better than the marginal's, or equal where nothing is kept"


def test_right_forecasts_are_calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    found = goals(samples_calibrated, monkeypatch)
    assert list(found) == [*CENTRAL, SLOPE, ECE, LIKE_PROBE, BETTER]
    assert missed(found) == []
    assert found[CENTRAL[0]]["measured"].startswith("4 of 4 attributes; farthest off ")


def test_intervals_that_are_too_narrow_or_wide_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missed(goals(samples_calibrated, monkeypatch, spread=0.85))[:2] == CENTRAL
    assert missed(goals(samples_calibrated, monkeypatch, spread=1.3))[:2] == CENTRAL


def test_classes_that_are_too_sure_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    found = missed(goals(samples_calibrated, monkeypatch, sharper=1.6))
    assert SLOPE in found and ECE in found
    # The slope of logits that are too large by a factor is one over it.
    slope = samples_calibrated.slope_of(recovery(sharper=1.6), "glasses")
    assert slope[0] == pytest.approx(1 / 1.6, abs=0.05) and slope[1] < slope[0] < slope[2]


def test_a_worse_log_score_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LIKE_PROBE in missed(goals(samples_calibrated, monkeypatch, lost=1.0))
    # Posteriors known from a reading of variance 0.3 and of 1.3: the typical widths are those of the two.
    score = samples_calibrated.score_of(recovery(lost=1.0), "length")
    assert score.ratio == pytest.approx(np.sqrt((1.3 / 2.3) / (0.3 / 1.3)), rel=0.03)


def test_where_nothing_is_kept_as_good_as_the_marginal_will_do() -> None:
    score = samples_calibrated.score_of(recovery(), "nowhere")
    assert not score.kept and score.better_than_marginal
    worse = samples_calibrated.Score("nowhere", 1.0, (-0.2, -0.3, -0.1), (0.0, -0.1, 0.1))
    assert not worse.better_than_marginal
    kept = samples_calibrated.Score("yaw", 1.0, (-0.001, -0.1, 0.1), (0.2, 0.1, 0.3))
    assert not kept.better_than_marginal


def test_nothing_lost_is_seen_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    found = goals(recovery_loss, monkeypatch)
    assert missed(found) == [] and len(found) == 3
    assert found["rank correlation within the discrete"]["measured"] == "1.000 over 3 attributes"


def test_lost_information_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    found = goals(recovery_loss, monkeypatch, lost=1.0)
    assert "information lost" in missed(found)
    loss = recovery_loss.loss_of(recovery(lost=1.0), "length")
    # I = ½ ln(1 + 1 / variance).
    expected = 0.5 * (np.log(1 + 1 / 0.3) - np.log(1 + 1 / 1.3))
    assert loss.lost == pytest.approx(expected, abs=0.03) and loss.low < loss.lost < loss.high


def test_five_percent_or_a_fiftieth_nat_is_allowed() -> None:
    assert recovery_loss.Loss("a", False, 1.0, 0.9, 0.0, 0.0).allowed == pytest.approx(0.05)
    assert recovery_loss.Loss("a", False, 0.1, 0.0, 0.0, 0.0).allowed == pytest.approx(0.02)


def test_ranks_that_are_turned_round_are_seen() -> None:
    turned = [recovery_loss.Loss("a", True, x, 1 - x, 0.0, 0.0) for x in (0.1, 0.2, 0.3)]
    assert recovery_loss.spearman(turned) == pytest.approx(-1.0)
    assert np.isnan(recovery_loss.spearman(turned[:1]))


def test_arrays_come_back_to_the_bit() -> None:
    array = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    assert np.array_equal(unpacked(packed(array)), array)
