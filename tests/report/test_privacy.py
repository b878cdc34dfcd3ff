"""Pseudonyms: the same for a person within an experiment, others with another key, and no names left."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribute_recovery.report.privacy import KEY_NAME, Privacy, pseudonym_key

PEOPLE = {f"{name}/{i}.png": name for name in ("ann", "bob") for i in range(3)}


def test_a_person_has_one_pseudonym_and_an_image_its_own() -> None:
    privacy = Privacy(key=b"key", identities=PEOPLE)
    names = [privacy.image(image) for image in PEOPLE]
    people = [name.split("/")[0] for name in names]
    assert len(set(names)) == 6
    assert people[0] == people[1] == people[2] != people[3] == people[4] == people[5]
    other = Privacy(key=b"another", identities=PEOPLE)
    assert not {other.image(image).split("/")[0] for image in PEOPLE} & set(people)


def test_an_image_that_nobody_knows_has_a_pseudonym_without_a_person() -> None:
    name = Privacy(key=b"key", identities=PEOPLE).image("eve/1.png")
    assert "/" not in name and "eve" not in name and len(name) == 10


def test_an_image_is_not_called_as_a_person_of_the_same_name() -> None:
    privacy = Privacy(key=b"key", identities={"1/1": "1"})
    assert privacy.image("1") != privacy.image("1/1").split("/")[0]


@given(st.text(min_size=4, max_size=30), st.binary(min_size=1, max_size=40))
def test_no_name_is_in_its_pseudonym(name: str, key: bytes) -> None:
    shown = Privacy(key=key, identities={name: name}).image(name)
    assert set(shown) <= set("0123456789abcdef/") and len(shown) == 17
    assert Privacy(identities={name: name}).image(name) == name


def test_examples_are_left_out_at_any_depth_and_nothing_else() -> None:
    values = {
        "faults": {"small": {"count": 2, "examples": ["ann/1: small"]}},
        "list": [{"examples": 1, "a": 2}],
    }
    assert Privacy().figures(values) == values
    assert Privacy(key=b"k").figures(values) == {"faults": {"small": {"count": 2}}, "list": [{"a": 2}]}


def test_the_key_is_random_stays_and_is_its_owners(tmp_path: Path) -> None:
    one, other = (pseudonym_key(tmp_path) for _ in range(2))
    assert one == other and len(one) == 32
    assert (tmp_path / KEY_NAME).stat().st_mode & 0o777 == 0o600
    (tmp_path / "else").mkdir()
    assert pseudonym_key(tmp_path / "else") != one
    (tmp_path / KEY_NAME).chmod(0o640)
    with pytest.raises(ValueError, match="others than its owner can read this key"):
        pseudonym_key(tmp_path)
