"""Differences between recognizers, figure by figure: people resampled together, with p of no difference.

Both recognizers saw the same images of the same people, edited in the same way, so one draw of identities
serves both. Figures over pairs of people are recentred, as everywhere (`statistics.bootstrap`).

Two read-outs of nothing are wrong in different ways, and so differ: a difference counts only where one of the
two recognizers is itself found to have something. Its p is the larger one of no difference and of nothing in
either (twice the smaller of their own, Bonferroni), the intersection-union test (Berger, Technometrics 1982).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.significance.contributions import KEYS as FIGURE_KEYS
from attribute_recovery.significance.contributions import sums_of_parts
from attribute_recovery.significance.flips import DIRECTIONS
from attribute_recovery.significance.shares import Sums
from attribute_recovery.significance.table import MEASURES
from attribute_recovery.statistics.discovery import benjamini_hochberg
from attribute_recovery.statistics.inputs import FloatArray
from attribute_recovery.statistics.interval import effective_identities, of_decisions
from attribute_recovery.statistics.paired import (
    Resampled,
    Weighted,
    paired_difference,
    ratio_of_sums,
    ratio_over_pairs,
    resample,
)

KEYS = ("recognizer", "other", "attribute", "measure", "direction")
# Of the recognizers as a whole: shares of pairs accepted at τ of one false match rate.
RATES = ("tar_at_same_fmr", "fmr_at_same_fmr")
ALL_MEASURES = (*MEASURES, *DIRECTIONS, *RATES)
COLUMNS = (
    *KEYS,
    "family",
    "kind",
    "level",
    "estimate",
    "low",
    "high",
    "p",
    "q",
    "recognizer_estimate",
    "other_estimate",
    "n_identities",
    "n_images",
    "split",
    "method",
)


@dataclass(frozen=True)
class Figure:
    """One figure of one recognizer.

    Attributes:
        value: as a function of how often each of k identities counts.
        identities: k names, in the order of those weights.
        n_images: images that it stands on.
        over_pairs: whether it is over pairs of images of different people.
        p: of there being nothing, NaN where that is not tested.
        effective: identities who with equally many images, or pairs, would tell as much; None: all alike.
        trials: people, or pairs of people, that a rate of decisions stands on; 0 for what is none.
        most: largest value of such a decision; net flips can be −1 as well as 1.
    """

    value: Weighted
    identities: tuple[str, ...]
    n_images: int
    over_pairs: bool
    p: float = math.nan
    effective: float | None = None
    trials: int = 0
    most: float = 1.0


# Measure, attribute (empty for rates) and direction.
Key = tuple[str, str, str]


def figures_of(tables: Mapping[str, pd.DataFrame]) -> dict[str, dict[Key, Figure]]:
    """The figures in tables of contributions, by recognizer.

    Args:
        tables: see `contributions.contributions_table`, by recognizer.

    Raises:
        ValueError: a figure was not measured on the same images of the same people for each recognizer.
    """
    parts: dict[str, dict[Key, pd.DataFrame]] = {
        name: {
            (str(key[0]), str(key[1]), str(key[2])): rows
            for key, rows in table.groupby(list(FIGURE_KEYS), sort=False)
        }
        for name, table in tables.items()
    }
    _require_same_images(parts)
    found: dict[str, dict[Key, Figure]] = {name: {} for name in tables}
    for key in dict.fromkeys(key for rows in parts.values() for key in rows):
        # Which pairs are accepted differs between recognizers, and so may the people in them.
        of_key = [rows[key] for rows in parts.values() if key in rows]
        people = sorted(
            {str(each) for rows in of_key for side in ("identity", "other") for each in rows[side]}
        )
        for name, rows in parts.items():
            if key in rows:
                found[name][key] = _figure(key[0], rows[key], tuple(people), _n_images(rows, key))
    return found


def with_p(figures: Mapping[Key, Figure], table: pd.DataFrame) -> dict[Key, Figure]:
    """One recognizer's figures with p of there being nothing.

    Args:
        figures: by measure, attribute and direction.
        table: its long table, see `table.significance_table`; what it lacks stays without p.
    """
    keys = zip(table["measure"], table["attribute"], table["direction"], strict=True)
    p = {(str(a), str(b), str(c)): float(each) for (a, b, c), each in zip(keys, table["p"], strict=True)}
    return {key: replace(figure, p=p.get(key, math.nan)) for key, figure in figures.items()}


def _require_same_images(parts: Mapping[str, Mapping[Key, pd.DataFrame]]) -> None:
    (first, known), *others = parts.items()
    of_images = {key for rows in parts.values() for key in rows if key[0] in MEASURES}
    for key in sorted(of_images):
        for name, rows in others:
            sides = [_images(each[key]) if key in each else {} for each in (known, rows)]
            if sides[0] != sides[1]:
                raise ValueError(
                    f"contributions: {' '.join(part for part in key if part)} was not measured on the same "
                    f"images for {first} and {name}; both must be of one run"
                )


def _images(rows: pd.DataFrame) -> dict[str, int]:
    return dict(zip(rows["identity"].astype(str), rows["n"].astype(int), strict=False))


def _n_images(rows: Mapping[Key, pd.DataFrame], key: Key) -> int:
    """Images that a figure stands on; of pairs those of the images that were edited."""
    of_images = key if key[0] in MEASURES else ("decision_effect", key[1], "")
    counted = rows[of_images] if of_images in rows else rows[key]
    return sum(_images(counted).values())


def _figure(measure: str, rows: pd.DataFrame, people: tuple[str, ...], n_images: int) -> Figure:
    place = pd.Index(people)
    n, total = rows["n"].to_numpy(np.float64), rows["total"].to_numpy(np.float64)
    sides = (pd.Index(rows[side].astype(str)) for side in ("identity", "other"))
    a, b = (place.get_indexer(side).astype(np.int64) for side in sides)
    k = len(people)
    if measure == "identity_share":
        parts = {
            str(part): _by_place(a[chosen], total[chosen], k)
            for part in rows["part"].unique()
            if (chosen := (rows["part"] == part).to_numpy()).any()
        }
        images = _by_place(a, n, k) / len(parts)
        effective = effective_identities(images)
        return Figure(_share_of(sums_of_parts(parts, images)), people, n_images, False, effective=effective)
    effective = effective_identities(_by_place(a, n, k) + _by_place(b, n, k))
    if measure in MEASURES:
        mean = ratio_of_sums(_by_place(a, total, k), _by_place(a, n, k))
        return Figure(mean, people, n_images, False, effective=effective)
    rate, over_pairs = ratio_over_pairs(total, n, a, b, k), bool(np.any(a != b))
    trials = np.unique(np.sort(np.stack([a, b]), axis=0)[:, n > 0], axis=1).shape[1]
    most = 2.0 if measure in DIRECTIONS else 1.0
    return Figure(rate, people, n_images, over_pairs, effective=effective, trials=trials, most=most)


def _by_place(place: Any, values: FloatArray, k: int) -> FloatArray:
    return np.bincount(place, weights=values, minlength=k).astype(np.float64)


def _share_of(sums: Sums) -> Weighted:
    return lambda weights: np.array([sums.share(row) for row in weights])


def difference_rows(
    figures: Mapping[str, Mapping[Key, Figure]], *, n_boot: int, n_flips: int, seed: int
) -> list[dict[str, Any]]:
    """Each pair of recognizers, figure by figure: the later one in order less the earlier one.

    Args:
        figures: by recognizer, in order; a figure that one of them lacks has an undefined difference.
        n_boot: replicates of the intervals.
        n_flips: flips of signs behind the p-values.
        seed: of both.

    Raises:
        ValueError: a figure's identities differ between recognizers.
    """
    rows: list[dict[str, Any]] = []
    for key in dict.fromkeys(key for found in figures.values() for key in found):
        holders = {name: found[key] for name, found in figures.items() if key in found}
        if len({figure.identities for figure in holders.values()}) > 1:
            raise ValueError(f"figures: {' '.join(key)} is not of the same identities for each recognizer")
        resampled = {
            name: resample(figure.value, len(figure.identities), n_boot=n_boot, seed=seed)
            for name, figure in holders.items()
            if len(figure.identities) > 1
        }
        shown = next(iter(holders.values()))
        for other, name in combinations(figures, 2):
            pair = (resampled.get(name), resampled.get(other))
            row = _row(key, name, other, shown, pair, n_flips, seed)
            own = [holders[each].p for each in (name, other) if each in holders]
            rows.append(row | {"p": _where_either_has_something(row["p"], own)})
    return rows


def _where_either_has_something(p: float, own: Sequence[float]) -> float:
    tested = [each for each in own if math.isfinite(each)]
    return max(p, min(1.0, 2 * min(tested))) if len(tested) == 2 and math.isfinite(p) else p


def _row(
    key: Key,
    name: str,
    other: str,
    shown: Figure,
    pair: tuple[Resampled | None, Resampled | None],
    n_flips: int,
    seed: int,
) -> dict[str, Any]:
    first, second = pair
    measure, attribute, direction = key
    row: dict[str, Any] = {
        "recognizer": name,
        "other": other,
        "attribute": attribute,
        "measure": measure,
        "direction": direction,
        "recognizer_estimate": math.nan if first is None else first.estimate,
        "other_estimate": math.nan if second is None else second.estimate,
        "n_identities": len(shown.identities),
        "n_images": shown.n_images,
        "method": "people resampled for both at once, p by flips of sign",
    }
    if first is None or second is None:
        return row | dict.fromkeys(("estimate", "low", "high", "p"), math.nan)
    found = paired_difference(
        first,
        second,
        n_flips=n_flips,
        seed=seed,
        recentre=shown.over_pairs,
        effective=shown.effective,
    )
    around = of_decisions(found.interval, shown.trials, shown.most) if shown.trials else found.interval
    return row | {"estimate": around.estimate, "low": around.low, "high": around.high, "p": found.p}


def comparison_table(schema: AttributeSchema, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The long table of differences, with q within each measure, over all attributes and all pairs.

    As in the table of one recognizer, rows with a direction are a family of their own.

    Args:
        schema: the attributes, which give family, kind and level.
        rows: see `difference_rows`.
    """
    table = pd.DataFrame(list(rows))
    table["split"] = "test"
    for name in ("family", "kind", "level"):
        table[name] = [getattr(schema[each], name) if each else "" for each in table["attribute"]]
    table["q"] = math.nan
    for measure in ALL_MEASURES:
        for overall in (True, False):
            chosen = (table["measure"] == measure) & ((table["direction"] == "") == overall)
            table.loc[chosen, "q"] = benjamini_hochberg(table.loc[chosen, "p"])
    return table[list(COLUMNS)]


