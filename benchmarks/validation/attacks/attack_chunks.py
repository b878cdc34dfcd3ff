"""Images decoded from the embeddings of the run's split `test`, by the run's own decoder and, in the same
run, by what others decode with; and the critic that judges them beside f.

Each chunk is one way of decoding, or the critic. Chunks do not need each other: those that decode keep their
images, and the critic judges when all are there.
"""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from attribute_recovery.dataset.store import read_array, read_images, read_parquet, rows_of
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.generator.load import load_generator
from attribute_recovery.generator.quality import measure_quality, reconstruct
from attribute_recovery.recognizer.load import load_recognizer
from attribute_recovery.training.device import inference_dtype, prepare_torch
from attribute_recovery.training.loop import LoopSettings
from benchmarks.validation.attacks.baselines import (
    Around,
    Decode,
    Lessons,
    Size,
    decoded_images,
    lessons_of,
    train_mean,
    train_nbnet,
    train_one_point,
)
from benchmarks.validation.attacks.critic import CriticSize, packed_network, repeated, train_critic
from benchmarks.validation.finished_run import FinishedRun, finished_run
from benchmarks.validation.forecasts.new_people import packed
from benchmarks.validation.outcome import Chunk, Found

Images = npt.NDArray[np.uint8]

CRITIC, PRODUCT, REBUILT = "critic", "product", "rebuilt"
BASELINES: dict[str, Callable[[Lessons, Size, Around], Decode]] = {
    "nbnet": train_nbnet,
    "mean": train_mean,
    "one-point": train_one_point,
}
CRITIC_SIZE = CriticSize(people=600, images=10, embedding_size=96, steps=3000, batch_size=32)
QUICK_CRITIC = CriticSize(people=8, images=4, embedding_size=12, steps=20, batch_size=16)
# Channels from 4 × 4 on, the last one again for images that are larger than 64 pixels.
SIZES = {
    "nbnet": Size((192, 128, 96, 48, 32), 1500, 32, 2e-3),
    "mean": Size((160, 112, 72, 40), 1500, 32, 1.2e-3),
    # Equalised layers have weights of variance 1, of which a step is a small part.
    "one-point": Size((), 1500, 16, 1e-2),
}
QUICK = {
    "nbnet": Size((16, 16, 16, 16, 16), 12, 8, 2e-3),
    "mean": Size((16, 16, 16, 16), 12, 8, 1.2e-3),
    "one-point": Size((), 12, 4, 1e-3),
}


@dataclass(frozen=True)
class HeldOut:
    """The run's split `test`.

    Attributes:
        rows: of the images table, as they lie in the images' array.
        listed: these rows of the table.
        images: (n, side, side, 3).
    """

    rows: npt.NDArray[np.int64]
    listed: pd.DataFrame
    images: Images

    @property
    def people(self) -> npt.NDArray[np.object_]:
        """Who is seen, (n,)."""
        return self.listed["identity"].to_numpy(object)


def plan(quick: bool, seed: int) -> dict[str, Chunk]:
    """The chunks by name, the longest first.

    Raises:
        ValueError: The run that the row stands on is not finished.
    """
    run = finished_run()
    return {
        part: {"run": run.digest, "part": part, "quick": quick, "seed": seed}
        for part in (CRITIC, *BASELINES, PRODUCT, REBUILT)
    }


def work(chunk: Chunk) -> Found:
    """The critic's weights; or the images that one way of decoding makes, their embeddings by f, and their
    quality.

    Raises:
        ValueError: The run has changed, a file of it is missing or damaged, or f is no recognizer that a
            baseline can be trained with.
    """
    run = finished_run(chunk["run"])
    device = prepare_torch(run.compute)
    kept: Found = {key: chunk[key] for key in ("run", "part", "seed")}
    if chunk["part"] == CRITIC:
        size = QUICK_CRITIC if chunk["quick"] else CRITIC_SIZE
        network, _ = train_critic(run, size, chunk["seed"])
        return kept | {"people": size.people, "images": size.images, "network": packed_network(network)}
    held = held_out(run)
    decoded, spread = _decoded(run, held, chunk, device)
    recognizer = load_recognizer(*run.f, device)
    return kept | {
        "images": packed_images(decoded),
        "embeddings": packed(recognizer.embed_batches(decoded)),
        "quality": measure_quality(held.images, decoded),
        "spread": spread,
        "spread_real": apart(*two_of_everybody(held)),
    }


