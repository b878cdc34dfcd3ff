"""Every image of a data set through the recognizer, into shards."""

from pathlib import Path
from typing import Any

import numpy as np

from attribute_recovery.config import Compute, EmbeddingsSection
from attribute_recovery.dataset.store import read_images, read_table
from attribute_recovery.embeddings.store import iterate_shards, shard_of, write_shard
from attribute_recovery.recognizer.load import load_recognizer
from attribute_recovery.tracking.digest import atomic_output
from attribute_recovery.training.device import prepare_torch


def extract_embeddings(
    settings: EmbeddingsSection,
    compute: Compute,
    *,
    images: Path,
    table: Path,
    weights: Path,
    card: Path,
    shards: Path,
) -> dict[str, Any]:
    """Embed all images and write the shards; the entry of the stage.

    Works shard by shard, so that one shard's images are in memory at a time.

    Args:
        settings: number of shards, images at once.
        compute: threads and device; the precision is the card's.
        images: bcolz array, uint8 (n, side, side, 3), read.
        table: images.parquet, read.
        weights: of the recognizer, read.
        card: of the recognizer, read.
        shards: folder, written; it appears whole.

    Returns:
        Metrics: `images`, `embedding_size`, `shards`, and the lowest, median and highest `norm` before
        normalisation.

    Raises:
        ValueError: weights or card do not fit, or an embedding's length is 0 or not finite.
    """
    device = prepare_torch(compute)
    recognizer = load_recognizer(weights, card, device)
    names = read_table(table)["image_id"].to_numpy(object)
    of_image = shard_of(names, settings.shards)  # type: ignore[arg-type]
    with atomic_output(shards) as partial:
        for number in range(settings.shards):
            rows = np.flatnonzero(of_image == number)
            features = recognizer.represent_batches(read_images(images, rows), settings.batch_size)
            write_shard(partial, number, names[rows], features)
    norms = np.concatenate([shard.norms for shard in iterate_shards(shards)])
    low, middle, high = (float(value) for value in np.quantile(norms, [0, 0.5, 1]))
    return {
        "images": len(names),
        "embedding_size": recognizer.embedding_size,
        "shards": settings.shards,
        "norm": {"lowest": low, "median": middle, "highest": high},
    }
