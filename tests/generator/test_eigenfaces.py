"""The linear generator against the singular value decomposition, and through the stage."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from attribute_recovery.config import Compute
from attribute_recovery.config_generator import EigenfacesGenerator
from attribute_recovery.generator.eigenfaces import Eigenfaces, fit_eigenfaces
from attribute_recovery.generator.load import load_generator
from attribute_recovery.generator.prepare import prepare_generator
from attribute_recovery.generator.train import to_tensor

Images = npt.NDArray[np.uint8]


def low_rank(n: int = 40, size: int = 8, rank: int = 5) -> Images:
    """Images (n, size, size, 3) that differ along `rank` directions, but for rounding."""
    rng = np.random.default_rng(2)
    along = rng.standard_normal((n, rank)) * np.linspace(40, 15, rank)
    directions = np.linalg.qr(rng.standard_normal((3 * size * size, rank)))[0].T
    return np.rint(128 + 3 * along @ directions).clip(0, 255).astype(np.uint8).reshape(n, size, size, 3)


def test_components_are_those_of_the_singular_value_decomposition() -> None:
    images = low_rank()
    found = fit_eigenfaces(images, 5, copies=1, augmentation=0.0, seed=1).generator
    flat = to_tensor(images).contiguous(memory_format=torch.contiguous_format).flatten(1).double()
    centred = flat - flat.mean(0)
    _, singular, right = torch.linalg.svd(centred, full_matrices=False)
    assert torch.allclose(found.deviations.double(), singular[:5] / 40**0.5, rtol=1e-4)
    cosines = (found.components.double() * right[:5]).sum(1).abs()
    assert torch.allclose(cosines, torch.ones(5, dtype=torch.float64), atol=1e-4)
    assert (found.components.gather(1, found.components.abs().argmax(1, keepdim=True)) > 0).all()


def test_codes_have_unit_variance_and_images_of_the_space_come_back() -> None:
    images = low_rank()
    networks = fit_eigenfaces(images, 5, copies=1, augmentation=0.0, seed=1)
    pixels = to_tensor(images)
    codes = networks.encoder(pixels)
    assert codes.shape == (40, 5)
    assert torch.allclose(codes.mean(0), torch.zeros(5), atol=1e-4)
    assert torch.allclose(codes.var(0, correction=0), torch.ones(5), rtol=1e-3)
    # What is left is the rounding of pixels, 1/127.5 at most half a step each.
    assert float((networks.generator(codes) - pixels).abs().max()) < 0.01
    assert torch.allclose(networks.encoder(networks.generator(codes)), codes, atol=1e-4)


def test_changed_copies_carry_people_that_were_not_there() -> None:
    """Smooth pictures that moved: components of copies that move, too, explain them better."""
    base = np.random.default_rng(3).integers(0, 256, (12, 4, 4, 3), dtype=np.uint8).repeat(4, 1).repeat(4, 2)
    moved = np.roll(base, 1, axis=2)

    def left(augmentation: float) -> float:
        networks = fit_eigenfaces(base, 11, copies=20, augmentation=augmentation, seed=1)
        pixels = to_tensor(moved)
        return float((networks.generator(networks.encoder(pixels)) - pixels).square().mean())

    many = fit_eigenfaces(base, 60, copies=20, augmentation=0.5, seed=1)
    pixels = to_tensor(moved)
    assert float((many.generator(many.encoder(pixels)) - pixels).square().mean()) < 0.5 * left(0.0)


def test_the_same_seed_gives_the_same_components() -> None:
    first, second, other = (fit_eigenfaces(low_rank(), 4, 3, 0.5, seed) for seed in (1, 1, 2))
    assert torch.equal(first.generator.components, second.generator.components)
    assert not torch.equal(first.generator.components, other.generator.components)


def test_gradients_reach_codes_and_images() -> None:
    networks = fit_eigenfaces(low_rank(), 5, copies=1, augmentation=0.0, seed=1)
    image = to_tensor(low_rank()[:2]).requires_grad_()
    networks.generator(networks.encoder(image)).sum().backward()
    assert image.grad is not None and float(image.grad.abs().sum()) > 0


def test_too_many_components_are_refused() -> None:
    with pytest.raises(
        ValueError, match="found 40 components for 40 images with 1 copies each, allowed are f"
    ):
        fit_eigenfaces(low_rank(), 40, copies=1, augmentation=0.0, seed=1)


def test_the_stage_writes_them_and_they_are_read_back(dataset: Path, tmp_path: Path) -> None:
    settings = EigenfacesGenerator(source="eigenfaces", code_size=6, copies=2, augmentation=0.3)
    weights, card = tmp_path / "autoencoder.safetensors", tmp_path / "card.json"
    prepare_generator(
        settings,
        3,
        Compute(threads=1, device="cpu", precision="auto"),
        images=dataset / "images.bcolz",
        table=dataset / "images.parquet",
        attributes=dataset / "attributes.json",
        weights=weights,
        card=card,
        checkpoint=tmp_path / "checkpoint.safetensors",
    )
    found = load_generator(weights, card, torch.device("cpu"), torch.bfloat16)
    assert isinstance(found.networks, Eigenfaces)
    assert found.code_size == 6
    assert found.dtype == torch.float32
    codes = torch.randn(3, 6)
    image = found.decode(codes)
    assert image.shape == (3, 3, found.image_size, found.image_size)
    assert image.abs().max() <= 1
    inside = 0.1 * codes
    assert torch.allclose(found.encode(found.decode(inside)), inside, atol=0.05)
