"""Pictures: there where something flipped, evenly from all that did, and the same bytes each time."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.counterfactuals import pictures
from attribute_recovery.counterfactuals.pairs import DrawnPairs
from attribute_recovery.counterfactuals.pictures import SHOWN, draw_edited, draw_moved
from attribute_recovery.counterfactuals.representation import RepresentationResult
from attribute_recovery.counterfactuals.search import Found

N = 20


@pytest.fixture
def drawn_grids(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Arguments of the grids instead of files."""
    grids = []
    monkeypatch.setattr(
        pictures, "save_image_grid", lambda rows, path, **names: grids.append((rows, path, names))
    )
    return grids


@pytest.fixture
def case(world, material):  # type: ignore[no-untyped-def]
    attributes = np.stack([world.encoded(jaw=i / N) for i in range(N)])
    made = material(attributes, [f"p{i}" for i in range(N)], 0.5)
    drawn = DrawnPairs(np.arange(N), np.arange(N)[::-1].copy(), np.arange(N) % 2 == 1)
    return made, drawn, attributes


def representation(case, flipped: np.ndarray) -> RepresentationResult:  # type: ignore[no-untyped-def]
    scores = np.linspace(0, 1, N)
    table = pd.DataFrame({"flipped": flipped, "score_unmoved": scores, "score_after": scores[::-1]})
    return RepresentationResult(table, case[2], -case[2])


def test_moves_are_shown_evenly_from_those_that_flipped(case, drawn_grids, tmp_path: Path) -> None:
    made, drawn, _ = case
    flipped = np.arange(N) >= 9  # 11 of them
    draw_moved(made, representation(case, flipped), drawn, tmp_path / "a.png")
    (rows, _, names), expected = drawn_grids[0], [9, 11, 13, 15, 17, 19]
    assert len(expected) == SHOWN
    np.testing.assert_array_equal(rows[0], made.images[drawn.second[expected]])
    np.testing.assert_array_equal(rows[1], made.images[expected])
    np.testing.assert_array_equal(rows[2], made.images[expected])  # z decoded is the image in this world
    assert not np.array_equal(rows[3], rows[2])
    assert names["column_titles"][0] == "0.47 → 0.53"


def test_each_picture_is_drawn_once_more_without_real_images(case, drawn_grids, tmp_path: Path) -> None:
    made, drawn, _ = case
    negative = replace(made, images=255 - made.images)  # so that real images are none that G makes
    draw_moved(negative, representation(case, np.ones(N, bool)), drawn, tmp_path / "a.png")
    table, found = edits(case, np.arange(N) < 5, CHANGES)
    draw_edited(negative, table, found, drawn, tmp_path)
    grids = {path.name: rows for rows, path, _ in drawn_grids}
    assert set(grids) == {
        f"{stem}{ending}.png"
        for stem in ("a", "attribute-genuine", "attribute-impostor")
        for ending in ("", "-decoded")
    }
    for name, n_real in (("a", 2), ("attribute-genuine", 1)):
        real, decoded = grids[f"{name}.png"], grids[f"{name}-decoded.png"]
        for place, (one, other) in enumerate(zip(real, decoded, strict=True)):
            np.testing.assert_array_equal(one, 255 - other if place < n_real else other)


def test_nothing_flipped_no_picture(case, tmp_path: Path) -> None:
    made, drawn, attributes = case
    draw_moved(made, representation(case, np.zeros(N, bool)), drawn, tmp_path / "a.png")
    table = pd.DataFrame({"kind": ["genuine"] * N, "flipped": False})
    found = Found(attributes, [[]] * N, np.zeros(N), attributes, np.zeros(N, bool))
    draw_edited(made, table, found, drawn, tmp_path)
    assert not list(tmp_path.iterdir())


def edits(case, flipped: np.ndarray, changes: list[dict[str, object]]):  # type: ignore[no-untyped-def]
    table = pd.DataFrame(
        {
            "kind": np.where(case[1].to_match, "impostor", "genuine"),
            "flipped": flipped,
            "changes": [json.dumps(changes)] * N,
            "score_reconstructed": 0.25,
            "score_after": 0.75,
        }
    )
    return table, Found(case[2], [[]] * N, np.zeros(N), -case[2], flipped)


CHANGES = [
    {"attribute": "jaw", "from": -18.4, "to": 3.0},
    {"attribute": "hair", "from": "short", "to": "long"},
    {"attribute": "light_azimuth", "from": 0.123, "to": 0.5},
    {"attribute": "nose", "from": 0.0, "to": 0.5},
    {"attribute": "brow", "from": 0.0, "to": 0.5},
]


def test_edits_are_told_in_words(case, drawn_grids, tmp_path: Path) -> None:
    made, drawn, _ = case
    table, found = edits(case, np.arange(N) < 5, CHANGES)
    draw_edited(made, table, found, drawn, tmp_path)
    names = [path.name for _, path, _ in drawn_grids]
    assert names[::2] == ["attribute-genuine.png", "attribute-impostor.png"]
    rows, _, names = drawn_grids[0]
    np.testing.assert_array_equal(rows[1], made.images[[0, 2, 4]])
    np.testing.assert_array_equal(rows[0], made.images[drawn.second[[0, 2, 4]]])
    lines = names["column_titles"][0].split("\n")
    assert lines == ["0.25 → 0.75", "jaw -18 → 3", "hair: long", "light azimuth 0.12 → 0.5", "and 2 more"]
    assert len(drawn_grids[2][0][0]) == 2


def test_pictures_are_png_of_equal_bytes(case, tmp_path: Path) -> None:
    made, drawn, _ = case
    result = representation(case, np.arange(N) < 2)
    for name in ("a.png", "b.png"):
        draw_moved(made, result, drawn, tmp_path / name)
    first, second = (tmp_path / name for name in ("a.png", "b.png"))
    assert first.read_bytes().startswith(b"\x89PNG")
    assert first.read_bytes() == second.read_bytes()
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
