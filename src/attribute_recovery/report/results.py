"""Reads what the stages wrote: JSON, tables, pictures. What is not there is remembered, never invented."""

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from attribute_recovery.config import ReportSection
from attribute_recovery.report.privacy import Privacy, pseudonym_key

Values = dict[str, Any]

ABSENT = "is not there"


@dataclass(frozen=True)
class Expected:
    """A file that the report reads.

    Attributes:
        path: relative to the experiment's folder; `<recognizer>` stands for each recognizer's name.
        what: what the page lacks without it.
    """

    path: str
    what: str


EXPECTED = (
    Expected("dataset/report.json", "what the images are"),
    Expected("dataset/attributes.json", "the declared attributes"),
    Expected("generator/card.json", "where the generator comes from"),
    Expected("generator/metrics.json", "the generator's quality"),
    Expected("generator/reconstructions.png", "the picture of reconstructions"),
    Expected("attributes/metrics.json", "how well attributes are read from images"),
    Expected("<recognizer>/recognizer/card.json", "what the recognizer is"),
    Expected("<recognizer>/recognizer/metrics.json", "the recognizer's rates"),
    Expected("<recognizer>/recognizer/threshold.json", "where τ comes from"),
    Expected("<recognizer>/recognizer/det.parquet", "the detection error trade-off"),
    Expected("<recognizer>/decoder/metrics.json", "attacks and spread of the decoded images"),
    Expected("<recognizer>/decoder/samples.png", "the picture of decoded images"),
    Expected("<recognizer>/recovery/metrics.json", "what the embedding holds of each attribute"),
    Expected("<recognizer>/recovery/recovered.parquet", "the recovered attributes of each image"),
    Expected("<recognizer>/recovery/reliability.png", "the picture of reliability"),
    Expected("<recognizer>/significance/metrics.json", "the summary of the three measures"),
    Expected("<recognizer>/significance/significance.parquet", "the table of the three measures"),
    Expected("<recognizer>/significance/significance.png", "the plot of the three measures"),
    Expected("<recognizer>/significance/edits.png", "the picture of edits"),
    Expected("<recognizer>/significance/contributions.parquet", "how effects differ between people"),
    Expected("<recognizer>/significance/dose_response.parquet", "the responses to several doses"),
    Expected("<recognizer>/significance/dose_response.png", "the plot of doses and responses"),
    Expected("<recognizer>/significance/groups.parquet", "error rates by attribute group"),
    Expected("<recognizer>/significance/groups.png", "the plot of error rates by group"),
    Expected("<recognizer>/counterfactuals/metrics.json", "how often counterfactuals flip"),
    Expected("<recognizer>/counterfactuals/representation.parquet", "the representation counterfactuals"),
    Expected("<recognizer>/counterfactuals/attribute.parquet", "the attribute counterfactuals"),
    Expected("<recognizer>/counterfactuals/shapley.parquet", "the explained errors"),
)
# Read where there are several recognizers.
EXPECTED_OF_SEVERAL = (
    Expected("significance/metrics.json", "the summary of the comparison"),
    Expected("significance/comparison.parquet", "the table of the comparison"),
    Expected("significance/comparison.png", "the plot of the comparison"),
)


