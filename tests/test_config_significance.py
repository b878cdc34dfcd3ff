"""Ranges of the section `significance`."""

from typing import Any

import pytest
from pydantic import ValidationError

from attribute_recovery.config_significance import SignificanceSection

VALUES: dict[str, Any] = {
    "permutations": 99,
    "placebos": 19,
    "bootstrap": 50,
    "images": 16,
    "dose_images": 0,
    "cross_talk": 0.5,
}


def test_no_image_for_doses_is_allowed() -> None:
    assert SignificanceSection(**VALUES).dose_images == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("permutations", 18),
        ("placebos", 0),
        ("bootstrap", 1),
        ("images", 0),
        ("dose_images", -1),
        ("cross_talk", 0),
    ],
)
def test_what_is_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=name):
        SignificanceSection(**VALUES | {name: value})
