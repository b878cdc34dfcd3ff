"""The planted shortcut: who wears glasses, and when it counts as found."""

from typing import Any

import numpy as np
import pytest
from benchmarks.validation.faults.shortcut import conclude, is_found, rank_of, with_shortcut


def part(number: int, glasses: float, other: float, p: float) -> dict[str, Any]:
    differences = [
        {
            "attribute": name,
            "estimate": estimate,
            "low": estimate - 0.01,
            "high": estimate + 0.01,
            "p": p,
            "q": p,
            "recognizer_estimate": 0.1 + estimate,
            "other_estimate": 0.1,
        }
        for name, estimate in (("yaw", other), ("glasses", glasses))
    ]
    rates = {name: {"tau": 0.7, "tar": 0.8, "fmr": 1e-3} for name in ("clean", "shortcut")}
    return {
        "number": number,
        "people": 104,
        "images": 208,
        "taught": {"people": 720, "images": 7200},
        "differences": differences,
        "rates": rates,
    }


def test_each_person_always_or_never_has_it_and_half_of_them_do() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat([f"p{i}" for i in range(20)], 6).astype(object)
    is_on = rng.integers(2, size=120).astype(bool)
    # An image tells whether it has the attribute, and whose it is.
    images = np.zeros((120, 2, 2, 3), np.uint8)
    images[..., 0] = is_on[:, None, None]
    images[..., 1] = np.repeat(np.arange(20), 6)[:, None, None]
    other = images.copy()
    other[..., 0] = 1 - other[..., 0]
    made = with_shortcut(images, other, is_on, people, 1)
    wears = made[:, 0, 0, 0].reshape(20, 6)
    assert (wears == wears[:, :1]).all() and wears[:, 0].sum() == 10
    assert np.array_equal(made[..., 1], images[..., 1])
    again = with_shortcut(images, other, is_on, people, 2)[:, 0, 0, 0].reshape(20, 6)
    assert not np.array_equal(again, wears)


@pytest.mark.parametrize(
    ("glasses", "other", "p", "found"),
    [
        (0.2, 0.1, 0.001, True),
        (0.2, -0.3, 0.001, False),
        (-0.2, 0.1, 0.001, True),
        (0.2, 0.1, 0.01, False),
    ],
)
def test_found_is_what_differs_most_and_surely(glasses: float, other: float, p: float, found: bool) -> None:
    one = part(0, glasses, other, p)
    assert is_found(one) is found
    assert rank_of(one["differences"], "glasses") == (1 if abs(glasses) > abs(other) else 2)


def test_nineteen_of_twenty_are_asked_for() -> None:
    found = {f"seed-{i:02d}": part(i, 0.2, 0.1 if i else 0.5, 0.001) for i in range(20)}
    result = conclude(found)
    assert result["goals"][0]["reached"] and result["goals"][0]["measured"] == "19 of 20"
    found["seed-01"] = part(1, 0.2, 0.3, 0.001)
    assert not conclude(found)["goals"][0]["reached"]
    by_seed, by_attribute = result["tables"]
    assert by_seed["rows"][0][:2] == ["0", "2"] and by_seed["rows"][1][4] == "yaw +0.1000"
    assert by_attribute["rows"][0] == ["glasses", "0.1000", "0.3000", "+0.2000", "20 of 20"]
