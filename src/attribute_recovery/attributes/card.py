"""The card of attribute heads that somebody brings: how images are prepared, and what each output means.

A closed JSON object beside the file. Heads without a card are refused, as recognizers are.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from attribute_recovery.config_files import sentence
from attribute_recovery.config_marginals import Interval, Name, Positive, PositiveReal, Section
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema, Family, Level
from attribute_recovery.recognizer.card import Fitted, RecognizerCard, Template
from attribute_recovery.recognizer.card_fields import is_digest, is_number
from attribute_recovery.recognizer.template import NAMED, AnyTemplate

OFF_ON = ("off", "on")
# A whole card, for whoever has to write one.
EXAMPLE: dict[str, Any] = {
    "name": "attributes of our gate",
    "format": "onnx",
    "crop_size": 112,
    "template": "arcface",
    "channel_order": "RGB",
    "value_range": [-1.0, 1.0],
    "interpolation": "bilinear",
    "attributes": [
        {
            "name": "glasses",
            "kind": "binary",
            "level": "image",
            "family": "appearance",
            "output": "logits",
            "columns": [0],
            "activation": "logits",
        },
        {
            "name": "age",
            "kind": "continuous",
            "level": "identity",
            "family": "appearance",
            "unit": "years",
            "range": [0.0, 100.0],
            "output": "age",
            "columns": [0],
            "sd": 6.0,
        },
    ],
    "licence": "Apache-2.0",
    "weights_sha256": "what sha256sum prints",
}

_OUTPUT = "name of the ONNX output, or key of what the function returns; null where there is one only"


def _columns(columns: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(columns)) < len(columns) or not columns or min(columns) < 0:
        raise ValueError(f"found {list(columns)}, allowed are different whole numbers, 0 or more each")
    return columns


def _template(found: object) -> object:
    if isinstance(found, str) and found in NAMED:
        return found
    places = found if isinstance(found, dict) else {}
    fits = set(places) == {"eye_level", "eye_span"}
    if not (fits and all(is_number(place) and 0 < place < 1 for place in places.values())):
        raise ValueError(
            f"found {found!r}, allowed is an object with eye_level and eye_span, each between 0 and 1, or "
            "'arcface' or 'as given'"
        )
    return found


def _digest(found: str) -> str:
    if not is_digest(found):
        raise ValueError(f"found {found!r}, allowed are 64 hexadecimal digits, or an empty text")
    return found


Columns = Annotated[tuple[int, ...], AfterValidator(_columns)]


class BinaryOutput(Section):
    """An attribute that is there (on) or not (off)."""

    kind: Literal["binary"] = Field(description="on or off")
    name: Name = Field(description="of the attribute")
    level: Level = Field(description="whether it belongs to the identity, to the single image, or to both")
    family: Family = Field(description="the group it is shown with")
    output: str | None = Field(description=_OUTPUT)
    columns: Annotated[Columns, Field(max_length=2)] = Field(description="on, or off and on")
    activation: Literal["logits", "probabilities"] = Field(description="what its columns are")

    def attribute(self, source: str) -> Attribute:
        """As the schema has it."""
        return Attribute(
            self.name, self.family, "binary", self.level, "class", categories=OFF_ON, source=source
        )


class CategoricalOutput(Section):
    """An attribute with several classes."""

    kind: Literal["categorical"] = Field(description="one of several classes")
    name: Name = Field(description="of the attribute")
    level: Level = Field(description="whether it belongs to the identity, to the single image, or to both")
    family: Family = Field(description="the group it is shown with")
    categories: Annotated[tuple[str, ...], Field(min_length=2)] = Field(description="in the columns' order")
    output: str | None = Field(description=_OUTPUT)
    columns: Columns = Field(description="one for each class")
    activation: Literal["logits", "probabilities"] = Field(description="what its columns are")

    def attribute(self, source: str) -> Attribute:
        """As the schema has it."""
        return Attribute(
            self.name,
            self.family,
            "categorical",
            self.level,
            "class",
            categories=self.categories,
            source=source,
        )


class ContinuousOutput(Section):
    """An attribute that is a number."""

    kind: Literal["continuous"] = Field(description="a number")
    name: Name = Field(description="of the attribute")
    level: Level = Field(description="whether it belongs to the identity, to the single image, or to both")
    family: Family = Field(description="the group it is shown with")
    unit: str = Field(description="of its values")
    range: Interval = Field(description="smallest and largest value, in its unit")
    output: str | None = Field(description=_OUTPUT)
    columns: Annotated[Columns, Field(max_length=2)] = Field(
        description="its mean in its unit, and maybe its standard deviation"
    )
    sd: PositiveReal | None = Field(
        description="how far it errs, root mean square in its unit; null where it has a column for that"
    )

    def attribute(self, source: str) -> Attribute:
        """As the schema has it."""
        return Attribute(
            self.name, self.family, "continuous", self.level, self.unit, range=self.range, source=source
        )


Output = BinaryOutput | CategoricalOutput | ContinuousOutput


class HeadsCard(Section):
    """What heads need to be run, and what they say."""

    name: Annotated[str, Field(min_length=1)] = Field(description="what they are called in reports")
    format: Literal["onnx", "python"] = Field(description="of the file")
    crop_size: Positive = Field(description="side of the square crop in pixels")
    template: Annotated[Any, BeforeValidator(_template)] = Field(description="where the eyes lie in it")
    channel_order: Literal["RGB", "BGR", "gray"] = Field(description="of the crop's channels")
    value_range: Interval = Field(description="lowest and highest value of a pixel")
    interpolation: Literal["bilinear", "bicubic", "bilinear_aligned_corners", "area"] = Field(
        description="how images of another size are brought to crop_size"
    )
    attributes: Annotated[tuple[Annotated[Output, Field(discriminator="kind")], ...], Field(min_length=1)] = (
        Field(description="what is read")
    )
    licence: Annotated[str, Field(min_length=1)] = Field(description="of the heads")
    weights_sha256: Annotated[str, AfterValidator(_digest)] = Field(
        description="digest of the file; of a function's module, or empty"
    )

    def schema_of(self) -> AttributeSchema:
        """The attributes as the card declares them, with dose 1."""
        return AttributeSchema(tuple(each.attribute(f"heads {self.name}") for each in self.attributes))

    def crops(self, images: AnyTemplate) -> RecognizerCard:
        """The fields by which `recognizer.crops.to_crops` prepares images of a data set's template."""
        found = self.template
        return RecognizerCard(
            name=self.name,
            architecture=self.format,
            channels=None,
            crop_size=self.crop_size,
            template=Template(**found) if isinstance(found, dict) else found,
            channel_order=self.channel_order,
            value_range=self.value_range,
            interpolation=self.interpolation,
            embedding_size=sum(len(each.columns) for each in self.attributes),
            precision="float32",
            score="cosine",
            data_sha256="",
            licence=self.licence,
            weights_sha256=self.weights_sha256,
            fitted=Fitted(images, "none", (), False, ""),
        )


