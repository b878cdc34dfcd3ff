"""The long table of error rates by group: q within each measure, and whether what is observed and what an
intervention does agree."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.significance.groups import RATES
from attribute_recovery.significance.table import COLUMNS, KEYS
from attribute_recovery.statistics.discovery import benjamini_hochberg

SIGNIFICANT = 0.05

# Columns beside those of every long table. `unlike` names what groups differ in besides, with standardised
# mean differences; `note` says why something is not tested.
OWN_COLUMNS = (
    "n_pairs",
    "detectable",
    "contrast",
    "effective_identities",
    "imbalance",
    "imbalance_after",
    "unlike",
    "verdict",
    "note",
)
WORDS = ("unlike", "verdict", "note")
NOT_EDITED = "not edited"


def group_table(recognizer: str, schema: AttributeSchema, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The table, one row for each attribute, measure and direction.

    Measures: `fmr` and `fnmr` of a group (direction: its name, or `different` for pairs of two groups);
    `…_difference` as observed, `…_difference_matched` between groups made alike, and
    `…_difference_interventional` between groups given by edits (direction: what is compared). q (Benjamini
    and Hochberg) is taken over all rows of a measure.

    Args:
        recognizer: its name.
        schema: the attributes, which give family, kind and level.
        rows: see `groups.grouped_rates` and `intervened.Intervened.rows`.
    """
    table = pd.DataFrame(list(rows), columns=None if rows else ["attribute", "measure", "direction"])
    table["recognizer"], table["split"] = recognizer, "test"
    for name in ("family", "kind", "level"):
        table[name] = [getattr(schema[attribute], name) for attribute in table["attribute"]]
    table = table.reindex(columns=[*COLUMNS, *OWN_COLUMNS])
    for _, places in table.groupby("measure").groups.items():
        table.loc[places, "q"] = benjamini_hochberg(table.loc[places, "p"].astype(np.float64))
    table = with_verdicts(table)
    for name in (*OWN_COLUMNS, "p", "q", "p_identity", "p_image"):
        table[name] = table[name].fillna("").astype(str) if name in WORDS else table[name].astype(np.float64)
    twice = table.duplicated(list(KEYS))
    if twice.any():
        raise ValueError(f"rows: {table.loc[twice, list(KEYS)].iloc[0].to_dict()} is there twice")
    return table


def with_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the column `verdict`: what the observed and the interventional difference say together,
    in the row of the observed one."""
    return table.assign(verdict=pd.Series(_verdicts(table), index=table.index, dtype=object))


def _verdicts(table: pd.DataFrame) -> list[str]:
    given = {
        (row["attribute"], row["measure"].removesuffix("_interventional"), row["direction"]): row
        for row in table.to_dict("records")
        if row["measure"].endswith("_interventional")
    }
    verdicts = []
    for row in table.to_dict("records"):
        if row["measure"] not in {f"{rate}_difference" for rate in RATES}:
            verdicts.append("")
            continue
        other = given.get((row["attribute"], row["measure"], row["direction"]))
        verdicts.append(verdict(row, other))
    return verdicts


def verdict(observed: Mapping[Any, Any], given: Mapping[Any, Any] | None) -> str:
    """What two differences of the same groups say together.

    Args:
        observed: row of the observed difference.
        given: row of the interventional one; None where there is none.

    Returns:
        "both" or "neither" where they agree; "observed only", "interventional only" or "opposite" where they
        do not; "not edited" or "not testable" where one is missing.
    """
    if given is None:
        return NOT_EDITED
    if any(math.isnan(row["q"]) for row in (observed, given)):
        return "not testable"
    found = bool(observed["q"] < SIGNIFICANT), bool(given["q"] < SIGNIFICANT)
    if found == (True, True):
        return "both" if observed["estimate"] * given["estimate"] > 0 else "opposite"
    names = {(True, False): "observed only", (False, True): "interventional only"}
    return names.get(found, "neither")


def group_metrics(table: pd.DataFrame) -> dict[str, Any]:
    """The observed differences as nested numbers, `<rate>_difference.<attribute>.<contrast>` with
    `_interval`, `_q`, the interventional ones likewise; and by rate the names with q < 0.05, and those where
    both do not agree."""
    values: dict[str, Any] = {"groups_significant": {}, "groups_disagree": {}}
    for rate in RATES:
        measure = f"{rate}_difference"
        for name in (measure, f"{measure}_interventional"):
            rows = table[table["measure"] == name]
            for ending, columns in (("", ["estimate"]), ("_interval", ["low", "high"]), ("_q", ["q"])):
                nested: dict[str, dict[str, Any]] = {}
                for row in rows.to_dict("records"):
                    found = [float(row[column]) for column in columns]
                    of_attribute = nested.setdefault(str(row["attribute"]), {})
                    of_attribute[str(row["direction"])] = found if len(found) > 1 else found[0]
                values[f"{name}{ending}"] = nested
        rows = table[table["measure"] == measure]
        values["groups_significant"][rate] = _names(rows[rows["q"] < SIGNIFICANT])
        disagree = rows["verdict"].isin(["observed only", "interventional only", "opposite"])
        values["groups_disagree"][rate] = _names(rows[disagree])
    return values


def _names(rows: pd.DataFrame) -> list[str]:
    return [f"{row['attribute']}.{row['direction']}" for row in rows.to_dict("records")]
