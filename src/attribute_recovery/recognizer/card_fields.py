"""What each field of a recognizer's card may hold: in words for the error, and as a test."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from attribute_recovery.recognizer.template import NAMED

Check = tuple[str, Callable[[object], bool]]

# Formats whose file says itself what the network is; residual and the catalogue's names need weights besides.
FORMATS = ("onnx", "exported", "torchscript", "python")
CODE = ("torchscript", "python")

# A whole card, for whoever has to write one.
EXAMPLE: dict[str, Any] = {
    "name": "MobileFaceNet of our gate",
    "architecture": "onnx",
    "channels": None,
    "crop_size": 112,
    "template": "arcface",
    "channel_order": "RGB",
    "value_range": [-1.0, 1.0],
    "interpolation": "bilinear",
    "embedding_size": 128,
    "precision": "float32",
    "score": "cosine",
    "data_sha256": "",
    "licence": "Apache-2.0",
    "weights_sha256": "what sha256sum prints",
}


def architectures() -> tuple[str, ...]:
    """Every architecture that a card may name: ours, the catalogue's, and the formats."""
    from attribute_recovery.recognizer.architectures import catalogue

    return ("residual", *catalogue.NAMES, *FORMATS)


def is_architecture(value: object) -> bool:
    """Whether a value is the name of an architecture."""
    # The catalogue is asked last: its networks take a while to import.
    return isinstance(value, str) and (value in ("residual", *FORMATS) or value in architectures())


def first_fault(values: Mapping[str, Any]) -> tuple[str, object, str] | None:
    """The first field whose value is not allowed, by itself or beside the others.

    Args:
        values: of every field but `fitted`, as JSON has them.

    Returns:
        Name of the field, what was found, what is allowed; None where all is well.
    """
    if not is_architecture(values["architecture"]):
        return "architecture", values["architecture"], " or ".join(map(repr, architectures()))
    for name, (allowed, fits) in _RULES.items():
        if not fits(values[name]):
            return name, values[name], allowed
    template = values["template"]
    if isinstance(template, dict):
        for place, found in template.items():
            if not (is_number(found) and 0 < found < 1):
                return f"template.{place}", found, "a number between 0 and 1"
    return _contradiction(values)


def _contradiction(values: Mapping[str, Any]) -> tuple[str, object, str] | None:
    """A field that does not go with the architecture."""
    kind = values["architecture"]
    if (kind == "residual") != (values["channels"] is not None):
        allowed = "a list of whole numbers, 1 or more each" if kind == "residual" else "null"
        return "channels", values["channels"], f"{allowed} for architecture {kind!r}"
    if values["channel_order"] == "gray" and kind not in FORMATS:
        return (
            "channel_order",
            "gray",
            f"'RGB' or 'BGR' for architecture {kind!r}, which takes three channels",
        )
    if values["precision"] == "bf16" and kind in ("onnx", "python"):
        return "precision", "bf16", f"'float32' for architecture {kind!r}, which runs as it was made"
    if values["weights_sha256"] == "" and kind != "python":
        return "weights_sha256", "", "64 hexadecimal digits (empty for architecture 'python' only)"
    return None


def example_text() -> str:
    """The whole example card as JSON in one line."""
    return json.dumps(EXAMPLE)


def is_number(value: object) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_text(value: object) -> bool:
    """Whether a value is a text that is not blank."""
    return isinstance(value, str) and value.strip() != ""


def is_digest(value: object) -> bool:
    """Whether a value is 64 hexadecimal digits, or empty: not known."""
    return isinstance(value, str) and re.fullmatch(r"([0-9a-f]{64})?", value) is not None


def is_template(value: object) -> bool:
    """Whether a value is a template's name, or an object, whose fields are checked elsewhere."""
    return isinstance(value, dict) or (isinstance(value, str) and value in NAMED)


def one_of(*choices: str) -> Check:
    """A text of a list."""
    return " or ".join(map(repr, choices)), lambda value: isinstance(value, str) and value in choices


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_range(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value)) and value[0] < value[1]


def _are_counts(value: object) -> bool:
    return value is None or (isinstance(value, list) and len(value) > 0 and all(map(_is_count, value)))


TEMPLATE: Check = ("an object with eye_level and eye_span, or 'arcface' or 'as given'", is_template)
DIGEST: Check = ("64 hexadecimal digits, or an empty text", is_digest)

_RULES: dict[str, Check] = {
    "name": ("a text", is_text),
    "channels": ("a list of whole numbers, 1 or more each, or null", _are_counts),
    "crop_size": ("a whole number, 1 or more", _is_count),
    "template": TEMPLATE,
    "channel_order": one_of("RGB", "BGR", "gray"),
    "value_range": ("a list of two numbers, the lower one first", _is_range),
    "interpolation": one_of("bilinear", "bicubic", "bilinear_aligned_corners", "area"),
    "embedding_size": ("a whole number, 1 or more", _is_count),
    "precision": one_of("float32", "bf16"),
    "score": one_of("cosine", "euclidean"),
    "data_sha256": DIGEST,
    "licence": ("a text", is_text),
    "weights_sha256": DIGEST,
}
