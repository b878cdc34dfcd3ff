"""A population in which hair style and jaw width go together: its people rendered, coded, and the heads that
a user there would have. Made once; seeds draw people from it.

Hair goes from short over long to curly as jaws go from narrow to wide. The generator is the run's, since it
is shipped; the heads are trained in this population, by the product's rule, since nobody there has others.

Everybody looks into the camera, in soft light, as on a passport.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from attribute_recovery.attributes.train import train_heads
from attribute_recovery.config_attributes import Heads
from attribute_recovery.config_marginals import MarginalConfig, NormalMarginal
from attribute_recovery.config_world import Correlation, SplitCounts, World, WorldDataset
from attribute_recovery.dataset.attributes import AttributeSchema, read_schema
from attribute_recovery.dataset.prepare import render_world
from attribute_recovery.dataset.store import read_images, read_table
from attribute_recovery.generator.load import load_generator
from attribute_recovery.training.device import inference_dtype
from benchmarks.validation.finished_run import CACHE, Files, FinishedRun
from benchmarks.validation.kept import kept

Floats = npt.NDArray[np.float32]

HAIR, JAW = "hair_style", "jaw_width"
CORRELATION = 0.9
# Ranges of pose and light, in degrees.
FRONTAL = {
    "yaw": (-15.0, 15.0),
    "pitch": (-10.0, 10.0),
    "roll": (-5.0, 5.0),
    "light_azimuth": (-30.0, 30.0),
    "light_elevation": (20.0, 50.0),
}
OTHER = {HAIR: JAW, JAW: HAIR}
# Added to the run's seed: nobody is drawn as the run drew them.
OTHER_PEOPLE = 2_000_000


@dataclass(frozen=True)
class Crowd:
    """How many people live there, and how many images each has, by split."""

    train: tuple[int, int]
    calibration: tuple[int, int]
    test: tuple[int, int]


LARGE = Crowd(train=(1000, 3), calibration=(60, 4), test=(240, 4))
SMALL = Crowd(train=(30, 4), calibration=(8, 4), test=(14, 4))


@dataclass(frozen=True)
class People:
    """Everybody there, n images.

    Attributes:
        schema: the attributes as this population has them.
        images: the images table.
        codes: E(x), (n, code_size).
        pixels: (n, side, side, 3) uint8.
        attributes: attributes.json.
        heads: weights and card.
    """

    schema: AttributeSchema
    images: pd.DataFrame
    codes: Floats
    pixels: npt.NDArray[np.uint8]
    attributes: Path
    heads: Files


def frontal(world: World, crowd: Crowd, *, together: bool) -> World:
    """The world with frontal poses, and hair style an attribute of the identity.

    Args:
        world: the default one.
        crowd: who lives there.
        together: whether hair and jaw go together, or are drawn independently.
    """
    marginals = {name: _within(world.marginals[name], ends) for name, ends in FRONTAL.items()}
    marginals[HAIR] = world.marginals[HAIR].model_copy(update={"identity_share": 1.0})
    counts, each = (
        SplitCounts(recognizer=0, train=crowd.train[i], calibration=crowd.calibration[i], test=crowd.test[i])
        for i in (0, 1)
    )
    return world.model_copy(
        update={
            "marginals": {**world.marginals, **marginals},
            "correlations": [Correlation(attributes=(HAIR, JAW), value=CORRELATION)] if together else [],
            "identities": counts,
            "images_per_identity": each,
        }
    )


def _within(marginal: MarginalConfig, ends: tuple[float, float]) -> MarginalConfig:
    """The marginal of a continuous attribute cut to a range."""
    key = "range" if isinstance(marginal, NormalMarginal) else "uniform"
    return marginal.model_copy(update={key: ends})


def people_of(run: FinishedRun, crowd: Crowd, device: torch.device) -> People:
    """The people, rendered once, with heads trained once.

    Raises:
        ValueError: the run's heads are brought ones, which nobody can train here.
    """
    settings = settings_of(run)

    def make(folder: Path) -> None:
        files = rendered(run, frontal(run.world, crowd, together=True), OTHER_PEOPLE, folder)
        generator = load_generator(*run.generator, device, inference_dtype(run.compute))
        codes = generator.encode_images(read_images(files["images"]))
        np.save(folder / "codes.npy", codes, allow_pickle=False)
        taught_heads(run, settings, OTHER_PEOPLE, files, folder)

    heads: dict[str, Any] = settings.model_dump(mode="json")
    folder = kept("people", __name__, {"run": run.digest, "crowd": repr(crowd), "heads": heads}, make)
    files = _files(folder)
    return People(
        read_schema(files["attributes"]),
        read_table(files["table"]),
        np.load(folder / "codes.npy", allow_pickle=False),
        read_images(files["images"]),
        files["attributes"],
        heads_in(folder),
    )


def settings_of(run: FinishedRun) -> Heads:
    """How the run trains heads.

    Raises:
        ValueError: it does not train any.
    """
    settings = run.config.attributes.heads
    if not isinstance(settings, Heads):
        raise ValueError(
            f"attributes.heads.source: found {settings.source!r}, allowed is 'train': this row trains heads "
            "in a population of its own"
        )
    return settings


def rendered(run: FinishedRun, world: World, seed: int, folder: Path) -> dict[str, Path]:
    """Images, table and attributes of a world's people; those that are there already are kept.

    Args:
        run: its seed, to which `seed` is added, and how it computes.
        world: whose people.
        seed: of these people.
        folder: that they are written to.
    """
    files, report = _files(folder), folder / "report.json"
    if not report.is_file():
        dataset = WorldDataset(source="world", world=world)
        render_world(dataset, run.config.seed + seed, run.compute, **files, report=report, cache=CACHE)
    return files


def taught_heads(
    run: FinishedRun, settings: Heads, seed: int, files: Mapping[str, Path], folder: Path
) -> None:
    """Heads that the product trains on these files, written to the folder."""
    weights, card = heads_in(folder)
    train_heads(
        settings,
        run.config.seed + seed,
        run.compute,
        **files,
        generator_weights=run.generator[0],
        generator_card=run.generator[1],
        weights=weights,
        card=card,
        metrics=folder / "heads_metrics.json",
        checkpoint=folder / "checkpoint",
    )


def heads_in(folder: Path) -> Files:
    """Weights and card of the heads in a folder."""
    return folder / "heads.safetensors", folder / "heads.json"


def _files(folder: Path) -> dict[str, Path]:
    return {
        "images": folder / "images.bcolz",
        "table": folder / "images.parquet",
        "attributes": folder / "attributes.json",
    }
