"""Errors explained where edits do what they say: the score is the cosine of a difference of angles."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.config import CounterfactualsSection
from attribute_recovery.counterfactuals.errors import COLUMNS, _ends, explain_errors
from attribute_recovery.counterfactuals.material import Material

DEGREES = {"jaw": 40.0, "glasses": 30.0, "long": 10.0, "age": 25.0}
TAU = 0.9


def cosine(*degrees: float) -> float:
    return math.cos(math.radians(sum(degrees)))


def two_values(a: float, b: float, rest: float = 0.0) -> tuple[float, float]:
    """Shapley values of two attributes that set images a and b degrees apart, beside what none can take away.

    a's value is the mean of what it adds before b, cos(b) − cos(a + b), and after it, 1 − cos(a).
    """
    none, all_ = cosine(a, b, rest), cosine(rest)
    only_a, only_b = cosine(b, rest), cosine(a, rest)  # once this one has been made equal
    return (only_a - none + all_ - only_b) / 2, (only_b - none + all_ - only_a) / 2


@pytest.fixture
def rejected(world, material) -> Material:  # type: ignore[no-untyped-def]
    """One person, two images: 40° apart by jaw, 30° by glasses, and 5° by an age that nobody can edit."""
    attributes = np.stack([world.encoded(jaw=0.6, glasses=1, age=0.2), world.encoded(jaw=-0.4)])
    return material(attributes, ["a", "a"], TAU, **DEGREES)


def explained(made: Material, settings: CounterfactualsSection):  # type: ignore[no-untyped-def]
    return explain_errors(made, settings, 1, 100)


def test_a_false_non_match_is_shared_out_as_the_closed_form_says(
    rejected: Material, settings: CounterfactualsSection
) -> None:
    _, table, values = explained(rejected, settings)
    assert table.columns.tolist() == list(COLUMNS)
    assert table["kind"].unique().tolist() == ["false_non_match"] and table["pair"].unique().tolist() == [0]
    jaw, glasses = two_values(40, 30, 5)
    found = table.set_index("attribute")
    assert found.index.tolist() == ["jaw", "nose", "brow", "glasses", "hair"]
    np.testing.assert_allclose(found["shapley"], [jaw, 0, 0, glasses, 0], atol=0.006)  # read off bytes
    assert not table["standard_error"].any()
    first = table.iloc[0]
    assert first["score"] == pytest.approx(cosine(75), abs=1e-6)
    assert first["left"] == pytest.approx(1 - cosine(5), abs=0.001)
    assert values["wrong_pairs"] == {"false_match": 0, "false_non_match": 1}
    assert values["explained_pairs"] == {"false_match": 0, "false_non_match": 1}
    assert values["errors_kept"] == {"false_non_match": 1.0}


def test_values_stand_in_their_units_and_classes_by_name(
    rejected: Material, settings: CounterfactualsSection
) -> None:
    found = explained(rejected, settings)[1].set_index("attribute")
    turned = found["image_id"].iloc[0] == "a/1"  # which image is changed is drawn
    ends = ["other_value", "value"] if turned else ["value", "other_value"]
    np.testing.assert_allclose(found.loc["jaw", ends].astype(float), [0.6, -0.4], atol=0.005)
    assert found.loc["jaw", "unit"] == "of its range" and pd.isna(found.loc["jaw", "category"])
    classes = ["other_category", "category"] if turned else ["category", "other_category"]
    assert found.loc["glasses", classes].tolist() == ["on", "off"]
    assert np.isnan(found.loc["glasses", "value"])
    assert found.loc["jaw", "difference"] == pytest.approx(1.0, abs=0.01)
    assert found.loc["glasses", "difference"] == 1 and found.loc["hair", "difference"] == 0


def test_what_a_pair_lacks_to_equal_images_is_told_in_three_parts(
    rejected: Material, settings: CounterfactualsSection
) -> None:
    """E has seen the first image's jaw nearer to the other's: that part is the reconstruction's."""
    codes = rejected.codes.copy()
    codes[0, 0] = 0.1
    table = explained(replace(rejected, codes=codes), settings)[1]
    first = table.iloc[0]
    assert first["reconstruction"] == pytest.approx(cosine(55) - cosine(75), abs=1e-5)
    np.testing.assert_allclose(table.groupby("pair")["shapley"].sum(), first["sum"], atol=1e-12)
    assert first["sum"] == pytest.approx(first["gap"], abs=1e-12)
    parts = first["sum"] + first["left"] + first["reconstruction"]
    assert parts == pytest.approx(1 - first["score"], abs=1e-12)
    assert first["kept"]
    codes[0] = codes[1]  # now G's images are equal, and the error is gone with the reconstruction
    table = explained(replace(rejected, codes=codes), settings)[1]
    assert not table["kept"].any() and not table["shapley"].any()


