"""The curve: rates lie where the logarithm puts them, and zeros have no place."""

import re
from xml.etree import ElementTree

import pytest

from attribute_recovery.report.curve import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, det_svg


def points(svg: str) -> list[tuple[float, float]]:
    """The curve's points."""
    found = re.search(r'points="([^"]+)"', svg)
    assert found is not None
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in found[1].split())]


def test_decades_are_evenly_spaced() -> None:
    svg = det_svg([1.0, 0.01, 0.1], [0.01, 1.0, 0.1])
    assert svg is not None
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    expected = [(LEFT, TOP), (LEFT + width / 2, TOP + height / 2), (WIDTH - RIGHT, HEIGHT - BOTTOM)]
    for found, place in zip(points(svg), expected, strict=True):
        assert found == pytest.approx(place, abs=0.1)


def test_it_is_well_formed_and_marks_floor_and_operating_point() -> None:
    svg = det_svg([1e-4, 1e-3, 1e-2], [0.2, 0.05, 0.01], floor=3e-4, operating=(1e-3, 0.05))
    assert svg is not None
    names = [element.get("class") for element in ElementTree.fromstring(svg).iter()]
    assert {"floor", "curve", "mark"} <= set(names)
    bare = det_svg([1e-4, 1e-3, 1e-2], [0.2, 0.05, 0.01])
    assert bare is not None and "floor" not in bare and "mark" not in bare


def test_rates_of_zero_are_left_out() -> None:
    svg = det_svg([0.0, 1e-3, 1e-2, 1.0], [0.5, 0.1, 0.05, 0.0])
    assert svg is not None and len(points(svg)) == 2
    assert det_svg([0.0, 1e-3], [0.5, 0.1]) is None
    assert det_svg([], []) is None
