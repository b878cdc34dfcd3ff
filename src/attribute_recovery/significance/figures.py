"""Figures of the stage: the three measures of every attribute, and what the edits look like."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.report.figures import (
    ACCENT,
    INK,
    QUIET,
    SECOND,
    new_figure,
    save_figure,
)
from attribute_recovery.significance.effect import Edited, Originals

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

PANELS = {
    "retained_information": ("Retained information", "Theil's U or informational R²"),
    "identity_share": ("Identity share", "between / (between + within)"),
    "decision_effect": ("Decision effect", "mean of 1 − cos"),
}
DIFFERENCES = {
    "retained_information": ("Retained information", "nats"),
    "identity_share": ("Identity share", "between / (between + within)"),
    "decision_effect": ("Decision effect", "mean of 1 − cos"),
}
SIGNIFICANT = 0.05
FACES = 2
# More rows of panels would make a picture that nobody reads; the table has all pairs.
MOST_PAIRS = 6


def draw_significance(table: pd.DataFrame, schema: AttributeSchema, path: Path) -> None:
    """Write the three measures side by side, attributes by family; filled marks have q < 0.05.

    Args:
        table: the long table; only rows without direction are drawn.
        schema: the attributes.
        path: PNG file.
    """
    names, families = _by_family(schema)
    figure, axes = new_figure(11.0, 1.3 + 0.24 * len(names), 1, 3)
    for axis, (measure, (title, label)) in zip(axes, PANELS.items(), strict=True):
        rows = table[(table["measure"] == measure) & (table["direction"] == "")]
        for _, row in rows.iterrows():
            _draw_row(axis, row, names.index(row["attribute"]), measure)
        axis.set(title=title, xlabel=label, ylim=(len(names) - 0.5, -0.5))
        axis.axvline(0, color=QUIET, linewidth=0.8)
        _draw_families(axis, families, axis is axes[2])
        axis.set_yticks([])
    axes[0].set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    figure.suptitle("Filled: q < 0.05 within the measure. Bars: 95 % intervals over identities.", fontsize=8)
    save_figure(figure, path)


def draw_comparison(table: pd.DataFrame, schema: AttributeSchema, path: Path) -> None:
    """Write the differences of each pair of recognizers, a row of three panels each; filled have q < 0.05.

    Args:
        table: differences; only rows without direction are drawn, and of pairs the first `MOST_PAIRS`.
        schema: the attributes.
        path: PNG file.
    """
    names, families = _by_family(schema)
    pairs = list(dict.fromkeys(zip(table["recognizer"], table["other"], strict=True)))[:MOST_PAIRS]
    figure, axes = new_figure(11.0, (1.3 + 0.24 * len(names)) * len(pairs), len(pairs), len(PANELS))
    grid = np.asarray(axes, dtype=object).reshape(len(pairs), len(PANELS))
    for row, (name, other) in zip(grid, pairs, strict=True):
        of_pair = table[
            (table["recognizer"] == name) & (table["other"] == other) & (table["direction"] == "")
        ]
        for axis, (measure, (title, label)) in zip(row, DIFFERENCES.items(), strict=True):
            for _, found in of_pair[of_pair["measure"] == measure].iterrows():
                _draw_difference(axis, found, names.index(found["attribute"]))
            axis.set(title=title, xlabel=f"{name} less {other}: {label}", ylim=(len(names) - 0.5, -0.5))
            axis.axvline(0, color=QUIET, linewidth=0.8)
            _draw_families(axis, families, axis is row[-1])
            axis.set_yticks([])
        row[0].set_yticks(range(len(names)), [each.replace("_", " ") for each in names])
    figure.suptitle(
        "Filled: q < 0.05 within the measure. Bars: 95 % intervals, people resampled for both.", fontsize=8
    )
    save_figure(figure, path)


def _by_family(schema: AttributeSchema) -> tuple[list[str], list[str]]:
    """Names of all attributes, family by family, and the family of each."""
    families = list(dict.fromkeys(attribute.family for attribute in schema))
    ordered = sorted(schema, key=lambda attribute: families.index(attribute.family))
    return [attribute.name for attribute in ordered], [attribute.family for attribute in ordered]


def _draw_difference(axis: Any, row: "pd.Series[Any]", place: int) -> None:
    ends = [float(row[column]) for column in ("low", "high")]
    if not np.isfinite(row["estimate"]):
        return
    if np.isfinite(ends).all():
        axis.plot(ends, [place, place], color=ACCENT, linewidth=1.2)
    colour = SECOND if np.isfinite(row["q"]) and row["q"] < SIGNIFICANT else "white"
    axis.plot(row["estimate"], place, "o", markersize=4.5, markerfacecolor=colour, markeredgecolor=SECOND)


def _draw_row(axis: Any, row: "pd.Series[Any]", place: int, measure: str) -> None:
    columns = (
        ("scaled", "scaled_low", "scaled_high")
        if measure == "retained_information"
        else ("estimate", "low", "high")
    )
    estimate, low, high = (float(row[column]) for column in columns)
    if not np.isfinite(estimate):
        return
    found = np.isfinite(row["q"]) and row["q"] < SIGNIFICANT
    # Negative estimates stay in the table; here they would only stretch the axis.
    ends = np.clip([low, high], 0.0, None)
    if np.isfinite(ends).all():
        axis.plot(ends, [place, place], color=ACCENT, linewidth=1.2)
    colour = SECOND if found else "white"
    axis.plot(max(estimate, 0.0), place, "o", markersize=4.5, markerfacecolor=colour, markeredgecolor=SECOND)


def _draw_families(axis: Any, families: Sequence[str], with_names: bool) -> None:
    for family in dict.fromkeys(families):
        places = [place for place, name in enumerate(families) if name == family]
        if places[0]:
            axis.axhline(places[0] - 0.5, color=QUIET, linewidth=0.5)
        if with_names:
            axis.text(
                1.02,
                np.mean(places),
                family,
                transform=axis.get_yaxis_transform(),
                rotation=0,
                va="center",
                color=INK,
            )


def draw_edits(
    edited: dict[str, list[Edited]], known: Originals, reconstruct: Callable[[Floats], Images], path: Path
) -> None:
    """Write two faces for each attribute: one direction, the unchanged reconstruction, the other direction.

    A direction that a face cannot take (adding what is there) shows the reconstruction; of several classes
    the first two others are shown.

    Args:
        edited: edits by attribute.
        known: the images.
        reconstruct: codes (n, code_size) to images (n, side, side, 3) uint8.
        path: PNG file.
    """
    people = np.unique(known.identities, return_index=True)[1][:FACES]
    codes = np.concatenate([_triples(found, known, people) for found in edited.values()])
    images = reconstruct(codes)
    side, columns = images.shape[1], 3 * len(people)
    mosaic = images.reshape(len(edited), columns, side, side, 3).swapaxes(1, 2)
    figure, axis = new_figure(1.6 + 0.75 * columns, 0.6 + 0.75 * len(edited))
    axis.imshow(mosaic.reshape(len(edited) * side, columns * side, 3), interpolation="nearest")
    axis.set_yticks((np.arange(len(edited)) + 0.5) * side, [name.replace("_", " ") for name in edited])
    names = ["less / other", "as it is", "more / other"] * len(people)
    axis.set_xticks((np.arange(columns) + 0.5) * side, names, fontsize=8)
    axis.tick_params(length=0, labeltop=True, labelbottom=False)
    axis.spines[:].set_visible(False)
    figure.suptitle("One attribute changed in code space, decoded", fontsize=10)
    save_figure(figure, path, faces=True)


def _triples(edited: list[Edited], known: Originals, faces: npt.NDArray[np.int64]) -> Floats:
    """Codes (3 × faces, code_size): decreased or removed, as it is, increased or added."""
    triples = []
    for face in faces:
        found = {
            one.edit.direction: one.codes[int(np.flatnonzero(one.edit.rows == face)[0])]
            for one in edited
            if face in one.edit.rows
        }
        less = [found[name] for name in ("decrease", "remove") if name in found]
        more = [found[name] for name in ("increase", "add") if name in found]
        others = [code for name, code in found.items() if name.startswith("to_")]
        same = known.codes[face]
        left, right = (less or others[:1] or [same])[0], (more or others[1:2] or [same])[0]
        triples += [left, same, right]
    return np.stack(triples)
