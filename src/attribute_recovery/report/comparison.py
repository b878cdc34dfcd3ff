"""Sections of the page that compare recognizers: attribute by attribute, as differences with intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from attribute_recovery.report import sentences as say
from attribute_recovery.report.blocks import Block, Cell, Points, Section, Table, Text
from attribute_recovery.report.domain import absent, picture
from attribute_recovery.report.measures import SIGNIFICANT, known_measures, overall
from attribute_recovery.report.results import Results, Values, real
from attribute_recovery.report.tables import finite, name_cell

TABLE = "significance/comparison.parquet"
NEEDED = frozenset(
    {
        "recognizer",
        "other",
        "attribute",
        "measure",
        "direction",
        "estimate",
        "low",
        "high",
        "p",
        "q",
        "recognizer_estimate",
        "other_estimate",
    }
)
FLIPS = {
    "genuine_lost": "genuine lost",
    "genuine_gained": "genuine gained",
    "impostor_gained": "impostor gained",
    "impostor_lost": "impostor lost",
}
NAMED = 3


def comparison_sections(results: Results, facts: Values) -> list[Section]:
    """What is common to all comparisons, then each pair of recognizers.

    Args:
        results: the experiment's files.
        facts: the comparison's metrics.
    """
    frame = comparison_frame(results)
    blocks: list[Block] = [
        Text(
            "Each figure of one recognizer less the same figure of another, on the same images of the same "
            "people, edited in the same way. People are resampled for both at once, so that what they have "
            "in common cancels and the interval is that of the difference. p is of no difference at all, q "
            "the same controlled for false discoveries within the measure, over all attributes and pairs of "
            "recognizers. Set in bold: q < 0.05."
        ),
        *absent(results, "significance/metrics.json"),
        *picture(results, "significance/comparison.png", "The differences in all three measures."),
    ]
    sections = [Section("comparison", "The recognizers compared", blocks)]
    if frame is None:
        blocks += absent(results, TABLE)
        return sections
    for (name, other), rows in frame.groupby(["recognizer", "other"], sort=False):
        title = f"“{name}” compared with “{other}”"
        sections.append(Section(f"comparison-{name}-{other}", title, _pair(rows, facts), 3))
    return sections


def comparison_frame(results: Results) -> pd.DataFrame | None:
    """The long table of differences; None where it is missing, unreadable or lacks columns."""
    frame = results.table(TABLE)
    if frame is None or not set(frame.columns) >= NEEDED:
        results.faults.setdefault(TABLE, "lacks columns")
        return None
    return frame


def _pair(rows: pd.DataFrame, facts: Values) -> list[Block]:
    blocks: list[Block] = [Points(pair_sentences(rows, facts))]
    measured = rows[rows["attribute"] != ""]
    if not len(measured):
        return blocks
    blocks.append(_by_attribute(measured))
    for table in (_flips(measured), _by_direction(measured)):
        blocks += [table] if table else []
    return blocks


def pair_sentences(rows: pd.DataFrame, facts: Values) -> list[str]:
    """What stands out in one pair of recognizers: its rates, and each measure."""
    name, other = str(rows["recognizer"].iloc[0]), str(rows["other"].iloc[0])
    sentences: list[str] = []
    rates = {str(row["measure"]): row for row in rows[rows["attribute"] == ""].to_dict("records")}
    fmr = real(facts, "fmr")
    leads = {
        "tar_at_same_fmr": (
            f"At a false match rate of {say.one_in(fmr)}, each with its own τ from the split that fixes "
            "thresholds, genuine pairs accepted"
        ),
        "fmr_at_same_fmr": "Impostor pairs of the test people accepted at these τ",
    }
    sentences += [_rate_sentence(leads[rate], name, other, rates[rate]) for rate in leads if rate in rates]
    for measure in known_measures():
        found = overall(rows[rows["measure"] == measure.name])
        if len(found):
            sentences.append(_measure_sentence(measure.title, found))
    for flip, title in FLIPS.items():
        found = rows[rows["measure"] == flip]
        if (pd.to_numeric(found["q"], errors="coerce") < SIGNIFICANT).any():
            sentences.append(_measure_sentence(f"Decisions that flip, {title}", found))
    return sentences


def _rate_sentence(lead: str, name: str, other: str, row: Mapping[Any, Any]) -> str:
    both = [say.percent(finite(row.get(f"{side}_estimate"))) for side in ("recognizer", "other")]
    low, high, estimate = (finite(row.get(column)) for column in ("low", "high", "estimate"))
    gap = say.quantity(_points(estimate), (_points(low), _points(high)), "percentage points")
    return f"{lead}: {both[0]} by “{name}”, {both[1]} by “{other}”; the difference is {gap}, {_tested(row)}."


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _tested(row: Mapping[Any, Any]) -> str:
    return say.p_value(finite(row.get("p")))


def _measure_sentence(title: str, rows: pd.DataFrame) -> str:
    """For how many attributes both differ, and in which most, either way."""
    tested = int(pd.to_numeric(rows["p"], errors="coerce").notna().sum())
    found = rows[pd.to_numeric(rows["q"], errors="coerce") < SIGNIFICANT]
    text = (
        f"{title}: q < 0.05 for a difference in {len(found):,} of "
        f"{say.counted(tested, 'attribute', 'attributes')} tested"
    )
    more = found[found["estimate"] > 0].sort_values(["estimate", "attribute"], ascending=[False, True])
    less = found[found["estimate"] < 0].sort_values(["estimate", "attribute"])
    name = rows["recognizer"].iloc[0]
    for way, each in (("more", more), ("less", less)):
        if len(each):
            listed = say.listed([say.words(str(found)) for found in each["attribute"][:NAMED]])
            text += f"; “{name}” has {way} of it for {listed}" + (
                " first of all" if len(each) > NAMED else ""
            )
    return f"{text}."


def _by_attribute(rows: pd.DataFrame) -> Table:
    """The three measures side by side; what differs most surely first."""
    measures = [each for each in known_measures() if (rows["measure"] == each.name).any()]
    shown = overall(rows[rows["measure"].isin([each.name for each in measures])])
    surest = (
        shown.assign(p=pd.to_numeric(shown["p"], errors="coerce").fillna(2.0)).groupby("attribute")["p"].min()
    )
    names = sorted((str(each) for each in surest.index), key=lambda each: (surest[each], each))
    cells = _cells(shown)
    table = [
        [name_cell(name), *(cells.get((name, each.name), Cell("—")) for each in measures)] for name in names
    ]
    header = ["attribute", *(f"{each.title.lower()}: {each.estimate}" for each in measures)]
    first, other = rows["recognizer"].iloc[0], rows["other"].iloc[0]
    note = (
        "With 95 % intervals. Below the difference the two figures that it is of, and q. A cosine is no unit "
        "that recognizers share, so how far embeddings move is best read beside the decisions that flip."
    )
    return Table(f"“{first}” less “{other}”, attribute by attribute", header, table, note=note)


def _cells(rows: pd.DataFrame, factor: float = 1.0) -> dict[tuple[str, str], Cell]:
    """A cell for each attribute and measure: the difference, both figures, q."""
    found = {}
    for row in rows.to_dict("records"):
        values = {
            column: None if (value := finite(row.get(column))) is None else factor * value
            for column in ("estimate", "low", "high", "recognizer_estimate", "other_estimate")
        }
        q = finite(row.get("q"))
        of = f"{_side(values['recognizer_estimate'])} against {_side(values['other_estimate'])}"
        note = " · ".join([of, say.q_value(q) or say.p_value(None)])
        text = say.cell(values["estimate"], (values["low"], values["high"]))
        kind: Any = "strong" if q is not None and q < SIGNIFICANT else "weak"
        found[str(row["attribute"]), str(row["measure"])] = Cell(text, note, kind)
    return found


def _side(value: float | None) -> str:
    return "—" if value is None else say.number(value, 2)


def _flips(rows: pd.DataFrame) -> Table | None:
    """Differences in the decisions that flip, in percentage points."""
    shown = rows[rows["measure"].isin(list(FLIPS))]
    if not len(shown):
        return None
    cells = _cells(shown, 100.0)
    names = sorted({str(each) for each in shown["attribute"]})
    table = [[name_cell(name), *(cells.get((name, flip), Cell("—")) for flip in FLIPS)] for name in names]
    header = ["attribute", *(f"{title}, %" for title in FLIPS.values())]
    note = "Net rates of the decisions that flip when this attribute alone changes, as in the tables of each."
    return Table("Differences in the decisions that flip", header, table, note=note)


def _by_direction(rows: pd.DataFrame) -> Table | None:
    """Differences in the decision effect, by direction of the change."""
    shown = rows[(rows["measure"] == "decision_effect") & (rows["direction"] != "")]
    if not len(shown):
        return None
    table: list[Sequence[Cell]] = []
    for (name, direction), each in shown.groupby(["attribute", "direction"]):
        (cell,) = _cells(each).values()
        table.append([name_cell(str(name), say.words(str(direction))), cell])
    header = ["attribute, change", "decision effect: 1 − cosine"]
    return Table("Differences in the decision effect by direction", header, table, folded=True)
