"""Section of the page about a recognizer's errors: which attributes carry the gap between the two images."""

from collections.abc import Sequence

import pandas as pd

from attribute_recovery.report import sentences as say
from attribute_recovery.report.blocks import Block, Cell, Points, Table, Text
from attribute_recovery.report.domain import absent, face_picture, picture
from attribute_recovery.report.privacy import Privacy
from attribute_recovery.report.results import Results, Values, interval_of, lookup, real, whole
from attribute_recovery.report.tables import finite, name_cell

KINDS = {"false_match": "false matches", "false_non_match": "false non-matches"}
SINGULAR = {"false_match": "false match", "false_non_match": "false non-match"}
NAMED = 3
# An attribute that differs by so much on average, and of which so little of the gap is, is overlooked.
DIFFERS = 0.5
CARRIES = 0.02
NEEDED = {
    *("kind", "image_id", "other_image_id", "score", "score_reconstructed", "score_equal", "gap"),
    *("attribute", "unit", "value", "other_value", "category", "other_category", "shapley", "standard_error"),
}
ABOUT = (
    "Pairs that the recognizer decides wrongly, drawn by seed. Attributes in which the images surely differ "
    "are made equal, one after the other in many orders, and each time the first image is embedded again; "
    "what an attribute adds to the score, in the mean over the orders, is its Shapley value. The values of a "
    "pair add up to the gap: the score with these made equal less that of the reconstructions. A "
    "positive value means that the attribute sets the images apart for the recognizer, one near zero that it "
    "overlooks the difference, or that there is none, a negative one that the difference makes them more "
    "alike to it."
)


def error_blocks(results: Results, stages: Values, name: str, examples: int) -> list[Block]:
    """Which attributes carry the errors: sentences, pictures, and tables by attribute and by pair."""
    facts = stages["counterfactuals"]
    path = "<recognizer>/counterfactuals/{}"
    blocks: list[Block] = [Text(ABOUT), *absent(results, path.format("metrics.json"), name)]
    frame = results.table(f"{name}/counterfactuals/shapley.parquet")
    if frame is None or (len(frame) and not set(frame.columns) >= NEEDED):
        results.faults.setdefault(f"{name}/counterfactuals/shapley.parquet", "lacks columns")
        return [*blocks, *absent(results, path.format("shapley.parquet"), name)]
    if facts:
        blocks.append(Points(error_sentences(facts)))
    if not len(frame):
        return blocks
    blocks += _pictures(results, frame, name, " of the first fold" if whole(facts, "folds") else "")
    table = carried_table(facts)
    return [*blocks, *([table] if table else []), explained_table(frame, examples, results.privacy)]


def error_sentences(facts: Values) -> list[str]:
    """How many errors there are and were explained, what carries them, and how well values add up."""
    if not lookup(facts, "wrong_pairs"):
        return ["No error was explained: counterfactuals.error_pairs is 0."]
    counts = [
        f"{say.counted(whole(facts, f'wrong_pairs.{kind}'), SINGULAR[kind], KINDS[kind])}, "
        f"{whole(facts, f'explained_pairs.{kind}') or 0} of them explained"
        for kind in KINDS
    ]
    sentences = [f"Among the test pairs there are {'; '.join(counts)}."]
    for kind in KINDS:
        sentences += _kind_sentences(facts, kind)
    off = real(facts, "error_sum_off")
    if off is not None:
        closely = f"to within {say.number(off, 1)}" if off else "exactly"
        images = say.counted(whole(facts, "error_images"), "edited image", "edited images")
        sentences.append(f"The values of each pair add up to its gap {closely}; they took {images}.")
    return sentences


def _kind_sentences(facts: Values, kind: str) -> list[str]:
    gap = real(facts, f"error_gap.{kind}")
    if gap is None:
        return []
    title = KINDS[kind].capitalize()
    left, rebuilt = real(facts, f"error_left.{kind}"), real(facts, f"error_reconstruction.{kind}")
    kept, leads = real(facts, f"errors_kept.{kind}"), real(facts, f"error_leads.{kind}")
    error = real(facts, f"error_standard_error.{kind}")
    sentences = [
        f"{title}: of what the score lacks to 1, the attributes carry {say.number(gap, 2)} on average, "
        f"{say.number(left, 2)} is left where all are equal, and reconstruction changes it by "
        f"{say.number(rebuilt, 2)}. {say.percent(kept)} of the reconstructed pairs are decided wrongly too. "
        f"The largest value of a pair has a standard error of {say.number(error, 1)} (median), and is surely "
        f"the largest in {say.percent(leads)} of pairs."
    ]
    shares = {
        each: value for each in _attributes(facts, kind) if (value := _share(facts, kind, each) or 0) > 0
    }
    most = sorted(shares, key=lambda each: (-shares[each], each))[:NAMED]
    if most:
        ends = {each: interval_of(facts, f"error_share.{kind}.{each}") for each in most}
        named = [f"{say.words(each)} with {say.share(shares[each], ends[each])}" for each in most]
        sentences.append(f"{title}: most of the gap is carried by {say.listed(named)}.")
    unseen = [each for each in _attributes(facts, kind) if _overlooked(facts, kind, each)]
    if unseen:
        listed = say.listed([say.words(each) for each in unseen])
        sentences.append(
            f"{title}: the images differ in {listed} and the recognizer hardly notices; each carries less "
            f"than {say.percent(CARRIES)} of the gap."
        )
    return sentences


