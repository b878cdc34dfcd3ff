"""Detection error trade-off by attribute group, as a table and as a picture."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.report.figures import ACCENT, INK, QUIET, SECOND, new_figure, save_figure
from attribute_recovery.significance.grouping import DIFFERENT, Grouping
from attribute_recovery.significance.groups import RATES, Compared, Rate
from attribute_recovery.statistics.grouped import GroupedSums, pair_columns
from attribute_recovery.statistics.inputs import FloatArray, IntArray

# Scores are counted in steps of 1 / 1000: fine enough for a curve, and a million pairs cost no sorting.
_STEPS = 1000
POINTS = 60
# Panels of the picture: the attributes whose rates differ most surely; the table has all.
MOST_PANELS = 8
COLUMNS = ("recognizer", "attribute", "group", "threshold", "fmr", "fnmr", "n_identities", "claimable_fmr")
_COLOURS = (ACCENT, SECOND, "#6a8d3a", "#7b5ea7", "#c39b2f")


def det_table(recognizer: str, compared: Compared, groupings: Sequence[Grouping]) -> pd.DataFrame:
    """Curves of each group of each attribute, and of pairs of two groups where genuine pairs can be such.

    Columns: `COLUMNS`; `threshold` a score in steps of 0.001, `fmr` and `fnmr` the rates at it, evenly along
    the logarithm of FMR; `claimable_fmr` is 3/n of the n pairs of people who have a pair of images there,
    below which no rate is claimed.

    Args:
        recognizer: its name.
        compared: the pairs.
        groupings: the groups of each attribute.
    """
    steps = {
        rate: np.floor((np.clip(compared.pairs[rate].scores, -1, 1) + 1) * _STEPS).astype(np.int32)
        for rate in RATES
    }
    parts = []
    for grouping in groupings:
        counts = {rate: _counts(grouping, compared, steps[rate], rate) for rate in RATES}
        impostors = GroupedSums(compared.errors["fmr"], grouping.labels, len(grouping.names), compared.k)
        for column, name in enumerate((*grouping.names, DIFFERENT)):
            people = _people(grouping, compared.codes, column)
            curve = _curve(counts["fmr"][:, column], counts["fnmr"][:, column])
            if curve is None or people < 2:
                continue
            keys = {"recognizer": recognizer, "attribute": grouping.attribute.name, "group": name}
            # The rule of three, as in `rates.claimable_fmr`, whose people all have a pair.
            least = min(1.0, 3 / int(impostors.trials[column]))
            curve = curve.assign(**keys, n_identities=people, claimable_fmr=least)
            parts.append(curve[list(COLUMNS)])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def _counts(grouping: Grouping, compared: Compared, steps: npt.NDArray[np.int32], rate: Rate) -> FloatArray:
    """Pairs at each step of the score in each column, (2 · 1000 + 1, G + 1)."""
    pairs, width = compared.pairs[rate], len(grouping.names) + 1
    # Two million pairs for each attribute: small integers take a quarter of the time.
    small = grouping.labels.astype(np.int16)
    columns = pair_columns(small[pairs.row_a], small[pairs.row_b], width - 1)
    found = np.bincount(steps * np.int32(width + 1) + (columns + 1), minlength=(2 * _STEPS + 1) * (width + 1))
    return found.reshape(-1, width + 1)[:, 1:].astype(np.float64)


def _people(grouping: Grouping, codes: IntArray, column: int) -> int:
    inside = grouping.labels == column if column < len(grouping.names) else grouping.labels >= 0
    return len(np.unique(codes[inside]))


def _curve(impostor: FloatArray, genuine: FloatArray) -> pd.DataFrame | None:
    """Rates at the thresholds from histograms of scores; None without pairs of one kind."""
    if not impostor.sum() or not genuine.sum():
        return None
    fmr = impostor[::-1].cumsum()[::-1] / impostor.sum()
    fnmr = (genuine.cumsum() - genuine) / genuine.sum()
    taus = np.arange(len(fmr)) / _STEPS - 1
    accepted = np.flatnonzero(fmr > 0)
    wanted = np.geomspace(fmr[accepted[-1]], 1.0, POINTS)
    # The smallest threshold at which the rate is at most the one wanted.
    places = np.unique(np.searchsorted(-fmr, -wanted, side="left"))
    chosen = places[(places < len(fmr)) & (fmr[np.minimum(places, len(fmr) - 1)] > 0)]
    return pd.DataFrame({"threshold": taus[chosen], "fmr": fmr[chosen], "fnmr": fnmr[chosen]})


def draw_groups(curves: pd.DataFrame, table: pd.DataFrame, tau: float, path: Path) -> None:
    """Write the curves of the attributes whose rates differ most surely, a panel each.

    Solid down to the smallest false match rate that the group's people can bear, dotted below; a mark where
    the group stands at τ.

    Args:
        curves: see `det_table`.
        table: see `group_table.group_table`, for which attributes, and for rates at τ.
        tau: decision threshold.
        path: PNG file.
    """
    differences = table[table["measure"].isin([f"{rate}_difference" for rate in RATES])]
    surest = differences.groupby("attribute", sort=False)["p"].min().fillna(2.0).sort_values(kind="stable")
    names = [str(name) for name in surest.index if (curves["attribute"] == name).any()][:MOST_PANELS]
    columns = min(4, max(1, len(names)))
    rows = max(1, math.ceil(len(names) / columns))
    height = 0.5 + 2.3 * rows
    figure, axes = new_figure(2.75 * columns, height, rows, columns)
    # Panels of one size need no layout to be sought, which takes as long as all of the drawing.
    figure.set_layout_engine(None)
    figure.subplots_adjust(0.05, 0.32 / height, 0.99, 1 - 0.65 / height, 0.25, 0.3)
    grid = np.asarray(axes, dtype=object).reshape(-1)
    drawn = curves[curves["attribute"].isin(names)]
    for axis, name in zip(grid, names, strict=False):
        _draw_panel(axis, drawn[drawn["attribute"] == name], name, tau)
        axis.set(xlim=(_decade(drawn["fmr"]), 1.0), ylim=(_decade(drawn["fnmr"]), 1.0))
    for axis in grid[len(names) :]:
        axis.set_axis_off()
    figure.suptitle(
        "FNMR against FMR by group; dotted where the group's people can bear no claim; marks: at τ",
        fontsize=8,
    )
    save_figure(figure, path)


def _decade(rates: "pd.Series[float]") -> float:
    """The power of ten at or below the lowest rate above 0, between 1e-5 and 0.1."""
    known = rates[rates > 0]
    return float(10.0 ** np.clip(np.floor(np.log10(known.min())), -5, -1)) if len(known) else 0.1


def _draw_panel(axis: Any, curves: pd.DataFrame, name: str, tau: float) -> None:
    for place, (group, curve) in enumerate(curves.groupby("group", sort=False)):
        colour = QUIET if group == DIFFERENT else _COLOURS[place % len(_COLOURS)]
        fmr, fnmr = (np.clip(curve[side].to_numpy(np.float64), 1e-7, 1.0) for side in ("fmr", "fnmr"))
        borne = fmr >= curve["claimable_fmr"].iloc[0]
        axis.plot(fmr, np.where(fnmr > 1e-7, fnmr, np.nan), ":", color=colour, linewidth=1.0)
        solid = np.where(borne & (fnmr > 1e-7), fnmr, np.nan)
        axis.plot(fmr, solid, color=colour, linewidth=1.4, label=str(group).replace("_", " "))
        nearest = int(np.abs(curve["threshold"].to_numpy() - tau).argmin())
        axis.plot(fmr[nearest], max(fnmr[nearest], 1e-5), "o", color=colour, markersize=3.5)
    axis.set(xscale="log", yscale="log")
    axis.minorticks_off()
    axis.tick_params(labelsize=7)
    axis.set_title(name.replace("_", " "), fontsize=9, color=INK)
    axis.legend(fontsize=6, frameon=False, loc="lower left")
