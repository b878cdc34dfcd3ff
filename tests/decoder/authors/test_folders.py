"""What the reference does with folders: pictures are the models' own, whole and private, or none is there."""

import json
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from attribute_recovery.decoder.authors.folders import (
    decode_directions,
    decode_random,
    extract_folder,
    principal_directions,
    random_points,
    read_image,
    reconstruct_folder,
)
from attribute_recovery.decoder.authors.listing import image_files
from attribute_recovery.embeddings.store import read_embeddings, write_embeddings
from attribute_recovery.generator.quality import to_pixels

from .conftest import Imported


def picture(seed: int, height: int = 16, width: int = 16) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Five images of three people, of several formats and sizes, and a file that is none."""
    folder = tmp_path / "faces"
    for i, name in enumerate(["ann/1.png", "ann/2.bmp", "bob/1.png", "bob/other/1.PNG", "cleo.webp"]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = picture(i, 16 + 4 * i, 20)
        image.save(path, lossless=True) if path.suffix == ".webp" else image.save(path)
    (folder / "notes.txt").write_text("no image")
    return folder


def tensor(path: Path) -> Tensor:
    pixels = np.asarray(Image.open(path).convert("RGB"), np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1


def modes(folder: Path) -> set[tuple[bool, int]]:
    return {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in [folder, *folder.rglob("*.png")]}


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_a_folder_is_reconstructed_under_its_names(
    imported: Imported, images: Path, tmp_path: Path, batch_size: int
) -> None:
    models, out = imported.loaded, tmp_path / "out"
    assert reconstruct_folder(models, images, out, batch_size=batch_size) == 5
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == {"ann/1.png", "ann/2.png", "bob/1.png", "bob/other/1.png", "cleo.png"}
    for path in image_files(images):
        with torch.no_grad():
            expected = to_pixels(models.decode(models.embed(tensor(path))))[0]
        made = Image.open(out / path.relative_to(images).with_suffix(".png"))
        assert made.size == (8, 8)
        assert int(np.abs(np.asarray(made).astype(int) - expected).max()) <= 1  # a batch rounds otherwise


def test_pictures_are_their_owners_only(imported: Imported, images: Path, tmp_path: Path) -> None:
    reconstruct_folder(imported.loaded, images, tmp_path / "a")
    decode_random(imported.loaded, tmp_path / "b", count=2, seed=0)
    for folder in (tmp_path / "a", tmp_path / "b"):
        assert modes(folder) == {(True, 0o700), (False, 0o600)}


def test_features_of_a_folder_are_kept_as_the_stages_keep_embeddings(
    imported: Imported, images: Path, tmp_path: Path
) -> None:
    models = imported.loaded
    assert extract_folder(models, images, tmp_path / "shards", count=2, batch_size=2) == 5
    names = [path.relative_to(images).as_posix() for path in image_files(images)]
    found = read_embeddings(tmp_path / "shards", pd.DataFrame({"image_id": names}))
    with torch.no_grad():
        expected = torch.cat([models.embed(tensor(path)) for path in image_files(images)])
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


@settings(deadline=None, max_examples=40)
@given(st.integers(3, 30), st.integers(2, 8), st.integers(0, 2**31))
def test_directions_diagonalise_the_covariance(n: int, size: int, seed: int) -> None:
    values = np.random.default_rng(seed).standard_normal((n, size)) * np.arange(1, size + 1)
    count = min(n - 1, size)
    found = principal_directions(values, count)
    covariance = (values - values.mean(0)).T @ (values - values.mean(0)) / (n - 1)
    np.testing.assert_allclose(found.mean, values.mean(0), atol=1e-5)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(count), atol=1e-5)
    spread = found.vectors @ covariance @ found.vectors.T
    np.testing.assert_allclose(spread, np.diag(found.variances), atol=1e-3 * size**2)
    assert bool((np.diff(found.variances) <= 1e-4).all())
    assert found.variances.sum() == pytest.approx(np.trace(covariance), rel=1e-3) or count < size
    assert bool((found.vectors[np.arange(count), np.abs(found.vectors).argmax(1)] > 0).all())


def test_directions_of_a_known_covariance() -> None:
    """Points on two axes: the longer one first, each with its own variance."""
    points = np.array([[3.0, 0, 1], [-3.0, 0, 1], [0, 1.0, 1], [0, -1.0, 1]])
    found = principal_directions(points, 2)
    np.testing.assert_allclose(found.vectors, [[1, 0, 0], [0, 1, 0]], atol=1e-6)
    np.testing.assert_allclose(found.variances, [18 / 3, 2 / 3], rtol=1e-6)
    np.testing.assert_allclose(found.mean, [0, 0, 1])


def test_directions_that_are_not_there_are_not_given() -> None:
    with pytest.raises(
        ValueError, match="count: found 3, allowed is 1 to 2: 3 embeddings of size 5 have no more"
    ):
        principal_directions(np.eye(3, 5), 3)
    with pytest.raises(ValueError, match="count: found 0, allowed is 1 to 2"):
        principal_directions(np.eye(3, 5), 0)
    with pytest.raises(ValueError, match=r"embeddings: found shape \(3,\), allowed are finite numbers"):
        principal_directions(np.ones(3), 1)
    with pytest.raises(ValueError, match="allowed are finite numbers"):
        principal_directions(np.full((4, 3), np.nan), 1)


def test_directions_are_decoded_with_and_without_the_mean(imported: Imported, tmp_path: Path) -> None:
    features = np.random.default_rng(1).standard_normal((7, 10)) + 0.5
    write_embeddings(tmp_path / "shards", [f"{i}.png" for i in range(7)], features, count=2)
    models, out = imported.loaded, tmp_path / "out"
    found = decode_directions(models, tmp_path / "shards", out, count=3, batch_size=2)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(found.mean, unit.mean(0), atol=1e-6)
    points = {"mean": found.mean[None]}
    for i in range(3):
        points[f"without_mean/{i:03d}"] = found.vectors[i : i + 1]
        points[f"with_mean/{i:03d}"] = found.vectors[i : i + 1] + found.mean
    assert {p.relative_to(out).as_posix() for p in out.rglob("*.png")} == {f"{name}.png" for name in points}
    for name, point in points.items():
        on_sphere = torch.nn.functional.normalize(torch.from_numpy(point))
        with torch.no_grad():
            expected = to_pixels(models.decode(on_sphere))[0].astype(int)
        assert int(np.abs(np.asarray(Image.open(out / f"{name}.png")).astype(int) - expected).max()) <= 1
    listed = json.loads((out / "variances.json").read_text())
    assert listed["variances"] == pytest.approx(found.variances.tolist()) and listed["images"] == 7
    with pytest.raises(ValueError, match="count: found 50, allowed is 1 to 6"):
        decode_directions(models, tmp_path / "shards", tmp_path / "more")
    assert not (tmp_path / "more").exists()


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 2**31))
def test_random_points_are_on_the_sphere_and_the_seeds(count: int, size: int, seed: int) -> None:
    points = random_points(count, size, seed)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, atol=1e-5)
    assert np.array_equal(points, random_points(count + 3, size, seed)[:count])
    assert size == 1 or not np.array_equal(points, random_points(count, size, seed + 1))


def test_random_points_have_no_direction_of_their_own() -> None:
    points = random_points(20_000, 3, 7)
    np.testing.assert_allclose(points.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(points.T @ points / len(points), np.eye(3) / 3, atol=0.02)


def test_random_points_are_decoded(imported: Imported, tmp_path: Path) -> None:
    models = imported.loaded
    assert decode_random(models, tmp_path / "a", count=5, seed=3, batch_size=2) == 5
    decode_random(models, tmp_path / "b", count=5, seed=3, batch_size=5)
    with torch.no_grad():
        expected = to_pixels(models.decode(torch.from_numpy(random_points(5, 10, 3)))).astype(int)
    for i in range(5):
        for folder in ("a", "b"):
            made = np.asarray(Image.open(tmp_path / folder / f"{i:05d}.png")).astype(int)
            assert int(np.abs(made - expected[i]).max()) <= 1
    with pytest.raises(ValueError, match="count: found 0, allowed is 1 or more"):
        decode_random(models, tmp_path / "c", count=0, seed=3)


def test_images_are_read_upright_and_in_colour(tmp_path: Path) -> None:
    image = picture(3, 4, 6)
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter, as cameras note it
    image.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.rot90(np.asarray(image), -1))
    gray = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    gray.save(tmp_path / "b.pgm")
    assert np.array_equal(read_image(tmp_path / "b.pgm"), np.asarray(gray)[:, :, None].repeat(3, 2))


def test_a_file_that_is_no_image_is_named_and_nothing_is_written(
    imported: Imported, images: Path, tmp_path: Path
) -> None:
    (images / "bob" / "2.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match="2.jpg: cannot be read as an image"):
        reconstruct_folder(imported.loaded, images, tmp_path / "out", batch_size=1)
    with pytest.raises(ValueError, match="2.jpg: cannot be read as an image"):
        extract_folder(imported.loaded, images, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


def test_folders_that_do_not_fit_get_their_sentence(imported: Imported, images: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere: is missing, expected a folder of images"):
        image_files(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: found no image, allowed endings are .bmp, .jpeg, .jpg"):
        image_files(tmp_path / "empty")
    picture(9).save(images / "ann" / "2.png")
    with pytest.raises(ValueError, match="2.png: 2.bmp beside it would have the same picture ann/2.png"):
        reconstruct_folder(imported.loaded, images, tmp_path / "out")
    with pytest.raises(ValueError, match="faces: is there already, allowed is a new or empty folder"):
        decode_random(imported.loaded, images, count=1, seed=0)
    assert (images / "cleo.webp").exists()
    decode_random(imported.loaded, tmp_path / "empty", count=1, seed=0)
    assert (tmp_path / "empty" / "00000.png").exists()
