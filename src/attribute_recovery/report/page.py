"""The page that explains the recognizers to somebody who has not read the code, and all figures in one file.

Everything is read from files that the stages wrote; what is not there is said on the page. Neither dates nor
the names of machines or folders come in, so equal inputs give equal bytes.
"""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from attribute_recovery.config import ReportSection
from attribute_recovery.report import sentences as say
from attribute_recovery.report.blocks import Absent, Block, Points, Section, Text
from attribute_recovery.report.brought_heads import are_brought, truth_sentence
from attribute_recovery.report.comparison import comparison_frame, comparison_sections, pair_sentences
from attribute_recovery.report.domain import data_section, generator_section, heads_section
from attribute_recovery.report.explanation import (
    attack_sentence,
    rate_sentences,
    recognizer_sections,
    recovery_sentence,
)
from attribute_recovery.report.goals import SOURCE, Judged, judge
from attribute_recovery.report.left_out import left_out_section, left_out_sentence
from attribute_recovery.report.measures import NEEDED, measure_sentence, measures_of
from attribute_recovery.report.metrics import collect_metrics, undocumented
from attribute_recovery.report.results import Results, Values, shown_results, whole
from attribute_recovery.report.tables import figures_table
from attribute_recovery.report.weight import flip_sentences
from attribute_recovery.tracking.digest import atomic_output, write_json
from attribute_recovery.tracking.private import private_files

TEMPLATE = "page.html.j2"


def write_report(
    settings: ReportSection,
    *,
    experiment_dir: Path,
    recognizers: Sequence[str],
    page: Path,
    metrics: Path,
    left_out: Sequence[str] = (),
) -> Values:
    """Write the page and the merged metrics; the entry of the stage.

    Args:
        settings: section `report`.
        experiment_dir: the experiment's folder, which the stages wrote to; read.
        recognizers: names of the recognizers, in order; the first one's decoder gives the generator's rate.
        page: one self-contained HTML file, written.
        metrics: metrics.json, written; docs/metrics.md explains its keys.
        left_out: stages that the run does not have, since nothing reads attributes; the page names them.

    Returns:
        The merged metrics.

    Raises:
        ValueError: people are to be pseudonymous, and the experiment's key is damaged or open to others.
    """
    results = shown_results(settings, experiment_dir, left_out)
    merged = collect_metrics(results, recognizers)
    for key in undocumented(merged):
        print(f"report: {key} has no entry in docs/metrics.md", file=sys.stderr)
    html = render(settings, results, merged, recognizers)
    write_json(metrics, merged)
    shows_faces = results.privacy.faces != "none"
    with private_files() if shows_faces else nullcontext(), atomic_output(page) as partial:
        partial.write_text(html, encoding="utf-8")
    return merged


def render(settings: ReportSection, results: Results, metrics: Values, recognizers: Sequence[str]) -> str:
    """The page as HTML."""
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined

    judged = judge(metrics, recognizers, results.left_out)
    middle = _sections(settings, results, metrics, recognizers)
    sections = [
        summary_section(results, metrics, judged, recognizers),
        *middle,
        trust_section(results, metrics, judged, recognizers),
    ]
    source = files("attribute_recovery.report").joinpath("templates", TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source).render(title=settings.title, sections=sections)


def _sections(
    settings: ReportSection, results: Results, metrics: Values, recognizers: Sequence[str]
) -> list[Section]:
    sections = [data_section(results), generator_section(results, metrics)]
    sections.append(left_out_section(results.left_out) if results.left_out else heads_section(results))
    for name in recognizers:
        sections.append(Section(f"{name}-about", f"The recognizer “{name}”", []))
        sections += recognizer_sections(results, metrics, name, settings.examples)
    if len(recognizers) > 1 and "significance" not in results.left_out:
        sections += comparison_sections(results, metrics["significance"])
    return sections


