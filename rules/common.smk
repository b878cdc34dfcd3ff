"""What all rules share: the names that wildcards may take, a job's settings, its memory, its place in the journal.

INPUTS:
    configuration    the typed settings, read in the Snakefile

Every job writes a manifest, results/EXPERIMENT/.../manifest-RULE.json: size and sha256 of every file that it made, and
no times. Manifests are what says whether a later job runs again: the data files stand beside them as `ancient`, since
Snakemake knows large files by their times only and sees nothing inside a bcolz folder.
"""

import functools
import re
import shlex
import sys
from collections.abc import Callable

from snakemake.exceptions import WorkflowError
from snakemake.iocontainers import Wildcards

from attribute_recovery.tracking.executions import begin_execution, current_execution, end_execution
from attribute_recovery.tracking.executions import job_record_paths, read_record
from attribute_recovery.tracking.private import close_folder
from attribute_recovery.tracking.remembered_code import RememberedCode

# Snakemake 9.27 puts the interpreter into a shell command as it is, which a space in the clone's path would break.
sys.executable = shlex.quote(sys.executable)

package_code = RememberedCode(Path(".cache/code.json"))


wildcard_constraints:
    experiment=re.escape(configuration.experiment),
    recognizer="|".join(re.escape(name) for name in configuration.recognizers),
    # A folder below the experiment's, or nothing where there is no cross-fitting, see rules/folds.smk.
    fold=r"/fold_\d+" if configuration.folds else "(?:)",


def section(name: str) -> dict[str, object]:
    """The settings of a section, such as `attributes.heads`, as plain values."""
    found = configuration
    for part in name.split("."):
        found = getattr(found, part)
    return found.model_dump(mode="json")


def recognizer_section(wildcards: Wildcards) -> dict[str, object]:
    """The settings of the recognizer that a job is about."""
    return configuration.recognizers[wildcards.recognizer].model_dump(mode="json")


def dataset_source() -> list[str]:
    """The tables, pairs and the detector that brought faces are read from; see `photographs` for the rest."""
    if configuration.dataset.source == "world":
        return []
    from attribute_recovery.dataset.sources.choose import source_files

    return [str(path) for path in source_files(configuration.dataset)]


@functools.cache
def photographs() -> str:
    """A digest of the names, sizes and times of brought photographs; empty for the default world.

    Worked out where a job of the rule is looked at, so not in the jobs of other rules on a cluster.
    """
    if configuration.dataset.source == "world":
        return ""
    from attribute_recovery.dataset.sources.watched import photographs_digest

    try:
        return photographs_digest(configuration.dataset)
    except ValueError as error:
        raise WorkflowError(f"{configuration_file}: {error}")


def photographs_of(wildcards: Wildcards) -> str:
    """`photographs`, as the rule's params ask for it."""
    return photographs()


def recognizer_source(wildcards: Wildcards) -> list[str]:
    """The files that a recognizer is read from, its card among them; none where it is trained."""
    settings = configuration.recognizers[wildcards.recognizer]
    if settings.source == "train":
        return []
    if settings.source != "python":
        return [str(settings.weights), str(settings.weights.with_suffix(".json"))]
    # A function that is installed has no file here; that it changed is then noticed when it is loaded.
    file = Path(*settings.function.partition(":")[0].split(".")).with_suffix(".py")
    return [str(settings.card), *([str(file)] if file.exists() else [])]


def threshold_source(wildcards: Wildcards) -> list[str]:
    """The threshold of another experiment that a recognizer uses; none where it is fixed here."""
    threshold = configuration.recognizers[wildcards.recognizer].threshold
    other = getattr(threshold, "from_", None)
    if other is None:
        return []
    path = Path("results") / other / wildcards.recognizer / "recognizer" / "threshold.json"
    if not path.is_file():
        raise WorkflowError(
            f"{configuration_file}: key recognizers.{wildcards.recognizer}.threshold.from: found {other!r}, but "
            f"{path} is missing; run that experiment first, with a recognizer of the same name"
        )
    return [str(path)]


