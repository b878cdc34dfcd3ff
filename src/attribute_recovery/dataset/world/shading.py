"""What colour a point of a head has, and how the light falls on it. Elementwise, like `shapes`."""

from dataclasses import dataclass

import torch
from torch import Tensor

from attribute_recovery.dataset.world.schema import columns
from attribute_recovery.dataset.world.shapes import Head, Parts, mouth_line, parts

RGB = tuple[Tensor, Tensor, Tensor]

TEETH = (0.80, 0.77, 0.70)
MOUTH = (0.10, 0.015, 0.015)
EYE_WHITE = (0.74, 0.73, 0.72)
CLOTH = (0.055, 0.075, 0.115)
FRAME = (0.015, 0.015, 0.018)
SUN = (1.06, 1.0, 0.92)
SKY = (0.92, 0.98, 1.10)


@dataclass(frozen=True)
class Palette:
    """Colours (n, 3) in linear light, and half the opening of the eyes (n, 1) in units of the head frame."""

    skin: Tensor
    lips: Tensor
    hair: Tensor
    iris: Tensor
    eye_half_width: Tensor
    eye_half_height: Tensor


@dataclass(frozen=True)
class Surface:
    """Points, unit normals, and how much sky (ambient occlusion) and key light reaches them (0 to 1), (n,
    m) each.
    """

    x: Tensor
    y: Tensor
    z: Tensor
    normal_x: Tensor
    normal_y: Tensor
    normal_z: Tensor
    open_sky: Tensor
    lit: Tensor


def _mix(low: list[float], high: list[float], weight: Tensor) -> Tensor:
    return torch.lerp(weight.new_tensor(low), weight.new_tensor(high), weight)


def palette_of(encoded: Tensor) -> Palette:
    """Colours of the heads with the encoded attributes (n, width)."""
    a = columns(encoded)
    tone = a["skin_tone"]
    skin = _mix([0.115, 0.055, 0.032], [0.82, 0.58, 0.46], tone)
    fair = _mix([0.018, 0.014, 0.012], [0.70, 0.52, 0.27], a["hair_lightness"])
    red = _mix([0.075, 0.012, 0.006], [0.66, 0.20, 0.06], a["hair_lightness"])
    irises = encoded.new_tensor([[0.16, 0.065, 0.02], [0.10, 0.30, 0.75], [0.12, 0.42, 0.10]])
    return Palette(
        skin=skin,
        lips=skin * _mix([0.95, 0.62, 0.62], [0.88, 0.44, 0.45], tone),
        hair=torch.lerp(fair, red, a["hair_redness"]),
        iris=a["eye_color"] @ irises,
        eye_half_width=0.195 + 0.05 * a["eye_size"],
        eye_half_height=0.095 + 0.048 * a["eye_size"],
    )


def _step(value: Tensor, width: Tensor | float) -> Tensor:
    """A soft step: 0 below −width, 1 above +width."""
    return torch.sigmoid(value * (4.0 / width))


def _channels(colour: Tensor) -> RGB:
    return colour[:, 0:1], colour[:, 1:2], colour[:, 2:3]


def _blend(base: RGB, over: RGB | tuple[float, float, float], weight: Tensor) -> RGB:
    red, green, blue = (base[i] + (over[i] - base[i]) * weight for i in range(3))
    return red, green, blue


def _scaled(colour: RGB, factors: tuple[float, float, float] | float) -> RGB:
    each = factors if isinstance(factors, tuple) else (factors, factors, factors)
    red, green, blue = (c * f for c, f in zip(colour, each, strict=True))
    return red, green, blue


