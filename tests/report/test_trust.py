"""What the page says bounds all of its figures."""

from pathlib import Path

from attribute_recovery.report.blocks import Points
from attribute_recovery.report.metrics import collect_metrics
from attribute_recovery.report.results import Results
from attribute_recovery.report.trust import held_out, trust_section


def test_faults_of_files_and_what_figures_stand_on_are_told(experiment: Path) -> None:
    results = Results(experiment)
    metrics = collect_metrics(results, ["default"])
    results.faults["some/file.json"] = "is not there"
    section = trust_section(results, metrics, [], ["default"])
    points = [point for block in section.blocks if isinstance(block, Points) for point in block.items]
    assert "some/file.json is not there" in points
    assert held_out(None) in points
    metrics["dataset"]["folds"] = 5
    folded = trust_section(results, metrics, [], ["default"])
    assert held_out(5) in [p for block in folded.blocks if isinstance(block, Points) for p in block.items]


def test_whom_figures_were_measured_on_with_and_without_folds() -> None:
    assert "τ was fixed on calibration" in held_out(None)
    folded = held_out(5)
    assert "5 folds, each person held out in one" in folded
    assert "τ was fixed on all people" in folded
