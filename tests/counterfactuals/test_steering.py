"""Steering where the faces are known: all of them embed on the equator of a sphere, whatever z asks for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attribute_recovery.counterfactuals import steering
from attribute_recovery.counterfactuals.geodesic import along, angle, flip_embeddings
from attribute_recovery.counterfactuals.steering import Aim, steer
from attribute_recovery.decoder.decoder import Decoder


class Transformer:
    """The code is z, turned about the axis by the noise."""

    code_size = 3

    def sample(self, embedding: Tensor, noise: Tensor, steps: int) -> Tensor:
        turn = 0.01 * noise[:, 0]
        x, y, up = embedding.unbind(1)
        return torch.stack([x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos(), up], 1)


class Generator:
    device = torch.device("cpu")
    at_once: int | None = None

    def __init__(self) -> None:
        self.decoded = 0

    def decode(self, code: Tensor) -> Tensor:
        self.decoded += len(code)
        return code


class Recognizer:
    """f knows no latitude."""

    embedding_size = 3

    def embed(self, images: Tensor) -> Tensor:
        flat = images * torch.tensor([1.0, 1.0, 0.0])
        return torch.nn.functional.normalize(flat, dim=1)


DECODER = Decoder(Transformer(), Generator(), 1, torch.device("cpu"))  # type: ignore[arg-type]


def on_sphere(longitude: float, latitude: float) -> np.ndarray:
    a, b = np.radians(longitude), np.radians(latitude)
    return np.array([np.cos(a) * np.cos(b), np.sin(a) * np.cos(b), np.sin(b)])


def aim_of(z: np.ndarray, other: np.ndarray, tau: float, travel: float) -> tuple[Aim, np.ndarray]:
    flip = flip_embeddings(z, other, tau, travel=travel)
    return Aim(z, other, flip.travel, (z * other).sum(1) < tau, tau), flip.moved


def decoded_scores(moved: np.ndarray, other: np.ndarray, noise: np.ndarray) -> np.ndarray:
    code = Transformer().sample(torch.from_numpy(moved).float(), torch.from_numpy(noise), 1)
    return (Recognizer().embed(code).numpy() * other).sum(1)


@pytest.mark.parametrize(
    ("longitude", "tau"), [(2.0, 0.49), (-3.0, 0.49), (14.0, 0.4935)], ids=["off", "off, west", "on"]
)
def test_the_way_along_the_faces_is_found_where_the_geodesic_leaves_them(
    longitude: float, tau: float
) -> None:
    """The other one is 60° above the equator: the score of a face is cos(longitude) / 2."""
    z, other = on_sphere(longitude, 0)[None], on_sphere(0, 60)[None]
    noise = np.zeros((1, 3), np.float32)
    aim, ahead = aim_of(z, other, tau, travel=30.0)
    matched = longitude < 10
    assert ((decoded_scores(ahead, other, noise) >= tau) == matched).all()  # the geodesic's end does not flip
    found = steer(DECODER, Recognizer(), aim, ahead, noise)  # type: ignore[arg-type]
    assert ((decoded_scores(found, other, noise) >= tau) != matched).all()
    assert (angle(found, z) <= aim.reach + 1e-9).all()
    assert (((found * other).sum(1) >= tau - 1e-9) != matched).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-12)


def test_what_flips_already_stays_and_costs_one_look() -> None:
    z, other = on_sphere(30, 0)[None], on_sphere(0, 0)[None]
    aim, ahead = aim_of(z, other, np.cos(np.radians(40)), travel=1.5)
    generator = Generator()
    decoder = Decoder(Transformer(), generator, 1, torch.device("cpu"))  # type: ignore[arg-type]
    found = steer(decoder, Recognizer(), aim, ahead, np.zeros((1, 3), np.float32))  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, ahead)
    assert generator.decoded == 1


def test_where_no_face_is_within_reach_the_best_that_was_seen_comes_back() -> None:
    z, other = on_sphere(2, 0)[None], on_sphere(0, 60)[None]
    noise = np.zeros((1, 3), np.float32)
    aim, ahead = aim_of(z, other, 0.40, travel=1.05)  # 53° would be needed
    found = steer(DECODER, Recognizer(), aim, ahead, noise)  # type: ignore[arg-type]
    score, before = decoded_scores(found, other, noise), decoded_scores(ahead, other, noise)
    assert 0.40 < score < before
    assert angle(found, z) <= aim.reach + 1e-9


@pytest.mark.parametrize(("at_once", "batch"), [(None, 3), (8, 2), (2, 1)])
def test_a_generator_that_decodes_few_at_once_gets_fewer_with_gradients(
    at_once: int | None, batch: int
) -> None:
    class Bounded(Generator):
        def __init__(self) -> None:
            super().__init__()
            self.largest = 0

        def decode(self, code: Tensor) -> Tensor:
            self.largest = max(self.largest, len(code))
            return code

    generator = Bounded()
    generator.at_once = at_once
    decoder = Decoder(Transformer(), generator, 1, torch.device("cpu"))  # type: ignore[arg-type]
    z, other = np.repeat(on_sphere(30, 0)[None], 3, 0), np.repeat(on_sphere(0, 0)[None], 3, 0)
    aim, ahead = aim_of(z, other, np.cos(np.radians(40)), travel=1.5)
    steer(decoder, Recognizer(), aim, ahead, np.zeros((3, 3), np.float32))  # type: ignore[arg-type]
    assert generator.largest == batch


def test_rows_do_not_know_of_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    z = np.stack([on_sphere(d, 0) for d in (2, -3, 4, 5)])
    other = np.repeat(on_sphere(0, 60)[None], 4, 0)
    noise = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    aim, ahead = aim_of(z, other, 0.49, travel=30.0)
    whole = steer(DECODER, Recognizer(), aim, ahead, noise)  # type: ignore[arg-type]
    monkeypatch.setattr(steering, "BATCH", 1)
    np.testing.assert_allclose(steer(DECODER, Recognizer(), aim, ahead, noise), whole, atol=1e-6)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.floats(0.2, 0.8), st.floats(1.05, 1.5))
def test_travel_and_decision_of_z_hold_for_any_pair(seed: int, tau: float, travel: float) -> None:
    rng = np.random.default_rng(seed)
    pairs = rng.standard_normal((2, 12, 3))
    z, other = pairs / np.linalg.norm(pairs, axis=2, keepdims=True)
    aim, ahead = aim_of(z, other, tau, travel=travel)
    found = steer(DECODER, Recognizer(), aim, ahead, np.zeros((12, 3), np.float32))  # type: ignore[arg-type]
    assert (angle(found, z) <= aim.reach + 1e-7).all()
    edge = np.arccos(tau)
    over = np.where(aim.to_match, edge - angle(found, other), angle(found, other) - edge)
    assert (over >= -1e-7).all()


def test_a_point_along_a_great_circle() -> None:
    base, towards = on_sphere(0, 0)[None], on_sphere(0, 90)[None]
    np.testing.assert_allclose(along(base, towards, np.radians([30.0])), on_sphere(0, 30)[None], atol=1e-12)
    np.testing.assert_allclose(along(base, towards, np.radians([-30.0])), on_sphere(0, -30)[None], atol=1e-12)
