"""Landmarks land on the template, crops keep what they show, and crops that lie apart are told."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from attribute_recovery.dataset import alignment
from attribute_recovery.dataset.alignment import ALIGNED_SPREAD, similarities, template_points, warp

Images = npt.NDArray[np.uint8]


def umeyama(source: npt.NDArray[np.float64], target: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The paper's closed form by singular values, without reflection: (2, 3)."""
    n = len(source)
    p, q = source - source.mean(0), target - target.mean(0)
    u, d, vt = np.linalg.svd(q.T @ p / n)
    sign = np.diag([1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ sign @ vt
    scale = np.trace(np.diag(d) @ sign) / ((p**2).sum() / n)
    return np.column_stack([scale * rotation, target.mean(0) - scale * rotation @ source.mean(0)])


@settings(max_examples=60, deadline=None)
@given(
    angle=st.floats(-3.1, 3.1),
    scale=st.floats(0.05, 20),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_a_moved_template_is_brought_back(angle: float, scale: float, shift: tuple[float, float]) -> None:
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    points = scale * template_points(64) @ rotation.T + shift
    found = similarities(points[None], 64)
    back = points @ found.matrices[0, :, :2].T + found.matrices[0, :, 2]
    np.testing.assert_allclose(back, template_points(64), atol=1e-8)
    np.testing.assert_allclose(found.scales, 1 / scale, rtol=1e-9)
    assert found.residuals[0] < 1e-9


def test_noisy_landmarks_agree_with_umeyama_s_closed_form() -> None:
    rng = np.random.default_rng(4)
    points = template_points(112) * 2 + 30 + rng.normal(0, 4, (20, 5, 2))
    found = similarities(points, 112)
    for i in range(20):
        np.testing.assert_allclose(found.matrices[i], umeyama(points[i], template_points(112)), atol=1e-9)
    moved = points @ found.matrices[:, :, :2].swapaxes(1, 2) + found.matrices[:, None, :, 2]
    off = np.sqrt(((moved - template_points(112)) ** 2).sum(2).mean(1)) / 112
    np.testing.assert_allclose(found.residuals, off, rtol=1e-9)


def test_landmarks_that_say_nothing_give_nothing() -> None:
    points = np.stack([np.full((5, 2), 7.0), np.full((5, 2), np.nan)])
    found = similarities(points, 64)
    assert np.isnan(found.matrices).all()
    assert np.isnan(found.scales).all()


def test_a_template_of_another_side_has_the_same_places() -> None:
    np.testing.assert_array_equal(template_points(112), alignment.ARCFACE)
    np.testing.assert_allclose((template_points(64) + 0.5) / 64, (template_points(256) + 0.5) / 256)
    told = alignment.crop_template("arcface")
    np.testing.assert_allclose(told["points"], (template_points(64) + 0.5) / 64, atol=1e-6)
    assert told["template"] == "arcface"
    assert told["eye_level"] == pytest.approx((51.6963 + 51.5014 + 1) / 2 / 112, abs=1e-5)
    assert told["eye_span"] == pytest.approx(math.hypot(73.5318 - 38.2946, 51.6963 - 51.5014) / 112, abs=1e-5)
    unknown = alignment.crop_template("unknown")
    assert unknown == {"template": "as given", "points": None, "eye_level": None, "eye_span": None}


def test_a_transform_that_moves_nothing_returns_the_image(faces: Images) -> None:
    np.testing.assert_array_equal(warp(faces[0], np.eye(2, 3), 64), faces[0])
    shifted = warp(faces[0], np.array([[1.0, 0, 3], [0, 1.0, -5]]), 64)
    np.testing.assert_array_equal(shifted[:59, 3:], faces[0][5:, :61])
    assert (shifted[59:] == 0).all() and (shifted[:, :3] == 0).all()


@pytest.mark.parametrize(("angle", "scale"), [(0.3, 3.3), (-0.6, 2.0), (1.2, 1.4)])
def test_a_face_laid_into_an_image_comes_out_as_it_was(faces: Images, angle: float, scale: float) -> None:
    """Laid in by Pillow's own transform, from corners of pixels; taken out by its landmarks."""
    side = 360
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = np.array([170.3, 190.8])
    # Face corner coordinates f lie at: rotation * scale * (f - 32) + middle.
    inverse = rotation.T / scale
    start = 32 - inverse @ middle
    scene = Image.fromarray(faces[2]).transform(
        (side, side),
        Image.Transform.AFFINE,
        (*inverse[0], start[0], *inverse[1], start[1]),
        Image.Resampling.BICUBIC,
    )
    landmarks = (template_points(64) + 0.5 - 32) @ (rotation * scale).T + middle - 0.5
    found = similarities(landmarks[None], 64)
    assert found.residuals[0] < 1e-9
    crop = warp(np.asarray(scene), found.matrices[0], 64)
    inside = np.abs(crop.astype(int) - faces[2].astype(int))[8:-8, 8:-8]
    assert inside.mean() < 3.0


def test_a_crop_made_large_and_shrunk_is_the_crop_made_small(faces: Images) -> None:
    """So the template's places do not depend on the side, half a pixel included."""
    landmarks = template_points(200) + 13.25
    scene = np.asarray(Image.fromarray(faces[5]).resize((240, 240), Image.Resampling.BICUBIC))
    small, large = (warp(scene, similarities(landmarks[None], side).matrices[0], side) for side in (32, 128))
    shrunk = np.asarray(Image.fromarray(large).resize((32, 32), Image.Resampling.BICUBIC))
    assert np.abs(shrunk.astype(int) - small.astype(int)).mean() < 1.5


def test_shrinking_averages_and_does_not_pass_over_pixels() -> None:
    stripes = np.zeros((320, 320, 3), np.uint8)
    stripes[:, ::2] = 255
    for crop in (
        warp(stripes, np.array([[0.1, 0, 0], [0, 0.1, 0]]), 32),
        alignment.crop_given(stripes, 32, "centre")[0],
    ):
        assert np.abs(crop[4:-4, 4:-4].astype(int) - 127.5).max() < 8


def test_landmarks_that_make_no_sense_do_not_fill_the_memory() -> None:
    tiny = np.array([[1e-6, 0, 0], [0, 1e-6, 0]])
    assert warp(np.zeros((50, 50, 3), np.uint8), tiny, 64).shape == (64, 64, 3)


def test_given_crops_take_the_middle_or_all() -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, :20] = 255  # a quarter, outside of the middle square
    crop, shorter = alignment.crop_given(image, 40, "centre")
    assert crop.shape == (40, 40, 3) and crop.max() == 0 and shorter == 40
    stretched, shorter = alignment.crop_given(image, 40, "stretch")
    assert (stretched[:, :9] == 255).all() and (stretched[:, 11:] == 0).all() and shorter == 40
    np.testing.assert_array_equal(alignment.crop_given(image[:, :40], 40, "centre")[0], image[:, :40])


def test_a_box_is_cut_out_as_a_square_round_it() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[30:50, 60:70] = 255
    crop, shorter = alignment.crop_given(image, 20, "centre", np.array([60.0, 30, 10, 20]))
    assert shorter == 20
    assert (crop[:, 5:15] == 255).all() and (crop[:, :5] == 0).all() and (crop[:, 15:] == 0).all()
    outside, shorter = alignment.crop_given(image, 20, "stretch", np.array([90.0, 90, 20, 20]))
    assert outside.shape == (20, 20, 3) and shorter == 20


def moved(images: Images, sd: float, seed: int) -> Images:
    """Each image moved by chance, a standard deviation in units of the side; black comes in."""
    rng = np.random.default_rng(seed)
    side = images.shape[1]
    steps = np.clip(rng.normal(0, sd * side, (len(images), 2)), -0.18 * side, 0.18 * side)
    matrices = [np.array([[1, 0, x], [0, 1, y]]) for x, y in steps]
    return np.stack([warp(image, matrix, side) for image, matrix in zip(images, matrices, strict=True)])


@pytest.mark.parametrize("seed", range(3))
def test_crops_that_lie_apart_are_told_from_aligned_ones(faces: Images, seed: int) -> None:
    """The default world's own crops, and the same moved: the spread is near the move's deviation."""
    assert alignment.alignment_spread(faces) < 0.6 * ALIGNED_SPREAD
    several = np.concatenate([moved(faces, 0.06, 10 * seed + i) for i in range(3)])
    found = alignment.alignment_spread(several)
    assert found > ALIGNED_SPREAD
    assert 0.04 < found < 0.08


def test_the_spread_is_of_moves_and_not_of_where_all_are(faces: Images) -> None:
    together = np.stack([warp(face, np.array([[1, 0, 6.0], [0, 1, -4.0]]), 64) for face in faces])
    assert alignment.alignment_spread(together) < 0.75 * ALIGNED_SPREAD
    assert alignment.alignment_spread(np.repeat(faces[:1], 4, axis=0)) == 0.0
    assert alignment.alignment_spread(np.zeros((2, 32, 32, 3), np.uint8)) == 0.0
