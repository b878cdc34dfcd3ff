"""Rules of single fields; that the reader applies them is tested with the card."""

import json
from typing import Any

import pytest

from attribute_recovery.recognizer import card_fields

VALUES: dict[str, Any] = card_fields.EXAMPLE | {"weights_sha256": "0" * 64}

pytestmark = pytest.mark.usefixtures("catalogue")


def test_the_example_has_no_fault_but_the_digest_that_nobody_can_guess() -> None:
    assert card_fields.first_fault(VALUES) is None
    name, found, allowed = card_fields.first_fault(card_fields.EXAMPLE)
    assert (name, found) == ("weights_sha256", "what sha256sum prints")
    assert allowed.startswith("64 hexadecimal digits")
    assert json.loads(card_fields.example_text()) == card_fields.EXAMPLE


def test_architectures_are_ours_the_catalogues_and_the_formats() -> None:
    assert card_fields.architectures() == (
        "residual",
        "toynet",
        "onnx",
        "exported",
        "torchscript",
        "python",
    )
    assert all(map(card_fields.is_architecture, card_fields.architectures()))
    assert not any(map(card_fields.is_architecture, ("ToyNet", 3, None, ["onnx"])))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", ""),
        ("crop_size", 0),
        ("crop_size", True),
        ("template", None),
        ("template", {"eye_level": 0.4, "eye_span": float("nan")}),
        ("value_range", [0, float("inf")]),
        ("value_range", [0, 1, 2]),
        ("embedding_size", 1.5),
        ("data_sha256", "A" * 64),
        ("licence", None),
    ],
)
def test_a_value_that_is_not_allowed_is_named(name: str, value: object) -> None:
    found = card_fields.first_fault(VALUES | {name: value})
    assert found is not None
    assert found[0].partition(".")[0] == name


def test_only_a_function_may_be_without_a_digest() -> None:
    assert card_fields.first_fault(VALUES | {"weights_sha256": ""})[0] == "weights_sha256"
    assert card_fields.first_fault(VALUES | {"weights_sha256": "", "architecture": "python"}) is None
