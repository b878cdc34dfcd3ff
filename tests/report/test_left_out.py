"""What a page without attributes says: which stages are left out, and what to supply."""

import shutil
from pathlib import Path
from types import ModuleType

import pytest

from attribute_recovery.config import STAGES_OF_ATTRIBUTES, ReportSection
from attribute_recovery.report.goals import judge
from attribute_recovery.report.left_out import STAGES, left_out_section, left_out_sentence
from attribute_recovery.report.page import write_report
from attribute_recovery.report.results import Results

SETTINGS = ReportSection(title="t", examples=3, faces="auto", identities="auto")
OF_STAGES = ("Reading attributes from images", "What an embedding holds", "What each attribute weighs")


def page_of(folder: Path, *recognizers: str) -> str:
    page, metrics = folder / "report/index.html", folder / "report/metrics.json"
    names = recognizers or ("default",)
    left_out = STAGES_OF_ATTRIBUTES
    write_report(
        SETTINGS, experiment_dir=folder, recognizers=names, page=page, metrics=metrics, left_out=left_out
    )
    return page.read_text()


def test_every_stage_about_attributes_has_its_words() -> None:
    assert tuple(STAGES) == STAGES_OF_ATTRIBUTES
    sentence = left_out_sentence(STAGES_OF_ATTRIBUTES)
    assert all(f"{stage} ({words})" in sentence for stage, words in STAGES.items())
    assert left_out_section(["recovery"]).title == "What was left out"


@pytest.mark.parametrize("recognizers", [("default",), ("default", "second")])
def test_the_page_names_them_and_says_what_to_supply(
    tmp_path: Path, made: ModuleType, recognizers: tuple[str, ...]
) -> None:
    made.write_experiment(tmp_path, recognizers)
    for left in ("attributes", "significance", *(f"{name}/recovery" for name in recognizers)):
        shutil.rmtree(tmp_path / left, ignore_errors=True)
    page = page_of(tmp_path, *recognizers)
    assert page.count(left_out_sentence(STAGES_OF_ATTRIBUTES)) == 2
    assert "attribute-recovery label-sheet" in page and "dataset.attributes" in page
    assert not any(
        title in page for title in (*OF_STAGES, "What would have to change</h3>", "recognizers compared")
    )
    assert "Files that gave nothing" not in page and "not computed" not in page.lower()


def test_what_an_earlier_run_left_there_is_not_shown(experiment: Path) -> None:
    page = page_of(experiment)
    assert "nats)" not in page and not any(title in page for title in OF_STAGES)
    results = Results(experiment, left_out=("recovery", "attributes"))
    assert results.json("default/recovery/metrics.json") == {} and not results.faults
    assert results.json("attributes/metrics.json") == {} and not results.faults
    assert results.document("dataset/attributes.json") is not None
    assert results.json("default/decoder/metrics.json") != {}


def test_goals_about_attributes_are_passed_over() -> None:
    found = {each.goal.key for each in judge({}, ["default"], STAGES_OF_ATTRIBUTES)}
    assert len(found) == 6
    assert not any(
        word in key for key in found for word in ("attributes", "counterfactuals", "skill", "coverage")
    )
    assert {each.goal.key for each in judge({}, ["default"])} > found
