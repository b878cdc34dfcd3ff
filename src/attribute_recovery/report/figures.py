"""Figures that the stages draw, all in one style; as PNG without dates, so equal data gives equal bytes.

Those that show faces are for their owner alone (mode 0600), and each that shows real ones is drawn once more
without them, for a page that may not show them.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attribute_recovery.tracking.private import private_files

Images = npt.NDArray[np.uint8]

INK = "#22303c"
ACCENT = "#2a6f97"
SECOND = "#c8553d"
QUIET = "#9aa5b1"


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    """A figure of so many inches and its axes (rows × columns, squeezed), in the house's style."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
        }
    )
    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: Path, *, faces: bool = False) -> None:
    """Write a figure and close it; one that shows faces so that only its owner can read it."""
    import matplotlib.pyplot as plt

    with private_files() if faces else nullcontext():
        figure.savefig(path, dpi=140, metadata={"Software": None})
    plt.close(figure)


def decoded_name(path: str) -> str:
    """Where the same picture lies without real faces.

    >>> decoded_name("generator/reconstructions.png")
    'generator/reconstructions-decoded.png'
    """
    return f"{path.removesuffix('.png')}-decoded.png"


def save_image_grid(
    rows: Sequence[Images],
    path: Path,
    *,
    row_titles: Sequence[str],
    title: str = "",
    column_titles: Sequence[str] = (),
    scale: float = 1.0,
) -> None:
    """Write rows of faces, (n, h, w, 3) uint8 each, one under the other, with their names on the left.

    Raises:
        ValueError: no images, rows of different lengths, or a name too few or too many.
    """
    lengths = [len(row) for row in rows]
    count = max(lengths, default=0)
    if count == 0 or set(lengths) != {count} or len(row_titles) != len(rows):
        names = f"{len(row_titles)} names"
        raise ValueError(f"rows: found lengths {lengths} and {names}; all have as many images, one at least")
    if column_titles and len(column_titles) != count:
        raise ValueError(f"column_titles: found {len(column_titles)} for {count} columns")
    width, height = 1.1 + scale * count, 0.35 + scale * len(rows)
    figure, axes = new_figure(width, height, len(rows), count)
    grid = np.asarray(axes, dtype=object).reshape(len(rows), count)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            axis = grid[i, j]
            axis.imshow(image, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            for spine in axis.spines.values():
                spine.set_visible(False)
        grid[i, 0].set_ylabel(row_titles[i], rotation=0, ha="right", va="center")
    for j, name in enumerate(column_titles):
        grid[0, j].set_title(name, fontsize=8)
    if title:
        figure.suptitle(title, fontsize=10)
    save_figure(figure, path, faces=True)
