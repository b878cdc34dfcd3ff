"""What the page says of the standard pairs that a data set comes with."""

import math

from attribute_recovery.report import sentences as say
from attribute_recovery.report.blocks import Block, Text
from attribute_recovery.report.results import Values, lookup, real, whole


def protocol_blocks(facts: Values) -> list[Block]:
    """The accuracy on standard pairs, where the data come with some."""
    found = lookup(facts, "protocol")
    if not isinstance(found, dict):
        return []
    told = accuracy_sentence(
        real(found, "accuracy"),
        real(found, "standard_error"),
        folds=whole(found, "folds"),
        pairs=whole(found, "pairs"),
        genuine=whole(found, "genuine"),
        why=str(found.get("why") or ""),
    )
    limits = limits_sentence(whole(found, "lost"), whole(found, "trained_on"))
    return [Text(f"{told} {limits}".rstrip(), lead="Standard protocol.")]


def accuracy_sentence(
    accuracy: float | None,
    error: float | None,
    *,
    folds: int | None,
    pairs: int | None,
    genuine: int | None,
    why: str = "",
) -> str:
    """Accuracy on standard pairs in folds, "99.40 ± 0.11 % of 6,000 pairs", or why there is none."""
    if accuracy is None or error is None:
        return f"Accuracy on the data's standard pairs: {say.MISSING}{f', since {why}' if why else ''}."
    decimals = min(4, max(2, 1 - math.floor(math.log10(100 * error)))) if error > 0 else 2
    shown = f"{say.fixed(100 * accuracy, decimals)} ± {say.fixed(100 * error, decimals)} %"
    of = f"{say.counted(pairs, 'pair', 'pairs')}, {genuine or 0:,} of them genuine"
    return (
        f"On the data's standard pairs it tells {shown} right (mean over "
        f"{say.counted(folds, 'fold', 'folds')} and its standard error; {of}), each fold at the threshold "
        "that is best on the others. Scores are cosines of single embeddings; no mirrored image is added, as "
        "some publications do."
    )


def limits_sentence(lost: int | None, trained_on: int | None) -> str:
    """What makes standard pairs fewer than were published; "" where nothing does."""
    parts = [
        f"{say.counted(lost, 'pair lacks', 'pairs lack')} an image in these data" if lost else "",
        f"{say.counted(trained_on, 'pair has', 'pairs have')} somebody that the recognizer was trained on"
        if trained_on
        else "",
    ]
    told = [part for part in parts if part]
    if not told:
        return ""
    return (
        f"{say.listed(told)}: left out, so this is not the full protocol, nor comparable with published "
        "figures."
    )
