"""The three measures of what an attribute weighs: their words, their tables, and what stands out in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from attribute_recovery.report import sentences as say
from attribute_recovery.report.blocks import Cell, Table
from attribute_recovery.report.labels import known_words, reason_of
from attribute_recovery.report.results import Values, interval_of, real
from attribute_recovery.report.tables import finite, name_cell

SIGNIFICANT = 0.05
NEEDED = frozenset({"attribute", "measure", "direction", "estimate", "low", "high", "p", "q"})


@dataclass(frozen=True)
class Column:
    """A column of the long table that is shown beside the estimate.

    Attributes:
        name: in the table; its ends, where there are any, are `<name>_low` and `<name>_high`.
        title: as heading.
        percent: whether it is a share that is shown in percent.
        beside: another column, of words, that is set in small below it.
        intervals: mapping in the stage's metrics that holds its interval under `<attribute>.<name>`.
        marked: column that is above 0 where the value is marked as too much.
        by_direction: whether it is shown beside the rows with a direction, too.
    """

    name: str
    title: str
    percent: bool = False
    beside: str = ""
    intervals: str = ""
    marked: str = ""
    by_direction: bool = False


@dataclass(frozen=True)
class Measure:
    """One of the three measures.

    Attributes:
        name: in the table.
        title: in words.
        about: what it asks, and how far it can be read.
        estimate: what the estimate is, as heading.
        columns: what else is shown.
    """

    name: str
    title: str
    about: str
    estimate: str
    columns: tuple[Column, ...] = ()


def known_measures() -> tuple[Measure, ...]:
    """The three measures in order."""
    return (
        Measure(
            "retained_information",
            "Retained information",
            "How much of the attribute the embedding holds, as information in nats: a lower bound, estimated "
            "from held-out log losses. What is told without the embedding, since test has the attribute "
            "otherwise than train, is in it, and marked where it is much. Only nats are compared across "
            "kinds of attribute. An attribute can be held and yet hardly move a decision.",
            "information, nats",
            (
                Column("scaled", "own scale", beside="scale"),
                Column("shift_nats", "told without z, nats", marked="shift_too_much"),
            ),
        ),
        Measure(
            "identity_share",
            "Identity share",
            "Whether the embedding holds the attribute as part of who somebody is (between people) or of how "
            "one image looks (within a person): between / (between + within). Between counts only what "
            "different images of a person have in common, so a passing state has none, however well it is "
            "read. Any read-out of an embedding clusters by person, so of the intraclass correlation (ICC) "
            "of the recovered attribute only the excess over read-outs trained on permuted labels is "
            "interpreted.",
            "between / (between + within)",
            (
                Column("between_nats", "between, nats"),
                Column("within_nats", "within, nats"),
                Column("icc_true", "ICC, true values"),
                Column("icc_recovered", "ICC, recovered"),
                Column("icc_permuted", "ICC, permuted labels"),
                Column("icc_excess", "excess"),
            ),
        ),
        Measure(
            "decision_effect",
            "Decision effect",
            "How far the embedding moves (mean of 1 − cosine) and how many decisions flip when "
            "this attribute alone changes in the image. Both sides are decoded, so the generator's error is "
            "not counted; flips are net of those that reconstruction alone causes, and may be negative. The "
            "dose is one population standard deviation for a continuous attribute, another class for a "
            "discrete one; p comes from placebo edits of the same size. Cross-talk says how far the other "
            "attributes moved; where one of them moved too much, it is marked.",
            "1 − cosine",
            (
                Column("placebo_effect", "of placebo edits"),
                Column("genuine_lost", "genuine lost, %", percent=True, intervals="flips"),
                Column("genuine_gained", "genuine gained, %", percent=True, intervals="flips"),
                Column("impostor_gained", "impostor gained, %", percent=True, intervals="flips"),
                Column("impostor_lost", "impostor lost, %", percent=True, intervals="flips"),
                Column("achieved", "part of the dose reached"),
                Column(
                    "cross_talk",
                    "cross-talk, sd",
                    beside="cross_talk_worst_attribute",
                    marked="cross_talk_too_much",
                    by_direction=True,
                ),
            ),
        ),
    )


def measures_of(frame: pd.DataFrame) -> list[tuple[Measure, pd.DataFrame]]:
    """Rows of the long table by measure, the known measures first."""
    known = {measure.name: measure for measure in known_measures()}
    present = list(dict.fromkeys(str(each) for each in frame["measure"]))
    ordered = [name for name in known if name in present] + [name for name in present if name not in known]
    return [
        (
            known.get(name, Measure(name, say.words(name).capitalize(), "", "estimate")),
            frame[frame["measure"] == name],
        )
        for name in ordered
    ]


def overall(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows without direction, one an attribute; all rows where each has a direction."""
    chosen = frame[frame["direction"].fillna("") == ""]
    return chosen if len(chosen) else frame


