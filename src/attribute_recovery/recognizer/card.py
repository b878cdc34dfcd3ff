"""The card of a recognizer: what somebody must know to run its weights as they were meant to be run.

A closed JSON object beside the weights. Weights without a card are refused: the same numbers with another
channel order or another crop are another recognizer.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from attribute_recovery.tracking.digest import sha256_file, write_json


@dataclass(frozen=True)
class Template:
    """Where the eyes lie in an aligned crop, in units of its side.

    Attributes:
        eye_level: height of both eyes below the upper edge, 0 to 1.
        eye_span: distance between the eyes, 0 to 1.
    """

    eye_level: float
    eye_span: float


@dataclass(frozen=True)
class RecognizerCard:
    """What the weights of a recognizer need.

    Attributes:
        name: what it is called in reports.
        architecture: "residual", the network of `networks.EmbeddingNetwork`.
        channels: of its stages, from half the crop's side down.
        crop_size: side of the square crop in pixels.
        template: where the eyes lie in it.
        channel_order: "RGB" or "BGR".
        value_range: lowest and highest value of a pixel.
        interpolation: how images of another size are brought to `crop_size`: "bilinear" or "bicubic",
            antialiased.
        embedding_size: d.
        precision: "float32" or "bf16", in which it is always run where anything is measured.
        score: "cosine", the similarity that its threshold is about.
        data_sha256: digest of the images and identities that it was trained on, 64 hexadecimal digits;
            "" if not known.
        licence: of the weights, such as "MIT".
        weights_sha256: digest of the weights' file.
    """

    name: str
    architecture: Literal["residual"]
    channels: tuple[int, ...]
    crop_size: int
    template: Template
    channel_order: Literal["RGB", "BGR"]
    value_range: tuple[float, float]
    interpolation: Literal["bilinear", "bicubic"]
    embedding_size: int
    precision: Literal["float32", "bf16"]
    score: Literal["cosine"]
    data_sha256: str
    licence: str
    weights_sha256: str


def write_recognizer_card(card: RecognizerCard, path: Path) -> None:
    """Write a card as JSON, whole or not at all."""
    write_json(path, asdict(card))


def read_recognizer_card(path: Path) -> RecognizerCard:
    """Read and check a card.

    Args:
        path: JSON file.

    Returns:
        The card.

    Raises:
        ValueError: there is none, it is not a JSON object, a field is unknown or missing, or a value is not
            allowed; the sentence names file, field, what was found and what is allowed.
    """
    values = _object(path)
    names = [field.name for field in fields(RecognizerCard)]
    _closed(values, names, path, "")
    for name, (allowed, fits) in _RULES.items():
        if not fits(values[name]):
            raise ValueError(f"{path}: field {name}: found {values[name]!r}, allowed is {allowed}")
    places = [field.name for field in fields(Template)]
    _closed(values["template"], places, path, "template.")
    for place in places:
        found = values["template"][place]
        if not (_is_number(found) and 0 < found < 1):
            raise ValueError(
                f"{path}: field template.{place}: found {found!r}, allowed is a number between 0 and 1"
            )
    template = Template(**{place: float(values["template"][place]) for place in places})
    low, high = values["value_range"]
    changed = {
        "template": template,
        "channels": tuple(values["channels"]),
        "value_range": (float(low), float(high)),
    }
    return RecognizerCard(**(values | changed))


def check_weights(card: RecognizerCard, weights: Path) -> None:
    """Make sure that the weights are the ones that the card was written for.

    Args:
        card: has their digest.
        weights: their file.

    Raises:
        ValueError: the file is missing, or its digest is another one.
    """
    if not weights.is_file():
        raise ValueError(f"{weights}: is missing, expected the weights of recognizer {card.name!r}")
    found = sha256_file(weights)
    if found != card.weights_sha256:
        raise ValueError(
            f"{weights}: found sha256 {found}, the card allows {card.weights_sha256}; "
            "these are other weights, or the file is damaged"
        )


def _object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        names = ", ".join(field.name for field in fields(RecognizerCard))
        raise ValueError(
            f"{path}: is missing; weights are only loaded with their card, a JSON object with the fields "
            f"{names} (write one with recognizer.card.write_recognizer_card; "
            "weights_sha256 is what `sha256sum` prints)"
        )
    try:
        values = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: is not JSON ({error}), allowed is a JSON object") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: found {type(values).__name__}, allowed is a JSON object")
    return values


def _closed(values: dict[str, Any], names: list[str], path: Path, prefix: str) -> None:
    """Refuse fields that are unknown, then fields that are missing."""
    allowed = ", ".join(names)
    for name in values:
        if name not in names:
            raise ValueError(
                f"{path}: field {prefix}{name}: is not known, found {values[name]!r}; allowed are {allowed}"
            )
    for name in names:
        if name not in values:
            raise ValueError(
                f"{path}: field {prefix}{name}: is missing, found {', '.join(values)}; allowed are {allowed}"
            )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _is_range(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and value[0] < value[1]


def _are_counts(value: object) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(map(_is_count, value))


def _one_of(*choices: str) -> tuple[str, Callable[[object], bool]]:
    return " or ".join(map(repr, choices)), lambda value: isinstance(value, str) and value in choices


# What each field may hold: in words for the error, and as a test.
_RULES: dict[str, tuple[str, Callable[[object], bool]]] = {
    "name": ("a text", _is_text),
    "architecture": _one_of("residual"),
    "channels": ("a list of whole numbers, 1 or more each", _are_counts),
    "crop_size": ("a whole number, 1 or more", _is_count),
    "template": ("an object with eye_level and eye_span", lambda value: isinstance(value, dict)),
    "channel_order": _one_of("RGB", "BGR"),
    "value_range": ("a list of two numbers, the lower one first", _is_range),
    "interpolation": _one_of("bilinear", "bicubic"),
    "embedding_size": ("a whole number, 1 or more", _is_count),
    "precision": _one_of("float32", "bf16"),
    "score": _one_of("cosine"),
    "data_sha256": (
        "64 hexadecimal digits, or an empty text",
        lambda value: value == "" or _is_digest(value),
    ),
    "licence": ("a text", _is_text),
    "weights_sha256": ("64 hexadecimal digits", _is_digest),
}
