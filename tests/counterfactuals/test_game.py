"""The game of a pair where edits do what they say and the score is the cosine of a difference of angles."""

import math
from dataclasses import replace

import numpy as np
import pytest

from attribute_recovery.counterfactuals import game as games
from attribute_recovery.counterfactuals.game import EditGame, edit_game, read_codes

DEGREES = {"jaw": 40.0, "nose": 20.0, "glasses": 15.0, "long": 10.0, "age": 25.0}
STEP = 0.005  # of a byte, with which readings are rounded


@pytest.fixture
def faces(world, material):  # type: ignore[no-untyped-def]
    """Four test images, all attributes different."""
    attributes = np.stack(
        [
            world.encoded(jaw=0.5, nose=-0.2, glasses=1, hair=1, age=0.4),
            world.encoded(jaw=-0.3, nose=0.6, glasses=0, hair=0, age=-0.4),
            world.encoded(jaw=-0.3, nose=-0.2, glasses=1, hair=2),
            world.encoded(jaw=0.97, nose=-0.98, brow=0.2),
        ]
    )
    return material(attributes, list("abcd"), 0.5, **DEGREES)


def pair(made, first: int, second: int) -> EditGame:  # type: ignore[no-untyped-def]
    return edit_game(made, np.array([first]), np.array([second]))


def test_players_are_the_editable_attributes(faces) -> None:  # type: ignore[no-untyped-def]
    game = pair(faces, 0, 1)
    assert [player.name for player in game.players] == ["jaw", "nose", "brow", "glasses", "hair"]
    assert game.columns.sum(1).tolist() == [1, 1, 1, 1, 3]
    assert not game.columns[:, -1].any()  # age


def test_those_play_in_which_the_images_differ(faces) -> None:  # type: ignore[no-untyped-def]
    assert pair(faces, 0, 1).playing.tolist() == [[True, True, False, True, True]]
    assert pair(faces, 0, 2).playing.tolist() == [[True, False, False, False, True]]


def test_those_do_not_play_that_are_read_apart_by_no_more_than_the_readings_error(faces) -> None:  # type: ignore[no-untyped-def]
    faces.estimator.sd = 0.5  # jaw and nose differ by 0.8
    game = pair(faces, 0, 1)
    np.testing.assert_allclose(game.apart[0, :3], [1.6, 1.6, 0], atol=0.02)
    assert game.playing.tolist() == [[True, True, False, True, True]]
    faces.estimator.sd = 0.9
    game = pair(faces, 0, 1)
    assert game.playing.tolist() == [[False, False, False, True, True]]
    assert game.differing.tolist() == [[True, True, False, True, True]]


def test_the_attribute_that_is_read_farthest_apart_plays_in_any_case(world, material) -> None:  # type: ignore[no-untyped-def]
    made = material(np.stack([world.encoded(jaw=0.3, nose=0.1), world.encoded(jaw=-0.3)]), list("ab"), 0.5)
    made.estimator.sd = 2.0
    assert pair(made, 0, 1).playing.tolist() == [[True, False, False, False, False]]
    assert not pair(made, 0, 0).playing.any()  # equal images differ in nothing


def test_real_images_decide_who_plays(faces) -> None:  # type: ignore[no-untyped-def]
    """G has made the noses unequal, and E has overlooked that the jaws are."""
    codes = faces.codes.copy()
    codes[2, :2] = codes[0, 0], 0.6
    assert pair(replace(faces, codes=codes), 0, 2).playing.tolist() == [[False, False, False, False, True]]


def test_differences_are_in_standard_deviations_and_classes_are_another_or_not(faces, world) -> None:  # type: ignore[no-untyped-def]
    game = pair(faces, 0, 1)
    np.testing.assert_allclose(game.differences, [[0.8, 0.8, 0, 1, 1]], atol=2 * STEP)
    wide = world.StubEditor()
    wide.scales[0] = 4.0
    assert replace(game, editor=wide).differences[0, 0] == pytest.approx(0.2, abs=STEP)


def test_a_coalition_is_worth_the_score_with_its_attributes_made_equal(faces, world) -> None:  # type: ignore[no-untyped-def]
    game = pair(faces, 0, 1)
    members = np.array(
        [[False] * 5, [True, False, False, False, False], [False, True, True, True, False], [True] * 5]
    )
    worths = game.worth(np.zeros(4, np.int64), members)
    difference = {"jaw": 40 * 0.8, "nose": 20 * -0.8, "glasses": 15.0, "hair": 10.0}
    age = 25 * 0.8  # cannot be edited, so no coalition takes it away
    whole = sum(difference.values()) + age
    expected = [whole, whole - difference["jaw"], difference["jaw"] + difference["hair"] + age, age]
    np.testing.assert_allclose(worths, np.cos(np.radians(expected)), atol=0.005)


def test_nobody_is_worth_the_score_of_the_reconstructions(faces, world) -> None:  # type: ignore[no-untyped-def]
    codes = faces.codes.copy()
    codes[:2, 0] = 0.1, 0.3  # E has not seen the jaws, so G's score is another than the real one
    game = pair(replace(faces, codes=codes), 0, 1)
    none = game.worth(np.zeros(1, np.int64), np.zeros((1, 5), bool))[0]
    assert none == pytest.approx(math.cos(math.radians(40 * -0.2 + 20 * -0.8 + 15 + 10 + 20)), abs=1e-6)
    np.testing.assert_allclose(game.current[0], codes[0], atol=STEP)
    np.testing.assert_allclose(game.wanted[0], codes[1], atol=STEP)  # not what the real image shows
    np.testing.assert_array_equal(game.current, read_codes(faces, codes[:1]))


def test_edits_stay_in_the_observed_range_or_as_far_out_as_the_image_is(faces) -> None:  # type: ignore[no-untyped-def]
    """The range ends at ±0.9, the fourth image lies outside in jaw and nose."""
    inwards = pair(faces, 3, 0)
    np.testing.assert_allclose(inwards.wanted[0, :2], [0.5, -0.2], atol=STEP)
    outwards = pair(faces, 0, 3)
    np.testing.assert_allclose(outwards.wanted[0, :2], [0.9, -0.9], atol=1e-6)
    farther = replace(faces, codes=np.stack([faces.codes[3], faces.codes[3] * np.float32(1.02)]))
    assert pair(farther, 0, 1).playing[0, :2].tolist() == [False, False]
    assert pair(farther, 1, 0).playing[0, :2].tolist() == [True, True]


def test_worths_do_not_depend_on_the_batch(faces, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    game = edit_game(faces, np.array([0, 1, 2]), np.array([1, 2, 3]))
    rng = np.random.default_rng(1)
    numbers, members = rng.integers(3, size=50), rng.random((50, 5)) < 0.5
    whole = game.worth(numbers, members)
    monkeypatch.setattr(games, "BATCH", 7)
    np.testing.assert_allclose(game.worth(numbers, members), whole, atol=1e-6)
