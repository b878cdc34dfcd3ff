"""From attributes to images: sphere tracing of the heads of `shapes`, coloured by `shading`, seen by
`camera`.

The renderer is the truth of the default world. It is a pure function of the encoded attributes, batched and
differentiable: gradients reach the attributes through the implicit function theorem at the hit point.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from attribute_recovery.dataset.world.camera import View, ray_origins, view_of
from attribute_recovery.dataset.world.schema import SCHEMA
from attribute_recovery.dataset.world.shading import RGB, Palette, Surface, palette_of, shade
from attribute_recovery.dataset.world.shapes import Head, distance, head_of

COARSE_STEPS = 16
FINE_STEPS = 5
GRAZING_STEPS = 14
SHADOW_STEPS = 7
NEAR = 1.2
FAR = 6.4

# Compiled functions take points as ROWS rows of ROW points, one head's points a row.
ROW = 4096
ROWS = 32

Sdf = Callable[[Head, Tensor, Tensor, Tensor], Tensor]
Shader = Callable[[Head, Palette, Tensor, Tensor, Surface, Tensor], RGB]
Points = tuple[Tensor, Tensor, Tensor]


def _along(origin: Tensor, direction: Tensor, depth: Tensor) -> Points:
    x, y, z = (origin[..., i] + direction[:, i : i + 1] * depth for i in range(3))
    return x, y, z


def _moved(point: Points, by: Points, length: float) -> Points:
    x, y, z = (p + b * length for p, b in zip(point, by, strict=True))
    return x, y, z


def _march(sdf: Sdf, head: Head, view: View, side: int) -> Tensor:
    """Depth of the first hit, (n, side²): coarse rays first, then each fine ray goes on from its cell's.

    A coarse ray stops where the head is nearer than the cell is wide, so no fine ray of its cell can start
    inside.
    """
    coarse = side // 2
    origin, direction = ray_origins(view, coarse), view.direction
    depth = torch.full_like(origin[..., 0], NEAR)
    cell = 2 * view.half / coarse
    for _ in range(COARSE_STEPS):
        gap = sdf(head, *_along(origin, direction, depth)) - cell
        depth = torch.clamp(depth + torch.clamp(gap, min=0.0) * 0.9, max=FAR)
    grid = depth.view(-1, coarse, coarse)
    depth = grid.repeat_interleave(2, 1).repeat_interleave(2, 2).flatten(1)
    origin = ray_origins(view, side)
    for _ in range(FINE_STEPS):
        gap = sdf(head, *_along(origin, direction, depth))
        depth = torch.clamp(depth + gap, max=FAR)
    return _finish(sdf, head, origin, direction, depth, gap)


def _finish(sdf: Sdf, head: Head, origin: Tensor, direction: Tensor, depth: Tensor, gap: Tensor) -> Tensor:
    """March the quarter of each head's rays that is farthest from done: those that graze an edge and pass
    it.
    """
    open_gap = torch.where(depth < FAR, gap, torch.zeros_like(gap))
    left = open_gap.topk(depth.shape[1] // 4, dim=1, sorted=False).indices
    origin = torch.stack([origin[..., i].gather(1, left) for i in range(3)], -1)
    part = depth.gather(1, left)
    for _ in range(GRAZING_STEPS):
        part = torch.clamp(part + sdf(head, *_along(origin, direction, part)), max=FAR)
    return depth.scatter(1, left, part)


def _implicit_depth(sdf: Sdf, head: Head, origin: Tensor, direction: Tensor, depth: Tensor) -> Tensor:
    """The same depth with the gradient of the implicit function d(o + t·v) = 0: dt = −∂d / (∇d·v)."""
    with torch.no_grad():
        ahead = sdf(head, *_along(origin, direction, depth + 1e-3))
        behind = sdf(head, *_along(origin, direction, depth - 1e-3))
        slope = torch.clamp((ahead - behind) / 2e-3, max=-0.05)
    value = sdf(head, *_along(origin, direction, depth))
    return depth - (value - value.detach()) / slope


def _normals(sdf: Sdf, head: Head, point: Points, step: float) -> Points:
    """Gradient of the distance from four samples at the corners of a tetrahedron, normalised."""
    corners = ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1))
    values = [
        sdf(head, *(p + sign * step for p, sign in zip(point, signs, strict=True))) for signs in corners
    ]
    total = [sum(signs[i] * value for signs, value in zip(corners, values, strict=True)) for i in range(3)]
    gradient = torch.stack([torch.as_tensor(t) for t in total])
    x, y, z = gradient / torch.sqrt((gradient**2).sum(0) + 1e-12)
    return x, y, z


def _open_sky(sdf: Sdf, head: Head, point: Points, normal: Points) -> Tensor:
    """Ambient occlusion: how much nearer the head is along the normal than it would be alone, as 1 (open)
    to 0.15.
    """
    hidden = torch.zeros_like(point[0])
    for height, weight in ((0.05, 1.6), (0.14, 1.1), (0.32, 0.7)):
        free = sdf(head, *_moved(point, normal, height))
        hidden = hidden + weight * torch.clamp(height - free, min=0.0)
    return torch.clamp(1.0 - hidden, 0.15, 1.0)


def _lit(sdf: Sdf, head: Head, point: Points, normal: Points, light: Tensor) -> Tensor:
    """Soft shadow: the smallest ratio of distance to travel on the way to the light, as 0 (dark) to 1."""
    start = _moved(point, normal, 0.03)
    lit = torch.ones_like(point[0])
    travel = torch.full_like(point[0], 0.05)
    for _ in range(SHADOW_STEPS):
        gap = sdf(head, *(s + light[:, i : i + 1] * travel for i, s in enumerate(start)))
        lit = torch.minimum(lit, 0.5 + 5.0 * gap / travel)
        travel = travel + torch.clamp(gap, 0.06, 0.30)
    lit = torch.clamp(lit, 0.0, 1.0)
    return lit * lit * (3.0 - 2.0 * lit)


def _every_second(values: Points, side: int) -> Points:
    x, y, z = (value.view(-1, side, side)[:, ::2, ::2].flatten(1) for value in values)
    return x, y, z


def _doubled(value: Tensor, side: int) -> Tensor:
    grid = value.view(-1, 1, side // 2, side // 2)
    return functional.interpolate(grid, scale_factor=2, mode="bilinear", align_corners=False).flatten(1)


def _background(side: int, like: Tensor) -> Tensor:
    """A plain studio wall, lighter in the middle, (3, 1, side²) in display colour."""
    steps = (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / side * 2 - 1
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    wall = like.new_tensor([0.60, 0.64, 0.68]).view(3, 1, 1)
    return wall - 0.09 * (u**2 + v**2).reshape(1, 1, -1)


def _render(encoded: Tensor, side: int, sdf: Sdf, shader: Shader) -> Tensor:
    """Display colour (n, 3, side, side) in 0 to 1; light and shadow are worked out for every second ray."""
    head, palette, view = head_of(encoded), palette_of(encoded), view_of(encoded)
    with torch.no_grad():
        depth = _march(sdf, head, view, side)
    origin, direction = ray_origins(view, side), view.direction
    if encoded.requires_grad:
        depth = _implicit_depth(sdf, head, origin, direction, depth)
    pixel = 3.0 / side
    point = _along(origin, direction, depth)
    gap = sdf(head, *point)
    normal = _normals(sdf, head, point, 0.5 * pixel)
    sparse, sparse_normal = _every_second(point, side), _every_second(normal, side)
    open_sky = _doubled(_open_sky(sdf, head, sparse, sparse_normal), side)
    lit = _doubled(_lit(sdf, head, sparse, sparse_normal, view.light), side)
    soft = torch.full_like(head.jaw, max(2.0 * pixel, 0.02))
    surface = Surface(*point, *normal, open_sky, lit)
    display = torch.stack(shader(head, palette, view.light, direction, surface, soft))  # (3, n, side²)
    cover = torch.sigmoid((1.5 * pixel - gap) * (6.0 / pixel)) * (depth < FAR - 0.01)
    wall = _background(side, display)
    image: Tensor = wall + (display - wall) * cover
    return image.transpose(0, 1).reshape(-1, 3, side, side)


def _filtered(image: Tensor, supersample: int) -> Tensor:
    """Pixels (n, 3, size, size) from rays (n, 3, size · supersample, …): a tent of radius one pixel.

    The plain average over a pixel's own rays lets edges alias into stairs, and no camera sees those.
    """
    offset = (torch.arange(2 * supersample, device=image.device) + 0.5) / supersample - 1
    tent = 1 - offset.abs()
    kernel = torch.outer(tent, tent)[None, None] / tent.sum() ** 2
    margin, size = supersample // 2, image.shape[-1] // supersample
    padded = functional.pad(image.flatten(0, 1)[:, None], (margin,) * 4, mode="replicate")
    return functional.conv2d(padded, kernel, stride=supersample).view(-1, 3, size, size)


@dataclass(frozen=True)
class Renderer:
    """Renders encoded attributes.

    Attributes:
        size: side of the image in pixels; size² · supersample² is a multiple of 16,384 where compiled.
        supersample: rays a pixel and axis, an even number; a pixel weighs the rays around its middle.
        batch_size: heads rendered at once; results do not depend on it.
        compiled: whether distance and shading run as compiled code; without it the same images come slower,
            equal to within the compiler's rounding.
    """

    size: int = 64
    supersample: int = 2
    batch_size: int = 32
    compiled: bool = True

    def __call__(self, encoded: Tensor) -> Tensor:
        """Images of the attributes (n, width), in their units, as float32 (n, 3, size, size) in [-1, 1].

        Gradients flow where `encoded` asks for them (then never compiled).

        Raises:
            ValueError: `encoded` has another width than the schema.
        """
        if encoded.ndim != 2 or encoded.shape[1] != SCHEMA.width:
            raise ValueError(f"encoded: found shape {tuple(encoded.shape)}, expected (n, {SCHEMA.width})")
        return torch.cat([self._batch(part) for part in torch.split(encoded.float(), self.batch_size)])

    def _batch(self, encoded: Tensor) -> Tensor:
        side = self.size * self.supersample
        if self.compiled and not encoded.requires_grad:
            with torch.no_grad():
                image = _render(encoded, side, *compiled_parts())
        else:
            image = _render(encoded, side, distance, shade)
        return _filtered(image, self.supersample) * 2 - 1

    def uint8(self, encoded: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.uint8]]:
        """Batches of images (b, size, size, 3) uint8 of encoded attributes (n, width), in order."""
        with torch.no_grad():
            for start in range(0, len(encoded), self.batch_size):
                image = self(torch.from_numpy(encoded[start : start + self.batch_size]))
                yield (
                    ((image + 1) * 127.5)
                    .round()
                    .clamp(0, 255)
                    .byte()
                    .permute(0, 2, 3, 1)
                    .contiguous()
                    .numpy()
                )


def _stacked(parameters: Head | Palette) -> Tensor:
    """All fields side by side, (n, width)."""
    return torch.cat([getattr(parameters, f.name) for f in fields(parameters)], 1)


def _distance_rows(parameters: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return distance(Head(*torch.split(parameters, 1, dim=1)), x, y, z)


def _shade_rows(parameters: Tensor, *surface: Tensor) -> RGB:
    count = len(fields(Head))
    head = Head(*torch.split(parameters[:, :count], 1, dim=1))
    *colours, light, direction, soft = torch.split(parameters[:, count:], [3, 3, 3, 3, 1, 1, 3, 3, 1], dim=1)
    return shade(head, Palette(*colours), light, direction, Surface(*surface), soft)


def _by_rows(compiled: Callable[..., Tensor | RGB], parameters: Tensor, *points: Tensor) -> list[Tensor]:
    """Run a compiled function of (ROWS, ROW) points over points (n, m), m a multiple of ROW; its results
    (n, m).
    """
    n, m = points[0].shape
    if m % ROW:
        raise ValueError(f"points: found {m} a head, expected a multiple of {ROW}; choose another image size")
    rows = [parameters.repeat_interleave(m // ROW, 0), *(value.reshape(-1, ROW) for value in points)]
    results: list[tuple[Tensor, ...]] = []
    for start in range(0, len(rows[0]), ROWS):
        chunk = [value[start : start + ROWS] for value in rows]
        short = ROWS - len(chunk[0])
        if short:
            chunk = [torch.cat([value, value[-1:].expand(short, -1)]) for value in chunk]
        found = compiled(*(value.contiguous() for value in chunk))
        each = found if isinstance(found, tuple) else (found,)
        results.append(tuple(value[: ROWS - short] for value in each))
    return [torch.cat(parts).view(n, m) for parts in zip(*results, strict=True)]


@lru_cache(maxsize=1)
def compiled_parts() -> tuple[Sdf, Shader]:
    """The distance function and the shader, compiled; the cache lies where TORCHINDUCTOR_CACHE_DIR says.

    Compiling for one shape takes a third of the time of compiling for three, hence the rows.
    """
    flat_distance = torch.compile(_distance_rows, dynamic=False)
    flat_shade = torch.compile(_shade_rows, dynamic=False)

    def sdf(head: Head, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        return _by_rows(flat_distance, _stacked(head), x, y, z)[0]

    def shader(
        head: Head, palette: Palette, light: Tensor, direction: Tensor, surface: Surface, soft: Tensor
    ) -> RGB:
        parameters = torch.cat([_stacked(head), _stacked(palette), light, direction, soft], 1)
        red, green, blue = _by_rows(
            flat_shade, parameters, *(getattr(surface, f.name) for f in fields(surface))
        )
        return red, green, blue

    return sdf, shader


def use_cache(folder: Path) -> None:
    """Keep compiled code in `folder`, unless the user's environment names another place.

    torch writes its own default, in the temporary folder, into the environment as soon as its compiler is
    imported, which asking for deterministic algorithms does: that is nobody's wish.

    torch 2.14 puts the path into the compiler's command line as it is, so a path with a space is reached
    through a link in the temporary folder; the cache itself stays where it was asked for.

    Raises:
        ValueError: the link's folder belongs to somebody else.
    """
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    if os.environ.get("TORCHINDUCTOR_CACHE_DIR", default_cache_dir()) != default_cache_dir():
        return
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(_without_spaces(folder) if " " in str(folder) else folder)


def _without_spaces(folder: Path) -> Path:
    """A link to `folder`, the same for the same folder, in a place that only this user can write to."""
    place = Path(tempfile.gettempdir()) / f"attribute-recovery-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    if place.is_symlink() or place.stat().st_uid != os.getuid():
        raise ValueError(
            f"{place}: belongs to another user; set TORCHINDUCTOR_CACHE_DIR to a path without spaces"
        )
    link = place / hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    if not link.is_symlink():
        link.symlink_to(folder, target_is_directory=True)
    return link


def compiles() -> bool:
    """Whether torch can compile here, found out by compiling."""
    try:
        value = torch.compile(lambda x: x * 2.0 + 1.0)(torch.ones(3))
    except Exception:  # the compiler's failures have no common base class
        return False
    return bool(torch.allclose(value, torch.full((3,), 3.0)))
