"""What the page says of heads that were brought: whose they are, and what is then called true."""

import json
from pathlib import Path
from typing import Any

import pytest

from attribute_recovery.config import ReportSection
from attribute_recovery.report.brought_heads import (
    are_brought,
    distributions,
    heads_sentences,
    schema_path,
    truth_sentence,
)
from attribute_recovery.report.page import write_report
from attribute_recovery.report.results import Results

FACTS: dict[str, Any] = {
    "source": "onnx",
    "name": "gate",
    "licence": "MIT",
    "weights_sha256": "0123456789abcdef" * 4,
    "runs_user_code": False,
    "batch_difference": 0.0,
    "notes": ["The labels hat are not used: no head reads them."],
    "labelled": {"smile": 0, "glasses": 0},
    "read": {"smile": 2080, "glasses": 2080},
    "r2": {},
    "balanced_accuracy": {},
    "n_images": 0,
    "n_identities": 0,
    "split": "test",
}
SETTINGS = ReportSection(title="t", examples=3, faces="auto", identities="auto")


def test_sentences_name_the_heads_and_what_was_noticed() -> None:
    found = heads_sentences(FACTS)
    assert found[0].endswith("“gate” (onnx, licence MIT, sha256 0123456789ab…).")
    assert found[-1] == FACTS["notes"][0] and not any("ran" in each.split() for each in found)
    ran = heads_sentences(FACTS | {"runs_user_code": True})
    assert "They are code that came with them and ran, as the configuration allowed." in ran


def test_truth_is_what_was_read_where_no_label_is() -> None:
    assert truth_sentence(FACTS).startswith("No image has a label: what is called true of an attribute")
    some = truth_sentence(FACTS | {"labelled": {"smile": 0, "glasses": 120}})
    assert some.startswith("Labels are there of glasses (120 images). Everywhere else")


@pytest.fixture
def brought(experiment: Path) -> Path:
    """The made-up experiment with heads that were brought."""
    (experiment / "attributes/metrics.json").write_text(json.dumps(FACTS))
    declared = json.loads((experiment / "dataset/attributes.json").read_text())[1:]
    (experiment / "attributes/attributes.json").write_text(json.dumps(declared))
    described = {"smile": {"unit": "of full", "splits": {"test": {"sd": 0.25}}}}
    (experiment / "attributes/readings.json").write_text(json.dumps({"attributes": described}))
    return experiment


def test_schema_and_distributions_are_those_of_the_readings(brought: Path) -> None:
    assert schema_path(Results(brought)) == "attributes/attributes.json"
    assert list(distributions(Results(brought))) == ["smile"]


def test_of_trained_heads_they_are_the_data_sets(experiment: Path) -> None:
    assert schema_path(Results(experiment)) == "dataset/attributes.json"
    assert "yaw" in distributions(Results(experiment))
    assert not are_brought(Results(experiment).json("attributes/metrics.json"))


def test_the_page_says_it_in_short_and_at_its_place(brought: Path) -> None:
    page, metrics = brought / "report/index.html", brought / "report/metrics.json"
    write_report(SETTINGS, experiment_dir=brought, recognizers=("default",), page=page, metrics=metrics)
    text = page.read_text()
    assert text.count("No image has a label: what is called true") == 2
    place = text.partition('<section id="attributes">')[2].partition("</section>")[0]
    assert "“gate”" in place and place.count("no labels") == 2 and "jaw width" not in place
    assert "median R² of" not in place