def _with_mouth(skin: RGB, head: Head, lips: RGB, at: Tensor, y: Tensor, front: Tensor, soft: Tensor) -> RGB:
    """Lips, teeth and the dark between them painted over the skin; `at` is |x|."""
    above = y - mouth_line(head, at)
    taper = torch.clamp(1.0 - (at / (head.mouth_half * 1.02)) ** 2, min=0.0)
    gap = head.mouth_gap * taper
    upper = gap + head.lip * (0.4 + 1.0 * taper) - above
    lower = above + gap + head.lip * (0.4 + 1.4 * taper)
    within = head.mouth_half - at
    skin = _blend(skin, lips, _step(torch.minimum(torch.minimum(upper, lower), within), soft) * front)
    ends = _step(within, soft) * front
    teeth = _step(above - gap * 0.15, soft) * _step(head.mouth_gap - 0.03, 0.02)
    zero = torch.zeros_like(y)
    dark: RGB = (zero + MOUTH[0], zero + MOUTH[1], zero + MOUTH[2])
    skin = _blend(skin, _blend(dark, TEETH, teeth), _step(gap - above.abs(), soft) * ends)
    return _blend(skin, _scaled(lips, 0.35), _step(0.012 - above.abs(), soft) * ends * 0.7)


def _with_brow(
    skin: RGB, head: Head, base: RGB, hair: RGB, at: Tensor, y: Tensor, front: Tensor, soft: Tensor
) -> RGB:
    arch = head.brow_y + 0.05 - 0.9 * (at - 0.42) ** 2
    brow = head.brow_half * torch.clamp(1.25 - 0.9 * (at - 0.15), 0.35, 1.2) - (y - arch).abs()
    brow = torch.minimum(brow, 0.30 - (at - 0.40).abs())
    red, green, blue = (0.40 * h + 0.04 * b for h, b in zip(hair, base, strict=True))
    return _blend(skin, (red, green, blue), _step(brow, soft) * front)


def _with_eyes(
    skin: RGB, head: Head, palette: Palette, base: RGB, x: Tensor, y: Tensor, front: Tensor, soft: Tensor
) -> tuple[RGB, Tensor]:
    """Whites, irises, pupils, highlights and lid lines painted over the skin, and where the eyeball is
    open.
    """
    ex = x.abs() - head.eye_x
    bow = torch.clamp(1.0 - (ex / palette.eye_half_width) ** 2, min=0.0)
    upper, lower = palette.eye_half_height * bow, -0.75 * palette.eye_half_height * bow
    opening = torch.minimum(upper - y, y - lower) - 0.6 * soft * (1.0 - bow)
    radius = 0.105
    from_centre = torch.sqrt(ex**2 + (y - 0.005) ** 2 + 1e-9)
    iris = _channels(palette.iris)
    zero = torch.zeros_like(y)
    white: RGB = (zero + EYE_WHITE[0], zero + EYE_WHITE[1], zero + EYE_WHITE[2])
    eye = _blend(white, iris, _step(radius - from_centre, soft))
    eye = _blend(eye, _scaled(iris, 0.25), _step(0.016 - (from_centre - radius).abs(), soft) * 0.6)
    eye = _blend(eye, (0.01, 0.01, 0.01), _step(0.045 - from_centre, soft))
    glint = torch.exp(-((ex + 0.035) ** 2 + (y - 0.04) ** 2) / 0.0005)
    eye = _blend(eye, (1.0, 1.0, 1.0), glint)
    lash = _step(0.020 - (upper - y).abs(), soft) * _step(bow - 0.05, 0.05)
    patch = _blend(_blend(skin, _scaled(base, 0.18), lash), eye, _step(opening, soft))
    near = _step(0.30 - torch.sqrt(ex**2 + y**2 + 1e-9), 0.05) * front
    return _blend(skin, patch, near), near * _step(opening, soft)


def _face_colour(
    head: Head, palette: Palette, x: Tensor, y: Tensor, z: Tensor, soft: Tensor
) -> tuple[RGB, Tensor]:
    at = x.abs()
    base, hair = _channels(palette.skin), _channels(palette.hair)
    front = _step(z - 0.4, 0.1)
    cheek = torch.exp(-((at - 0.5) ** 2 + (y + 0.38) ** 2) * 9.0) * 0.35
    skin = _blend(base, _scaled(base, (1.0, 0.74, 0.72)), cheek)
    skin = _with_mouth(skin, head, _channels(palette.lips), at, y, front, soft)
    nostril = ((at - head.nose_half_width * 0.75) / 0.045) ** 2 + ((y - head.nose_tip + 0.075) / 0.035) ** 2
    skin = _blend(skin, _scaled(base, 0.22), 0.9 * torch.exp(-nostril) * front)
    skin = _with_brow(skin, head, base, hair, at, y, front, soft)
    return _with_eyes(skin, head, palette, base, x, y, front, soft)


