"""The data set of an experiment from faces that a user brings: read, checked, cropped, split, described.

Light to import, since `check_faces` runs before any job.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.config import Compute
from attribute_recovery.config_faces import (
    BroughtFaces,
    DetectorAlignment,
    FacesDataset,
    Fault,
    FoldsSplit,
    GivenAlignment,
    SharesSplit,
)
from attribute_recovery.dataset.alignment import (
    ALIGNED_SPREAD,
    COMPARED,
    alignment_spread,
    crop_template,
)
from attribute_recovery.dataset.attributes import AttributeSchema, write_schema
from attribute_recovery.dataset.crops import Crops, batches, read_crops
from attribute_recovery.dataset.describe import describe_table
from attribute_recovery.dataset.faults import Faults
from attribute_recovery.dataset.known import refuse_atoms
from attribute_recovery.dataset.labels import (
    constant_labels,
    declared_attributes,
    learning_warnings,
    level_warnings,
    parse_labels,
    with_values,
)
from attribute_recovery.dataset.sources.choose import check_source, list_source
from attribute_recovery.dataset.sources.listing import Listing, no_pairs, require_file
from attribute_recovery.dataset.splits import (
    deal_folds,
    deal_identities,
    few_identities,
    require_source_splits,
)
from attribute_recovery.dataset.store import write_array, write_json, write_table
from attribute_recovery.tracking.private import private_files

Rows = npt.NDArray[np.int64]

UNUSABLE: tuple[Fault, ...] = ("unreadable", "no_face", "small")
# Landmarks that fit the template no better than that (of the side) are not those of a face seen upright.
FITTING_RESIDUAL = 0.1


@dataclass(frozen=True)
class _Chosen:
    """The images that are used.

    Attributes:
        rows: their rows in the listing, rising.
        instead: from the image_id of a copy that is left out to the one that stays.
    """

    rows: Rows
    instead: dict[str, str]


def check_faces(settings: FacesDataset) -> None:
    """Check that the files that the settings speak of are there and have what they speak of; light.

    Raises:
        ConfigError: something is not; the sentence begins with the key.
    """
    check_source(settings)
    if isinstance(settings.align, DetectorAlignment):
        require_file(settings.align.weights, "dataset.align.weights", "a face detector as an ONNX file")


def prepare_faces(
    settings: FacesDataset,
    seed: int,
    compute: Compute,
    *,
    images: Path,
    table: Path,
    attributes: Path,
    report: Path,
    pairs: Path | None = None,
) -> dict[str, Any]:
    """Read the faces and write images, table, attributes and report; returns the report.

    Files that hold faces or names can be read by their owner only. An interrupted call leaves nothing.

    Args:
        settings: section `dataset`.
        seed: of the experiment; who is in which split depends on it and on the names.
        compute: threads; the result does not depend on them.
        images: written, uint8 (n, side, side, 3) as bcolz, row i = row i of the table.
        table: written, images.parquet.
        attributes: written, attributes.json.
        report: written, report.json: what `describe_table` says, and `source`, `crop` (how crops are
            aligned), `listed`, `ignored_files`, `faults`, `alignment`, and `pairs` where the source has some.
        pairs: written where it is given: the source's standard pairs, see `sources.listing`.

    Raises:
        ValueError: a file of the source is not in its published form, a fault is found for which the settings
            say fail, nothing is left that can be split, or a continuous attribute has an atom.
    """
    listing = list_source(settings)
    _say(f"{len(listing)} images listed, {len(set(listing.identities))} identities")
    faults = Faults(settings)
    with private_files(), _scratch(images) as scratch:
        crops = read_crops(listing, settings, compute.threads, scratch)
        chosen = _chosen_rows(listing, crops, faults)
        keys = _keys(listing, crops, chosen.rows, settings, seed)
        facts, schema = _labelled(listing, chosen.rows, settings, faults)
        complete = pd.concat([keys, facts], axis=1)
        refuse_atoms(complete, schema)
        kept_pairs, pair_facts = _kept_pairs(listing, chosen)
        found = _report(listing, crops, chosen.rows, settings, faults, complete, schema) | pair_facts
        found["warnings"] += _pair_warnings(pair_facts, settings)
        side = settings.image_size
        write_array(images, batches(crops, chosen.rows), (side, side, 3), np.uint8, len(chosen.rows))
        write_schema(schema, attributes)
        write_table(complete, table)
        if pairs is not None:
            write_table(kept_pairs, pairs)
        write_json(found, report)
    for warning in found["warnings"]:
        _say(warning)
    return found


def _say(sentence: str) -> None:
    """A line for the log."""
    print(f"dataset: {sentence}", file=sys.stderr, flush=True)


@contextmanager
def _scratch(images: Path) -> Iterator[Path]:
    """A file beside the images for crops that may yet be left out; gone afterwards, whatever happens."""
    images.parent.mkdir(parents=True, exist_ok=True)
    path = images.with_name(f".{images.name}.crops")
    path.unlink(missing_ok=True)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _chosen_rows(listing: Listing, crops: Crops, faults: Faults) -> _Chosen:
    """Leave out what has a fault, in this order: cannot be used, is there twice, is somebody's only image.

    Raises:
        ValueError: there is a fault for which the settings say fail, or nobody is left.
    """
    kept = np.array([digest != "" for digest in crops.digests])
    for fault in UNUSABLE:
        at_fault = [row for row, found in enumerate(crops.faults) if found == fault]
        examples = [f"{listing.image_ids[row]}: {crops.details[row]}" for row in at_fault]
        if faults.note(fault, examples):
            kept[at_fault] = False
    rows, instead = _without_copies(listing, crops, np.flatnonzero(kept), faults)
    people = pd.Series([listing.identities[row] for row in rows], dtype="str")
    lone = people.map(people.value_counts()) == 1
    if faults.note("one_image", people[lone].tolist()):
        rows = rows[~lone.to_numpy(np.bool_)]
    if len({listing.identities[row] for row in rows}) < 2:
        raise ValueError(
            f"dataset: of {len(listing)} images {len(rows)} can be used, at least 2 identities are needed"
            + "".join(f"; {warning}" for warning in faults.warnings())
        )
    return _Chosen(rows, instead)


def _without_copies(
    listing: Listing, crops: Crops, rows: Rows, faults: Faults
) -> tuple[Rows, dict[str, str]]:
    """The first of several images with equal pixels; none where they are said to show different people."""
    table = pd.DataFrame(
        {
            "row": rows,
            "image_id": [listing.image_ids[row] for row in rows],
            "identity": [listing.identities[row] for row in rows],
            "digest": [crops.digests[row] for row in rows],
        },
        dtype=object,
    )
    group = table.groupby("digest")
    clash = group["identity"].transform("nunique") > 1
    first = group["image_id"].transform("first")
    copy = table["digest"].duplicated() | clash
    texts = [
        f"{name}: as {other}{', of somebody else' if strange else ''}"
        for name, other, strange in zip(table["image_id"][copy], first[copy], clash[copy], strict=True)
    ]
    if not faults.note("duplicate", texts):
        return rows, {}
    stays = copy & ~clash
    instead = dict(zip(table["image_id"][stays], first[stays], strict=True))
    return rows[~copy.to_numpy(np.bool_)], instead


def _keys(listing: Listing, crops: Crops, rows: Rows, settings: BroughtFaces, seed: int) -> pd.DataFrame:
    """The key columns of the images table."""
    people = [listing.identities[row] for row in rows]
    folds: dict[str, pd.Series[int]] = {}
    if isinstance(settings.splits, SharesSplit):
        split_of = deal_identities(sorted(set(people)), settings.splits, seed)
        splits = [split_of[name] for name in people]
    elif isinstance(settings.splits, FoldsSplit):
        # Everybody is held out in one of the folds.
        splits = ["test"] * len(people)
        fold_of = deal_folds(sorted(set(people)), settings.splits.folds, seed)
        folds["fold"] = pd.Series([fold_of[name] for name in people], dtype="int64")
    elif listing.splits is not None:
        splits = [listing.splits[row] for row in rows]
        require_source_splits(people, splits)
    else:
        raise ValueError(
            "dataset.splits.by: found source, but the source has no splits; allowed are shares and folds"
        )
    names = [listing.image_ids[row] for row in rows]
    digests = [crops.digests[row] for row in rows]
    columns = {"image_id": names, "identity": people, "split": splits, "path": names, "sha256": digests}
    return pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in columns.items()} | folds)


def _labelled(
    listing: Listing, rows: Rows, settings: BroughtFaces, faults: Faults
) -> tuple[pd.DataFrame, AttributeSchema]:
    """Columns `attribute.<name>` and the schema of the attributes that are used."""
    parsed = parse_labels(with_values(listing, settings, rows), settings)
    unknown = [
        f"{listing.image_ids[rows[row]]}: {name} {text!r}"
        for name, found in parsed.unknown.items()
        for row, text in found
    ]
    faults.note("unknown_label", unknown)
    constant = constant_labels(parsed.columns)
    faults.note("constant_label", constant)
    used = parsed.columns.drop(columns=constant)
    schema = declared_attributes(used, settings, listing.label_sources)
    facts = {
        f"attribute.{attribute.name}": used[attribute.name].astype(
            "str" if attribute.is_discrete else np.float32
        )
        for attribute in schema
    }
    return pd.DataFrame(facts, index=range(len(rows))), schema


def _kept_pairs(listing: Listing, chosen: _Chosen) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The source's pairs of images that are used, a copy replaced by the image that it equals."""
    if listing.pairs is None:
        return no_pairs(), {}
    names = {listing.image_ids[row] for row in chosen.rows}
    instead = {
        column: [chosen.instead.get(name, name) for name in listing.pairs[column]]
        for column in ("first", "second")
    }
    moved = listing.pairs.assign(**instead)
    kept = moved[moved["first"].isin(names) & moved["second"].isin(names)].reset_index(drop=True)
    facts = {
        "pairs": len(kept),
        "lost": len(moved) - len(kept),
        "genuine": int(kept["genuine"].sum()),
        "folds": int(kept["fold"].nunique()),
    }
    return kept, {"pairs": facts}


