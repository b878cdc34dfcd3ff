"""The long table of the three measures, and the same as nested numbers."""

import math
from typing import Any

import numpy as np
import pandas as pd

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.report.labels import NOT_TESTABLE
from attribute_recovery.significance.decision import Effect
from attribute_recovery.significance.flips import DIRECTIONS
from attribute_recovery.significance.forecasts import Recovered
from attribute_recovery.significance.identity import Share
from attribute_recovery.significance.retained import Retained
from attribute_recovery.statistics.bootstrap import Interval
from attribute_recovery.statistics.discovery import benjamini_hochberg
from attribute_recovery.statistics.permutation import Scheme

NO_PLACEBOS = "edited code, no placebo edits: too few people or images whose labels could be exchanged"
MEASURES = ("retained_information", "identity_share", "decision_effect")
KEYS = ("recognizer", "attribute", "measure", "direction")

# Columns of every row, in order; those of one measure only follow them.
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
    "p_identity",
    "p_image",
    "n_identities",
    "n_images",
    "split",
    "method",
)
OWN_COLUMNS = (
    "nats",
    "scaled",
    "scaled_low",
    "scaled_high",
    "scale",
    "shift_nats",
    "shift_too_much",
    "between_nats",
    "within_nats",
    "variance_share",
    "icc_recovered",
    "icc_true",
    "icc_permuted",
    "icc_excess",
    "dose",
    "achieved",
    "code_norm",
    "placebo_effect",
    "cross_talk",
    "cross_talk_worst",
    "cross_talk_worst_attribute",
    "cross_talk_too_much",
    *DIRECTIONS,
)
WORDS = ("scale", "cross_talk_worst_attribute")


