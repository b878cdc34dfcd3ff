"""Attributes whose values are not known on every image: on which they are, and whether these are enough.

A stage uses each attribute on the images where it is known. Where these are too few, the attribute is left
out there by name, with the reason in words; `too_little` decides that for all stages alike.
"""

import math
from collections.abc import Collection, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.dataset.splits import as_split
from attribute_recovery.statistics.inputs import BoolArray, IntArray

Values = Mapping[str, npt.NDArray[np.generic]]

# With fewer people neither a penalty can be chosen on some of them nor an interval be had by resampling them.
LEAST_PEOPLE = 3
# A larger share of equal values is an atom, which has no density.
LARGEST_ATOM = 0.05


def is_known(attribute: Attribute, values: npt.ArrayLike) -> BoolArray:
    """On which images an attribute is known, (n,): its value is no NaN, its class number not below 0."""
    column = np.asarray(values)
    return np.asarray(column >= 0 if attribute.is_discrete else ~np.isnan(column.astype(np.float64)))


def too_little(attribute: Attribute, values: npt.ArrayLike, people: npt.ArrayLike, split: str) -> str:
    """Why nothing can be learned or said of an attribute from some images.

    Args:
        attribute: the attribute.
        values: its values (n,), see `is_known`.
        people: identities of the images (n,).
        split: what the images are called.

    Returns:
        A reason without full stop: no value, fewer than `LEAST_PEOPLE` people, or all values equal. Empty
        where there is none.
    """
    known = is_known(attribute, values)
    found = np.asarray(values)[known]
    if not len(found):
        return f"no image of the split {split} has a value"
    count = len(np.unique(np.asarray(people)[known]))
    if count < LEAST_PEOPLE:
        return (
            f"known for {count} {'person' if count == 1 else 'people'} of the split {split} only, at least "
            f"{LEAST_PEOPLE} are needed"
        )
    if len(np.unique(found)) < 2:
        value = attribute.categories[int(found[0])] if attribute.is_discrete else f"{found[0]:g}"
        return f"all {len(found)} values of the split {split} are {value}"
    return ""


def left_out(schema: AttributeSchema, values: Values, people: npt.ArrayLike, split: str) -> dict[str, str]:
    """The attributes of which nothing can be said, by name with the reason, see `too_little`."""
    reasons = {a.name: too_little(a, values[a.name], people, split) for a in schema}
    return {name: reason for name, reason in reasons.items() if reason}


def without(schema: AttributeSchema, names: Collection[str]) -> AttributeSchema:
    """The other attributes, in order."""
    return AttributeSchema(tuple(attribute for attribute in schema if attribute.name not in names))


def partly_known(schema: AttributeSchema, values: Values) -> list[str]:
    """Names of the attributes that some image has no value of."""
    return [a.name for a in schema if not is_known(a, values[a.name]).all()]


def counts_of_known(
    schema: AttributeSchema, values: Values, people: npt.ArrayLike
) -> dict[str, dict[str, int]]:
    """Of each attribute that is not known on every image, on how many it is, and of how many people.

    Args:
        schema: the attributes.
        values: by attribute, (n,) each.
        people: identities of the images (n,).

    Returns:
        `known_images` and `known_identities` by attribute; empty where all is known.
    """
    images, identities = {}, {}
    for attribute in schema:
        known = is_known(attribute, values[attribute.name])
        if not known.all():
            images[attribute.name] = int(known.sum())
            identities[attribute.name] = len(np.unique(np.asarray(people)[known]))
    return {"known_images": images, "known_identities": identities} if images else {}


def columns_by_pattern(known: BoolArray) -> Iterator[tuple[IntArray, BoolArray]]:
    """Columns that are known in the same rows.

    Args:
        known: (n, k).

    Yields:
        Places of columns, rising, and their rows (n,); the sets of columns in the order of their first ones.
    """
    places: dict[bytes, list[int]] = {}
    for column in range(known.shape[1]):
        places.setdefault(known[:, column].tobytes(), []).append(column)
    for columns in places.values():
        yield np.asarray(columns, dtype=np.int64), known[:, columns[0]]


def moments(attribute: Attribute, values: npt.ArrayLike) -> tuple[float, float]:
    """Mean and standard deviation of a continuous attribute's known values.

    Args:
        attribute: the attribute.
        values: (n,), in its unit, NaN where missing.

    Returns:
        The moments; the deviation is 1 where all values are equal. Where none is known they are those of a
        uniform distribution over the declared range.
    """
    column = np.asarray(values, dtype=np.float64)
    known = column[is_known(attribute, column)]
    if not len(known):
        low, high = attribute.range
        return (low + high) / 2, (high - low) / math.sqrt(12) or 1.0
    return float(known.mean()), float(known.std()) or 1.0


def largest_atom(values: npt.ArrayLike, people: npt.ArrayLike) -> tuple[int, int]:
    """How often the commonest value occurs, and of how many; one that a person's images share counts once.

    Args:
        values: finite numbers (n,), n at least 1.
        people: identities of the images (n,).
    """
    codes = np.unique(np.asarray(people), return_inverse=True)[1]
    once = np.unique(np.stack([codes, np.asarray(values, dtype=np.float64)], axis=1), axis=0)[:, 1]
    return int(np.unique(once, return_counts=True)[1].max()), len(once)


def is_atom(count: int, of: int) -> bool:
    """Whether so many equal values are too many for a density."""
    return count > max(1.0, LARGEST_ATOM * of)


def refuse_atoms(table: pd.DataFrame, schema: AttributeSchema, source: str = "dataset") -> None:
    """Refuse continuous attributes that are none, hours before their information is asked for.

    Args:
        table: images.parquet, of which the split `train` is looked at, in each fold where there are folds.
        schema: its attributes.
        source: where the values come from, for the sentence.

    Raises:
        ValueError: more than 5 % of an attribute's values are equal, and they are not all equal.
    """
    for fold in as_split(table):
        _refuse_atoms_of(fold[fold["split"] == "train"], schema, source)


def _refuse_atoms_of(rows: pd.DataFrame, schema: AttributeSchema, source: str) -> None:
    for attribute in schema.continuous:
        column = rows[f"attribute.{attribute.name}"].to_numpy(np.float64, na_value=np.nan)
        known = is_known(attribute, column)
        if len(np.unique(column[known])) < 2:
            continue
        most, of = largest_atom(column[known], rows["identity"].to_numpy(object)[known])
        if is_atom(most, of):
            raise ValueError(
                f"{source}: attribute {attribute.name!r}: {most} of {of} values of the split train are "
                "equal, a continuous attribute has at most 5 %, since it has no density otherwise; allowed "
                "is kind binary or categorical"
            )
