"""How good recovered attributes are, on held-out people: by attribute and route, as plain numbers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from attribute_recovery.recovery.forecast import ContinuousMarginal, DiscreteMarginal
from attribute_recovery.recovery.routes import (
    ContinuousForecast,
    DiscreteForecast,
    Forecast,
    Routes,
    gains,
    gains_interval,
)
from attribute_recovery.statistics.bootstrap import identity_mean_interval
from attribute_recovery.statistics.dependence import (
    categorical_log_loss,
    gaussian_log_loss,
    informational_r2,
    theils_u,
)
from attribute_recovery.statistics.inputs import FloatArray
from attribute_recovery.statistics.quality import (
    balanced_accuracy,
    crps_population,
    crps_skill,
    expected_calibration_error,
    r_squared,
)

Labels = npt.NDArray[np.generic]
Names = npt.NDArray[np.object_]

COVERAGE = 0.9


def measure_route(
    forecast: Forecast,
    truth: Labels,
    found: Routes,
    population: FloatArray,
    people: Names,
    n_boot: int,
    seed: int,
) -> dict[str, Any]:
    """The figures of one route of one attribute on held-out images.

    Args:
        forecast: of n images.
        truth: true values or class numbers (n,).
        found: the attribute with its marginal.
        population: the attribute's values in the split `train`, (m,).
        people: identity of each image (n,), resampled for the intervals.
        n_boot: replicates.
        seed: of the intervals.

    Returns:
        `information` (nats) with interval, `log_loss` (nats; of continuous attributes in units of the
        population's standard deviation), and on the attribute's own scale `theils_u`, `balanced_accuracy`,
        `ece` or `informational_r2`, `r2`, `crps_skill`, `coverage_90` with interval.
    """
    gain = gains(forecast, truth, found.marginal)
    interval = gains_interval(gain, truth, found.marginal, people, n_boot=n_boot, seed=seed)
    values: dict[str, Any] = {
        "information": float(gain.mean()),
        "information_interval": [interval.low, interval.high],
    }
    if isinstance(forecast, DiscreteForecast):
        assert isinstance(found.marginal, DiscreteMarginal)
        return values | _discrete(forecast, truth.astype(np.int64), found.marginal, float(gain.mean()))
    assert isinstance(found.marginal, ContinuousMarginal)
    true = truth.astype(np.float64)
    values |= _continuous(forecast, true, found.marginal, population, float(gain.mean()))
    covered = covers(forecast, true, COVERAGE)
    around = identity_mean_interval(covered, people, n_boot=n_boot, seed=seed, clip=(0.0, 1.0))
    return values | {"coverage_90": float(covered.mean()), "coverage_90_interval": [around.low, around.high]}


def _discrete(
    forecast: DiscreteForecast, labels: npt.NDArray[np.int64], marginal: DiscreteMarginal, information: float
) -> dict[str, Any]:
    table = forecast.probabilities
    # Against the training frequencies, as the information is, so that a sure forecast reaches U = 1.
    entropy = float(-np.log(marginal.probabilities)[labels].mean())
    calibrated = table[:, 1] if table.shape[1] == 2 else table
    return {
        "log_loss": float(categorical_log_loss(table, labels).mean()),
        "theils_u": theils_u(information, entropy),
        "balanced_accuracy": float(balanced_accuracy(table.argmax(axis=1), labels)),
        "ece": float(expected_calibration_error(calibrated, labels)),
    }


def _continuous(
    forecast: ContinuousForecast,
    truth: FloatArray,
    marginal: ContinuousMarginal,
    population: FloatArray,
    information: float,
) -> dict[str, Any]:
    score = forecast.crps(truth)
    loss = (
        gaussian_log_loss(
            marginal.standardise(truth), marginal.standardise(forecast.mean), forecast.sd / marginal.sd
        )
        if forecast.tilted is None
        else forecast.tilted.log_loss(truth)
    )
    return {
        "log_loss": float(loss.mean()),
        "informational_r2": informational_r2(information),
        "r2": float(r_squared(forecast.mean, truth)),
        "crps_skill": float(crps_skill(score, crps_population(population, truth))),
    }


def covers(forecast: ContinuousForecast, truth: FloatArray, level: float) -> FloatArray:
    """Whether the central interval of each forecast holds the truth, (n,), 0 or 1."""
    low, high = forecast.quantiles(((1 - level) / 2, (1 + level) / 2))
    return np.asarray((low <= truth) & (truth <= high), dtype=np.float64)


def by_figure(routes: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Figures by attribute turned round: one dict by attribute for each figure's name."""
    turned: dict[str, dict[str, Any]] = {}
    for attribute, values in routes:
        for name, value in values.items():
            turned.setdefault(name, {})[attribute] = value
    return turned


def without_nan(value: Any) -> Any:
    """The same nested value with None for numbers that are not finite, which JSON does not know."""
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_nan(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
