"""Row "decision effect of each attribute, each direction": the product's edits against re-rendering the same
heads with that attribute changed by the same dose.

A renderer is a generator whose codes are attributes and in which any edit is exact, so the product's own
functions measure all of these on the same images:

    truth       f(render(a)) against f(render(a'))
    through G   f(G(E(render(a)))) against f(G(E(render(a')))): exact edits seen through G, so that what
                differs from the truth is G's share
    G replaced  f(render(h(w))) against f(render(h(edit(w)))), h(w) what the heads read in G(w): the product's
                edits, what came of them rendered, so that what differs is the editor's and the heads' share
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.stats import spearmanr

from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.dataset.store import read_array, read_parquet
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.generator.load import load_generator
from attribute_recovery.significance.effect import (
    Edited,
    Pipeline,
    carry_out,
    choose_images,
    originals,
    plan_edits,
    together,
)
from attribute_recovery.significance.models import load_models
from attribute_recovery.statistics.inputs import FloatArray
from attribute_recovery.training.device import inference_dtype, prepare_torch
from benchmarks.validation.finished_run import Camera, FinishedRun, camera_of, finished_run
from benchmarks.validation.outcome import Chunk, Found, Goal, Table

Floats = npt.NDArray[np.float32]

LEAST_SPEARMAN, LARGEST_ERROR = 0.95, 0.10
# What is set against the truth, and whose errors it holds.
WAYS = {
    "product": "all: the product's edits",
    "through_generator": "G's: exact edits, seen through G",
    "generator_replaced": "the editor's and the heads': the product's edits, the renderer in G's place",
}


def plan(quick: bool, seed: int) -> dict[str, Chunk]:
    """The chunks of the row by name: one an attribute; nothing is drawn, so the seed is not used.

    Raises:
        ValueError: The run that the row stands on is not finished.
    """
    run = finished_run()
    known, schema = set(_reported(run)["attribute"]), run.schema
    names = [attribute.name for attribute in schema if attribute.name in known]
    if quick:
        by_kind = {schema[name].kind: name for name in reversed(names)}
        names = [name for name in names if name in by_kind.values()]
    return {name: {"run": run.digest, "attribute": name} for name in names}


def _reported(run: FinishedRun) -> pd.DataFrame:
    """The decision effects that the run reports: those that have an estimate."""
    table = read_parquet(run.of_recognizer("significance/significance.parquet"))
    return table[(table["measure"] == "decision_effect") & table["estimate"].notna()]


def work(chunk: Chunk) -> Found:
    """The effects of one attribute by direction, "" for all of them together.

    Raises:
        ValueError: The run has changed, or a file of it is missing or damaged.
    """
    run = finished_run(chunk["run"])
    device = prepare_torch(run.compute)
    schema, images = run.schema, run.images()
    listed = read_parquet(run.of_recognizer("recovery/recovered.parquet"))
    listed = listed[listed["split"] == "test"]
    settings = run.config.significance
    chosen = choose_images(listed["identity"].to_numpy(object), settings.images, run.config.seed)
    rows = pd.Index(images["image_id"]).get_indexer(listed["image_id"].iloc[chosen])
    tested, fitted = images.iloc[rows], images[images["split"] == "train"]
    codes = {
        "truth": schema.encode(schema.from_table(tested)),
        "product": read_array(run.folder / "generator" / "codes.bcolz", rows),
    }
    codes |= {"through_generator": codes["truth"], "generator_replaced": codes["product"]}
    population = schema.encode(schema.from_table(fitted)).astype(np.float64)
    frequencies = {
        a.name: population[:, schema.slices[a.name]].mean(axis=0) for a in schema if a.kind == "categorical"
    }
    camera = camera_of(run, 4 * len(rows), device)
    real, people = read_embeddings(run.shards(), tested), tested["identity"].to_numpy(object)
    only = AttributeSchema(tuple(replace(a, editable=a.name == chunk["attribute"]) for a in schema))
    effects: dict[str, dict[str, float]] = {"product": {}}
    counts: dict[str, int] = {}
    for name, pipeline in _pipelines(run, schema, camera, device).items():
        known = originals(pipeline, schema, codes[name], people, real)
        edited = [carry_out(pipeline, known, edit) for edit in plan_edits(only, known.current, frequencies)]
        effects[name] = _by_direction(edited, len(rows))
        counts |= {f"{name} {one.edit.direction}": len(one.edit.rows) for one in edited}
    own = _reported(run)
    own = own[own["attribute"] == chunk["attribute"]]
    effects["product"] = {row.direction: float(row.estimate) for row in own.itertuples()}
    return {
        "attribute": chunk["attribute"],
        "people": len(set(people)),
        "images": len(rows),
        "effects": effects,
        "counts": counts,
    }


def _pipelines(
    run: FinishedRun, schema: AttributeSchema, camera: Camera, device: torch.device
) -> dict[str, Pipeline]:
    """How the effects beside the product's are made, see the module."""
    models = load_models(
        run.compute, device, generator=run.generator, heads=run.heads, editor=run.editor, recognizer=run.f
    )
    generator = load_generator(*run.generator, device, inference_dtype(run.compute))

    def as_read(codes: Floats) -> Floats:
        return as_attributes(schema, models.pipeline.read(codes))

    def through_generator(encoded: Floats) -> Floats:
        return models.pipeline.embed(generator.encode_images(camera.render(encoded)))

    return {
        "truth": Pipeline(camera.embed, _unchanged, _exactly),
        "through_generator": Pipeline(through_generator, _unchanged, _exactly),
        "generator_replaced": Pipeline(
            lambda codes: camera.embed(as_read(codes)), models.pipeline.read, models.pipeline.edit
        ),
    }


