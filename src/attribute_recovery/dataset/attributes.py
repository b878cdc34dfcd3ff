"""The attribute schema: what an attribute is, and how a table of them becomes a matrix.

Everything that speaks of an attribute (heads, probes, editor, significance, report) reads it from here, and
on disk from `dataset/attributes.json`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

Family = Literal["shape", "expression", "pose", "appearance", "label"]
Kind = Literal["continuous", "binary", "categorical"]
Level = Literal["identity", "image", "mixed"]
Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Attribute:
    """One declared attribute.

    Attributes:
        name: `[a-z0-9_]+`.
        family: the group it is shown with.
        kind: continuous, binary or categorical.
        level: whether it belongs to the identity, to the single image, or to both (mixed).
        unit: how its values are read, for instance "degrees".
        range: smallest and largest value of a continuous attribute, in its unit; (0, 1) for the others.
        categories: names in order; two for a binary attribute (off, on), none for a continuous one.
        dose: the change at which the decision effect is measured: one population standard deviation for a
            continuous attribute, in its unit; 1 (toggled, or another class) for the others.
        editable: whether the editor may change it.
        source: where its values come from.
    """

    name: str
    family: Family
    kind: Kind
    level: Level
    unit: str
    range: tuple[float, float] = (0.0, 1.0)
    categories: tuple[str, ...] = ()
    dose: float = 1.0
    editable: bool = True
    source: str = ""

    @property
    def width(self) -> int:
        """Columns of the encoded matrix: one, or one for each class of a categorical attribute."""
        return len(self.categories) if self.kind == "categorical" else 1

    @property
    def is_discrete(self) -> bool:
        """Whether its values are classes."""
        return self.kind != "continuous"

    @property
    def n_classes(self) -> int:
        """Number of classes of a discrete attribute, 0 for a continuous one."""
        return len(self.categories) if self.is_discrete else 0


@dataclass(frozen=True)
class AttributeSchema:
    """An ordered set of attributes with their places in the encoded matrix.

    The encoded matrix (n, width) is float32: a continuous attribute in its own unit, a binary one as 0 or 1,
    a categorical one as one-hot columns in the order of its categories. A missing value is NaN where
    attributes are continuous, -1 where they have class numbers, NaN in every column of the matrix, and null
    in the images table.
    """

    attributes: tuple[Attribute, ...]
    slices: dict[str, slice] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [attribute.name for attribute in self.attributes]
        if len(set(names)) != len(names):
            raise ValueError(f"attributes: names must be unique, found {names}")
        places, start = {}, 0
        for attribute in self.attributes:
            places[attribute.name] = slice(start, start + attribute.width)
            start += attribute.width
        object.__setattr__(self, "slices", places)

    def __iter__(self) -> Iterator[Attribute]:
        return iter(self.attributes)

    def __len__(self) -> int:
        return len(self.attributes)

    def __getitem__(self, name: str) -> Attribute:
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute
        raise ValueError(f"attribute: {name!r} is not declared; declared are {', '.join(self.names)}")

    @property
    def names(self) -> list[str]:
        """Names in order."""
        return [attribute.name for attribute in self.attributes]

    @property
    def width(self) -> int:
        """Columns of the encoded matrix."""
        return sum(attribute.width for attribute in self.attributes)

    @property
    def continuous(self) -> list[Attribute]:
        """The continuous attributes in order."""
        return [attribute for attribute in self.attributes if not attribute.is_discrete]

    @property
    def discrete(self) -> list[Attribute]:
        """The binary and categorical attributes in order."""
        return [attribute for attribute in self.attributes if attribute.is_discrete]

    def encode(self, values: Mapping[str, npt.ArrayLike], *, count: int = 0) -> Matrix:
        """Columns of values, (n,) each (class numbers for discrete attributes), as the matrix (n, width).

        Args:
            values: by attribute.
            count: n, needed only where there are no attributes: the matrix is then (n, 0).
        """
        if not self.attributes:
            return np.empty((count, 0), np.float32)
        columns = []
        for attribute in self.attributes:
            column = np.asarray(values[attribute.name])
            if attribute.kind == "categorical":
                block = np.eye(attribute.width, dtype=np.float32)[column.astype(int)]
            else:
                block = column.astype(np.float32)[:, None]
            if attribute.is_discrete:
                block[column.astype(int) < 0] = np.nan
            columns.append(block)
        return np.concatenate(columns, axis=1)

    def decode(self, matrix: Matrix) -> dict[str, npt.NDArray[np.generic]]:
        """The inverse of `encode`: float columns for continuous, class numbers (int64) for discrete
        attributes.
        """
        result: dict[str, npt.NDArray[np.generic]] = {}
        for attribute in self.attributes:
            block = matrix[:, self.slices[attribute.name]]
            if not attribute.is_discrete:
                result[attribute.name] = block[:, 0]
                continue
            chosen = block.argmax(axis=1) if attribute.kind == "categorical" else block[:, 0] >= 0.5
            result[attribute.name] = np.where(np.isnan(block[:, 0]), -1, chosen).astype(np.int64)
        return result

    def from_table(self, table: pd.DataFrame) -> dict[str, npt.NDArray[np.generic]]:
        """The columns `attribute.<name>` of an images table, class numbers for discrete attributes.

        Raises:
            ValueError: a column is missing, holds a class that is not declared, or lacks a value.
        """
        found = self.known_from_table(table)
        for attribute in self.attributes:
            missing = np.flatnonzero(~found.known[attribute.name])
            if len(missing):
                raise ValueError(
                    f"images table: column 'attribute.{attribute.name}' has no value in {len(missing)} of "
                    f"{len(table)} images; allowed here are attributes that every image has"
                )
        return found.values

    def known_from_table(self, table: pd.DataFrame) -> "KnownValues":
        """The columns `attribute.<name>` of an images table in which values may be missing.

        Raises:
            ValueError: a column is missing, or holds a class that is not declared.
        """
        values: dict[str, npt.NDArray[np.generic]] = {}
        known: dict[str, npt.NDArray[np.bool_]] = {}
        for attribute in self.attributes:
            name = f"attribute.{attribute.name}"
            if name not in table:
                raise ValueError(
                    f"images table: column {name!r} is missing; found {', '.join(table.columns)}"
                )
            column = table[name]
            known[attribute.name] = column.notna().to_numpy(np.bool_)
            if attribute.is_discrete:
                values[attribute.name] = _class_numbers(column, attribute)
            else:
                values[attribute.name] = column.to_numpy(np.float32, na_value=np.nan)
        return KnownValues(values, known)

    def to_table(self, values: Mapping[str, npt.ArrayLike]) -> pd.DataFrame:
        """Columns `attribute.<name>`, class names for discrete attributes, None where a value is missing."""
        columns = {}
        for attribute in self.attributes:
            column = np.asarray(values[attribute.name])
            if attribute.is_discrete:
                # The last name is that of -1.
                column = np.asarray([*attribute.categories, None], dtype=object)[column.astype(int)]
            columns[f"attribute.{attribute.name}"] = column
        return pd.DataFrame(columns)


@dataclass(frozen=True)
class KnownValues:
    """Columns of attributes in which values may be missing, by name.

    Attributes:
        values: (n,) each: float32 with NaN, or class numbers int64 with -1, where a value is missing.
        known: (n,) bool each, whether there is a value.
    """

    values: dict[str, npt.NDArray[np.generic]]
    known: dict[str, npt.NDArray[np.bool_]]


def _class_numbers(column: "pd.Series[Any]", attribute: Attribute) -> npt.NDArray[np.int64]:
    codes = pd.Categorical(column, categories=list(attribute.categories)).codes
    if (codes[column.notna().to_numpy(np.bool_)] < 0).any():
        unknown = sorted(set(column.dropna().astype(str)) - set(attribute.categories))
        allowed = ", ".join(attribute.categories)
        raise ValueError(f"images table: column {column.name!r} holds {unknown}; allowed are {allowed}")
    return codes.astype(np.int64)


def write_schema(schema: AttributeSchema, path: Path) -> None:
    """Write `attributes.json`, whole or not at all: one entry an attribute, in order."""
    beside = path.with_name(f".{path.name}.partial")
    beside.write_text(json.dumps([asdict(attribute) for attribute in schema], indent=1) + "\n")
    beside.replace(path)


def read_schema(path: Path) -> AttributeSchema:
    """Read `attributes.json`.

    Raises:
        ValueError: an entry has a field that is not known, or lacks one.
    """
    entries: Sequence[dict[str, object]] = json.loads(path.read_text())
    attributes = []
    for entry in entries:
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
        try:
            attributes.append(Attribute(**values))  # type: ignore[arg-type]
        except TypeError as error:
            raise ValueError(f"{path}: entry {entry.get('name')!r}: {error}") from error
    return AttributeSchema(tuple(attributes))
