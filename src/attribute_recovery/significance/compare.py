"""Recognizers of one experiment against each other: every measure of every attribute, and their rates at one
false match rate, as differences with intervals."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from attribute_recovery.config_significance import SignificanceSection
from attribute_recovery.dataset.attributes import read_schema
from attribute_recovery.dataset.store import read_parquet, read_table, write_json, write_table
from attribute_recovery.embeddings.pairs import Pairs
from attribute_recovery.embeddings.rates import SplitPairs, split_pairs, threshold_of, threshold_split
from attribute_recovery.recovery.measure import without_nan
from attribute_recovery.significance.contributions import COLUMNS, KEYS
from attribute_recovery.significance.differences import (
    Figure,
    Key,
    comparison_metrics,
    comparison_table,
    difference_rows,
    figures_of,
    with_p,
)
from attribute_recovery.significance.figures import draw_comparison
from attribute_recovery.statistics.interval import effective_identities
from attribute_recovery.statistics.paired import ratio_over_pairs


def compare(
    settings: SignificanceSection,
    seed: int,
    *,
    experiment_dir: Path,
    recognizers: Sequence[str],
    table: Path,
    attributes: Path,
    comparison: Path,
    metrics: Path,
    figure: Path,
) -> dict[str, Any]:
    """Write the table of differences, its summary and its figure.

    Args:
        settings: counts of replicates and of flips of sign (`permutations`).
        seed: of both, and of pairs where there are too many to compare all.
        experiment_dir: the experiment's folder; each recognizer's contributions, significance, embeddings and
            threshold are read.
        recognizers: their names, in order.
        table, attributes: images.parquet and attributes.json, read.
        comparison: the long table (Parquet, see `differences.COLUMNS`), written.
        metrics, figure: its summary and its picture, written.

    Returns:
        The metrics.

    Raises:
        ValueError: there are fewer than two recognizers, a file is missing or damaged, or they were not
            measured on the same images.
    """
    if len(recognizers) < 2:
        raise ValueError(f"recognizers: found {len(recognizers)}, allowed are two or more to compare")
    schema, images = read_schema(attributes), read_table(table)
    contributions = {
        name: _contributions(experiment_dir / name / "significance/contributions.parquet")
        for name in recognizers
    }
    figures = {
        name: with_p(found, _tested(experiment_dir / name / "significance/significance.parquet"))
        for name, found in figures_of(contributions).items()
    }
    fmr, rates = common_rates(images, {name: experiment_dir / name for name in recognizers}, seed)
    print(f"significance: comparing {' and '.join(recognizers)}", flush=True)
    rows = difference_rows(
        {name: figures[name] | rates[name] for name in recognizers},
        n_boot=settings.bootstrap,
        n_flips=settings.permutations,
        seed=seed,
    )
    found = comparison_table(schema, rows)
    write_table(found, comparison)
    values: dict[str, Any] = without_nan({"fmr": fmr, "split": "test", **comparison_metrics(found)})
    write_json(values, metrics)
    draw_comparison(found, schema, figure)
    return values


def _contributions(path: Path) -> pd.DataFrame:
    found = read_parquet(path)
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        raise ValueError(f"{path}: column {missing[0]!r} is missing; allowed is a table of contributions")
    return found


def _tested(path: Path) -> pd.DataFrame:
    found = read_parquet(path)
    missing = [name for name in (*KEYS, "p") if name not in found]
    if missing:
        raise ValueError(f"{path}: column {missing[0]!r} is missing; allowed is a table of significance")
    return found


def common_rates(
    images: pd.DataFrame, folders: Mapping[str, Path], seed: int
) -> tuple[float, dict[str, dict[Key, Figure]]]:
    """TAR and FMR on `test` at one false match rate: the largest that any of the recognizers uses.

    Each has its own τ at that rate, from its own scores on the split that fixes thresholds.

    Args:
        images: images.parquet.
        folders: results of each recognizer, by name.
        seed: of pairs, where there are too many to compare all.

    Returns:
        The false match rate, and the figures `tar_at_same_fmr` and `fmr_at_same_fmr` by recognizer.

    Raises:
        ValueError: a threshold or an embedding is missing, or a split has too few people.
    """
    fmr = max(_used_fmr(folder / "recognizer/threshold.json") for folder in folders.values())
    found: dict[str, dict[Key, Figure]] = {}
    for name, folder in folders.items():
        shards = folder / "embeddings/shards"
        tau = threshold_of(split_pairs(images, shards, threshold_split(images), seed), fmr).value
        test = split_pairs(images, shards, "test", seed)
        found[name] = {
            ("tar_at_same_fmr", "", ""): _accepted(test, test.genuine, tau),
            ("fmr_at_same_fmr", "", ""): _accepted(test, test.impostor, tau),
        }
    return fmr, found


def _used_fmr(path: Path) -> float:
    """The false match rate that fixed τ, or the one that a τ given by the user has on `calibration`."""
    try:
        found = json.loads(path.read_text())
        known = [found.get(name) for name in ("fmr", "achieved_fmr")]
        return float(next(value for value in known if value is not None))
    except (OSError, ValueError, AttributeError, TypeError, StopIteration) as error:
        raise ValueError(
            f"{path}: found no number under fmr or achieved_fmr, allowed is what the rule rates wrote"
        ) from error


def _accepted(split: SplitPairs, pairs: Pairs, tau: float) -> Figure:
    people = tuple(str(name) for name in np.unique(split.identities))
    a, b = pairs.identity_a, pairs.identity_b
    value = ratio_over_pairs(pairs.scores >= tau, np.ones(len(a)), a, b, len(people))
    effective = effective_identities(np.bincount(np.concatenate([a, b]), minlength=len(people)))
    return Figure(value, people, len(split.identities), bool(np.any(a != b)), effective=effective)
