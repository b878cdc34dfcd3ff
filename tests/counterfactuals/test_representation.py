"""Representation counterfactuals where T and G are known: jaw is the embedding's angle over 90°."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from attribute_recovery.counterfactuals.representation import representation_counterfactuals
from attribute_recovery.decoder.decoder import Decoder

TAU = math.cos(math.radians(30))
DEGREES = (0, 10, 80, 20, 110)


def moved(  # type: ignore[no-untyped-def]
    world: SimpleNamespace,
    first,
    second,
    *,
    transformer=None,
    travel=1.4,
    n_samples=3,
    angle=None,
    degrees=DEGREES,
):
    generator = world.StubGenerator()
    decoder = Decoder(transformer or world.StubTransformer(), generator, 1, torch.device("cpu"))
    recognizer = world.StubRecognizer(angle or world.linear(jaw=90))
    return representation_counterfactuals(
        decoder,
        recognizer,
        world.StubEstimator(),
        world.at(*degrees),
        np.array(first),
        np.array(second),
        TAU,
        travel=travel,
        n_samples=n_samples,
        seed=5,
    )


def test_a_perfect_decoder_flips_every_pair_at_the_angle_of_the_closed_form(world) -> None:
    table = moved(world, [1, 2, 4], [0, 0, 3]).table
    assert table["direction"].tolist() == ["to_non_match", "to_match", "to_match"]
    assert table["kept"].all()
    assert table["flipped"].all()
    np.testing.assert_allclose(table["closed_form"], [20, 50, 60], atol=1e-4)
    np.testing.assert_allclose(table["travel"], [28, 70, 84], atol=1e-4)
    np.testing.assert_allclose(table["score"], np.cos(np.radians([10, 80, 90])), atol=1e-6)
    np.testing.assert_allclose(table["score_target"], np.cos(np.radians([38, 10, 6])), atol=1e-6)
    np.testing.assert_allclose(table["score_unmoved"], table["score"], atol=1e-6)
    np.testing.assert_allclose(table["score_after"], table["score_target"], atol=1e-6)


def test_the_explanation_is_the_change_that_the_move_makes(world) -> None:
    table = moved(world, [1, 2], [0, 0]).table
    np.testing.assert_allclose(table["change.jaw"], [28 / 90, -70 / 90], atol=1e-5)
    others = [name for name in table if name.startswith("change.") and name != "change.jaw"]
    assert others == ["change.nose", "change.brow", "change.glasses"] + [
        f"change.hair.{name}" for name in ("short", "long", "curly")
    ] + ["change.age"]
    assert (table[others] == 0).all(axis=None)


def test_common_noise_cancels_in_the_explanation(world) -> None:
    """With noise of their own the two samples' jaw would differ by several times the change."""
    table = moved(world, [1, 2], [0, 0], transformer=world.StubTransformer(spread=5.0), n_samples=6).table
    np.testing.assert_allclose(table["change.jaw"], [28 / 90, -70 / 90], atol=1e-4)
    np.testing.assert_allclose(table["change_se.jaw"], 0, atol=1e-5)


def test_the_standard_error_is_that_of_the_samples_mean(world) -> None:
    class Scaled(world.StubTransformer):  # type: ignore[misc, name-defined]
        """The noise scales what the angle does, so that samples differ in their change."""

        def sample(self, embedding: torch.Tensor, noise: torch.Tensor, steps: int) -> torch.Tensor:
            code = super().sample(embedding, noise, steps)
            code[:, 0] *= noise[:, 0]
            return code

    def of(n_samples: int) -> pd.DataFrame:
        return moved(world, [1], [0], transformer=Scaled(), n_samples=n_samples).table

    table = of(400)
    assert table["change_se.jaw"][0] == pytest.approx(28 / 90 / math.sqrt(400), rel=0.15)
    assert abs(table["change.jaw"][0]) < 4 * table["change_se.jaw"][0]
    assert math.isnan(of(1)["change_se.jaw"][0])


