"""The card of a recognizer: what somebody must know to run its weights as they were meant to be run.

A closed JSON object beside the weights. Weights without a card are refused: the same numbers with another
channel order or another crop are another recognizer.
"""

import json
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from attribute_recovery.recognizer import card_fields
from attribute_recovery.recognizer.template import AnyTemplate, Template
from attribute_recovery.tracking.digest import sha256_file, write_json

__all__ = [
    "Fitted",
    "RecognizerCard",
    "Template",
    "check_weights",
    "read_recognizer_card",
    "write_recognizer_card",
]


@dataclass(frozen=True)
class Fitted:
    """What the stage found out when it took a recognizer in for one data set.

    Attributes:
        images: template of the data set's images.
        gradients: where gradients come from: "own", the network runs in torch; "converted", a torch module
            made of an ONNX graph, which agrees with it; "none", a black box.
        notes: sentences for the report: how well things agreed, and what is not as it should be.
        runs_user_code: whether code that came with the recognizer runs, which somebody said they trust.
        source_sha256: digest of the file that was brought, before any conversion; "" where there was none.
    """

    images: AnyTemplate
    gradients: Literal["own", "converted", "none"]
    notes: tuple[str, ...]
    runs_user_code: bool
    source_sha256: str


@dataclass(frozen=True)
class RecognizerCard:
    """What the weights of a recognizer need.

    Attributes:
        name: what it is called in reports.
        architecture: "residual", the network of `networks.EmbeddingNetwork`; a name of
            `architectures.catalogue`; or the format of a file that holds its network: "onnx", "exported"
            (torch.export), "torchscript", "python" (a function).
        channels: of the stages of "residual", from half the crop's side down; None for all others.
        crop_size: side of the square crop in pixels.
        template: where the eyes lie in it; see `template.AnyTemplate`.
        channel_order: "RGB", "BGR" or "gray": one channel, luminance of ITU-R BT.601.
        value_range: lowest and highest value of a pixel.
        interpolation: how images of another size are brought to `crop_size`: "bilinear" or "bicubic",
            antialiased; "bilinear_aligned_corners", not antialiased; "area", the mean over each pixel's area.
        embedding_size: d.
        precision: "float32" or "bf16", in which it is always run where anything is measured.
        score: "cosine" or "euclidean", what its threshold is about where it is deployed.
        data_sha256: digest of the images and identities that it was trained on, 64 hexadecimal digits;
            "" if not known.
        licence: of the weights, such as "MIT".
        weights_sha256: digest of the weights' file; "" for a Python function that is not pinned.
        fitted: what the stage `recognizer` found out; None in a card that somebody wrote, which may leave it
            out.
    """

    name: str
    architecture: str
    channels: tuple[int, ...] | None
    crop_size: int
    template: AnyTemplate
    channel_order: Literal["RGB", "BGR", "gray"]
    value_range: tuple[float, float]
    interpolation: Literal["bilinear", "bicubic", "bilinear_aligned_corners", "area"]
    embedding_size: int
    precision: Literal["float32", "bf16"]
    score: Literal["cosine", "euclidean"]
    data_sha256: str
    licence: str
    weights_sha256: str
    fitted: Fitted | None = None


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
            allowed, by itself or beside the others; the sentence names file, field, what was found and what
            is allowed.
    """
    values = _object(path)
    _closed(values, RecognizerCard, path, "")
    if isinstance(values["template"], dict):
        _closed(values["template"], Template, path, "template.")
    fault = card_fields.first_fault(values)
    if fault is not None:
        raise _refusal(path, *fault)
    low, high = values["value_range"]
    changed = {
        "template": _template(values["template"]),
        "channels": None if values["channels"] is None else tuple(values["channels"]),
        "value_range": (float(low), float(high)),
        "fitted": _fitted(values.get("fitted"), path),
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


def _fitted(found: object, path: Path) -> Fitted | None:
    if found is None:
        return None
    if not isinstance(found, dict):
        raise _refusal(path, "fitted", found, "null or an object that the stage wrote")
    _closed(found, Fitted, path, "fitted.")
    texts = found["notes"]
    rules: dict[str, tuple[str, bool]] = {
        "images": (card_fields.TEMPLATE[0], card_fields.is_template(found["images"])),
        "gradients": ("'own' or 'converted' or 'none'", found["gradients"] in ("own", "converted", "none")),
        "notes": ("a list of texts", isinstance(texts, list) and all(map(card_fields.is_text, texts))),
        "runs_user_code": ("true or false", isinstance(found["runs_user_code"], bool)),
        "source_sha256": (card_fields.DIGEST[0], card_fields.is_digest(found["source_sha256"])),
    }
    for name, (allowed, fits) in rules.items():
        if not fits:
            raise _refusal(path, f"fitted.{name}", found[name], allowed)
    if isinstance(found["images"], dict):
        _closed(found["images"], Template, path, "fitted.images.")
        for place, value in found["images"].items():
            if not (card_fields.is_number(value) and 0 < value < 1):
                raise _refusal(path, f"fitted.images.{place}", value, "a number between 0 and 1")
    return Fitted(**(found | {"images": _template(found["images"]), "notes": tuple(texts)}))


def _template(found: Any) -> AnyTemplate:
    if not isinstance(found, dict):
        return "arcface" if found == "arcface" else "as given"
    return Template(**{place: float(value) for place, value in found.items()})


def _object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(
            f"{path}: is missing; weights are only loaded with their card, a JSON object beside them. "
            "`attribute-recovery card FILE` writes a draft with all that can be read off the file; a whole "
            f"one is {card_fields.example_text()} (docs/recognizer.md says what each field means)"
        )
    try:
        values = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: is not JSON ({error}), allowed is a JSON object") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: found {type(values).__name__}, allowed is a JSON object")
    return values


def _closed(values: dict[str, Any], form: type, path: Path, prefix: str) -> None:
    """Refuse fields that are unknown, then fields that are missing, by the fields of a dataclass."""
    names = [field.name for field in fields(form)]
    allowed = ", ".join(names)
    for name in values:
        if name not in names:
            raise ValueError(
                f"{path}: field {prefix}{name}: is not known, found {values[name]!r}; allowed are {allowed}"
            )
    for field in fields(form):
        if field.name not in values and field.default is MISSING:
            found = ", ".join(values)
            raise ValueError(
                f"{path}: field {prefix}{field.name}: is missing, found {found}; allowed are {allowed}"
            )


def _refusal(path: Path, name: str, found: object, allowed: str) -> ValueError:
    return ValueError(f"{path}: field {name}: found {found!r}, allowed is {allowed}")
