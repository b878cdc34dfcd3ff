"""Recognizers that the validation trains itself, with a fault planted in what they are taught: the product's
own training on images of the finished run's people, smaller than the default so that dozens of them fit a
budget.

They learn from the run's split `recognizer` alone, so that everybody else of the run is held out from them.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from attribute_recovery.config_recognizers import FmrThreshold, RecognizerTraining, TrainedRecognizer
from attribute_recovery.dataset.prepare import renderer_of
from attribute_recovery.dataset.store import read_images, rows_of, write_array
from attribute_recovery.embeddings.pairs import genuine_pairs, impostor_pairs
from attribute_recovery.embeddings.rates import SplitPairs, threshold_of
from attribute_recovery.recognizer.card import read_recognizer_card
from attribute_recovery.recognizer.load import Recognizer, network_of
from attribute_recovery.recognizer.train import train_recognizer
from attribute_recovery.training.weights import load_into, save_weights
from benchmarks.validation.finished_run import CACHE, FinishedRun
from benchmarks.validation.kept import kept

Floats = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]
Names = npt.NDArray[np.object_]
Labels = npt.NDArray[np.int64]

HERE = "benchmarks.validation.faults.trained"
# As the default experiment has it.
FMR = 1e-3
SETTINGS = TrainedRecognizer(
    source="train",
    embedding_size=64,
    channels=(8, 16, 32, 48),
    training=RecognizerTraining(steps=1000, batch_size=32, learning_rate=3e-3, margin=0.1, scale=16.0),
    threshold=FmrThreshold(fmr=FMR),
)
QUICK_STEPS = 20
RENDERED_AT_ONCE = 1024
# Added to the run's seed with the validation's: nothing is drawn as the run drew it.
OTHER_SEEDS = 3_000_000


@dataclass(frozen=True)
class Taught:
    """What recognizers are taught with: n images of the run's split `recognizer`.

    Attributes:
        images: (n, side, side, 3).
        people: who is seen, (n,).
        encoded: true attributes, (n, width).
    """

    images: Images
    people: Names
    encoded: Floats


@dataclass(frozen=True)
class Rates:
    """How well a recognizer tells people apart.

    Attributes:
        tau: fixed on the run's split `calibration` at a false match rate of `FMR`.
        tar, fmr: at τ, of the pairs of images of the split `test`.
    """

    tau: float
    tar: float
    fmr: float


def taught_with(run: FinishedRun) -> Taught:
    """The images of the split `recognizer`."""
    table, schema = run.images(), run.schema
    rows = rows_of(table, "recognizer")
    chosen = table.iloc[rows]
    return Taught(
        images_of(run, rows), chosen["identity"].to_numpy(object), schema.encode(schema.from_table(chosen))
    )


def images_of(run: FinishedRun, rows: npt.NDArray[np.int64]) -> Images:
    """Stored images (n, side, side, 3) of rows (n,) of the images table."""
    return read_images(run.folder / "dataset" / "images.bcolz", rows)


def toggled(run: FinishedRun, taught: Taught, name: str) -> Images:
    """The same images (n, side, side, 3), rendered with a binary attribute toggled in each."""
    place = run.schema.slices[name]
    encoded = taught.encoded.copy()
    encoded[:, place] = 1 - encoded[:, place]

    starts = range(0, len(encoded), RENDERED_AT_ONCE)

    def make(folder: Path) -> None:
        renderer = renderer_of(run.world, len(encoded), CACHE)
        for start in starts:
            part, path = encoded[start : start + RENDERED_AT_ONCE], folder / _part(start)
            if not path.is_dir():  # an interrupted rendering goes on
                write_array(path, renderer.uint8(part), taught.images.shape[1:], np.uint8, len(part))

    folder = kept(f"toggled-{name}", HERE, {"run": run.digest, "asked": digest_of(encoded)}, make)
    return np.concatenate([read_images(folder / _part(start)) for start in starts])


def _part(start: int) -> str:
    return f"images-{start:05d}.bcolz"


def settings_of(quick: bool) -> TrainedRecognizer:
    """How recognizers are trained; a quick one is not one that works."""
    if not quick:
        return SETTINGS
    return SETTINGS.model_copy(
        update={"training": SETTINGS.training.model_copy(update={"steps": QUICK_STEPS})}
    )


def seed_of(run: FinishedRun, seed: int, number: int) -> int:
    """Seed of one of a row's recognizers, of the run's and the validation's."""
    return run.config.seed + OTHER_SEEDS + 1000 * seed + number


def trained_on(
    run: FinishedRun,
    images: Images,
    people: Names,
    *,
    settings: TrainedRecognizer,
    seed: int,
    device: torch.device,
) -> Recognizer:
    """A recognizer trained by the product on images (n, side, side, 3) of people (n,), once for all who ask.

    It is read back from its weights, so that whoever asks again gets the same to the bit.
    """
    names, labels = np.unique(people.astype(str), return_inverse=True)
    card = replace(
        read_recognizer_card(run.f[1]),
        name=f"residual network of the validation, {len(names)} people",
        architecture="residual",
        channels=settings.channels,
        crop_size=images.shape[1],
        embedding_size=settings.embedding_size,
    )

    def make(folder: Path) -> None:
        checkpoint = folder / "checkpoint.safetensors"
        network, _ = train_recognizer(
            images, labels.astype(np.int64), settings, seed, run.compute, checkpoint=checkpoint
        )
        save_weights(network, folder / "weights.safetensors")
        checkpoint.unlink(missing_ok=True)

    depends = {
        "images": digest_of(images),
        "people": digest_of(labels.astype(np.int64)),
        "settings": settings.model_dump(mode="json"),
        "compute": run.compute.model_dump(mode="json"),
        "seed": seed,
    }
    folder = kept("recognizer", HERE, depends, make)
    network = network_of(card)
    load_into(network, folder / "weights.safetensors")
    return Recognizer(network, card, device)


def digest_of(array: npt.NDArray[np.generic]) -> str:
    """SHA-256 of an array's shape, kind and values."""
    told = f"{array.shape} {array.dtype}".encode()
    return hashlib.sha256(told + np.ascontiguousarray(array).tobytes()).hexdigest()


def held_out_pairs(run: FinishedRun, table: pd.DataFrame, split: str, recognizer: Recognizer) -> SplitPairs:
    """All pairs of the images of one split, embedded by a recognizer."""
    rows = rows_of(table, split)
    embeddings = recognizer.embed_batches(images_of(run, rows))
    people = table["identity"].iloc[rows].to_numpy(str)
    seed = run.config.seed
    genuine = genuine_pairs(embeddings, people, seed=seed)
    return SplitPairs(embeddings, people, genuine, impostor_pairs(embeddings, people, seed=seed))


def rates_of(run: FinishedRun, recognizer: Recognizer) -> Rates:
    """τ, and the rates at it on people that neither τ nor the recognizer has seen."""
    table = run.images()
    tau = threshold_of(held_out_pairs(run, table, "calibration", recognizer), FMR).value
    test = held_out_pairs(run, table, "test", recognizer)
    return Rates(tau, float(np.mean(test.genuine.scores >= tau)), float(np.mean(test.impostor.scores >= tau)))
