import fcntl
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from attribute_recovery import cli
from attribute_recovery.dataset.store import write_array, write_table
from attribute_recovery.decoder.authors import convert
from attribute_recovery.tracking.digest import sha256_file, write_manifest
from attribute_recovery.tracking.executions import begin_execution, end_execution
from attribute_recovery.tracking.process import ProcessId, this_process

ROOT = Path(__file__).parents[1]
RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the configuration files, where every test runs."""
    (tmp_path / "config").symlink_to(ROOT / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been run."""
    commands: list[list[str]] = []

    def note(command: list[str], *descriptors: int) -> int:
        commands.append(list(command))
        return 0

    monkeypatch.setattr(cli, "_call", note)
    return commands


def result_with_manifest(name: str, experiment: str = "default") -> tuple[Path, Path]:
    data = Path("results") / experiment / name
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text(name)
    manifest = data.with_name(f"manifest-{data.stem}.json")
    write_manifest(manifest, [data], root=Path("results"))
    return data, manifest


def sleeping_process() -> tuple[subprocess.Popen[bytes], ProcessId]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    ticks = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
    return process, ProcessId(this_process().host, process.pid, ticks)


def write_unlabelled(experiment: str, folder: Path) -> None:
    """mine.yaml, of faces in folders of which no attribute is declared."""
    for name in ("ann", "bob"):
        (folder / "faces" / name).mkdir(parents=True)
    path, align = folder / "faces", "{by: given, crop: centre, template: unknown}"
    values = f"experiment: {experiment}\ndataset: {{path: {path}, align: {align}}}\n"
    Path("mine.yaml").write_text(f"extends: config/faces-folders.yaml\n{values}")


def test_check_names_experiment_and_recognizers():
    done = RUNNER.invoke(cli.app, ["check"])
    assert done.exit_code == 0
    assert done.stdout == "config/default.yaml: experiment default, recognizers default\n"


def test_check_names_what_a_run_without_labels_leaves_out(tmp_path: Path) -> None:
    write_unlabelled("mine", tmp_path)
    done = RUNNER.invoke(cli.app, ["check", "--config", "mine.yaml"])
    assert done.exit_code == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last == ("without labels and heads, left out: attributes, recovery, significance, counterfactuals")


@pytest.mark.parametrize("command", ["run", "check", "ui"])
def test_a_wrong_configuration_is_one_sentence(called, command):
    Path("wrong.yaml").write_text("extends: config/default.yaml\nseed: -1\n")
    done = RUNNER.invoke(cli.app, [command, "--config", "wrong.yaml"])
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert "wrong.yaml" in done.stderr
    assert "seed" in done.stderr
    assert called == []


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_run_until_a_rule(called, more):
    done = RUNNER.invoke(cli.app, ["run", "--until", "decoder_folder", *more])
    assert done.exit_code == 0
    [command] = called
    assert command[command.index("--until") + 1] == "decoder_folder"
    assert ("--dry-run" in command) == bool(more)


def test_what_is_broken_is_made_again_whatever_the_rule_asked_for(called):
    data, _ = result_with_manifest("dataset/dataset")
    data.write_text("changed")
    RUNNER.invoke(cli.app, ["run", "--until", "embeddings"])
    first, second = called
    assert "--until" not in first and first[-1].endswith("manifest-dataset.json")
    assert second[-2:] == ["--until", "embeddings"]


def test_a_folder_that_is_no_longer_asked_for_is_not_made_again(called):
    data, manifest = result_with_manifest("default/decoder/decoder_folder")
    data.write_text("changed")
    done = RUNNER.invoke(cli.app, ["run"])
    assert done.exit_code == 0 and not manifest.exists()
    assert len(called) == 1


