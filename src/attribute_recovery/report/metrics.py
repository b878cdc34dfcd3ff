"""Every figure of an experiment in one file, `metrics.json`, and the page of the docs that explains its keys.

`python -m attribute_recovery.report.metrics` writes docs/metrics.md anew; a test fails where it has drifted.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from attribute_recovery.report.goals import SOURCE, goals
from attribute_recovery.report.keys import STAGES, MetricKey, metric_keys
from attribute_recovery.report.results import Results, Values, interval_of
from attribute_recovery.tracking.digest import atomic_output

SCHEMA_VERSION = 1
COMMAND = "python -m attribute_recovery.report.metrics"
PAGE = Path("docs/metrics.md")
RECOGNIZER_STAGES = ("recognizer", "decoder", "recovery", "significance", "counterfactuals")


def collect_metrics(results: Results, recognizers: Sequence[str]) -> Values:
    """All stages' metrics under one roof; a missing stage is empty, a goal's figure not computed is null.

    Args:
        results: the experiment's files.
        recognizers: names of the recognizers, in order.

    Returns:
        `schema_version`, `dataset`, `generator`, `attributes`, `recognizers.<name>.<stage>`, and of several
        recognizers `significance`, their differences; without NaN.
    """
    report = results.json("dataset/report.json")
    merged: Values = {
        "schema_version": SCHEMA_VERSION,
        "dataset": results.privacy.figures({k: value for k, value in report.items() if k != "attributes"}),
        "generator": results.json("generator/metrics.json"),
        "attributes": results.json("attributes/metrics.json"),
        "recognizers": {
            name: {stage: results.json(f"{name}/{stage}/metrics.json") for stage in RECOGNIZER_STAGES}
            for name in recognizers
        },
    }
    if len(recognizers) > 1:
        merged["significance"] = results.json("significance/metrics.json")
    for name in recognizers:
        decision = results.json(f"{name}/recognizer/threshold.json")
        if decision:
            merged["recognizers"][name]["recognizer"]["threshold_on_calibration"] = decision
    if recognizers:
        _add_reconstruction(merged, merged["recognizers"][recognizers[0]]["decoder"])
    _name_what_is_missing(merged, recognizers)
    return merged


def _add_reconstruction(merged: Values, decoder: Values) -> None:
    """G's rate for f needs a recognizer, so the first one's decoder stage has measured it."""
    key = "reconstruction_tar_ratio"
    merged["generator"][key] = decoder.get(key)
    if (interval := interval_of(decoder, key)) is not None:
        merged["generator"][f"{key}_interval"] = interval


def _name_what_is_missing(merged: Values, recognizers: Sequence[str]) -> None:
    for goal in goals():
        for name in recognizers if "<recognizer>" in goal.key else [""]:
            *parents, last = goal.key.replace("<recognizer>", name).split(".")
            at = merged
            for parent in parents:
                inner = at.setdefault(parent, {})
                if not isinstance(inner, dict):
                    break
                at = inner
            else:
                at.setdefault(last, None)


def undocumented(metrics: Mapping[str, Any]) -> list[str]:
    """Keys that docs/metrics.md does not explain, dotted and sorted; a list is one value."""
    known = [_pattern(entry.key) for entry in metric_keys()]
    return sorted(
        {key for key in _leaves(metrics, "") if not any(pattern.fullmatch(_plain(key)) for pattern in known)}
    )


def _leaves(values: Any, name: str) -> Iterator[str]:
    if not isinstance(values, Mapping):
        yield name
        return
    for key, inner in values.items():
        yield from _leaves(inner, f"{name}.{key}" if name else str(key))


def _plain(key: str) -> str:
    """A key without the suffix that marks an interval."""
    return ".".join(part.removesuffix("_interval") for part in key.split("."))


def _pattern(key: str) -> re.Pattern[str]:
    return re.compile("".join(r"[^.]+" if part.startswith("<") else re.escape(part) for part in _split(key)))


def _split(key: str) -> list[str]:
    return re.split(r"(<[a-z_]+>)", key)


def metrics_page() -> str:
    """Markdown: all keys of metrics.json by stage, with unit and meaning, and the goals."""
    about_file = (
        f"`results/EXPERIMENT/report/metrics.json`, schema version {SCHEMA_VERSION}: every figure of an "
        "experiment. Beside a figure its 95 % interval, `[low, high]`, under the same key with `_interval` "
        "after its last part or, where the figures of several attributes stand in one mapping, after that "
        "mapping's name. Intervals come from resampling identities and are conditional on the trained "
        "networks. A stage that did not run is an empty mapping; a figure with a goal that was not computed "
        "is null, and so is a number that is not defined. Null is never zero."
    )
    names = (
        "In the keys, `<recognizer>` is the recognizer's name in the configuration, `<other>` that of one "
        "before it, `<attribute>` a declared attribute."
    )
    made = f"Generated by `{COMMAND}` from `report/keys.py` and `report/goals.py`; do not edit."
    lines = ["# metrics.json", "", made, "", *wrap(about_file, 118), "", *wrap(names, 118), ""]
    for stage, about in STAGES.items():
        lines += [f"## {stage}", "", about, "", "| key | unit | meaning |", "| --- | --- | --- |"]
        lines += [_row(entry) for entry in metric_keys() if entry.stage == stage]
        lines.append("")
    return "\n".join([*lines, *_goal_lines()]) + "\n"


def _row(entry: MetricKey) -> str:
    cells = (f"`{entry.key}`", entry.unit, entry.meaning)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _goal_lines() -> list[str]:
    lines = [
        "## Goals",
        "",
        f"From {SOURCE}. All on the split `test`; the page says of each whether it was reached.",
        "",
        "| key | goal | on at least |",
        "| --- | --- | --- |",
    ]
    for goal in goals():
        least = ", ".join(f"{n:,} {name.removeprefix('n_')}" for name, n in goal.least.items())
        lines.append(f"| `{goal.key}` | {goal.words()} | {least or '—'} |")
    return lines


def main() -> None:
    """Write docs/metrics.md anew, from the repository's root."""
    with atomic_output(PAGE) as partial:
        partial.write_text(metrics_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
