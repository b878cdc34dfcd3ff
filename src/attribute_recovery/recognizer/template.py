"""Where the eyes lie in an aligned crop, and the similarity that brings a crop from one template to another.

Coordinates are in units of the crop's side: x to the right, y downwards, (0, 0) the upper left corner.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

# Half a pixel of 112, in units of the side; where all eyes are closer than this, two templates are one.
SAME = 0.5 / 112


@dataclass(frozen=True)
class Template:
    """Where the eyes lie in an aligned crop: level, and symmetric to its middle; in units of its side.

    Attributes:
        eye_level: height of both eyes below the upper edge, 0 to 1.
        eye_span: distance between the eyes, 0 to 1.
    """

    eye_level: float
    eye_span: float


# "arcface": the template of five points for 112 pixels of InsightFace, of which the eyes are used here.
# "as given": nobody says where the eyes are, so nothing can be moved.
AnyTemplate = Template | Literal["arcface", "as given"]
NAMED = ("arcface", "as given")
# Its numbers count pixels, whose centres lie half a pixel further.
_ARCFACE_EYES = (np.array([[38.2946, 51.6963], [73.5318, 51.5014]]) + 0.5) / 112


def read_images_template(report: Path) -> AnyTemplate | None:
    """The template of a data set's images, from its report.

    Args:
        report: dataset/report.json; its `crop` has `template`, "arcface" or "as given", or any other name
            with `eye_level` and `eye_span`.

    Returns:
        The template; None where the report does not speak of it.

    Raises:
        ValueError: what it says of it is none of these.
    """
    crop = json.loads(report.read_text("utf-8")).get("crop")
    if crop is None:
        return None
    if crop.get("template") in NAMED:
        found: AnyTemplate = crop["template"]
        return found
    places = [crop.get("eye_level"), crop.get("eye_span")]
    if not all(isinstance(place, float) and 0 < place < 1 for place in places):
        raise ValueError(
            f"{report}: key crop: found {crop!r}, allowed is a template of {' or '.join(NAMED)}, or "
            "eye_level and eye_span between 0 and 1"
        )
    return Template(*places)


def eyes(template: AnyTemplate) -> npt.NDArray[np.float64] | None:
    """Both eyes' places, that on the left first, (2, 2) as (x, y) in units of the side.

    Args:
        template: of the crop.

    Returns:
        The places; None where the template does not say.
    """
    if isinstance(template, Template):
        level, half = template.eye_level, template.eye_span / 2
        return np.array([[0.5 - half, level], [0.5 + half, level]])
    return _ARCFACE_EYES.copy() if template == "arcface" else None


def similarity(crop: AnyTemplate, images: AnyTemplate) -> npt.NDArray[np.float64] | None:
    """Where in an image of one template a point of a crop of another is found.

    Args:
        crop: template that is wanted.
        images: template that the images have.

    Returns:
        (2, 3) matrix A: a point p of the crop lies at A (p, 1) in the image, both in units of their sides;
        a rotation, a scale and a shift. None where nothing is to be moved: the templates are the same, or one
        of them does not say where the eyes are.
    """
    wanted, found = eyes(crop), eyes(images)
    if wanted is None or found is None or np.abs(wanted - found).max() <= SAME:
        return None
    # As complex numbers a similarity is z -> turn z + shift, and two points fix it.
    before, after = wanted @ [1, 1j], found @ [1, 1j]
    turn = (after[1] - after[0]) / (before[1] - before[0])
    shift = after[0] - turn * before[0]
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def outside_share(matrix: npt.NDArray[np.float64]) -> float:
    """Share of the crop that lies outside of the image, 0 to 1, by a grid of 64 × 64 points.

    Args:
        matrix: of `similarity`.

    Returns:
        The share, which is filled with black.
    """
    steps = (np.arange(64) + 0.5) / 64
    points = np.stack([*np.meshgrid(steps, steps), np.ones((64, 64))])
    places = np.tensordot(matrix, points, axes=1)
    return float(((places < 0) | (places > 1)).any(axis=0).mean())


def template_words(template: AnyTemplate) -> str:
    """The template in words, for reports and errors."""
    if isinstance(template, Template):
        return ", ".join(f"{name} {value:g}" for name, value in asdict(template).items())
    return template
