"""The page of results, made from the rows' JSON files and from nothing else."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.validation.outcome import Goal, Row, Table
from benchmarks.validation.rows import ROWS

HEAD = """# Validation

Whether the product's figures are true, held against worlds whose truth is known. Written by
`make validation`, which measures the rows below anew, goes on where it was stopped, and takes at most eight
hours on two cores; `make validation ROWS=intervals-cover` measures one. What each row does is in
`benchmarks/validation/`; the definitions of the measures are in [significance.md](significance.md). Rows
about the whole pipeline stand on a finished run of the default experiment, `make run`, or of another one in
the rendered world, whose configuration the variable `VALIDATION_CONFIG` names.

"""
NOT_YET = "not measured yet"
# A row without goals of its own.
MEASURED = "measured"


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Results by row.

    Raises:
        ValueError: A file is no result of a row, or of a quick run, which says nothing about the goals.
    """
    found = {}
    known = {row.name for row in ROWS}
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text())
        if result.get("quick") is not False:
            raise ValueError(f"{path}: quick is {result.get('quick')}, allowed is a result of a whole run")
        if result.get("row") != path.stem or path.stem not in known:
            raise ValueError(
                f"{path}: row is {result.get('row')!r}, allowed is the name of the file and of a row"
            )
        found[path.stem] = result
    return found


def page(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The page as Markdown."""
    lines = ["| question | row | goal | result |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {_link(row, results)} | `{row.name}` | {row.goal} | {verdict(row, results)} |" for row in ROWS
    ]
    parts = ["\n".join(lines) + "\n"]
    parts += ["\n".join(_section(row, results[row.name])) for row in ROWS if row.name in results]
    return HEAD + "\n".join(parts)


def verdict(row: Row, results: Mapping[str, Mapping[str, Any]]) -> str:
    """Pass, short, measured (where there is no goal), or not measured yet."""
    if row.name not in results:
        return NOT_YET
    goals = results[row.name]["goals"]
    if not goals:
        return f"{MEASURED}; {NOT_YET}: {row.missing}" if row.missing else MEASURED
    reached = sum(goal["reached"] for goal in goals)
    word = "pass" if reached == len(goals) else "short"
    told = f"**{word}**, {reached} of {len(goals)} goals reached"
    return f"{told}; {NOT_YET}: {row.missing}" if row.missing else told


def _link(row: Row, results: Mapping[str, Mapping[str, Any]]) -> str:
    if row.name in results:
        return f"[{row.question}](#{row.name})"
    # Other pages point to the row before it is measured.
    return f'<a id="{row.name}"></a>{row.question}'


def _section(row: Row, result: Mapping[str, Any]) -> Iterator[str]:
    yield f'<a id="{row.name}"></a>\n'
    yield f"## {row.question}\n"
    yield f"Truth: {row.truth}. Goal: {row.goal}.\n"
    if row.missing:
        yield f"Not measured yet: {row.missing}.\n"
    yield from (f"{note}\n" for note in result.get("notes", []))
    yield from _goals(result["goals"])
    for table in result["tables"]:
        yield from _table(table)
    machine = result["machine"]
    runs = "".join(f", on the finished run with digest `{run[:12]}`" for run in result.get("runs", []))
    yield (
        f"Measured at commit `{result['commit']}`, seed {result['seed']}, {result['core_minutes']} core "
        f"minutes, {machine['cores']} cores, {machine['architecture']}, Python {machine['python']}, numpy "
        f"{machine['numpy']}{runs}.\n"
    )


def _goals(goals: Sequence[Goal]) -> Iterator[str]:
    if not goals:
        return
    yield "| goal | measured | result |"
    yield "| --- | --- | --- |"
    for goal in goals:
        yield f"| {goal['goal']} | {goal['measured']} | {'pass' if goal['reached'] else '**short**'} |"
    yield ""


def _table(table: Table) -> Iterator[str]:
    yield f"{table['caption']}.\n"
    yield f"| {' | '.join(table['columns'])} |"
    yield f"|{' --- |' * len(table['columns'])}"
    for row in table["rows"]:
        yield f"| {' | '.join(row)} |"
    yield ""
