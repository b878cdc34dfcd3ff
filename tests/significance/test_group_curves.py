"""Curves by group against those from the scores themselves."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.dataset.attributes import KnownValues
from attribute_recovery.significance.group_curves import COLUMNS, det_table, draw_groups
from attribute_recovery.significance.grouping import group_images
from attribute_recovery.significance.groups import compare_images
from attribute_recovery.statistics.rates import claimable_fmr

CODES = np.repeat(np.arange(30), 4)
RNG = np.random.default_rng(2)


@pytest.fixture(scope="module")
def compared() -> Any:
    points = RNG.standard_normal((30, 8))[CODES] + 0.6 * RNG.standard_normal((120, 8))
    unit = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return compare_images(unit, CODES, 0.6, 1)


@pytest.fixture(scope="module")
def curves(compared: Any, schema: Any) -> pd.DataFrame:
    glasses = RNG.integers(2, size=120)
    glasses[:6] = -1
    values: Any = {
        "length": np.arange(30.0)[CODES],
        "yaw": RNG.standard_normal(120),
        "glasses": glasses,
        "hair": np.zeros(120, dtype=int),
    }
    known = {name: np.ones(120, np.bool_) for name in schema.names} | {"glasses": glasses >= 0}
    groupings = [group_images(a, KnownValues(values, known), CODES) for a in schema]
    return det_table("toy", compared, groupings).assign(given=0), groupings  # type: ignore[return-value]


def test_rates_at_each_threshold_are_those_of_the_scores(compared: Any, curves: Any) -> None:
    table, groupings = curves
    labels = next(one.labels for one in groupings if one.attribute.name == "glasses")
    found = table[(table["attribute"] == "glasses") & (table["group"] == "on")]
    assert len(found) > 20
    for rate in ("fmr", "fnmr"):
        pairs = compared.pairs[rate]
        inside = (labels[pairs.row_a] == 1) & (labels[pairs.row_b] == 1)
        scores = pairs.scores[inside]
        for row in found.to_dict("records"):
            accepted = np.mean(scores >= row["threshold"] - 1e-6)
            wanted = accepted if rate == "fmr" else 1 - accepted
            # Scores within rounding of a step may be counted on either side of it.
            assert row[rate] == pytest.approx(wanted, abs=2.5 / len(scores))


def test_curves_fall_and_say_what_they_can_bear(curves: Any) -> None:
    table, _ = curves
    assert tuple(table.columns[: len(COLUMNS)]) == COLUMNS
    for _, curve in table.groupby(["attribute", "group"]):
        assert (np.diff(curve["threshold"]) > 0).all()
        assert (np.diff(curve["fmr"]) <= 0).all()
        assert (np.diff(curve["fnmr"]) >= 0).all()
    low = table[(table["attribute"] == "length") & (table["group"] == "low")].iloc[0]
    assert (low["n_identities"], low["claimable_fmr"]) == (10, claimable_fmr(10))


def test_pairs_of_two_groups_bear_what_those_bear_who_have_one(compared: Any, schema: Any) -> None:
    """Two of thirty people ever wear glasses: most pairs of people have no pair of two groups."""
    glasses = np.zeros(120, dtype=int)
    glasses[[0, 4]] = 1
    values: Any = {name: np.zeros(120, dtype=int) for name in schema.names} | {"glasses": glasses}
    known = {name: np.ones(120, np.bool_) for name in schema.names}
    grouping = group_images(schema["glasses"], KnownValues(values, known), CODES)
    table = det_table("toy", compared, [grouping])
    assert set(table.loc[table["group"] == "off", "claimable_fmr"]) == {claimable_fmr(30)}
    # Each of the two with everybody else, and with each other.
    assert set(table.loc[table["group"] == "different", "claimable_fmr"]) == {3 / (28 + 28 + 1)}


def test_groups_without_pairs_have_no_curve(curves: Any) -> None:
    table, _ = curves
    assert set(table.loc[table["attribute"] == "hair", "group"]) == {"short"}
    # Two images of one person never differ in what belongs to the person, so there is no FNMR.
    assert set(table.loc[table["attribute"] == "length", "group"]) == {"low", "high"}


def test_picture_is_drawn_and_the_same_again(curves: Any, tmp_path: Path) -> None:
    table, _ = curves
    rows = [
        {"attribute": name, "measure": "fnmr_difference", "p": p}
        for name, p in (("length", 0.2), ("glasses", np.nan), ("yaw", 0.01))
    ]
    for path in (tmp_path / "a.png", tmp_path / "b.png"):
        draw_groups(table, pd.DataFrame(rows), 0.6, path)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    draw_groups(table.iloc[:0], pd.DataFrame(rows), 0.6, tmp_path / "none.png")
    assert (tmp_path / "none.png").read_bytes().startswith(b"\x89PNG")
