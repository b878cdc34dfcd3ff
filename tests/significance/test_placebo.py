"""Placebo edits as the null of the decision effect."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attribute_recovery.significance.effect import carry_out, plan_edits
from attribute_recovery.significance.placebo import make_placebos, placebo_directions

FREQUENCIES = {"hair": np.array([0.2, 0.3, 0.5])}


def test_directions_vary_as_codes_do_between_or_within_people() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(80), 6)
    # Column 0 belongs to people, column 1 to images, column 2 to nobody.
    codes = np.stack([rng.standard_normal(80)[people], rng.standard_normal(480), np.zeros(480)], axis=1)
    labels = rng.standard_normal((480, 2))
    own = rng.standard_normal((80, 1))[people]
    within = placebo_directions(codes.astype(np.float32), labels, people, "image", 100, 0)
    between = placebo_directions(codes.astype(np.float32), own, people, "identity", 100, 0)
    assert np.linalg.norm(within, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.abs(between[:, 0]).mean() > 1.5 * np.abs(between[:, 1]).mean()
    assert np.abs(within[:, 1]).mean() > 2 * np.abs(within[:, 0]).std()
    assert np.abs(within[:, 2]).max() == np.abs(between[:, 2]).max() == 0


def _placebos(schema: Any, made: Any, count: int = 99) -> tuple[Any, dict[str, list[Any]]]:
    pipeline, known = made
    edited: dict[str, list[Any]] = {}
    for edit in plan_edits(schema, known.current, FREQUENCIES):
        edited.setdefault(edit.attribute, []).append(carry_out(pipeline, known, edit))
    norms = np.concatenate([one.norms for found in edited.values() for one in found])
    rng = np.random.default_rng(1)
    unit = rng.standard_normal((count, 8))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    directions: Any = {"image": unit.astype(np.float32)}
    return make_placebos(pipeline, known.codes, known.rebuilt, known.identities, norms, directions, 0), edited


def test_interpolated_effects_are_those_of_placebos_decoded_at_that_length(
    schema: Any, make_pipeline: Any
) -> None:
    made = make_pipeline({"glasses": 0.5, "rest": 0.5, "yaw": 0.5})
    pipeline, known = made
    found, _ = _placebos(schema, made, count=40)
    unit = np.random.default_rng(1).standard_normal((40, 8))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    row, length = found.rows[0], float(np.exp(found.log_lengths[-1]))
    after = pipeline.embed((known.codes[row] + length * unit).astype(np.float32))
    known_effects = 1 - after.astype(np.float64) @ known.rebuilt[row].astype(np.float64)
    close = found.at("image", 0, length)
    assert np.median(np.abs(np.log(close / known_effects))) < 0.15
    assert np.log(close).mean() == pytest.approx(np.log(known_effects).mean(), abs=0.1)
    assert found.at("image", 0, 0.0).max() == 0


def test_the_only_attribute_that_f_sees_is_named_and_no_other(schema: Any, make_pipeline: Any) -> None:
    found, edited = _placebos(schema, make_pipeline({"glasses": 1.0}))
    p, median = found.p_value("image", edited["glasses"])
    assert p <= 0.02
    assert median < 0.1
    for name in ("yaw", "length", "hair"):
        assert found.p_value("image", edited[name])[0] > 0.9


def test_an_attribute_like_any_direction_is_not_significant(schema: Any, make_pipeline: Any) -> None:
    made = make_pipeline({"length": 0.5, "yaw": 0.5, "glasses": 0.5, "hair": 0.5, "rest": 0.5})
    found, edited = _placebos(schema, made)
    assert found.p_value("image", edited["length"])[0] > 0.05


def test_an_edit_of_other_images_is_not_tested(schema: Any, make_pipeline: Any) -> None:
    found, edited = _placebos(schema, make_pipeline({"glasses": 1.0}))
    one = edited["yaw"][0]
    elsewhere = np.setdiff1d(np.arange(80), found.rows)
    cut = replace(
        one,
        edit=replace(one.edit, rows=elsewhere, weights=one.edit.weights[elsewhere]),
        norms=one.norms[elsewhere],
        effects=one.effects[elsewhere],
    )
    assert np.isnan(found.p_value("image", [cut])).all()


@pytest.mark.parametrize("scheme", ["identity", "image"])
def test_missing_labels_are_neither_used_nor_exchanged(scheme: Any) -> None:
    """Placebos of a label are those of its own images alone, whatever another label lacks."""
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(20), 6)
    codes = rng.standard_normal((120, 4)).astype(np.float32)
    labels = rng.standard_normal((120, 1))
    kept = people % 3 > 0
    partial = np.where(kept[:, None], labels, np.nan)
    alone = placebo_directions(codes[kept], labels[kept], people[kept], scheme, 9, 1)
    assert placebo_directions(codes, partial, people, scheme, 9, 1) == pytest.approx(alone, abs=1e-6)
    both = placebo_directions(codes, np.concatenate([labels, partial], axis=1), people, scheme, 9, 1)
    assert np.linalg.norm(both, axis=1) == pytest.approx(1, abs=1e-5)


def test_labels_that_cannot_be_exchanged_make_no_placebos() -> None:
    """What would be exchanged for itself is the attribute, and its direction no placebo."""
    rng = np.random.default_rng(0)
    codes, labels = rng.standard_normal((60, 4)).astype(np.float32), rng.standard_normal((60, 2))
    alone = np.arange(60)
    assert placebo_directions(codes, labels, alone, "image", 99, 0).shape == (0, 4)
    assert placebo_directions(codes, labels, alone, "identity", 99, 0).shape == (99, 4)
    few = np.repeat(np.arange(3), 20)
    assert placebo_directions(codes, labels, few, "identity", 99, 0).shape == (0, 4)
    # Of two labels the one that is the same in all images of a person cannot be exchanged within people.
    of_people = rng.standard_normal((12, 1))[np.repeat(np.arange(12), 5)]
    both = np.concatenate([of_people, labels[:, :1]], axis=1)
    only = placebo_directions(codes, labels[:, :1], np.repeat(np.arange(12), 5), "image", 99, 0)
    assert np.array_equal(placebo_directions(codes, both, np.repeat(np.arange(12), 5), "image", 99, 0), only)


def test_people_are_exchanged_who_have_unequally_many_images() -> None:
    """Hardly two of 60 people have as many images: exchanged for those alone, labels would stay."""
    rng = np.random.default_rng(2)
    people = np.repeat(np.arange(60), rng.integers(8, 40, 60))
    own = rng.standard_normal(60)[people]
    codes = (own[:, None] * np.array([1.0, 0, 0, 0]) + rng.standard_normal((len(people), 4))).astype(
        np.float32
    )
    found = placebo_directions(codes, own[:, None], people, "identity", 300, 0)
    real = (own - own.mean()) @ (codes - codes.mean(axis=0))
    cosines = found @ (real / np.linalg.norm(real))
    assert abs(cosines.mean()) < 0.1


def test_without_placebos_of_a_scheme_there_is_no_p(schema: Any, make_pipeline: Any) -> None:
    made = make_pipeline({"glasses": 0.5, "rest": 0.5})
    found, _ = _placebos(schema, made)
    assert set(found.log_effects) == {"image"}
