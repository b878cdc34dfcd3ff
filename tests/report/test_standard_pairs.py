"""Standard pairs in words: figures with their error, what is missing, and why there is no figure."""

from types import ModuleType

from attribute_recovery.report import standard_pairs


def test_standard_pairs_are_told_with_their_error_or_why_there_is_no_figure() -> None:
    told = standard_pairs.accuracy_sentence(0.99404, 0.00112, folds=10, pairs=6000, genuine=3000)
    assert told.startswith(
        "On the data's standard pairs it tells 99.40 ± 0.11 % right (mean over 10 folds and its standard "
        "error; 6,000 pairs, 3,000 of them genuine)"
    )
    assert "100.00 ± 0.00 %" in standard_pairs.accuracy_sentence(1.0, 0.0, folds=2, pairs=4, genuine=2)
    none = standard_pairs.accuracy_sentence(None, None, folds=0, pairs=0, genuine=0, why="nobody is left")
    assert none == "Accuracy on the data's standard pairs: not computed, since nobody is left."


def test_pairs_that_are_missing_are_told_and_nothing_else() -> None:
    assert standard_pairs.limits_sentence(0, 0) == standard_pairs.limits_sentence(None, None) == ""
    assert standard_pairs.limits_sentence(1, 0).startswith(
        "1 pair lacks an image in these data: left out, so this is not"
    )
    both = standard_pairs.limits_sentence(12, 3)
    assert both.startswith(
        "12 pairs lack an image in these data and 3 pairs have somebody that the recognizer"
    )


def test_standard_pairs_have_a_paragraph_where_the_data_bring_them(made: ModuleType) -> None:
    assert standard_pairs.protocol_blocks({}) == []
    found = made.protocol_values()
    (block,) = standard_pairs.protocol_blocks({"protocol": found})
    assert block.lead == "Standard protocol."
    assert "98.00 ± 0.20 % right" in block.text and "10 pairs lack an image" in block.text
    assert "trained on" not in block.text
    none = found | {"accuracy": None, "standard_error": None, "why": "of fold 2 only genuine pairs are left"}
    (block,) = standard_pairs.protocol_blocks({"protocol": none})
    assert "not computed, since of fold 2 only genuine pairs are left." in block.text