def held_out(run: FinishedRun) -> HeldOut:
    """The run's split `test`."""
    table = run.images()
    rows = rows_of(table, "test")
    return HeldOut(rows, table.iloc[rows], read_images(run.folder / "dataset" / "images.bcolz", rows))


def _decoded(
    run: FinishedRun, held: HeldOut, chunk: Chunk, device: torch.device
) -> tuple[Images, float | None]:
    """One image for each of the split, and how far two images of the same embedding lie apart: 0 for what
    has no noise, None where the embedding is not all that was seen."""
    generator = load_generator(*run.generator, device, inference_dtype(run.compute))
    if chunk["part"] == REBUILT:
        codes = read_array(run.folder / "generator" / "codes.bcolz", held.rows)
        return reconstruct(generator, codes), None
    if chunk["part"] == PRODUCT:
        codes = first_samples(run, held, 2)
        first = reconstruct(generator, codes[:, 0])
        # A transformer of one point has one sample.
        spread = apart(first, reconstruct(generator, codes[:, 1])) if codes.shape[1] > 1 else 0.0
        return first, spread
    recognizer = load_recognizer(*run.f, device)
    table = run.images()
    rows = rows_of(table, "train")
    lessons = lessons_of(
        read_images(run.folder / "dataset" / "images.bcolz", rows),
        read_embeddings(run.shards(), table.iloc[rows]),
        read_array(run.folder / "generator" / "codes.bcolz", rows),
        recognizer,
        generator,
    )
    size = size_of(chunk["part"], run.world.image_size, quick=chunk["quick"])
    loop = LoopSettings(
        steps=size.steps,
        learning_rate=size.learning_rate,
        precision=run.compute.precision,
        device=device.type,
        seed=run.config.seed + chunk["seed"],
    )
    decode = BASELINES[chunk["part"]](lessons, size, Around(recognizer, generator, loop))
    return decoded_images(decode, read_embeddings(run.shards(), held.listed), device), 0.0


def size_of(part: str, image_size: int, *, quick: bool) -> Size:
    """Size of a baseline for images of that side; a mean regressor's channels end at half of it."""
    size = (QUICK if quick else SIZES)[part]
    stages = image_size.bit_length() - 3 + (part == "nbnet")
    channels = repeated(size.channels, stages) if size.channels else ()
    return Size(channels, size.steps, size.batch_size, size.learning_rate)


def first_samples(run: FinishedRun, held: HeldOut, count: int) -> npt.NDArray[np.float32]:
    """Codes (n, up to count, code_size) that the run drew first for each image of `test`.

    Raises:
        ValueError: The run has not drawn codes for all of them in order.
    """
    path = run.of_recognizer("decoder/samples.parquet")
    listed = read_parquet(path)
    rows = np.flatnonzero(listed["split"] == "test")
    if listed["image_id"].iloc[rows].tolist() != held.listed["image_id"].tolist():
        raise ValueError(
            f"{path}: found {len(rows)} images of the split test, allowed are all {len(held.rows)} in the "
            "order of the images table"
        )
    codes = read_array(run.of_recognizer("decoder/samples.bcolz"), rows)
    return np.asarray(codes[:, :count], np.float32)


def apart(first: Images, second: Images) -> float:
    """Mean absolute difference of images (n, side, side, 3), in the unit of pixels from −1 to 1."""
    return float(np.abs(first.astype(np.int16) - second).mean() / 127.5)


def two_of_everybody(held: HeldOut) -> tuple[Images, Images]:
    """Pairs of different images of one person: each image and the person's next, the last one left out."""
    people = held.people
    order = np.argsort(people, kind="stable")
    same = people[order[:-1]] == people[order[1:]]
    return held.images[order[:-1][same]], held.images[order[1:][same]]


def packed_images(images: Images) -> dict[str, Any]:
    """Images (n, h, w, 3) as JSON holds them, without loss: differences of neighbours, deflated."""
    differences = np.diff(images, axis=2, prepend=np.zeros_like(images[:, :, :1]))
    data = zlib.compress(np.ascontiguousarray(differences).tobytes(), 6)
    return {"shape": list(images.shape), "deflated": b64encode(data).decode()}


def unpacked_images(told: Mapping[str, Any]) -> Images:
    """The images of `packed_images`."""
    data = np.frombuffer(zlib.decompress(b64decode(told["deflated"])), np.uint8)
    return np.cumsum(data.reshape(told["shape"]), axis=2, dtype=np.uint8)