def _pair_warnings(facts: dict[str, Any], settings: BroughtFaces) -> list[str]:
    lost = facts.get("pairs", {}).get("lost", 0)
    if not lost:
        return []
    hint = "" if settings.action("one_image") == "keep" else "; one_image: keep may keep most of them"
    return [
        f"{lost} of the standard pairs have an image that is not among these: not the full protocol{hint}"
    ]


def _report(
    listing: Listing,
    crops: Crops,
    rows: Rows,
    settings: FacesDataset,
    faults: Faults,
    table: pd.DataFrame,
    schema: AttributeSchema,
) -> dict[str, Any]:
    align = settings.align
    described = describe_table(table, schema)
    aligned, warnings = _alignment(crops, rows, settings)
    described["warnings"] = [
        *faults.warnings(),
        *few_identities(described["identities"], folds=isinstance(settings.splits, FoldsSplit)),
        *warnings,
        *listing.remarks,
        *level_warnings(table, schema),
        *learning_warnings(table, schema),
        *described["warnings"],
    ]
    return {
        "source": settings.source,
        "image_size": settings.image_size,
        "crop": crop_template(align.template if isinstance(align, GivenAlignment) else "arcface"),
        "listed": {"images": len(listing), "identities": len(set(listing.identities))},
        "ignored_files": listing.ignored,
        "faults": faults.report(),
        "alignment": aligned,
        **({"folds": settings.splits.folds} if isinstance(settings.splits, FoldsSplit) else {}),
        **described,
    }


