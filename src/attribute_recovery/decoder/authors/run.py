"""The authors' models run on a folder as the configuration asks for it: the entry of the rule."""

from pathlib import Path
from typing import Any

from attribute_recovery.config import Compute
from attribute_recovery.config_authors import FolderSection
from attribute_recovery.decoder.authors.folders import (
    decode_directions,
    decode_random,
    extract_folder,
    reconstruct_folder,
)
from attribute_recovery.decoder.authors.load import load_authors
from attribute_recovery.tracking.digest import write_json
from attribute_recovery.tracking.private import private_files
from attribute_recovery.training.device import prepare_torch


def run_on_folder(
    settings: FolderSection,
    models: Path,
    seed: int,
    compute: Compute,
    *,
    reconstructed: Path,
    features: Path,
    directions: Path,
    points: Path,
    metrics: Path,
) -> dict[str, Any]:
    """Reconstruct and embed a folder, decode its embeddings' directions, and random points of the sphere.

    Args:
        settings: the folder, how many directions and points, images at once.
        models: folder that `convert.import_authors` wrote.
        seed: of the points.
        compute: threads and device; all runs in float32.
        reconstructed: folder of PNG, written, see `folders.reconstruct_folder`.
        features: embeddings, written as `embeddings.store` keeps them.
        directions: folder of PNG, written, see `folders.decode_directions`; empty where none are asked for.
        points: folder of PNG, written; empty where none are asked for.
        metrics: JSON of what is returned, written.

    Returns:
        `images`, `directions` and `points`, how many there are, and `direction_variance`, the share of the
        embeddings' variance along the directions; None without any.

    Raises:
        ValueError: a model or an image cannot be read, or the folder has too few images for the directions.
    """
    loaded, size = load_authors(models, prepare_torch(compute)), settings.batch_size
    print(f"authors: reconstructing {settings.images}", flush=True)
    count = reconstruct_folder(loaded, settings.images, reconstructed, batch_size=size)
    extract_folder(loaded, settings.images, features, batch_size=size)
    share = None
    for folder, asked in ((directions, settings.directions), (points, settings.points)):
        if not asked:
            _empty(folder)
    if settings.directions:
        found = decode_directions(loaded, features, directions, count=settings.directions, batch_size=size)
        share = found.share
    if settings.points:
        decode_random(loaded, points, count=settings.points, seed=seed, batch_size=size)
    values = {
        "images": count,
        "directions": settings.directions,
        "points": settings.points,
        "direction_variance": share,
    }
    write_json(metrics, values)
    return values


def _empty(folder: Path) -> None:
    with private_files():
        folder.mkdir(parents=True, exist_ok=True)
