"""Nobody is in two splits, shares are kept, and hardly anybody moves when others come."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribute_recovery.config_faces import SharesSplit
from attribute_recovery.dataset import splits

SHARES = SharesSplit(by="shares", recognizer=0.2, train=0.4, calibration=0.1, test=0.3)
NONE_TRAINED = SharesSplit(by="shares", recognizer=0.0, train=0.5, calibration=0.25, test=0.25)


def people(n: int) -> list[str]:
    """So many names."""
    return [f"person {i}" for i in range(n)]


@settings(deadline=None)
@given(n=st.integers(8, 300), seed=st.integers(0, 2**31))
def test_shares_are_kept_to_one_person(n: int, seed: int) -> None:
    found = splits.deal_identities(people(n), SHARES, seed)
    assert set(found) == set(people(n))
    counts = Counter(found.values())
    for split, share in (("recognizer", 0.2), ("train", 0.4), ("calibration", 0.1), ("test", 0.3)):
        assert counts[split] >= 2
        if n >= 20:
            assert abs(counts[split] - share * n) < 1


def test_nobody_is_dealt_to_a_split_without_a_share() -> None:
    assert "recognizer" not in splits.deal_identities(people(40), NONE_TRAINED, 1).values()


def test_who_is_where_depends_on_seed_and_name_and_not_on_the_order() -> None:
    found = splits.deal_identities(people(50), SHARES, 1)
    assert splits.deal_identities(people(50)[::-1], SHARES, 1) == found
    assert splits.deal_identities(people(50), SHARES, 2) != found


def test_hardly_anybody_moves_when_others_come() -> None:
    before = splits.deal_identities(people(200), SHARES, 3)
    after = splits.deal_identities(people(210), SHARES, 3)
    assert sum(before[name] != after[name] for name in before) <= 15


def test_few_people_are_shared_out_or_refused() -> None:
    counts = Counter(splits.deal_identities(people(6), NONE_TRAINED, 1).values())
    assert counts == {"train": 2, "calibration": 2, "test": 2}
    with pytest.raises(ValueError, match="found 5 identities, allowed are 6 or more, 2 for each of train, c"):
        splits.deal_identities(people(5), NONE_TRAINED, 1)
    with pytest.raises(ValueError, match="found 7 identities, allowed are 8 or more, 2 for each of recogniz"):
        splits.deal_identities(people(7), SHARES, 1)


def test_splits_of_the_source_are_checked() -> None:
    names = ["a", "b", "c", "d", "e", "f"]
    parts = ["train", "train", "calibration", "calibration", "test", "test"]
    splits.require_source_splits([*names, "a"], [*parts, "train"])
    with pytest.raises(ValueError, match="found the split 'val', allowed are recognizer, train, calibration"):
        splits.require_source_splits(names, [*parts[:5], "val"])
    with pytest.raises(
        ValueError, match=r"identity 'a' is in the splits test and train \(2 identities are in several\)"
    ):
        splits.require_source_splits([*names, "a", "b"], [*parts, "test", "calibration"])
    with pytest.raises(ValueError, match="found 0 identities in split calibration, allowed are 2 or more"):
        splits.require_source_splits(names[:2] + names[4:], parts[:2] + parts[4:])
    with pytest.raises(ValueError, match="found 1 identities in split test"):
        splits.require_source_splits(names[:5], parts[:5])


def test_few_people_are_remarked_on() -> None:
    assert splits.few_identities(100) == []
    (found,) = splits.few_identities(40)
    assert found.startswith(
        "40 identities are fewer than 100: all their 780 pairs of people together bear no"
    )
    assert "below 0.0038;" in found


@settings(deadline=None)
@given(n=st.integers(6, 99), folds=st.integers(3, 5), seed=st.integers(0, 2**31))
def test_folds_are_even_and_do_not_depend_on_the_order(n: int, folds: int, seed: int) -> None:
    if n < 2 * folds:
        return
    found = splits.deal_folds(people(n), folds, seed)
    counts = Counter(found.values())
    assert set(counts) == set(range(1, folds + 1))
    assert max(counts.values()) - min(counts.values()) <= 1
    assert splits.deal_folds(people(n)[::-1], folds, seed) == found


def test_too_few_people_for_the_folds_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"dataset.splits.folds: found 5 for 9 identities, allowed is at most 4"
    ):
        splits.deal_folds(people(9), 5, 1)


def test_in_its_fold_everybody_is_held_out_once() -> None:
    roles = [splits.roles_in_fold([1, 2, 3, 4], number, 4).tolist() for number in range(1, 5)]
    for column in zip(*roles, strict=True):
        assert sorted(column) == ["calibration", "test", "train", "train"]
    assert roles[0] == ["test", "calibration", "train", "train"]
    assert roles[3] == ["calibration", "train", "train", "test"]


def test_few_people_are_told_what_they_can_bear() -> None:
    (sentence,) = splits.few_identities(40)
    assert "780 pairs of people together bear no false match rate below 0.0038" in sentence
    assert "splits: {by: folds, folds: 5} would hold out everybody once" in sentence
    (sentence,) = splits.few_identities(40, folds=True)
    assert "all are used to fix the threshold" in sentence
    assert splits.few_identities(100) == []
