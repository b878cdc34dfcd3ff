"""What the authors' `lfw_recon.py` does, on folders: images, features, their directions, random points.

Pictures hold faces, and embeddings say whose, so only their owner may read them; folders of them appear whole
or not at all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attribute_recovery.decoder.authors.listing import image_files
from attribute_recovery.decoder.authors.load import AuthorsModels
from attribute_recovery.embeddings.store import iterate_shards, write_embeddings
from attribute_recovery.generator.point_encoder import INTERPOLATION
from attribute_recovery.generator.quality import to_pixels
from attribute_recovery.generator.train import to_tensor
from attribute_recovery.recognizer.crops import resized
from attribute_recovery.tracking.digest import atomic_output, write_json
from attribute_recovery.tracking.private import private_files
from attribute_recovery.training.device import chunks

Floats = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Directions:
    """Eigenvectors of the covariance of embeddings.

    Attributes:
        mean: of the embeddings, (d,).
        variances: eigenvalues, (k,), the largest first; of n − 1 degrees of freedom.
        vectors: (k, d), of unit length; of each, the component of the largest magnitude is positive.
        share: of the whole variance, that along these directions.
    """

    mean: Floats
    variances: Floats
    vectors: Floats
    share: float


def read_image(path: Path) -> Images:
    """An image upright, in colour: uint8 (h, w, 3).

    Raises:
        ValueError: the file cannot be read as an image.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: cannot be read as an image ({error})") from error


def reconstruct_folder(models: AuthorsModels, images: Path, pictures: Path, *, batch_size: int = 16) -> int:
    """G(T(f(x))) of every image of a folder.

    Args:
        models: of the reference.
        images: folder of aligned crops, read with all below it; another shape than a square is stretched.
        pictures: folder, written: PNG of the generator's size in the same subfolders under the same names.
        batch_size: images at once; results do not depend on it but for rounding.

    Returns:
        How many there are.

    Raises:
        ValueError: there is no image, one cannot be read, two differ in their ending alone, or `pictures` is
            there already and not empty.
    """
    files = image_files(images)
    names = [path.relative_to(images).with_suffix(".png") for path in files]
    for i, name in enumerate(names[1:]):
        if name == names[i]:
            raise ValueError(f"{files[i + 1]}: {files[i].name} beside it would have the same picture {name}")
    with _new_pictures(pictures) as partial, torch.no_grad():
        for part, batch in _batches(models, files, batch_size):
            _save(models.decode(models.embed(batch)), partial, names[part])
    return len(files)


def extract_folder(
    models: AuthorsModels, images: Path, shards: Path, *, count: int = 1, batch_size: int = 64
) -> int:
    """Embeddings of every image of a folder, as `embeddings.store` keeps them.

    Args:
        models: of the reference.
        images: folder of aligned crops, read with all below it.
        shards: folder, written; an image_id is the path below `images`.
        count: number of shards.
        batch_size: images at once.

    Returns:
        How many there are.

    Raises:
        ValueError: there is no image, one cannot be read, or an embedding's length is 0 or not finite.
    """
    files = image_files(images)
    with torch.no_grad():
        found = [models.represent(batch).cpu().numpy() for _, batch in _batches(models, files, batch_size)]
    names = [path.relative_to(images).as_posix() for path in files]
    with private_files(), atomic_output(shards) as partial:
        write_embeddings(partial, names, np.concatenate(found), count=count)
    return len(files)


def principal_directions(embeddings: npt.ArrayLike, count: int) -> Directions:
    """Eigenvectors of the covariance of embeddings, those of the largest variance first.

    Args:
        embeddings: (n, d).
        count: k, at most n − 1 and d: further ones have no variance, and no direction of their own.

    Returns:
        Mean, variances and directions.

    Raises:
        ValueError: the embeddings have another form or are not finite, or `count` is not possible.
    """
    values = np.asarray(embeddings, np.float64)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(f"embeddings: found shape {values.shape}, allowed are finite numbers (n, d)")
    most = min(len(values) - 1, values.shape[1])
    if not 1 <= count <= most:
        raise ValueError(
            f"count: found {count}, allowed is 1 to {most}: {len(values)} embeddings of size "
            f"{values.shape[1]} have no more directions"
        )
    mean = values.mean(0)
    variances, columns = np.linalg.eigh(np.cov(values, rowvar=False).reshape(values.shape[1], -1))
    vectors = columns.T[::-1][:count]
    largest = np.abs(vectors).argmax(1)
    vectors = vectors * np.sign(vectors[np.arange(count), largest])[:, None]
    kept = variances[::-1][:count]
    share = float(kept.sum() / variances.sum()) if variances.sum() > 0 else 0.0
    return Directions(mean.astype(np.float32), kept.astype(np.float32), vectors.astype(np.float32), share)


