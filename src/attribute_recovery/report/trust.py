"""What bounds all figures of the page, and the table that holds each against its goal."""

from collections.abc import Sequence

from attribute_recovery.report import sentences as say
from attribute_recovery.report.blocks import Block, Points, Section, Text
from attribute_recovery.report.explanation import rate_sentences
from attribute_recovery.report.goals import SOURCE, Judged
from attribute_recovery.report.results import Results, Values, whole
from attribute_recovery.report.tables import figures_table


def trust_section(
    results: Results, metrics: Values, judged: Sequence[Judged], recognizers: Sequence[str]
) -> Section:
    """Each figure with split, counts, interval and verdict, and what bounds all of them."""
    points = [
        say.CONDITIONAL,
        "Intervals are 95 %, from resampling identities with all their images (both sides of a pair in one "
        "draw): Student's t around the estimate, with the standard deviation of the resamples.",
        held_out(whole(metrics, "dataset.folds")),
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


def held_out(folds: int | None) -> str:
    """Whom all figures were measured on.

    Args:
        folds: of the cross-fitting; None where there is none.
    """
    if not folds:
        return (
            "All figures are measured on the split test, on people that nothing was trained on; τ was fixed "
            "on calibration. Pairs are drawn by seed, and none is dropped."
        )
    return (
        f"All figures are measured on people that nothing was trained on: {folds} folds, each person held "
        "out in one. They are means over the folds, weighted by people, with intervals from those of the "
        "folds; p-values of the folds are combined by Cauchy's rule. τ was fixed on all people, to whom "
        "nothing had been fitted before, so rates at τ stand on the people that fixed it. Pairs are drawn by "
        "seed, and none is dropped."
    )
