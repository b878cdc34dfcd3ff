"""Nested figures of folds as one."""

import json
from pathlib import Path
from typing import Any

import pytest

from attribute_recovery.folds.figures import pooled_figures, read_figures
from attribute_recovery.statistics.pooled import pooled_interval, student_narrowing


def test_numbers_are_averaged_by_weight_counts_add_up_words_are_voted_on() -> None:
    folds = [
        {"tar": 0.5, "n_images": 10, "attribute_pairs": 4, "split": "test", "chosen": {"a": "probe"}},
        {"tar": 0.8, "n_images": 20, "attribute_pairs": 6, "split": "test", "chosen": {"a": "decoder"}},
        {"tar": 0.8, "n_images": 20, "attribute_pairs": 6, "split": "test", "chosen": {"a": "decoder"}},
    ]
    assert pooled_figures(folds, [1, 2, 2]) == {
        "tar": pytest.approx(0.74),
        "n_images": 50,
        "attribute_pairs": 16,
        "split": "test",
        "chosen": {"a": "decoder"},
    }


def test_what_is_equal_stays_to_the_last_digit() -> None:
    assert pooled_figures([{"threshold": 0.1 + 0.2}] * 3, [1, 1, 7]) == {"threshold": 0.1 + 0.2}


def test_counts_by_name_add_up_too() -> None:
    folds = [{"representation_pairs": {"to_match": 3}}, {"representation_pairs": {"to_match": 4}}]
    assert pooled_figures(folds, [1, 1]) == {"representation_pairs": {"to_match": 7}}


def test_intervals_beside_a_figure_or_beside_a_mapping_of_figures_are_pooled_with_it() -> None:
    folds = [
        {"tar": 0.5, "tar_interval": [0.3, 0.6], "r2": {"a": 0.1}, "r2_interval": {"a": [0.0, 0.2]}},
        {"tar": 0.7, "tar_interval": [0.6, 0.9], "r2": {"a": 0.3}, "r2_interval": {"a": [0.1, 0.4]}},
    ]
    found = pooled_figures(folds, [6, 2])
    narrowed = student_narrowing([6, 2])
    assert found["tar_interval"] == pytest.approx(
        pooled_interval([0.5, 0.7], [0.3, 0.6], [0.6, 0.9], [6, 2], narrowed)[1:]
    )
    assert found["r2_interval"]["a"] == pytest.approx(
        pooled_interval([0.1, 0.3], [0.0, 0.1], [0.2, 0.4], [6, 2], narrowed)[1:]
    )


def test_what_a_fold_could_not_compute_is_averaged_over_the_others() -> None:
    folds = [
        {"skill": None, "skill_interval": [None, None], "r2": {"a": 0.4}},
        {"skill": 0.2, "skill_interval": [0.1, 0.3], "r2": {"a": 0.2, "b": 0.5}},
    ]
    found = pooled_figures(folds, [1, 1])
    assert found["skill"] == 0.2
    assert found["skill_interval"] == pytest.approx([0.1, 0.3])
    assert found["r2"] == {"a": pytest.approx(0.3), "b": 0.5}
    nothing = [{"skill": None, "skill_interval": [None, None]}] * 2
    assert pooled_figures(nothing, [1, 1]) == {"skill": None, "skill_interval": [None, None]}


def test_lists_of_numbers_are_averaged_and_lists_of_words_voted_on() -> None:
    folds = [{"bands": [1.0, 0.5], "found": ["a"]}, {"bands": [0.0, 0.5], "found": ["b"]}, {"found": ["b"]}]
    assert pooled_figures(folds, [1, 1, 1]) == {"bands": [0.5, 0.5], "found": ["b"]}


def test_what_is_no_object_of_figures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        read_figures(path)
    path.write_text("[1]")
    with pytest.raises(ValueError, match="found no JSON object"):
        read_figures(path)
    path.write_text(json.dumps({"a": 1}))
    assert read_figures(path) == {"a": 1}


def test_reasons_are_told_with_the_folds_that_have_them() -> None:
    folds: list[dict[str, Any]] = [
        {
            "n_images": 8,
            "not_measured": {"hat": "none", "age": "few"},
            "not_testable": {"effect": {"hat": "no"}},
        },
        {"n_images": 8, "not_measured": {"hat": "none"}},
        {"n_images": 8, "not_measured": {"hat": "none"}, "not_testable": {"effect": {"hat": "no"}}},
    ]
    found = pooled_figures(folds, [1, 1, 1])
    assert found["not_measured"] == {"hat": "none", "age": "few (in 1 of 3 folds)"}
    assert found["not_testable"] == {"effect": {"hat": "no (in 2 of 3 folds)"}}


def test_known_images_are_all_images_of_a_fold_that_says_nothing_else() -> None:
    folds: list[dict[str, Any]] = [
        {"n_images": 80, "n_identities": 8, "known_images": {"hat": 50}, "known_identities": {"hat": 5}},
        {"n_images": 90, "n_identities": 9},
    ]
    found = pooled_figures(folds, [8, 9])
    assert found["known_images"] == {"hat": 140} and found["known_identities"] == {"hat": 14}


def test_of_the_largest_the_largest_counts() -> None:
    folds: list[Any] = [{"error_sum_off": 1e-9}, {"error_sum_off": None}, {"error_sum_off": 1e-7}]
    assert pooled_figures(folds, [8, 8, 8])["error_sum_off"] == 1e-7
    assert pooled_figures([{"error_sum_off": None}], [8])["error_sum_off"] is None


def test_an_interval_holds_the_mean_of_all_folds() -> None:
    folds: list[Any] = [
        {"value": {"a": 0.0}, "value_interval": {"a": [0.0, 0.1]}},
        {"value": {"a": 0.3}, "value_interval": {"a": [None, None]}},
    ]
    found = pooled_figures(folds, [8, 8])
    low, high = found["value_interval"]["a"]
    assert low <= found["value"]["a"] == 0.15 <= high