def _alignment(crops: Crops, rows: Rows, settings: BroughtFaces) -> tuple[dict[str, Any], list[str]]:
    """How well crops are aligned, and what to say where they don't look it."""
    compared = rows[np.linspace(0, len(rows) - 1, min(len(rows), COMPARED)).astype(np.int64)]
    spread = alignment_spread(np.asarray(crops.pixels[compared]))
    residuals = crops.residuals[rows]
    residual = float(np.median(residuals)) if np.isfinite(residuals).all() else None
    several = int((crops.n_faces[rows] > 1).sum())
    facts = {
        "by": settings.align.by,
        "spread": round(spread, 4),
        "aligned_spread": ALIGNED_SPREAD,
        "compared": len(compared),
        "residual": None if residual is None else round(residual, 4),
        "several_faces": several,
    }
    warnings = []
    if spread > ALIGNED_SPREAD:
        warnings.append(
            f"the crops do not look aligned: judged by their edges they lie {spread:.1%} of their side "
            f"apart, aligned ones less than {ALIGNED_SPREAD:.0%}; recognizers expect aligned faces"
        )
    if residual is not None and residual > FITTING_RESIDUAL:
        warnings.append(
            f"the landmarks do not fit an upright face: half of them lie {residual:.1%} of the crop's side "
            "or more from the template; are the left and right ones in the right order"
        )
    if several:
        warnings.append(f"{several} images have several faces: the largest and most central one is taken")
    return facts, warnings