def measure_table(measure: Measure, frame: pd.DataFrame, metrics: Values) -> Table:
    """One measure, an attribute a row, the largest estimate first.

    Args:
        measure: the measure.
        frame: its rows of the long table.
        metrics: of the stage significance, for intervals that the table has no place for.

    Returns:
        The table.
    """
    rows = overall(frame).sort_values(["estimate", "attribute"], ascending=[False, True])
    columns = _filled(measure.columns, rows)
    shown = [
        [name_cell(str(row["attribute"]), _attribute_note(row, metrics)), estimate_cell(row)]
        + [_column_cell(column, row, metrics) for column in columns]
        for row in rows.to_dict("records")
    ]
    header = ["attribute", measure.estimate, *(column.title for column in columns)]
    return Table(f"{measure.title} ({basis_of(rows)})", header, shown)


def _attribute_note(row: Mapping[Any, Any], metrics: Values) -> str:
    """Why there is no estimate; or, where it is not known on all images, on how many the attribute is."""
    edited = row.get("measure") == "decision_effect"
    return reason_of(row.get("method")) or ("" if edited else known_words(metrics, str(row["attribute"])))


def direction_table(measure: Measure, frame: pd.DataFrame) -> Table | None:
    """The rows with a direction, such as one attribute increased; None where there are none."""
    rows = frame[frame["direction"].fillna("") != ""]
    if not len(rows) or len(overall(frame)) == len(frame):
        return None
    rows = rows.sort_values(["attribute", "direction"])
    columns = [column for column in _filled(measure.columns, rows) if column.percent or column.by_direction]
    shown = [
        [name_cell(str(row["attribute"]), say.words(str(row["direction"]))), estimate_cell(row)]
        + [_column_cell(column, row, {}) for column in columns]
        for row in rows.to_dict("records")
    ]
    header = ["attribute, change", measure.estimate, *(column.title for column in columns)]
    return Table(f"{measure.title} by direction of the change", header, shown, folded=True)


def _filled(columns: Sequence[Column], frame: pd.DataFrame) -> list[Column]:
    return [column for column in columns if column.name in frame and frame[column.name].notna().any()]


def estimate_cell(row: Mapping[Any, Any]) -> Cell:
    """Estimate with interval, below it p and q; strong where q is below 0.05."""
    q = finite(row.get("q"))
    tested = " · ".join(part for part in (say.p_value(finite(row.get("p"))), say.q_value(q)) if part)
    text = say.cell(finite(row.get("estimate")), (finite(row.get("low")), finite(row.get("high"))))
    return Cell(text, tested, "strong" if q is not None and q < SIGNIFICANT else "weak")


def _column_cell(column: Column, row: Mapping[Any, Any], metrics: Values) -> Cell:
    value, factor = finite(row.get(column.name)), 100.0 if column.percent else 1.0
    ends: Sequence[float | None] | None
    if column.intervals:
        ends = interval_of(metrics, f"{column.intervals}.{row.get('attribute')}.{column.name}")
    else:
        ends = [finite(row.get(f"{column.name}_{end}")) for end in ("low", "high")]
    beside = str(row.get(column.beside) or "")
    note = {"theils_u": "U", "informational_r2": "R²"}.get(beside, f"most: {say.words(beside)}")
    known = [end for end in ends or [] if end is not None]
    scaled = [factor * end for end in known] if len(known) == 2 else None
    text = say.cell(None if value is None else factor * value, scaled)
    if column.marked and (finite(row.get(column.marked)) or 0) > 0:
        return Cell(text, f"too much: {say.words(beside)}" if beside else "too much", "bad")
    return Cell(text, note if beside else "")


def measure_sentence(measure: Measure, frame: pd.DataFrame) -> str:
    """For how many attributes a measure stands out, and for which most."""
    rows = overall(frame)
    q = pd.to_numeric(rows["q"], errors="coerce")
    tested = int(pd.to_numeric(rows["p"], errors="coerce").notna().sum())
    found = rows[q < SIGNIFICANT].sort_values(["estimate", "attribute"], ascending=[False, True])
    names = [say.words(str(name)) for name in found["attribute"][:3]]
    return say.strongest(measure.title, names, len(found), tested, len(rows) - tested)


def basis_of(frame: pd.DataFrame) -> str:
    """Split and counts of rows with an estimate; a range where they differ."""
    if "method" in frame:
        frame = frame[[not reason_of(method) for method in frame["method"]]]
    splits = sorted({str(each) for each in frame["split"].dropna()}) if "split" in frame else []
    parts = [" and ".join(splits) or "split not said"]
    for column, things in (("n_identities", "people"), ("n_images", "images")):
        if column not in frame:
            continue
        counts = pd.to_numeric(frame[column], errors="coerce").dropna()
        if len(counts):
            low, high = int(counts.min()), int(counts.max())
            parts.append(f"{low:,} {things}" if low == high else f"{low:,} to {high:,} {things}")
    return ", ".join(parts)


def reconstruction_sentence(metrics: Values) -> str:
    """How far reconstruction alone moves the embedding; empty where that was not measured."""
    key = "reconstruction_distance"
    if real(metrics, key) is None:
        return ""
    return (
        f"Reconstruction alone, f(x) against f(G(E(x))), moves the embedding by "
        f"{say.quantity(real(metrics, key), interval_of(metrics, key))} in 1 − cosine."
    )
