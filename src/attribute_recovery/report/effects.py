"""The decision effect in more detail on the page: how it differs between people, how it grows with the dose,
and which edits moved too much besides."""

import numpy as np
import pandas as pd

from attribute_recovery.report import sentences as say
from attribute_recovery.report.blocks import Block, Cell, Table, Text
from attribute_recovery.report.domain import absent, picture
from attribute_recovery.report.results import Results
from attribute_recovery.report.tables import finite, name_cell

QUANTILES = (0.1, 0.5, 0.9)
CONTRIBUTIONS = "{}/significance/contributions.parquet"
PARTS = ("measure", "attribute", "direction", "identity", "n", "total")
DOSES = "<recognizer>/significance/dose_response.parquet"
PLOT = "<recognizer>/significance/dose_response.png"
CAPTION = "How far the embedding moves at several doses of each continuous attribute, in standard deviations."
NO_DOSES = (
    "No response to several doses: no continuous attribute is edited, or significance.dose_images is 0."
)
DOSE_COLUMNS = frozenset({"attribute", "dose", "estimate", "low", "high", "n_images", "cross_talk_too_much"})


def effect_blocks(results: Results, name: str) -> list[Block]:
    """The effect by person and by dose."""
    people = results.table(CONTRIBUTIONS.format(name))
    blocks: list[Block] = []
    if people is None or not set(people.columns) >= set(PARTS):
        results.faults.setdefault(CONTRIBUTIONS.format(name), "lacks columns")
        blocks += absent(results, CONTRIBUTIONS.format("<recognizer>"), name)
    elif (table := people_table(people)) is not None:
        blocks.append(table)
    doses = results.table(DOSES.replace("<recognizer>", name))
    if doses is None or not set(doses.columns) >= DOSE_COLUMNS:
        results.faults.setdefault(DOSES.replace("<recognizer>", name), "lacks columns")
        return [*blocks, *absent(results, DOSES, name), *picture(results, PLOT, CAPTION, name)]
    if not len(doses):
        return [*blocks, Text(NO_DOSES)]
    return [*blocks, *picture(results, PLOT, CAPTION, name), doses_table(doses)]


def people_table(parts: pd.DataFrame) -> Table | None:
    """How the decision effect is spread over people: quantiles of each person's mean, nobody named."""
    rows = parts[(parts["measure"] == "decision_effect") & (parts["direction"] == "")]
    if not len(rows):
        return None
    means = rows.assign(mean=rows["total"] / rows["n"])
    shown = []
    order = (
        means.groupby("attribute", sort=False)["mean"].median().sort_values(ascending=False, kind="stable")
    )
    for name in order.index:
        values = means.loc[means["attribute"] == name, "mean"].to_numpy(np.float64)
        low, median, high = np.quantile(values, QUANTILES)
        ratio = high / low if low > 0 else float("nan")
        cells = [Cell(say.number(float(value))) for value in (values.mean(), low, median, high)]
        times = Cell(say.number(ratio, 2) if np.isfinite(ratio) else "—")
        shown.append([name_cell(str(name)), *cells, times, Cell(f"{len(values):,}")])
    header = [
        "attribute",
        "mean",
        "10 % of people below",
        "half below",
        "90 % below",
        "90 % over 10 %",
        "people",
    ]
    note = (
        "Each person's mean of 1 − cosine over their images, so part of the spread is that of few images of "
        "each."
    )
    return Table("Decision effect from person to person", header, shown, note=note, folded=True)


def doses_table(doses: pd.DataFrame) -> Table:
    """The response at each dose, an attribute a row; marked where the edit moved too much besides."""
    wanted = sorted(float(dose) for dose in doses["dose"].unique())
    shown = []
    for name, rows in doses.groupby("attribute", sort=False):
        found = {float(row["dose"]): row for row in rows.to_dict("records")}
        cells = []
        for dose in wanted:
            row = found.get(dose)
            if row is None:
                cells.append(Cell("—", "no image can take it"))
                continue
            marked = bool(row["cross_talk_too_much"])
            text = say.cell(finite(row["estimate"]), (finite(row["low"]), finite(row["high"])))
            images = say.counted(int(row["n_images"]), "image", "images")
            cells.append(
                Cell(text, f"{images}, cross-talk" if marked else images, "bad" if marked else "plain")
            )
        shown.append([name_cell(str(name)), *cells])
    header = ["attribute", *(f"{say.fixed(dose, 1)} sd" for dose in wanted)]
    note = (
        "Mean of 1 − cosine over the images that stay within the attribute's range, with 95 % intervals. "
        "Marked “cross-talk”: another attribute moved by more than the configuration allows unmarked."
    )
    return Table("Dose and response of continuous attributes", header, shown, note=note, folded=True)


def cross_talk_sentence(frame: pd.DataFrame) -> str:
    """Which effects are of edits that moved another attribute too much; empty where that was not measured."""
    if "cross_talk_too_much" not in frame:
        return ""
    overall = frame[frame["direction"].fillna("") == ""]
    marked = overall[pd.to_numeric(overall["cross_talk_too_much"], errors="coerce") > 0]
    if not len(marked):
        return "No edit moved another attribute by so much that its effect is marked."
    named = [
        f"{say.words(str(row['attribute']))} ({say.words(str(row['cross_talk_worst_attribute']))} by "
        f"{say.number(finite(row['cross_talk_worst']), 2)} sd)"
        for row in marked.to_dict("records")
    ]
    return (
        f"Marked as not of this attribute alone, since the edit moved another one too: {say.listed(named)}."
    )
