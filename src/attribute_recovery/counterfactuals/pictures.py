"""Pictures of counterfactuals that flipped, evenly from all of them; none where nothing flipped.

Each is drawn twice, the second time with reconstructions G(E(x)) in place of the real images.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.counterfactuals.material import Material
from attribute_recovery.counterfactuals.pairs import DrawnPairs
from attribute_recovery.counterfactuals.representation import RepresentationResult
from attribute_recovery.counterfactuals.search import Found
from attribute_recovery.generator.quality import reconstruct
from attribute_recovery.report.figures import decoded_name, save_image_grid

Rows = npt.NDArray[np.int64]

SHOWN = 6


def draw_moved(material: Material, result: RepresentationResult, drawn: DrawnPairs, path: Path) -> None:
    """Write a PNG of representation counterfactuals: the other image, the image, z and z' decoded."""
    shown = evenly(np.flatnonzero(result.table["flipped"].to_numpy(bool)))
    if not len(shown):
        return
    decoded = [reconstruct(material.generator, codes[shown]) for codes in (result.before, result.after)]
    table = result.table.iloc[shown]
    titles = [f"{a:.2f} → {b:.2f}" for a, b in zip(table["score_unmoved"], table["score_after"], strict=True)]
    names = ["other", "image", "z decoded", "z' decoded"]
    for real, where in twice(path):
        pair = [shown_images(material, rows[shown], real=real) for rows in (drawn.second, drawn.first)]
        save_image_grid([*pair, *decoded], where, row_titles=names, column_titles=titles, scale=1.2)


def draw_edited(
    material: Material, table: pd.DataFrame, found: Found, drawn: DrawnPairs, pictures: Path
) -> None:
    """Write PNGs of attribute counterfactuals, one a kind: the other image, G(E(x)), and the changed one."""
    for kind in ("genuine", "impostor"):
        shown = evenly(np.flatnonzero((table["kind"] == kind) & table["flipped"]))
        if not len(shown):
            continue
        decoded = [
            shown_images(material, drawn.first[shown], real=False),
            reconstruct(material.generator, found.codes[shown]),
        ]
        titles = []
        for i in shown:
            names = [_short(change) for change in json.loads(table["changes"][i])]
            more = [f"and {len(names) - 3} more"] if len(names) > 3 else []
            scores = f"{table['score_reconstructed'][i]:.2f} → {table['score_after'][i]:.2f}"
            titles.append("\n".join([scores, *names[:3], *more]))
        names = ["other", "image", "changed"]
        for real, path in twice(pictures / f"attribute-{kind}.png"):
            rows = [shown_images(material, drawn.second[shown], real=real), *decoded]
            save_image_grid(rows, path, row_titles=names, column_titles=titles, scale=1.5)


def twice(path: Path) -> tuple[tuple[bool, Path], ...]:
    """The two pictures that are drawn of everything: whether real images are shown, and where it lies."""
    return (True, path), (False, path.with_name(decoded_name(path.name)))


def shown_images(material: Material, rows: Rows, *, real: bool) -> npt.NDArray[np.uint8]:
    """The images at these rows, or their reconstructions."""
    return material.images[rows] if real else reconstruct(material.generator, material.codes[rows])


def _short(change: dict[str, Any]) -> str:
    name = change["attribute"].replace("_", " ")
    if isinstance(change["to"], str):
        return f"{name}: {change['to']}"
    return f"{name} {change['from']:.2g} → {change['to']:.2g}"


def evenly(rows: Rows, count: int = SHOWN) -> Rows:
    """At most so many of the rows, evenly over all of them."""
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    shown: Rows = rows[places]
    return shown
