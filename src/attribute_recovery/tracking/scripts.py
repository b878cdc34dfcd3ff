"""What the script of a rule does around its one call: paths by name, the checkpoint, the job's record.

A script hands over what its workflow engine told it; all that is asked of that is in `RuleJob`.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from attribute_recovery.tracking.digest import remove_path
from attribute_recovery.tracking.records import Job, plain, recorded_job

# Of a rule's files those that only say when to run; the function that it calls never sees them.
NOT_DATA = ("manifests", "manifest", "source")
# Of a rule's params those that the record has a place of its own for.
OWN_PLACE = ("seed", "code")


class Named(Protocol):
    """Values by name, some of them lists."""

    def items(self) -> Iterable[tuple[str, Any]]:
        """Name and value of each."""


class RuleJob(Protocol):
    """What a workflow engine tells a script about its job."""

    @property
    def rule(self) -> str:
        """Name of the rule."""

    @property
    def input(self) -> Named:
        """Paths that the job reads."""

    @property
    def output(self) -> Named:
        """Paths that the job writes."""

    @property
    def params(self) -> Named:
        """Settings, among them `code` and maybe `seed`."""

    @property
    def wildcards(self) -> Named:
        """`experiment`, `recognizer` where the rule is one of a recognizer's, `fold` as "/fold_3" or ""."""

    @property
    def log(self) -> Sequence[str]:
        """The log file."""


def data_paths(job: RuleJob) -> dict[str, Path]:
    """The files that a job reads and writes, by the names that the rule gives them, manifests left out.

    Args:
        job: The job.

    Returns:
        Arguments for the function that the script calls.
    """
    named = [*job.input.items(), *job.output.items()]
    return {name: Path(path) for name, path in named if name not in NOT_DATA}


def checkpoint_path(job: RuleJob) -> Path:
    """Where a training keeps what it needs to go on after it was interrupted.

    The name holds a digest of settings, code and the manifests of all inputs, so that a training never goes
    on from the checkpoint of another one. No declared output: those are removed as a job starts.

    Args:
        job: The job.

    Returns:
        `results/EXPERIMENT/checkpoints/RULE-DIGEST.safetensors`.
    """
    digest = hashlib.sha256(json.dumps(plain(dict(job.params.items())), sort_keys=True).encode())
    for manifest in dict(job.input.items()).get("manifests", []):
        digest.update(Path(manifest).read_bytes())
    return _checkpoints(job) / f"{_label(job)}-{digest.hexdigest()[:16]}.safetensors"


@contextmanager
def recorded_script(job: RuleJob) -> Iterator[Job]:
    """Runs the block as a job of the journal, see `recorded_job`; its checkpoints go when it ends well.

    Args:
        job: The job.

    Yields:
        The job's record, for its metrics.

    Raises:
        SystemExit: The block failed or was interrupted.
    """
    params = dict(job.params.items())
    with recorded_job(
        rule=job.rule,
        experiment_dir=_experiment_dir(job),
        log=job.log[0],
        inputs=dict(job.input.items()),
        outputs=dict(job.output.items()),
        params={name: value for name, value in params.items() if name not in OWN_PLACE},
        seed=params.get("seed"),
        code=params["code"],
        wildcards=_wildcards(job),
    ) as record:
        yield record
    for checkpoint in _checkpoints(job).glob(f"{_label(job)}-{'[0-9a-f]' * 16}.*"):
        remove_path(checkpoint)


def flat_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of nested metrics under dotted names; words and missing values are left out.

    Args:
        metrics: Nested mappings and lists of numbers, words and None.

    Returns:
        One number a name.

    Examples:
        >>> flat_metrics({"tar": 0.9, "coverage": {"yaw": 0.88}, "bands": [1.0, 1.1], "split": "test"})
        {'tar': 0.9, 'coverage.yaw': 0.88, 'bands.0': 1.0, 'bands.1': 1.1}
    """
    return dict(_numbers(metrics, ""))


def _numbers(value: object, name: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for place, inner in enumerate(value):
            yield from _numbers(inner, f"{name}.{place}")
    elif isinstance(value, int | float) and not (isinstance(value, float) and math.isnan(value)):
        yield name, value


def _experiment_dir(job: RuleJob) -> Path:
    return Path("results") / str(dict(job.wildcards.items())["experiment"])


def _checkpoints(job: RuleJob) -> Path:
    return _experiment_dir(job) / "checkpoints"


def _label(job: RuleJob) -> str:
    return "-".join([job.rule, *(value for name, value in _wildcards(job).items() if name != "experiment")])


def _wildcards(job: RuleJob) -> dict[str, str]:
    """Wildcards by name; `fold` is part of a path, and empty where there is no cross-fitting."""
    texts = {name: str(value).strip("/") for name, value in job.wildcards.items()}
    return {name: text for name, text in texts.items() if text}
