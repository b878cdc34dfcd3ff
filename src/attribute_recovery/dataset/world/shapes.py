"""The head as signed distance functions.

Coordinates of the head frame: x to the image's right, y up, z towards the camera, the eyes at y = 0. One unit
is about half the breadth of a head (7.8 cm). Distances follow I. Quilez' articles on distance functions
(ellipsoid, capsule, torus, polynomial smooth minimum). All functions are elementwise in the points and
broadcast a head's parameters, (n, 1), over its points, (n, m).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from attribute_recovery.dataset.world.schema import columns

EYE_DEPTH = 0.86
EYE_RADIUS = 0.235


@dataclass(frozen=True)
class Head:
    """Geometry of n heads, each field (n, 1) float32, in units of the head frame."""

    jaw: Tensor
    stretch: Tensor
    eye_x: Tensor
    nose_tip: Tensor
    nose_half_width: Tensor
    brow_y: Tensor
    brow_half: Tensor
    mouth_y: Tensor
    mouth_half: Tensor
    mouth_bend: Tensor
    mouth_gap: Tensor
    lip: Tensor
    smile: Tensor
    long_hair: Tensor
    curly_hair: Tensor
    glasses: Tensor
    beard: Tensor


@dataclass(frozen=True)
class Parts:
    """Signed distances to each material, (n, m) each; negative inside."""

    skin: Tensor
    eye: Tensor
    hair: Tensor
    beard: Tensor
    glasses: Tensor
    cloth: Tensor

    def nearest(self) -> Tensor:
        """Distance to the head: the smallest of all, (n, m)."""
        first = torch.minimum(torch.minimum(self.skin, self.eye), torch.minimum(self.hair, self.beard))
        return torch.minimum(first, torch.minimum(self.glasses, self.cloth))


def eye_offset(eye_distance: Tensor) -> Tensor:
    """Distance of each eye from the middle of the face, in units of the head frame."""
    return 0.40 + 0.05 * eye_distance


def head_of(encoded: Tensor) -> Head:
    """Geometry of the heads with the encoded attributes (n, width)."""
    a = columns(encoded)
    stretch = 1.0 + 0.14 * a["face_length"]
    smile = a["smile"]
    return Head(
        jaw=a["jaw_width"],
        stretch=stretch,
        eye_x=eye_offset(a["eye_distance"]),
        nose_tip=-0.49 - 0.15 * a["nose_length"],
        nose_half_width=0.16 + 0.09 * a["nose_width"],
        brow_y=0.33 + 0.10 * a["brow_height"],
        brow_half=0.065 + 0.045 * a["brow_thickness"],
        mouth_y=-0.95 * stretch - 0.06 * smile,
        mouth_half=0.27 + 0.15 * smile,
        mouth_bend=-0.50 + 1.9 * smile,
        mouth_gap=0.002 + 0.17 * a["mouth_opening"],
        lip=0.085 + 0.058 * a["lip_thickness"],
        smile=smile,
        long_hair=a["hair_style"][:, 1:2],
        curly_hair=a["hair_style"][:, 2:3],
        glasses=a["glasses"],
        beard=a["beard"],
    )


def smooth_minimum(a: Tensor, b: Tensor, k: float) -> Tensor:
    """Union that rounds the seam over a width k: min(a, b) − h²/(4k), h = max(k − |a − b|, 0)."""
    h = torch.clamp(k - (a - b).abs(), min=0.0)
    return torch.minimum(a, b) - h * h * (0.25 / k)


def smooth_maximum(a: Tensor, b: Tensor, k: float) -> Tensor:
    """Intersection that rounds the seam over a width k."""
    return -smooth_minimum(-a, -b, k)


def length(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Euclidean norm, safe to differentiate at the origin."""
    return torch.sqrt(x * x + y * y + z * z + 1e-12)


def ellipsoid(
    x: Tensor, y: Tensor, z: Tensor, rx: Tensor | float, ry: Tensor | float, rz: Tensor | float
) -> Tensor:
    """Bound of the distance to an axis-aligned ellipsoid at the origin: k₀(k₀ − 1)/k₁."""
    x, y, z = x / rx, y / ry, z / rz
    inner = length(x, y, z)
    gradient = length(x / rx, y / ry, z / rz)
    return inner * (inner - 1.0) / (gradient + 1e-6)


