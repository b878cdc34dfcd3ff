"""Sections of the page about one recognizer: what each attribute weighs, and what would have to change."""

import pandas as pd

from attribute_recovery.report import sentences as say
from attribute_recovery.report.blocks import Absent, Block, Points, Text
from attribute_recovery.report.brought_heads import distributions
from attribute_recovery.report.domain import absent, face_picture, picture
from attribute_recovery.report.effects import cross_talk_sentence, effect_blocks
from attribute_recovery.report.figures import decoded_name
from attribute_recovery.report.labels import left_out_blocks
from attribute_recovery.report.measures import (
    NEEDED,
    Measure,
    direction_table,
    measure_sentence,
    measure_table,
    measures_of,
    reconstruction_sentence,
)
from attribute_recovery.report.results import ABSENT, Results, Values, interval_of, lookup, real, whole
from attribute_recovery.report.tables import edits_table, moves_table

CAPTIONS = {
    "representation-to_match": (
        "Representation counterfactuals towards a match. Below each other: the other person's image, the "
        "image, its embedding decoded, the moved embedding decoded with the same noise; above, the score "
        "before → after."
    ),
    "representation-to_non_match": (
        "Representation counterfactuals towards a non-match: the other image of the person, the image, its "
        "embedding decoded, the moved embedding decoded with the same noise; above, the score before → after."
    ),
    "attribute-genuine": (
        "Attribute counterfactuals of genuine pairs: the other image of the person, the reconstructed image, "
        "the same with the fewest attributes changed that make the recognizer reject the pair."
    ),
    "attribute-impostor": (
        "Attribute counterfactuals of impostor pairs: the other person's image, the reconstructed image, the "
        "same with the fewest attributes changed that make the recognizer accept the pair."
    ),
}

REPLACED = "In place of real images their reconstructions G(E(x)) are shown."


def weighed_blocks(results: Results, stages: Values, name: str) -> list[Block]:
    """What each attribute weighs, in three measures."""
    facts = stages["significance"]
    path = "<recognizer>/significance/{}"
    frame = results.table(f"{name}/significance/significance.parquet")
    blocks: list[Block] = [
        Text(
            "Three questions, three measures, never merged into one number: what the embedding holds, "
            "whether it holds it as part of who somebody is, and whether decisions move with it."
        ),
        *absent(results, path.format("metrics.json"), name),
    ]
    blocks += picture(
        results,
        path.format("significance.png"),
        "The three measures for every attribute, with 95 % intervals.",
        name,
    )
    blocks += left_out_blocks(facts)
    if frame is None or not set(frame.columns) >= NEEDED:
        results.faults.setdefault(f"{name}/significance/significance.parquet", "lacks columns")
        blocks += absent(results, path.format("significance.parquet"), name)
    else:
        for measure, rows in measures_of(frame):
            blocks += _measure(measure, rows, facts)
        blocks.append(
            Text(
                "In all three tables: 95 % interval in brackets, from resampling people; below it p, and q, "
                "which is p controlled for false discoveries within the measure (Benjamini and Hochberg). "
                "Set in bold: q < 0.05. “Not testable” means that too few distinct permutations exist"
                f"{', or what is said below the attribute' if lookup(facts, 'not_testable') else ''}."
            )
        )
    blocks += effect_blocks(results, name)
    caption = "Edits: one attribute of an image changed in code space, the others held."
    return blocks + face_picture(results, path.format("edits.png"), caption, name)


def _measure(measure: Measure, frame: pd.DataFrame, facts: Values) -> list[Block]:
    points = [measure_sentence(measure, frame)]
    if measure.name == "decision_effect" and (apart := reconstruction_sentence(facts)):
        points.append(apart)
    if measure.name == "decision_effect" and (moved := cross_talk_sentence(frame)):
        points.append(moved)
    directions = direction_table(measure, frame)
    return [
        *([Text(measure.about, f"{measure.title}.")] if measure.about else []),
        Points(points),
        measure_table(measure, frame, facts),
        *([directions] if directions else []),
    ]


def flip_sentences(facts: Values) -> list[str]:
    """The rates of both kinds of counterfactual."""
    sentences = []
    for direction in ("to_match", "to_non_match"):
        key = f"representation_flip_rate.{direction}"
        pairs = whole(facts, f"representation_pairs.{direction}")
        sentences.append(say.moved_pairs(direction, real(facts, key), interval_of(facts, key), pairs))
    key = "attribute_flip_rate"
    sentences.append(
        say.edited_pairs(
            real(facts, key),
            interval_of(facts, key),
            whole(facts, "attribute_pairs"),
            real(facts, "attributes_changed"),
        )
    )
    return sentences


