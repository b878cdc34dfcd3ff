"""What a run without labels and heads does not have, and what to supply to have it."""

from collections.abc import Sequence

from attribute_recovery.report import sentences as say
from attribute_recovery.report.blocks import Block, Points, Section, Text

STAGES = {
    "attributes": "reading attributes from images and changing them",
    "recovery": "what an embedding holds of each attribute",
    "significance": "what each attribute weighs",
    "counterfactuals": "what would have to change",
}
SUPPLIES = (
    "Labels: a table with a row for each image under dataset.labels, and its columns declared under "
    "dataset.attributes; of a source that has labels, such as table or CelebA, the declaration is enough. "
    "`attribute-recovery label-sheet FOLDER --config FILE --attribute NAME` writes such a table with empty "
    "cells, and sheets of the faces to fill it in from.",
    "Or heads that read attributes from images, under attributes.heads with source: onnx or python and a "
    "card that says what each output means (docs/attributes.md); then no image needs a label.",
)


def left_out_sentence(stages: Sequence[str]) -> str:
    """The stages by name, and why they were left out.

    Args:
        stages: at least one name.
    """
    named = [f"{stage} ({STAGES[stage]})" if stage in STAGES else stage for stage in stages]
    return f"Left out, since no attribute is labelled and no heads were brought: {say.listed(named)}."


def left_out_section(stages: Sequence[str]) -> Section:
    """The section that stands in place of theirs."""
    blocks: list[Block] = [Text(left_out_sentence(stages)), Text("To have them, supply:"), Points(SUPPLIES)]
    return Section("left-out", "What was left out", blocks)
