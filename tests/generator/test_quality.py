"""Band power against a second computation, blur and identity as they must be, and the rule end to end."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from attribute_recovery.config import Compute, GeneratorNetwork
from attribute_recovery.dataset.store import open_array, read_images
from attribute_recovery.generator.load import load_generator
from attribute_recovery.generator.prepare import generator_card
from attribute_recovery.generator.quality import (
    band_power,
    encode_and_measure,
    laplacian_variance,
    measure_quality,
    reconstruct,
    to_pixels,
)
from attribute_recovery.generator.train import Autoencoder, to_tensor
from attribute_recovery.training.weights import save_weights, write_card

Images = npt.NDArray[np.uint8]
CPU = torch.device("cpu")
COMPUTE = Compute(threads=1, device="cpu", precision="float32")


@pytest.fixture
def noise() -> Tensor:
    """White noise (5, 3, 32, 32)."""
    return torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture
def generator_files(tmp_path: Path, network: GeneratorNetwork, pictures: Images) -> tuple[Path, Path]:
    """Weights and card of a generator as it begins."""
    torch.manual_seed(0)
    autoencoder = Autoencoder(16, network)
    torch.nn.init.normal_(autoencoder.generator.image.weight, std=0.3)
    weights, card = tmp_path / "autoencoder.safetensors", tmp_path / "card.json"
    save_weights(autoencoder, weights)
    write_card(card, generator_card(pictures, [], network, {}, 0, "a test"))
    return weights, card


def wave(across: float, down: float, size: int = 32) -> Tensor:
    """A gray sinusoid of so many cycles an image, (1, 3, size, size)."""
    place = np.arange(size) / size
    phase = 2 * np.pi * (down * place[:, None] + across * place[None])
    return torch.from_numpy(np.sin(phase + 0.3)).float().expand(1, 3, size, size)


def test_bands_obey_parseval(noise: Tensor) -> None:
    """The bands' sum is the variance, less the part at the sampling limit and in the corners beyond it."""
    gray = noise.double().mean(1).numpy()
    centred = gray - gray.mean((1, 2), keepdims=True)
    total = 32 * 32 * (centred**2).sum((1, 2)).mean()
    place = np.arange(32)
    outside = 0.0
    for i in range(-16, 16):
        for j in range(-16, 16):
            if np.hypot(i, j) >= 16:
                basis = np.exp(-2j * np.pi * (i * place[:, None] + j * place[None]) / 32)
                outside += (np.abs((centred * basis).sum((1, 2))) ** 2).mean()
    power = band_power(noise)
    assert power.shape == (4,)
    assert float(power.sum()) == pytest.approx(total - outside, rel=1e-4)
    assert outside > 0.1 * total


@pytest.mark.parametrize(
    ("across", "down", "band"),
    [(1, 0, 0), (0, 2, 1), (3, 0, 1), (3, 3, 2), (7, -7, 3), (15, 0, 3), (0, 8, 3)],
)
def test_a_wave_lies_in_its_octave(across: int, down: int, band: int) -> None:
    """Its power is half its energy: N² Σ x² = N⁴ / 2."""
    power = band_power(0.5 * wave(across, down))
    assert float(power[band]) == pytest.approx(0.25 * 32**4 / 2, rel=1e-4)
    assert float(power.sum() - power[band]) < 1e-3 * float(power[band])


def test_brightness_has_no_power(noise: Tensor) -> None:
    torch.testing.assert_close(band_power(noise / 2 + 0.4), band_power(noise) / 4, rtol=1e-3, atol=0)


def test_sharpness_of_a_wave_in_closed_form() -> None:
    """The discrete Laplacian multiplies a wave of k cycles by 2 cos(2πk/N) − 2."""
    for cycles in (2, 4, 8):
        factor = 2 * np.cos(2 * np.pi * cycles / 32) - 2
        rows = laplacian_variance(wave(cycles, 0))
        inner = (factor * wave(cycles, 0)[0, 0, 1:-1, 1:-1].double()).var()
        assert rows.shape == (1,) and float(rows) == pytest.approx(float(inner), rel=1e-4)
    assert float(laplacian_variance(torch.full((1, 3, 8, 8), 0.7))) == pytest.approx(0, abs=1e-10)


