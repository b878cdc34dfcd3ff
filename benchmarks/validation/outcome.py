"""What a row of the validation is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

# What one chunk is told, and what it found; both as JSON holds them.
Chunk = dict[str, Any]
Found = dict[str, Any]


class Goal(TypedDict):
    """One goal: what is asked, what was measured, and whether that is within it."""

    goal: str
    measured: str
    reached: bool


class Table(TypedDict):
    """A table of the page, cells as they are shown."""

    caption: str
    columns: list[str]
    rows: list[list[str]]


class Method(Protocol):
    """A row's module."""

    plan: Callable[[bool, int], dict[str, Chunk]]
    work: Callable[[Chunk], Found]
    conclude: Callable[[Mapping[str, Found]], dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """One question of the validation.

    Attributes:
        name: of its result, and of `--only`.
        question, truth, goal: as the page has them.
        module: that measures it, below `benchmarks.validation`; empty if there is none yet.
        missing: what is not measured yet.
    """

    name: str
    question: str
    truth: str
    goal: str
    module: str = ""
    missing: str = ""