def summary_section(
    results: Results, metrics: Values, judged: Sequence[Judged], recognizers: Sequence[str]
) -> Section:
    """What somebody must know who reads no further."""
    blocks: list[Block] = [Text(verdict_sentence(judged))]
    if results.left_out:
        blocks.append(Absent(left_out_sentence(results.left_out)))
    if are_brought(metrics["attributes"]):
        blocks.append(Text(truth_sentence(metrics["attributes"])))
    for name in recognizers:
        if len(recognizers) > 1:
            blocks.append(Text(f"Recognizer “{name}”:"))
        blocks.append(Points(_in_short(results, metrics["recognizers"][name], name)))
    if len(recognizers) > 1 and "significance" not in results.left_out:
        blocks += _compared_in_short(results, metrics)
    return Section("summary", "In short", blocks)


def _in_short(results: Results, stages: Values, name: str) -> list[str]:
    """One recognizer in a few sentences; nothing of stages that were left out."""
    points = [rate_sentences(stages["recognizer"])[0], attack_sentence(stages["decoder"])]
    if "recovery" not in results.left_out:
        points.append(recovery_sentence(stages["recovery"]) or f"What an embedding holds: {say.MISSING}.")
    if "significance" not in results.left_out:
        frame = results.table(f"{name}/significance/significance.parquet")
        if frame is not None and set(frame.columns) >= NEEDED:
            points += [measure_sentence(measure, rows) for measure, rows in measures_of(frame)]
        else:
            points.append(f"What each attribute weighs: {say.MISSING}.")
    if "counterfactuals" not in results.left_out:
        points += flip_sentences(stages["counterfactuals"])
    return points


def _compared_in_short(results: Results, metrics: Values) -> list[Block]:
    frame = comparison_frame(results)
    if frame is None:
        return [Points([f"How the recognizers differ: {say.MISSING}."])]
    blocks: list[Block] = []
    for (name, other), rows in frame.groupby(["recognizer", "other"], sort=False):
        blocks.append(Text(f"“{name}” compared with “{other}”:"))
        blocks.append(Points(pair_sentences(rows, metrics["significance"])))
    return blocks


def verdict_sentence(judged: Sequence[Judged]) -> str:
    """How many of the goals were reached."""
    order = ("reached", "not reached", "not comparable", "not computed")
    counts = {verdict: sum(each.verdict == verdict for each in judged) for verdict in order}
    told = {"not reached": "did not", "not comparable": "not comparable", "not computed": "not computed"}
    rest = "".join(f", {counts[verdict]} {text}" for verdict, text in told.items() if counts[verdict])
    missed = [each for each in judged if each.verdict == "not reached"]
    named = (
        f". Not reached: {'; '.join(dict.fromkeys(each.goal.figure for each in missed))}" if missed else ""
    )
    return f"Of {len(judged)} figures with a goal, {counts['reached']} reached theirs{rest}{named}."


def trust_section(
    results: Results, metrics: Values, judged: Sequence[Judged], recognizers: Sequence[str]
) -> Section:
    """Each figure with split, counts, interval and verdict, and what bounds all of them."""
    points = [
        say.CONDITIONAL,
        "Intervals are 95 %, from resampling identities with all their images (both sides of a pair in one "
        "draw): Student's t around the estimate, with the standard deviation of the resamples.",
        say.held_out(whole(metrics, "dataset.folds")),
    ]
    for name in recognizers:
        floor = rate_sentences(metrics["recognizers"][name]["recognizer"])[3]
        points.append(floor if len(recognizers) == 1 else f"{name}: {floor}")
    blocks: list[Block] = [
        Points(points),
        figures_table(judged, several=len(recognizers) > 1),
        Text(f"Goals: {SOURCE}. They were set before this run, for the default configuration."),
    ]
    if results.faults:
        blocks.append(Text("Files that gave nothing to this page:"))
        blocks.append(Points([f"{path} {why}" for path, why in sorted(results.faults.items())]))
    return Section("trust", "How far to trust each figure", blocks)