def significance_table(recognizer: str, schema: AttributeSchema, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The table, one row for each attribute, measure and direction, with q within each measure.

    q (Benjamini-Hochberg) is taken over the rows without direction, one test an attribute; the rows with a
    direction are a family of their own.

    Args:
        recognizer: its name.
        schema: the attributes, which give family, kind and level.
        rows: see `retained_row`, `share_row`, `effect_row`.

    Raises:
        ValueError: two rows have the same attribute, measure and direction.
    """
    table = pd.DataFrame(rows)
    table["recognizer"], table["split"] = recognizer, "test"
    for name in ("family", "kind", "level"):
        table[name] = [getattr(schema[attribute], name) for attribute in table["attribute"]]
    table["q"] = math.nan
    for measure in MEASURES:
        for overall in (True, False):
            chosen = (table["measure"] == measure) & ((table["direction"] == "") == overall)
            table.loc[chosen, "q"] = benjamini_hochberg(table.loc[chosen, "p"])
    table = table.reindex(columns=[*COLUMNS, *OWN_COLUMNS])
    for name in OWN_COLUMNS:
        table[name] = table[name].fillna("").astype(str) if name in WORDS else table[name].astype(np.float64)
    twice = table.duplicated(list(KEYS))
    if twice.any():
        raise ValueError(f"rows: {table.loc[twice, list(KEYS)].iloc[0].to_dict()} is there twice")
    return table


def _row(
    attribute: str,
    measure: str,
    direction: str,
    interval: Interval,
    p: float,
    p_by_scheme: dict[Scheme, float],
    n_images: int,
    method: str,
) -> dict[str, Any]:
    return {
        "attribute": attribute,
        "measure": measure,
        "direction": direction,
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "p": p,
        "p_identity": p_by_scheme.get("identity", math.nan),
        "p_image": p_by_scheme.get("image", math.nan),
        "n_identities": interval.n_identities,
        "n_images": n_images,
        "method": method,
    }


def retained_row(recovered: Recovered, found: Retained) -> dict[str, Any]:
    """Retained information: `estimate`, `low`, `high` and `nats` in nats, `scaled…` on the scale that `scale`
    names; `shift_nats` may be told without z, and `shift_too_much` is 1 where that is marked, else 0."""
    name = recovered.attribute.name
    row = _row(
        name,
        "retained_information",
        "",
        found.interval,
        found.p,
        found.p_by_scheme,
        len(recovered.truth),
        f"held-out log loss, {recovered.route}",
    )
    return row | {
        "nats": found.interval.estimate,
        "scaled": found.scaled,
        "scaled_low": found.scaled_low,
        "scaled_high": found.scaled_high,
        "scale": found.scale,
        "shift_nats": found.shift.nats,
        "shift_too_much": float(found.shift.too_much),
    }


def share_row(recovered: Recovered, found: Share) -> dict[str, Any]:
    """Identity share, with both parts in nats and the intraclass correlations."""
    row = _row(
        recovered.attribute.name,
        "identity_share",
        "",
        found.interval,
        found.p,
        found.p_by_scheme,
        len(recovered.truth),
        f"between and within identities, {recovered.route}",
    )
    return row | {
        "between_nats": found.between,
        "within_nats": found.within,
        "variance_share": found.variance_share,
        "icc_recovered": found.icc_recovered,
        "icc_true": found.icc_true,
        "icc_permuted": found.icc_permuted,
        "icc_excess": found.icc_recovered - found.icc_permuted,
    }


def not_testable_row(
    name: str, measure: str, n_images: int, n_identities: int, reason: str
) -> dict[str, Any]:
    """An attribute that a measure cannot be had of: no estimate and no p, and the reason as method.

    `n_images` and `n_identities` are those on which it is known.
    """
    nothing = Interval(math.nan, math.nan, math.nan, n_identities, 0, 0.95)
    return _row(name, measure, "", nothing, math.nan, {}, n_images, f"{NOT_TESTABLE}{reason}")


def in_order(schema: AttributeSchema, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows by measure and attribute; those of one attribute in the order in which they are."""
    return sorted(
        rows, key=lambda row: (MEASURES.index(row["measure"]), schema.names.index(row["attribute"]))
    )


def effect_row(attribute: Attribute, found: Effect, most_cross_talk: float) -> dict[str, Any]:
    """Decision effect, with the dose, the edit's side effects and the net rates of flipped decisions.

    `cross_talk_too_much` is 1 where another attribute moved by more than `most_cross_talk` of its standard
    deviations, else 0.
    """
    row = _row(
        attribute.name,
        "decision_effect",
        found.direction,
        found.interval,
        found.p,
        found.p_by_scheme,
        found.n_images,
        "edited code, placebo edits" if found.p_by_scheme else NO_PLACEBOS,
    )
    account = found.account
    values = {
        "n_identities": found.n_identities,
        "dose": account.dose,
        "achieved": account.achieved,
        "code_norm": found.code_norm,
        "placebo_effect": found.placebo_effect,
        "cross_talk": account.cross_talk,
        "cross_talk_worst": account.worst,
        "cross_talk_worst_attribute": account.worst_attribute,
        "cross_talk_too_much": float(account.worst > most_cross_talk),
    }
    return row | values | {name: found.flips[name].rate for name in DIRECTIONS}


def as_metrics(table: pd.DataFrame) -> dict[str, Any]:
    """`<measure>.<attribute>` with `<measure>_interval`, `_p`, `_q`, of the rows without direction; names
    with q < 0.05."""
    values: dict[str, Any] = {"significant": {}}
    for measure in MEASURES:
        rows = table[(table["measure"] == measure) & (table["direction"] == "")].set_index("attribute")
        values[measure] = {str(k): float(v) for k, v in rows["estimate"].items()}
        values[f"{measure}_interval"] = {
            str(name): [float(low), float(high)]
            for name, low, high in zip(rows.index, rows["low"], rows["high"], strict=True)
        }
        for column in ("p", "q"):
            values[f"{measure}_{column}"] = {str(k): float(v) for k, v in rows[column].items()}
        values["significant"][measure] = [str(name) for name in rows.index[rows["q"] < 0.05]]
    return values
