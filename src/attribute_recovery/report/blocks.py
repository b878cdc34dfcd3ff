"""What the page is made of: sections of paragraphs, tables, pictures and notes on what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

CellKind = Literal["plain", "name", "strong", "weak", "good", "bad", "open"]


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a smaller line below it, and how it is set (`strong` and `weak` for estimates)."""

    text: str
    note: str = ""
    kind: CellKind = "plain"


@dataclass(frozen=True)
class Text:
    """A paragraph; `lead` is set in bold before it."""

    text: str
    lead: str = ""
    kind: str = field(default="text", init=False)


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    items: Sequence[str]
    kind: str = field(default="points", init=False)


@dataclass(frozen=True)
class Absent:
    """What could not be filled, and why."""

    text: str
    kind: str = field(default="absent", init=False)


@dataclass(frozen=True)
class Table:
    """Rows of cells below a header; `folded` hides it behind its caption until it is asked for."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    folded: bool = False
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Picture:
    """A picture as data URI."""

    source: str
    caption: str
    kind: str = field(default="picture", init=False)


@dataclass(frozen=True)
class Drawing:
    """An SVG element, made by the package and safe to be put in as it is."""

    svg: str
    caption: str
    kind: str = field(default="drawing", init=False)


Block = Text | Points | Absent | Table | Picture | Drawing


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        anchor: its id in the page.
        title: its heading.
        blocks: its content in order.
        level: of the heading, 2 or 3.
    """

    anchor: str
    title: str
    blocks: Sequence[Block]
    level: int = 2
