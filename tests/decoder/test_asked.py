"""Embeddings that T is asked for: on the sphere, of three kinds, as far as they may go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribute_recovery.decoder import asked
from attribute_recovery.decoder.asked import AWAY_FROM_OWN, TOWARDS_OTHERS, asked_embeddings, moved_towards


def on_sphere(count: int, size: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((count, size)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def people(count: int, images: int) -> np.ndarray:
    return np.array([f"p{i // images}" for i in range(count)], dtype=object)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(2, 9))
def test_all_have_length_one(seed: int, count: int, size: int) -> None:
    found = asked_embeddings(on_sphere(12, size, seed), people(12, 3), count, np.random.default_rng(seed))
    assert found.shape == (count, size) and found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_a_third_is_of_the_split_and_the_others_stay_within_their_reach() -> None:
    z = on_sphere(60, 32, 0)
    found = asked_embeddings(z, people(60, 4), 3000, np.random.default_rng(1))
    nearest = np.arccos(np.clip((found @ z.T).max(1), -1, 1))
    # and a quarter of a third has no other image of the person than itself
    assert (nearest < 1e-3).mean() == pytest.approx(1 / 3 + 1 / 12, abs=0.03)
    assert nearest.max() <= max(TOWARDS_OTHERS, AWAY_FROM_OWN) + 1e-3
    assert (nearest > 0.3).mean() > 0.3


def test_people_are_left_away_from_their_own_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people in one plane each: what leaves an image away from the other has turned the other way."""
    angles = np.radians([0.0, 20.0])
    first = np.stack([np.cos(angles), np.sin(angles), 0 * angles, 0 * angles], 1)
    z = np.concatenate([first, first[:, [2, 3, 0, 1]]]).astype(np.float32)
    monkeypatch.setattr(asked, "TOWARDS_OTHERS", 0.0)
    found = asked_embeddings(z, people(4, 2), 4000, np.random.default_rng(2))
    own = found[np.abs(found[:, 2:]).max(1) < 1e-6]
    turned = np.degrees(np.arctan2(own[:, 1], own[:, 0]))
    away = turned[(turned < -1e-3) | (turned > 20.001)]
    assert len(away) == pytest.approx(4000 / 3 / 2 / 2, rel=0.15)  # of two people, half with another image
    assert away.min() >= -np.degrees(AWAY_FROM_OWN) - 1e-3
    assert away.max() <= 20 + np.degrees(AWAY_FROM_OWN) + 1e-3
    assert not ((turned > 0.001) & (turned < 19.999)).any()  # nothing between two images of a person


def test_the_only_image_of_a_person_is_not_moved_away_from_itself() -> None:
    z = on_sphere(1, 5, 3)
    found = asked_embeddings(z, people(1, 1), 50, np.random.default_rng(0))
    np.testing.assert_allclose(found, np.repeat(z, 50, 0), atol=1e-6)


def test_a_move_goes_by_its_angle_towards_the_other_or_away() -> None:
    z, other = np.float32([[1, 0, 0]] * 3), np.float32([[0, 2, 0], [0, 1, 0], [1, 0, 0]])
    found = moved_towards(z, other, np.radians([30.0, -30.0, 30.0]))
    half = np.sqrt(3) / 2
    np.testing.assert_allclose(found, [[half, 0.5, 0], [half, -0.5, 0], [1, 0, 0]], atol=1e-6)
