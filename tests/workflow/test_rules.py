"""The parsed workflow: what every rule has, and that rules, scripts and functions fit each other."""

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

from attribute_recovery.tracking.scripts import NOT_DATA

ROOT = Path(__file__).parents[2]
STAGES = (
    "dataset",
    "generator",
    "attributes",
    "recognizer",
    "embeddings",
    "decoder",
    "recovery",
    "significance",
    "counterfactuals",
    "folds",
    "report",
)


# Rules that only some configurations ask for.
WHERE_ASKED_FOR = ("decoder_folder",)


@dataclass(frozen=True)
class Call:
    """The one call of a script: the function's `module:name`, its settings by place, paths by name."""

    entry: str
    places: int
    names: frozenset[str]


SECOND = "recognizers: {second: {source: weights, weights: a.safetensors, threshold: {fmr: 0.1}}}"


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every rule but `all`, by name, of a workflow with two recognizers."""
    folder, interpreter = Path.cwd(), sys.executable
    config = tmp_path_factory.mktemp("config") / "two.yaml"
    config.write_text(f"extends: {ROOT}/config/default.yaml\n{SECOND}\n")
    try:
        with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
            workflow = api.workflow(
                resource_settings=ResourceSettings(cores=1),
                config_settings=ConfigSettings(configfiles=[config]),
                snakefile=ROOT / "Snakefile",
                workdir=ROOT,
            )._workflow
            return {rule.name: rule for rule in workflow.rules if rule.name != "all"}
    finally:
        os.chdir(folder)
        # The workflow quotes it, for Snakemake.
        sys.executable = interpreter


def files(named: Any) -> dict[str, Any]:
    return dict(named.items())


def pattern(path: Any) -> str:
    """A path as the rule has it, without the constraints that Snakemake puts into its wildcards, and without
    the wildcard `fold`, which is empty where there are none."""
    return re.sub(r"\{(\w+),[^}]*\}", r"{\1}", str(path)).replace("{fold}", "")


def script_of(rule: Any) -> Path:
    text = next(
        path.read_text()
        for path in (ROOT / "rules").glob("*.smk")
        if f"rule {rule.name}:" in path.read_text()
    )
    body = text.partition(f"rule {rule.name}:")[2].partition("\nrule ")[0]
    found = re.search(r'script:\n\s+"\.\./(scripts/[\w/]+\.py)"', body)
    assert found, rule.name
    return ROOT / found.group(1)


def entry_of(rule: Any) -> str:
    """What the rule's code digest is taken of."""
    text = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    body = text.partition(f"rule {rule.name}:")[2].partition("\nrule ")[0]
    found = re.search(r'code=code_of\(\s*"([\w.:]+)"', body)
    assert found, rule.name
    return f"attribute_recovery.{found.group(1)}"


def call_of(script: Path) -> Call:
    tree = ast.parse(script.read_text())
    block = next(node for node in ast.walk(tree) if isinstance(node, ast.With))
    imported = next(node for node in block.body if isinstance(node, ast.ImportFrom))
    name = imported.names[0].name
    call = next(
        node
        for node in ast.walk(block)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    )
    names = frozenset(keyword.arg for keyword in call.keywords if keyword.arg)
    return Call(f"{imported.module}:{name}", len(call.args), names)


def test_one_rule_file_and_one_script_folder_a_stage():
    assert {path.stem for path in (ROOT / "rules").glob("*.smk")} == {*STAGES, "common"}
    assert {path.name for path in (ROOT / "scripts").iterdir() if path.is_dir()} == set(STAGES)
    included = re.findall(r'include: "rules/(\w+)\.smk"', (ROOT / "Snakefile").read_text())
    assert included == ["common", *STAGES]


def test_every_rule_file_says_what_it_reads_and_writes():
    for stage in STAGES:
        text = (ROOT / "rules" / f"{stage}.smk").read_text()
        docstring = ast.get_docstring(ast.parse(text.partition("\n\nrule ")[0])) or ""
        assert "OUTPUTS:" in docstring, stage
        assert "INPUTS:" in docstring, stage


def test_every_rule_has_what_the_house_asks_for(rules):
    for name, rule in rules.items():
        assert rule.docstring, name
        assert rule.docstring.strip().count("\n") == 0, name
        assert rule.log, name
        assert rule.benchmark, name
        assert rule.conda_env, name
        assert rule.message, name
        assert {"mem_mb", "runtime"} <= set(rule.resources), name
        assert "code" in files(rule.params), name


