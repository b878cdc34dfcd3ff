"""Settings of the counterfactuals: what is refused, in which words."""

from typing import Any

import pytest
from pydantic import ValidationError

from attribute_recovery.config_counterfactuals import CounterfactualsSection

VALUES: dict[str, Any] = {
    "representation_pairs": 6,
    "travel": 1.4,
    "attribute_pairs": 8,
    "max_attributes": 3,
    "quantile_range": (0.1, 0.9),
    "error_pairs": 0,
    "error_orders": 2,
}


def test_no_error_need_be_explained() -> None:
    assert CounterfactualsSection.model_validate(VALUES).error_pairs == 0


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"error_pairs": -1}, "greater than or equal to 0"),
        ({"error_orders": 1}, "greater than or equal to 2"),
        ({"error_pair": 3}, "not permitted"),
        ({"quantile_range": (0.9, 0.1)}, "a smaller number before a larger"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        CounterfactualsSection.model_validate(VALUES | change)
