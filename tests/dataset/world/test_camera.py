"""Crops are aligned: the eyes lie where the template says, whoever looks wherever."""

import numpy as np
import torch
from torch import Tensor

from attribute_recovery.dataset.world.camera import EYE_LEVEL, EYE_SPAN, ray_origins, view_of
from attribute_recovery.dataset.world.schema import SCHEMA
from attribute_recovery.dataset.world.shapes import EYE_DEPTH, eye_offset


def encoded(n: int, **fixed: float) -> Tensor:
    """n heads from all over the ranges, some attributes fixed, (n, width)."""
    rng = np.random.default_rng(4)
    values = {
        a.name: rng.integers(0, a.n_classes, n) if a.is_discrete else rng.uniform(*a.range, n) for a in SCHEMA
    }
    values |= {name: np.full(n, value) for name, value in fixed.items()}
    return torch.from_numpy(SCHEMA.encode(values))


def seen_at(rows: Tensor, side: int) -> Tensor:
    """Where in the crop (0 to 1, from the upper left) the ray through each eye starts, (n, 2 eyes, 2)."""
    view = view_of(rows)
    origin, direction = ray_origins(view, side), view.direction
    offset = eye_offset(rows[:, SCHEMA.slices["eye_distance"]])
    places = []
    for sign in (-1.0, 1.0):
        eye = torch.cat([sign * offset, torch.zeros_like(offset), torch.full_like(offset, EYE_DEPTH)], 1)
        off = origin - eye[:, None]
        off = off - (off * direction[:, None]).sum(-1, keepdim=True) * direction[:, None]
        nearest = off.norm(dim=-1).argmin(1)
        places.append(torch.stack([(nearest % side + 0.5) / side, (nearest // side + 0.5) / side], -1))
    return torch.stack(places, 1)


def test_eyes_lie_on_the_template() -> None:
    found = seen_at(encoded(40, roll=0.0), 256)
    expected = torch.tensor([[0.5 - EYE_SPAN / 2, EYE_LEVEL], [0.5 + EYE_SPAN / 2, EYE_LEVEL]])
    middle = found.mean(1)
    torch.testing.assert_close(middle, expected.mean(0).expand(40, 2), atol=1 / 256, rtol=0)
    span = (found[:, 1] - found[:, 0]).norm(dim=-1)
    torch.testing.assert_close(span, torch.full((40,), EYE_SPAN), atol=2 / 256, rtol=0)


def test_eyes_are_level_where_the_head_is_straight() -> None:
    found = seen_at(encoded(20, roll=0.0, pitch=0.0), 256)
    assert float((found[:, 0, 1] - found[:, 1, 1]).abs().max()) <= 1 / 256


def test_roll_turns_the_line_between_the_eyes() -> None:
    for roll in (-10.0, 10.0):
        found = seen_at(encoded(10, roll=roll, pitch=0.0), 256)
        across, down = (found[:, 1] - found[:, 0]).unbind(-1)
        angle = torch.rad2deg(torch.atan2(down, across))
        torch.testing.assert_close(angle.abs(), torch.full((10,), 10.0), atol=1.5, rtol=0)
        assert bool((angle.sign() == angle[0].sign()).all())


def test_rotations_are_rotations_and_directions_unit_vectors() -> None:
    view = view_of(encoded(30))
    product = view.rotation @ view.rotation.transpose(1, 2)
    torch.testing.assert_close(product, torch.eye(3).expand(30, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(view.rotation), torch.ones(30), atol=1e-5, rtol=0)
    for vector in (view.direction, view.light):
        torch.testing.assert_close(vector.norm(dim=-1), torch.ones(30), atol=1e-5, rtol=0)


def test_the_light_is_given_as_the_camera_sees_it() -> None:
    """It does not turn with the head: in the camera's frame it depends on azimuth and elevation alone."""
    rows = encoded(20, light_azimuth=90.0, light_elevation=30.0)
    view = view_of(rows)
    in_camera = torch.einsum("nij,nj->ni", view.rotation, view.light)
    expected = torch.tensor([3**0.5 / 2, 0.5, 0.0]).expand(20, 3)
    torch.testing.assert_close(in_camera, expected, atol=1e-5, rtol=0)


def test_yaw_is_positive_towards_the_images_right_and_pitch_upwards() -> None:
    for name, axis in (("yaw", 0), ("pitch", 1)):
        rows = encoded(1, **{"yaw": 0.0, "pitch": 0.0, name: 20.0})
        nose = torch.tensor([0.0, 0.0, 1.0])
        moved = view_of(rows).rotation[0] @ nose
        assert float(moved[axis]) > 0.3


def test_rays_of_a_finer_crop_lie_between_those_of_a_coarser() -> None:
    view = view_of(encoded(3))
    fine = ray_origins(view, 8).view(3, 4, 2, 4, 2, 3).mean((2, 4))
    torch.testing.assert_close(fine.flatten(1, 2), ray_origins(view, 4), atol=1e-5, rtol=0)
