"""Attribute heads that somebody brings: tried on the data set's images, and what they read in all of them.

Labels that the data set has stay the truth, and the heads are calibrated and measured on them. Where an image
has no label, what the heads read in it stands in its place: the later stages read table and schema from here.
"""

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attribute_recovery.attributes.brought import BroughtHeads, open_outputs
from attribute_recovery.attributes.card import ContinuousOutput, HeadsCard, Output, read_heads_card
from attribute_recovery.attributes.heads import AttributeEstimator
from attribute_recovery.attributes.networks import split_readout
from attribute_recovery.attributes.readings import (
    calibration_factors,
    measure_readings,
    merge_readings,
    moments,
    readings_of,
)
from attribute_recovery.config import Compute
from attribute_recovery.config_attributes import OnnxHeads, PythonHeads
from attribute_recovery.dataset.attributes import AttributeSchema, read_schema, write_schema
from attribute_recovery.dataset.describe import describe_table
from attribute_recovery.dataset.known import refuse_atoms
from attribute_recovery.dataset.store import open_array, read_table, write_json, write_table
from attribute_recovery.generator.train import to_tensor
from attribute_recovery.recognizer.bring import sampled_images
from attribute_recovery.recognizer.python_function import source_digest, write_reference
from attribute_recovery.recognizer.template import AnyTemplate, Template, read_images_template
from attribute_recovery.tracking.digest import atomic_output, sha256_file
from attribute_recovery.training.device import chunks, prepare_torch
from attribute_recovery.training.weights import write_card

BroughtSettings = OnnxHeads | PythonHeads
Values = dict[str, npt.NDArray[np.generic]]

# Largest difference, relative above 1, between the outputs for an image run alone and in a batch.
TOLERANCE = 1e-4
# How far probabilities of all classes may be from adding up to 1.
SUM_TOLERANCE = 1e-2
BATCH = 128


def bring_heads(
    settings: BroughtSettings,
    compute: Compute,
    *,
    images: Path,
    table: Path,
    attributes: Path,
    report: Path,
    weights: Path,
    card: Path,
    metrics: Path,
    readings_table: Path,
    readings_schema: Path,
    readings: Path,
) -> dict[str, Any]:
    """Take heads in.

    Args:
        settings: where they are.
        compute: threads.
        images: bcolz array, uint8 (n, side, side, 3), read.
        table: images.parquet, read; its labels may have gaps.
        attributes: attributes.json, read; the labelled ones, maybe none.
        report: of the data set, read for where the eyes lie in its images.
        weights: the ONNX file or the reference to a function, written.
        card: their card with calibration and schema, written.
        metrics: JSON of what is returned, written.
        readings_table: images.parquet with a value of every attribute for every image, written.
        readings_schema: attributes.json of these, written.
        readings: how they are distributed in each split, written.

    Returns:
        `source`, `name`, `licence`, `weights_sha256`, `runs_user_code`, `notes`; `labelled` and `read`, by
        attribute the number of images whose value is a label or was read; and on the labelled images of
        `test` R² and balanced accuracy, as of heads that are trained here.

    Raises:
        ValueError: card, file and data set do not fit each other, the heads cannot be run, or more than 5 %
            of what they read of a continuous attribute is one value; nothing is written then.
    """
    prepare_torch(compute)
    path = settings.card if isinstance(settings, PythonHeads) else settings.weights.with_suffix(".json")
    described = _described(settings, path)
    template = read_images_template(report) or "as given"
    size = int(open_array(images).shape[1])
    with atomic_output(weights) as partial:
        _copied(settings, partial)
        every = _opened(partial, described, described.schema_of(), size, template)
        worst = _tried(every, described, sampled_images(images))
        columns = _columns_of_all(every, images)
        rows = read_table(table)
        found = merge_readings(described, every.readouts(columns), rows, read_schema(attributes))
        merged = readings_of(rows, found)
        # Above all what was read beyond the range, and lies at its end now.
        refuse_atoms(merged, found.schema, f"heads {described.name!r}")
    means, scales = moments(found)
    network = _opened(weights, described, found.schema, size, template, means, scales)
    readouts = network.readouts(_of_schema(described, found.schema, columns))
    factors, notes = calibration_factors(readouts, found, rows, means, scales)
    cpu = torch.device("cpu")
    estimator = AttributeEstimator(found.schema, network, means, scales, factors, cpu, torch.float32)
    estimates = estimator.collected([estimator.calibrated(split_readout(found.schema, readouts))])
    brought = {"brought": described.model_dump(mode="json"), "template": _plain(template), "image_size": size}
    kept = {"attributes": [asdict(attribute) for attribute in found.schema], "calibration": factors}
    write_card(card, brought | kept | {"means": means, "scales": scales})
    write_table(merged, readings_table)
    write_schema(found.schema, readings_schema)
    write_json({"attributes": describe_table(merged, found.schema)["attributes"]}, readings)
    for note in (*found.notes, *notes):
        print(f"attributes: {note}", flush=True)
    labelled = found.labelled
    values = {
        "source": settings.source,
        "name": described.name,
        "licence": described.licence,
        "weights_sha256": described.weights_sha256,
        "runs_user_code": isinstance(settings, PythonHeads),
        "batch_difference": worst,
        "notes": [*found.notes, *notes],
        "labelled": labelled,
        "read": {name: len(rows) - count for name, count in labelled.items()},
        **measure_readings(estimates, found, rows),
    }
    write_json(values, metrics)
    return values


