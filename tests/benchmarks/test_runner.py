"""A run goes on where it stopped, and a quick one can't be taken for a whole one."""

import json
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from benchmarks.validation import runner
from benchmarks.validation.__main__ import main
from benchmarks.validation.blinded import nulls
from benchmarks.validation.intervals import coverage
from benchmarks.validation.page import read_results
from benchmarks.validation.rows import ROWS, row_named
from benchmarks.validation.scores import same_scores

# The half of the row that stands on no finished run.
GAUSSIAN = replace(row_named("nothing-found"), module="blinded.nulls")


def run(tmp_path: Path, said: list[str] | None = None) -> dict[str, Any]:
    path = runner.run_row(
        GAUSSIAN,
        seed=1,
        quick=True,
        processes=1,
        results=tmp_path / "results",
        scratch=tmp_path / "scratch",
        say=(said if said is not None else []).append,
    )
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A quick run's folder, which tests only read, and its result."""
    folder = tmp_path_factory.mktemp("measured")
    return folder, run(folder)


def test_a_stopped_run_goes_on_where_it_stopped(
    tmp_path: Path, measured: tuple[Path, dict[str, Any]]
) -> None:
    shutil.copytree(measured[0], tmp_path, dirs_exist_ok=True)
    first = measured[1]
    (folder,) = (tmp_path / "scratch" / "quick").iterdir()
    chunks = sorted(folder.iterdir())
    assert [path.stem for path in chunks] == list(nulls.plan(True, 1))
    kept, lost = chunks[0].stat().st_mtime_ns, json.loads(chunks[1].read_text())["found"]
    chunks[1].unlink()
    said: list[str] = []
    again = run(tmp_path, said)
    assert said[0] == "nothing-found: 1 of 2 chunks are there" and len(said) == 2
    assert chunks[0].stat().st_mtime_ns == kept
    assert json.loads(chunks[1].read_text())["found"] == lost  # the same draws
    assert again["goals"] == first["goals"] and again["tables"] == first["tables"]
    assert again["quick"] is True and again["seed"] == 1


def test_other_seeds_and_other_code_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def folder(seed: int) -> str:
        return runner.folder_name(GAUSSIAN, nulls, nulls.plan(True, seed), seed)

    assert folder(1) == folder(1) != folder(2)
    before = folder(2)
    monkeypatch.setattr(runner, "code_of", lambda module: "f" * 64)
    assert folder(2) != before


def test_the_code_of_a_row_is_what_it_reaches_here_and_in_the_package() -> None:
    modules = ("intervals.coverage", "blinded.nulls", "intervals.worlds")
    codes = {module: runner.code_of(f"{runner.HERE}.{module}") for module in modules}
    assert len(set(codes.values())) == 3
    assert codes["blinded.nulls"] == runner.code_of(f"{runner.HERE}.blinded.nulls")


def test_modules_are_reached_through_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "benchmarks/validation"
    (folder / "part").mkdir(parents=True)
    (folder / "row.py").write_text("from benchmarks.validation.part import one\n")
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    digests = []
    for text in ("from benchmarks.validation.part.two import x\n", "x = 2\n", "x = 2  # as before\n"):
        (folder / "part/one.py").write_text(text)
        (folder / "part/two.py").write_text("x = 1\n")
        digests.append(runner.code_of(f"{runner.HERE}.row"))
    assert digests[0] != digests[1] == digests[2]


def test_a_result_says_what_it_rests_on_and_not_where(measured: tuple[Path, dict[str, Any]]) -> None:
    result = measured[1]
    assert set(result["machine"]) == {"cores", "architecture", "python", "numpy"}
    assert {"commit", "seed", "code", "core_minutes", "goals", "tables"} <= set(result)


def test_a_quick_result_is_refused_by_the_page(measured: tuple[Path, dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="quick is True, allowed is a result of a whole run"):
        read_results(measured[0] / "results")


def test_a_row_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--only", "nonsense"]) == 1
    assert "--only: found 'nonsense', allowed are effects-true" in capsys.readouterr().err


def test_missing_peers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(same_scores.VARIABLE, "/nowhere/python")
    with pytest.raises(ValueError, match="/nowhere/python: not there; `make validation` installs"):
        same_scores.work({"kind": "few", "seed": 1})


def test_all_questions_are_there() -> None:
    assert len(ROWS) == 12
    assert len({row.name for row in ROWS}) == 12
    for row in ROWS:
        method = import_module(f"benchmarks.validation.{row.module}")
        assert callable(method.plan) and callable(method.work) and callable(method.conclude)


def folder_of(name: str, run_digest: str = "a" * 64) -> str:
    row = row_named(name)
    method = import_module(f"{runner.HERE}.{row.module}")
    return runner.folder_name(row, method, {"one": {"run": run_digest}}, 1)


def test_rows_about_the_same_people_share_what_was_found_about_them() -> None:
    assert folder_of("samples-calibrated") == folder_of("recovery-loses-little")
    assert folder_of("samples-calibrated").startswith("new_people-1-")
    assert folder_of("effects-true").startswith("effects-true-1-")


def test_another_run_begins_anew() -> None:
    assert folder_of("effects-true", "a" * 64) != folder_of("effects-true", "b" * 64)


def test_whole_runs_are_of_the_size_that_is_asked_for() -> None:
    draws = [chunk for chunk in coverage.plan(False, 1).values() if chunk["kind"] == "draws"]
    for people in coverage.PEOPLE:
        assert sum(chunk["draws"] for chunk in draws if chunk["people"] == people) == 2000
    assert sum(chunk["seeds"] for chunk in nulls.plan(False, 1).values()) == 200
