"""Counterfactuals of both kinds for pairs of the split `test`, as tables, pictures and rates.

Pairs are drawn by the seed and none is dropped: what cannot be flipped counts as not flipped.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.attributes.edit import AttributeEditor, load_editor
from attribute_recovery.attributes.heads import AttributeEstimator, Estimates, load_heads
from attribute_recovery.config import Compute, CounterfactualsSection
from attribute_recovery.counterfactuals.representation import RepresentationResult, representation_counterfactuals
from attribute_recovery.counterfactuals.search import Found, Pairs, Search
from attribute_recovery.dataset.store import open_array, read_images, read_table, rows_of
from attribute_recovery.decoder.attacks import read_threshold
from attribute_recovery.decoder.decoder import Decoder, load_decoder
from attribute_recovery.decoder.train import embed_codes
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.generator.load import LoadedGenerator, load_generator
from attribute_recovery.generator.quality import reconstruct
from attribute_recovery.generator.train import to_tensor
from attribute_recovery.recognizer.load import Recognizer, load_recognizer
from attribute_recovery.report.figures import save_image_grid
from attribute_recovery.statistics.bootstrap import identity_mean_interval
from attribute_recovery.training.device import inference_dtype, prepare_torch
from attribute_recovery.training.weights import write_card

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

# Decoded samples behind the explanation of one representation counterfactual.
EXPLANATION_SAMPLES = 4
SHOWN = 6


@dataclass(frozen=True)
class Material:
    """What the stage reads: models, and the test images with identities, codes and embeddings (n rows each)."""

    decoder: Decoder
    generator: LoadedGenerator
    recognizer: Recognizer
    estimator: AttributeEstimator
    editor: AttributeEditor
    tau: float
    images: npt.NDArray[np.uint8]
    image_ids: npt.NDArray[np.object_]
    identities: npt.NDArray[np.object_]
    codes: Floats
    embeddings: Floats


def decided_pairs(embeddings: Floats, identities: npt.NDArray[np.object_], tau: float, genuine: bool) -> tuple[Rows, Rows, Floats]:
    """Ordered pairs of rows (i, j), i ≠ j, decided rightly: genuine accepted, or impostor rejected; with scores."""
    scores = embeddings @ embeddings.T
    same = identities[:, None] == identities[None]
    np.fill_diagonal(same, False)
    different = identities[:, None] != identities[None]
    first, second = np.nonzero(same & (scores >= tau) if genuine else different & (scores < tau))
    return first, second, scores[first, second]


def spread_over_deciles(distance: Floats, count: int, rng: np.random.Generator) -> Rows:
    """`count` positions drawn evenly from the ten deciles of the distance from τ, (n,); all of them where n is less."""
    order = np.argsort(distance, kind="stable")
    if count >= len(order):
        return order
    parts = np.array_split(order, 10)
    sizes = [len(chunk) for chunk in np.array_split(np.arange(count), 10)]
    return np.concatenate([rng.choice(part, size, replace=False) for part, size in zip(parts, sizes, strict=True)])


def hard_encoding(estimator: AttributeEstimator, estimates: Estimates) -> Floats:
    """Encoded attributes (n, width): means, and the likeliest class."""
    return estimator.schema.encode(estimates.values())


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
    metrics: Path,
    pictures: Path,
) -> dict[str, Any]:
    """Write both tables, their rates with intervals, and pictures of some pairs."""
    device = prepare_torch(compute)
    dtype = inference_dtype(compute)
    generator = load_generator(generator_weights, generator_card, device, dtype)
    listed = read_table(table)
    test = rows_of(listed, "test")
    material = Material(
        decoder=load_decoder(transformer_weights, transformer_card, generator),
        generator=generator,
        recognizer=load_recognizer(recognizer_weights, recognizer_card, device),
        estimator=load_heads(heads_weights, heads_card, device, dtype),
        editor=load_editor(editor_weights, editor_card, device),
        tau=read_threshold(threshold),
        images=read_images(images, test),
        image_ids=listed["image_id"].to_numpy()[test],
        identities=listed["identity"].to_numpy()[test],
        codes=open_array(codes)[:][test],
        embeddings=read_embeddings(shards, listed.iloc[test]),
    )
    pictures.mkdir(parents=True, exist_ok=True)
    moved, values = explain_representations(material, settings, seed, n_boot, pictures)
    moved.to_parquet(representation)
    edited, more = explain_attributes(material, settings, seed, n_boot, pictures)
    edited.to_parquet(attribute)
    values |= more
    values |= {"split": "test", "travel": settings.travel, "n_identities": len(set(material.identities))}
    write_card(metrics, values)
    return values


def explain_representations(
    material: Material, settings: CounterfactualsSection, seed: int, n_boot: int, pictures: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Representation counterfactuals in both directions: one row a pair, and the flip rates."""
    tables, rates, intervals, counts = [], {}, {}, {}
    for number, (direction, genuine) in enumerate((("to_non_match", True), ("to_match", False))):
        first, second, _ = decided_pairs(material.embeddings, material.identities, material.tau, genuine)
        rng = np.random.default_rng([seed, 11, number])
        size = min(settings.representation_pairs, len(first))
        drawn = np.sort(rng.choice(len(first), size, replace=False))
        first, second = first[drawn], second[drawn]
        if not size:
            print(f"counterfactuals: no pair to move {direction}", flush=True)
            continue
        result = representation_counterfactuals(
            material.decoder,
            material.recognizer,
            material.estimator,
            material.embeddings,
            first,
            second,
            material.tau,
            travel=settings.travel,
            n_samples=EXPLANATION_SAMPLES,
            seed=seed,
        )
        tables.append(_named(result.table, material, first, second))
        flipped = result.table["flipped"].to_numpy(np.float64)
        interval = identity_mean_interval(
            flipped, material.identities[first], n_boot=n_boot, seed=seed, clip=(0.0, 1.0)
        )
        rates[direction], counts[direction] = float(flipped.mean()), size
        intervals[direction] = [interval.low, interval.high]
        _draw_moved(material, result, first, second, pictures / f"representation-{direction}.png")
    values = {
        "representation_flip_rate": rates,
        "representation_flip_rate_interval": intervals,
        "representation_pairs": counts,
    }
    return (pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()), values