def read_heads_card(path: Path) -> HeadsCard:
    """Read and check a card.

    Args:
        path: JSON file.

    Returns:
        The card.

    Raises:
        ValueError: there is none, it is no JSON object, or a field is unknown, missing or not allowed, by
            itself or beside the others; one sentence with file, field, what was found and what is allowed.
    """
    if not path.is_file():
        raise ValueError(
            f"{path}: is missing; heads are only loaded with their card, a JSON object beside them. A whole "
            f"one is {json.dumps(EXAMPLE)} (docs/attributes.md says what each field means)"
        )
    try:
        values = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: is not JSON ({error}), allowed is a JSON object") from error
    return checked_card(values, path)


def checked_card(values: object, path: Path) -> HeadsCard:
    """The card that plain values are, see `read_heads_card`; the path is only named in errors."""
    if not isinstance(values, dict):
        raise ValueError(f"{path}: found {type(values).__name__}, allowed is a JSON object")
    try:
        card = HeadsCard.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        details = [dict(detail) for detail in error.errors()]
        raise ValueError(sentence(details, HeadsCard.model_json_schema(), path)) from None
    for number, output in enumerate(card.attributes):
        if fault := _contradiction(output):
            raise ValueError(f"{path}: key attributes.{number}.{fault}")
    names = [output.name for output in card.attributes]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path}: key attributes: found {twice[0]} twice, allowed is each name once")
    if card.weights_sha256 == "" and card.format != "python":
        raise ValueError(
            f"{path}: key weights_sha256: found '', allowed are 64 hexadecimal digits (empty for format "
            "python only)"
        )
    return card


def _contradiction(output: Output) -> str:
    """A field that does not go with the others; empty if all do."""
    if isinstance(output, CategoricalOutput):
        if len(set(output.categories)) < len(output.categories):
            return f"categories: found {list(output.categories)}, allowed are names that differ"
        if len(output.columns) != len(output.categories):
            return (
                f"columns: found {len(output.columns)}, allowed are {len(output.categories)}, one for each "
                "class"
            )
    if isinstance(output, ContinuousOutput) and (output.sd is None) != (len(output.columns) == 2):
        allowed = (
            "null where it has a second column"
            if output.sd is not None
            else ("a number where there is no second column for it")
        )
        return f"sd: found {'null' if output.sd is None else output.sd}, allowed is {allowed}"
    return ""
