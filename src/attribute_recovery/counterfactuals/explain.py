"""Counterfactuals of both kinds, and explained errors, of pairs of the split `test`: tables, pictures, rates.

Pairs are drawn by the seed and none is dropped: what cannot be flipped counts as not flipped.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.attributes.edit import load_editor
from attribute_recovery.config import Compute, CounterfactualsSection
from attribute_recovery.counterfactuals.error_pictures import draw_errors
from attribute_recovery.counterfactuals.errors import explain_errors
from attribute_recovery.counterfactuals.material import (
    Material,
    hard_encoding,
    search_pairs,
    within_quantiles,
)
from attribute_recovery.counterfactuals.pairs import DrawnPairs, random_pairs, spread_pairs
from attribute_recovery.counterfactuals.pictures import draw_edited, draw_moved
from attribute_recovery.counterfactuals.representation import (
    RepresentationResult,
    representation_counterfactuals,
)
from attribute_recovery.counterfactuals.search import Found, Pairs, Search
from attribute_recovery.dataset.store import (
    read_array,
    read_images,
    read_table,
    rows_of,
    write_json,
    write_table,
)
from attribute_recovery.decoder.attacks import read_threshold
from attribute_recovery.decoder.models import load_models
from attribute_recovery.decoder.pairs import embed_codes
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.generator.quality import reconstruct
from attribute_recovery.generator.train import to_tensor
from attribute_recovery.statistics.bootstrap import pair_rate_interval
from attribute_recovery.training.device import prepare_torch

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

# Decoded samples behind the explanation of one representation counterfactual.
EXPLANATION_SAMPLES = 4


def explain(
    settings: CounterfactualsSection,
    seed: int,
    n_boot: int,
    compute: Compute,
    *,
    images: Path,
    table: Path,
    codes: Path,
    shards: Path,
    threshold: Path,
    generator_weights: Path,
    generator_card: Path,
    heads_weights: Path,
    heads_card: Path,
    editor_weights: Path,
    editor_card: Path,
    recognizer_weights: Path,
    recognizer_card: Path,
    transformer_weights: Path,
    transformer_card: Path,
    representation: Path,
    attribute: Path,
    shapley: Path,
    metrics: Path,
    pictures: Path,
) -> dict[str, Any]:
    """Write the tables, their figures with intervals, and pictures of some pairs; the entry of the stage.

    Args:
        settings: pairs, travel, largest number of attributes, range of their values, errors.
        seed: of pairs, samples and intervals.
        n_boot: replicates of the intervals.
        compute: threads, device, precision of G and heads.
        images, table, codes, shards, threshold: what the stages before wrote.
        generator_weights, generator_card, heads_weights, heads_card: G and the heads.
        editor_weights, editor_card: the editor.
        recognizer_weights, recognizer_card, transformer_weights, transformer_card: f and T.
        representation, attribute: Parquet, one row a pair, written.
        shapley: Parquet, one row for each explained error and attribute, written.
        metrics: JSON of what is returned, written.
        pictures: folder of PNGs, written; those of a direction or kind only where something flipped.

    Returns:
        Flip rates of both kinds on the split `test`, each with "<key>_interval", None without pairs; and what
        each attribute carries of the errors.

    Raises:
        ValueError: a file is missing or damaged, or two of them do not fit each other.
    """
    device = prepare_torch(compute)
    models = load_models(
        compute,
        device,
        generator=(generator_weights, generator_card),
        heads=(heads_weights, heads_card),
        recognizer=(recognizer_weights, recognizer_card),
        transformer=(transformer_weights, transformer_card),
    )
    listed = read_table(table)
    test = rows_of(listed, "test")
    editor = load_editor(editor_weights, editor_card, device)
    material = Material(
        decoder=models.decoder,
        generator=models.decoder.generator,
        recognizer=models.recognizer,
        estimator=models.estimator,
        editor=within_quantiles(editor, listed.iloc[rows_of(listed, "train")], settings.quantile_range),
        tau=read_threshold(threshold),
        images=read_images(images, test),
        image_ids=listed["image_id"].to_numpy(object)[test],
        identities=listed["identity"].to_numpy(object)[test],
        codes=read_array(codes, test),
        embeddings=read_embeddings(shards, listed.iloc[test]),
    )
    pictures.mkdir(parents=True, exist_ok=True)
    moved, values = explain_representations(material, settings, seed, n_boot, pictures)
    write_table(moved, representation)
    edited, more = explain_attributes(material, settings, seed, n_boot, pictures)
    write_table(edited, attribute)
    errors, shares, carried = explain_errors(material, settings, seed, n_boot)
    write_table(shares, shapley)
    if errors is not None:
        draw_errors(material, errors, pictures)
    values |= more | carried
    values |= {"split": "test", "travel": settings.travel, "n_identities": len(set(material.identities))}
    write_json(values, metrics)
    return values


def explain_representations(
    material: Material, settings: CounterfactualsSection, seed: int, n_boot: int, pictures: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Representation counterfactuals in both directions: one row a pair, and the flip rates."""
    tables = [pd.DataFrame(columns=["image_id", "other_image_id", "direction", "score", "flipped"])]
    rates: dict[str, float | None] = {}
    intervals: dict[str, list[float | None]] = {}
    counts: dict[str, int] = {}
    ahead: dict[str, float | None] = {}
    samples: dict[str, float | None] = {}
    for direction, genuine in (("to_non_match", True), ("to_match", False)):
        drawn = random_pairs(
            material.embeddings,
            material.identities,
            material.tau,
            settings.representation_pairs,
            seed,
            genuine=genuine,
        )
        flipped = np.zeros(0, bool)
        ahead[direction] = samples[direction] = None
        if len(drawn):
            result = _moved(material, drawn, settings.travel, seed)
            flipped = result.table["flipped"].to_numpy(bool)
            ahead[direction] = float(result.table["flipped_on_geodesic"].mean())
            samples[direction] = float(result.table["flipped_samples"].mean())
            tables.append(_named(result.table, material, drawn))
            draw_moved(material, result, drawn, pictures / f"representation-{direction}.png")
        counts[direction] = len(drawn)
        rates[direction], intervals[direction] = flip_rate(flipped, *_people(material, drawn), n_boot, seed)
    values = {
        "representation_flip_rate": rates,
        "representation_flip_rate_interval": intervals,
        "representation_flip_rate_geodesic": ahead,
        "representation_flip_samples": samples,
        "representation_pairs": counts,
    }
    return pd.concat(tables[1:] or tables, ignore_index=True), values