def _unchanged(encoded: Floats) -> Floats:
    return encoded


def _exactly(encoded: Floats, current: Floats, wanted: Floats) -> Floats:
    return wanted


def as_attributes(schema: AttributeSchema, read: Floats) -> Floats:
    """What heads read, (n, width), as attributes that can be rendered: the likeliest class, values within
    their range."""
    values = schema.decode(read)
    for attribute in schema.continuous:
        values[attribute.name] = np.clip(values[attribute.name], *attribute.range)
    return schema.encode(values)


def _by_direction(edited: list[Edited], n: int) -> dict[str, float]:
    """Mean effects, the directions of an attribute taken together as the product does."""
    found = {one.edit.direction: float(one.effects.mean()) for one in edited}
    everywhere = together(edited, [one.effects for one in edited], n)
    return {"": float(np.nanmean(everywhere))} | found


def conclude(found: Mapping[str, Found]) -> dict[str, Any]:
    """Goals and tables of the row."""
    overall = {way: set_against_truth(found, way, directions=False) for way in WAYS}
    directed = {way: set_against_truth(found, way, directions=True) for way in WAYS}
    rho, rho_directed = spearman(overall["product"]), spearman(directed["product"])
    error = median_error(directed["product"])
    goals: list[Goal] = [
        {
            "goal": "Spearman over attributes, directions taken together, at least 0.95",
            "measured": f"{rho:.3f} over {len(overall['product'])} attributes",
            "reached": bool(rho >= LEAST_SPEARMAN),
        },
        {
            "goal": "Spearman over attributes and directions at least 0.95",
            "measured": f"{rho_directed:.3f} over {len(directed['product'])}",
            "reached": bool(rho_directed >= LEAST_SPEARMAN),
        },
        {
            "goal": "median relative error over attributes and directions at most 10 %",
            "measured": f"{100 * error:.1f} % over {len(directed['product'])}",
            "reached": bool(error <= LARGEST_ERROR),
        },
    ]
    shares: Table = {
        "caption": "Whose error: what is set against the truth, and the errors that it holds",
        "columns": [
            "errors",
            "Spearman over attributes",
            "over attributes and directions",
            "median relative error, %",
            "median of effect / truth",
        ],
        "rows": [
            [
                told,
                f"{spearman(overall[way]):.3f}",
                f"{spearman(directed[way]):.3f}",
                f"{100 * median_error(directed[way]):.1f}",
                f"{float(np.median(directed[way][:, 0] / directed[way][:, 1])):.2f}",
            ]
            for way, told in WAYS.items()
        ],
    }
    return {"goals": goals, "tables": [shares, _listed(found)]}


def set_against_truth(found: Mapping[str, Found], way: str, *, directions: bool) -> FloatArray:
    """Effects and true effects, (m, 2), of attributes or of their directions; those where either is not
    defined (nobody to change) or the truth is 0 are left out."""
    pairs = [
        (value, part["effects"]["truth"][direction])
        for part in found.values()
        for direction, value in part["effects"][way].items()
        if bool(direction) == directions and part["effects"]["truth"].get(direction, 0.0) > 0
    ]
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


def spearman(pairs: FloatArray) -> float:
    """Rank correlation of the columns of (m, 2); NaN of fewer than two rows."""
    return float(spearmanr(pairs[:, 0], pairs[:, 1]).statistic) if len(pairs) > 1 else float("nan")


def median_error(pairs: FloatArray) -> float:
    """Median of |effect − truth| / truth over the rows of (m, 2)."""
    return float(np.median(np.abs(pairs[:, 0] - pairs[:, 1]) / pairs[:, 1]))


def _listed(found: Mapping[str, Found]) -> Table:
    """Every attribute and direction, the largest true effect first, its directions below it."""
    parts = sorted(found.values(), key=lambda part: -part["effects"]["truth"].get("", 0.0))
    rows = [
        [
            part["attribute"],
            direction or "all",
            str(part["counts"].get(f"truth {direction}", part["images"])),
            f"{part['effects']['truth'][direction]:.4f}",
            *(_beside(part["effects"], way, direction) for way in WAYS),
        ]
        for part in parts
        for direction in part["effects"]["truth"]
    ]
    first = parts[0]
    return {
        "caption": f"Mean of 1 − cos in images of {first['people']} people, and the relative error",
        "columns": ["attribute", "direction", "images", "truth", "product", "seen through G", "G replaced"],
        "rows": rows,
    }


def _beside(effects: Mapping[str, Mapping[str, float]], way: str, direction: str) -> str:
    value, truth = effects[way].get(direction), effects["truth"][direction]
    if value is None:
        return "nobody"
    return f"{value:.4f} ({100 * (value / truth - 1):+.0f} %)" if truth > 0 else f"{value:.4f}"
