"""Dose and response: how far the embedding moves as a continuous attribute is changed by more and more.

Doses are in population standard deviations, as the decision effect's own, which is ± 1. At each dose only
those images count that stay within the attribute's range, so that no dose is less than it says; their number
is told, and where it falls the images are others on average.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.config_significance import SignificanceSection
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.dataset.store import write_table
from attribute_recovery.report.figures import ACCENT, INK, QUIET, new_figure, save_figure
from attribute_recovery.significance.crosstalk import Account, account, read_edit
from attribute_recovery.significance.effect import (
    Edit,
    Edited,
    Originals,
    Pipeline,
    carry_out,
    effect_interval,
)
from attribute_recovery.statistics.inputs import FloatArray, IntArray

DOSES = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)
# Images of each dose that are read for what else moved: a mean over few is enough for a check.
READ_IMAGES = 8
MEASURE = "dose_response"
COLUMNS = (
    "recognizer",
    "attribute",
    "measure",
    "direction",
    "family",
    "level",
    "dose",
    "change",
    "unit",
    "estimate",
    "low",
    "high",
    "p",
    "q",
    "n_identities",
    "n_images",
    "achieved",
    "cross_talk",
    "cross_talk_worst",
    "cross_talk_worst_attribute",
    "cross_talk_too_much",
    "split",
    "method",
)


def choose_rows(identities: npt.NDArray[np.object_], count: int) -> IntArray:
    """Places of about `count` images among the originals, of as many people as there are: the first image of
    each, evenly, then the second, and so on."""
    people, codes = np.unique(identities.astype(str), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    turn = np.empty(len(codes), dtype=np.int64)
    counts = np.bincount(codes, minlength=len(people))
    turn[order] = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    found: list[IntArray] = []
    left = min(count, len(codes))
    for number in range(int(counts.max(initial=0))):
        rows = np.flatnonzero(turn == number)
        if left < len(rows):
            rows = rows[np.linspace(0, len(rows) - 1, left).astype(np.int64)] if left else rows[:0]
        found.append(rows)
        left -= len(rows)
    return np.sort(np.concatenate(found))


def dose_response(
    pipeline: Pipeline,
    schema: AttributeSchema,
    known: Originals,
    edited: Mapping[str, list[Edited]],
    deviations: FloatArray,
    settings: SignificanceSection,
    seed: int,
) -> list[dict[str, Any]]:
    """The response at each dose of each editable continuous attribute, one row each.

    Args:
        pipeline: edits, decodes, embeds and reads.
        schema: the attributes with their doses and ranges.
        known: the images of the decision effect; some of them are used.
        edited: its edits by attribute; those of one dose are not made again.
        deviations: population standard deviations of the encoded columns, (width,).
        settings: `dose_images` (0 for none), `cross_talk`, replicates.
        seed: of the intervals.
    """
    if settings.dose_images == 0:
        return []
    chosen = choose_rows(known.identities, settings.dose_images)
    rows = []
    for attribute in schema.continuous:
        if attribute.name not in edited:
            continue
        for dose in DOSES:
            one = _carried_out(pipeline, schema, known, edited[attribute.name], attribute, chosen, dose)
            if one is not None:
                reading = read_edit(pipeline, known, one, READ_IMAGES)
                read = account(schema, attribute.name, [reading], deviations)
                rows.append(_row(attribute, known, one, dose, read, settings, seed))
        print(f"significance: doses of {attribute.name}", flush=True)
    return rows


def _carried_out(
    pipeline: Pipeline,
    schema: AttributeSchema,
    known: Originals,
    done: list[Edited],
    attribute: Attribute,
    chosen: IntArray,
    dose: float,
) -> Edited | None:
    """The edit of those of the chosen images that can take the whole dose; None where none can."""
    place = schema.slices[attribute.name].start
    target = known.current[:, place] + np.float32(dose * attribute.dose)
    low, high = attribute.range
    rows = chosen[(target[chosen] >= low) & (target[chosen] <= high)]
    if not len(rows):
        return None
    wanted = known.current[rows].copy()
    wanted[:, place] = target[rows]
    name = "increase" if dose > 0 else "decrease"
    edit = Edit(attribute.name, name, rows, wanted, np.ones(len(rows)))
    before = [one for one in done if one.edit.direction == name]
    if abs(dose) != 1 or not before:
        return carry_out(pipeline, known, edit)
    at = np.searchsorted(before[0].edit.rows, rows)  # both rise
    return Edited(
        edit, before[0].codes[at], before[0].embeddings[at], before[0].norms[at], before[0].effects[at]
    )


def _row(
    attribute: Attribute,
    known: Originals,
    one: Edited,
    dose: float,
    found: Account,
    settings: SignificanceSection,
    seed: int,
) -> dict[str, Any]:
    people = known.identities[one.edit.rows]
    around = effect_interval(one.effects, people, n_boot=settings.bootstrap, seed=seed)
    return {
        "attribute": attribute.name,
        "measure": MEASURE,
        "direction": f"{dose:+g}",
        "family": attribute.family,
        "level": attribute.level,
        "dose": dose,
        "change": dose * attribute.dose,
        "unit": attribute.unit,
        "estimate": around.estimate,
        "low": around.low,
        "high": around.high,
        # As in the other long tables; a curve is not tested.
        "p": math.nan,
        "q": math.nan,
        "n_identities": len(np.unique(people.astype(str))),
        "n_images": len(people),
        "achieved": found.achieved,
        "cross_talk": found.cross_talk,
        "cross_talk_worst": found.worst,
        "cross_talk_worst_attribute": found.worst_attribute,
        "cross_talk_too_much": float(found.worst > settings.cross_talk),
        "split": "test",
        "method": "edited code, images that stay within the range",
    }


def dose_table(recognizer: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The table of responses, `COLUMNS`; without rows where no dose was asked for, or no
    attribute is continuous."""
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "recognizer"])
    return table.assign(recognizer=recognizer)[list(COLUMNS)]


