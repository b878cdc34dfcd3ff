"""The planted gap between groups: who is left out, when it counts as found, and what a false alarm is."""

from typing import Any

import numpy as np
import pytest
from benchmarks.validation.faults.group_gap import GROUPS, alarms_of, conclude, is_found, starved
from benchmarks.validation.faults.trained import Taught

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema

SCHEMA = AttributeSchema(
    (
        Attribute("yaw", "pose", "continuous", "image", "", range=(-9.0, 9.0)),
        Attribute("skin_tone", "appearance", "continuous", "identity", ""),
    )
)


@pytest.mark.parametrize("side", ["low", "high"])
def test_nearly_all_of_one_third_are_left_out(side: str) -> None:
    rng = np.random.default_rng(0)
    tone = rng.permutation(120) / 120
    people = np.repeat([f"p{i:03d}" for i in range(120)], 3).astype(object)
    encoded = np.stack([rng.standard_normal(360), np.repeat(tone, 3)], axis=1).astype(np.float32)
    taught = Taught(np.zeros((360, 2, 2, 3), np.uint8), people, encoded)
    out = starved(SCHEMA, taught, "skin_tone", side, 1).reshape(120, 3)
    assert (out == out[:, :1]).all()
    assert out[:, 0].sum() == 38  # one in twenty of 40, so two, stay
    assert (tone[out[:, 0]] < 0.34).all() if side == "low" else (tone[out[:, 0]] > 0.66).all()
    assert not np.array_equal(out, starved(SCHEMA, taught, "skin_tone", side, 2).reshape(120, 3))


def rows_with(q: float | None, sign: int = 1) -> list[dict[str, Any]]:
    """A table in which FMR of the low thirds is the higher one where `sign` is 1."""
    rows = []
    for name in ("skin_tone", "hair_lightness"):
        for rate in ("fmr", "fnmr"):
            for group, value in (("low", 0.02 + 0.01 * sign), ("high", 0.02 - 0.01 * sign)):
                rows.append({"attribute": name, "measure": rate, "direction": group, "estimate": value})
            rows.append(
                {
                    "attribute": name,
                    "measure": f"{rate}_difference",
                    "direction": "high_less_low",
                    "estimate": -0.02 * sign,
                    "p": q,
                    "q": q,
                }
            )
    return rows


def starved_part(number: int, q: float | None, sign: int) -> dict[str, Any]:
    rates = {"tau": 0.7, "tar": 0.8, "fmr": 1e-3}
    rows = rows_with(q, sign)
    return {
        "kind": "starved",
        "number": number,
        "rates": rates,
        "people": 600,
        "taught": 492,
        "rows": rows,
    }


def test_found_is_significant_and_has_the_right_sign() -> None:
    for number, (_, side) in enumerate(GROUPS):
        sign = 1 if side == "low" else -1
        assert is_found(starved_part(number, 0.04, sign))
        assert not is_found(starved_part(number, 0.04, -sign))
        assert not is_found(starved_part(number, 0.06, sign))
        assert not is_found(starved_part(number, None, sign))


def drawn(p: float | None) -> dict[str, float | None]:
    return {
        "fmr_difference on_less_off": p,
        "fmr_difference different_less_equal": 0.5,
        "fnmr_difference on_less_off": 0.5,
    }


def test_an_alarm_is_what_the_product_calls_significant_among_all_rows() -> None:
    # Of four rows, two of which are surely different, the third smallest p may be 0.05 · 3 / 4.
    rows = rows_with(0.0005)
    asked = [drawn(0.03), drawn(0.045), drawn(None)]
    assert alarms_of(rows, asked, "fmr") == [True, False, False]
    assert alarms_of(rows, asked, "fnmr") == [False, False, False]
    # Beside two that do not differ, it would have to be 0.05 / 4.
    assert alarms_of(rows_with(0.9), [drawn(0.03), drawn(0.01)], "fmr") == [False, True]


def test_the_row_counts_finds_and_alarms() -> None:
    parts = {f"starved-{i:02d}": starved_part(i, 0.001, 1 if i % 2 == 0 else -1) for i in range(20)}
    parts["starved-00"] = starved_part(0, 0.5, 1)
    parts["clean"] = {**starved_part(0, 0.0005, 1), "kind": "clean", "taught": 720}
    parts["random-0000"] = {"kind": "random", "drawn": [drawn(0.03), *[drawn(0.3)] * 19]}
    result = conclude(parts)
    assert [goal["reached"] for goal in result["goals"]] == [True, True, True]
    assert [goal["measured"] for goal in result["goals"]] == ["19 of 20", "5.0 %", "0.0 %"]
    parts["random-0100"] = {"kind": "random", "drawn": [drawn(0.03)]}
    assert [goal["reached"] for goal in conclude(parts)["goals"]] == [True, False, True]
    by_seed, clean, by_measure = result["tables"]
    assert by_seed["rows"][1][:5] == ["1", "skin_tone high", "0.80", "3.00", "1.00"]
    assert clean["rows"][0][:4] == ["skin_tone", "3.00", "1.00", "0.0005"]
    assert by_measure["rows"][0] == ["fmr difference on less off", "20", "5.0", "5.0"]
