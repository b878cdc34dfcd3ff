"""Error rates by attribute group beside what changing the attribute does to them, for all attributes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.config_significance import SignificanceSection
from attribute_recovery.dataset.attributes import AttributeSchema, KnownValues
from attribute_recovery.dataset.known import is_known
from attribute_recovery.dataset.store import write_table
from attribute_recovery.significance.effect import Edited, Originals
from attribute_recovery.significance.group_curves import det_table, draw_groups
from attribute_recovery.significance.group_table import group_metrics, group_table
from attribute_recovery.significance.grouping import contrasts
from attribute_recovery.significance.groups import RATES, compare_images, grouped_rates, make_draws
from attribute_recovery.significance.intervened import Intervened

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class GroupAccount:
    """What is known of error rates by group.

    Attributes:
        table: the long table, see `group_table.group_table`.
        curves: detection error trade-offs, see `group_curves.det_table`.
        metrics: see `group_table.group_metrics`.
    """

    table: pd.DataFrame
    curves: pd.DataFrame
    metrics: dict[str, Any]


def account_by_group(
    recognizer: str,
    schema: AttributeSchema,
    values: KnownValues,
    images: tuple[Floats, npt.NDArray[np.object_]],
    edited: tuple[Originals, Mapping[str, list[Edited]]],
    tau: float,
    *,
    n_boot: int,
    permutations: int,
    seed: int,
) -> GroupAccount:
    """Rates, differences and curves of all attributes; only images whose value is known count.

    Args:
        recognizer: its name.
        schema: the attributes.
        values: true values of n images.
        images: their embeddings f(x), (n, d), and identities, (n,).
        edited: the images whose attributes were changed, and their edits by attribute.
        tau: decision threshold.
        n_boot: replicates of intervals.
        permutations: behind p-values.
        seed: of both.
    """
    compared = compare_images(*images, tau, seed)
    draws = make_draws(compared.codes, compared.k, n_boot=n_boot, permutations=permutations, seed=seed)
    found = [grouped_rates(schema, attribute, values, compared, draws) for attribute in schema]
    rows = [row for one in found for row in one.rows]
    known, edits = edited
    intervened = Intervened(known, tau, n_boot=n_boot, n_flips=permutations, seed=seed)
    for one in found:
        attribute = one.grouping.attribute
        if attribute.name in edits:
            wanted = {rate: contrasts(one.grouping, genuine=rate == "fnmr") for rate in RATES}
            rows += intervened.rows(attribute, schema.slices[attribute.name], edits[attribute.name], wanted)
    table = group_table(recognizer, schema, rows)
    curves = det_table(recognizer, compared, [one.grouping for one in found])
    return GroupAccount(table, curves, group_metrics(table))


def write_groups(
    recognizer: str,
    attributes: tuple[AttributeSchema, Mapping[str, npt.NDArray[np.generic]]],
    images: tuple[Floats, npt.NDArray[np.object_]],
    edited: tuple[Originals, Mapping[str, list[Edited]]],
    tau: float,
    settings: SignificanceSection,
    seed: int,
    paths: tuple[Path, Path, Path],
) -> dict[str, Any]:
    """Write the table, the curves (Parquet) and their picture (PNG) to these paths; arguments as for
    `account_by_group`, but that what is not known is told by NaN and −1.

    Returns:
        The metrics.
    """
    print("significance: error rates by group", flush=True)
    schema, values = attributes
    known = {attribute.name: is_known(attribute, values[attribute.name]) for attribute in schema}
    found = account_by_group(
        recognizer,
        schema,
        KnownValues(dict(values), known),
        images,
        edited,
        tau,
        n_boot=settings.bootstrap,
        permutations=settings.permutations,
        seed=seed,
    )
    table, curves, figure = paths
    write_table(found.table, table)
    write_table(found.curves, curves)
    draw_groups(found.curves, found.table, tau, figure)
    return found.metrics
