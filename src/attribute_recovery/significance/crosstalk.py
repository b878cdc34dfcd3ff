"""What an edit did to the image by the heads' account: the dose that was reached, and what moved besides."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.significance.effect import Edited, Originals, Pipeline
from attribute_recovery.statistics.inputs import FloatArray

Floats = npt.NDArray[np.float32]

# Images of each edit that are read: means over them are enough for a check.
READ_IMAGES = 32


@dataclass(frozen=True)
class Account:
    """What the heads read after an edit.

    Attributes:
        dose: mean absolute change that was asked for, in the attribute's unit (1 for classes).
        achieved: change that was read, in the direction asked for, over the change asked for; NaN where none
            was.
        cross_talk: mean over the other attributes of how far each moved, in its own population standard
            deviation.
        worst: the largest of these.
        worst_attribute: whose it is.
    """

    dose: float
    achieved: float
    cross_talk: float
    worst: float
    worst_attribute: str


@dataclass(frozen=True)
class Reading:
    """What the heads read in the first images of an edit, (r, width) each: before, after, asked for, and held
    before.

    `before` and `after` have probabilities for classes, `wanted` and `current` whole classes.
    """

    before: Floats
    after: Floats
    wanted: Floats
    current: Floats


def read_edit(pipeline: Pipeline, known: Originals, edited: Edited, most: int = READ_IMAGES) -> Reading:
    """Read at most so many edited images; what was read before is known."""
    rows = edited.edit.rows[:most]
    after = pipeline.read(edited.codes[: len(rows)])
    return Reading(known.read[rows], after, edited.edit.wanted[: len(rows)], known.current[rows])


def account(schema: AttributeSchema, name: str, readings: list[Reading], deviations: FloatArray) -> Account:
    """The account of all edits of one attribute.

    Args:
        schema: the attributes.
        name: the attribute that was changed.
        readings: of its edits.
        deviations: population standard deviations of the encoded columns, (width,); NaN for attributes that
            are left out of the cross-talk.
    """

    def joined(side: str) -> Floats:
        return np.concatenate([getattr(one, side) for one in readings])

    before, after, wanted, current = (joined(side) for side in ("before", "after", "wanted", "current"))
    place = schema.slices[name]
    asked = (wanted - current)[:, place]
    sign = np.sign(asked)
    if schema[name].is_discrete:
        # From the probability that was read before, since a head is never quite sure of what it sees.
        asked = np.where(asked != 0, wanted[:, place] - before[:, place], 0.0)
    total = float(np.sum(sign * asked))
    moved = np.abs(after - before).mean(axis=0) / deviations  # (width,)
    others = {
        other: float(moved[columns].mean())
        for other, columns in schema.slices.items()
        if other != name and np.isfinite(deviations[columns]).all()
    }
    worst = max(others, key=lambda other: others[other]) if others else ""
    return Account(
        dose=float(np.abs((wanted - current)[:, place]).max(axis=1).mean()),
        achieved=float(np.sum(sign * (after - before)[:, place])) / total if total > 0 else math.nan,
        cross_talk=float(np.mean(list(others.values()))) if others else 0.0,
        worst=others.get(worst, 0.0),
        worst_attribute=worst,
    )


def column_deviations(encoded: Floats) -> FloatArray:
    """Standard deviation of the known values of each encoded column (n, width) in the population, (width,); 1
    where they do not vary."""
    values = encoded.astype(np.float64)
    known = ~np.isnan(values)
    if known.all():
        spread = values.std(axis=0)
    else:
        columns = zip(values.T, known.T, strict=True)
        spread = np.array([column[rows].std() if rows.any() else 0.0 for column, rows in columns])
    return np.where(spread > 1e-9, spread, 1.0)
