"""Sections of the page about one recognizer: its rates, what is decoded, recovered, weighed and changed."""

from collections.abc import Callable

from attribute_recovery.report import sentences as say
from attribute_recovery.report.blocks import Block, Cell, Drawing, Points, Section, Table, Text
from attribute_recovery.report.curve import det_svg
from attribute_recovery.report.domain import absent, face_picture, picture, stands_on
from attribute_recovery.report.errors import error_blocks
from attribute_recovery.report.groups import group_blocks
from attribute_recovery.report.labels import known_words, left_out_blocks
from attribute_recovery.report.results import Results, Values, interval_of, lookup, real, whole
from attribute_recovery.report.standard_pairs import protocol_blocks
from attribute_recovery.report.tables import name_cell, spread_table
from attribute_recovery.report.weight import changed_blocks, weighed_blocks


def recognizer_sections(results: Results, metrics: Values, name: str, examples: int) -> list[Section]:
    """Everything about one recognizer, in the order of the pipeline; not of stages that were left out."""
    stages: Values = metrics["recognizers"][name]
    parts: list[tuple[str, str, Callable[[], list[Block]]]] = [
        ("recognizer", "How well it recognizes", lambda: _rates(results, stages, name)),
        ("decoder", "What can be decoded from an embedding", lambda: _decoded(results, stages, name)),
        ("recovery", "What an embedding holds", lambda: _recovered(results, stages, name)),
        ("significance", "What each attribute weighs", lambda: weighed_blocks(results, stages, name)),
        # Part of the stage significance, with a heading of its own.
        ("groups", "How error rates differ between groups", lambda: group_blocks(results, name)),
        (
            "counterfactuals",
            "What would have to change",
            lambda: changed_blocks(results, stages, name, examples),
        ),
        (
            "errors",
            "Which attributes carry its errors",
            lambda: error_blocks(results, stages, name, examples),
        ),
    ]
    written_by = {"errors": "counterfactuals", "groups": "significance"}
    return [
        Section(f"{name}-{anchor}", title, blocks(), 3)
        for anchor, title, blocks in parts
        if written_by.get(anchor, anchor) not in results.left_out
    ]


def card_sentence(card: Values) -> str:
    """What the recognizer is, from its card."""
    if not card:
        return ""
    title = str(card.get("name") or "The recognizer")
    parts = [
        f"embeddings of {size} numbers" if (size := whole(card, "embedding_size")) else "",
        f"crops of {side} × {side} pixels" if (side := whole(card, "crop_size")) else "",
        f"run in {card['precision']}" if card.get("precision") else "",
        f"licence {card['licence']}" if card.get("licence") else "",
    ]
    return f"{title[:1].upper()}{title[1:]}: {', '.join(part for part in parts if part)}."


def rate_sentences(facts: Values) -> list[str]:
    """The recognizer's rates, where τ comes from, and what the data can bear."""
    source = lookup(facts, "threshold_on_calibration")
    genuine, impostor = (
        stands_on(facts, pairs=f"n_{kind}_pairs", images=False) for kind in ("genuine", "impostor")
    )
    tar, fmr = "tar_at_target_fmr", "fmr_at_threshold"
    return [
        say.recognizer_rate(real(facts, tar), interval_of(facts, tar), real(facts, "used_fmr"), genuine),
        say.threshold(
            real(facts, "threshold", "threshold_on_calibration.value"),
            str(lookup(facts, "threshold_split") or "calibration"),
            whole(source, "n_pairs"),
            real(source, "achieved_fmr"),
            kind=str(lookup(source, "kind") or "fmr"),
            origin=str(lookup(source, "origin") or ""),
        ),
        say.achieved_rate(real(facts, fmr), interval_of(facts, fmr), impostor),
        say.rate_floor(whole(source, "n_identity_pairs"), real(source, "requested_fmr"), real(source, "fmr")),
        f"Equal error rate {say.percent(real(facts, 'eer'))}; the nearest other image shows the same person "
        f"for {say.share(real(facts, 'rank_1'), interval_of(facts, 'rank_1'))} of images.",
    ]