def dose_metrics(table: pd.DataFrame) -> dict[str, Any]:
    """`dose_ratio.<attribute>`: the response to ± 2 over that to ± 1, each the mean of both ways.

    About 4 where the embedding goes straight on, less where it turns back or the attribute has had its say.
    """
    size = (
        table.assign(size=table["dose"].abs()).groupby(["attribute", "size"], sort=False)["estimate"].mean()
    )
    ratios = {}
    for name in table["attribute"].unique():
        once, twice = (float(size.get((name, each), math.nan)) for each in (1.0, 2.0))
        ratios[str(name)] = twice / once if once > 0 else math.nan
    return {"dose_ratio": ratios}


def write_doses(
    recognizer: str,
    pipeline: Pipeline,
    schema: AttributeSchema,
    edited: tuple[Originals, Mapping[str, list[Edited]]],
    deviations: FloatArray,
    settings: SignificanceSection,
    seed: int,
    paths: tuple[Path, Path],
) -> dict[str, Any]:
    """Write the table (Parquet) and its picture (PNG) to these paths; arguments as for `dose_response`.

    Returns:
        The metrics.
    """
    rows = dose_response(pipeline, schema, *edited, deviations, settings, seed)
    table = dose_table(recognizer, rows)
    write_table(table, paths[0])
    draw_doses(table, paths[1])
    return dose_metrics(table)


def draw_doses(table: pd.DataFrame, path: Path) -> None:
    """Write a panel for each attribute: the response at each dose with its interval; hollow marks have too
    much cross-talk.

    Args:
        table: see `dose_table`.
        path: PNG file.
    """
    names = [str(name) for name in table["attribute"].unique()]
    columns = min(5, max(1, len(names)))
    rows = max(1, math.ceil(len(names) / columns))
    height = 0.5 + 1.7 * rows
    figure, axes = new_figure(2.2 * columns, height, rows, columns)
    # Panels of one size need no layout to be sought, which takes as long as all of the drawing.
    figure.set_layout_engine(None)
    figure.subplots_adjust(0.05, 0.32 / height, 0.99, 1 - 0.65 / height, 0.25, 0.4)
    grid = np.asarray(axes, dtype=object).reshape(-1)
    highest = float(table[["estimate", "high"]].max().max()) if len(table) else 1.0
    for axis, name in zip(grid, names, strict=False):
        _draw_panel(axis, table[table["attribute"] == name], name, highest)
    for axis in grid[len(names) :]:
        axis.set_axis_off()
    told = (
        "Mean of 1 − cos against the dose in population sd; bars: 95 % intervals; hollow: too much cross-talk"
    )
    figure.suptitle(
        told if len(names) else "No continuous attribute was changed by several doses", fontsize=8
    )
    save_figure(figure, path)


def _draw_panel(axis: Any, curve: pd.DataFrame, name: str, highest: float) -> None:
    # Nothing changed, nothing moved: the curve goes through the origin by definition.
    doses = np.append(curve["dose"].to_numpy(np.float64), 0.0)
    order = np.argsort(doses)
    values = np.append(curve["estimate"].to_numpy(np.float64), 0.0)
    axis.plot(doses[order], values[order], color=ACCENT, linewidth=1.2)
    axis.axvline(0, color=QUIET, linewidth=0.6)
    for row in curve.to_dict("records"):
        if np.isfinite([row["low"], row["high"]]).all():
            axis.plot([row["dose"]] * 2, [row["low"], row["high"]], color=ACCENT, linewidth=1.0)
        face = "white" if row["cross_talk_too_much"] else ACCENT
        axis.plot(row["dose"], row["estimate"], "o", markersize=3.5, color=ACCENT, markerfacecolor=face)
    axis.set(ylim=(0, 1.05 * max(highest, 1e-9)), xlim=(-2.3, 2.3))
    axis.tick_params(labelsize=7)
    axis.set_title(name.replace("_", " "), fontsize=9, color=INK)
