"""The journal in a real MLflow database, in a folder with a space and a percent sign in its name."""

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from attribute_recovery.tracking.digest import sha256_file, write_json
from attribute_recovery.tracking.executions import (
    begin_execution,
    end_execution,
    job_record_paths,
    read_record,
)
from attribute_recovery.tracking.ingest import default_tracking_uri, ingest
from attribute_recovery.tracking.records import recorded_job

NAME = "attribute recovery"


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, which takes seconds to make, and one job of another experiment."""
    experiment = tmp_path_factory.mktemp("database") / "my results" / "other"
    experiment.mkdir(parents=True)
    run_job(experiment, "first")
    assert ingest(experiment, experiment_name="another") == 1
    return experiment.parent / "mlflow.db"


@pytest.fixture
def experiment(tmp_path: Path, empty_database: Path) -> Path:
    """`results/EXPERIMENT` beside a database."""
    folder = tmp_path / "my results, 100%" / "tiny"
    folder.mkdir(parents=True)
    shutil.copy(empty_database, folder.parent / "mlflow.db")
    return folder


def run_job(experiment: Path, rule: str, *, error: Exception | None = None, params: Any = None) -> None:
    source, target = experiment.parent / "source", experiment / f"{rule}.out"
    source.write_text("source")
    try:
        with recorded_job(
            rule=rule,
            experiment_dir=experiment,
            log=experiment / "logs" / f"{rule}.log",
            inputs={"source": source},
            outputs={"out": target},
            params=params or {"steps": 10, "decoder": {"rate": 0.1, "sizes": [1, 2]}},
            seed=5,
            code="c0de" * 16,
            wildcards={"recognizer": "arc"},
        ) as job:
            job.log_metrics({"tar/at fmr": 0.9, "broken": float("nan")})
            target.write_text(rule)
            if error:
                raise error
    except SystemExit:
        assert error


def run_execution(experiment: Path, *rules: str) -> str:
    execution = begin_execution(experiment, command="make run")
    for rule in rules:
        run_job(experiment, rule)
    end_execution(experiment, "finished")
    return execution


def runs_of(experiment: Path, name: str = NAME) -> dict[str, Any]:
    """All runs of the MLflow experiment by name, read by a client of its own."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=default_tracking_uri(experiment.parent))
    found = client.get_experiment_by_name(name)
    assert found is not None
    runs = client.search_runs([found.experiment_id], max_results=1000)
    by_name = {run.info.run_name: run for run in runs}
    assert len(by_name) == len(runs)
    return by_name


def test_each_job_becomes_a_run_below_its_execution(experiment: Path) -> None:
    execution = run_execution(experiment, "train", "measure")
    assert ingest(experiment, experiment_name=NAME) == 2
    runs = runs_of(experiment)
    assert set(runs) == {execution, "train arc", "measure arc"}
    parent, run = runs[execution], runs["train arc"]
    record = next(r for p in job_record_paths(experiment) if (r := read_record(p))["rule"] == "train")
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["command"] == "make run"
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert run.data.tags["code_digest"] == "c0de" * 16
    assert run.data.tags["wildcard.recognizer"] == "arc"
    assert run.data.params == {"steps": "10", "decoder.rate": "0.1", "decoder.sizes": "[1, 2]", "seed": "5"}
    assert run.data.metrics["tar/at fmr"] == 0.9
    assert run.data.metrics["duration_seconds"] == record["duration_seconds"]
    assert run.data.metrics["peak_memory_mib"] == record["peak_memory_mib"]
    assert run.info.status == "FINISHED"
    assert 0 <= run.info.end_time - run.info.start_time <= 1000 * record["duration_seconds"] + 100