def _attributes(facts: Values, kind: str) -> list[str]:
    found = lookup(facts, f"error_share.{kind}")
    return list(found) if isinstance(found, dict) else []


def _share(facts: Values, kind: str, attribute: str) -> float | None:
    return real(facts, f"error_share.{kind}.{attribute}")


def _overlooked(facts: Values, kind: str, attribute: str) -> bool:
    difference, share = real(facts, f"error_difference.{kind}.{attribute}"), _share(facts, kind, attribute)
    return difference is not None and share is not None and difference >= DIFFERS and abs(share) < CARRIES


def _pictures(results: Results, frame: pd.DataFrame, name: str, which: str) -> list[Block]:
    """All errors in one plot, and some with their faces as far as these may be shown."""
    folder = "<recognizer>/counterfactuals/pictures"
    blocks = picture(
        results,
        f"{folder}/errors.png",
        f"Shapley values of the explained errors{which}: a dot is one error, the diamond their mean.",
        name,
    )
    for kind, title in KINDS.items():
        if not (frame["kind"] == kind).any() or not _drawn(results, kind, name):
            continue
        bars = (
            "Beside them the attributes with the largest values, with their standard errors: blue sets the "
            "images apart, red makes them more alike; on the left the value in both images."
        )
        shown = f"Some {title} that reconstructions show too, unselected otherwise: the image that is changed"
        blocks += face_picture(
            results,
            f"{folder}/errors-{kind}.png",
            f"{shown}, and the other. {bars}",
            name,
            decoded=f"{shown}, and the other, both as the generator makes them. {bars}",
        )
    return blocks


def _drawn(results: Results, kind: str, name: str) -> bool:
    """Whether the stage drew faces of a kind: it does not where no reconstruction shows the error."""
    return (results.root / name / f"counterfactuals/pictures/errors-{kind}.png").is_file()


def carried_table(facts: Values) -> Table | None:
    """For every attribute and kind of error the share of the gap, the mean magnitude and the difference."""
    kinds = [kind for kind in KINDS if _attributes(facts, kind)]
    if not kinds:
        return None
    names = sorted(_attributes(facts, kinds[0]), key=lambda each: -_carried(facts, kinds, each))
    rows = []
    for each in names:
        row = [name_cell(each)]
        for kind in kinds:
            for key in (f"error_share.{kind}.{each}", f"error_value.{kind}.{each}"):
                row.append(Cell(say.cell(real(facts, key), interval_of(facts, key))))
            row.append(Cell(say.number(real(facts, f"error_difference.{kind}.{each}"), 2)))
        rows.append(row)
    columns = ("share of the gap", "mean |value|", "difference, sd")
    header = ["attribute", *(f"{KINDS[kind]}: {column}" for kind in kinds for column in columns)]
    note = (
        "With 95 % intervals from resampling people; few errors make them wide. Difference: of continuous "
        "attributes in standard deviations of the population, of classes the share of pairs that differ."
    )
    return Table("What each attribute carries of the errors", header, rows, note=note)


def _carried(facts: Values, kinds: Sequence[str], attribute: str) -> float:
    return sum(real(facts, f"error_value.{kind}.{attribute}") or 0.0 for kind in kinds)


def explained_table(frame: pd.DataFrame, count: int, privacy: Privacy) -> Table:
    """Errors one by one, the first of each kind as they were drawn, with their largest values."""
    rows = []
    for kind in KINDS:
        # Not by number: where there are folds, each counts anew.
        pairs = frame[frame["kind"] == kind].groupby(["image_id", "other_image_id"], sort=False)
        for _, pair in list(pairs)[:count]:
            first = pair.iloc[0]
            against = f"against {privacy.image(str(first['other_image_id']))}"
            rebuilt = f"{say.number(finite(first['score_reconstructed']))} reconstructed"
            rows.append(
                [
                    Cell(privacy.image(str(first["image_id"])), against, "name"),
                    Cell(SINGULAR[kind]),
                    Cell(say.number(finite(first["score"])), rebuilt),
                    Cell(say.number(finite(first["score_equal"]))),
                    Cell(_largest_words(pair)),
                ]
            )
    header = ["image", "error", "score", "score, all attributes equal", "largest Shapley values"]
    return Table("Explained errors, one by one", header, rows, folded=True)


def _largest_words(pair: pd.DataFrame) -> str:
    """The attributes of one pair with the largest values, "yaw 12.0 → −6.04 degrees: 0.12 ± 0.01"."""
    known = pair[pair["shapley"].notna()]
    order = known["shapley"].abs().sort_values(ascending=False, kind="stable").index[:NAMED]
    parts = []
    for _, row in known.loc[order].iterrows():
        if isinstance(row["category"], str):
            change = f"{row['category']} → {row['other_category']}"
        else:
            ends = (say.number(finite(row[column])) for column in ("value", "other_value"))
            change = f"{' → '.join(ends)} {row['unit']}".rstrip()
        value, error = say.number(finite(row["shapley"]), 2), say.number(finite(row["standard_error"]), 1)
        parts.append(f"{say.words(str(row['attribute']))} {change}: {value} ± {error}")
    return "; ".join(parts) or say.MISSING