def decode_directions(
    models: AuthorsModels, shards: Path, pictures: Path, *, count: int = 50, batch_size: int = 16
) -> Directions:
    """Pictures of the eigenvectors of the embeddings' covariance, with and without the mean.

    T knows the sphere only, so eigenvector plus mean is brought back to unit length.

    Args:
        models: of the reference.
        shards: folder of embeddings, as `extract_folder` writes it.
        pictures: folder, written: `without_mean/000.png` … and `with_mean/000.png` …, the largest variance
            first, `mean.png`, and `variances.json`.
        count: number of eigenvectors.
        batch_size: images at once.

    Returns:
        The directions.

    Raises:
        ValueError: the shards are missing or damaged, there are not so many directions, or `pictures` is
            there already and not empty.
    """
    embeddings = np.concatenate([shard.embeddings for shard in iterate_shards(shards)])
    found = principal_directions(embeddings, count)
    names = [Path(f"{i:03d}.png") for i in range(count)]
    with _new_pictures(pictures) as partial, torch.no_grad():
        _decode(models, found.vectors, partial / "without_mean", names, batch_size)
        _decode(models, found.vectors + found.mean, partial / "with_mean", names, batch_size)
        _decode(models, found.mean[None], partial, [Path("mean.png")], 1)
        listed = {"variances": [float(value) for value in found.variances], "images": len(embeddings)}
        write_json(partial / "variances.json", listed)
    return found


def random_points(count: int, size: int, seed: int) -> Floats:
    """Uniform points of the unit sphere, (count, size) float32; the first are the same for any count."""
    points = np.random.default_rng([seed, 31]).standard_normal((count, size))
    unit: Floats = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return unit


def decode_random(
    models: AuthorsModels, pictures: Path, *, count: int, seed: int, batch_size: int = 16
) -> int:
    """Pictures of random points of the sphere of embeddings.

    Args:
        models: of the reference.
        pictures: folder, written: `00000.png` and so on.
        count: number of points, 1 or more.
        seed: of the points.
        batch_size: images at once.

    Returns:
        How many there are.

    Raises:
        ValueError: `count` is below 1, or `pictures` is there already and not empty.
    """
    if count < 1:
        raise ValueError(f"count: found {count}, allowed is 1 or more")
    points = random_points(count, models.transformer.embedding_size, seed)
    names = [Path(f"{i:05d}.png") for i in range(count)]
    with _new_pictures(pictures) as partial, torch.no_grad():
        _decode(models, points, partial, names, batch_size)
    return count


def _batches(models: AuthorsModels, files: list[Path], batch_size: int) -> Iterator[tuple[slice, Tensor]]:
    """Crops (n, 3, crop, crop) in [-1, 1] of files, of which each may have a size of its own."""
    for part in chunks(len(files), batch_size):
        images = (to_tensor(read_image(path)[None]).to(models.device) for path in files[part])
        yield part, torch.cat([resized(image, models.crop_size, INTERPOLATION) for image in images])


def _decode(models: AuthorsModels, points: Floats, folder: Path, names: list[Path], batch_size: int) -> None:
    """Pictures of points (n, d), brought to unit length."""
    for part in chunks(len(points), batch_size):
        embedding = torch.nn.functional.normalize(torch.from_numpy(points[part]))
        _save(models.decode(embedding), folder, names[part])


@contextmanager
def _new_pictures(pictures: Path) -> Iterator[Path]:
    """A folder that appears when all pictures are there; one that holds something is not replaced."""
    if pictures.exists() and not (pictures.is_dir() and next(pictures.iterdir(), None) is None):
        raise ValueError(f"{pictures}: is there already, allowed is a new or empty folder")
    with private_files(), atomic_output(pictures) as partial:
        partial.mkdir()
        yield partial


def _save(images: Tensor, folder: Path, names: list[Path]) -> None:
    """Images (n, 3, h, w) in [-1, 1] as PNG."""
    from PIL import Image

    for pixels, name in zip(to_pixels(images), names, strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
