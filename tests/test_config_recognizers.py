"""Each source and each kind of threshold comes back from plain values, as scripts get them."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from attribute_recovery.config_recognizers import (
    ExperimentThreshold,
    FmrThreshold,
    RecognizerConfig,
    ThresholdConfig,
    ValueThreshold,
)

ROOT = Path(__file__).parents[1]
RECOGNIZER = TypeAdapter(RecognizerConfig)
THRESHOLD = TypeAdapter(ThresholdConfig)
FILE = {"weights": "a/b.x", "threshold": {"fmr": 0.01}}
SOURCES: list[dict[str, Any]] = [
    {"source": "weights", **FILE},
    {"source": "onnx", **FILE},
    {"source": "checkpoint", "key": None, **FILE},
    {"source": "checkpoint", "key": "backbone", **FILE},
    {"source": "exported", **FILE},
    {"source": "torchscript", "trusted": True, **FILE},
    {
        "source": "python",
        "function": "my_service.client:embed",
        "card": "a.json",
        "trusted": True,
        "threshold": {"from": "other"},
    },
]


@pytest.mark.parametrize("values", SOURCES)
def test_sources_come_back_from_plain_values(values: dict[str, Any]) -> None:
    settings = RECOGNIZER.validate_python(values)
    assert settings.source == values["source"]
    plain = settings.model_dump(mode="json")
    assert plain == values
    assert RECOGNIZER.validate_python(plain) == settings


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"fmr": 0.001}, FmrThreshold(fmr=0.001)),
        ({"value": 0.42}, ValueThreshold(value=0.42)),
        ({"from": "celeba"}, ExperimentThreshold.model_validate({"from": "celeba"})),
    ],
)
def test_thresholds_come_back_from_plain_values(values: dict[str, Any], expected: ThresholdConfig) -> None:
    found = THRESHOLD.validate_python(values)
    assert found == expected
    assert THRESHOLD.validate_python(found.model_dump(mode="json")) == found
    assert THRESHOLD.validate_python(found) is found


@pytest.mark.parametrize("values", [{}, {"fmr": 0.1, "from": "a"}, {"from_": "a"}, 0.42])
def test_a_threshold_of_no_kind_is_refused(values: object) -> None:
    with pytest.raises(ValidationError, match="exactly one of the keys fmr, value and from"):
        THRESHOLD.validate_python(values)


@pytest.mark.parametrize("trusted", [False, 1, "true", None])
@pytest.mark.parametrize("values", [each for each in SOURCES if "trusted" in each])
def test_code_runs_only_where_somebody_trusts_it(values: dict[str, Any], trusted: object) -> None:
    with pytest.raises(ValidationError, match="allowed is true: it runs code of its own with your rights"):
        RECOGNIZER.validate_python(values | {"trusted": trusted})


@pytest.mark.parametrize("function", ["embed", "a.b", "a:b:c", "a-b:c", "a/b.py:embed", ":embed", "a:"])
def test_a_function_is_named_by_module_and_name(function: str) -> None:
    with pytest.raises(ValidationError, match="function"):
        RECOGNIZER.validate_python(SOURCES[-1] | {"function": function})
