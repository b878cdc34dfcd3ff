"""Codes that are attributes, and the renderer as a generator of them."""

import numpy as np
import pytest
import torch
from benchmarks.validation.in_place.attribute_codes import CLASS_NOISE, AttributeCodes
from benchmarks.validation.in_place.rendered_decoder import rendered_generator

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.dataset.world.renderer import Renderer
from attribute_recovery.dataset.world.schema import SCHEMA as WORLD
from attribute_recovery.decoder.spread import reading_slices

SCHEMA = AttributeSchema(
    (
        Attribute("yaw", "pose", "continuous", "image", "degrees", (-40.0, 40.0)),
        Attribute("glasses", "appearance", "binary", "image", "class", categories=("off", "on")),
        Attribute("hair", "appearance", "categorical", "mixed", "class", categories=("a", "b", "c")),
    )
)
CODES = AttributeCodes(SCHEMA)


def people(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return SCHEMA.encode(
        {
            "yaw": rng.uniform(-40, 40, count),
            "glasses": rng.integers(2, size=count),
            "hair": rng.integers(3, size=count),
        }
    )


@pytest.mark.parametrize("rng", [None, np.random.default_rng(1)])
def test_codes_are_the_attributes(rng: np.random.Generator | None) -> None:
    encoded = people(4000)
    codes = CODES.codes(encoded, rng)
    found = CODES.attributes(codes)
    assert codes.dtype == found.dtype == np.float32
    assert np.abs(found - encoded).max() < 80e-4
    assert (found[:, 1:] == encoded[:, 1:]).all()
    # Drawn evenly, a continuous attribute is a normal component.
    assert codes[:, 0].std() == pytest.approx(1, abs=0.05)
    blurred = (codes - encoded)[:, 1:].std()
    assert blurred == pytest.approx(0 if rng is None else CLASS_NOISE, rel=0.05)


def test_any_code_is_a_face() -> None:
    codes = (100 * np.random.default_rng(2).standard_normal((50, 5))).astype(np.float32)
    found = CODES.attributes(codes)
    assert np.abs(found[:, 0]).max() <= 40
    assert set(found[:, 1]) == {0.0, 1.0} and (found[:, 2:].sum(1) == 1).all()


def test_readings_have_every_class() -> None:
    encoded = people(12)
    read = CODES.readings(CODES.codes(encoded).reshape(3, 4, 5))
    places = reading_slices(SCHEMA)
    assert read.shape == (3, 4, 6)
    flat = read.reshape(12, 6)
    assert np.allclose(flat[:, places["yaw"]][:, 0], encoded[:, 0], atol=0.01)
    assert (flat[:, places["glasses"]] == np.stack([1 - encoded[:, 1], encoded[:, 1]], 1)).all()
    assert (flat[:, places["hair"]] == encoded[:, 2:]).all()


def test_turned_faces_differ_in_what_a_mirror_turns() -> None:
    encoded = people(5)
    turned = CODES.mirrored(encoded)
    assert (turned[:, 0] == -encoded[:, 0]).all() and (turned[:, 1:] == encoded[:, 1:]).all()


def test_the_renderer_is_a_generator_of_stored_images() -> None:
    codes = AttributeCodes(WORLD)
    renderer = Renderer(16, 2, compiled=False)
    generator = rendered_generator(codes, renderer, torch.device("cpu"))
    code = np.random.default_rng(3).standard_normal((2, codes.size)).astype(np.float32)
    image = generator.decode(torch.from_numpy(code))
    stored = np.concatenate(list(renderer.uint8(codes.attributes(code))))
    assert generator.code_size == WORLD.width and image.shape == (2, 3, 16, 16)
    assert torch.equal((image.permute(0, 2, 3, 1) + 1) * 127.5, torch.from_numpy(stored).float()) or (
        np.abs(((image.permute(0, 2, 3, 1) + 1) * 127.5).numpy() - stored).max() < 1e-3
    )
