"""Colours stay colours, and light does what light does."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from attribute_recovery.dataset.world.schema import SCHEMA
from attribute_recovery.dataset.world.shading import Palette, Surface, albedo, palette_of, shade
from attribute_recovery.dataset.world.shapes import distance, head_of


def encoded(n: int, **fixed: float) -> Tensor:
    """n heads from all over the ranges, some attributes fixed, (n, width)."""
    rng = np.random.default_rng(4)
    values = {
        a.name: rng.integers(0, a.n_classes, n) if a.is_discrete else rng.uniform(*a.range, n) for a in SCHEMA
    }
    values |= {name: np.full(n, value) for name, value in fixed.items()}
    return torch.from_numpy(SCHEMA.encode(values))


def surface(n: int, m: int = 200) -> Surface:
    """Random points in front of the head, with random normals, in the open, lit."""
    generator = torch.Generator().manual_seed(2)
    x, y = torch.rand(2, n, m, generator=generator) * 2 - 1
    normal = torch.randn(3, n, m, generator=generator)
    normal = normal / normal.norm(dim=0)
    return Surface(x, y, 1 - 0.3 * (x**2 + y**2), *normal, open_sky=torch.ones(n, m), lit=torch.ones(n, m))


def shown(rows: Tensor, at: Surface, light: Tensor) -> Tensor:
    """Display colour, (3, n, m)."""
    n = len(rows)
    along = torch.tensor([[0.0, 0.0, -1.0]]).expand(n, 3)
    soft = torch.full((n, 1), 0.03)
    return torch.stack(shade(head_of(rows), palette_of(rows), light.expand(n, 3), along, at, soft))


FRONT = torch.tensor([[0.0, 0.0, 1.0]])


def test_palettes_are_colours_that_reflect_less_than_comes_in() -> None:
    palette = palette_of(encoded(200))
    for field in fields(Palette):
        value = getattr(palette, field.name)
        assert float(value.min()) > 0, field.name
        assert float(value.max()) < 1, field.name


@pytest.mark.parametrize(("name", "field"), [("skin_tone", "skin"), ("hair_lightness", "hair")])
def test_fairer_is_brighter(name: str, field: str) -> None:
    dark, fair = (getattr(palette_of(encoded(20, **{name: value})), field) for value in (0.1, 0.9))
    assert bool((fair > dark).all())


def test_redder_hair_is_redder() -> None:
    plain, red = (palette_of(encoded(20, hair_redness=value)).hair for value in (0.0, 1.0))
    assert bool((red[:, 0] / red.sum(1) > plain[:, 0] / plain.sum(1)).all())


def test_display_colours_are_within_0_and_1() -> None:
    rows = encoded(16)
    found = shown(rows, surface(16), torch.tensor([[0.6, 0.0, 0.8]]))
    assert float(found.min()) > 0
    assert float(found.max()) <= 1


def test_the_side_that_faces_the_light_is_brighter() -> None:
    rows, at = encoded(8, glasses=0), surface(8)
    zero = torch.zeros_like(at.x)
    facing = replace(at, normal_x=zero, normal_y=zero, normal_z=zero + 1)
    aside = replace(at, normal_x=zero + 1, normal_y=zero, normal_z=zero)
    bright, dim = shown(rows, facing, FRONT), shown(rows, aside, FRONT)
    assert float((bright >= dim).float().mean()) > 0.95  # all but the rim light on what is black
    assert float((bright - dim).mean()) > 0.05


@pytest.mark.parametrize("field", ["lit", "open_sky"])
def test_shadow_and_occlusion_darken(field: str) -> None:
    rows, at = encoded(8), surface(8)
    zero = torch.zeros_like(at.x)
    at = replace(at, normal_x=zero, normal_y=zero, normal_z=zero + 1)
    dark = replace(at, **{field: zero + 0.2})
    open_, hidden = shown(rows, at, FRONT), shown(rows, dark, FRONT)
    assert bool((hidden <= open_).all())
    assert float((open_ - hidden).mean()) > 0.02


def test_irises_have_the_colour_of_the_eyes() -> None:
    """At the iris, beside pupil and glint, the blue of blue eyes and the green of green ones prevail."""
    colors = {name: i for i, name in enumerate(SCHEMA["eye_color"].categories)}
    for name, channel in (("blue", 2), ("green", 1), ("brown", 0)):
        rows = encoded(6, eye_color=colors[name], glasses=0, beard=0, eye_size=1.0, eye_distance=0.0)
        x = torch.full((6, 1), 0.40 + 0.07)
        colour, _ = albedo(head_of(rows), palette_of(rows), x, x * 0, x * 0 + 0.86, torch.full((6, 1), 0.02))
        assert bool((torch.stack(colour).squeeze(-1).argmax(0) == channel).all()), name


def test_glasses_are_dark_where_they_are_and_shine() -> None:
    """At the outer rim of a pair of glasses and, without them, on the skin behind."""
    x = torch.full((1, 1), 0.40 * 1.03 + 0.29 * 1.12)
    y = x * 0 - 0.03
    found = {}
    for on in (0, 1):
        rows = encoded(1, glasses=on, eye_distance=0.0, skin_tone=1.0, hair_lightness=1.0)
        head, z = head_of(rows), x * 0 + 1.9
        for _ in range(60):
            z = z - 0.9 * distance(head, x, y, z)
        colour, gloss = albedo(head, palette_of(rows), x, y, z, torch.full((1, 1), 0.02))
        found[on] = (float(torch.stack(colour).mean()), float(gloss))
    assert found[1][0] < 0.05 < found[0][0]
    assert found[1][1] > found[0][1]
