"""Sections of the page about what is done once for a domain: images, generator, heads."""

from collections.abc import Mapping
from typing import Any

from attribute_recovery.report import sentences as say
from attribute_recovery.report.blocks import Absent, Block, Picture, Points, Section, Table, Text
from attribute_recovery.report.brought_heads import are_brought, heads_sentences, schema_path
from attribute_recovery.report.figures import decoded_name
from attribute_recovery.report.labels import labels_table, left_out_blocks
from attribute_recovery.report.results import (
    EXPECTED,
    EXPECTED_OF_SEVERAL,
    Results,
    Values,
    interval_of,
    lookup,
    real,
    whole,
)
from attribute_recovery.report.tables import attributes_table, splits_table

EVERYTHING = (*EXPECTED, *EXPECTED_OF_SEVERAL)


def absent(results: Results, path: str, recognizer: str = "") -> list[Block]:
    """A note for a file that gave nothing; nothing where it was read."""
    place = path.replace("<recognizer>", recognizer)
    if place not in results.faults:
        return []
    known = {name: each.what for each in EVERYTHING for name in (each.path, decoded_name(each.path))}
    what = known.get(path, place)
    return [Absent(say.not_computed(what, place, results.faults[place]))]


def picture(results: Results, path: str, caption: str, recognizer: str = "") -> list[Block]:
    """A picture with its caption, or a note that it is missing."""
    source = results.picture(path.replace("<recognizer>", recognizer))
    return [Picture(source, caption)] if source is not None else absent(results, path, recognizer)


def face_picture(
    results: Results, path: str, caption: str, recognizer: str = "", *, decoded: str = ""
) -> list[Block]:
    """A picture of faces, as far as they may be shown.

    Args:
        results: the experiment's files.
        path: the picture with all faces.
        caption: of that picture.
        recognizer: its name, where the path has one.
        decoded: caption of the same picture without real faces; empty where it never has any.
    """
    if results.privacy.faces == "none":
        return []
    if results.privacy.faces == "decoded" and decoded:
        return picture(results, decoded_name(path), decoded, recognizer)
    return picture(results, path, caption, recognizer)


def stands_on(facts: Values, *, pairs: str = "", images: bool = True) -> str:
    """Split and counts behind a figure, from the mapping that it stands in."""
    return say.basis(
        lookup(facts, "split"),
        people=whole(facts, "n_identities"),
        images=whole(facts, "n_images") if images else None,
        pairs=whole(facts, pairs) if pairs else None,
    )


def declared_attributes(results: Results) -> list[Mapping[str, Any]]:
    """The entries of attributes.json, a list or a mapping that holds one under `attributes`."""
    found = results.document(schema_path(results))
    entries = found.get("attributes") if isinstance(found, dict) else found
    if isinstance(entries, dict):
        entries = [{"name": name, **entry} for name, entry in entries.items() if isinstance(entry, dict)]
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, dict) and "name" in entry]


def data_section(results: Results) -> Section:
    """What the images are."""
    report = results.json("dataset/report.json")
    blocks: list[Block] = absent(results, "dataset/report.json")
    if report:
        blocks.append(Text(" ".join([_data_sentence(report), *privacy_sentences(results, report)])))
        # In folds everybody is used for everything but the recognizer's training, and the text says so.
        table = None if whole(report, "folds") else splits_table(report)
        blocks += [table] if table else []
        blocks += (
            [Points([f"{warning}." for warning in report["warnings"]])] if report.get("warnings") else []
        )
        labels = labels_table(report)
        blocks += [labels] if labels else []
    return Section("images", "The images", blocks)


def _alignment(report: Values) -> str:
    """How the images are cropped: by the eyes where the report does not say."""
    template = lookup(report, "crop.template")
    if template == "arcface":
        return "aligned onto the ArcFace template"
    return "cropped as given" if template == "as given" else "aligned by the eyes"


def _data_sentence(report: Values) -> str:
    side = whole(report, "image_size")
    size = f", {side} × {side} pixels each" if side else ""
    text = (
        f"{say.counted(whole(report, 'images'), 'image', 'images')} of "
        f"{say.counted(whole(report, 'identities'), 'person', 'people')}{size}, {_alignment(report)}."
    )
    if report.get("source") == "world":
        text += (
            " They are made: three-dimensional heads rendered from attributes whose true values are "
            "therefore known."
        )
    if folds := whole(report, "folds"):
        text += (
            f" They are cross-fitted in {folds} folds by identity: everything that explains was trained and "
            "calibrated once a fold on other people, and each person is held out in one fold. Pictures show "
            "the first fold."
        )
    copies = whole(report, "duplicates.across_splits")
    if copies is not None:
        text += f" Images that occur in more than one split: {copies}."
    return text