@dataclass(frozen=True)
class Results:
    """The files of one experiment.

    Attributes:
        root: the experiment's folder.
        faults: why a file that was asked for gave nothing, by path; filled as files are read.
        privacy: what of people may be shown of them.
        left_out: stages that the run does not have; their files are not missed.
    """

    root: Path
    faults: dict[str, str] = field(default_factory=dict)
    privacy: Privacy = field(default_factory=Privacy)
    left_out: tuple[str, ...] = ()

    def json(self, path: str) -> Values:
        """A JSON object, NaN and infinities as None; empty where it is missing or unreadable."""
        found = self.document(path)
        if isinstance(found, dict):
            return found
        if found is not None:
            self.faults[path] = "is not a JSON object"
        return {}

    def document(self, path: str) -> Any:
        """Any JSON document, NaN and infinities as None; None where it is missing or unreadable."""
        content = self._bytes(path)
        if content is None:
            return None
        try:
            return plain(json.loads(content))
        except (ValueError, RecursionError) as error:
            self.faults[path] = f"cannot be read as JSON: {' '.join(str(error).split())}"
            return None

    def table(self, path: str, columns: Sequence[str] | None = None) -> pd.DataFrame | None:
        """A Parquet table, all columns or some; None where it is missing or unreadable."""
        if not self._there(path):
            return None
        try:
            return pd.read_parquet(self.root / path, columns=None if columns is None else list(columns))
        except (OSError, ValueError):  # pyarrow's words name the machine's paths, so they stay out
            self.faults[path] = "cannot be read as Parquet"
            return None

    def picture(self, path: str) -> str | None:
        """A PNG as data URI; None where it is missing or no PNG."""
        content = self._bytes(path)
        if content is None:
            return None
        if not content.startswith(b"\x89PNG\r\n\x1a\n"):
            self.faults[path] = "is not a PNG"
            return None
        return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"

    def pictures(self, folder: str) -> list[str]:
        """Paths of the PNGs in a folder, sorted; also remembers where there are none."""
        found = sorted(path.name for path in (self.root / folder).glob("*.png"))
        if not found:
            self.faults[f"{folder}/*.png"] = ABSENT
        return [f"{folder}/{name}" for name in found]

    def _there(self, path: str) -> bool:
        if self._is_left_out(path):
            return False
        if (self.root / path).is_file():
            return True
        self.faults[path] = ABSENT
        return False

    def _is_left_out(self, path: str) -> bool:
        """Of STAGE/file, or RECOGNIZER/STAGE/file; what an earlier run has left there is not of this one."""
        return not set(path.split("/")[:-1][:2]).isdisjoint(self.left_out)

    def _bytes(self, path: str) -> bytes | None:
        if not self._there(path):
            return None
        try:
            return (self.root / path).read_bytes()
        except OSError as error:
            self.faults[path] = f"cannot be read ({error.strerror})"
            return None


def shown_results(settings: ReportSection, root: Path, left_out: Sequence[str] = ()) -> Results:
    """An experiment's files, as far as the settings let people be seen.

    Where its data report is missing, faces count as brought. `left_out` are the stages that it does not have.

    Raises:
        ValueError: people are to be pseudonymous, and the experiment's key is damaged or open to others.
    """
    results = Results(root, left_out=tuple(left_out))
    source = results.json("dataset/report.json").get("source")
    wanted = settings.resolved(source if isinstance(source, str) else None)
    assert wanted.faces != "auto"
    if wanted.identities == "named":
        return replace(results, privacy=Privacy(wanted.faces))
    images = results.table("dataset/images.parquet", ["image_id", "identity"])
    people = {} if images is None else dict(zip(images["image_id"], images["identity"], strict=True))
    return replace(results, privacy=Privacy(wanted.faces, pseudonym_key(root), people))


def plain(value: Any) -> Any:
    """JSON values with None for NaN and infinities, which JSON has no word for."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def lookup(values: Any, key: str) -> Any:
    """The value at a dotted key of nested mappings; None where there is none.

    >>> lookup({"a": {"b": 1}}, "a.b"), lookup({"a": {"b": 1}}, "a.c.d")
    (1, None)
    """
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return None
        values = values[part]
    return values


def real(values: Any, *keys: str) -> float | None:
    """The first number found at one of several dotted keys; None where there is none."""
    for key in keys:
        found = lookup(values, key)
        if isinstance(found, int | float) and not isinstance(found, bool):
            return float(found)
    return None


def whole(values: Any, *keys: str) -> int | None:
    """As `real`, for counts."""
    found = real(values, *keys)
    return None if found is None else round(found)


def interval_of(values: Any, key: str) -> list[float] | None:
    """The interval beside a key: `_interval` after any one of its parts, the last one first.

    >>> interval_of({"a": {"b": 1}, "a_interval": {"b": [0, 2]}}, "a.b")
    [0, 2]
    """
    parts = key.split(".")
    for place in reversed(range(len(parts))):
        found = lookup(values, ".".join([*parts[:place], f"{parts[place]}_interval", *parts[place + 1 :]]))
        if isinstance(found, list) and len(found) == 2 and all(isinstance(end, int | float) for end in found):
            return found
    return None