def test_a_pair_whose_unmoved_decode_has_changed_sides_counts_as_failed(world) -> None:
    """T is off by 45°: the genuine pair at 10° decodes as a non-match at once, and stays one when moved."""
    table = moved(world, [1, 2], [0, 0], transformer=world.StubTransformer(bias=0.5)).table
    np.testing.assert_allclose(table["score_unmoved"], np.cos(np.radians([55, 125])), atol=1e-6)
    assert table["kept"].tolist() == [False, True]
    np.testing.assert_allclose(table["score_after"], np.cos(np.radians([83, 55])), atol=1e-6)
    assert table["flipped"].tolist() == [False, False]  # 83° is a non-match, but was one before


def test_a_decode_that_falls_short_is_not_a_flip(world) -> None:
    """f moves half as far as z: at 1.4 times the closed form the decoded image is still on its side."""
    table = moved(world, [1, 2], [0, 0], angle=world.linear(jaw=45)).table
    assert table["kept"].tolist() == [True, True]  # 5° and 40°
    assert table["flipped"].tolist() == [False, True]  # 19° is no non-match, 5° a match
    assert moved(world, [1], [0], angle=world.linear(jaw=45), travel=3.0).table["flipped"].tolist() == [True]


def test_an_image_that_cannot_be_embedded_is_neither_kept_nor_flipped(world) -> None:
    def angle(attributes: torch.Tensor) -> torch.Tensor:
        return torch.where(attributes[:, 0] > 0.3, torch.nan, 90 * attributes[:, 0])

    table = moved(world, [1, 2], [0, 0], angle=angle).table
    assert table["kept"].tolist() == [True, False]
    assert table["flipped"].tolist() == [False, False]


def test_codes_are_those_of_the_first_sample(world) -> None:
    result = moved(world, [1, 2], [0, 0])
    np.testing.assert_allclose(result.before[:, 0], [10 / 90, 80 / 90], atol=1e-6)
    np.testing.assert_allclose(result.after[:, 0], [38 / 90, 10 / 90], atol=1e-6)


def test_equal_embeddings_of_two_images_are_moved_too(world) -> None:
    table = moved(world, [0, 1], [1, 0], degrees=(33.3, 33.3)).table
    assert table["flipped"].all()
    np.testing.assert_allclose(table["travel"], 42, atol=1e-3)


@pytest.mark.parametrize("differentiable", [True, False])
def test_where_the_geodesic_leaves_the_faces_z_is_steered_if_f_has_gradients(
    world: SimpleNamespace, differentiable: bool
) -> None:
    """All faces embed on the equator of a sphere, the other one 60° above it: straight away is down."""

    class Transformer:
        code_size = world.schema.width

        def sample(self, embedding: torch.Tensor, noise: torch.Tensor, steps: int) -> torch.Tensor:
            return torch.nn.functional.pad(embedding, (0, self.code_size - 3))

    class Recognizer:
        embedding_size = 3

        def __init__(self) -> None:
            self.differentiable = differentiable

        def embed(self, images: torch.Tensor) -> torch.Tensor:
            flat = images.reshape(len(images), -1)[:, :3] * torch.tensor([1.0, 1.0, 0.0])
            return torch.nn.functional.normalize(flat, dim=1)

    def on_sphere(longitude: float, latitude: float) -> list[float]:
        a, b = math.radians(longitude), math.radians(latitude)
        return [math.cos(a) * math.cos(b), math.sin(a) * math.cos(b), math.sin(b)]

    embeddings = np.array([on_sphere(2, 0), on_sphere(-3, 0), on_sphere(0, 60)], np.float32)
    table = representation_counterfactuals(
        Decoder(Transformer(), world.StubGenerator(), 1, torch.device("cpu")),  # type: ignore[arg-type]
        Recognizer(),  # type: ignore[arg-type]
        world.StubEstimator(),
        embeddings,
        np.array([0, 1]),
        np.array([2, 2]),
        0.49,
        travel=30.0,
        n_samples=2,
        seed=5,
    ).table
    assert table["kept"].all()
    assert not table["flipped_on_geodesic"].any()
    assert (table["flipped"] == differentiable).all()
    assert (table["flipped_samples"] == float(differentiable)).all()
    assert (table["travel"] <= 30.0 * table["closed_form"] + 1e-4).all()
    assert (table["score_target"] <= 0.49 + 1e-6).all()
