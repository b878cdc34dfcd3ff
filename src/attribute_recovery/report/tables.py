"""Tables of the page from what the stages wrote: plain rows of cells, numbers rounded by their intervals."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from attribute_recovery.report.blocks import Cell, Table
from attribute_recovery.report.goals import Judged
from attribute_recovery.report.labels import known_words
from attribute_recovery.report.privacy import Privacy
from attribute_recovery.report.results import Values, interval_of, real
from attribute_recovery.report.sentences import MISSING, cell, number, percent, share, words

NAMED_CHANGES = 3


def name_cell(name: str, note: str = "") -> Cell:
    """The first cell of a row."""
    return Cell(words(name), note, "name")


def splits_table(report: Values) -> Table | None:
    """How many people and images each split has."""
    use = {
        "recognizer": "training the recognizer, where it is trained here",
        "train": "training everything that explains it",
        "calibration": "temperatures, choices between methods, τ",
        "test": "the figures on this page, and nothing else",
    }
    splits = report.get("splits")
    if not isinstance(splits, dict):
        return None
    rows = [
        [
            name_cell(split),
            Cell(_count(counts.get("identities"))),
            Cell(_count(counts.get("images"))),
            Cell(use.get(split, "")),
        ]
        for split, counts in splits.items()
        if isinstance(counts, dict)
    ]
    return Table(
        "Splits, by identity: nobody is in two of them", ["split", "people", "images", "used for"], rows
    )


def attributes_table(declared: Iterable[Mapping[str, Any]], heads: Values) -> Table:
    """Every declared attribute, and how well it is read from real images."""
    rows = []
    for attribute in declared:
        name = str(attribute.get("name", "?"))
        r2, accuracy = real(heads, f"r2.{name}"), real(heads, f"balanced_accuracy.{name}")
        kind = "r2" if r2 is not None else "balanced_accuracy"
        value = r2 if r2 is not None else accuracy
        scale = "no labels" if real(heads, f"labelled.{name}") == 0 else _scale_words(value, r2)
        read = Cell("—" if scale == "no labels" else cell(value, interval_of(heads, f"{kind}.{name}")), scale)
        rows.append(
            [
                name_cell(name, known_words(heads, name)),
                Cell(str(attribute.get("family", ""))),
                Cell(f"{attribute.get('kind', '')}, {attribute.get('level', '')}"),
                Cell(_range_words(attribute)),
                read,
            ]
        )
    header = ["attribute", "family", "kind, level", "values", "read from real images"]
    return Table("The attributes, and how well the heads read them", header, rows)


def _range_words(attribute: Mapping[str, Any]) -> str:
    categories = attribute.get("categories")
    if categories:
        return ", ".join(str(each) for each in categories)
    ends = attribute.get("range")
    if not isinstance(ends, Sequence) or len(ends) != 2:
        return ""
    return f"{number(ends[0])} to {number(ends[1])} {attribute.get('unit', '')}".rstrip()


def _scale_words(value: float | None, r2: float | None) -> str:
    if value is None:
        return MISSING
    return "R²" if r2 is not None else "balanced accuracy"


def figures_table(judged: Sequence[Judged], several: bool) -> Table:
    """Every figure with a goal: value, interval, what it stands on, verdict in plain words."""
    rows = []
    for each in judged:
        stands_on = [
            f"{n:,} {things}"
            for n, things in ((each.people, "people"), (each.images, "images"), (each.pairs, "pairs"))
            if n is not None and not (things == "pairs" and n == each.images)
        ]
        kinds = {"reached": "good", "not reached": "bad"}
        rows.append(
            [
                Cell(each.goal.figure, each.recognizer if several else "", "name"),
                Cell(judged_value(each), interval_words(each)),
                Cell(each.goal.words()),
                Cell(each.verdict, each.because, "good" if kinds.get(each.verdict) == "good" else _bad(each)),
                Cell(each.split or "—", ", ".join(stands_on)),
            ]
        )
    return Table(
        "Each figure against its goal", ["figure", "measured", "goal", "verdict", "split, stands on"], rows
    )


def _bad(judged: Judged) -> Any:
    return "bad" if judged.verdict == "not reached" else "open"


def judged_value(judged: Judged) -> str:
    """A figure as measured, without its interval."""
    if isinstance(judged.value, list):
        return ", ".join(number(value, 2) for value in judged.value)
    if judged.value is None:
        return "—"
    return percent(judged.value) if judged.goal.percent else number(judged.value)


def interval_words(judged: Judged) -> str:
    """The interval of a figure, or that there is none."""
    if judged.value is None:
        return ""
    if judged.interval is None or isinstance(judged.value, list):
        return "no interval computed"
    text = (
        share(judged.value, judged.interval) if judged.goal.percent else cell(judged.value, judged.interval)
    )
    inner = text[text.find("(") + 1 : text.rfind(")")] if "(" in text else ""
    return f"95 % interval {inner.removeprefix('95 % interval ')}" if inner else "no interval computed"


def spread_table(decoder: Values, recovery: Values) -> Table | None:
    """Coverage and skill of the decoded samples' distribution, for each continuous attribute."""
    coverage = decoder.get("coverage_90")
    if not isinstance(coverage, dict) or all(value is None for value in coverage.values()):
        return None
    rows = []
    for name in coverage:
        inside = real(decoder, f"coverage_90.{name}")
        rows.append(
            [
                name_cell(name, known_words(decoder, name)),
                Cell(cell(inside, interval_of(decoder, f"coverage_90.{name}"))),
                Cell(cell(real(decoder, f"crps_skill.{name}"), interval_of(decoder, f"crps_skill.{name}"))),
                Cell(cell(real(recovery, f"probe.crps_skill.{name}"))),
            ]
        )
    header = ["attribute", "coverage of 90 % intervals", "CRPS skill of samples", "of the direct probe"]
    return Table(
        "The spread of the decoded samples, continuous attributes",
        header,
        rows,
        note=(
            "Skill: 1 − CRPS / CRPS of the attribute's distribution in the population; 0 is knowing nothing, "
            "1 everything."
        ),
    )


