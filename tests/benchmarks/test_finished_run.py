"""Rows that stand on a finished run say what to run first, and notice another one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from benchmarks.validation import finished_run as module
from benchmarks.validation.__main__ import main
from benchmarks.validation.finished_run import MANIFESTS, MANIFESTS_OF_RECOGNIZER, finished_run, of_test

from attribute_recovery.config import load_config
from attribute_recovery.config_world import WorldDataset
from attribute_recovery.dataset.attributes import write_schema
from attribute_recovery.dataset.prepare import draw_people, population_of
from attribute_recovery.dataset.store import write_table

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny run of which there are the manifests and the table, and no more."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.setenv(module.VARIABLE, str(tmp_path / "config" / "tiny.yaml"))
    config = load_config(tmp_path / "config" / "tiny.yaml")
    assert isinstance(config.dataset, WorldDataset)
    folder = tmp_path / "results" / "tiny"
    for name in (*MANIFESTS, *(f"default/{name}" for name in MANIFESTS_OF_RECOGNIZER)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    population = population_of(config.dataset.world)
    people, values = draw_people(population, config.dataset.world, config.seed)
    table = people.assign(sha256="").join(population.schema.to_table(values))
    write_table(table, folder / "dataset" / "images.parquet")
    write_schema(population.declared(), folder / "dataset" / "attributes.json")
    return folder


def test_the_run_is_that_of_the_configuration(run_folder: Path) -> None:
    run = finished_run()
    assert run.folder == run_folder and run.recognizer == "default"
    assert finished_run(run.digest) == run
    assert run.compute.threads == 1


@pytest.mark.parametrize("name", ["dataset/manifest-dataset.json", "default/recovery/manifest-recovery.json"])
def test_a_run_that_is_not_finished_is_told(
    run_folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_folder / name).unlink()
    assert main(["--quick", "--only", "effects-true"]) == 1
    told = capsys.readouterr().err
    assert name in told and "run `make run CONFIG=" in told


def test_the_default_run_is_made_by_make_run() -> None:
    assert module._command(module.CONFIG) == "make run"


def test_a_run_that_changes_meanwhile_is_told(run_folder: Path) -> None:
    before = finished_run().digest
    (run_folder / MANIFESTS[0]).write_text("{ }")
    with pytest.raises(ValueError, match="has changed while the row was measured"):
        finished_run(before)


@pytest.mark.parametrize(("old", "new"), [("seed: 2024", "seed: 2025"), ("[0.0, 16.0]", "[0.0, 15.0]")])
def test_a_run_of_another_configuration_is_told(
    run_folder: Path, old: str, new: str, edit_default: Callable[[str, str], None]
) -> None:
    edit_default(old, new)
    with pytest.raises(ValueError, match="was made with another configuration than"):
        finished_run()


@pytest.fixture
def edit_default(tmp_path: Path) -> Callable[[str, str], None]:
    def edit(old: str, new: str) -> None:
        path = tmp_path / "config" / "default.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return edit


def test_brought_faces_have_no_truth(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = run_folder.parents[1] / "config" / "faces-folders.yaml"
    monkeypatch.setenv(module.VARIABLE, str(path))
    with pytest.raises(ValueError, match="dataset.source: found 'folders', allowed is 'world'"):
        finished_run()


def test_people_of_another_seed_are_others(run_folder: Path) -> None:
    run = finished_run()
    population, world = population_of(run.world), of_test(run.world, 30, 1)
    table, values = draw_people(population, world, run.config.seed)
    assert table["identity"].nunique() == 30 and set(table["split"]) == {"test"}
    _, others = draw_people(population, world, run.config.seed + 1)
    assert not np.isin(values["jaw_width"], others["jaw_width"]).any()
