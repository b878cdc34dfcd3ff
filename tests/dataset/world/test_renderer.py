"""The renderer is the truth: every attribute is seen, images do not depend on the batch, gradients are right.

After a deliberate change of the world, `python tests/dataset/world/test_renderer.py` renders the reference
anew; the shipped generator must then be trained anew too.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch._inductor.runtime.cache_dir_utils import cache_dir
from torch.nn import functional

from attribute_recovery.dataset.world import renderer
from attribute_recovery.dataset.world.camera import EYE_LEVEL, EYE_SPAN
from attribute_recovery.dataset.world.renderer import Renderer
from attribute_recovery.dataset.world.schema import SCHEMA

REFERENCE = Path(__file__).parent / "reference.png"
PLAIN = Renderer(32, 2, compiled=False)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small tensors, and other work on the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def head(**changes: float) -> Tensor:
    """A head in the middle of all ranges, classes the first, but for the changes, (1, width)."""
    values = {a.name: 0.0 if a.is_discrete else sum(a.range) / 2 for a in SCHEMA} | changes
    return torch.from_numpy(SCHEMA.encode({name: np.array([value]) for name, value in values.items()}))


def assorted(n: int) -> npt.NDArray[np.float32]:
    """n heads all over the ranges: fractional parts of i·√prime, the same in every version of numpy."""
    primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97]
    values: dict[str, npt.NDArray[Any]] = {}
    for attribute, prime in zip(SCHEMA, primes[: len(SCHEMA)], strict=True):
        share = (np.arange(1, n + 1) * np.sqrt(prime)) % 1.0
        low, high = attribute.range
        values[attribute.name] = (
            (share * attribute.n_classes).astype(int) if attribute.is_discrete else low + (high - low) * share
        )
    return SCHEMA.encode(values)


def reference_sheet() -> npt.NDArray[np.uint8]:
    """16 heads at 64 px, four by four, uint8 (256, 256, 3)."""
    images = np.concatenate(list(Renderer(64, 2, compiled=False).uint8(assorted(16))))
    return images.reshape(4, 4, 64, 64, 3).transpose(0, 2, 1, 3, 4).reshape(256, 256, 3)


def test_the_world_is_still_the_one_that_the_shipped_generator_knows() -> None:
    stored = np.asarray(Image.open(REFERENCE).convert("RGB")).astype(int)
    difference = np.abs(stored - reference_sheet())
    worst = difference.reshape(4, 64, 4, 64, 3).max((1, 3, 4))
    assert difference.max() <= 2, f"largest differences of the 16 heads, in 1/255:\n{worst}"


# How many of the 32 × 32 pixels change at least, by more than 8/255, from one extreme or class to another.
SMALL, MIDDLE, LARGE = 8, 24, 100
SEEN = {
    "eye_color": SMALL,
    **dict.fromkeys(("eye_size", "nose_length", "nose_width", "brow_height", "brow_thickness"), MIDDLE),
    **dict.fromkeys(("lip_thickness", "smile", "mouth_opening"), MIDDLE),
    **dict.fromkeys(("jaw_width", "face_length", "eye_distance", "yaw", "pitch", "roll"), LARGE),
    **dict.fromkeys(("skin_tone", "hair_lightness", "hair_redness", "hair_style", "glasses", "beard"), LARGE),
    **dict.fromkeys(("light_azimuth", "light_elevation"), LARGE),
}


@pytest.fixture(scope="module")
def extremes() -> dict[str, list[npt.NDArray[np.uint8]]]:
    """Images of the middle head with one attribute at its extremes, or in each class."""
    places = [
        (a.name, float(value)) for a in SCHEMA for value in (range(a.n_classes) if a.is_discrete else a.range)
    ]
    encoded = torch.cat([head(**{name: value}) for name, value in places]).numpy()
    images = np.concatenate(list(PLAIN.uint8(encoded)))
    found: dict[str, list[npt.NDArray[np.uint8]]] = {name: [] for name in SCHEMA.names}
    for (name, _), image in zip(places, images, strict=True):
        found[name].append(image)
    return found


def changed_pixels(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> int:
    """Pixels that differ by more than 8/255 in a channel."""
    return int((np.abs(first.astype(int) - second).max(-1) > 8).sum())


@pytest.mark.parametrize("name", SCHEMA.names)
def test_every_attribute_moves_the_image(name: str, extremes: dict[str, list[npt.NDArray[np.uint8]]]) -> None:
    images = extremes[name]
    for i, first in enumerate(images):
        for second in images[i + 1 :]:
            assert changed_pixels(first, second) >= SEEN[name]


def test_images_have_shape_range_and_type() -> None:
    encoded = head(hair_lightness=0.0)
    image = PLAIN(encoded)
    assert image.shape == (1, 3, 32, 32)
    assert image.dtype == torch.float32
    assert -1 <= float(image.min()) < -0.5
    assert 0.2 < float(image.max()) <= 1
    (integers,) = PLAIN.uint8(encoded.numpy())
    assert integers.shape == (1, 32, 32, 3)
    expected = (image[0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(integers[0] - expected).max() <= 0.51


def test_eyes_land_on_the_template_in_the_picture() -> None:
    """The pixels that change with the colour of the irises lie around the template, head turned or not."""
    for yaw in (0.0, 15.0):
        brown, blue = Renderer(64, 2, compiled=False)(
            torch.cat([head(eye_color=i, yaw=yaw, roll=0.0, eye_size=1.0) for i in (0, 1)])
        )
        weight = (brown - blue).abs().sum(0)
        steps = (torch.arange(64) + 0.5) / 64
        for half, sign in ((slice(0, 32), -1), (slice(32, 64), 1)):
            part = weight[:, half]
            x = float((part.sum(0) * steps[half]).sum() / part.sum())
            y = float((part.sum(1) * steps).sum() / part.sum())
            assert x == pytest.approx(0.5 + sign * EYE_SPAN / 2, abs=2 / 64)
            assert y == pytest.approx(EYE_LEVEL, abs=1.5 / 64)


def test_images_do_not_depend_on_the_batch() -> None:
    encoded = torch.from_numpy(assorted(5))
    whole = Renderer(32, 2, batch_size=5, compiled=False)(encoded)
    for size in (1, 2):
        torch.testing.assert_close(
            Renderer(32, 2, batch_size=size, compiled=False)(encoded), whole, atol=1e-5, rtol=0
        )


def test_a_finer_supersampling_is_the_same_picture() -> None:
    encoded = torch.from_numpy(assorted(2))
    difference = (PLAIN(encoded) - Renderer(32, 4, compiled=False)(encoded)).abs()
    assert float(difference.mean()) < 0.03


def rays(supersample: int, size: int = 6) -> Tensor:
    """Two images of noise, a value a ray, (2, 3, size · supersample, size · supersample)."""
    side = size * supersample
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("supersample", [2, 4])
def test_a_pixel_is_the_mean_of_its_rays_under_a_tent(supersample: int) -> None:
    """Pixel by pixel and ray by ray: weight (1 − |dx|)(1 − |dy|), distances in pixels; edges are repeated."""
    image, size = rays(supersample), 6
    side = size * supersample
    expected = np.zeros((2, 3, size, size))
    for row in range(size):
        for column in range(size):
            total = 0.0
            for i in range(-supersample, side + supersample):
                for j in range(-supersample, side + supersample):
                    down = abs((i + 0.5) / supersample - (row + 0.5))
                    across = abs((j + 0.5) / supersample - (column + 0.5))
                    weight = max(0.0, 1 - down) * max(0.0, 1 - across)
                    seen = image[..., min(max(i, 0), side - 1), min(max(j, 0), side - 1)]
                    expected[..., row, column] += weight * seen.numpy()
                    total += weight
            expected[..., row, column] /= total
    found = renderer._filtered(image, supersample)
    assert found.shape == (2, 3, size, size) and found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("supersample", [2, 4])
def test_the_filter_keeps_constants_ramps_and_channels(supersample: int) -> None:
    """Straight lines stay straight away from the borders, where the repeated edge bends them."""
    colours = torch.tensor([[0.0, 0.3, 1.0], [0.7, 0.2, 0.5]])[..., None, None]
    side = 8 * supersample
    found = renderer._filtered(colours.expand(2, 3, side, side), supersample)
    torch.testing.assert_close(found, colours.expand(2, 3, 8, 8))
    place, middle = ((torch.arange(n) + 0.5) / n for n in (side, 8))
    ramp = (0.2 + 0.5 * place[:, None] - 0.3 * place).expand(1, 3, side, side)
    expected = (0.2 + 0.5 * middle[:, None] - 0.3 * middle).expand(1, 3, 8, 8)
    filtered = renderer._filtered(ramp, supersample)
    torch.testing.assert_close(filtered[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=1e-6, rtol=0)
    assert float((filtered - expected).abs().max()) > 1e-3  # so there is a border


@pytest.mark.parametrize("supersample", [2, 4])
def test_the_filter_weighs_every_ray_alike_and_lets_gradients_through(supersample: int) -> None:
    """A pixel's weights sum to one; a ray's, over all pixels, to its area, away from the borders."""
    image = rays(supersample).requires_grad_()
    found = renderer._filtered(image, supersample)
    (of_pixel,) = torch.autograd.grad(found[0, 1, 3, 2], image, retain_graph=True)
    assert float(of_pixel.sum()) == pytest.approx(1, abs=1e-6)
    assert not bool(of_pixel[1].any()) and not bool(of_pixel[0, [0, 2]].any())
    assert int((of_pixel[0, 1] > 0).sum()) == (2 * supersample) ** 2
    (of_rays,) = torch.autograd.grad(found.sum(), image)
    inner = of_rays[..., supersample:-supersample, supersample:-supersample]
    torch.testing.assert_close(inner, torch.full_like(inner, 1 / supersample**2), atol=1e-6, rtol=0)


def test_the_filter_is_what_pixels_go_through() -> None:
    encoded = torch.from_numpy(assorted(2))
    raw = renderer._render(encoded, 64, renderer.distance, renderer.shade)
    torch.testing.assert_close(PLAIN(encoded), renderer._filtered(raw, 2) * 2 - 1)
    assert float((PLAIN(encoded) - functional.avg_pool2d(raw, 2) * 2 + 1).abs().max()) > 0.1


def test_the_mirrored_head_is_the_mirrored_picture() -> None:
    """But for the hair's and the beard's strands and the glints, which are not mirrored."""
    left, right = PLAIN(torch.cat([head(yaw=y, light_azimuth=2 * y, beard=0.0) for y in (-20.0, 20.0)]))
    assert float((left - right.flip(-1)).abs().mean()) < 0.02


def test_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match=rf"found shape \(2, 3\), expected \(n, {SCHEMA.width}\)"):
        PLAIN(torch.zeros(2, 3))


@pytest.mark.parametrize(("name", "step"), [("yaw", 0.1), ("jaw_width", 0.01), ("skin_tone", 0.02)])
def test_gradients_are_those_of_finite_differences(name: str, step: float) -> None:
    """Pixel by pixel, but for edges: there a ray meets another part, which no gradient at the hit knows."""
    place = SCHEMA.slices[name].start
    encoded = head(yaw=12.0, light_azimuth=20.0, skin_tone=0.5).requires_grad_(True)
    image = PLAIN(encoded)[0]
    # The gradient is linear in the probe; its own gradient is the column of the Jacobian.
    probe = torch.zeros_like(image, requires_grad=True)
    (gradient,) = torch.autograd.grad((image * probe).sum(), encoded, create_graph=True)
    (column,) = torch.autograd.grad(gradient[0, place], probe)
    moved = encoded.detach().repeat(2, 1)
    moved[:, place] += torch.tensor([step, -step])
    ahead, behind = PLAIN(moved)
    expected = (ahead - behind) / (2 * step)
    responding = expected.abs() > expected.abs().quantile(0.7)
    error = (column - expected).abs()[responding] / expected.abs()[responding]
    assert float(error.median()) < 0.1
    assert float(np.corrcoef(column.flatten(), expected.flatten())[0, 1]) > 0.6


def test_rows_of_points_give_what_points_give() -> None:
    """The detour of compiled code, with a function that is not compiled and a last chunk not full."""
    x, y = torch.rand(2, 3, 2 * renderer.ROW, generator=torch.Generator().manual_seed(0))
    parameters = torch.tensor([[1.0], [2.0], [3.0]])
    (found,) = renderer._by_rows(lambda p, a, b: p * a + b, parameters, x, y)
    torch.testing.assert_close(found, parameters * x + y)
    with pytest.raises(ValueError, match="found 100 a head, expected a multiple of 4096"):
        renderer._by_rows(lambda p, a: p * a, parameters, x[:, :100])


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[object], None]]:
    """Puts something in place of torch's compiler."""
    renderer.compiled_parts.cache_clear()
    yield lambda stand_in: monkeypatch.setattr(torch, "compile", stand_in)
    renderer.compiled_parts.cache_clear()