def comparison_metrics(table: pd.DataFrame) -> dict[str, Any]:
    """The table as nested numbers: `<recognizer>.<other>.<measure>.<attribute>`, of the rows without
    direction, with `<measure>_interval`, `_p`, `_q`; of rates without attribute; `significant`, attributes
    with q < 0.05."""
    values: dict[str, Any] = {}
    overall = table[table["direction"] == ""]
    for (name, other), rows in overall.groupby(["recognizer", "other"], sort=False):
        pair: dict[str, Any] = dict(_measures(rows))
        values.setdefault(str(name), {})[str(other)] = pair
    return values


def _measures(rows: pd.DataFrame) -> Iterator[tuple[str, Any]]:
    significant = {}
    for measure, of_measure in rows.groupby("measure", sort=False):
        name = str(measure)
        columns: dict[str, list[Any]] = {column: of_measure[column].tolist() for column in ("p", "q")}
        columns[""] = of_measure["estimate"].tolist()
        columns["interval"] = of_measure[["low", "high"]].to_numpy().tolist()
        for ending, column in columns.items():
            key = f"{name}_{ending}" if ending else name
            by_attribute = dict(zip(of_measure["attribute"].astype(str), column, strict=True))
            yield key, column[0] if name in RATES else by_attribute
        if name not in RATES:
            significant[name] = of_measure.loc[of_measure["q"] < 0.05, "attribute"].astype(str).tolist()
    yield "significant", significant
