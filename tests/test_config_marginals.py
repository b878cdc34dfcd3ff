"""A marginal is told by its keys, and one that is no distribution is refused."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from attribute_recovery.config_marginals import (
    ClassMarginal,
    MarginalConfig,
    NormalMarginal,
    UniformMarginal,
    rising,
)

MARGINAL: TypeAdapter[Any] = TypeAdapter(MarginalConfig)
NORMAL = {"normal": [0.0, 2.0], "range": [-3.0, 3.0], "identity_share": 0.5}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (NORMAL, NormalMarginal),
        ({"uniform": [0, 1], "identity_share": 1}, UniformMarginal),
        ({"classes": {"a": 0.25, "b": 0.75}, "identity_share": 0}, ClassMarginal),
    ],
)
def test_the_kind_is_told_by_the_keys(values: dict[str, Any], kind: type) -> None:
    found = MARGINAL.validate_python(values)
    assert type(found) is kind
    assert MARGINAL.validate_python(found) == found


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({**NORMAL, "range": [1, -1]}, "smaller number before a larger"),
        ({**NORMAL, "normal": [9, 1]}, r"found the mean 9, allowed is one within the range -3 to 3"),
        ({**NORMAL, "normal": [0, 0]}, "greater than 0"),
        ({**NORMAL, "identity_share": 1.1}, "less than or equal to 1"),
        ({"uniform": [1, 1], "identity_share": 0}, "smaller number before a larger"),
        ({"uniform": [0, float("nan")], "identity_share": 0}, "finite number"),
        (
            {"classes": {"a": 0.5, "b": 0.4}, "identity_share": 0},
            r"add up to 0\.9, allowed are such that add up to 1",
        ),
        ({"classes": {"a": 1.0, "b": 0.0}, "identity_share": 0}, "greater than 0"),
        ({"uniform": [0, 1], "classes": {"a": 1.0}, "identity_share": 0}, "exactly one of the keys"),
        ({"identity_share": 0}, "exactly one of the keys"),
    ],
)
def test_what_is_no_distribution_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        MARGINAL.validate_python(values)


def test_rising_returns_what_it_accepts() -> None:
    assert rising((1.0, 2.0)) == (1.0, 2.0)
