"""A population in which hair style and jaw width go together: its people rendered, coded, and the heads that
a user there would have. Made once; seeds draw people from it.

Hair goes from short over long to curly as jaws go from narrow to wide. The generator is the run's, since it
is shipped; the heads are trained in this population, by the product's rule, since nobody there has others.

A recognizer sees one of the two where its pixels show the other one nowhere, and where it has learned to tell
people apart by these pixels alone: one that has learned from whole faces finds next to nothing in an eighth
of one (the jaw at both ends of its range moved the run's f by 0.05 at most, of 2, and its embeddings held
nothing of it).

Everybody looks into the camera, in soft light, as on a passport: with the default world's poses long hair, or
its shadow, reaches every pixel that a jaw moves, so that nothing could see the jaw alone.
"""

from dataclasses import asdict, dataclass
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
from benchmarks.validation.blinded.blinded import (
    FULL,
    QUICK,
    Blinded,
    Blindness,
    behind_mask,
    blindness_to,
    mask_to_hide,
)
from benchmarks.validation.faults.trained import settings_of, trained_on
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
# What is hidden from a recognizer that sees one of the two.
OTHER = {HAIR: JAW, JAW: HAIR}
# Added to the run's seed: nobody is drawn as the run drew them.
OTHER_PEOPLE = 2_000_000


@dataclass(frozen=True)
class Crowd:
    """How many people live there, and how many images each has, by split."""

    recognizer: tuple[int, int]
    train: tuple[int, int]
    calibration: tuple[int, int]
    test: tuple[int, int]


LARGE = Crowd(recognizer=(500, 8), train=(1000, 3), calibration=(60, 4), test=(240, 4))
SMALL = Crowd(recognizer=(10, 4), train=(30, 4), calibration=(8, 4), test=(14, 4))
# What the mask leaves of a pixel, nearest to 0 in [−1, 1].
GREY = 128


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


def correlated(world: World, crowd: Crowd) -> World:
    """The world with frontal poses, and hair style an attribute of the identity that goes together with the
    jaw."""
    marginals = {name: _within(world.marginals[name], ends) for name, ends in FRONTAL.items()}
    marginals[HAIR] = world.marginals[HAIR].model_copy(update={"identity_share": 1.0})
    counts, each = (SplitCounts(**{split: both[i] for split, both in asdict(crowd).items()}) for i in (0, 1))
    return world.model_copy(
        update={
            "marginals": {**world.marginals, **marginals},
            "correlations": [Correlation(attributes=(HAIR, JAW), value=CORRELATION)],
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
    settings = run.config.attributes.heads
    if not isinstance(settings, Heads):
        raise ValueError(
            f"attributes.heads.source: found {settings.source!r}, allowed is 'train': this row trains heads "
            "in a population of its own"
        )

    def make(folder: Path) -> None:
        seed, files = run.config.seed + OTHER_PEOPLE, _files(folder)
        if not (folder / "report.json").is_file():
            world = WorldDataset(source="world", world=correlated(run.world, crowd))
            report = {"report": folder / "report.json"}
            render_world(world, seed, run.compute, **files, **report, cache=CACHE)
        generator = load_generator(*run.generator, device, inference_dtype(run.compute))
        codes = generator.encode_images(read_images(files["images"]))
        np.save(folder / "codes.npy", codes, allow_pickle=False)
        train_heads(
            settings,
            seed,
            run.compute,
            **files,
            generator_weights=run.generator[0],
            generator_card=run.generator[1],
            weights=folder / "heads.safetensors",
            card=folder / "heads.json",
            metrics=folder / "heads_metrics.json",
            checkpoint=folder / "checkpoint",
        )

    heads: dict[str, Any] = settings.model_dump(mode="json")
    folder = kept("people", __name__, {"run": run.digest, "crowd": repr(crowd), "heads": heads}, make)
    files = _files(folder)
    return People(
        read_schema(files["attributes"]),
        read_table(files["table"]),
        np.load(folder / "codes.npy", allow_pickle=False),
        read_images(files["images"]),
        files["attributes"],
        (folder / "heads.safetensors", folder / "heads.json"),
    )


def _files(folder: Path) -> dict[str, Path]:
    return {
        "images": folder / "images.bcolz",
        "table": folder / "images.parquet",
        "attributes": folder / "attributes.json",
    }


@dataclass(frozen=True)
class Sight:
    """A recognizer that sees one of both attributes.

    Attributes:
        blindness: its mask, and how far attributes move it.
        f: behind the mask.
        embeddings: of everybody, (n, d).
    """

    blindness: Blindness
    f: Blinded
    embeddings: Floats


def sight_of(run: FinishedRun, people: People, seen: str, quick: bool, device: torch.device) -> Sight:
    """A recognizer that has learned from people of the split `recognizer` behind a mask that hides the other
    attribute.

    Raises:
        ValueError: the other attribute moves its embeddings, or no pixel is left to see.
    """
    hidden = OTHER[seen]
    looks = QUICK if quick else FULL
    mask = mask_to_hide(run, people.schema, (hidden,), looks, device)
    taught = (people.images["split"] == "recognizer").to_numpy()
    seeing = trained_on(
        run,
        np.where(mask[None, :, :, None], people.pixels[taught], np.uint8(GREY)),
        people.images["identity"].to_numpy(object)[taught],
        settings=settings_of(quick),
        seed=run.config.seed + OTHER_PEOPLE,
        device=device,
    )
    blindness = blindness_to(run, people.schema, (hidden,), looks, seeing, seen=(seen,))
    if hidden not in blindness.nulls:
        raise ValueError(
            f"mask: found that {hidden} moves embeddings behind it by {blindness.moved[hidden]:.1g}, allowed "
            "is an attribute that it hides; widen the margin"
        )

    f = behind_mask(seeing, mask)

    def make(folder: Path) -> None:
        np.save(folder / "embeddings.npy", f.embed_batches(people.pixels), allow_pickle=False)

    told = {"run": run.digest, "seen": seen, "quick": quick}
    folder = kept("embeddings", __name__, told, make)
    return Sight(blindness, f, np.load(folder / "embeddings.npy", allow_pickle=False))
