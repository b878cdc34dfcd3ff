"""Something to label from: a table with empty cells, and sheets of the numbered faces that it asks about.

For who has faces and no labels. The table, filled in, is one of `dataset.labels` with the key `image_id`.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from attribute_recovery.dataset.store import read_images, read_table
from attribute_recovery.tracking.digest import atomic_output
from attribute_recovery.tracking.private import private_files

TABLE_NAME = "labels.csv"
FACE_SIDE = 128
CAPTION = 16
GAP = 4


def write_label_sheet(
    images: Path,
    table: Path,
    folder: Path,
    *,
    attributes: Sequence[str],
    n_images: int | None,
    seed: int,
    columns: int = 10,
    rows: int = 10,
) -> list[Path]:
    """Write `labels.csv` and `sheet-01.png`, `sheet-02.png`, … to label from.

    The table has a row an image: `number` (as on the sheets), `image_id`, `identity`, and an empty column for
    each attribute. Its files can be read by their owner only. An existing `labels.csv` is never overwritten,
    since somebody may have filled it in.

    Args:
        images: images.bcolz of the stage `dataset`.
        table: images.parquet beside it.
        folder: Where to write; made if it is not there.
        attributes: Names of the columns to fill in, lower case, digits and underscores.
        n_images: How many images; as even over people and splits as can be; None for all.
        seed: Of the choice of images.
        columns: Faces side by side on a sheet.
        rows: Faces above one another.

    Returns:
        The files written, the table first.

    Raises:
        ValueError: There is a `labels.csv` already, an attribute's name is not one or is a key column, a
            number is below 1, or images or table cannot be read.
    """
    people = read_table(table)
    _check(folder, attributes, n_images=n_images, columns=columns, rows=rows)
    chosen = choose_images(people, len(people) if n_images is None else n_images, seed)
    sheet = people.iloc[chosen][["image_id", "identity"]].reset_index(drop=True)
    sheet.insert(0, "number", np.arange(1, len(sheet) + 1))
    for name in attributes:
        sheet[name] = ""
    written = [folder / TABLE_NAME]
    with private_files():
        folder.mkdir(parents=True, exist_ok=True)
        for number, start in enumerate(range(0, len(chosen), columns * rows), 1):
            part = chosen[start : start + columns * rows]
            page = contact_sheet(read_images(images, part), first=start + 1, columns=columns)
            written.append(folder / f"sheet-{number:02d}.png")
            with atomic_output(written[-1]) as partial:
                page.save(partial, format="PNG")
        with atomic_output(written[0]) as partial:
            sheet.to_csv(partial, index=False)
    return written


def choose_images(table: pd.DataFrame, n_images: int, seed: int) -> npt.NDArray[np.int64]:
    """Rows of images that are spread over people: everybody's first, then everybody's second, and so on.

    Args:
        table: images.parquet.
        n_images: How many; all where there are not so many.
        seed: Of the order of people and of the images of each.

    Returns:
        Rows, in the table's order.
    """
    rng = np.random.default_rng(seed)
    order = pd.DataFrame({"identity": table["identity"].to_numpy(), "chance": rng.random(len(table))})
    turn = order.groupby("identity")["chance"].rank(method="first").to_numpy()
    drawn = rng.permutation(order["identity"].nunique())
    person = drawn[pd.factorize(order["identity"])[0]]
    chosen = np.lexsort((person, turn))[:n_images]
    return np.sort(chosen).astype(np.int64)


def contact_sheet(images: npt.NDArray[np.uint8], *, first: int, columns: int) -> Image.Image:
    """Faces in rows with a number above each.

    Args:
        images: uint8 (n, side, side, 3), n at least 1.
        first: Number of the first one.
        columns: Faces side by side.

    Returns:
        The picture.
    """
    lines = math.ceil(len(images) / columns)
    width, height = FACE_SIDE + GAP, FACE_SIDE + CAPTION + GAP
    page = Image.new("RGB", (min(columns, len(images)) * width + GAP, lines * height + GAP), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default()
    for place, image in enumerate(images):
        x, y = GAP + place % columns * width, GAP + place // columns * height
        pen.text((x, y), str(first + place), fill="black", font=font)
        face = Image.fromarray(image).resize((FACE_SIDE, FACE_SIDE), Image.Resampling.BICUBIC)
        page.paste(face, (x, y + CAPTION))
    return page


def _check(
    folder: Path,
    attributes: Sequence[str],
    *,
    n_images: int | None,
    columns: int,
    rows: int,
) -> None:
    if (folder / TABLE_NAME).exists():
        raise ValueError(f"{folder / TABLE_NAME}: is there already; move it away, or name another folder")
    for name in attributes:
        plain = name.replace("_", "").isalnum() and name.isascii() and name == name.lower()
        if not plain or name in ("number", "image_id", "identity") or list(attributes).count(name) > 1:
            raise ValueError(
                f"attributes: found {name!r}, allowed are names of lower-case letters, digits and "
                "underscores, each once, other than number, image_id and identity"
            )
    if not attributes:
        raise ValueError("attributes: found none, allowed are the names of what is to be labelled")
    for key, value in (("n_images", n_images), ("columns", columns), ("rows", rows)):
        if value is not None and value < 1:
            raise ValueError(f"{key}: found {value}, allowed is 1 or more")