@pytest.fixture
def crowd(world, material) -> Material:  # type: ignore[no-untyped-def]
    """Six people, two images each. Glasses and jaw reject some of their own, a shared jaw lets others in."""
    jaws = [-0.9, -0.85, -0.2, -0.15, 0.6, 0.8]
    attributes = [
        world.encoded(jaw=jaw + 0.01 * image, glasses=image * (person % 2), nose=0.3 * person - 0.7)
        for person, jaw in enumerate(jaws)
        for image in range(2)
    ]
    return material(np.stack(attributes), [f"p{i // 2}" for i in range(12)], TAU, **DEGREES)


def test_both_kinds_are_explained_and_counted(crowd: Material, settings: CounterfactualsSection) -> None:
    asked = settings.model_copy(update={"error_pairs": 8})
    _, table, values = explained(crowd, asked)
    people = [table[column].str.split("/").str[0] for column in ("image_id", "other_image_id")]
    genuine = people[0] == people[1]
    assert (genuine == (table["kind"] == "false_non_match")).all()
    assert ((table["score"] >= TAU) != genuine).all()
    assert values["wrong_pairs"]["false_non_match"] == 3
    assert values["explained_pairs"] == {"false_match": 5, "false_non_match": 3}
    assert table["pair"].nunique() == 8
    assert values["error_sum_off"] < 1e-12
    assert values["error_images"] > 0
    json.dumps(values, allow_nan=False)


def test_figures_by_attribute_are_means_over_the_pairs(
    crowd: Material, settings: CounterfactualsSection
) -> None:
    _, table, values = explained(crowd, settings.model_copy(update={"error_pairs": 8}))
    for kind in ("false_match", "false_non_match"):
        mine = table[table["kind"] == kind]
        gaps = mine.groupby("pair")["gap"].first()
        assert values["error_gap"][kind] == pytest.approx(gaps.mean())
        assert sum(values["error_share"][kind].values()) == pytest.approx(1)
        for name, rows in mine.groupby("attribute"):
            assert values["error_value"][kind][name] == pytest.approx(rows["shapley"].abs().mean())
            assert values["error_share"][kind][name] == pytest.approx(rows["shapley"].sum() / gaps.sum())
            assert values["error_difference"][kind][name] == pytest.approx(rows["difference"].mean())
    glasses = values["error_share"]["false_non_match"]["glasses"]
    assert glasses > 0.9 and values["error_share"]["false_match"]["nose"] == pytest.approx(0, abs=1e-9)
    assert values["error_difference"]["false_match"]["nose"] > 0.2  # differs, and f overlooks it


def test_intervals_hold_the_figures_and_have_no_width_where_all_people_agree(
    world, material, settings: CounterfactualsSection
) -> None:  # type: ignore[no-untyped-def]
    """Twenty people: with fewer, some draws of people hold no pair of those that were explained."""
    jaws = np.linspace(-0.9, 0.9, 20)
    attributes = [world.encoded(jaw=jaw, glasses=image) for jaw in jaws for image in range(2)]
    made = material(np.stack(attributes), [f"p{i // 2}" for i in range(40)], TAU, **DEGREES)
    values = explained(made, settings.model_copy(update={"error_pairs": 24}))[2]
    for measure in ("error_value", "error_share"):
        for kind, figures in values[measure].items():
            for name, value in figures.items():
                low, high = values[f"{measure}_interval"][kind][name]
                assert low - 1e-9 <= value <= high + 1e-9, (measure, kind, name)
                assert measure == "error_share" or low >= 0
    low, high = values["error_value_interval"]["false_match"]["jaw"]
    assert high - low > 0.001
    assert values["error_value_interval"]["false_match"]["hair"] == pytest.approx([0, 0])


