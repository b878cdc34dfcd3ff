"""Distances: right where they are known, symmetric, and never so large that a ray steps through a surface."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from attribute_recovery.dataset.world import shapes
from attribute_recovery.dataset.world.schema import SCHEMA


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small tensors, and other work on the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def encoded(n: int, seed: int = 0) -> Tensor:
    """n heads from all over the ranges, (n, width)."""
    rng = np.random.default_rng(seed)
    values = {
        a.name: rng.integers(0, a.n_classes, n) if a.is_discrete else rng.uniform(*a.range, n) for a in SCHEMA
    }
    return torch.from_numpy(SCHEMA.encode(values))


def points(n: int, m: int, reach: float = 2.5) -> tuple[Tensor, Tensor, Tensor]:
    """m random points around each of n heads."""
    x, y, z = (torch.rand(3, n, m, generator=torch.Generator().manual_seed(1)) * 2 - 1) * reach
    return x, y, z


def test_an_ellipsoid_with_equal_radii_is_a_sphere() -> None:
    x, y, z = points(1, 500)
    found = shapes.ellipsoid(x, y, z, 0.7, 0.7, 0.7)
    torch.testing.assert_close(found, torch.sqrt(x**2 + y**2 + z**2) - 0.7, atol=1e-4, rtol=1e-3)


def test_an_ellipsoid_is_zero_on_its_surface() -> None:
    angle = torch.linspace(0, 6.28, 50)
    x, y, z = 0.3 * angle.cos(), 1.2 * angle.sin(), torch.zeros(50)
    assert float(shapes.ellipsoid(x, y, z, 0.3, 1.2, 0.5).abs().max()) < 1e-5


def test_a_segment_is_as_far_as_its_nearest_point() -> None:
    x, y, z = points(1, 200)
    end = (0.4, -1.0, 0.3)
    found, along = shapes.segment(x, y, z, *end)
    steps = torch.linspace(0, 1, 4001).view(-1, 1)
    brute = torch.sqrt((x - steps * end[0]) ** 2 + (y - steps * end[1]) ** 2 + (z - steps * end[2]) ** 2)
    torch.testing.assert_close(found[0], brute.min(0).values, atol=1e-3, rtol=0)
    torch.testing.assert_close(along[0], steps[brute.argmin(0), 0], atol=2e-3, rtol=0)


def test_the_smooth_union_rounds_the_seam_only() -> None:
    a, b = torch.linspace(-1, 1, 201), torch.zeros(201)
    found, sharp = shapes.smooth_minimum(a, b, 0.4), torch.minimum(a, b)
    assert bool((found <= sharp + 1e-7).all())
    assert float((sharp - found).max()) == pytest.approx(0.1)  # k/4, where both are equal
    outside = (a - b).abs() >= 0.4
    torch.testing.assert_close(found[outside], sharp[outside])
    torch.testing.assert_close(shapes.smooth_maximum(-a, -b, 0.4), -found)


def test_heads_are_mirror_images_of_themselves() -> None:
    head = shapes.head_of(encoded(8))
    x, y, z = points(8, 300)
    found = shapes.parts(head, x, y, z)
    mirrored = shapes.parts(head, -x, y, z)
    for name in ("skin", "eye", "hair", "glasses", "cloth"):
        torch.testing.assert_close(getattr(found, name), getattr(mirrored, name))
    assert float((found.beard - mirrored.beard).abs().max()) < 0.03  # its bumps are not mirrored


def test_inside_is_negative_and_far_away_is_far() -> None:
    head = shapes.head_of(encoded(16))
    zero = torch.zeros(16, 1)
    assert bool((shapes.distance(head, zero, zero, zero - 0.2) < -0.3).all())
    far = shapes.distance(head, zero, zero + 5.0, zero)
    assert bool((far > 1.5).all())
    assert bool((far < 5.0).all())


def test_no_step_is_longer_than_the_way_to_the_surface() -> None:
    """A ray from the front that goes by 0.9 of the distance arrives at the surface, never behind it."""
    head = shapes.head_of(encoded(8, seed=3))
    x, y, _ = points(8, 300, reach=0.9)
    fine = torch.linspace(1.9, -1.0, 400).view(1, 1, -1).expand(8, 300, -1).flatten(1)
    wide = [value.repeat_interleave(400, 1) for value in (x, y)]
    inside = (shapes.distance(head, *wide, fine) < 0).view(8, 300, 400)
    first = torch.where(inside.any(2), inside.float().argmax(2), 400)
    z = torch.full_like(x, 1.9)
    for _ in range(60):
        z = z - 0.9 * shapes.distance(head, x, y, z)
    expected = 1.9 - first * (2.9 / 399)
    hit = first < 400
    missed = (expected - z)[hit] > 0.05
    assert int(hit.sum()) > 2000
    assert float(missed.float().mean()) < 0.002


@pytest.mark.parametrize(
    ("name", "field", "low", "high"),
    [
        ("glasses", "glasses", 0, 1),
        ("beard", "beard", 0, 1),
    ],
)
def test_what_is_off_lies_under_the_skin(name: str, field: str, low: int, high: int) -> None:
    """Nowhere on the head's surface is it the nearest part."""
    rows = encoded(1).repeat(2, 1)
    rows[:, SCHEMA.slices[name]] = torch.tensor([[float(low)], [float(high)]])
    x, y, z = (value.expand(2, -1) for value in points(1, 20_000, reach=1.4))
    found = shapes.parts(shapes.head_of(rows), x, y, z)
    near = found.nearest().abs() < 0.05
    nearest = (getattr(found, field) == found.nearest()) & near
    assert int(nearest[0].sum()) == 0
    assert int(nearest[1].sum()) > 50


def test_the_mouth_bends_up_with_a_smile() -> None:
    rows = encoded(1).repeat(2, 1)
    rows[:, SCHEMA.slices["smile"]] = torch.tensor([[0.0], [1.0]])
    head = shapes.head_of(rows)
    x = torch.tensor([[0.0, 0.3]]).expand(2, -1)
    line = shapes.mouth_line(head, x)
    assert float(line[0, 1] - line[0, 0]) < 0 < float(line[1, 1] - line[1, 0])


def test_the_norm_can_be_differentiated_at_the_origin() -> None:
    x = torch.zeros(1, requires_grad=True)
    shapes.length(x, x * 0, x * 0).backward()
    assert x.grad is not None
    assert math.isfinite(float(x.grad))
