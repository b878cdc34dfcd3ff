"""The command `attribute-recovery`: one command a question. What it does is done elsewhere."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from attribute_recovery.tracking.process import ProcessId, is_alive

if TYPE_CHECKING:
    from attribute_recovery.config import Config

RESULTS = Path("results")
LOCK = RESULTS / ".run.lock"
PATIENCE_SECONDS = 10.0
INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)
ConfigFile = Annotated[Path, typer.Option("--config", help="The configuration file.")]
DEFAULT = Path("config/default.yaml")


@app.command()
def run(
    *,
    config: ConfigFile = DEFAULT,
    profile: Annotated[str, typer.Option(help="Where jobs run: a folder of config/profiles/.")] = "local",
    cores: Annotated[int | None, typer.Option(min=1, help="Cores in all; the profile's if left out.")] = None,
    until: Annotated[
        str | None, typer.Option(help="A rule: only it and what it needs; all if left out.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done and why.")] = False,
) -> None:
    """Brings the results up to date: all that is missing, damaged or changed is made again."""
    settings = _load(config)
    command = [*_snakemake(config), "--profile", f"config/profiles/{profile}"]
    command += ["--cores", str(cores)] if cores else []
    only = ["--until", until] if until else []
    if dry_run:
        raise typer.Exit(_call([*command, *only, "--dry-run"]))
    # Why each job runs is for the dry run; here it would hide what jobs say.
    command += ["--quiet", "host", "reason"]
    with _only_run() as lock:
        _clear_up_after_killed_runs(_snakemake(config))
        broken = _remove_broken_manifests(settings)
        # First alone: what is made again with equal content then leaves all later results as they are.
        if photographs := _photographs_first(settings):
            _go_on_if_well(_call([*command, "--", *photographs], lock))
        if broken:
            _go_on_unless_interrupted(_call([*command, "--", *broken], lock))
        raise typer.Exit(_call([*command, *only], lock))


@app.command()
def check(*, config: ConfigFile = DEFAULT) -> None:
    """Checks a configuration file, without running anything."""
    settings = _load(config)
    typer.echo(f"{config}: experiment {settings.experiment}, recognizers {', '.join(settings.recognizers)}")
    if settings.left_out_stages:
        typer.echo(f"without labels and heads, left out: {', '.join(settings.left_out_stages)}")


@app.command()
def trace(path: Annotated[Path, typer.Argument(help="A file or folder below results/.")]) -> None:
    """Follows a result back to where it came from: one line for each file and the job that wrote it."""
    from attribute_recovery.tracking.lineage import trace as trace_back

    try:
        steps = trace_back(path, RESULTS)
    except ValueError as error:
        raise _refusal(str(error)) from None
    for step in steps:
        job = (
            f"{step.rule}, code {step.code[:12]}, seed {step.seed}, {step.record}"
            if step.rule
            else "no job's output"
        )
        typer.echo(f"{step.path}  {step.sha256[:12] or 'not hashed'}  {job}")


@app.command()
def verify() -> None:
    """Checks every file of results/ against its manifest, and every result against what it was made from."""
    from attribute_recovery.tracking.lineage import verify as verify_all

    problems = verify_all(RESULTS)
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise typer.Exit(1)
    typer.echo("every file is as its job wrote it")


@app.command()
def ui(
    *,
    config: ConfigFile = DEFAULT,
    port: Annotated[int, typer.Option(min=1, max=65535, help="On loopback.")] = 5000,
) -> None:
    """Opens MLflow's page on this machine's loopback address."""
    from attribute_recovery.tracking.ingest import default_tracking_uri

    uri = _load(config).tracking.uri or default_tracking_uri(RESULTS)
    if uri.startswith(("http:", "https:")):
        typer.echo(f"The runs are kept by the server at {uri}")
        return
    typer.echo(f"MLflow's page: http://127.0.0.1:{port}")
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    raise typer.Exit(_call([*command, "--host", "127.0.0.1", "--port", str(port)]))


@app.command()
def card(
    source: Annotated[str, typer.Argument(help="A recognizer's file, or package.module:function.")],
) -> None:
    """Writes a draft of the card that goes with a recognizer; it says what only you can fill in."""
    from attribute_recovery.recognizer.card_draft import write_draft

    try:
        path, left = write_draft(source)
    except ValueError as error:
        raise _refusal(str(error)) from None
    typer.echo(f"{path}: fill in {', '.join(left)} (docs/recognizer.md)")


class AuthorsModel(StrEnum):
    """The recognizers that the authors publish models for."""

    mb = "mb"
    r50 = "r50"


@app.command("import-authors")
def import_authors(
    folder: Annotated[Path, typer.Argument(help="Has the authors' files under their names.")],
    *,
    model: Annotated[AuthorsModel, typer.Option(help="Which recognizer: MobileFaceNet or IR-50.")],
    output: Annotated[Path, typer.Option(help="Folder of models, written whole or not at all.")],
) -> None:
    """Converts the authors' checkpoints to safetensors with cards, for generator.source: authors."""
    from attribute_recovery.decoder.authors.convert import import_authors as convert
    from attribute_recovery.generator.authors_files import model_files

    try:
        convert(folder, model.value, output)
    except ValueError as error:
        raise _refusal(str(error)) from None
    typer.echo("\n".join(str(path) for pair in model_files(output).values() for path in pair))