def _weights(found: Parts, soft: Tensor) -> list[Tensor]:
    """Softmax over the materials' distances: skin, hair, beard, glasses, cloth."""
    skin = torch.minimum(found.skin, found.eye)
    nearest = found.nearest()
    each = [
        torch.exp((nearest - d) * (4.0 / soft))
        for d in (skin, found.hair, found.beard, found.glasses, found.cloth)
    ]
    total = each[0] + each[1] + each[2] + each[3] + each[4]
    return [weight / total for weight in each]


def albedo(head: Head, palette: Palette, x: Tensor, y: Tensor, z: Tensor, soft: Tensor) -> tuple[RGB, Tensor]:
    """Linear colour and gloss of surface points (n, m); `soft` (n, 1) is the width of edges between
    materials.
    """
    skin, eyeball = _face_colour(head, palette, x, y, z, soft)
    of_skin, of_hair, of_beard, of_glasses, of_cloth = _weights(parts(head, x, y, z), soft)
    strands = 1.0 + 0.15 * torch.sin(46.0 * x.abs() + 9.0 * y + 5.0 * z) * torch.cos(17.0 * z - 8.0 * y)
    locks = strands * (of_hair + 0.8 * of_beard)
    hair = _channels(palette.hair)
    red, green, blue = (
        skin[i] * of_skin + hair[i] * locks + FRAME[i] * of_glasses + CLOTH[i] * of_cloth for i in range(3)
    )
    gloss = 0.10 * of_skin + 0.10 * of_hair + 0.5 * of_glasses + 0.3 * eyeball * of_skin
    return (red, green, blue), gloss


def shade(
    head: Head, palette: Palette, light: Tensor, direction: Tensor, surface: Surface, soft: Tensor
) -> RGB:
    """Display colour in 0 to 1, (n, m) a channel: key light with shadow, sky with occlusion, a weak fill,
    highlights.

    `light` points to the light, `direction` along the rays; unit vectors (n, 3) in the head frame.
    """
    colour, gloss = albedo(head, palette, surface.x, surface.y, surface.z, soft)
    normal = (surface.normal_x, surface.normal_y, surface.normal_z)
    to_light, along = _channels(light), _channels(direction)
    key = normal[0] * to_light[0] + normal[1] * to_light[1] + normal[2] * to_light[2]
    facing = -(normal[0] * along[0] + normal[1] * along[1] + normal[2] * along[2])
    half = [to_light[i] - along[i] for i in range(3)]
    norm = torch.sqrt(half[0] ** 2 + half[1] ** 2 + half[2] ** 2 + 1e-9)
    shine = (
        torch.clamp((normal[0] * half[0] + normal[1] * half[1] + normal[2] * half[2]) / norm, min=0.0) ** 24
    )
    facing = torch.clamp(facing, 0.0, 1.0)
    sun = 1.12 * torch.clamp((key + 0.25) / 1.25, min=0.0) * (0.15 + 0.85 * surface.lit)
    ambient = (0.24 + 0.08 * surface.normal_y + 0.10 * facing) * surface.open_sky
    highlight = gloss * shine * surface.lit
    rim = 0.10 * (1.0 - facing) ** 3 * surface.open_sky
    red, green, blue = (
        torch.clamp(colour[i] * (sun * SUN[i] + ambient * SKY[i] + rim) + highlight + 0.2 * rim, 1e-5, 1.0)
        ** (1 / 2.2)
        for i in range(3)
    )
    return red, green, blue
