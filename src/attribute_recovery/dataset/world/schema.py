"""The attributes of the default world: the renderer's own parameters, declared once."""

from typing import TYPE_CHECKING

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema, Family, Level

if TYPE_CHECKING:
    from torch import Tensor

SHAPE_RANGE = (-1.0, 1.0)
SHAPE_UNIT = "of its range"

HAIR_STYLES = ("short", "long", "curly")
EYE_COLORS = ("brown", "blue", "green")


def _shape(name: str) -> Attribute:
    return Attribute(name, "shape", "continuous", "identity", SHAPE_UNIT, SHAPE_RANGE)


def _scale(name: str, family: Family, level: Level, unit: str, low: float, high: float) -> Attribute:
    return Attribute(name, family, "continuous", level, unit, (low, high))


WORLD_ATTRIBUTES: tuple[Attribute, ...] = (
    _shape("jaw_width"),
    _shape("face_length"),
    _shape("eye_distance"),
    _shape("eye_size"),
    _shape("nose_length"),
    _shape("nose_width"),
    _shape("brow_height"),
    _shape("brow_thickness"),
    _shape("lip_thickness"),
    _scale("smile", "expression", "image", "of full", 0.0, 1.0),
    _scale("mouth_opening", "expression", "image", "of full", 0.0, 1.0),
    _scale("yaw", "pose", "image", "degrees", -42.0, 42.0),
    _scale("pitch", "pose", "image", "degrees", -22.0, 22.0),
    _scale("roll", "pose", "image", "degrees", -12.0, 12.0),
    _scale("skin_tone", "appearance", "identity", "from dark to fair", 0.0, 1.0),
    _scale("hair_lightness", "appearance", "identity", "from dark to fair", 0.0, 1.0),
    _scale("hair_redness", "appearance", "identity", "of full", 0.0, 1.0),
    Attribute("eye_color", "appearance", "categorical", "identity", "class", categories=EYE_COLORS),
    Attribute("hair_style", "appearance", "categorical", "mixed", "class", categories=HAIR_STYLES),
    Attribute("glasses", "appearance", "binary", "image", "class", categories=("off", "on")),
    Attribute("beard", "appearance", "binary", "mixed", "class", categories=("off", "on")),
    _scale("light_azimuth", "appearance", "image", "degrees", -95.0, 95.0),
    _scale("light_elevation", "appearance", "image", "degrees", 5.0, 60.0),
)

SCHEMA = AttributeSchema(WORLD_ATTRIBUTES)


def columns(encoded: "Tensor") -> dict[str, "Tensor"]:
    """The encoded attributes (n, width) by name, (n, 1) each or (n, classes) for categorical ones."""
    return {name: encoded[:, place] for name, place in SCHEMA.slices.items()}