def privacy_sentences(results: Results, report: Values) -> list[str]:
    """What of people is shown on the page, in whole sentences."""
    made, privacy = report.get("source") == "world", results.privacy
    faces = {
        "all": "No real person is shown on this page." if made else "Real people are shown on this page.",
        "decoded": "No image of the data is shown on this page, only what the generator made; that may still "
        "be like somebody.",
        "none": "No face is shown on this page.",
    }
    names = (
        "People and images have pseudonyms: who they are can be told only with the key that stays beside the "
        "results."
    )
    return [faces[privacy.faces], *([names] if privacy.key is not None else [])]


def generator_section(results: Results, metrics: Values) -> Section:
    """How well G and E keep an image."""
    facts = metrics["generator"]
    card = results.json("generator/card.json")
    blocks: list[Block] = [
        Text(_generator_sentence(lookup(card, "network.encoder") is not None)),
        *absent(results, "generator/card.json"),
        *absent(results, "generator/metrics.json"),
    ]
    provenance = card.get("provenance")
    if isinstance(provenance, str) and provenance:
        blocks.append(Text(f"Provenance of G and E: {provenance}."))
    points = [_sharpness(facts)] if results.faults.get("generator/metrics.json") is None else []
    key = "reconstruction_tar_ratio"
    decoder = _first_decoder(metrics)
    points.append(say.reconstruction(real(facts, key), interval_of(facts, key), stands_on(decoder)))
    blocks.append(Points(points))
    shown = face_picture(
        results,
        "generator/reconstructions.png",
        "Held-out people (x) and their reconstructions G(E(x)); the first image of each, unselected.",
        decoded="Reconstructions G(E(x)) of held-out people; of the first image of each, unselected.",
    )
    return Section("generator", "The generator", [*blocks, *shown])


def _generator_sentence(by_embedding: bool) -> str:
    """What G and E are; `by_embedding`: E goes by way of the recognizer, as in the reference."""
    begin = "A generator G turns a code into an image, an encoder E an image into its code. "
    end = " Whatever they lose of a face is lost to all that follows."
    if by_embedding:
        return (
            f"{begin}G has no encoder of its own: the code of an image is the code of its embedding, "
            "w = T(f(x)), so it holds what the recognizer keeps of a face and nothing else, and "
            f"reconstructions are what is decoded from embeddings.{end}"
        )
    return (
        f"{begin}Neither the recognizer that is explained nor its scores had a part in their training.{end}"
    )


def _first_decoder(metrics: Values) -> Values:
    for stages in metrics["recognizers"].values():
        return dict(stages["decoder"])
    return {}


def _sharpness(facts: Values) -> str:
    bands = lookup(facts, "band_power_ratio")
    known = [say.number(band, 2) for band in bands] if isinstance(bands, list) else []
    text = ", ".join(known) if known else say.MISSING
    return (
        f"Detail: reconstructions have {say.quantity(real(facts, 'sharpness_ratio'))} of the real images' "
        f"variance of the Laplacian, and per octave of spatial frequency, from coarse to fine, {text} of "
        "their power. 1 would be as sharp as the real images. Mean absolute difference of pixels in units of "
        f"the range −1 to 1: {say.number(real(facts, 'l1'))} ({stands_on(facts)})."
    )


def heads_section(results: Results) -> Section:
    """How well attributes are read from images."""
    facts = results.json("attributes/metrics.json")
    declared = declared_attributes(results)
    blocks: list[Block] = [
        *absent(results, "attributes/metrics.json"),
        *absent(results, schema_path(results)),
    ]
    brought = are_brought(facts)
    if brought:
        blocks.append(Points(heads_sentences(facts)))
    if facts and (whole(facts, "n_images") or not brought):
        r2, accuracy = real(facts, "median_r2"), real(facts, "median_balanced_accuracy")
        blocks += [Text(say.heads(r2, accuracy, stands_on(facts))), *left_out_blocks(facts)]
    table: list[Table] = [attributes_table(declared, facts)] if declared else []
    blocks += table
    if table:
        blocks.append(
            Text(
                "Level says whether an attribute belongs to the identity, to the single image, or to both "
                "(mixed). R² is the share of variance explained on held-out people; balanced accuracy is the "
                "mean over classes of the share that is recognised."
            )
        )
    return Section("attributes", "Reading attributes from images", blocks)