def changed_blocks(results: Results, stages: Values, name: str, examples: int) -> list[Block]:
    """What would have to change for decisions to change."""
    facts = stages["counterfactuals"]
    path = "<recognizer>/counterfactuals/{}"
    blocks: list[Block] = [
        Text(
            "Pairs that the recognizer decides rightly, drawn by seed, are turned over in two ways: by "
            "moving the embedding to where the decision flips and decoding it, and by changing as few "
            "attributes of the image as will do. A flip counts only if the image, embedded again by the "
            "recognizer, really has the other decision, and if the unmoved or unedited image, decoded in the "
            "same way, had kept its own."
        ),
        *absent(results, path.format("metrics.json"), name),
    ]
    if facts and any(value is not None for value in facts.values()):
        blocks.append(Points([*flip_sentences(facts), *_flip_remarks(facts)]))
    blocks += _pictures(results, name)
    scales, units = _scales_and_units(results)
    for file, columns in (("attribute", {"kind", "score"}), ("representation", {"direction", "score"})):
        frame = results.table(f"{name}/counterfactuals/{file}.parquet")
        if frame is None or (len(frame) and not columns <= set(frame.columns)):
            results.faults.setdefault(f"{name}/counterfactuals/{file}.parquet", "lacks columns")
            blocks += absent(results, path.format(f"{file}.parquet"), name)
        elif not len(frame):
            blocks.append(Text(f"No pair could be drawn for the {file} counterfactuals."))
        elif file == "attribute":
            blocks.append(edits_table(frame, examples, results.privacy))
        else:
            blocks.append(moves_table(frame, examples, scales, units, results.privacy))
    return blocks


def _flip_remarks(facts: Values) -> list[str]:
    remarks = []
    by_kind = lookup(facts, "attribute_flip_rate_by_kind")
    if isinstance(by_kind, dict):
        parts = [f"{kind} {say.percent(real(by_kind, kind))}" for kind in sorted(by_kind)]
        remarks.append(f"Attribute counterfactuals by kind of pair: {', '.join(parts)}.")
    kept = real(facts, "reconstruction_kept")
    if kept is not None:
        remarks.append(
            f"The unedited reconstruction keeps the decision for {say.percent(kept)} of these pairs; the "
            "others count as failed."
        )
    travel = real(facts, "travel")
    if travel is not None:
        remarks.append(
            f"Embeddings were moved {say.number(travel)} × as far as the closed form needs, since a decoded "
            "image embeds at some distance from the embedding that it was decoded from."
        )
    return remarks


def _pictures(results: Results, name: str) -> list[Block]:
    if results.privacy.faces == "none":
        return []
    decoded = results.privacy.faces == "decoded"
    found = results.pictures(f"{name}/counterfactuals/pictures")
    # Those of errors belong to a section of their own.
    found = [path for path in found if not path.rsplit("/", 1)[1].startswith("errors")]
    paths = [path for path in found if path.endswith(decoded_name("")) == decoded]
    blocks: list[Block] = []
    for path in paths:
        stem = path.rsplit("/", 1)[1].removesuffix(decoded_name("") if decoded else ".png")
        caption = CAPTIONS.get(stem, f"{say.words(stem).replace('-', ', ')}.")
        blocks += picture(results, path, f"{caption} {REPLACED}" if decoded else caption)
    if paths:
        blocks.append(
            Text("Pictured are some pairs whose decision flipped; the rates above count all pairs.")
        )
    else:
        place = f"{name}/counterfactuals/pictures/*.png"
        why = results.faults.setdefault(place, ABSENT)
        blocks.append(Absent(say.not_computed("the pictures of counterfactuals", place, why)))
    return blocks


def _scales_and_units(results: Results) -> tuple[dict[str, float], dict[str, str]]:
    """Standard deviations on the split test and units, of continuous attributes, by name."""
    scales, units = {}, {}
    for name, entry in distributions(results).items():
        sd = real(entry, "splits.test.sd")
        if sd:
            scales[str(name)] = sd
            units[str(name)] = str(entry.get("unit", ""))
    return scales, units