def segment(
    x: Tensor, y: Tensor, z: Tensor, dx: Tensor | float, dy: Tensor | float, dz: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Distance to the segment from the origin to (dx, dy, dz), and where along it, 0 to 1."""
    norm = dx * dx + dy * dy + dz * dz
    along = torch.clamp((x * dx + y * dy + z * dz) / norm, 0.0, 1.0)
    return length(x - along * dx, y - along * dy, z - along * dz), along


def mouth_line(head: Head, x: Tensor) -> Tensor:
    """Height of the line between the lips at x: a parabola that a smile bends up, (n, m)."""
    return head.mouth_y + head.mouth_bend * x * x


def _face(head: Head, x: Tensor, ax: Tensor, y: Tensor, z: Tensor) -> Tensor:
    low = y / head.stretch
    skull = ellipsoid(ax, y - 0.38, z + 0.25, 0.98, 1.12, 1.18)
    cheeks = ellipsoid(ax, low + 0.42, z - 0.02, 0.74 + 0.14 * head.jaw, 0.92, 0.88)
    face = smooth_minimum(skull, cheeks, 0.25)
    corner = ellipsoid(ax - 0.36 - 0.18 * head.jaw, low + 0.80, z - 0.02, 0.30, 0.36, 0.46)
    face = smooth_minimum(face, corner, 0.30)
    drop = 0.10 * head.mouth_gap / 0.16
    chin = ellipsoid(ax, low + 1.20 + drop, z - 0.52, 0.30 + 0.12 * head.jaw, 0.24, 0.30)
    face = smooth_minimum(face, chin, 0.28)
    apple = ellipsoid(
        ax - 0.44, low + 0.40 - 0.05 * head.smile, z - 0.62, 0.26, 0.24, 0.22 + 0.05 * head.smile
    )
    face = smooth_minimum(face, apple, 0.20)
    ridge = ellipsoid(ax - 0.36, y - head.brow_y + 0.02, z - 0.76, 0.36, 0.13, 0.20)
    return smooth_minimum(face, ridge, 0.16)


def _nose(head: Head, ax: Tensor, y: Tensor, z: Tensor) -> Tensor:
    bridge, along = segment(ax, y - 0.10, z - 0.90, 0.0, head.nose_tip - 0.10, 0.30)
    wider = head.nose_half_width - 0.16
    bridge = bridge - (0.075 + 0.30 * wider + (0.035 + 0.30 * wider) * along)
    tip = length(ax, y - head.nose_tip, z - 1.19) - (0.12 + 0.45 * wider)
    wings = length(ax - head.nose_half_width, y - head.nose_tip + 0.015, z - 1.06) - (0.08 + 0.30 * wider)
    return smooth_minimum(smooth_minimum(bridge, tip, 0.10), wings, 0.07)


def _lips(head: Head, x: Tensor, ax: Tensor, y: Tensor, z: Tensor) -> Tensor:
    above = y - mouth_line(head, x)
    taper = torch.clamp(1.0 - (ax / (head.mouth_half * 1.02)) ** 2, min=0.0)
    gap = head.mouth_gap * taper
    depth = z - 0.93 + 0.45 * ax * ax
    upper = ellipsoid(ax, above - gap - head.lip * 0.55, depth, head.mouth_half, head.lip * 0.75 + 0.01, 0.13)
    lower = ellipsoid(ax, above + gap + head.lip * 0.70, depth, head.mouth_half * 0.9, head.lip + 0.01, 0.15)
    return torch.minimum(upper, lower)


def _skin(head: Head, x: Tensor, ax: Tensor, y: Tensor, z: Tensor) -> Tensor:
    face = _face(head, x, ax, y, z)
    socket = ellipsoid(ax - head.eye_x, y - 0.01, z - 1.02, 0.25, 0.15, 0.20)
    face = smooth_maximum(face, -socket, 0.14)
    face = smooth_minimum(face, _nose(head, ax, y, z), 0.08)
    hole = ellipsoid(
        ax, y - mouth_line(head, x), z - 0.98, head.mouth_half * 0.9, head.mouth_gap + 0.004, 0.22
    )
    face = smooth_maximum(face, -hole, 0.03)
    face = smooth_minimum(face, _lips(head, x, ax, y, z), 0.035)
    ear = ellipsoid(ax - 1.0 - 0.2 * (z + 0.1), y + 0.10, z + 0.15, 0.09, 0.30, 0.19)
    concha = length(ax - 1.10, y + 0.08, z + 0.08) - 0.10
    face = smooth_minimum(face, smooth_maximum(ear, -concha, 0.04), 0.06)
    neck, _ = segment(ax, y + 0.9, z + 0.30, 0.0, -1.4, -0.10)
    return smooth_minimum(face, neck - 0.50, 0.15)


def _hair(head: Head, ax: Tensor, y: Tensor, z: Tensor) -> Tensor:
    wave = torch.sin(11.0 * ax + 1.0) * torch.sin(11.0 * y) * torch.sin(11.0 * z + 0.5)
    puff = 0.05 + 0.07 * head.long_hair + 0.27 * head.curly_hair
    cap = ellipsoid(ax, y - 0.42, z + 0.28, 1.0 + puff, 1.14 + puff, 1.20 + puff)
    # the hairline: everything in front of and below a tilted plane is cut away, lower at the temples
    plane = 0.80 * (z - 0.18) - 0.62 * (y - 0.62) - 0.28 * ax * ax
    top = smooth_maximum(cap, plane, 0.10) - 0.055 * head.curly_hair * wave
    curtain = ellipsoid(ax - 0.96, y + 0.55, z + 0.18, 0.27, 1.35, 0.52)
    behind = ellipsoid(ax, y + 0.4, z + 0.75, 1.05, 1.5, 0.55)
    fall = torch.minimum(curtain, behind) + 2.0 * (1.0 - head.long_hair)
    return smooth_minimum(top, fall, 0.12)


def _beard(head: Head, x: Tensor, ax: Tensor, y: Tensor, z: Tensor, skin: Tensor) -> Tensor:
    """A shell over the skin below a line from the ears to under the nose, with the mouth left out."""
    above = y - mouth_line(head, x)
    line = -0.66 + 0.55 * ax * ax
    below = y / head.stretch - line
    mouth = ellipsoid(
        ax, above + 0.2 * head.lip, z - 1.0, head.mouth_half * 0.92, head.mouth_gap + 1.7 * head.lip, 0.5
    )
    front = 0.12 - z
    region = smooth_maximum(smooth_maximum(below - 0.02, -mouth, 0.05), front, 0.05)
    throat = -1.42 - y / head.stretch
    region = smooth_maximum(region, throat, 0.08)
    bump = 0.010 * torch.sin(23.0 * x) * torch.sin(23.0 * y)
    return smooth_maximum(skin - 0.045 - bump, region, 0.05) + 0.35 * (1.0 - head.beard)


def _glasses(head: Head, ax: Tensor, y: Tensor, z: Tensor) -> Tensor:
    px, py, pz = ax - head.eye_x * 1.03, y + 0.03, z - 1.13 + 0.20 * ax * ax
    # rounded rectangles: the p-norm with p = 4
    ring = torch.sqrt(torch.sqrt((px / 1.12) ** 4 + (py * 1.18) ** 4 + 1e-12)) - 0.29
    rim = torch.sqrt(ring * ring + pz * pz + 1e-12) - 0.034
    bridge, _ = segment(ax, y - 0.04, z - 1.13, head.eye_x - 0.27, 0.0, 0.0)
    temple, _ = segment(ax - head.eye_x - 0.33, y - 0.05, z - 0.98, 1.06 - head.eye_x - 0.33, 0.0, -1.1)
    frame = torch.minimum(rim, torch.minimum(bridge, temple) - 0.030)
    return frame + 0.30 * (1.0 - head.glasses)


def parts(head: Head, x: Tensor, y: Tensor, z: Tensor) -> Parts:
    """Distances of points (n, m) to the materials of n heads."""
    ax = torch.sqrt(x * x + 1e-6)
    skin = _skin(head, x, ax, y, z)
    eye = length(ax - head.eye_x, y, z - (EYE_DEPTH - EYE_RADIUS)) - EYE_RADIUS
    shoulders = ellipsoid(ax, y + 2.55, z + 0.40, 1.9, 0.72, 0.75)
    collar = ellipsoid(ax, y + 1.95, z + 0.36, 0.72, 0.25, 0.62)
    cloth = smooth_minimum(shoulders, collar, 0.30)
    return Parts(
        skin=skin,
        eye=eye,
        hair=_hair(head, ax, y, z),
        beard=_beard(head, x, ax, y, z, skin),
        glasses=_glasses(head, ax, y, z),
        cloth=cloth,
    )


def distance(head: Head, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Signed distance of points (n, m) to n heads, (n, m)."""
    return parts(head, x, y, z).nearest()