def _rates(results: Results, stages: Values, name: str) -> list[Block]:
    card = results.json(f"{name}/recognizer/card.json")
    blocks: list[Block] = [
        *absent(results, "<recognizer>/recognizer/card.json", name),
        *absent(results, "<recognizer>/recognizer/metrics.json", name),
        *absent(results, "<recognizer>/recognizer/threshold.json", name),
    ]
    blocks += [Text(card_sentence(card))] if card else []
    facts = stages["recognizer"]
    blocks += _remarks(facts)
    if (
        real(facts, "tar_at_target_fmr") is not None
        or real(facts, "threshold_on_calibration.value") is not None
    ):
        blocks.append(Points(rate_sentences(facts)))
    return blocks + _curve(results, facts, name) + protocol_blocks(facts)


def _remarks(facts: Values) -> list[Block]:
    """What somebody must know of a brought recognizer: its notes, and whose code ran."""
    remarks = [str(note) for note in lookup(facts, "notes") or []]
    if lookup(facts, "runs_user_code"):
        remarks.append("Reading this recognizer ran code that came with it, as the configuration allowed.")
    way = say.gradients(str(lookup(facts, "gradients") or "own"))
    if way:
        remarks.append(f"{way[:1].upper()}{way[1:]}.")
    return [Points(remarks)] if remarks else []


def _curve(results: Results, facts: Values, name: str) -> list[Block]:
    path = "<recognizer>/recognizer/det.parquet"
    frame = results.table(path.replace("<recognizer>", name))
    if frame is None or not {"fmr", "fnmr"} <= set(frame.columns):
        results.faults.setdefault(f"{name}/recognizer/det.parquet", "has no columns fmr and fnmr")
        return absent(results, path, name)
    people = whole(facts, "n_identities")
    fmr, tar = real(facts, "fmr_at_threshold"), real(facts, "tar_at_target_fmr")
    drawing = det_svg(
        [float(value) for value in frame["fmr"]],
        [float(value) for value in frame["fnmr"]],
        floor=6 / (people * (people - 1)) if people is not None and people > 1 else None,
        operating=(fmr, 1 - tar) if fmr is not None and tar is not None else None,
    )
    if drawing is None:
        return [
            Text(
                "The detection error trade-off has fewer than two points with both errors above zero: no "
                "curve."
            )
        ]
    caption = (
        "Detection error trade-off on the split test, both axes logarithmic. Left of the dashed line, 3/n "
        "with n the pairs of test people, the curve stands on too few independent pairs for any claim."
    )
    return [Drawing(drawing, caption)]


def attack_sentence(facts: Values) -> str:
    """Type I and II in one sentence."""
    one, two = "type_1_tar", "type_2_tar_ratio"
    return say.attacks(
        real(facts, one), interval_of(facts, one), real(facts, two), interval_of(facts, two), stands_on(facts)
    )


def _decoder_sentence(samples: int | None) -> str:
    """What is decoded: samples of a distribution, or one image for each embedding."""
    many = "A recognizer drops pose, light and expression, so many images share one embedding z. The decoder "
    if samples == 1:
        return (
            f"{many}gives one image for each z, as the method's authors do it (one sample, always the same): "
            "what z leaves open is not seen in it. One sample has no spread, so coverage and CRPS skill of "
            "samples are not defined and not given."
        )
    return (
        f"{many}samples images from p(x given z): what the samples of one z share is what z says, what they "
        "differ in it leaves open."
    )


def _decoded(results: Results, stages: Values, name: str) -> list[Block]:
    facts = stages["decoder"]
    blocks: list[Block] = [
        Text(_decoder_sentence(whole(facts, "samples"))),
        *absent(results, "<recognizer>/decoder/metrics.json", name),
    ]
    if real(facts, "type_1_tar") is not None:
        points = [
            attack_sentence(facts),
            "For comparison, with G(E(x)) in place of the sample: type I "
            f"{say.percent(real(facts, 'reconstruction_type_1_tar'))}. Mean cosine with the embedding that "
            f"was decoded: {say.number(real(facts, 'sample_cosine'))} for samples, "
            f"{say.number(real(facts, 'reconstruction_cosine'))} for reconstructions.",
        ]
        blocks.append(Points(points))
    several = whole(facts, "samples") != 1
    decoded = "samples" if several else "the one image that is"
    shown = f"its reconstruction G(E(x)), and {decoded} decoded from f(x) alone."
    shown += " No sample was selected." if several else ""
    blocks += face_picture(
        results,
        "<recognizer>/decoder/samples.png",
        f"Held-out people: the image x, {shown}",
        name,
        decoded=f"Held-out people, of each an image x that is not shown: {shown}",
    )
    table = spread_table(facts, stages["recovery"])
    return [*blocks, *left_out_blocks(facts), *([table] if table else [])]