def test_a_blur_is_less_sharp_and_weaker_in_the_fine_bands(noise: Tensor) -> None:
    blurred = functional.avg_pool2d(noise, 3, 1, 1)
    assert bool((laplacian_variance(blurred) < 0.2 * laplacian_variance(noise)).all())
    ratio = measure_quality(to_pixels(noise), to_pixels(blurred))["band_power_ratio"]
    assert ratio == sorted(ratio, reverse=True) and ratio[-1] < 0.2 < 0.7 < ratio[0]


@pytest.mark.parametrize("count", [3, 300])  # one batch, several
def test_identical_images_are_of_equal_quality(count: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    found = measure_quality(images, images)
    assert found["band_power_ratio"] == [1.0, 1.0, 1.0]
    assert found["sharpness_ratio"] == 1.0 and found["l1"] == 0.0


def test_the_error_is_the_mean_over_all_images_whatever_the_batches() -> None:
    rng = np.random.default_rng(0)
    real, decoded = rng.integers(0, 256, (2, 300, 16, 16, 3), dtype=np.uint8)
    expected = np.abs(real.astype(float) - decoded.astype(float)).mean() / 127.5
    assert measure_quality(real, decoded)["l1"] == pytest.approx(expected, rel=1e-5)


def test_pixels_come_back() -> None:
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    assert np.array_equal(to_pixels(to_tensor(images)), images)
    assert to_pixels(torch.tensor([-3.0, 3.0]).view(1, 1, 1, 2).expand(1, 3, 1, 2))[0, 0, :, 0].tolist() == [
        0,
        255,
    ]


def test_reconstruct_decodes_in_batches(generator_files: tuple[Path, Path]) -> None:
    generator = load_generator(*generator_files, CPU, torch.float32)
    codes = np.random.default_rng(0).standard_normal((70, 6)).astype(np.float32)
    found = reconstruct(generator, codes)
    assert found.shape == (70, 16, 16, 3) and found.dtype == np.uint8
    alone = reconstruct(generator, codes[66:67])
    assert np.abs(alone.astype(int) - found[66:67].astype(int)).max() <= 1


def test_every_image_is_encoded_and_the_split_test_measured(
    tmp_path: Path, dataset: Path, generator_files: tuple[Path, Path]
) -> None:
    weights, card = generator_files

    def run(name: str) -> tuple[dict[str, object], Path]:
        folder = tmp_path / name
        folder.mkdir()
        found = encode_and_measure(
            COMPUTE,
            images=dataset / "images.bcolz",
            table=dataset / "images.parquet",
            weights=weights,
            card=card,
            codes=folder / "codes.bcolz",
            metrics=folder / "metrics.json",
            figure=folder / "reconstructions.png",
            figure_decoded=folder / "reconstructions-decoded.png",
        )
        return found, folder

    found, folder = run("once")
    generator = load_generator(weights, card, CPU, torch.float32)
    pixels = read_images(dataset / "images.bcolz")
    codes = open_array(folder / "codes.bcolz")[:]
    assert codes.shape == (64, 6) and codes.dtype == np.float32
    np.testing.assert_allclose(codes, generator.encode_images(pixels), atol=1e-5)
    expected = measure_quality(pixels[48:], reconstruct(generator, codes[48:]))
    assert found == expected | {"n_images": 16, "n_identities": 4, "split": "test"}
    assert json.loads((folder / "metrics.json").read_text()) == found
    _, again = run("again")
    heights = []
    for name in ("reconstructions.png", "reconstructions-decoded.png"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
        heights.append(int.from_bytes((folder / name).read_bytes()[20:24], "big"))
    assert heights[1] < heights[0]  # without the row of real images
    for name in ("metrics.json", "reconstructions.png"):
        digests = {hashlib.sha256((place / name).read_bytes()).hexdigest() for place in (folder, again)}
        assert len(digests) == 1


def test_bfloat16_gives_nearly_the_same_codes(generator_files: tuple[Path, Path], pictures: Images) -> None:
    exact = load_generator(*generator_files, CPU, torch.float32)
    half = replace(exact, dtype=torch.bfloat16)
    found = half.encode_images(pictures)
    assert found.dtype == np.float32
    scale = exact.encode_images(pictures).std()
    assert np.abs(found - exact.encode_images(pictures)).mean() < 0.05 * scale