def edits_table(frame: pd.DataFrame, count: int, privacy: Privacy) -> Table:
    """Attribute counterfactuals of some pairs, as many of each kind, evenly along the score."""
    rows = []
    for kind in ("genuine", "impostor"):
        for row in _spread_rows(frame[frame["kind"] == kind], "score", count):
            flipped = bool(row.get("flipped"))
            rows.append(
                [
                    _pair_cell(row, privacy),
                    Cell("genuine, accepted" if kind == "genuine" else "impostor, rejected"),
                    Cell(number(finite(row.get("score"))), _rebuilt_words(row)),
                    Cell(changes_words(str(row.get("changes", "")))),
                    Cell(number(finite(row.get("score_after")))),
                    Cell("flipped" if flipped else "not flipped", kind="good" if flipped else "bad"),
                ]
            )
    header = ["image", "pair", "score", "change found", "score after", "decision"]
    return Table(
        "Attribute counterfactuals, evenly along the score, unselected otherwise", header, rows, folded=True
    )


def _pair_cell(row: Mapping[Any, Any], privacy: Privacy) -> Cell:
    other = row.get("other_image_id")
    against = "" if other is None else f"against {privacy.image(str(other))}"
    return Cell(privacy.image(str(row.get("image_id", ""))), against, "name")


def _rebuilt_words(row: Mapping[Any, Any]) -> str:
    rebuilt = finite(row.get("score_reconstructed"))
    return "" if rebuilt is None else f"{number(rebuilt)} reconstructed"


def changes_words(text: str) -> str:
    """A JSON list of changes in the attributes' own units, such as "yaw 12 → −6 degrees, beard on → off".

    >>> changes_words('[{"attribute": "yaw", "from": 12.0, "to": -6.04, "unit": "degrees"}]')
    'yaw 12.0 → −6.04 degrees'
    """
    try:
        changes = json.loads(text)
    except ValueError:
        return MISSING
    parts = []
    for change in changes if isinstance(changes, list) else []:
        before, after, unit = change.get("from"), change.get("to"), change.get("unit", "")
        if isinstance(before, int | float) and isinstance(after, int | float):
            parts.append(f"{words(change['attribute'])} {number(before)} → {number(after)} {unit}".rstrip())
        else:
            parts.append(f"{words(change['attribute'])} {before} → {after}")
    return ", ".join(parts) or "none"


def moves_table(
    frame: pd.DataFrame,
    count: int,
    scales: Mapping[str, float],
    units: Mapping[str, str],
    privacy: Privacy,
) -> Table:
    """Representation counterfactuals of some pairs of each direction with the largest attribute changes."""
    rows = []
    for direction in ("to_match", "to_non_match"):
        for row in _spread_rows(frame[frame["direction"] == direction], "score", count):
            flipped = bool(row.get("flipped"))
            travel = f"{number(finite(row.get('travel')))}°"
            rows.append(
                [
                    _pair_cell(row, privacy),
                    Cell("to a match" if direction == "to_match" else "to a non-match"),
                    Cell(f"{number(finite(row.get('score')))} → {number(finite(row.get('score_after')))}"),
                    Cell(travel, f"closed form {number(finite(row.get('closed_form')))}°"),
                    Cell(moved_words(row, scales, units)),
                    Cell("flipped" if flipped else "not flipped", kind="good" if flipped else "bad"),
                ]
            )
    return Table(
        "Representation counterfactuals, evenly along the score, unselected otherwise",
        ["image", "moved", "score", "travel on the sphere", "largest changes read", "decision"],
        rows,
        note=(
            "Changes: mean over samples decoded with the same noise before and after the move, ± its "
            "standard error."
        ),
        folded=True,
    )


def moved_words(row: Mapping[Any, Any], scales: Mapping[str, float], units: Mapping[str, str]) -> str:
    """The attributes whose reading changed most, in standard deviations, told in their own units."""
    changes = []
    for key, value in row.items():
        name = str(key).removeprefix("change.")
        change = finite(value)
        if name == str(key) or change is None:
            continue
        changes.append((-abs(change) / scales.get(name.split(".")[0], 1.0), name, change))
    parts = []
    for _, name, change in sorted(changes)[:NAMED_CHANGES]:
        error = finite(row.get(f"change_se.{name}"))
        sign = "+" if change > 0 else ""
        beside = f" ± {number(error, 2)}" if error is not None else ""
        unit = units.get(name, "")
        parts.append(f"{words(name).replace('.', ': ')} {sign}{number(change, 2)}{beside} {unit}".rstrip())
    return ", ".join(parts) or MISSING


def _spread_rows(frame: pd.DataFrame, column: str, count: int) -> list[dict[Any, Any]]:
    """At most `count` rows, evenly along a column."""
    ordered = frame.sort_values(column, kind="stable").reset_index(drop=True)
    if len(ordered) > count:
        places = [round(i * (len(ordered) - 1) / max(1, count - 1)) for i in range(count)]
        ordered = ordered.iloc[places]
    return [dict(row) for row in ordered.to_dict("records")]


def finite(value: Any) -> float | None:
    """A number of a table; None for what is missing or not finite."""
    if value is None or isinstance(value, str):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "—"
