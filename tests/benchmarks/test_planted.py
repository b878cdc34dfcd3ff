"""Pairs differ in one attribute by its dose, and regions are where the renderer paints it."""

import numpy as np
import pytest
from benchmarks.validation.regions.planted import planted, regions, variants

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema

SCHEMA = AttributeSchema(
    (
        Attribute("yaw", "pose", "continuous", "image", "degrees", (-40.0, 40.0), dose=30.0),
        Attribute("glasses", "appearance", "binary", "image", "class", categories=("off", "on")),
        Attribute("hair", "appearance", "categorical", "mixed", "class", categories=("a", "b", "c")),
    )
)
N = 60


@pytest.fixture
def heads() -> np.ndarray:
    rng = np.random.default_rng(0)
    values = {"yaw": rng.uniform(-40, 40, N), "glasses": np.arange(N) % 2, "hair": np.arange(N) % 3}
    return SCHEMA.encode(values)


@pytest.mark.parametrize("name", SCHEMA.names)
def test_only_the_planted_attribute_differs(heads: np.ndarray, name: str) -> None:
    changed = planted(SCHEMA, heads, name, np.random.default_rng(1))
    place = SCHEMA.slices[name]
    others = np.ones(SCHEMA.width, bool)
    others[place] = False
    np.testing.assert_array_equal(changed[:, others], heads[:, others])
    assert (changed[:, place] != heads[:, place]).any(1).all()


def test_continuous_attributes_move_by_the_whole_dose_within_their_range(heads: np.ndarray) -> None:
    changed = planted(SCHEMA, heads, "yaw", np.random.default_rng(1))
    np.testing.assert_allclose(np.abs(changed[:, 0] - heads[:, 0]), 30.0, rtol=1e-5)
    assert np.abs(changed[:, 0]).max() <= 40
    assert {1, -1} == set(np.sign(changed[:, 0] - heads[:, 0]))


def test_classes_become_others_that_are_drawn(heads: np.ndarray) -> None:
    assert planted(SCHEMA, heads, "glasses", np.random.default_rng(1))[:, 1].tolist() == (
        (1 - heads[:, 1]).tolist()
    )
    hair = planted(SCHEMA, heads, "hair", np.random.default_rng(1))[:, 2:]
    assert (hair.sum(1) == 1).all()
    steps = (hair.argmax(1) - heads[:, 2:].argmax(1)) % 3
    assert set(steps) == {1, 2}


@pytest.mark.parametrize(("name", "count"), [("yaw", 2), ("glasses", 1), ("hair", 2)])
def test_variants_are_all_that_a_dose_allows(heads: np.ndarray, name: str, count: int) -> None:
    every = variants(SCHEMA, heads, name)
    assert len(every) == count
    assert all((each != heads).any(1).all() for each in every)


def test_regions_are_the_pixels_that_change(heads: np.ndarray) -> None:
    """A renderer that paints yaw on the left, glasses faintly below, and hair into the upper half."""

    def render(encoded: np.ndarray) -> np.ndarray:
        images = np.full((len(encoded), 8, 8, 3), 100, np.uint8)
        images[:, :, :4, 0] += (encoded[:, 0, None, None] + 40).astype(np.uint8)
        images[:, 6:, :, 1] += (8 * encoded[:, 1, None, None]).astype(np.uint8)  # too little to be seen
        images[:, :4, :, 2] += (20 * encoded[:, 2:].argmax(1)[:, None, None]).astype(np.uint8)
        return images

    found = regions(SCHEMA, heads[:5], SCHEMA.names, render)
    assert found.shape == (5, 3, 8, 8)
    assert found[:, 0, :, :4].all() and not found[:, 0, :, 4:].any()
    assert not found[:, 1].any()
    assert found[:, 2, :4].all() and not found[:, 2, 4:].any()
