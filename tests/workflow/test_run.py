"""Whole runs of the tiny configuration: all rules, real stages, and what holds when something goes wrong."""

import json
import os
import resource
import signal
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ALL_RULES = {
    "dataset",
    "generator_train",
    "generator_codes",
    "attributes_heads",
    "attributes_editor",
    "recognizer",
    "embeddings",
    "rates",
    "decoder_train",
    "decoder_samples",
    "recovery",
    "significance",
    "counterfactuals",
    "report",
}


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time and content of every file of the results, hidden ones left out."""
    kept = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in kept}


def cpu_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_run_from_nothing_writes_page_and_figures(first_run):
    clone, done = first_run
    assert done.returncode == 0, done.stdout + done.stderr
    page = (clone.results / "report/index.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    metrics = json.loads((clone.results / "report/metrics.json").read_text())
    assert metrics["schema_version"] == 1
    assert {"dataset", "generator", "attributes", "recognizers"} <= set(metrics)
    for figures in metrics["recognizers"].values():
        assert {"recognizer", "decoder", "recovery", "significance", "counterfactuals"} <= set(figures)
        assert 0 <= figures["recognizer"]["tar_at_target_fmr"] <= 1


def test_every_job_leaves_a_manifest_a_log_and_a_benchmark(first_run):
    clone, _ = first_run
    for kind, ending in (("manifest", "json"), ("log", "log"), ("benchmark", "tsv")):
        pattern = f"**/manifest-*.{ending}" if kind == "manifest" else f"{kind}s/**/*.{ending}"
        names = {path.stem.removeprefix("manifest-") for path in clone.results.glob(pattern)}
        assert names == ALL_RULES, kind


def test_verify_and_trace_find_every_job(first_run):
    clone, _ = first_run
    verified = clone.call("attribute_recovery.cli", "verify")
    assert verified.returncode == 0, verified.stdout
    traced = clone.call("attribute_recovery.cli", "trace", "results/tiny/report/index.html")
    assert {line.split("  ")[2].split(",")[0] for line in traced.stdout.splitlines()} == ALL_RULES


def test_a_second_run_does_nothing_wherever_the_clone_was_moved(finished):
    before = contents(finished.folder / "results")
    began = cpu_seconds_of_children()
    done = finished.run()
    # Of processor time, which a busy machine does not stretch.
    assert cpu_seconds_of_children() - began < 10
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr
    assert contents(finished.folder / "results") == before


def test_a_touched_data_file_is_no_reason_to_run(finished):
    for path in ("dataset/images.parquet", "dataset/images.bcolz", "generator/autoencoder.safetensors"):
        os.utime(finished.results / path)
    assert finished.planned("config/tiny.yaml") == set()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("report: {title: Another}", {"report"}),
        ("counterfactuals: {travel: 1.3}", {"counterfactuals", "report"}),
        ("significance: {images: 7}", {"significance", "report"}),
        ("tracking: {experiment: another}", set()),
    ],
)
def test_a_changed_setting_reruns_what_it_touches(finished, change, expected):
    assert finished.planned(finished.write_config("changed.yaml", change)) == expected


def test_settings_of_t_do_not_touch_the_domain(finished):
    planned = finished.planned(finished.write_config("changed.yaml", "decoder: {sampling_steps: 2}"))
    assert {"decoder_train", "decoder_samples", "report"} <= planned
    domain = {"dataset", "generator_train", "generator_codes", "attributes_heads", "attributes_editor"}
    assert not planned & (domain | {"recognizer", "embeddings", "rates"})


def test_a_damaged_file_is_made_again_with_the_same_content_and_nothing_else(finished):
    damaged = finished.results / "tiny" / "embeddings"
    damaged = max(
        finished.results.glob("*/embeddings/shards/*.bcolz/data/*.blp"), key=lambda path: path.stat().st_size
    )
    before = damaged.read_bytes()
    damaged.write_bytes(bytes([before[0] ^ 1]) + before[1:])
    others = len(list(finished.results.glob("records/*/*-*.json")))
    done = finished.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "has other content than the manifest says" in done.stderr
    assert damaged.read_bytes() == before
    assert len(list(finished.results.glob("records/*/*-*.json"))) == others + 1


def test_after_kill_9_of_a_job_the_next_run_goes_on(finished):
    before = runs_in_mlflow(finished.folder)
    config = finished.write_config("changed.yaml", "report: {title: Another}")
    process = finished.start(config)
    os.kill(finished.running_job("report", halt=True)["process"]["pid"], signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert process.returncode not in (0, None), output
    assert not (finished.results / "report/manifest-report.json").exists()
    assert finished.records("report")[-1]["error"]["type"] == "Killed"
    again = finished.run(config)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Another" in (finished.results / "report/index.html").read_text()
    assert [record["status"] for record in finished.records("report")] == ["finished", "failed", "finished"]
    added = {name: count - before[name] for name, count in runs_in_mlflow(finished.folder).items()}
    assert added == {"parents": 2, "finished": 1, "failed": 1, "orphans": 0}


def test_mlflow_has_every_job_below_one_parent(first_run):
    clone, _ = first_run
    found = runs_in_mlflow(clone.folder)
    assert found == {"parents": 1, "finished": len(ALL_RULES), "failed": 0, "orphans": 0}


def runs_in_mlflow(folder: Path) -> dict[str, int]:
    """Parent runs, and child runs by status; a child whose parent is not there is an orphan."""
    from mlflow.tracking import MlflowClient

    from attribute_recovery.tracking.ingest import default_tracking_uri

    client = MlflowClient(tracking_uri=default_tracking_uri(folder / "results"))
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, max_results=1000)
    parents = {run.info.run_id for run in runs if "mlflow.parentRunId" not in run.data.tags}
    children = [run for run in runs if run.info.run_id not in parents]
    return {
        "parents": len(parents),
        "finished": sum(run.info.status == "FINISHED" for run in children),
        "failed": sum(run.info.status == "FAILED" for run in children),
        "orphans": sum(run.data.tags["mlflow.parentRunId"] not in parents for run in children),
    }


def test_ctrl_c_ends_the_run_cleanly(finished):
    config = finished.write_config("changed.yaml", "report: {title: Another}")
    process = finished.start(config)
    job = finished.running_job("report", halt=True)
    process.send_signal(signal.SIGINT)
    os.kill(job["process"]["pid"], signal.SIGCONT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert finished.records("report")[-1]["status"] == "interrupted"
    assert not (finished.results / "report/index.html").exists()
    again = finished.run(config)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "nlock" not in again.stdout + again.stderr


def test_after_kill_9_of_the_whole_workflow_the_next_run_ends_its_orphan_and_goes_on(finished):
    before = (finished.results / "default/significance/significance.parquet").read_bytes()
    process = finished.start(finished.write_config("changed.yaml", "significance: {permutations: 100000}"))
    job = finished.running_job("significance")
    execution = finished.results / "records" / job["execution"] / "execution.json"
    os.kill(json.loads(execution.read_text())["process"]["pid"], signal.SIGKILL)
    process.kill()
    process.wait(timeout=60)
    assert (finished.folder / ".snakemake/locks").exists()
    again = finished.run()
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"Ending significance (process {job['process']['pid']})" in again.stderr
    assert (finished.results / "default/significance/significance.parquet").read_bytes() == before
    assert [record["status"] for record in finished.records("significance")][-2:] == [
        "interrupted",
        "finished",
    ]


def test_a_run_beside_another_is_refused(finished):
    config = finished.write_config("changed.yaml", "report: {title: Another}")
    process = finished.start(config)
    job = finished.running_job("report", halt=True)
    beside = finished.run(config)
    os.kill(job["process"]["pid"], signal.SIGCONT)
    output, _ = process.communicate(timeout=120)
    assert beside.returncode == 2
    assert beside.stderr == "Another run is under way in this folder; wait until it ends.\n"
    assert process.returncode == 0, output
