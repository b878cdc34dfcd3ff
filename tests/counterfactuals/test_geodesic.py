"""Moves on the sphere: closed forms in the plane, properties in any dimension, degenerate points."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attribute_recovery.counterfactuals.geodesic import angle, flip_embeddings, tangent

TAUS = st.floats(-0.95, 0.95)
TRAVELS = st.floats(1.0, 2.5)


def plane(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def on_sphere(count: int, size: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((count, size))
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def cosine_of_degrees(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def test_angles_of_the_plane_are_exact_where_the_arc_cosine_is_not() -> None:
    degrees = np.array([0, 1e-7, 1, 45, 90, 135, 179.9999, 180])
    found = np.degrees(angle(plane(*np.zeros(8)), plane(*degrees)))
    np.testing.assert_allclose(found, degrees, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize(
    ("start", "edge", "travel", "end"),
    [
        (20, 60, 1.0, 60),  # to a non-match: away from the other
        (20, 60, 1.5, 80),
        (100, 60, 1.0, 60),  # to a match: towards the other
        (100, 60, 1.5, 40),
        (60, 60, 1.5, 60),  # on the edge there is nowhere to go
        (100, 60, 4.0, 0),  # never beyond the other itself
        (20, 100, 3.0, 180),  # nor beyond its antipode
    ],
)
@pytest.mark.parametrize("side", [1, -1])
def test_moves_in_the_plane(start: float, edge: float, travel: float, end: float, side: int) -> None:
    flip = flip_embeddings(plane(30 + side * start), plane(30), cosine_of_degrees(edge), travel=travel)
    np.testing.assert_allclose(flip.moved, plane(30 + side * end), atol=1e-12)
    assert np.degrees(flip.closed_form)[0] == pytest.approx(abs(edge - start), abs=1e-9)
    assert np.degrees(flip.travel)[0] == pytest.approx(abs(end - start), abs=1e-9)


@settings(deadline=None, max_examples=80)
@given(st.integers(2, 40), st.integers(0, 2**31), TAUS, TRAVELS)
def test_moved_embeddings_lie_on_the_geodesic_at_the_right_angle(
    size: int, seed: int, tau: float, travel: float
) -> None:
    z, other = on_sphere(6, size, seed), on_sphere(6, size, seed + 1)
    flip = flip_embeddings(z, other, tau, travel=travel)
    start, edge = angle(z, other), np.arccos(tau)
    end = np.clip(start + travel * (edge - start), 0, np.pi)
    np.testing.assert_allclose(np.linalg.norm(flip.moved, axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(angle(flip.moved, other), end, atol=1e-7)
    # The angles to both ends add up (or differ) as they only do on the geodesic through them.
    np.testing.assert_allclose(angle(flip.moved, z), flip.travel, atol=1e-7)
    np.testing.assert_allclose(flip.closed_form, np.abs(edge - start), atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 4), st.integers(0, 2**31), TAUS, st.floats(1.001, 1.5))
def test_the_decision_flips_nowhere_nearer_than_the_closed_form(
    size: int, seed: int, tau: float, travel: float
) -> None:
    z, other = on_sphere(1, size, seed), on_sphere(1, size, seed + 1)
    matched = (z * other).sum() >= tau
    everywhere = on_sphere(3000, size, seed + 2)
    everywhere = np.concatenate([everywhere, _near(z, seed)])
    flipped = everywhere[((everywhere * other).sum(1) >= tau) != matched]
    flip = flip_embeddings(z, other, tau, travel=travel)
    if len(flipped):
        nearest = angle(flipped, np.repeat(z, len(flipped), 0)).min()
        assert nearest >= flip.closed_form[0] - 1e-9
        if len(flipped) > 1000 and size == 2:
            assert nearest == pytest.approx(flip.closed_form[0], abs=0.05)
    assume(flip.closed_form[0] > 1e-6)
    assert ((flip.moved * other).sum() >= tau) != matched


def _near(z: np.ndarray, seed: int) -> np.ndarray:
    steps = np.random.default_rng(seed).standard_normal((2000, z.shape[1]))
    points = z + steps * np.random.default_rng(seed + 1).uniform(0, 1, (2000, 1))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@settings(deadline=None, max_examples=80)
@given(st.integers(2, 30), st.integers(0, 2**31), st.floats(0, 1e-5))
def test_tangents_are_unit_and_orthogonal_however_near_the_points(
    size: int, seed: int, distance: float
) -> None:
    base, towards = on_sphere(5, size, seed), on_sphere(5, size, seed + 1)
    for goal in (towards, base + distance * towards, -base + distance * towards):
        goal = goal / np.linalg.norm(goal, axis=1, keepdims=True)
        found = tangent(base, goal)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-12)
        np.testing.assert_allclose((found * base).sum(1), 0, atol=1e-12)
        assert ((found * goal).sum(1) >= -2e-9).all()  # nearer than 1e-9, any direction is taken


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("tau", [-0.4, 0.0, 0.3, 0.9])
def test_an_embedding_against_itself_and_its_antipode(dtype: type, sign: float, tau: float) -> None:
    """Every direction is as good as any; float32 embeddings are not quite of length 1, nor quite opposite."""
    other = on_sphere(50, 64, 3).astype(dtype).astype(np.float64)
    z = sign * other
    flip = flip_embeddings(z, other, tau, travel=1.2)
    full = np.arccos(tau) if sign > 0 else np.pi - np.arccos(tau)
    np.testing.assert_allclose(flip.closed_form, full, atol=1e-6)
    np.testing.assert_allclose(angle(flip.moved, flip_unit(z)), min(1.2 * full, np.pi), atol=1e-6)
    assert (((flip.moved * other).sum(1) >= tau) == (sign < 0)).all()


def flip_unit(z: np.ndarray) -> np.ndarray:
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def test_no_pairs_give_no_moves() -> None:
    assert flip_embeddings(np.zeros((0, 3)), np.zeros((0, 3)), 0.3, travel=1.5).moved.shape == (0, 3)


Z = plane(0, 90)


@pytest.mark.parametrize(
    ("z", "other", "tau", "travel", "sentence"),
    [
        (Z, Z, 1.0, 1.5, "tau: found 1.0, allowed is a cosine between -1 and 1"),
        (Z, Z, -1.0, 1.5, "tau: found -1.0"),
        (Z, Z, math.nan, 1.5, "tau: found nan"),
        (Z, Z, 0.3, 0.99, "travel: found 0.99, allowed is a finite number of 1 or more"),
        (Z, Z, 0.3, math.nan, "travel: found nan"),
        (Z, Z, 0.3, math.inf, "travel: found inf"),
        (Z, Z[:1], 0.3, 1.5, r"z and other: found shapes \(2, 2\) and \(1, 2\)"),
        (Z[:, :1], Z[:, :1], 0.3, 1.5, r"allowed is \(n, d\) for both"),
        (2 * Z, Z, 0.3, 1.5, "z: found a vector of length 2.0, allowed is 1"),
        (Z, 0 * Z, 0.3, 1.5, "other: found a vector of length 0.0, allowed is 1"),
        (Z, np.nan * Z, 0.3, 1.5, "other: found a vector of length nan, allowed is 1"),
    ],
)
def test_what_is_refused(z: np.ndarray, other: np.ndarray, tau: float, travel: float, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        flip_embeddings(z, other, tau, travel=travel)