def test_inputs_and_outputs_are_named_by_path_and_hash_not_copied(experiment: Path) -> None:
    run_execution(experiment, "train")
    ingest(experiment, experiment_name=NAME)
    datasets = {
        entry.tags[0].value: entry.dataset for entry in runs_of(experiment)["train arc"].inputs.dataset_inputs
    }
    assert set(datasets) == {"input", "output"}
    sha256 = sha256_file(experiment / "train.out")
    assert datasets["output"].name == "tiny/train.out"
    assert datasets["output"].digest == sha256[:36]
    source = json.loads(datasets["output"].source)
    assert source == {"path": "tiny/train.out", "sha256": sha256, "size": 5, "kind": "file"}
    assert not (experiment.parent / "mlartifacts").exists()


def test_errors_may_name_people_so_their_words_are_withheld(experiment: Path) -> None:
    begin_execution(experiment, command="make run")
    run_job(experiment, "bad", error=ValueError("image 'ann/001' is not there"))
    end_execution(experiment, "failed", error="ann/001 is not there")
    assert ingest(experiment, experiment_name=NAME) == 1
    runs = runs_of(experiment)
    for run in runs.values():
        assert run.data.tags["error.message"].startswith("withheld, since people are pseudonymous")
    assert runs["bad arc"].data.tags["error.type"] == "ValueError"
    assert b"ann" not in (experiment.parent / "mlflow.db").read_bytes()


def test_failed_and_interrupted_jobs_are_there_as_such(experiment: Path) -> None:
    begin_execution(experiment, command="make run")
    run_job(experiment, "bad", error=ValueError("tau is 2"))
    write_killed_record(experiment)
    end_execution(experiment, "failed", error="a rule failed")
    assert ingest(experiment, experiment_name=NAME, identities="named") == 2
    runs = runs_of(experiment)
    assert runs["bad arc"].info.status == "FAILED"
    assert runs["bad arc"].data.tags["error.message"] == "tau is 2"
    assert runs["killed"].info.status == "FAILED"
    assert "without a word" in runs["killed"].data.tags["error.message"]
    parent = next(run for run in runs.values() if "mlflow.parentRunId" not in run.data.tags)
    assert parent.info.status == "FAILED"
    assert parent.data.tags["error.message"] == "a rule failed"


def write_killed_record(experiment: Path) -> None:
    """A record as a job leaves it that is killed at once: nothing measured, nothing hashed."""
    (path,) = job_record_paths(experiment)
    record = read_record(path)
    for key in ("ended", "error", "inputs", "metrics", "duration_seconds", "peak_memory_mib"):
        del record[key]
    process = {"host": "elsewhere", "pid": 1, "started": None}
    record |= {"rule": "killed", "wildcards": {}, "status": "running", "process": process}
    record["record_id"] = record["record_id"].replace("bad-arc", "killed")
    write_json(path.with_name(path.name.replace("bad-arc", "killed")), record)


def test_twice_adds_nothing_and_does_not_load_mlflow(experiment: Path) -> None:
    run_execution(experiment, "train")
    assert ingest(experiment, experiment_name=NAME) == 1
    before = runs_of(experiment)
    assert ingest(experiment, experiment_name=NAME) == 0
    program = (
        "import sys, pathlib; from attribute_recovery.tracking.ingest import ingest;"
        f"assert ingest(pathlib.Path(sys.argv[1]), experiment_name={NAME!r}) == 0;"
        "sys.exit('mlflow' in sys.modules or 'pandas' in sys.modules)"
    )
    arguments = [sys.executable, "-c", program, str(experiment)]
    subprocess.run(arguments, env={"PYTHONPATH": ":".join(sys.path)}, check=True)
    after = runs_of(experiment)
    assert {name: run.info.run_id for name, run in after.items()} == {
        name: run.info.run_id for name, run in before.items()
    }