def generator_source() -> list[str]:
    """The files that a generator is read from that is brought: a file's, or the authors' models; with the cards."""
    settings = configuration.generator
    if settings.source in ("file", "tuned"):
        return [str(settings.weights), str(settings.card_path)]
    if settings.source != "authors":
        return []
    from attribute_recovery.generator.authors_files import model_files

    return [str(path) for pair in model_files(configuration.generator.models).values() for path in pair]


def folder_settings() -> dict[str, object] | None:
    """What the authors' models are to be run on besides the data set, if anything."""
    if configuration.decoder.source != "authors" or configuration.decoder.folder is None:
        return None
    return section("decoder.folder")


def folder_listing() -> str:
    """Digest of the names, sizes and times of that folder's images, which are not watched one by one."""
    settings = folder_settings()
    if settings is None:
        return ""
    from attribute_recovery.decoder.authors.listing import listing_digest

    try:
        return listing_digest(Path(str(settings["images"])))
    except ValueError as error:
        raise WorkflowError(f"{configuration_file}: key decoder.folder.images: {error}")


def generator_data() -> list[str]:
    """Folders of the package that generator_train reads: the shipped weights, where they are used."""
    return ["generator/weights"] if configuration.generator.source == "shipped" else []


def code_of(entry: str, *, data: list[str] | None = None) -> str:
    """Digest of all code that a function such as `decoder.train:train_decoder` can reach; comments do not count."""
    return package_code.digest(f"attribute_recovery.{entry}", data=data or [])


def plain_path(pattern: object) -> str:
    """A rule's path without the constraints that Snakemake puts into its wildcards."""
    return re.sub(r"\{(\w+),[^}]*\}", r"{\1}", str(pattern))


def memory(mebibytes: int) -> Callable[[Wildcards, int], int]:
    """Memory of a job; each new attempt gets as much again."""

    def of_attempt(wildcards: Wildcards, attempt: int) -> int:
        return mebibytes * attempt

    return of_attempt


def where_attributes_are_read(**files: str) -> dict[str, str]:
    """Files of rules that can do without heads; none where nothing reads attributes."""
    return files if configuration.reads_attributes else {}


def heads_source() -> list[str]:
    """The files that brought heads are read from, their card among them; none where they are trained."""
    settings = configuration.attributes.heads
    if settings.source == "train":
        return []
    if settings.source != "python":
        return [str(settings.weights), str(settings.weights.with_suffix(".json"))]
    file = Path(*settings.function.partition(":")[0].split(".")).with_suffix(".py")
    return [str(settings.card), *([str(file)] if file.exists() else [])]


def generator_manifests() -> list[str]:
    """The manifest of G and E, which trained heads also see images of."""
    manifest = "results/{experiment}{fold}/generator/manifest-generator_train.json"
    return [] if configuration.brings_heads else [manifest]


def where_heads_are_trained(**files: str) -> dict[str, str]:
    """Files that heads need which are trained here; none where they are brought."""
    return {} if configuration.brings_heads else files


def where_heads_are_brought(**files: str) -> dict[str, str]:
    """Files that brought heads read and write besides; none where they are trained."""
    return files if configuration.brings_heads else {}


def labelled(file: str) -> str:
    """images.parquet or attributes.json: of the data set, or of what brought heads read where it has no label."""
    stage = "attributes" if configuration.brings_heads else "dataset"
    return f"results/{{experiment}}{{fold}}/{stage}/{file}"


def labels_manifests() -> list[str]:
    """The manifest of those files beside the data set's, for rules that read no heads."""
    return heads_manifests() if configuration.brings_heads else []


def heads_manifests() -> list[str]:
    """The manifest of the heads, for rules that can do without them."""
    manifest = "results/{experiment}{fold}/attributes/manifest-attributes_heads.json"
    return [manifest] if configuration.reads_attributes else []


