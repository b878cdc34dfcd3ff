"""A blinded recognizer does not see what is hidden from it, and the check says so."""

import numpy as np
import pytest
import torch
from benchmarks.validation.blinded.blinded import (
    STILL,
    Blindness,
    ToTheEnd,
    behind_mask,
    heads_from_everywhere,
    in_luma,
    mask_hiding,
    movements,
    over_its_range,
    photographs,
    pixels_moved,
)

from attribute_recovery.dataset.world.renderer import Renderer
from attribute_recovery.dataset.world.schema import SCHEMA
from attribute_recovery.recognizer.card import RecognizerCard, Template
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.recognizer.networks import EmbeddingNetwork

SIDE = 32


@pytest.fixture(scope="module")
def f() -> Recognizer:
    torch.manual_seed(0)
    network = EmbeddingNetwork(SIDE, (8, 16), 12).eval()
    card = RecognizerCard(
        name="toy",
        architecture="residual",
        channels=(8, 16),
        crop_size=SIDE,
        template=Template(0.44, 0.265),
        channel_order="RGB",
        value_range=(-1.0, 1.0),
        interpolation="bilinear",
        embedding_size=12,
        precision="float32",
        score="cosine",
        data_sha256="",
        licence="MIT",
        weights_sha256="0" * 64,
    )
    return Recognizer(network, card, torch.device("cpu"))


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return ToTheEnd(SIDE, 2, compiled=False)


def test_what_is_masked_does_not_count(f: Recognizer) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(3, SIDE, SIDE, 3)).astype(np.uint8)
    mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
    mask[:10] = True
    blinded = behind_mask(f, mask)
    other = images.copy()
    other[:, 10:] = rng.integers(256, size=(3, SIDE - 10, SIDE, 3))
    assert np.array_equal(blinded.embed_batches(images), blinded.embed_batches(other))
    other[:, 5, 5] = 255 - other[:, 5, 5]
    assert np.linalg.norm(blinded.embed_batches(images) - blinded.embed_batches(other), axis=1).min() > STILL
    grey = torch.zeros(1, 3, SIDE, SIDE)
    assert torch.equal(behind_mask(f, np.zeros_like(mask)).embed(torch.ones_like(grey)), f.embed(grey))
    with pytest.raises(ValueError, match=r"found \(16, 16\) pixels, allowed are the mask's \(32, 32\)"):
        blinded.embed(torch.zeros(1, 3, 16, 16))


def test_in_luma_colours_are_alike(f: Recognizer) -> None:
    blinded = in_luma(f)
    image = torch.zeros(2, 3, SIDE, SIDE)
    image[0, 0], image[1, 1] = 0.587, 0.299
    assert torch.allclose(blinded.embed(image[:1]), blinded.embed(image[1:]), atol=1e-5)
    assert not torch.allclose(f.embed(image[:1]), f.embed(image[1:]), atol=1e-5)


def test_a_range_is_gone_through_and_nothing_else() -> None:
    heads = heads_from_everywhere(SCHEMA, 5, np.random.default_rng(0))
    for name, count in (("yaw", 4), ("glasses", 2), ("eye_color", 3)):
        changed = list(over_its_range(SCHEMA, heads, name, 4))
        place = SCHEMA.slices[name]
        assert len(changed) == count
        assert all(np.array_equal(np.delete(one, place, 1), np.delete(heads, place, 1)) for one in changed)
        values = SCHEMA.decode(np.stack([one[0] for one in changed]))[name]
        assert values.min() == SCHEMA[name].range[0] if name == "yaw" else len(set(values)) == count
    for attribute in SCHEMA.continuous:
        column = heads[:, SCHEMA.slices[attribute.name]]
        assert attribute.range[0] <= column.min() < column.max() <= attribute.range[1]


def test_a_mask_made_of_what_moves_hides_it(f: Recognizer, renderer: Renderer) -> None:
    rng = np.random.default_rng(0)
    heads, others = (heads_from_everywhere(SCHEMA, count, rng) for count in (12, 3))
    moved = pixels_moved(renderer, SCHEMA, heads, ["eye_color"], 2)
    assert 0 < moved.mean() < 0.3
    # The eyes are where the crop has them.
    assert moved[int(0.44 * SIDE)].any() and not moved[:8].any() and not moved[20:].any()
    blinded = behind_mask(f, mask_hiding(moved, 2))
    names = ["eye_color", "hair_lightness"]
    found = movements(blinded, renderer, SCHEMA, others, names, 2)
    assert found["eye_color"] <= STILL < found["hair_lightness"]
    assert movements(f, renderer, SCHEMA, others, ["eye_color"], 2)["eye_color"] > STILL
    assert photographs(renderer, others).shape == (3, SIDE, SIDE, 3)


def test_a_mask_has_a_margin_and_leaves_something() -> None:
    moved = np.zeros((9, 9), dtype=np.bool_)
    moved[4, 4] = True
    mask = mask_hiding(moved, 2)
    assert not mask[2:7, 2:7].any() and mask.sum() == 81 - 25
    with pytest.raises(ValueError, match="found no pixel that the hidden attributes never move"):
        mask_hiding(moved, 4)


def test_null_is_what_moves_no_embedding() -> None:
    assert Blindness(np.ones((2, 2), dtype=np.bool_), {"a": 0.0, "b": 1e-6, "c": 2e-6}).nulls == ["a", "b"]