@pytest.mark.parametrize("step", ["create_run", "log_batch", "log_inputs", "set_terminated"])
def test_what_was_cut_off_is_completed_and_not_doubled(
    experiment: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    from mlflow.tracking import MlflowClient

    run_execution(experiment, "train", "measure")
    real, calls = getattr(MlflowClient, step), []

    def cut_off(*args: Any, **named: Any) -> Any:
        calls.append(step)
        if len(calls) == 2:
            raise ConnectionError
        return real(*args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, step, cut_off)
        with pytest.raises(ConnectionError):
            ingest(experiment, experiment_name=NAME)
    ingest(experiment, experiment_name=NAME)
    runs = runs_of(experiment)
    assert len(runs) == 3
    for rule in ("train", "measure"):
        run = runs[f"{rule} arc"]
        assert run.info.status == "FINISHED"
        assert run.data.params["steps"] == "10"
        assert run.data.metrics["tar/at fmr"] == 0.9
        assert len(run.inputs.dataset_inputs) == 2


def test_a_lost_list_is_made_good_from_the_database(experiment: Path) -> None:
    run_execution(experiment, "train")
    ingest(experiment, experiment_name=NAME)
    (experiment / "records" / "ingested.json").unlink()
    ingest(experiment, experiment_name=NAME)
    assert len(runs_of(experiment)) == 2


def test_a_lost_database_is_made_and_filled_again(experiment: Path) -> None:
    run_execution(experiment, "train")
    ingest(experiment, experiment_name=NAME)
    database = experiment.parent / "mlflow.db"
    database.unlink()
    # In a new process: this one still holds the file that has lost its name.
    program = (
        "import sys, pathlib; from attribute_recovery.tracking.ingest import ingest;"
        f"print(ingest(pathlib.Path(sys.argv[1]), experiment_name={NAME!r}))"
    )
    arguments = [sys.executable, "-c", program, str(experiment)]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("1\n", "")
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("select count(*) from runs").fetchone() == (2,)


def test_jobs_that_come_while_an_execution_runs_join_it(experiment: Path) -> None:
    execution = begin_execution(experiment, command="make run")
    run_job(experiment, "train")
    assert ingest(experiment, experiment_name=NAME) == 1
    assert runs_of(experiment)[execution].info.status == "RUNNING"
    run_job(experiment, "measure")
    end_execution(experiment, "interrupted")
    assert ingest(experiment, experiment_name=NAME) == 1
    runs = runs_of(experiment)
    assert runs[execution].info.status == "KILLED"
    parents = {run.data.tags.get("mlflow.parentRunId") for run in runs.values()}
    assert parents == {None, runs[execution].info.run_id}
    assert ingest(experiment, experiment_name=NAME) == 0


def test_jobs_outside_an_execution_have_a_parent_too(experiment: Path) -> None:
    run_job(experiment, "train")
    assert ingest(experiment, experiment_name=NAME) == 1
    runs = runs_of(experiment)
    assert set(runs) == {"manual", "train arc"}
    assert runs["manual"].info.status == "FINISHED"


def test_long_and_many_params_are_cut_visibly_and_sent_in_batches(experiment: Path) -> None:
    params = {"long": "x" * 7000, **{f"p{n}": n for n in range(250)}, "odd [name]": 1}
    run_job(experiment, "train", params=params)
    ingest(experiment, experiment_name=NAME)
    found = runs_of(experiment)["train arc"].data.params
    assert len(found["long"]) == 6000
    assert found["long"].endswith("x…")
    assert found["p249"] == "249"
    assert found["odd _name_"] == "1"
    assert len(found) == 253


def test_a_server_that_is_down_loses_nothing(experiment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.exceptions import MlflowException

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run_execution(experiment, "train")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        uri = f"http://user:secret@127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(MlflowException):
            ingest(experiment, tracking_uri=uri, experiment_name=NAME)
    assert not (experiment / "records" / "ingested.json").exists()
    assert ingest(experiment, experiment_name=NAME) == 1


def test_each_server_has_its_own_list(experiment: Path, tmp_path: Path) -> None:
    run_execution(experiment, "train")
    other = tmp_path / "other.db"
    shutil.copy(experiment.parent / "mlflow.db", other)
    assert ingest(experiment, experiment_name=NAME) == 1
    assert ingest(experiment, tracking_uri=f"sqlite:///{other}", experiment_name=NAME) == 1
    assert ingest(experiment, tracking_uri=f"sqlite:///{other}", experiment_name=NAME) == 0
    assert str(other) not in (experiment / "records" / "ingested.json").read_text()
