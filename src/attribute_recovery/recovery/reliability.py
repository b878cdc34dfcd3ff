"""The figure that says how far recovered attributes can be trusted: reliability of classes, coverage of
intervals."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from attribute_recovery.recovery.measure import covers
from attribute_recovery.recovery.routes import ContinuousForecast, DiscreteForecast, Forecast
from attribute_recovery.report.figures import ACCENT, QUIET, SECOND, new_figure, save_figure
from attribute_recovery.statistics.quality import reliability_bins

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9)
BINS = 10
# Bins with fewer images than this are left out: their frequency is mostly chance.
LEAST_IN_BIN = 10


def draw_reliability(
    forecasts: Mapping[str, Mapping[str, Forecast]], truth: Mapping[str, npt.NDArray[np.generic]], path: Path
) -> None:
    """Write the figure.

    Args:
        forecasts: by route ("decoder", "probe") and attribute, of n held-out images each.
        truth: true values or class numbers by attribute, (n,).
        path: PNG file.
    """
    figure, axes = new_figure(8.0, 3.8, 1, 2)
    for axis, low in zip(axes, (0.0, LEVELS[0] - 0.05), strict=True):
        axis.plot([low, 1], [low, 1], color=QUIET, linewidth=1, linestyle="--", zorder=0)
    for route, colour in (("decoder", ACCENT), ("probe", SECOND)):
        label: str | None = route
        for name, forecast in forecasts[route].items():
            if isinstance(forecast, DiscreteForecast):
                _draw_classes(axes[0], forecast, truth[name], colour, label)
                label = None
    for route, colour, offset in (("decoder", ACCENT, -0.012), ("probe", SECOND, 0.012)):
        found = [
            [float(covers(forecast, truth[name].astype(np.float64), level).mean()) for level in LEVELS]
            for name, forecast in forecasts[route].items()
            if isinstance(forecast, ContinuousForecast)
        ]
        if found:
            _draw_coverage(axes[1], np.asarray(found), colour, route, offset)
    axes[0].set(
        xlabel="predicted probability", ylabel="observed frequency", title="Classes (each line an attribute)"
    )
    axes[1].set(xlabel="nominal coverage", ylabel="observed coverage", title="Intervals (median and range)")
    for axis in axes:
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False, loc="upper left")
    save_figure(figure, path)


def _draw_classes(
    axis: object, forecast: DiscreteForecast, labels: npt.NDArray[np.generic], colour: str, label: str | None
) -> None:
    table = forecast.probabilities
    bins = reliability_bins(table[:, 1] if table.shape[1] == 2 else table, labels, BINS)
    kept = bins.counts >= LEAST_IN_BIN
    axis.plot(  # type: ignore[attr-defined]
        bins.confidence[kept],
        bins.frequency[kept],
        color=colour,
        marker="o",
        markersize=3,
        alpha=0.7,
        label=label,
    )


def _draw_coverage(
    axis: object, found: npt.NDArray[np.float64], colour: str, label: str, offset: float
) -> None:
    middle, low, high = np.median(found, axis=0), found.min(axis=0), found.max(axis=0)
    axis.errorbar(  # type: ignore[attr-defined]
        np.asarray(LEVELS) + offset,
        middle,
        yerr=[middle - low, high - middle],
        fmt="o",
        markersize=4,
        color=colour,
        elinewidth=1,
        label=label,
    )