def _named(table: pd.DataFrame, material: Material, first: Rows, second: Rows) -> pd.DataFrame:
    named = table.copy()
    named.insert(0, "image_id", material.image_ids[first])
    named.insert(1, "other_image_id", material.image_ids[second])
    return named


def _draw_moved(material: Material, result: RepresentationResult, first: Rows, second: Rows, path: Path) -> None:
    shown = np.flatnonzero(result.table["flipped"].to_numpy())[:SHOWN]
    if not len(shown):
        return
    rows = [
        material.images[second[shown]],
        material.images[first[shown]],
        reconstruct(material.generator, result.before[shown]),
        reconstruct(material.generator, result.after[shown]),
    ]
    table = result.table.iloc[shown]
    titles = [f"{a:.2f} → {b:.2f}" for a, b in zip(table["score_unmoved"], table["score_after"], strict=True)]
    save_image_grid(
        rows, path, row_titles=["other", "image", "z decoded", "z' decoded"], column_titles=titles, scale=1.2
    )


def attribute_pairs(material: Material, count: int, seed: int) -> tuple[Rows, Rows, npt.NDArray[np.bool_]]:
    """Pairs for attribute counterfactuals: half genuine accepted, half impostor rejected, spread over deciles."""
    firsts, seconds, to_match = [], [], []
    for number, genuine in enumerate((True, False)):
        first, second, scores = decided_pairs(material.embeddings, material.identities, material.tau, genuine)
        rng = np.random.default_rng([seed, 12, number])
        drawn = spread_over_deciles(np.abs(scores - material.tau), count // 2, rng)
        firsts.append(first[drawn])
        seconds.append(second[drawn])
        to_match.append(np.full(len(drawn), not genuine))
    return np.concatenate(firsts), np.concatenate(seconds), np.concatenate(to_match)


def explain_attributes(
    material: Material, settings: CounterfactualsSection, seed: int, n_boot: int, pictures: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Attribute counterfactuals: one row a pair, and the flip rate over all attempted pairs."""
    first, second, to_match = attribute_pairs(material, settings.attribute_pairs, seed)
    rebuilt = reconstruct(material.generator, material.codes[first])
    current = hard_encoding(material.estimator, material.estimator.estimate(to_tensor(rebuilt)))
    others = hard_encoding(material.estimator, material.estimator.estimate(to_tensor(material.images[second])))
    pairs = Pairs(material.codes[first], current, others, material.embeddings[second], to_match)
    search = Search(
        material.editor, material.generator, material.recognizer, material.tau, settings.max_attributes
    )
    before = (embed_codes(material.generator, material.recognizer, pairs.codes) * pairs.embeddings).sum(1)
    kept = (before >= material.tau) != to_match
    found = search.run(pairs)
    flipped = found.flips & kept
    achieved = hard_encoding(
        material.estimator, material.estimator.estimate(to_tensor(reconstruct(material.generator, found.codes)))
    )
    table = pd.DataFrame(
        {
            "image_id": material.image_ids[first],
            "other_image_id": material.image_ids[second],
            "kind": np.where(to_match, "impostor", "genuine"),
            "score": (material.embeddings[first] * material.embeddings[second]).sum(1),
            "score_reconstructed": before,
            "score_after": found.scores,
            "kept": kept,
            "flipped": flipped,
            "n_attributes": [len(names) for names in found.changed],
            "changes": [json.dumps(_described(material, pairs, found, achieved, i)) for i in range(len(pairs))],
            "cross_talk": [_cross_talk(material, pairs, found, achieved, i) for i in range(len(pairs))],
        }
    )
    interval = identity_mean_interval(
        flipped.astype(np.float64), material.identities[first], n_boot=n_boot, seed=seed, clip=(0.0, 1.0)
    )
    by_kind = table.groupby("kind")["flipped"].mean()
    values = {
        "attribute_flip_rate": float(flipped.mean()),
        "attribute_flip_rate_interval": [interval.low, interval.high],
        "attribute_flip_rate_by_kind": {kind: float(by_kind[kind]) for kind in by_kind.index},
        "attribute_pairs": len(pairs),
        "attributes_changed": float(table.loc[table["flipped"], "n_attributes"].mean()) if flipped.any() else None,
        "reconstruction_kept": float(kept.mean()),
    }
    _draw_edited(material, table, found, first, second, pictures)
    return table, values


def _described(material: Material, pairs: Pairs, found: Found, achieved: Floats, row: int) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = []
    for name in found.changed[row]:
        attribute = material.editor.schema[name]
        place = material.editor.schema.slices[name]
        values = (pairs.current[row, place], found.wanted[row, place], achieved[row, place])
        if attribute.kind == "continuous":
            start, end, read = (round(float(value[0]), 3) for value in values)
            changes.append({"attribute": name, "from": start, "to": end, "read": read, "unit": attribute.unit})
            continue
        start_class, end_class, read_class = (
            attribute.categories[int(value.argmax() if len(value) > 1 else value[0] >= 0.5)] for value in values
        )
        changes.append(
            {"attribute": name, "from": start_class, "to": end_class, "read": read_class, "unit": attribute.unit}
        )
    return changes


def _cross_talk(material: Material, pairs: Pairs, found: Found, achieved: Floats, row: int) -> float:
    """Root mean square of how far the attributes that were not changed moved, in their standard deviations."""
    moved = ((achieved[row] - pairs.current[row]) / material.editor.scales.cpu().numpy()) ** 2
    for name in found.changed[row]:
        moved[material.editor.schema.slices[name]] = np.nan
    return float(np.sqrt(np.nanmean(moved))) if np.isfinite(moved).any() else 0.0


def _draw_edited(
    material: Material, table: pd.DataFrame, found: Found, first: Rows, second: Rows, pictures: Path
) -> None:
    for kind in ("genuine", "impostor"):
        shown = np.flatnonzero((table["kind"] == kind) & table["flipped"])[:: 4][:SHOWN]
        if not len(shown):
            continue
        rows = [
            material.images[second[shown]],
            reconstruct(material.generator, material.codes[first[shown]]),
            reconstruct(material.generator, found.codes[shown]),
        ]
        titles = []
        for i in shown:
            names = [_short(change) for change in json.loads(table["changes"][i])]
            more = [f"and {len(names) - 3} more"] if len(names) > 3 else []
            scores = f"{table['score_reconstructed'][i]:.2f} → {table['score_after'][i]:.2f}"
            titles.append("\n".join([scores, *names[:3], *more]))
        path = pictures / f"attribute-{kind}.png"
        save_image_grid(rows, path, row_titles=["other", "image", "changed"], column_titles=titles, scale=1.5)


def _short(change: dict[str, Any]) -> str:
    name = change["attribute"].replace("_", " ")
    if isinstance(change["to"], str):
        return f"{name}: {change['to']}"
    return f"{name} {change['from']:.2g} → {change['to']:.2g}"
