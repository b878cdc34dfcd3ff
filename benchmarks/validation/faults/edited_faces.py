"""The decision effect's edited images, made once by the finished run's G, E, heads and editor: none of them
knows the recognizer, so any number of recognizers may look at the same images.

They are kept in half precision: in 256 steps a channel, as images are stored, the rounding alone would add
0.001 to every effect with the tests' tiny recognizer, since the product passes decoded images on as they are.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.dataset.store import read_array, read_parquet, write_array
from attribute_recovery.generator.load import LoadedGenerator, load_generator
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.significance.contributions import contributions_table
from attribute_recovery.significance.crosstalk import Account
from attribute_recovery.significance.decision import Effect
from attribute_recovery.significance.effect import (
    BATCH,
    Edit,
    Edited,
    choose_images,
    distances,
    plan_edits,
    together,
)
from attribute_recovery.significance.models import Models, load_models
from attribute_recovery.statistics.bootstrap import Interval
from attribute_recovery.statistics.inputs import FloatArray
from attribute_recovery.training.device import chunks, inference_dtype
from benchmarks.validation.finished_run import FinishedRun
from benchmarks.validation.kept import kept

Floats = npt.NDArray[np.float32]
Decoded = npt.NDArray[np.float16]

HERE = "benchmarks.validation.faults.edited_faces"


@dataclass(frozen=True)
class EditedFaces:
    """The run's n edited test images.

    Attributes:
        people: who is seen in each, (n,).
        edits: in every direction of every editable attribute, in order.
        images: the n reconstructions, then those of each edit one after the other, (m, 3, side, side) in [-1,
            1].
    """

    people: npt.NDArray[np.object_]
    edits: list[Edit]
    images: Decoded


def edited_faces(run: FinishedRun, device: torch.device) -> EditedFaces:
    """The images that the run's own decision effects rest on, edited as there.

    Raises:
        ValueError: a file of the run is missing or damaged.
    """
    listed = read_parquet(run.of_recognizer("recovery/recovered.parquet"))
    listed = listed[listed["split"] == "test"]
    chosen = choose_images(
        listed["identity"].to_numpy(object), run.config.significance.images, run.config.seed
    )
    images = run.images()
    rows = pd.Index(images["image_id"]).get_indexer(listed["image_id"].iloc[chosen])
    codes = read_array(run.folder / "generator" / "codes.bcolz", rows)
    schema = _reported(run)
    frequencies = _frequencies(schema, images[images["split"] == "train"])

    def make(folder: Path) -> None:
        models = load_models(
            run.compute, device, generator=run.generator, heads=run.heads, editor=run.editor, recognizer=run.f
        )
        generator = load_generator(*run.generator, device, inference_dtype(run.compute))
        current = schema.encode(schema.decode(models.pipeline.read(codes)))
        edits = plan_edits(schema, current, frequencies)
        moved = [codes, *(_carried_out(models, codes, current, edit) for edit in edits)]
        parts = [_decoded(generator, each) for each in moved]
        count, shape = sum(map(len, parts)), parts[0].shape[1:]
        write_array(folder / "images.bcolz", iter(parts), shape, np.dtype(np.float16), count)
        write_array(
            folder / "current.bcolz", iter([current]), current.shape[1:], np.dtype(np.float32), len(current)
        )

    folder = kept("edited-faces", HERE, {"run": run.digest}, make)
    edits = plan_edits(schema, read_array(folder / "current.bcolz"), frequencies)
    people = images["identity"].iloc[rows].to_numpy(object)
    return EditedFaces(people, edits, read_array(folder / "images.bcolz"))


def _frequencies(schema: AttributeSchema, fitted: pd.DataFrame) -> dict[str, FloatArray]:
    """Of the classes of each categorical attribute in the population, (classes,)."""
    encoded = schema.encode(schema.from_table(fitted)).astype(np.float64)
    return {
        a.name: np.asarray(encoded[:, schema.slices[a.name]].mean(axis=0))
        for a in schema
        if a.kind == "categorical"
    }


def _reported(run: FinishedRun) -> AttributeSchema:
    """The attributes, editable those whose decision effect the run reports."""
    table = read_parquet(run.of_recognizer("significance/significance.parquet"))
    known = table[(table["measure"] == "decision_effect") & table["estimate"].notna()]
    names = set(known["attribute"])
    return AttributeSchema(tuple(replace(a, editable=a.name in names) for a in run.schema))


def _carried_out(models: Models, codes: Floats, current: Floats, edit: Edit) -> Floats:
    """What becomes of the codes of an edit's images, (r, code_size)."""
    moved = [
        models.pipeline.edit(codes[edit.rows[part]], current[edit.rows[part]], edit.wanted[part])
        for part in chunks(len(edit.rows), BATCH)
    ]
    return np.concatenate(moved)


def _decoded(generator: LoadedGenerator, codes: Floats) -> Decoded:
    """Images (n, 3, side, side) of codes (n, code_size)."""
    with torch.no_grad():
        parts = [
            generator.decode(torch.from_numpy(codes[part])).half().cpu().numpy()
            for part in chunks(len(codes), BATCH)
        ]
    return np.concatenate(parts)


def _embedded(recognizer: Recognizer, images: Decoded) -> Floats:
    """Embeddings (n, d) of images (n, 3, side, side)."""
    with torch.no_grad():
        parts = [
            recognizer.embed(torch.from_numpy(images[part]).float()).cpu().numpy()
            for part in chunks(len(images), BATCH)
        ]
    return np.concatenate(parts)


def contributions_of(faces: EditedFaces, recognizer: Recognizer) -> pd.DataFrame:
    """What each person has to do with each attribute's decision effect, as the product's comparison of
    recognizers reads it; directions are taken together."""
    embeddings = _embedded(recognizer, faces.images)
    n = len(faces.people)
    rebuilt, start = embeddings[:n], n
    edited: dict[str, list[Edited]] = {}
    for edit in faces.edits:
        after = embeddings[start : start + len(edit.rows)]
        start += len(edit.rows)
        effects = distances(rebuilt[edit.rows], after)
        one = Edited(edit, np.empty((len(after), 0), np.float32), after, np.zeros(len(after)), effects)
        edited.setdefault(edit.attribute, []).append(one)
    found = [_effect(name, together(each, [one.effects for one in each], n)) for name, each in edited.items()]
    return contributions_table([], faces.people[:0], found, faces.people)


def _effect(name: str, values: FloatArray) -> Effect:
    """The effect with what contributions are made of; nothing here is tested against placebo edits."""
    nothing: Any = np.nan
    return Effect(
        attribute=name,
        direction="",
        interval=Interval(float(np.nanmean(values)), nothing, nothing, 0, 0, 0.95),
        p=nothing,
        p_by_scheme={},
        placebo_effect=nothing,
        code_norm=nothing,
        account=Account(nothing, nothing, nothing, nothing, ""),
        flips={},
        n_identities=0,
        n_images=int(np.count_nonzero(~np.isnan(values))),
        values=values,
    )