def _recovered(results: Results, stages: Values, name: str) -> list[Block]:
    facts = stages["recovery"]
    path = "<recognizer>/recovery/{}"
    recovered = results.table(f"{name}/recovery/recovered.parquet")
    blocks: list[Block] = [
        Text(
            "Two routes from an embedding to an attribute, side by side: through the decoder (images sampled "
            "from z, read by the heads), and a probe trained on z directly. In nats they can be compared "
            "across attributes. On its own scale, a continuous attribute has the informational R² = 1 − "
            "exp(−2 I), a discrete one Theil's U = I / H; both are 0 where nothing is known and 1 where all "
            "is."
        ),
        *absent(results, path.format("metrics.json"), name),
    ]
    if facts:
        blocks += [Text(sentence) for sentence in [recovery_sentence(facts)] if sentence]
        blocks += left_out_blocks(facts)
        table = recovery_table(facts)
        blocks += [table] if table else []
    if recovered is None:
        blocks += absent(results, path.format("recovered.parquet"), name)
    else:
        blocks.append(
            Text(
                f"For each of {say.counted(len(recovered), 'image', 'images')} the recovered attributes with "
                f"their spread are in {name}/recovery/recovered.parquet."
            )
        )
    caption = "Reliability: how often what a forecast says with some probability is true, on held-out people."
    return blocks + picture(results, path.format("reliability.png"), caption, name)


def recovery_sentence(facts: Values) -> str:
    """Which attributes an embedding holds most of and least of, by the better of both routes."""
    found = {name: value for name in _attributes_of(facts) if (value := _best(facts, name)) is not None}
    if not found:
        return ""
    ordered = sorted(found, key=lambda each: (-found[each], each))
    shown = [f"{say.words(each)} ({say.number(found[each], 2)} nats)" for each in ordered]
    few = len(shown) < 6
    most = say.listed(shown if few else shown[:3])
    least = "" if few else f", least of {say.listed(shown[:-4:-1])}"
    return f"By the better of both routes, z holds most of {most}{least} ({stands_on(facts)})."


def _attributes_of(facts: Values) -> list[str]:
    names: dict[str, None] = {}
    for route in ("decoder", "probe"):
        held = lookup(facts, f"{route}.information")
        names.update(dict.fromkeys(held if isinstance(held, dict) else {}))
    return list(names)


def _best(facts: Values, name: str) -> float | None:
    both = [real(facts, f"{route}.information.{name}") for route in ("decoder", "probe")]
    known = [value for value in both if value is not None]
    return max(known) if known else None


def recovery_table(facts: Values) -> Table | None:
    """Both routes for every attribute, in nats and on its own scale, what is held most first."""
    names = sorted(_attributes_of(facts), key=lambda each: (-(_best(facts, each) or 0.0), each))
    if not names:
        return None
    rows = []
    for name in names:
        chosen = lookup(facts, f"chosen.{name}")
        notes = [f"better: {chosen}" if isinstance(chosen, str) else "", known_words(facts, name)]
        row = [name_cell(name, "; ".join(note for note in notes if note))]
        for route in ("decoder", "probe"):
            key = f"{route}.information.{name}"
            row.append(Cell(say.cell(real(facts, key), interval_of(facts, key))))
        for route in ("decoder", "probe"):
            row.append(_own_scale(facts, route, name))
        rows.append(row)
    header = ["attribute", "decoder, nats", "probe, nats", "decoder, own scale", "probe, own scale"]
    note = (
        "With 95 % intervals. Estimates are lower bounds of the information in z, as long as the attribute "
        "is distributed in test as in train; a negative one means that the forecast did worse than knowing "
        "nothing. The better route was chosen on the split calibration."
    )
    return Table("What z holds of each attribute", header, rows, note=note)


def _own_scale(facts: Values, route: str, name: str) -> Cell:
    r2 = real(facts, f"{route}.informational_r2.{name}")
    value = r2 if r2 is not None else real(facts, f"{route}.theils_u.{name}")
    return Cell(say.number(value) if value is not None else "—", "R²" if r2 is not None else "U")