def test_retries_are_left_to_profiles():
    """In a rule they would be made inside the same Slurm job, whose memory does not grow."""
    for path in (ROOT / "rules").glob("*.smk"):
        assert "retries:" not in path.read_text(), path


def test_inputs_and_outputs_are_named_and_literal(rules):
    for name, rule in rules.items():
        assert len(rule.output) == len(files(rule.output)), name
        for output in rule.output:
            assert pattern(output).startswith("results/{experiment}/"), name


def test_every_rule_writes_its_manifest_into_its_stage(rules):
    for name, rule in rules.items():
        manifest = Path(str(files(rule.output)["manifest"]))
        assert manifest.name == f"manifest-{name}.json"
        assert {Path(str(output)).parent for output in rule.output} == {manifest.parent}, name


def test_every_file_read_is_vouched_for_by_a_manifest_read_too(rules):
    """Data files are `ancient`, so a rule that names a file and not its manifest would never run again."""
    writers = {
        pattern(path): pattern(files(rule.output)["manifest"])
        for rule in rules.values()
        for path in rule.output
    }
    for name, rule in rules.items():
        read = {pattern(path) for path in rule.input if not callable(path)}
        for path in read:
            if "/manifest-" not in path:
                assert writers[path] in read, f"{name} reads {path}"
                assert next(one for one in rule.input if pattern(one) == path).is_ancient, f"{name}: {path}"
        if name not in ("dataset", "report", "significance_compare"):
            needed = {writers[path] for path in read if "/manifest-" not in path}
            assert {path for path in read if "/manifest-" in path} == needed, name


def test_the_comparison_reads_what_every_recognizer_wrote(rules):
    """Its files have no names of their own among the inputs, so their manifests must be there."""
    read = {str(path) for path in rules["significance_compare"].input}
    for name in ("default", "second"):
        for rule in ("embeddings", "rates", "significance"):
            manifest = pattern(files(rules[rule].output)["manifest"]).replace("{recognizer}", name)
            assert manifest.replace("{experiment}", "default") in read


def test_all_asks_for_every_manifest(rules):
    asked = {Path(str(path)).name for path in rules["report"].input} | {"manifest-report.json"}
    assert asked == {f"manifest-{name}.json" for name in rules if name not in WHERE_ASKED_FOR}


def test_scripts_are_short_and_do_one_thing(rules):
    scripts = {script_of(rule) for rule in rules.values()}
    assert scripts == set((ROOT / "scripts").rglob("*.py"))
    for script in scripts:
        text = script.read_text()
        assert len(text.splitlines()) < 25, script
        assert 'if __name__ == "__main__":' in text, script
        assert "snakemake.config" not in text, script
        heavy = [
            line for line in text.splitlines() if re.match(r"(from|import) (torch|mlflow|numpy|pandas)", line)
        ]
        assert not heavy, script


def test_scripts_call_what_the_code_digest_is_taken_of_with_the_arguments_it_takes(rules):
    for name, rule in rules.items():
        call = call_of(script_of(rule))
        assert call.entry == entry_of(rule), name
        module, _, function = call.entry.partition(":")
        signature = inspect.signature(getattr(importlib.import_module(module), function))
        kinds = inspect.Parameter
        keywords = {n: p for n, p in signature.parameters.items() if p.kind is kinds.KEYWORD_ONLY}
        needed = {n for n, p in keywords.items() if p.default is kinds.empty}
        by_place = [n for n, p in signature.parameters.items() if p.kind is kinds.POSITIONAL_OR_KEYWORD]
        paths = {n for n in [*files(rule.input), *files(rule.output)] if n not in NOT_DATA}
        assert needed <= paths | call.names <= keywords.keys(), name
        assert len(by_place) == call.places, name


def test_reading_the_workflow_imports_nothing_heavy(clone):
    """A run with nothing to do must take seconds."""
    program = (
        "import runpy, sys; sys.argv = ['snakemake', '--dry-run', '--quiet', 'all']\n"
        "try: runpy.run_module('snakemake', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print('heavy', sorted({'torch', 'mlflow', 'matplotlib', 'bcolz'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [str(clone.folder / ".venv/bin/python"), "-c", program],
        cwd=clone.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "heavy []" in done.stdout, done.stdout + done.stderr