def _described(settings: BroughtSettings, path: Path) -> HeadsCard:
    """The card, which has to be one of that source and of that file."""
    described = read_heads_card(path)
    if described.format != settings.source:
        raise ValueError(
            f"{path}: key format: found {described.format!r}, allowed is {settings.source!r} for source "
            f"{settings.source}"
        )
    if isinstance(settings, PythonHeads):
        what, found = f"function {settings.function!r}", source_digest(settings.function)
    else:
        if not settings.weights.is_file():
            raise ValueError(f"{settings.weights}: is missing, expected the heads {described.name!r}")
        what, found = str(settings.weights), sha256_file(settings.weights)
    if described.weights_sha256 not in ("", found):
        raise ValueError(
            f"{what}: found sha256 {found}, the card allows {described.weights_sha256}; these are other "
            "heads, or the file is damaged"
        )
    return described.model_copy(update={"weights_sha256": found})


def _copied(settings: BroughtSettings, target: Path) -> None:
    if isinstance(settings, PythonHeads):
        write_reference(settings.function, target)
    else:
        shutil.copyfile(settings.weights, target)


def _opened(
    path: Path,
    described: HeadsCard,
    schema: AttributeSchema,
    size: int,
    template: AnyTemplate,
    means: Mapping[str, float] | None = None,
    scales: Mapping[str, float] | None = None,
) -> BroughtHeads:
    """The network that reads these attributes; means and scales of 0 and 1 where none are given."""
    outputs, limits = open_outputs(path, described)
    names = [attribute.name for attribute in schema.continuous]
    return BroughtHeads(
        described,
        outputs,
        limits,
        attributes=schema.names,
        means=dict.fromkeys(names, 0.0) if means is None else means,
        scales=dict.fromkeys(names, 1.0) if scales is None else scales,
        image_size=size,
        images=template,
    )


def _tried(network: BroughtHeads, described: HeadsCard, samples: Tensor) -> float:
    """Make sure that outputs are what the card says and hang on the image alone; the largest difference."""
    told = f"heads {described.name!r}"
    with torch.no_grad():
        together = network.columns(samples)
        alone = torch.cat([network.columns(samples[i : i + 1]) for i in range(len(samples))])
    places = torch.split(together, [len(output.columns) for output in described.attributes], dim=1)
    for output, part in zip(described.attributes, places, strict=True):
        if fault := _fault(output, part):
            raise ValueError(f"{told}: attribute {output.name}: {fault}")
    worst = float(((together - alone).abs() / alone.abs().clamp_min(1)).max())
    if not worst <= TOLERANCE:
        raise ValueError(
            f"{told}: what is read in an image depends on the other images of its batch (by up to "
            f"{worst:.2g}, allowed is {TOLERANCE:g}); were they exported in evaluation mode?"
        )
    if bool((samples != samples[:1]).any()) and float((alone - alone[:1]).abs().max()) < 1e-6:
        raise ValueError(
            f"{told}: read the same in all of {len(samples)} images; is the value range of the card the one "
            "that they were trained with?"
        )
    return worst


def _fault(output: Output, part: Tensor) -> str:
    """What is wrong with an attribute's columns (n, k); empty if nothing is."""
    if not bool(torch.isfinite(part).all()):
        return "gives numbers that are not finite"
    if isinstance(output, ContinuousOutput):
        if output.sd is None and bool((part[:, 1] <= 0).any()):
            return f"found a standard deviation of {float(part[:, 1].min()):g}, allowed is more than 0"
        return ""
    if output.activation == "logits":
        return ""
    low, high = float(part.min()), float(part.max())
    if low < -SUM_TOLERANCE or high > 1 + SUM_TOLERANCE:
        return (
            f"found probabilities from {low:.3g} to {high:.3g}, allowed is 0 to 1; are they logits, as the "
            "card's field activation could say?"
        )
    off = float((part.sum(1) - 1).abs().max()) if part.shape[1] > 1 else 0.0
    return f"found probabilities that add up to 1 ± {off:.2g}, allowed is 1" if off > SUM_TOLERANCE else ""


def _columns_of_all(network: BroughtHeads, images: Path) -> Tensor:
    """The outputs' columns (n, columns) of all images."""
    pixels = open_array(images)
    parts = []
    with torch.no_grad():
        for number, part in enumerate(chunks(len(pixels), BATCH)):
            parts.append(network.columns(to_tensor(np.asarray(pixels[part]))))
            if number % 20 == 19:
                print(f"attributes: read {part.stop} of {len(pixels)} images", flush=True)
    columns = torch.cat(parts)
    if not bool(torch.isfinite(columns).all()):
        raise ValueError("heads: give numbers that are not finite for some images of the data set")
    return columns


def _plain(template: AnyTemplate) -> object:
    return asdict(template) if isinstance(template, Template) else template


def _of_schema(described: HeadsCard, schema: AttributeSchema, columns: Tensor) -> Tensor:
    """Of all outputs' columns (n, all) those of the attributes that are used."""
    kept = [
        torch.full((len(output.columns),), output.name in schema.names) for output in described.attributes
    ]
    return columns[:, torch.cat(kept)]
