"""What the page says of labels that are missing: on how many images an attribute is known, and what could not
be done for want of them."""

from collections.abc import Mapping
from typing import Any

from attribute_recovery.report import sentences as say
from attribute_recovery.report.blocks import Block, Cell, Points, Table
from attribute_recovery.report.results import Values, lookup, whole

LEFT_OUT = {
    "not_learned": "Not learned by the heads",
    "not_recovered": "Not recovered",
    "not_calibrated": "Not calibrated",
    "not_measured": "Not measured",
}
# What the method of a row without estimate begins with.
NOT_TESTABLE = "not testable: "


def label_keys(**meanings: str) -> tuple[tuple[str, str, str], ...]:
    """Keys of metrics.json (key, unit, meaning): reasons by attribute, and on how many images one is known.

    Args:
        meanings: of the reasons, by key.
    """
    reasons = (
        (f"{key}.<attribute>", "reason", f"{meaning}; only where there is one")
        for key, meaning in meanings.items()
    )
    known = "images of the split on which an attribute is known, where it is not on all"
    people = ("known_identities.<attribute>", "people", "their people")
    return (*reasons, ("known_images.<attribute>", "images", known), people)


def labels_table(report: Values) -> Table | None:
    """How many images and people each attribute is known of, split by split; None where all is known.

    Args:
        report: dataset/report.json.

    Returns:
        A row for each attribute that some image has no value of.
    """
    described = lookup(report, "attributes")
    described = described if isinstance(described, dict) else {}
    splits: dict[str, None] = {}
    for entry in described.values():
        splits.update(dict.fromkeys(lookup(entry, "splits") or {}))
    rows = []
    for name, entry in described.items():
        facts = {split: lookup(entry, f"splits.{split}") or {} for split in splits}
        if not any(whole(each, "missing") for each in facts.values()):
            continue
        counted = [_known_cell(facts[split], whole(report, f"splits.{split}.images")) for split in splits]
        rows.append([Cell(say.words(str(name)), "", "name"), *counted])
    if not rows:
        return None
    note = (
        "Every stage uses an attribute on the images where it is known: to learn it, to calibrate what is "
        "read of it, and to measure it."
    )
    return Table("Attributes that are not known on every image", ["attribute", *splits], rows, note=note)


def _known_cell(facts: Values, images: int | None) -> Cell:
    """Images with a value, and below them their people and classes."""
    missing = whole(facts, "missing")
    if not missing:
        return Cell("all", _classes(facts, {}))
    known = whole(facts, "known.images")
    of = f" of {say.counted(images, 'image', 'images')}" if images is not None else ""
    people = say.counted(whole(facts, "known.identities"), "person", "people")
    parts = [people, _classes(facts, lookup(facts, "known.identities_by_class") or {})] if known else []
    return Cell(f"{known:,}{of}" if known is not None else "—", "; ".join(part for part in parts if part))


def _classes(facts: Values, people: Mapping[str, Any]) -> str:
    counts = lookup(facts, "counts")
    if not isinstance(counts, dict):
        return ""
    return ", ".join(
        f"{name} {count:,}"
        + (f" ({say.counted(people[name], 'person', 'people')})" if name in people else "")
        for name, count in counts.items()
    )


def known_words(facts: Values, name: str) -> str:
    """Images and people that figures of an attribute stand on, where it is not known on all; else empty.

    >>> known_words({"known_images": {"beard": 20}, "known_identities": {"beard": 4}}, "beard")
    'known on 20 images of 4 people'
    """
    images, people = whole(facts, f"known_images.{name}"), whole(facts, f"known_identities.{name}")
    if images is None or people is None:
        return ""
    return f"known on {say.counted(images, 'image', 'images')} of {say.counted(people, 'person', 'people')}"


def left_out_blocks(facts: Values) -> list[Block]:
    """What a stage could not do for want of labels, attributes of one reason together.

    Args:
        facts: the stage's metrics.

    Returns:
        One list of sentences, or nothing.
    """
    told: dict[tuple[str, str], list[str]] = {}
    for key, title in LEFT_OUT.items():
        for name, reason in _reasons(facts, key).items():
            told.setdefault((title, reason), []).append(name)
    by_attribute: dict[tuple[str, str], list[str]] = {}
    for measure in lookup(facts, "not_testable") or {}:
        for name, reason in _reasons(facts, f"not_testable.{measure}").items():
            by_attribute.setdefault((name, reason), []).append(say.words(measure))
    for (name, reason), measures in by_attribute.items():
        told.setdefault((f"Not testable, {say.listed(measures)}", reason), []).append(name)
    sentences = [
        f"{title}: {say.listed([say.words(name) for name in names])}, since {_since(reason, len(names))}."
        for (title, reason), names in told.items()
    ]
    return [Points(sentences)] if sentences else []


def _reasons(facts: Values, key: str) -> dict[str, str]:
    found = lookup(facts, key)
    return {str(name): str(reason) for name, reason in found.items()} if isinstance(found, dict) else {}


def _since(reason: str, count: int) -> str:
    subject = "it is" if count == 1 else "they are"
    return f"{subject} {reason}" if reason.startswith("known ") else reason


def reason_of(method: Any) -> str:
    """Why a row of the long table has no estimate, from its method; empty where that is another one.

    >>> reason_of("not testable: no image of the split test has a value"), reason_of("edited code")
    ('no image of the split test has a value', '')
    """
    text = str(method or "")
    return text.removeprefix(NOT_TESTABLE) if text.startswith(NOT_TESTABLE) else ""
