"""Groups of images, what is compared, and groups made alike."""

from typing import Any

import numpy as np
import pytest

from attribute_recovery.dataset.attributes import AttributeSchema, KnownValues
from attribute_recovery.significance.grouping import contrasts, group_images, match_groups

CODES = np.repeat(np.arange(120), 5)
RNG = np.random.default_rng(11)


def _values(schema: AttributeSchema, **given: Any) -> KnownValues:
    n = len(CODES)
    values: dict[str, Any] = {
        "length": RNG.standard_normal(120)[CODES].astype(np.float32),
        "yaw": RNG.standard_normal(n).astype(np.float32),
        "glasses": RNG.integers(2, size=n),
        "hair": RNG.integers(3, size=n),
    } | given
    known = {a.name: values[a.name] >= 0 if a.is_discrete else ~np.isnan(values[a.name]) for a in schema}
    return KnownValues(values, known)


def test_a_continuous_attribute_has_its_outer_thirds(schema: Any) -> None:
    values = _values(schema)
    grouping = group_images(schema["yaw"], values, CODES)
    yaw = values.values["yaw"]
    assert [np.mean(grouping.labels == group) for group in (0, 1)] == pytest.approx([1 / 3, 1 / 3], abs=0.01)
    assert yaw[grouping.labels == 0].max() < yaw[grouping.labels == -1].min()
    assert yaw[grouping.labels == -1].max() < yaw[grouping.labels == 1].min()
    # Means of the outer thirds of a normal lie 2.18 deviations apart, and the dose is one.
    assert grouping.contrast == pytest.approx(2.18, abs=0.15)


def test_an_attribute_of_the_identity_has_one_group_a_person(schema: Any) -> None:
    length = _values(schema).values["length"] + 0.01 * RNG.standard_normal(600).astype(np.float32)
    grouping = group_images(schema["length"], _values(schema, length=length), CODES)
    assert all(len(np.unique(grouping.labels[person == CODES])) == 1 for person in range(120))
    assert grouping.of_identities is not None
    assert np.bincount(grouping.of_identities + 1).tolist() == [40, 40, 40]


def test_images_without_a_value_have_no_group(schema: Any) -> None:
    length = _values(schema).values["length"].copy()
    length[CODES == 3] = np.nan  # a person without any
    length[::5] = np.nan  # and one image of each without
    glasses = RNG.integers(2, size=600)
    glasses[:50] = -1
    values = _values(schema, length=length, glasses=glasses)
    of_people = group_images(schema["length"], values, CODES)
    assert (of_people.labels[::5] == -1).all()
    assert of_people.of_identities is not None and of_people.of_identities[3] == -1
    assert not of_people.known_identities[3]
    of_images = group_images(schema["glasses"], values, CODES)
    assert (of_images.labels[:50] == -1).all()
    assert np.array_equal(of_images.labels[50:], glasses[50:])


def test_values_that_are_mostly_equal_leave_the_tails(schema: Any) -> None:
    yaw = np.zeros(600, np.float32)
    yaw[:20], yaw[20:50] = -1, 1
    labels = group_images(schema["yaw"], _values(schema, yaw=yaw), CODES).labels
    assert [np.sum(labels == group) for group in (-1, 0, 1)] == [550, 20, 30]


def test_two_groups_have_one_difference_and_three_have_one_each(schema: Any) -> None:
    values = _values(schema)
    names = {
        (name, genuine): [
            one.name for one in contrasts(group_images(schema[name], values, CODES), genuine=genuine)
        ]
        for name in schema.names
        for genuine in (True, False)
    }
    assert names["glasses", True] == ["on_less_off", "different_less_equal"]
    assert names["yaw", False] == ["high_less_low", "different_less_equal"]
    # Two images of one person never differ in what belongs to the person.
    assert names["length", True] == ["high_less_low"]
    assert names["length", False] == ["high_less_low", "different_less_equal"]
    hair = contrasts(group_images(schema["hair"], values, CODES), genuine=False)
    assert [one.name for one in hair][:3] == [f"{each}_less_others" for each in ("short", "long", "curly")]
    assert hair[1].first.tolist() == [False, True, False, False]
    assert hair[1].second.tolist() == [True, False, True, False]
    assert hair[3].first.tolist() == [False, False, False, True]


def test_groups_are_made_alike_in_what_goes_with_them(schema: Any) -> None:
    yaw = RNG.standard_normal(600).astype(np.float32)
    values = _values(schema, yaw=yaw, glasses=(yaw + RNG.standard_normal(600) > 0).astype(int))
    grouping = group_images(schema["glasses"], values, CODES)
    found = match_groups(schema, values, CODES, grouping)
    matching = found["on_less_off"]
    assert found["different_less_equal"] is matching
    assert matching.refusal == ""
    assert matching.before["yaw"] > 0.8
    assert max(map(abs, matching.after.values())) < 0.01
    assert set(matching.before) == {"length", "yaw", "hair"}
    assert 60 < matching.people <= 120


def test_people_are_the_units_of_what_belongs_to_people(schema: Any) -> None:
    length = RNG.standard_normal(120)
    hair = np.where(RNG.random(600) < 0.7, (length > 0)[CODES], 2)
    values = _values(schema, length=length[CODES].astype(np.float32), hair=hair)
    grouping = group_images(schema["length"], values, CODES)
    matching = match_groups(schema, values, CODES, grouping)["high_less_low"]
    assert all(len(np.unique(matching.weights[person == CODES])) == 1 for person in range(120))
    assert abs(matching.before["hair"]) > 1
    # Only people of the other third's hair could have been of it: none are left.
    assert "after weighting" in matching.refusal


def test_what_cannot_be_compared_is_refused_in_words(schema: Any) -> None:
    values = _values(schema, glasses=np.zeros(600, dtype=int))
    empty = match_groups(schema, values, CODES, group_images(schema["glasses"], values, CODES))
    assert empty["on_less_off"].refusal == "a group has nobody in it"
    few = np.repeat(np.arange(12), 50)
    values = _values(schema)
    found = match_groups(schema, values, few, group_images(schema["length"], values, few))
    assert "people, and 10 are needed" in found["high_less_low"].refusal


def test_an_attribute_that_few_have_is_not_matched_on(schema: Any) -> None:
    yaw = np.full(600, np.nan, np.float32)
    yaw[:100] = 1.0
    values = _values(schema, yaw=yaw)
    matching = match_groups(schema, values, CODES, group_images(schema["glasses"], values, CODES))[
        "on_less_off"
    ]
    assert set(matching.before) == {"length", "hair"}
    assert matching.refusal == ""
