"""Long tables of several folds as one: estimates and intervals averaged, p-values combined, q anew."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.report.labels import reason_of
from attribute_recovery.statistics.discovery import benjamini_hochberg
from attribute_recovery.statistics.pooled import combined_p_value, pooled_figure

FIGURES = ("estimate", "low", "high", "p", "q")
KEYS = ("recognizer", "attribute", "measure", "direction")
# Marks, 1 or 0: set where folds of more than half of the people have them.
MARKS = ("cross_talk_too_much", "shift_too_much")
ADDED = ("n_identities", "n_images", "n_pairs", "effective_identities")


def is_long_table(table: pd.DataFrame) -> bool:
    """Whether its rows are figures with intervals and p-values, one for each attribute, measure and
    direction."""
    return {*KEYS, *FIGURES} <= set(table.columns)


def pooled_table(folds: Sequence[pd.DataFrame], weights: Sequence[float]) -> pd.DataFrame:
    """One row for each recognizer, attribute, measure and direction that a fold has.

    Estimates with their intervals are pooled by `statistics.pooled.pooled_figure`, p-values by
    `combined_p_value` over the folds in which there is one; q is Benjamini-Hochberg within each measure, rows
    with and without direction apart. Counts (`ADDED`) add up, marks go by majority, other numbers are
    averaged, words are the folds' where they agree, else all of them. Folds in which a figure could not be
    had for want of labels take no part, unless there are no others.

    Args:
        folds: long tables of the same columns.
        weights: people of each fold.

    Returns:
        The table, rows in the order in which the folds first have them; without rows where no fold has any.

    Raises:
        ValueError: columns differ.
    """
    columns = list(folds[0].columns)
    for fold in folds:
        if list(fold.columns) != columns:
            raise ValueError(f"folds: found the columns {list(fold.columns)}, expected {columns}")
    parts = [fold.assign(_weight=float(w)) for fold, w in zip(folds, weights, strict=True) if len(fold)]
    if not parts:
        return folds[0].copy()
    stacked = pd.concat(parts, ignore_index=True)
    rows = [
        {**dict(zip(KEYS, key, strict=True)), **_pooled_row(_tested(rows), columns)}
        for key, rows in stacked.groupby(list(KEYS), sort=False, dropna=False)
    ]
    table = pd.DataFrame(rows, columns=columns)
    table["q"] = np.nan
    for _, chosen in table.groupby(["recognizer", "measure", table["direction"] == ""]).groups.items():
        table.loc[chosen, "q"] = benjamini_hochberg(table.loc[chosen, "p"])
    return table.astype({name: parts[0][name].dtype for name in columns})


def _tested(rows: pd.DataFrame) -> pd.DataFrame:
    if "method" not in rows:
        return rows
    tested = rows[[not reason_of(method) for method in rows["method"]]]
    return tested if len(tested) else rows


def _pooled_row(rows: pd.DataFrame, columns: list[str]) -> dict[str, Any]:
    weights = rows["_weight"].to_numpy()
    row: dict[str, Any] = {}
    for name in columns:
        if name in KEYS or name in FIGURES:
            continue
        column = rows[name]
        if name in ADDED:
            row[name] = column.sum(min_count=1)
        elif pd.api.types.is_numeric_dtype(column):
            mean = _mean(column.to_numpy(np.float64), weights)
            row[name] = float(mean > 0.5) if name in MARKS and not np.isnan(mean) else mean
        else:
            row[name] = _word(column)
    return row | _figures(rows, weights)


def _figures(rows: pd.DataFrame, weights: npt.NDArray[np.float64]) -> dict[str, float]:
    found = dict.fromkeys(FIGURES, np.nan)
    estimates, lows, highs = rows[["estimate", "low", "high"]].to_numpy(np.float64).T
    found["estimate"], found["low"], found["high"] = pooled_figure(estimates, lows, highs, weights)
    tested = rows["p"].notna().to_numpy()
    if tested.any():
        found["p"] = combined_p_value(rows.loc[tested, "p"].to_numpy(np.float64), weights[tested])
    return found


def _mean(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> float:
    known = ~np.isnan(values)
    return float(np.average(values[known], weights=weights[known])) if known.any() else np.nan


def _word(column: "pd.Series[Any]") -> Any:
    different = [word for word in dict.fromkeys(column.dropna().astype(str)) if word]
    return "; ".join(different)