@app.command("label-sheet")
def label_sheet(
    folder: Annotated[Path, typer.Argument(help="Where labels.csv and the sheets are written.")],
    *,
    attribute: Annotated[list[str], typer.Option(help="A column to fill in; may be given several times.")],
    images: Annotated[int | None, typer.Option(min=1, help="How many; all if left out.")] = None,
    config: ConfigFile = DEFAULT,
) -> None:
    """Writes a table to label faces in, and sheets of the numbered faces that it asks about."""
    from attribute_recovery.dataset.label_sheet import write_label_sheet

    settings = _load(config)
    data = RESULTS / settings.experiment / "dataset"
    try:
        written = write_label_sheet(
            data / "images.bcolz",
            data / "images.parquet",
            folder,
            attributes=attribute,
            n_images=images,
            seed=settings.seed,
        )
    except ValueError as error:
        raise _refusal(str(error)) from None
    typer.echo("\n".join(str(path) for path in written))


def _load(path: Path) -> "Config":
    from attribute_recovery.config import load_config
    from attribute_recovery.config_files import ConfigError
    from attribute_recovery.dataset.prepare import check_dataset
    from attribute_recovery.generator.authors_files import check_generator

    try:
        config = load_config(path)
        check_dataset(config.dataset, path)
        check_generator(config, path)
    except ConfigError as error:
        raise _refusal(str(error)) from None
    return config


def _refusal(sentence: str) -> typer.Exit:
    typer.echo(sentence, err=True)
    return typer.Exit(2)


def _snakemake(config: Path) -> list[str]:
    return [sys.executable, "-m", "snakemake", "--configfile", str(config)]


@contextmanager
def _only_run() -> Iterator[int]:
    """Holds the lock of the clone; yields its descriptor for Snakemake, which may outlive this process."""
    RESULTS.mkdir(exist_ok=True)
    with open(LOCK, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal("Another run is under way in this folder; wait until it ends.") from None
        yield file.fileno()


def _clear_up_after_killed_runs(snakemake: Sequence[str]) -> None:
    """Ends jobs whose workflow was killed, removes their half outputs and Snakemake's stale lock.

    The lock that is held says that no run of this command lives; one of plain `snakemake` is looked for.
    """
    from attribute_recovery.tracking.digest import remove_partials
    from attribute_recovery.tracking.executions import current_execution, read_execution

    for experiment in sorted(path.parent for path in RESULTS.glob("*/records")):
        execution = read_execution(experiment / "records" / current_execution(experiment))
        if execution.get("status") == "running" and is_alive(ProcessId(**execution["process"])):
            raise _refusal(
                f"Snakemake runs in this folder (process {execution['process']['pid']}); wait until it ends."
            )
        _end_orphans(experiment)
    remove_partials(RESULTS)
    if any(Path(".snakemake/locks").glob("*")):
        subprocess.run([*snakemake, "--unlock", "--quiet"], check=False)


def _end_orphans(experiment: Path) -> None:
    """Ends the jobs of a workflow that was killed: they would write to the same files as the jobs to come."""
    from attribute_recovery.tracking.executions import job_record_paths, read_record

    records = (read_record(path) for path in job_record_paths(experiment))
    running = [record for record in records if record["status"] == "running"]
    orphans = [(record, ProcessId(**record["process"])) for record in running]
    for number in (signal.SIGTERM, signal.SIGKILL):
        orphans = [(record, process) for record, process in orphans if is_alive(process)]
        for record, process in orphans:
            typer.echo(
                f"Ending {record['rule']} (process {process.pid}), whose workflow was killed.", err=True
            )
            os.kill(process.pid, number)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(is_alive(process) for _, process in orphans) and time.monotonic() < deadline:
            time.sleep(0.1)


def _remove_broken_manifests(settings: "Config") -> list[str]:
    """Removes manifests that their files do not match; those that the configuration can make again."""
    from attribute_recovery.tracking.digest import manifest_paths, remove_broken_manifests

    before = manifest_paths(RESULTS, experiment=settings.experiment)
    for sentence in remove_broken_manifests(RESULTS, experiment=settings.experiment):
        typer.echo(sentence, err=True)
    gone = [path for path in before if not path.exists()]
    return [str(path) for path in gone if _can_be_made(path, settings)]


def _photographs_first(settings: "Config") -> list[str]:
    """The data set's manifest, where photographs may have changed under results that stand on them."""
    path = RESULTS / settings.experiment / "dataset" / "manifest-dataset.json"
    return [str(path)] if settings.dataset.source != "world" and path.is_file() else []


def _can_be_made(path: Path, settings: "Config") -> bool:
    """Of results/EXPERIMENT/STAGE/manifest, or results/EXPERIMENT/RECOGNIZER/STAGE/manifest; where there are
    folds, results/EXPERIMENT/fold_K/... too."""
    below = path.parts[2:]
    if below[0] in {f"fold_{number}" for number in range(1, settings.folds + 1)}:
        below = below[1:]
    if below[-2] in settings.left_out_stages:
        return False
    if len(below) == 2:
        # A comparison that is left from more recognizers cannot be made of one.
        return below[0] != "significance" or len(settings.recognizers) > 1
    if path.stem == "manifest-decoder_folder" and getattr(settings.decoder, "folder", None) is None:
        return False
    return below[0] in settings.recognizers


def _go_on_if_well(code: int) -> None:
    if code:
        raise typer.Exit(code)


def _go_on_unless_interrupted(code: int) -> None:
    if code == INTERRUPTED:
        raise typer.Exit(code)


def _call(command: Sequence[str], *descriptors: int) -> int:
    """Runs a command in a process group of its own, and hands on the signals that would end this process.

    So each process of the group is told once, whether the signal comes from the terminal or from `kill`.

    Returns:
        Its exit code, or 130 if it was told to stop.
    """
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=descriptors, process_group=0)
    told: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        told.append(number)
        # Snakemake lets its jobs end at SIGTERM and stops them at SIGINT.
        os.killpg(process.pid, signal.SIGINT)

    before = {
        number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return INTERRUPTED if told else code


if __name__ == "__main__":
    app()