def authors_files(folder: Path) -> ModuleType:
    """What writes the authors' files, tiny and random."""
    path = ROOT / "tests/decoder/authors/conftest.py"
    spec = importlib.util.spec_from_file_location("files_of_authors_for_cli", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    folder.mkdir()
    module.write_authors_files(folder, "mb")
    return module


def test_the_authors_files_are_imported_or_refused_in_a_sentence(monkeypatch):
    module = authors_files(Path("theirs"))
    command = ["import-authors", "theirs", "--model", "mb", "--output", "models"]
    refused = RUNNER.invoke(cli.app, command)
    assert refused.exit_code == 2 and not Path("models").exists()
    assert len(refused.stderr.splitlines()) == 1 and "theirs/arcface_mb.pth" in refused.stderr
    monkeypatch.setattr(convert, "Sizes", lambda: module.SIZES)
    done = RUNNER.invoke(cli.app, command)
    assert done.exit_code == 0, done.stderr
    assert sorted(done.stdout.split()) == sorted(str(path) for path in Path("models").iterdir())
    assert RUNNER.invoke(cli.app, [*command[:3], "r18", *command[4:]]).exit_code == 2


@pytest.mark.parametrize("command", ["run", "check"])
def test_models_that_are_not_there_are_named_before_any_job(called, command):
    Path("mine.yaml").write_text(
        "extends: config/tiny.yaml\n"
        "generator: {source: authors, models: nowhere}\n"
        "decoder: {source: authors, folder: null}\n"
        "attributes: {heads: {trunk: [8, 16, 16]}}\n"
        "recognizers: {default: {source: weights, weights: nowhere/recognizer.safetensors, "
        "threshold: {fmr: 0.1}}}\n"
    )
    done = RUNNER.invoke(cli.app, [command, "--config", "mine.yaml"])
    assert done.exit_code == 2 and called == []
    assert done.stderr.startswith(
        "mine.yaml: key generator.models: nowhere/recognizer.safetensors is missing"
    )


def test_run_calls_snakemake_with_file_profile_and_cores(called):
    done = RUNNER.invoke(
        cli.app, ["run", "--config", "config/tiny.yaml", "--profile", "slurm", "--cores", "3"]
    )
    assert done.exit_code == 0
    [command] = called
    assert command[:3] == [sys.executable, "-m", "snakemake"]
    for option, value in (
        ("configfile", "config/tiny.yaml"),
        ("profile", "config/profiles/slurm"),
        ("cores", "3"),
    ):
        assert command[command.index(f"--{option}") + 1] == value


def test_a_dry_run_touches_nothing(called):
    data, manifest = result_with_manifest("report/index.html")
    data.write_text("edited")
    assert RUNNER.invoke(cli.app, ["run", "--dry-run"]).exit_code == 0
    assert called[0][-1] == "--dry-run"
    assert manifest.exists()
    assert not cli.LOCK.exists()


def test_a_damaged_result_is_made_again_before_anything_else(called):
    data, manifest = result_with_manifest("report/index.html")
    _, whole = result_with_manifest("dataset/images.parquet")
    data.write_text("edited")
    done = RUNNER.invoke(cli.app, ["run"])
    assert done.exit_code == 0
    assert "Removed default/report/manifest-index.json" in done.stderr
    assert not manifest.exists()
    assert whole.exists()
    first, second = called
    assert first[-2:] == ["--", str(manifest)]
    assert "--" not in second


def faces_config(name: str = "faces.yaml") -> str:
    """A configuration of brought faces, which are there."""
    for person in ("ann", "bo"):
        Path("faces", person).mkdir(parents=True, exist_ok=True)
    given = "{by: given, crop: centre, template: unknown}"
    Path(name).write_text(f"extends: config/faces-folders.yaml\ndataset: {{path: faces, align: {given}}}\n")
    return name


def test_photographs_are_looked_at_first_where_results_stand_on_them(called):
    config = faces_config()
    RUNNER.invoke(cli.app, ["run", "--config", config])
    assert [command[-3:] for command in called if "--" in command] == []
    called.clear()
    _, manifest = result_with_manifest("dataset/dataset.parquet", experiment="faces_folders")
    RUNNER.invoke(cli.app, ["run", "--config", config])
    first, second = called
    assert first[-2:] == ["--", str(manifest)] and "--" not in second


def test_photographs_that_cannot_be_used_end_the_run(called, monkeypatch):
    config = faces_config()
    result_with_manifest("dataset/dataset.parquet", experiment="faces_folders")
    monkeypatch.setattr(cli, "_call", lambda command, *_: called.append(command) or 1)
    assert RUNNER.invoke(cli.app, ["run", "--config", config]).exit_code == 1
    assert len(called) == 1


@pytest.mark.parametrize("several", [True, False])
def test_a_damaged_comparison_is_asked_for_where_there_are_recognizers_to_compare(called, several):
    data, manifest = result_with_manifest("significance/comparison.parquet")
    data.write_text("broken")
    second = "second: {source: weights, weights: a.safetensors, threshold: {fmr: 0.1}}" if several else ""
    Path("mine.yaml").write_text(f"extends: config/default.yaml\nrecognizers: {{{second}}}\n")
    RUNNER.invoke(cli.app, ["run", "--config", "mine.yaml"])
    assert not manifest.exists()
    assert (str(manifest) in called[0]) == several


def test_a_damaged_result_of_a_recognizer_that_left_the_configuration_is_not_asked_for(called):
    data, manifest = result_with_manifest("gone/recovery/recovered.parquet")
    data.write_text("edited")
    assert RUNNER.invoke(cli.app, ["run"]).exit_code == 0
    assert not manifest.exists()
    assert len(called) == 1


def test_a_damaged_result_of_a_stage_that_is_left_out_is_not_asked_for(called, tmp_path: Path):
    data, manifest = result_with_manifest("attributes/heads.json")
    data.write_text("edited")
    write_unlabelled("default", tmp_path)
    assert RUNNER.invoke(cli.app, ["run", "--config", "mine.yaml"]).exit_code == 0
    assert not manifest.exists()
    assert len(called) == 1


def test_a_run_beside_another_is_refused(called):
    cli.RESULTS.mkdir()
    with open(cli.LOCK, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = RUNNER.invoke(cli.app, ["run"])
    assert done.exit_code == 2
    assert done.stderr == "Another run is under way in this folder; wait until it ends.\n"
    assert called == []


def test_a_run_beside_plain_snakemake_is_refused(called):
    begin_execution(Path("results/default"), command="snakemake")
    done = RUNNER.invoke(cli.app, ["run"])
    assert done.exit_code == 2
    assert f"process {os.getpid()}" in done.stderr
    end_execution(Path("results/default"), "finished")
    assert RUNNER.invoke(cli.app, ["run"]).exit_code == 0


def test_the_job_of_a_killed_workflow_is_ended(called):
    process, identity = sleeping_process()
    record = {"schema_version": 1, "rule": "recovery", "status": "running", "process": asdict(identity)}
    path = Path("results/default/records/one/recovery-default-0.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record))
    # Reaped beside, as the system does with a process whose parent is gone.
    began = time.monotonic()
    done = RUNNER.invoke(cli.app, ["run"])
    assert done.exit_code == 0
    assert f"Ending recovery (process {process.pid})" in done.stderr
    assert process.wait(timeout=10) == -signal.SIGTERM
    assert time.monotonic() - began < cli.PATIENCE_SECONDS


def test_half_written_files_of_killed_jobs_are_removed(called):
    partial = Path("results/default/report/.partial-0123abcd-index.html")
    partial.parent.mkdir(parents=True)
    partial.touch()
    RUNNER.invoke(cli.app, ["run"])
    assert not partial.exists()


def test_verify_tells_what_is_not_as_written():
    data, _ = result_with_manifest("report/index.html")
    data.write_text("edited")
    done = RUNNER.invoke(cli.app, ["verify"])
    assert done.exit_code == 1
    assert "default/report/index.html" in done.stdout


def test_trace_of_a_file_that_is_not_there_is_one_sentence():
    done = RUNNER.invoke(cli.app, ["trace", "results/default/report/index.html"])
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1


def test_ui_opens_the_database_on_loopback(called):
    done = RUNNER.invoke(cli.app, ["ui", "--port", "5050"])
    assert "http://127.0.0.1:5050" in done.stdout
    [command] = called
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--backend-store-uri") + 1].endswith("/results/mlflow.db")


def test_ui_points_to_a_server():
    Path("server.yaml").write_text(
        "extends: config/default.yaml\ntracking: {uri: 'http://tracking.example:5000'}\n"
    )
    done = RUNNER.invoke(cli.app, ["ui", "--config", "server.yaml"])
    assert done.exit_code == 0
    assert "http://tracking.example:5000" in done.stdout


def test_signals_reach_the_command_once_and_make_the_exit_code_130(tmp_path: Path):
    counter = tmp_path / "count.py"
    counter.write_text(
        "import signal, sys, time\n"
        "told = []\n"
        "signal.signal(signal.SIGINT, lambda *_: told.append(1))\n"
        "print('ready', flush=True)\n"
        "end = time.monotonic() + 30\n"
        "while not told and time.monotonic() < end: time.sleep(0.05)\n"
        "time.sleep(0.5)\n"
        "print(len(told), flush=True)\n"
    )
    call = f"_call([sys.executable, {str(counter)!r}])"
    program = f"import sys; from attribute_recovery.cli import _call; sys.exit({call})"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.read() == "1\n"
    assert process.wait(timeout=10) == 130


def test_the_command_imports_nothing_heavy():
    heavy = {"torch", "mlflow", "pandas", "snakemake"}
    program = f"import sys, attribute_recovery.cli; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_card_writes_a_draft_and_says_what_is_left(tmp_path: Path) -> None:
    weights = tmp_path / "net.onnx"
    weights.write_bytes(b"no graph")
    refused = RUNNER.invoke(cli.app, ["card", str(weights)])
    assert refused.exit_code == 2
    assert "net.onnx" in refused.output
    checkpoint = tmp_path / "net.pth"
    torch.save({"fc.weight": torch.zeros(4, 3)}, checkpoint)
    done = RUNNER.invoke(cli.app, ["card", str(checkpoint)])
    assert done.exit_code == 0, done.output
    assert "net.json: fill in " in done.output
    assert json.loads((tmp_path / "net.json").read_text())["weights_sha256"] == sha256_file(checkpoint)


def test_label_sheet_writes_a_table_and_sheets_of_the_experiment(tmp_path: Path) -> None:
    data = Path("results/default/dataset")
    faces = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    write_array(data / "images.bcolz", [faces], faces.shape[1:], np.uint8, 5)
    names = [f"p{i // 2}/{i}" for i in range(5)]
    table = {"image_id": names, "identity": [name[:2] for name in names], "split": "test", "path": ""}
    write_table(pd.DataFrame(table | {"sha256": [f"{i:064x}" for i in range(5)]}), data / "images.parquet")
    command = ["label-sheet", "labels", "--attribute", "glasses", "--attribute", "beard", "--images", "3"]
    done = RUNNER.invoke(cli.app, command)
    assert done.exit_code == 0, done.output
    assert done.output.split() == ["labels/labels.csv", "labels/sheet-01.png"]
    written = pd.read_csv("labels/labels.csv")
    assert list(written.columns) == ["number", "image_id", "identity", "glasses", "beard"]
    assert len(written) == 3
    again = RUNNER.invoke(cli.app, command)
    assert again.exit_code == 2
    assert "labels.csv" in again.output


def test_label_sheet_without_images_says_so() -> None:
    done = RUNNER.invoke(cli.app, ["label-sheet", "labels", "--attribute", "glasses"])
    assert done.exit_code == 2
    assert "images.parquet" in done.output