def test_no_mean_magnitude_reaches_below_none() -> None:
    sizes, pairs = np.array([0.0, 0.0, 0.3]), [np.array(list("abc"), object), np.array(list("def"), object)]
    free, bounded = (_ends(sizes, np.ones(3), pairs, 400, 1, clip) for clip in (None, (0.0, math.inf)))
    assert free[0] is not None and free[0] < 0
    assert bounded[0] is not None and bounded[1] is not None and 0 <= bounded[0] < 0.1 < bounded[1]


def test_there_is_no_share_of_a_gap_in_which_values_cancel(
    world, material, settings: CounterfactualsSection
) -> None:  # type: ignore[no-untyped-def]
    """35° of jaw make up for 30° of glasses: made equal in glasses alone, the two are far apart."""
    attributes = np.stack([world.encoded(jaw=0.875, glasses=0), world.encoded(jaw=0.0, glasses=1)])
    made = material(attributes, ["a", "b"], TAU, **DEGREES)
    values = explained(made, settings)[2]
    assert values["error_gap"]["false_match"] == pytest.approx(1 - cosine(5), abs=0.001)
    assert values["error_value"]["false_match"]["jaw"] == pytest.approx(0.0253, abs=0.003)
    assert values["error_share"]["false_match"]["jaw"] is None
    assert values["error_share_interval"]["false_match"]["jaw"] == [None, None]


def test_one_person_alone_has_figures_without_intervals(
    rejected: Material, settings: CounterfactualsSection
) -> None:
    values = explained(rejected, settings)[2]
    assert values["error_value_interval"]["false_non_match"]["jaw"] == [None, None]
    assert values["error_value"]["false_non_match"]["jaw"] > 0.1


def test_nothing_to_explain_is_no_error(
    rejected: Material, crowd: Material, settings: CounterfactualsSection
) -> None:
    errors, table, values = explained(crowd, settings.model_copy(update={"error_pairs": 0}))
    assert errors is None and table.columns.tolist() == list(COLUMNS) and not len(table)
    assert values["wrong_pairs"] == {} and values["error_images"] == 0
    errors, table, values = explained(replace(rejected, tau=-1.0), settings)
    assert errors is None and not len(table)
    assert values["wrong_pairs"] == {"false_match": 0, "false_non_match": 0}
    json.dumps(values, allow_nan=False)


def test_a_pair_without_scores_is_counted_as_not_explained(
    crowd: Material, settings: CounterfactualsSection, world
) -> None:  # type: ignore[no-untyped-def]
    """f fails on images of the narrowest jaws; the others' figures do not suffer."""

    class Failing(world.StubRecognizer):  # type: ignore[misc, name-defined]
        def embed(self, images):  # type: ignore[no-untyped-def]
            found = super().embed(images)
            found[images.reshape(len(images), -1)[:, 0] < -0.8] = float("nan")
            return found

    asked = settings.model_copy(update={"error_pairs": 8})
    made = replace(crowd, recognizer=Failing(crowd.recognizer.angle))
    _, table, values = explained(made, asked)
    lost = table["shapley"].isna()
    assert 0 < table.loc[lost, "pair"].nunique() < 8
    assert sum(values["explained_pairs"].values()) == table.loc[~lost, "pair"].nunique()
    assert not table.loc[lost & table["score_reconstructed"].isna(), "kept"].any()
    json.dumps(values, allow_nan=False)


def test_the_same_seed_gives_the_same_table(crowd: Material, settings: CounterfactualsSection) -> None:
    one, other = (explained(crowd, settings)[1] for _ in range(2))
    pd.testing.assert_frame_equal(one, other)
