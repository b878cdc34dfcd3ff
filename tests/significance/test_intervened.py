"""Groups given by edits, against the same rates counted in images that really have the attribute."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from attribute_recovery.significance.effect import carry_out, plan_edits
from attribute_recovery.significance.grouping import Contrast
from attribute_recovery.significance.groups import NO_ERRORS
from attribute_recovery.significance.intervened import Intervened, given_dose, given_groups

EQUAL = {"hair": np.ones(3) / 3}
ON = Contrast("on_less_off", np.array([False, True, False]), np.array([True, False, False]))
DIFFERENT = Contrast("different_less_equal", np.array([False, False, True]), np.array([True, True, False]))


def _edited(pipeline: Any, schema: Any, known: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for edit in plan_edits(schema, known.current, EQUAL):
        found.setdefault(edit.attribute, []).append(carry_out(pipeline, known, edit))
    return found


def _rates(one: Any, other: Any, known: Any, tau: float) -> dict[str, float]:
    """FMR and FNMR over all pairs i < j of one's image i and the other's image j."""
    i, j = np.triu_indices(len(one), 1)
    accepted = (one @ other.T)[i, j] >= tau
    same = known.identities[i] == known.identities[j]
    return {"fmr": accepted[~same].mean(), "fnmr": 1 - accepted[same].mean()}


def test_rates_are_those_of_codes_that_have_the_attribute(schema: Any, make_pipeline: Any) -> None:
    pipeline, known = make_pipeline({"glasses": 0.7, "length": 1.0, "rest": 0.8})
    tau = 0.95
    off, on = known.codes.copy(), known.codes.copy()
    off[:, 2], on[:, 2] = 0, 1  # in this pipeline codes are attributes, so the truth is at hand
    off, on = pipeline.embed(off), pipeline.embed(on)
    sides = [_rates(a, b, known, tau) for a, b in ((off, off), (on, on), (off, on), (on, off))]
    edited = _edited(pipeline, schema, known)["glasses"]
    measure = Intervened(known, tau, n_boot=99, n_flips=99, seed=0)
    wanted: Any = {"fmr": [ON, DIFFERENT], "fnmr": [ON, DIFFERENT]}
    rows = {
        (row["measure"], row["direction"]): row
        for row in measure.rows(schema["glasses"], schema.slices["glasses"], edited, wanted)
    }
    for rate in ("fmr", "fnmr"):
        none, both, one, other = (side[rate] for side in sides)
        found = rows[f"{rate}_difference_interventional", "on_less_off"]
        assert found["estimate"] == pytest.approx(both - none)
        assert found["low"] <= found["estimate"] <= found["high"]
        found = rows[f"{rate}_difference_interventional", "different_less_equal"]
        assert found["estimate"] == pytest.approx((one + other) / 2 - (none + both) / 2)
        assert (found["n_identities"], found["n_images"], found["contrast"]) == (20, 80, 1.0)
    assert rows["fnmr_difference_interventional", "different_less_equal"]["p"] <= 0.05


def test_genuine_pairs_have_the_interval_of_a_mean_over_people(schema: Any, make_pipeline: Any) -> None:
    pipeline, known = make_pipeline({"glasses": 0.7, "length": 1.0, "rest": 0.8})
    edited = _edited(pipeline, schema, known)["glasses"]
    measure = Intervened(known, 0.95, n_boot=20_000, n_flips=19, seed=0)
    (found,) = measure.rows(schema["glasses"], schema.slices["glasses"], edited, {"fnmr": [DIFFERENT]})
    off, on = given_groups(schema["glasses"], known, edited)
    i, j = np.triu_indices(len(off), 1)
    i, j = (side[known.identities[i] == known.identities[j]] for side in (i, j))
    wrong = [(a[i] * b[j]).sum(1) < 0.95 for a, b in ((off, off), (on, on), (off, on), (on, off))]
    gaps = (wrong[2] * 0.5 + wrong[3] * 0.5) - (wrong[0] * 0.5 + wrong[1] * 0.5)
    people = np.unique(known.identities)
    means = np.array([gaps[known.identities[i] == name].mean() for name in people])  # all have equally many
    half = t.isf(0.025, len(people) - 1) * means.std(ddof=1) / np.sqrt(len(people))
    assert found["estimate"] == pytest.approx(means.mean())
    assert (found["high"] - found["low"]) / 2 == pytest.approx(half, rel=0.015)


def test_an_attribute_that_f_does_not_see_changes_nothing(schema: Any, make_pipeline: Any) -> None:
    pipeline, known = make_pipeline({"length": 1.0, "rest": 1.0})
    edited = _edited(pipeline, schema, known)
    measure = Intervened(known, 0.9, n_boot=19, n_flips=19, seed=0)
    wanted: Any = {"fmr": [ON, DIFFERENT], "fnmr": [ON, DIFFERENT]}
    for name in ("yaw", "glasses"):
        for row in measure.rows(schema[name], schema.slices[name], edited[name], wanted):
            assert row["estimate"] == 0
            assert row["p"] == 1
            # As many people, or pairs of people, as are seen could hide some whom it would change.
            trials = 20 if row["measure"].startswith("fnmr") else 190
            assert (row["low"], row["high"]) == pytest.approx(
                (0.05 ** (1 / trials) - 1, 1 - 0.05 ** (1 / trials))
            )


def test_where_no_decision_is_wrong_nothing_is_tested(schema: Any, make_pipeline: Any) -> None:
    pipeline, known = make_pipeline({"glasses": 0.1, "rest": 1.0})
    edited = _edited(pipeline, schema, known)["glasses"]
    measure = Intervened(known, -1.1, n_boot=19, n_flips=19, seed=0)
    (row,) = measure.rows(schema["glasses"], schema.slices["glasses"], edited, {"fnmr": [ON]})
    assert row["estimate"] == 0 and np.isnan(row["p"])
    assert row["note"] == NO_ERRORS
    assert row["low"] < 0 < row["high"]


def test_groups_are_given_to_every_image(schema: Any, make_pipeline: Any) -> None:
    pipeline, known = make_pipeline({"hair": 1.0, "yaw": 1.0})
    edited = _edited(pipeline, schema, known)
    for number, embeddings in enumerate(given_groups(schema["hair"], known, edited["hair"])):
        codes = known.codes.copy()
        codes[:, schema.slices["hair"]] = np.eye(3)[number]
        assert embeddings == pytest.approx(pipeline.embed(codes))
    low, high = given_groups(schema["yaw"], known, edited["yaw"])
    codes = known.codes.copy()
    codes[:, 1] = np.maximum(codes[:, 1] - 1, -3)
    assert low == pytest.approx(pipeline.embed(codes))
    assert not np.allclose(low, high)


def test_doses_that_the_range_cuts_are_told(schema: Any, make_pipeline: Any) -> None:
    pipeline, known = make_pipeline({})
    edited = _edited(pipeline, schema, known)
    assert given_dose(schema["hair"], schema.slices["hair"], edited["hair"]) == 1
    assert 1.9 < given_dose(schema["yaw"], schema.slices["yaw"], edited["yaw"]) <= 2
    assert np.isnan(given_dose(schema["yaw"], schema.slices["yaw"], edited["yaw"][:1]))
