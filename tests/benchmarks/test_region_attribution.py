"""What the row of planted differences makes of its chunks."""

from typing import Any

import numpy as np
from benchmarks.validation.regions.region_attribution import (
    OURS,
    _carriers,
    best_score,
    conclude,
    pairs_of,
    top1,
)
from benchmarks.validation.regions.region_maps import MAPS, SCORES

from attribute_recovery.counterfactuals.shapley import Shares

NAMES = ["jaw", "nose", "yaw", "beard"]


def chunks(wrong: int = 0, each: int = 10) -> dict[str, Any]:
    """Ours is right but for the last `wrong` pairs of the first attribute; of the maps only overlap is, of
    every other pair."""
    found = {}
    for number, name in enumerate(NAMES):
        other = NAMES[(number + 1) % len(NAMES)]
        missed = wrong if number == 0 else 0
        ours = [name] * (each - missed) + [other] * (missed - 1) + [""] * (missed > 0)
        named = dict.fromkeys(OURS, ours)
        for kind in MAPS:
            for way in SCORES:
                right = [name, other] * (each // 2)
                named[f"{kind}: {way}"] = right if way == "overlap" else [other] * each
        found[name] = {
            "attribute": name,
            "gaps": [0.1 / (number + 1)] * (each - 1) + [0.0],
            "named": named,
            "players": [2] * each,
            "plays": [True] * each,
            "region": [0.25] * each,
        }
    return found


def test_attributes_that_are_named_reach_the_goal() -> None:
    (goal,) = conclude(chunks(wrong=2))["goals"]
    assert goal["reached"] and goal["measured"].startswith("0.950 (0.835 to 0.986), 40 pairs of 4")
    (goal,) = conclude(chunks(wrong=3))["goals"]
    assert not goal["reached"]


def test_pairs_that_move_nothing_count_and_are_told_apart() -> None:
    result = conclude(chunks(wrong=1))
    overall, ways, listed = result["tables"]
    assert overall["rows"][0][1].startswith("0.975") and overall["rows"][0][2].startswith("1.000")
    assert "40 pairs, and of the 36" in overall["caption"]
    assert len(overall["rows"]) == len(OURS) + len(MAPS)
    assert [row[1:] for row in ways["rows"]] == [["0.000", "0.000", "0.500"]] * len(MAPS)
    assert [row[0] for row in listed["rows"]] == NAMES
    assert listed["rows"][0][3:6] == ["9 of 10", "none (1)", "9 of 10"]
    assert listed["rows"][1][6:] == ["5 of 10"] * len(MAPS)


def test_every_map_has_its_best_way() -> None:
    found = chunks()
    assert all(best_score(found, kind) == "overlap" for kind in MAPS)
    assert top1(pairs_of(found, "shapley")) == 1
    assert np.isnan(top1([]))


def test_the_largest_magnitude_carries_the_gap() -> None:
    values = np.array([[0.1, -0.3, 0.2, 0.0], [0.0, 0.0, 0.0, 0.0]])
    ends = np.zeros(2)
    shares = Shares(values, np.zeros((2, 4, 4)), ends, ends, ends.astype(int), ends.astype(int))
    assert _carriers(shares, NAMES) == ["nose", ""]
