"""Recognizers that provably do not see something: the finished run's f behind a fixed mask, or behind luma.

A mask is not drawn by hand. Heads from all over the world are rendered with an attribute at values over its
whole range; the pixels that it moves in any of them, with a margin around, are what the mask hides. Whether f
behind it is blind is then measured on other heads: an attribute is null for it only if no value of it moves
the embedding of any head by more than `STILL`.

The world's renderer spends its last steps on the quarter of a head's rays that is farthest from done. So what
the rays at the mouth hit decides which others go on, and a few pixels anywhere change by one level of grey.
Here every ray goes on (`ToTheEnd`): then a pixel depends on what its own ray comes near to, and on no other.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import binary_dilation
from torch import Tensor

from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.dataset.world.renderer import FAR, GRAZING_STEPS, Renderer, Sdf
from attribute_recovery.dataset.world.shapes import Head
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.statistics.inputs import BoolArray
from benchmarks.validation.finished_run import FinishedRun, camera_of
from benchmarks.validation.kept import kept

Floats = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]

# Largest Euclidean distance between embeddings that counts as none: float32's rounding.
STILL = 1e-6
# Rec. 601.
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Looks:
    """How closely it is looked at what an attribute moves.

    Attributes:
        heads: that a mask is made from.
        values: of a continuous attribute on each of them, over its range.
        others: heads on which blindness is measured.
        values_of_others: as `values`.
        margin: pixels around those that were seen to move, which the mask hides too.
    """

    heads: int
    values: int
    others: int
    values_of_others: int
    margin: int


FULL, QUICK = Looks(200, 3, 80, 5, margin=2), Looks(12, 2, 4, 2, margin=2)


@dataclass(frozen=True)
class Blindness:
    """A mask, and what it was found to hide.

    Attributes:
        mask: pixels that are seen, (side, side).
        moved: by attribute, how far its values move embeddings behind the mask at most.
    """

    mask: BoolArray
    moved: dict[str, float]

    @property
    def nulls(self) -> list[str]:
        """Attributes that move nothing."""
        return [name for name, distance in self.moved.items() if distance <= STILL]


class ToTheEnd(Renderer):
    """The world's renderer, but that it finishes every ray and not a quarter of them."""

    def _batch(self, encoded: Tensor) -> Tensor:
        with patch("attribute_recovery.dataset.world.renderer._finish", _finished):
            return super()._batch(encoded)


def _finished(sdf: Sdf, head: Head, origin: Tensor, direction: Tensor, depth: Tensor, gap: Tensor) -> Tensor:
    """Depth (n, m) after twice the steps that the renderer spends on a quarter of the rays: curls take long
    to reach."""
    for _ in range(2 * GRAZING_STEPS):
        x, y, z = (origin[..., i] + direction[:, i : i + 1] * depth for i in range(3))
        depth = torch.clamp(depth + sdf(head, x, y, z), max=FAR)
    return depth


class Blinded(Recognizer):
    """f whose images pass a blindfold first; otherwise as any recognizer.

    Args:
        seeing: f.
        blindfold: images (n, 3, side, side) in [-1, 1] to what is left of them, the same shape.
    """

    def __init__(self, seeing: Recognizer, blindfold: Callable[[Tensor], Tensor]) -> None:
        super().__init__(seeing.network, seeing.card, seeing.device)
        self.blindfold = blindfold

    def represent(self, images: Tensor) -> Tensor:
        """Embeddings before normalisation of what is left of the images; see `Recognizer.represent`."""
        return super().represent(self.blindfold(images.to(self.device, torch.float32)))


def behind_mask(seeing: Recognizer, mask: BoolArray) -> Blinded:
    """f that sees mid grey where the mask (side, side) is False.

    Its blindfold raises ValueError where images have another side than the mask.
    """
    factor = torch.from_numpy(mask.astype(np.float32))

    def multiplied(images: Tensor) -> Tensor:
        if images.shape[-2:] != factor.shape:
            raise ValueError(
                f"images: found {tuple(images.shape[-2:])} pixels, allowed are the mask's {tuple(mask.shape)}"
            )
        return images * factor.to(images.device)

    return Blinded(seeing, multiplied)


def in_luma(seeing: Recognizer) -> Blinded:
    """f that sees all three channels replaced by their luma."""
    weights = torch.tensor(LUMA).view(1, 3, 1, 1)

    def grey(images: Tensor) -> Tensor:
        return (images * weights.to(images.device)).sum(dim=1, keepdim=True).expand_as(images)

    return Blinded(seeing, grey)


