"""Eyes are found where the other template has them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribute_recovery.recognizer.template import (
    SAME,
    Template,
    eyes,
    outside_share,
    read_images_template,
    similarity,
    template_words,
)

PLACES = st.builds(Template, st.floats(0.2, 0.6), st.floats(0.1, 0.6))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(crop=PLACES, images=PLACES)
def test_the_similarity_takes_both_eyes_to_both_eyes(crop: Template, images: Template) -> None:
    matrix = similarity(crop, images)
    places = eyes(crop)
    if matrix is None:
        assert np.abs(places - eyes(images)).max() <= SAME
        return
    assert np.allclose(places @ matrix[:, :2].T + matrix[:, 2], eyes(images), atol=1e-9)
    turn = matrix[:, :2]
    assert np.allclose(turn @ turn.T, np.eye(2) * np.linalg.det(turn))
    assert np.linalg.det(turn) > 0


def test_the_arcface_template_is_the_published_one() -> None:
    places = eyes("arcface") * 112 - 0.5
    assert np.allclose(places, [[38.2946, 51.6963], [73.5318, 51.5014]])
    level, span = places[:, 1].mean(), np.linalg.norm(places[1] - places[0])
    assert similarity("arcface", Template((level + 0.5) / 112, span / 112)) is None
    matrix = similarity("arcface", Template(0.44, 0.265))
    assert np.allclose(
        eyes("arcface") @ matrix[:, :2].T + matrix[:, 2], [[0.3675, 0.44], [0.6325, 0.44]], atol=1e-9
    )


@pytest.mark.parametrize(("crop", "images"), [("as given", Template(0.4, 0.3)), ("arcface", "as given")])
def test_nothing_is_moved_where_nobody_says_where_the_eyes_are(crop: object, images: object) -> None:
    assert similarity(crop, images) is None
    assert eyes("as given") is None


def test_the_share_outside_of_the_image_is_that_of_its_area() -> None:
    twice = np.array([[2.0, 0.0, -0.5], [0.0, 2.0, -0.5]])  # the image fills the middle quarter
    assert outside_share(twice) == pytest.approx(0.75)
    assert outside_share(np.array([[0.5, 0.0, 0.2], [0.0, 0.5, 0.2]])) == 0


def test_words() -> None:
    assert template_words(Template(0.44, 0.265)) == "eye_level 0.44, eye_span 0.265"
    assert template_words("arcface") == "arcface"


@pytest.mark.parametrize(
    ("crop", "expected"),
    [
        ({"template": "arcface", "points": [], "eye_level": 0.46, "eye_span": 0.31}, "arcface"),
        ({"template": "as given", "points": None, "eye_level": None, "eye_span": None}, "as given"),
        ({"template": "world", "eye_level": 0.44, "eye_span": 0.265}, Template(0.44, 0.265)),
        (None, None),
    ],
)
def test_the_images_template_is_read_from_the_data_sets_report(
    tmp_path: Path, crop: object, expected: object
) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps({} if crop is None else {"crop": crop}))
    assert read_images_template(report) == expected


def test_a_report_that_does_not_say_where_the_eyes_are_is_refused(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"crop": {"template": "mine", "eye_level": 1.2, "eye_span": 0.3}}))
    with pytest.raises(ValueError, match=r"report\.json: key crop: found .*allowed is a template of arcface"):
        read_images_template(report)
