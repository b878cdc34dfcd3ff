"""Where the camera stands: crops aligned by the eyes, as every recognizer expects them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from attribute_recovery.dataset.world.schema import columns
from attribute_recovery.dataset.world.shapes import EYE_DEPTH, eye_offset

# Template: how far below the upper edge the eyes lie in a crop of side 1, and how far apart they are.
EYE_LEVEL = 0.44
EYE_SPAN = 0.28
CAMERA_DISTANCE = 3.2


@dataclass(frozen=True)
class View:
    """Camera and light in the frames of n heads.

    Attributes:
        rotation: head frame to camera frame, (n, 3, 3).
        centre: of the crop in the camera plane, (n, 2).
        half: half the side of the crop in units of the head frame, (n, 1).
        roll: of the head in the crop, in radians, (n, 1).
        light: unit vector towards the light in the head frame, (n, 3).
    """

    rotation: Tensor
    centre: Tensor
    half: Tensor
    roll: Tensor
    light: Tensor

    @property
    def direction(self) -> Tensor:
        """Unit vectors along the rays, away from the camera, in the head frame, (n, 3)."""
        return -self.rotation[:, 2]


def view_of(encoded: Tensor) -> View:
    """Camera that looks at the eyes of each head: their middle and their distance are the same in every crop.

    Yaw is positive towards the image's right, pitch upwards, roll is what alignment left over; the light's
    azimuth and elevation are given as seen by the camera. `encoded` is (n, width), angles in degrees.
    """
    a = columns(encoded)
    yaw, pitch = torch.deg2rad(a["yaw"]), torch.deg2rad(a["pitch"])
    one, zero = torch.ones_like(yaw), torch.zeros_like(yaw)
    turn = torch.stack([yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos()], -1)
    nod = torch.stack([one, zero, zero, zero, pitch.cos(), pitch.sin(), zero, -pitch.sin(), pitch.cos()], -1)
    rotation = nod.view(-1, 3, 3) @ turn.view(-1, 3, 3)
    eye_x = eye_offset(a["eye_distance"])
    eyes = torch.stack([torch.cat([sign * eye_x, zero, zero + EYE_DEPTH], 1) for sign in (-1.0, 1.0)], 1)
    seen = torch.einsum("nij,nkj->nki", rotation, eyes)[..., :2]  # (n, 2 eyes, 2)
    side = (seen[:, 1] - seen[:, 0]).norm(dim=-1, keepdim=True) / EYE_SPAN
    azimuth, elevation = torch.deg2rad(a["light_azimuth"]), torch.deg2rad(a["light_elevation"])
    light = torch.cat([azimuth.sin() * elevation.cos(), elevation.sin(), azimuth.cos() * elevation.cos()], 1)
    return View(
        rotation=rotation,
        centre=seen.mean(1),
        half=side / 2,
        roll=torch.deg2rad(a["roll"]),
        light=torch.einsum("nij,ni->nj", rotation, light),  # Rᵀ applied: camera frame to head frame
    )


def ray_origins(view: View, side: int) -> Tensor:
    """Origins (n, side², 3) in the head frame of an orthographic camera's rays, row by row from the upper
    left.
    """
    steps = (torch.arange(side, device=view.half.device, dtype=view.half.dtype) + 0.5) / side
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    right = (2 * u - 1).reshape(1, -1)
    up = (2 * EYE_LEVEL - 2 * v).reshape(1, -1)
    cos, sin = view.roll.cos(), view.roll.sin()
    x = view.centre[:, :1] + view.half * (cos * right + sin * up)
    y = view.centre[:, 1:] + view.half * (cos * up - sin * right)
    points = torch.stack([x, y, torch.full_like(x, CAMERA_DISTANCE)], -1)
    return points @ view.rotation  # rows times R is Rᵀ applied