def heads_from_everywhere(schema: AttributeSchema, count: int, rng: np.random.Generator) -> Floats:
    """Encoded attributes (count, width) of heads anywhere in the world: each attribute uniform over its
    range or its classes, so that extreme poses and lights are as common as others."""
    values: dict[str, npt.NDArray[np.generic]] = {}
    for attribute in schema:
        if attribute.is_discrete:
            values[attribute.name] = rng.integers(attribute.n_classes, size=count)
        else:
            values[attribute.name] = rng.uniform(*attribute.range, count).astype(np.float32)
    return schema.encode(values)


def over_its_range(schema: AttributeSchema, encoded: Floats, name: str, values: int) -> Iterator[Floats]:
    """The heads (n, width) with one attribute at each class, or at so many values from one end of its range
    to the other."""
    attribute, place = schema[name], schema.slices[name]
    if attribute.kind == "categorical":
        rows = np.eye(attribute.width, dtype=np.float32)
    else:
        count = 2 if attribute.kind == "binary" else values
        rows = np.linspace(*attribute.range, count, dtype=np.float32)[:, None]
    for row in rows:
        changed = encoded.copy()
        changed[:, place] = row
        yield changed


def photographs(renderer: Renderer, encoded: Floats) -> Images:
    """Images (n, side, side, 3) of encoded attributes (n, width)."""
    return np.concatenate(list(renderer.uint8(encoded)))


def pixels_moved(
    renderer: Renderer, schema: AttributeSchema, encoded: Floats, names: Sequence[str], values: int
) -> BoolArray:
    """Pixels, (side, side), that differ in any channel of any head when one of the attributes changes."""
    before = photographs(renderer, encoded)
    moved = np.zeros(before.shape[1:3], dtype=np.bool_)
    for name in names:
        for changed in over_its_range(schema, encoded, name, values):
            moved |= (photographs(renderer, changed) != before).any(axis=(0, 3))
    return moved


def movements(
    f: Recognizer,
    renderer: Renderer,
    schema: AttributeSchema,
    encoded: Floats,
    names: Sequence[str],
    values: int,
) -> dict[str, float]:
    """How far the embedding of any of the heads (n, width) moves at most when one attribute changes, by
    attribute, as a Euclidean distance, 0 to 2."""
    before = f.embed_batches(photographs(renderer, encoded)).astype(np.float64)

    def apart(changed: Floats) -> float:
        gaps = f.embed_batches(photographs(renderer, changed)) - before
        return float(np.linalg.norm(gaps, axis=1).max())

    return {name: max(map(apart, over_its_range(schema, encoded, name, values))) for name in names}


def mask_hiding(moved: BoolArray, margin: int) -> BoolArray:
    """The pixels (side, side) that are farther than the margin, along rows and columns, from any that moved.

    Raises:
        ValueError: none is left.
    """
    square = np.ones((2 * margin + 1, 2 * margin + 1), dtype=np.bool_)
    mask = np.asarray(~binary_dilation(moved, structure=square))
    if not mask.any():
        raise ValueError(
            "mask: found no pixel that the hidden attributes never move, allowed are attributes that leave "
            "some; hide fewer"
        )
    return mask


def blindness_to(
    run: FinishedRun,
    schema: AttributeSchema,
    hidden: Sequence[str],
    looks: Looks,
    device: torch.device,
) -> Blindness:
    """A mask that hides attributes from the run's f, and how far they still move it; measured once and kept.

    Args:
        run: whose f and renderer.
        schema: the attributes, with the ranges that heads are drawn from.
        hidden: names of those that are hidden.
        looks: how closely.
        device: where f runs.

    Raises:
        ValueError: no pixel is left to see.
    """

    def make(folder: Path) -> None:
        camera = camera_of(run, looks.heads * (1 + looks.values * len(hidden)), device)
        renderer = ToTheEnd(**asdict(camera.renderer))
        heads = heads_from_everywhere(schema, looks.heads, np.random.default_rng([run.config.seed, 51]))
        moving = pixels_moved(renderer, schema, heads, hidden, looks.values)
        mask = mask_hiding(moving, looks.margin)
        others = heads_from_everywhere(schema, looks.others, np.random.default_rng([run.config.seed, 52]))
        f = behind_mask(camera.recognizer, mask)
        moved = movements(f, renderer, schema, others, hidden, looks.values_of_others)
        np.save(folder / "mask.npy", mask, allow_pickle=False)
        (folder / "moved.json").write_text(json.dumps(moved))

    depends = {"run": run.digest, "hidden": list(hidden), "looks": repr(looks), "schema": repr(schema)}
    folder = kept("mask", __name__, depends, make)
    mask = np.load(folder / "mask.npy", allow_pickle=False)
    return Blindness(mask, json.loads((folder / "moved.json").read_text()))
