"""What brought heads read in all images, and the labels that stand before it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from attribute_recovery.attributes.calibration import calibrate
from attribute_recovery.attributes.card import HeadsCard
from attribute_recovery.attributes.heads import Estimates
from attribute_recovery.attributes.networks import split_readout
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema, KnownValues
from attribute_recovery.dataset.store import rows_of
from attribute_recovery.statistics.quality import balanced_accuracy, r_squared

Values = dict[str, npt.NDArray[np.generic]]

# Labelled images of the split `calibration` from which on heads are calibrated on them.
CALIBRATED_FROM = 20


@dataclass(frozen=True)
class Readings:
    """What heads read in all images, beside the labels.

    Attributes:
        schema: the attributes that can be used.
        values: of each, (n,): the label where there is one, else what was read.
        labels: those of the data set.
        notes: sentences for the report.
    """

    schema: AttributeSchema
    values: Values
    labels: KnownValues
    notes: list[str]

    @property
    def labelled(self) -> dict[str, int]:
        """How many images have a label of each attribute."""
        known = self.labels.known
        return {name: int(known[name].sum()) if name in known else 0 for name in self.schema.names}

    def labelled_rows(self, rows: pd.DataFrame, split: str, name: str) -> npt.NDArray[np.int64]:
        """The rows of a split that have a label of an attribute."""
        of_split = rows_of(rows, split)
        return of_split[self.labels.known[name][of_split]] if name in self.labels.known else of_split[:0]


def merge_readings(
    described: HeadsCard, readouts: Tensor, rows: pd.DataFrame, labelled: AttributeSchema
) -> Readings:
    """Labels where there are some, else what was read; attributes in which all images are alike are left out.

    Args:
        described: the heads' card.
        readouts: their raw read-outs (n, width) with means of 0 and scales of 1, of all its attributes.
        rows: the images table.
        labelled: attributes that it has labels of.

    Returns:
        What can be used.

    Raises:
        ValueError: labels and heads mean something else by one name, or nothing varies.
    """
    declared = described.schema_of()
    raw = split_readout(declared, readouts)
    notes, kept, values = [], [], {}
    known_names = [name for name in declared.names if name in labelled.names]
    common = AttributeSchema(tuple(labelled[name] for name in known_names))
    labels = common.known_from_table(rows)
    for attribute in declared:
        name = attribute.name
        part = raw[name].numpy()
        read = part.argmax(1) if attribute.is_discrete else part[:, 0]
        if name in common.names:
            attribute = _agreed(attribute, labelled[name], described.name)
            read = np.where(labels.known[name], labels.values[name], read)
        if not attribute.is_discrete:
            notes += _outside(attribute, read)
            read = np.clip(read, *attribute.range).astype(np.float32)
        if len(np.unique(read)) < 2:
            notes.append(f"The heads read the same {name} in every image, so nothing is said of it.")
            continue
        dose = 1.0 if attribute.is_discrete else float(read.astype(np.float64).std())
        kept.append(replace(attribute, dose=dose))
        values[name] = read
    unread = [name for name in labelled.names if name not in declared.names]
    notes += [f"The labels {', '.join(unread)} are not used: no head reads them."] if unread else []
    if not kept:
        raise ValueError(f"heads {described.name!r}: read the same in every image, for every attribute")
    return Readings(AttributeSchema(tuple(kept)), values, labels, notes)


def _agreed(read: Attribute, labelled: Attribute, name: str) -> Attribute:
    """The labelled attribute, if the heads mean the same by its name."""
    if (read.kind, read.categories) != (labelled.kind, labelled.categories):
        found = f"{read.kind} {', '.join(read.categories)}".strip()
        allowed = f"{labelled.kind} {', '.join(labelled.categories)}".strip()
        raise ValueError(
            f"heads {name!r}: attribute {read.name}: found {found}, allowed is {allowed}, as "
            "dataset.attributes declares it"
        )
    return labelled


def _outside(attribute: Attribute, read: npt.NDArray[Any]) -> list[str]:
    low, high = attribute.range
    share = float(((read < low) | (read > high)).mean())
    if share <= 0.01:
        return []
    return [
        f"In {share:.0%} of images {attribute.name} was read outside of its range {low:g} to {high:g} "
        f"{attribute.unit}, and brought into it."
    ]


def moments(found: Readings) -> tuple[dict[str, float], dict[str, float]]:
    """Means and standard deviations of the continuous attributes, by name, in their units."""
    columns = {a.name: np.asarray(found.values[a.name], np.float64) for a in found.schema.continuous}
    means = {name: float(column.mean()) for name, column in columns.items()}
    return means, {name: float(column.std()) for name, column in columns.items()}


def calibration_factors(
    readouts: Tensor,
    found: Readings,
    rows: pd.DataFrame,
    means: Mapping[str, float],
    scales: Mapping[str, float],
) -> tuple[dict[str, float], list[str]]:
    """The calibration factor of each attribute, 1 where too few images of `calibration` have a label of it.

    Args:
        readouts: raw read-outs (n, width) of the attributes that are used.
        found: these attributes and their labels.
        rows: the images table.
        means, scales: that the read-outs of continuous attributes are standardised by.

    Returns:
        The factors, by name; and a sentence for the attributes whose certainty is taken as it is.
    """
    raw = split_readout(found.schema, readouts)
    factors, uncalibrated = dict.fromkeys(found.schema.names, 1.0), []
    for attribute in found.schema:
        name = attribute.name
        known = found.labelled_rows(rows, "calibration", name)
        truth = found.values[name][known]
        if len(known) < CALIBRATED_FROM or len(np.unique(truth)) < 2:
            uncalibrated.append(name)
            continue
        if not attribute.is_discrete:
            truth = ((truth.astype(np.float64) - means[name]) / scales[name]).astype(np.float32)
        only = AttributeSchema((attribute,))
        factors |= calibrate(only, {name: raw[name][torch.from_numpy(known)]}, {name: truth})
    if not uncalibrated:
        return factors, []
    return factors, [
        f"How certain the heads are of {', '.join(uncalibrated)} was taken as they say it, since fewer than "
        f"{CALIBRATED_FROM} images of the split calibration have a label of it, or all the same."
    ]


def readings_of(rows: pd.DataFrame, found: Readings) -> pd.DataFrame:
    """The images table with a value of every attribute for every image."""
    keys = rows[[name for name in rows if not str(name).startswith("attribute.")]]
    return pd.concat([keys, found.schema.to_table(found.values)], axis=1)


def measure_readings(estimates: Estimates, found: Readings, rows: pd.DataFrame) -> dict[str, Any]:
    """R² and balanced accuracy on the images of `test` that have a label; of attributes without any, nothing.

    Args:
        estimates: of all images.
        found: the attributes and their labels.
        rows: the images table.

    Returns:
        As `train.measure_heads`, and the counts that it stands on.
    """
    read = estimates.values()
    figures: dict[str, dict[str, float]] = {"r2": {}, "balanced_accuracy": {}}
    used = np.zeros(len(rows), np.bool_)
    for attribute in found.schema:
        name = attribute.name
        known = found.labelled_rows(rows, "test", name)
        truth = found.values[name][known]
        if len(np.unique(truth)) < 2:
            continue
        used[known] = True
        if attribute.is_discrete:
            figures["balanced_accuracy"][name] = balanced_accuracy(read[name][known], truth)
        else:
            figures["r2"][name] = r_squared(read[name][known], truth)
    medians = {
        f"median_{kind}": float(np.median(list(each.values()))) for kind, each in figures.items() if each
    }
    counts = {"n_images": int(used.sum()), "n_identities": int(rows.loc[used, "identity"].nunique())}
    return medians | figures | counts | {"split": "test"}