def _moved(material: Material, drawn: DrawnPairs, travel: float, seed: int) -> RepresentationResult:
    return representation_counterfactuals(
        material.decoder,
        material.recognizer,
        material.estimator,
        material.embeddings,
        drawn.first,
        drawn.second,
        material.tau,
        travel=travel,
        n_samples=1 if material.decoder.one_point else EXPLANATION_SAMPLES,
        seed=seed,
    )


def flip_rate(
    flipped: npt.NDArray[np.bool_],
    first: npt.NDArray[np.object_],
    second: npt.NDArray[np.object_],
    n_boot: int,
    seed: int,
) -> tuple[float | None, list[float | None]]:
    """Share of pairs (n,) that flipped, and its interval, identities resampled, one draw for both sides.

    Genuine and impostor pairs have an interval of their own; where there are both, the distances of their
    ends are joined as of independent rates (Zou & Donner, Stat. Med. 27, 2008).

    Args:
        flipped: of each pair, (n,).
        first, second: identities of its images, (n,) each.
        n_boot: replicates.
        seed: of the draws.

    Returns:
        The rate, None where there is no pair; and its ends, None where pairs of a kind are of one identity,
        or of so few that a tenth of the draws leaves none.
    """
    if not len(flipped):
        return None, [None, None]
    rate, below, above = float(flipped.mean()), 0.0, 0.0
    for kind in (first == second, first != second):
        if not kind.any():
            continue
        if len({*first[kind], *second[kind]}) < 2:
            return rate, [None, None]
        one = pair_rate_interval(
            flipped[kind], first[kind], second[kind], n_boot=n_boot, seed=seed, clip=(0.0, 1.0)
        )
        share = float(kind.mean())
        below = math.hypot(below, share * (one.estimate - one.low))
        above = math.hypot(above, share * (one.high - one.estimate))
    if math.isnan(below + above):
        return rate, [None, None]
    return rate, [max(0.0, rate - below), min(1.0, rate + above)]


def _people(material: Material, drawn: DrawnPairs) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    return material.identities[drawn.first], material.identities[drawn.second]


def _named(table: pd.DataFrame, material: Material, drawn: DrawnPairs) -> pd.DataFrame:
    named = table.copy()
    named.insert(0, "image_id", material.image_ids[drawn.first])
    named.insert(1, "other_image_id", material.image_ids[drawn.second])
    return named