def test_the_compiled_way_is_the_plain_way(compiler: Callable[[object], None]) -> None:
    """All but the compiler itself: parameters in one tensor, points in rows."""
    compiler(lambda function, **_: function)
    encoded = torch.from_numpy(assorted(2))
    found = Renderer(64, 2)(encoded)
    torch.testing.assert_close(found, Renderer(64, 2, compiled=False)(encoded), atol=1e-5, rtol=0)


def test_whether_torch_compiles_is_found_out_by_compiling(compiler: Callable[[object], None]) -> None:
    compiler(lambda function: function)
    assert renderer.compiles()
    compiler(lambda function: lambda x: x)
    assert not renderer.compiles()

    def no_compiler(function: object) -> None:
        raise RuntimeError("no g++")

    compiler(no_compiler)
    assert not renderer.compiles()


def test_the_users_cache_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "mine")
    renderer.use_cache(tmp_path)
    assert renderer.os.environ["TORCHINDUCTOR_CACHE_DIR"] == "mine"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    renderer.use_cache(tmp_path)
    assert renderer.os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path)


def test_torchs_own_default_is_no_wish_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    cache_dir()  # what importing torch's compiler does
    renderer.use_cache(tmp_path)
    assert renderer.os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path)


@pytest.mark.slow
def test_compiled_images_are_the_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes most of a minute, from the clone's cache two seconds."""
    renderer.use_cache(Path(__file__).parents[3] / ".cache/inductor")
    if not renderer.compiles():
        pytest.skip("torch cannot compile here")
    encoded = assorted(6)
    plain = np.concatenate(list(Renderer(64, 2, compiled=False).uint8(encoded))).astype(int)
    compiled = np.concatenate(list(Renderer(64, 2).uint8(encoded)))
    difference = np.abs(plain - compiled)
    assert difference.max() <= 3  # 1 where measured; a ray at an edge may fall to the other side
    assert (difference > 1).mean() < 0.001


if __name__ == "__main__":
    torch.set_num_threads(1)
    Image.fromarray(reference_sheet()).save(REFERENCE, optimize=True)
    print(f"{REFERENCE}: rendered anew")
