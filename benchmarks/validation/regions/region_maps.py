"""Maps of what in an image a similarity rests on, by captum, and which attribute's region they name.

captum needs no more than what the package has, but is no part of it: `make validation` installs it without
its needs into a folder of its own (`envs/validation-captum.txt`).
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attribute_recovery.generator.train import to_tensor
from attribute_recovery.recognizer.load import Recognizer

Doubles = npt.NDArray[np.float64]
Images = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

# Where captum is; the variable serves where it is installed elsewhere.
CAPTUM = Path(__file__).parents[3] / ".captum"
VARIABLE = "VALIDATION_CAPTUM"

# Steps of the path integral.
STEPS = 32
# Windows of occlusion: an eighth of the image's side, half a window apart.
WINDOW = 8
AT_ONCE = 64

# What stands in the place of what is taken away.
MAPS = {
    "gradients, from the other image": "integrated gradients, from the other image",
    "gradients, from grey": "integrated gradients, from grey",
    "occlusion, other image": "occlusion by the other image",
    "occlusion, grey": "occlusion by grey",
}
SCORES = {
    "density": "mean inside less mean outside",
    "correlation": "correlation with the region",
    "overlap": "overlap of the region and as many of the strongest pixels",
}


def captum_attr() -> Any:
    """The module captum.attr.

    Raises:
        ValueError: captum is not there.
    """
    folder = Path(os.environ.get(VARIABLE) or CAPTUM)
    if not (folder / "captum" / "attr").is_dir():
        raise ValueError(
            f"{folder}: captum is not there; `make validation` installs envs/validation-captum.txt, or say "
            f"in {VARIABLE} which folder has it"
        )
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return import_module("captum.attr")


def maps_of(recognizer: Recognizer, first: Images, second: Images) -> dict[str, Doubles]:
    """Magnitudes of what each pixel of the first images has to do with the score of a pair, f(x) · f(x').

    Args:
        recognizer: f, with gradients.
        first: x, (n, side, side, 3).
        second: x', likewise.

    Returns:
        By names of `MAPS`, (n, side, side), never negative: |sum over the channels|.

    Raises:
        ValueError: captum is not there.
    """
    attr = captum_attr()
    start, other = to_tensor(first).to(recognizer.device), to_tensor(second).to(recognizer.device)
    with torch.no_grad():
        wanted = recognizer.embed(other)

    def score(images: Tensor, embeddings: Tensor) -> Tensor:
        return (recognizer.embed(images) * embeddings).sum(1)

    gradients, occlusion = attr.IntegratedGradients(score), attr.Occlusion(score)
    side = start.shape[-1]
    window, step = max(1, side // WINDOW), max(1, side // WINDOW // 2)
    found: dict[str, Tensor] = {}
    for name, instead in (("other image", other), ("grey", torch.zeros_like(other))):
        path = "gradients, from the other image" if name == "other image" else "gradients, from grey"
        found[path] = gradients.attribute(
            start,
            baselines=instead,
            additional_forward_args=(wanted,),
            n_steps=STEPS,
            internal_batch_size=AT_ONCE,
        )
        with torch.no_grad():
            found[f"occlusion, {name}"] = occlusion.attribute(
                start,
                sliding_window_shapes=(3, window, window),
                strides=(3, step, step),
                baselines=instead,
                additional_forward_args=(wanted,),
                perturbations_per_eval=max(1, AT_ONCE // len(start)),
            )
    return {name: _magnitude(found[name]) for name in MAPS}


def _magnitude(attributions: Tensor) -> Doubles:
    return np.asarray(attributions.detach().sum(1).abs().cpu().double().numpy())


def scores_of(magnitudes: Doubles, masks: Flags) -> dict[str, Doubles]:
    """How well maps fit regions, in three ways, see `SCORES`.

    Args:
        magnitudes: maps (n, side, side).
        masks: regions (n, k, side, side).

    Returns:
        By names of `SCORES`, (n, k), more is better; −inf for a region of no pixel or of all.
    """
    maps = magnitudes.reshape(len(magnitudes), 1, -1)
    inside = masks.reshape(*masks.shape[:2], -1)
    pixels, count = inside.shape[2], inside.sum(2)
    known = (count > 0) & (count < pixels)
    held = (maps * inside).sum(2)
    density = held / np.maximum(count, 1) - (maps.sum(2) - held) / np.maximum(pixels - count, 1)
    # The point-biserial correlation, but for the map's deviation, which all regions of an image share.
    correlation = density * np.sqrt(count * (pixels - count))
    # Place of each pixel by strength, 0 the strongest.
    ranks = np.argsort(np.argsort(-maps, axis=2, kind="stable"), axis=2, kind="stable")
    both = ((ranks < count[:, :, None]) & inside).sum(2)
    overlap = both / np.maximum(2 * count - both, 1)
    found = {"density": density, "correlation": correlation, "overlap": overlap}
    return {name: np.where(known, values, -np.inf) for name, values in found.items()}