def explain_attributes(
    material: Material, settings: CounterfactualsSection, seed: int, n_boot: int, pictures: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Attribute counterfactuals: one row a pair, and the flip rate over all attempted pairs."""
    drawn = spread_pairs(
        material.embeddings, material.identities, material.tau, settings.attribute_pairs, seed
    )
    if not len(drawn):
        print("counterfactuals: no pair whose attributes could be changed", flush=True)
        none = np.zeros(0, bool)
        empty = pd.DataFrame(columns=["image_id", "other_image_id", "kind", "score", "flipped"])
        return empty, _rates_of(none, none, _people(material, drawn), n_boot, seed)
    pairs = search_pairs(material, drawn)
    before = (embed_codes(material.generator, material.recognizer, pairs.codes) * pairs.embeddings).sum(1)
    kept = np.isfinite(before) & ((before >= material.tau) != pairs.to_match)
    search = Search(
        material.editor, material.generator, material.recognizer, material.tau, settings.max_attributes
    )
    found = search.run(pairs)
    table = _attribute_table(material, drawn, pairs, found, before, kept)
    flipped = table["flipped"].to_numpy(bool)
    values = _rates_of(flipped, kept, _people(material, drawn), n_boot, seed)
    by_kind = table.groupby("kind")["flipped"].mean()
    values["attribute_flip_rate_by_kind"] = {kind: float(by_kind[kind]) for kind in by_kind.index}
    if flipped.any():
        values["attributes_changed"] = float(table.loc[flipped, "n_attributes"].mean())
    draw_edited(material, table, found, drawn, pictures)
    return table, values


def _rates_of(
    flipped: npt.NDArray[np.bool_],
    kept: npt.NDArray[np.bool_],
    people: tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]],
    n_boot: int,
    seed: int,
) -> dict[str, Any]:
    rate, ends = flip_rate(flipped, *people, n_boot, seed)
    return {
        "attribute_flip_rate": rate,
        "attribute_flip_rate_interval": ends,
        "attribute_flip_rate_by_kind": {},
        "attribute_pairs": len(flipped),
        "attributes_changed": None,
        "reconstruction_kept": float(kept.mean()) if len(kept) else None,
    }


def _attribute_table(
    material: Material,
    drawn: DrawnPairs,
    pairs: Pairs,
    found: Found,
    before: Floats,
    kept: npt.NDArray[np.bool_],
) -> pd.DataFrame:
    images = to_tensor(reconstruct(material.generator, found.codes))
    achieved = hard_encoding(material.estimator, material.estimator.estimate(images))
    first, second = drawn.first, drawn.second
    return pd.DataFrame(
        {
            "image_id": material.image_ids[first],
            "other_image_id": material.image_ids[second],
            "kind": np.where(drawn.to_match, "impostor", "genuine"),
            "score": (material.embeddings[first] * material.embeddings[second]).sum(1),
            "score_reconstructed": before,
            "score_after": found.scores,
            "kept": kept,
            "flipped": found.flips & kept,
            "n_attributes": [len(names) for names in found.changed],
            "changes": [
                json.dumps(_described(material, pairs, found, achieved, i)) for i in range(len(pairs))
            ],
            "cross_talk": [_cross_talk(material, pairs, found, achieved, i) for i in range(len(pairs))],
        }
    )


def _described(
    material: Material, pairs: Pairs, found: Found, achieved: Floats, row: int
) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = []
    for name in found.changed[row]:
        attribute = material.editor.schema[name]
        place = material.editor.schema.slices[name]
        values = (pairs.current[row, place], found.wanted[row, place], achieved[row, place])
        if attribute.kind == "continuous":
            start, end, read = (round(float(value[0]), 3) for value in values)
            changes.append(
                {"attribute": name, "from": start, "to": end, "read": read, "unit": attribute.unit}
            )
            continue
        start_class, end_class, read_class = (
            attribute.categories[int(value.argmax() if len(value) > 1 else value[0] >= 0.5)]
            for value in values
        )
        changes.append(
            {
                "attribute": name,
                "from": start_class,
                "to": end_class,
                "read": read_class,
                "unit": attribute.unit,
            }
        )
    return changes


def _cross_talk(material: Material, pairs: Pairs, found: Found, achieved: Floats, row: int) -> float:
    """Root mean square of how far attributes that were not changed moved, in their standard deviations."""
    moved = ((achieved[row] - pairs.current[row]) / material.editor.scales.cpu().numpy()) ** 2
    for name in found.changed[row]:
        moved[material.editor.schema.slices[name]] = np.nan
    return float(np.sqrt(np.nanmean(moved))) if np.isfinite(moved).any() else 0.0
