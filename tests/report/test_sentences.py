"""Numbers rounded by what is known of them, sentences that say what they stand on, nothing missing hidden."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribute_recovery.report import sentences as say

INTERVAL = (0.9502, 0.9721)
BASIS = say.basis("test", people=160, pairs=12480)


def test_the_recognizer_in_one_sentence() -> None:
    assert say.recognizer_rate(0.9612, INTERVAL, 1e-3, BASIS) == (
        "The recognizer accepts 96.1 % (95 % interval 95.0 to 97.2) of genuine pairs at a false match rate "
        "of 1 in 1,000 (test, 160 people, 12,480 pairs)."
    )


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (0.0, 3, "0"),
        (-0.0004321, 2, "−0.00043"),
        (0.99961, 3, "1.000"),
        (1234567.0, 3, "1,234,567"),
        (-18.04, 3, "−18.0"),
        (3.2e-7, 2, "3.2 × 10⁻⁷"),
        (float("nan"), 3, "not computed"),
        (math.inf, 3, "not computed"),
    ],
)
def test_numbers(value: float, digits: int, expected: str) -> None:
    assert say.number(value, digits) == expected


@given(st.floats(1e-4, 1e6), st.sampled_from([2, 3]))
def test_a_number_is_within_half_a_unit_of_its_last_digit(value: float, digits: int) -> None:
    last = min(
        1.0, 10.0 ** (math.floor(math.log10(value)) - digits + 1)
    )  # whole numbers keep all their digits
    assert abs(float(say.number(value, digits).replace(",", "")) - value) <= 0.501 * last


@given(st.floats(0.0, 1.0), st.floats(1e-5, 0.5))
def test_intervals_show_their_width_to_at_most_two_digits(middle: float, width: float) -> None:
    low, high = middle - width / 2, middle + width / 2
    shown = re.findall(r"−?[\d.]+", say.cell(middle, (low, high)))
    step = 10.0 ** -say.decimals_of((low, high))
    assert len(shown) == 3
    assert width / step < 100
    assert abs(float(shown[1].replace("−", "-")) - low) <= step / 2 + 1e-9


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.999, "99.9 %"),
        (0.9996, "99.96 %"),
        (1.0, "100 %"),
        (0.0121, "1.21 %"),
        (0.5, "50 %"),
        (0.00123, "0.123 %"),
        (None, "not computed"),
    ],
)
def test_percent(value: float | None, expected: str) -> None:
    assert say.percent(value) == expected


@pytest.mark.parametrize(
    ("interval"), [None, (None, None), (0.9, float("nan")), ()], ids=["none", "nulls", "nan", "empty"]
)
def test_an_interval_that_is_not_defined_is_left_out(interval: tuple[float, ...] | None) -> None:
    assert say.share(0.95, interval) == "95 %"
    assert say.cell(0.95, interval) == "0.950"


def test_an_interval_of_no_width_is_still_shown() -> None:
    assert say.share(1.0, (1.0, 1.0)) == "100.000 % (95 % interval 100.000 to 100.000)"


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (1e-3, "1 in 1,000"),
        (1 / 1062, "1 in 1,060"),
        (1 / 3, "33.3 %"),
        (0.15, "1 in 6.7"),
        (1e-6, "1 in 1,000,000"),
    ],
)
def test_one_in(rate: float, expected: str) -> None:
    assert say.one_in(rate) == expected


def test_the_floor_is_said_and_so_is_a_rate_raised_to_it() -> None:
    raised = say.rate_floor(4950, 1e-4, 3 / 4950)
    assert "no false match rate below 3/n = 1 in 1,650 is claimed" in raised
    assert "Asked for was 1 in 10,000: the smallest claimable, 1 in 1,650, was used instead." in raised
    assert "instead" not in say.rate_floor(7140, 1e-3, 1e-3)


def test_p_and_q() -> None:
    assert say.p_value(0.0005) == "p = 0.0005"
    assert say.p_value(0.0123) == "p = 0.012"
    assert say.p_value(None) == say.p_value(float("nan")) == "not testable"
    assert say.q_value(None) == ""


def test_few_observations_are_named() -> None:
    assert say.grain(40) == "Stands on 40 pairs: a single one moves it by 2.5 %."
    assert say.grain(5000) == say.grain(None) == ""
    assert say.few_people(16).startswith("Stands on 16 people only")
    assert say.few_people(160) == ""


def test_a_rate_of_exactly_one_leaves_something_open() -> None:
    assert say.extreme(1.0, 200).startswith("No failure among 200") and "1.5 %" in say.extreme(1.0, 200)
    assert say.extreme(0.0, 60).startswith("No success among 60")
    assert say.extreme(0.99, 200) == ""


@pytest.mark.parametrize(
    "sentence",
    [
        say.recognizer_rate(None, None, 1e-3, BASIS),
        say.achieved_rate(None, None, BASIS),
        say.threshold(None, "calibration", None, None),
        say.rate_floor(None, None, None),
        say.reconstruction(None, None, BASIS),
        say.attacks(None, None, None, None, BASIS),
        say.heads(None, None, BASIS),
        say.strongest("Decision effect", [], 0, 0, 0),
        say.moved_pairs("to_match", None, None, None),
        say.edited_pairs(None, None, None, None),
    ],
)
def test_what_is_missing_is_named(sentence: str) -> None:
    assert "not computed" in sentence
    assert "None" not in sentence and "nan" not in sentence


def test_directions_say_what_became_what() -> None:
    moved = say.moved_pairs("to_match", 0.955, (0.92, 0.98), 200)
    assert moved.startswith(
        "Of 200 rightly rejected pairs, 95.5 % (95 % interval 92.0 to 98.0) became accepted ones"
    )
    assert say.moved_pairs("to_non_match", 0.9, None, 1).startswith(
        "Of 1 rightly accepted pair, 90 % became rejected"
    )


def test_lists() -> None:
    assert say.listed(["a"]) == "a"
    assert say.listed(["a", "b", "c"]) == "a, b and c"


def test_a_threshold_says_what_fixed_it() -> None:
    fixed = say.threshold(0.4, "calibration", 700, 0.001)
    assert "fixed on the split calibration, where it accepts" in fixed
    given = say.threshold(0.4, "calibration", 700, 0.001, kind="value")
    assert "was given in the configuration; on the split calibration it accepts" in given
    assert "fixed" not in given
    taken = say.threshold(0.4, "calibration", None, None, kind="from", origin="lab")
    assert taken.endswith("τ was taken from experiment lab.")


def test_only_gradients_that_are_not_the_network_s_own_are_spoken_of() -> None:
    assert say.gradients("own") == say.gradients("") == ""
    assert "black box" in say.gradients("none")
    assert "ONNX" in say.gradients("converted")
