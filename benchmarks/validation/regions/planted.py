"""Pairs of rendered heads that differ in one planted attribute, and where in an image one is seen."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema

Floats = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

# A pixel belongs to an attribute's region where changing it moves a colour by more than so many levels.
LEVELS = 8


def planted(
    schema: AttributeSchema, encoded: Floats, name: str, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """The same heads with one attribute changed by its dose, all else as it was.

    Continuous: one population standard deviation up or down, drawn; where the range has no room for it, the
    other way, so that every pair differs by the whole dose if any way has room. Binary: toggled. Categorical:
    another class, drawn.

    Args:
        schema: the attributes, with doses and ranges.
        encoded: heads, (n, width).
        name: of the attribute that is changed.
        rng: draws the direction, or the class.
    """
    attribute, place, changed = schema[name], schema.slices[name], encoded.copy()
    if attribute.kind == "binary":
        changed[:, place] = 1 - encoded[:, place]
    elif attribute.kind == "categorical":
        steps = rng.integers(1, attribute.width, size=len(encoded))
        classes = (encoded[:, place].argmax(1) + steps) % attribute.width
        changed[:, place] = np.eye(attribute.width, dtype=np.float32)[classes]
    else:
        signs = rng.choice([-1, 1], size=(len(encoded), 1))
        changed[:, place] = _moved(attribute, encoded[:, place], signs)
    return changed


def _moved(attribute: Attribute, values: Floats, signs: npt.NDArray[np.int64]) -> Floats:
    """Values (n, 1) one dose on, the other way where that leads out of the range."""
    low, high = attribute.range
    wished = values + signs * attribute.dose
    turned = np.where((wished < low) | (wished > high), values - signs * attribute.dose, wished)
    return np.clip(turned, low, high).astype(np.float32)


def variants(schema: AttributeSchema, encoded: Floats, name: str) -> list[Floats]:
    """The same heads (n, width) with one attribute changed in every way that its dose allows: up and down,
    toggled, or the next class, the one after it, and so on."""
    attribute, place = schema[name], schema.slices[name]
    if attribute.kind == "continuous":
        moves = [
            np.clip(encoded[:, place] + sign * attribute.dose, *attribute.range).astype(np.float32)
            for sign in (-1, 1)
        ]
    elif attribute.kind == "binary":
        moves = [1 - encoded[:, place]]
    else:
        moves = [np.roll(encoded[:, place], step, axis=1) for step in range(1, attribute.width)]
    changed = [encoded.copy() for _ in moves]
    for heads, columns in zip(changed, moves, strict=True):
        heads[:, place] = columns
    return changed


def regions(
    schema: AttributeSchema,
    encoded: Floats,
    names: Sequence[str],
    render: Callable[[Floats], Images],
) -> Flags:
    """Where attributes are seen in images of heads: the pixels that change when the renderer changes them.

    Args:
        schema: the attributes, with doses and ranges.
        encoded: heads, (n, width).
        names: of k attributes.
        render: images (m, side, side, 3) of heads (m, width).

    Returns:
        (n, k, side, side); attributes may share pixels.
    """
    every = [variants(schema, encoded, name) for name in names]
    stacked: Images = render(np.concatenate([encoded, *(heads for each in every for heads in each)]))
    images = stacked.reshape(-1, len(encoded), *stacked.shape[1:]).astype(np.int16)  # (1 + variants, n, …)
    changes = (np.abs(images[1:] - images[0]) > LEVELS).any(axis=-1)
    ends = np.cumsum([len(each) for each in every])
    found: Any = [part.any(axis=0) for part in np.split(changes, ends[:-1])]
    return np.stack(found, axis=1)
