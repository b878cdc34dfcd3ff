"""How the workflow takes its configuration, and what it says of a wrong one before any job starts."""

import re

import pytest

WRONG = [
    ("decoder: {stepz: 3}", "decoder.stepz"),
    ("decoder: {steps: many}", "decoder.steps"),
    ("decoder: {steps: 0}", "decoder.steps"),
]


@pytest.mark.parametrize(("change", "key"), WRONG)
def test_the_command_says_one_sentence(clone, change, key):
    config = clone.write_config("wrong.yaml", change)
    for command in ("run", "check", "ui"):
        done = clone.call("attribute_recovery.cli", command, "--config", config)
        assert done.returncode == 2
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        assert config in done.stderr
        assert key in done.stderr
    assert not (clone.folder / "results").exists()


def test_plain_snakemake_says_it_too(clone):
    config = clone.write_config("wrong.yaml", "decoder: {steps: 0}")
    done = clone.call("snakemake", "--configfile", config, "--dry-run")
    assert done.returncode != 0
    assert "decoder.steps" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        ([], "results/default/"),
        (["--configfile", "config/tiny.yaml"], "results/tiny/"),
        (["--configfile", "config/tiny.yaml", "--config", "experiment=other"], "results/other/"),
    ],
)
def test_plain_snakemake_takes_a_file_and_values(clone, arguments, folder):
    done = clone.call("snakemake", "--dry-run", "--quiet", "reason", *arguments)
    assert done.returncode == 0, done.stderr
    assert f"{folder}report/index.html" in done.stdout + done.stderr


def test_the_default_plans_every_rule_once(clone):
    planned = clone.planned("config/default.yaml")
    assert len(planned) == 14
    assert {"dataset", "decoder_samples", "report"} <= planned


def test_two_recognizers_are_explained_side_by_side(clone):
    config = clone.write_config(
        "two.yaml", "recognizers: {second: {source: weights, weights: a.safetensors, threshold: {fmr: 0.1}}}"
    )
    (clone.folder / "a.safetensors").touch()
    (clone.folder / "a.json").touch()
    done = clone.call("snakemake", "--configfile", config, "--dry-run")
    assert done.returncode == 0, done.stderr
    planned = done.stdout + done.stderr
    assert "results/tiny/second/counterfactuals/manifest-counterfactuals.json" in planned
    assert "results/tiny/significance/manifest-significance_compare.json" in planned
    for once in ("dataset", "generator_train", "attributes_heads", "significance_compare"):
        assert re.search(rf"^{once} +1$", planned, re.MULTILINE), once


def test_a_recognizer_whose_file_is_missing_stops_the_run_before_any_job(clone):
    config = clone.write_config(
        "two.yaml", "recognizers: {second: {source: weights, weights: a.safetensors, threshold: {fmr: 0.1}}}"
    )
    done = clone.call("snakemake", "--configfile", config, "--dry-run")
    assert done.returncode != 0
    assert "a.safetensors" in done.stdout + done.stderr
