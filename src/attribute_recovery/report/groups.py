"""Error rates by attribute group on the page: what is observed, what an intervention does, and where and why
the two disagree."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from attribute_recovery.report import sentences as say
from attribute_recovery.report.blocks import Block, Cell, Points, Table, Text
from attribute_recovery.report.domain import absent, picture
from attribute_recovery.report.results import Results
from attribute_recovery.report.tables import finite, name_cell

SIGNIFICANT = 0.05
RATES = {"fnmr": "FNMR", "fmr": "FMR"}
NEEDED = frozenset(
    {
        "attribute",
        "measure",
        "direction",
        "estimate",
        "low",
        "high",
        "p",
        "q",
        "n_identities",
        "n_images",
        "detectable",
        "contrast",
        "unlike",
        "verdict",
        "note",
    }
)
DISAGREE = ("observed only", "interventional only", "opposite")
# Disagreements told in full; the table has all.
MOST_TOLD = 8
ABOUT = (
    "FNMR and FMR at τ of pairs whose images are both in one group: a class, or the lowest and the highest "
    "third of a continuous attribute; and of pairs of two groups (“different”). Observed groups also differ "
    "in what else these people are. So beside each difference stand two others: between the same groups, "
    "weighted so that they are alike in all other declared attributes; and the interventional one, for which "
    "the attribute alone was changed, every image once into each group (a continuous one a dose down or up)."
)
READING = (
    "Differences in percentage points, with 95 % intervals from resampling people (both sides of a pair in "
    "one draw). p of what is observed permutes groups between people, or between the images of "
    "each; q is within each column and rate. “Found with 80 %”: the smallest difference that a test at 0.05 "
    "would find here four times out of five. Set in bold: q < 0.05."
)

Row = Mapping[Any, Any]
Rows = dict[tuple[str, str, str], Row]


def group_blocks(results: Results, name: str) -> list[Block]:
    """Everything about error rates by group of one recognizer."""
    frame = group_frame(results, name)
    blocks: list[Block] = [Text(ABOUT)]
    curves = picture(
        results,
        "<recognizer>/significance/groups.png",
        "Detection error trade-off by group, for the attributes whose rates differ most surely.",
        name,
    )
    if frame is None:
        return [*blocks, *absent(results, "<recognizer>/significance/groups.parquet", name), *curves]
    rows = _by_key(frame)
    blocks.append(Points([difference_sentence(frame, rate) for rate in RATES]))
    told = disagreements(rows)
    blocks.append(Text("Where observation and intervention disagree:" if told else agreement(frame)))
    blocks += [Points(told)] if told else []
    blocks += curves
    blocks += [table for rate in RATES if (table := differences_table(frame, rows, rate))]
    blocks.append(Text(READING))
    return blocks + [table for rate in RATES if (table := rates_table(frame, rate))]


def agreement(frame: pd.DataFrame) -> str:
    """What to say where no disagreement was found: it takes a test on both sides to find one."""
    compared = int(frame["verdict"].isin(["both", "neither"]).sum())
    if not compared:
        return "Observation and intervention cannot be compared: no difference was tested on both sides."
    tested = say.counted(compared, "difference", "differences")
    return f"Of {tested} tested on both sides, observation and intervention disagree on none at q < 0.05."


def group_frame(results: Results, name: str) -> pd.DataFrame | None:
    """The table of rates by group; None where it is missing, unreadable or lacks columns."""
    path = f"{name}/significance/groups.parquet"
    frame = results.table(path)
    if frame is None or not set(frame.columns) >= NEEDED:
        results.faults.setdefault(path, "lacks columns")
        return None
    return frame


def _by_key(frame: pd.DataFrame) -> Rows:
    keys = zip(frame["attribute"], frame["measure"], frame["direction"], strict=True)
    return dict(zip([(str(a), str(m), str(d)) for a, m, d in keys], frame.to_dict("records"), strict=True))


def difference_sentence(frame: pd.DataFrame, rate: str) -> str:
    """For how many contrasts a rate differs, and for which most."""
    rows = frame[frame["measure"] == f"{rate}_difference"]
    tested = pd.to_numeric(rows["p"], errors="coerce").notna()
    found = rows[pd.to_numeric(rows["q"], errors="coerce") < SIGNIFICANT]
    found = found.assign(size=found["estimate"].abs()).sort_values("size", ascending=False, kind="stable")
    text = (
        f"{RATES[rate]}: q < 0.05 for {len(found):,} of "
        f"{say.counted(int(tested.sum()), 'difference', 'differences')} tested"
    )
    named = [
        f"{say.words(str(row['attribute']))}, {say.words(str(row['direction']))} ({_points(row)})"
        for row in found.head(3).to_dict("records")
    ]
    if named:
        text += f"; the largest: {'; '.join(named)}"
    if (~tested).any():
        text += f"; not testable: {int((~tested).sum()):,}"
    return f"{text}."


def disagreements(rows: Rows) -> list[str]:
    """One sentence or two for each observed difference that the interventional one does not share."""
    found = [
        disagreement(
            row,
            rows.get((name, f"{measure}_matched", direction), {}),
            rows.get((name, f"{measure}_interventional", direction), {}),
        )
        for (name, measure, direction), row in rows.items()
        if row["verdict"] in DISAGREE
    ]
    left = len(found) - MOST_TOLD
    return found if left <= 0 else [*found[:MOST_TOLD], f"{left:,} more are in the tables."]


def disagreement(observed: Row, matched: Row, given: Row) -> str:
    """What both say of one contrast, and why they may differ.

    Args:
        observed: row of the observed difference, with its verdict.
        matched: of the same between groups made alike; may be empty.
        given: of the interventional one.
    """
    rate = RATES[str(observed["measure"]).removesuffix("_difference")]
    lead = f"{rate}, {say.words(str(observed['attribute']))}, {say.words(str(observed['direction']))}: "
    both = f"observed {_points(observed)}, by intervention {_points(given)}. "
    if observed["verdict"] == "interventional only":
        return lead + both + _unseen(observed, given)
    return lead + both + _confounded(observed, matched, given)


def _unseen(observed: Row, given: Row) -> str:
    """Why an effect is not seen between groups."""
    least, effect = finite(observed.get("detectable")), finite(given.get("estimate"))
    people = say.counted(int(observed["n_identities"]), "person", "people")
    if least is not None and effect is not None and abs(effect) < least:
        return f"Among {people} only a difference of {_percent(least)} or more is found with 80 %."
    if observed.get("unlike"):
        return f"The groups also differ in {_unlike(observed)}, which can hide it."
    return "The groups differ in nothing else that is declared; what hides it is not declared, or chance."


def _confounded(observed: Row, matched: Row, given: Row) -> str:
    """Why groups differ where the attribute alone does nothing, or the opposite."""
    if not observed.get("unlike"):
        doses = [say.number(finite(row.get("contrast")), 2) for row in (observed, given)]
        apart = "" if doses[0] == doses[1] else f" (groups lie {doses[0]} doses apart, edits {doses[1]})"
        return (
            "The groups differ in nothing else that is declared by more than chance: the cause is something "
            f"that is not declared, or more of the attribute than the edit changes{apart}."
        )
    text = f"The groups also differ in {_unlike(observed)}; "
    if matched.get("note"):
        return f"{text}whether that is why cannot be told: {matched['note']}."
    left = f"made alike in all that is declared, {_points(matched)} are left"
    kept = finite(matched.get("q"))
    verdict = (
        "so more than these is behind it" if kept is not None and kept < SIGNIFICANT else "no longer found"
    )
    return f"{text}{left} ({say.p_value(finite(matched.get('p')))}), {verdict}."


def _unlike(row: Row) -> str:
    """The other attributes, "skin tone (+0.52 sd) and beard (−0.31 sd)"."""
    parts = [part.rsplit(" ", 1) for part in str(row["unlike"]).split(", ")]
    return say.listed([f"{say.words(name)} ({gap.replace('-', '−')} sd)" for name, gap in parts])


def _percent(share: float) -> str:
    return f"{say.number(100 * share, 2)} points"


def _points(row: Row) -> str:
    """A difference in percentage points with its interval."""
    value, low, high = (finite(row.get(name)) for name in ("estimate", "low", "high"))
    scaled = [None if end is None else 100 * end for end in (low, high)]
    return say.quantity(None if value is None else 100 * value, scaled, "percentage points")


def differences_table(frame: pd.DataFrame, rows: Rows, rate: str) -> Table | None:
    """A contrast a row: observed, matched, interventional, what could have been found, and the verdict."""
    measure = f"{rate}_difference"
    chosen = frame[frame["measure"] == measure]
    if not len(chosen):
        return None
    surest = chosen.assign(order=pd.to_numeric(chosen["p"], errors="coerce").fillna(2.0))
    shown = []
    for row in surest.sort_values(["order", "attribute"], kind="stable").to_dict("records"):
        name, direction = str(row["attribute"]), str(row["direction"])
        others = [rows.get((name, f"{measure}_{kind}", direction)) for kind in ("matched", "interventional")]
        least = finite(row["detectable"])
        shown.append(
            [
                name_cell(name, say.words(direction)),
                _cell(row),
                *(Cell("—", "not edited") if other is None else _cell(other) for other in others),
                Cell("—" if least is None else say.number(100 * least, 2)),
                Cell(str(row["verdict"]), kind="bad" if row["verdict"] in DISAGREE else "plain"),
            ]
        )
    header = [
        "attribute, groups",
        "observed",
        "groups made alike",
        "by intervention",
        "found with 80 %",
        "both say",
    ]
    return Table(f"{RATES[rate]}: differences between groups, percentage points", header, shown)


def _cell(row: Row) -> Cell:
    value, low, high = (finite(row.get(name)) for name in ("estimate", "low", "high"))
    q, note = finite(row.get("q")), str(row.get("note") or "")
    if value is None:
        return Cell("—", note, "weak")
    tested = " · ".join(part for part in (say.p_value(finite(row.get("p"))), say.q_value(q)) if part)
    ends = (None if low is None else 100 * low, None if high is None else 100 * high)
    strong = q is not None and q < SIGNIFICANT
    beside = f"{tested}; {note}" if note else tested
    return Cell(say.cell(100 * value, ends), beside, "strong" if strong else "weak")


def rates_table(frame: pd.DataFrame, rate: str) -> Table | None:
    """The rate of each group."""
    chosen = frame[frame["measure"] == rate]
    if not len(chosen):
        return None
    shown = []
    for row in chosen.to_dict("records"):
        ends = [None if (end := finite(row.get(name))) is None else 100 * end for name in ("low", "high")]
        value = finite(row["estimate"])
        stands = f"{int(row['n_identities']):,} people, {int(row['n_images']):,} images"
        shown.append(
            [
                name_cell(str(row["attribute"]), say.words(str(row["direction"]))),
                Cell(say.cell(None if value is None else 100 * value, ends)),
                Cell(stands),
            ]
        )
    return Table(f"{RATES[rate]} of each group, %", ["attribute, group", "rate", "on"], shown, folded=True)