def of_experiment(*manifests: str) -> list[str]:
    """Manifests of the rules that are run once for an experiment."""
    return expand(
        "results/{experiment}/{manifest}.json", experiment=configuration.experiment, manifest=manifests
    )


def of_recognizers(*manifests: str) -> list[str]:
    """Manifests of the rules that are run for each recognizer."""
    return expand(
        "results/{experiment}/{recognizer}/{manifest}.json",
        experiment=configuration.experiment,
        recognizer=configuration.recognizers,
        manifest=manifests,
    )


def results_of_stages() -> list[str]:
    """The manifest of every job but the report's, of the stages that are not left out.

    All are targets too: Snakemake looks for a missing file only where it is asked for.
    """
    # In folds these have no results of their own to pool; what is pooled stands on them.
    without_folds = [] if configuration.folds else ["attributes/manifest-attributes_editor"]
    domain = [
        "dataset/manifest-dataset",
        "generator/manifest-generator_train",
        "generator/manifest-generator_codes",
        "attributes/manifest-attributes_heads",
        *without_folds,
    ]
    of_each = [
        "recognizer/manifest-recognizer",
        "embeddings/manifest-embeddings",
        "recognizer/manifest-rates",
        *([] if configuration.folds else ["decoder/manifest-decoder_train"]),
        "decoder/manifest-decoder_samples",
        "recovery/manifest-recovery",
        "significance/manifest-significance",
        "counterfactuals/manifest-counterfactuals",
    ]
    compared = ["significance/manifest-significance_compare"] if len(configuration.recognizers) > 1 else []
    return (
        of_experiment(*not_left_out(domain))
        + of_recognizers(*not_left_out(of_each))
        + of_experiment(*not_left_out(compared))
    )


def not_left_out(manifests: list[str]) -> list[str]:
    """Those of STAGE/manifest-RULE whose stage this configuration has."""
    return [each for each in manifests if each.partition("/")[0] not in configuration.left_out_stages]


def final_files() -> list[str]:
    """What a run is for: the page, and every manifest."""
    page = expand("results/{experiment}/report/index.html", experiment=configuration.experiment)
    # Pictures of another folder are no part of the report.
    folder = of_recognizers("decoder/manifest-decoder_folder") if folder_settings() is not None else []
    return page + of_experiment("report/manifest-report") + results_of_stages() + folder


def experiment_folder() -> Path:
    """Where the experiment's results lie."""
    return Path("results") / configuration.experiment


def open_execution() -> None:
    """Opens the execution that the records of its jobs belong to; of brought faces in a folder for its owner."""
    if configuration.dataset.source != "world":
        close_folder(experiment_folder())
    begin_execution(experiment_folder(), command=["snakemake", *sys.argv[1:]])


def close_execution(status: str) -> None:
    """Closes the execution and brings its records into MLflow; a server that is down costs nothing but a line."""
    from attribute_recovery.tracking.ingest import ingest

    if status == "failed" and was_interrupted():
        status = "interrupted"
    for sentence in end_execution(experiment_folder(), status):
        print(sentence, file=sys.stderr)
    tracking = configuration.tracking
    try:
        ingest(
            experiment_folder(),
            tracking_uri=tracking.uri,
            experiment_name=tracking.experiment,
            identities=configuration.report.resolved(configuration.dataset.source).identities,
        )
    except Exception as error:
        reason = " ".join(str(error).split())
        print(f"MLflow: not brought in, the next run tries again ({reason})", file=sys.stderr)


def was_interrupted() -> bool:
    """Whether a job of the execution under way was ended by a signal to stop."""
    execution = current_execution(experiment_folder())
    paths = [path for path in job_record_paths(experiment_folder()) if path.parent.name == execution]
    return any(read_record(path)["status"] == "interrupted" for path in paths)
