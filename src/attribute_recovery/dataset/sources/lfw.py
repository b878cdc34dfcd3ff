"""Labeled Faces in the Wild: a folder a person, and the standard pairs of its ten-fold protocol.

G. B. Huang, M. Ramesh, T. Berg, E. Learned-Miller, "Labeled Faces in the Wild", UMass Amherst 07-49, 2007.
"""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from attribute_recovery.config_faces import LfwDataset
from attribute_recovery.dataset.sources.folders import check_root, list_root
from attribute_recovery.dataset.sources.listing import PAIR_COLUMNS, Listing, require_file


def check_lfw(settings: LfwDataset) -> None:
    """Check that the folders, and the file of pairs if there is to be one, are there; light.

    Raises:
        ConfigError: something is not; the sentence begins with the key.
    """
    check_root(settings.path)
    if settings.pairs is not None:
        require_file(settings.pairs, "dataset.pairs", "LFW's pairs.txt, or null")


def list_lfw(settings: LfwDataset) -> Listing:
    """All images, by path, with the standard pairs where their file is given.

    Raises:
        ValueError: there are no images, the file of pairs is not in its published form, or it names none of
            the images.
    """
    listing = list_root(settings.path)
    if settings.pairs is None:
        return listing
    return replace(listing, pairs=read_pairs(settings.pairs, list(listing.image_ids)))


def read_pairs(path: Path, image_ids: list[str]) -> pd.DataFrame:
    """The pairs of `pairs.txt`.

    The first line has the number of folds (left out where it is one) and of genuine pairs in each; then, fold
    by fold, so many lines `name first second` and as many `name first other_name second`.

    Args:
        path: The file.
        image_ids: Images that there are, such as `Ann_Veneman/Ann_Veneman_0001.jpg`.

    Returns:
        Columns fold (from 0), first and second (image_ids, without their ending where there is no such image)
        and genuine.

    Raises:
        ValueError: the file is not in that form, or names none of the images.
    """
    try:
        lines = [line.split() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    head = lines[0] if lines else []
    if len(head) not in (1, 2) or not all(text.isdigit() and int(text) > 0 for text in head):
        raise ValueError(
            f"{path}: found {' '.join(head)!r} in the first line, expected the number of folds and of "
            "genuine pairs in each"
        )
    folds, each = (1, int(head[0])) if len(head) == 1 else (int(head[0]), int(head[1]))
    if len(lines) - 1 != 2 * folds * each:
        raise ValueError(f"{path}: found {len(lines) - 1} pairs, its first line says 2 × {folds} × {each}")
    known = {image_id.rsplit(".", 1)[0]: image_id for image_id in image_ids}
    rows = [
        (place // (2 * each), *_pair(line, path, known), place % (2 * each) < each)
        for place, line in enumerate(lines[1:])
    ]
    for fold, first, second, genuine in rows:
        if genuine != (first.split("/")[0] == second.split("/")[0]):
            raise ValueError(
                f"{path}: found the pair {first} and {second} among the "
                f"{'genuine' if genuine else 'impostor'} ones of fold {fold + 1}, expected {each} genuine "
                f"pairs and then {each} impostor pairs in each"
            )
    if not {name for row in rows for name in row[1:3]} & set(image_ids):
        raise ValueError(
            f"{path}: names none of the images: its first is {rows[0][1]}, the images are called "
            f"{image_ids[0] if image_ids else 'nothing'}; allowed are folders as LFW has them"
        )
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def _pair(line: list[str], path: Path, known: dict[str, str]) -> tuple[str, str]:
    """The images of `name first second` or `name first other_name second`; a name where there is none."""
    texts = [line[0], line[1], line[0], line[2]] if len(line) == 3 else line
    if len(texts) != 4 or not (texts[1].isdigit() and texts[3].isdigit()):
        raise ValueError(
            f"{path}: found the line {' '.join(line)!r}, expected `name first second` or "
            "`name first other_name second`"
        )
    names = [f"{name}/{name}_{int(number):04d}" for name, number in (texts[:2], texts[2:])]
    return known.get(names[0], names[0]), known.get(names[1], names[1])
