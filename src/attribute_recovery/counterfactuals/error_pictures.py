"""Pictures of explained errors: two faces beside a bar for each attribute, and all errors in one plot.

Those with faces are drawn twice, the second time with reconstructions G(E(x)) in place of the real images.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attribute_recovery.counterfactuals.errors import ExplainedErrors
from attribute_recovery.counterfactuals.material import Material, told_value
from attribute_recovery.counterfactuals.pairs import ERROR_KINDS
from attribute_recovery.counterfactuals.pictures import evenly, shown_images, twice
from attribute_recovery.report.figures import ACCENT, INK, QUIET, SECOND, new_figure, save_figure

Doubles = npt.NDArray[np.float64]

SHOWN_ERRORS = 3
# Attributes that have a bar of their own beside two faces.
BARS = 6
TITLES = {"false_match": "false matches", "false_non_match": "false non-matches"}


def draw_errors(material: Material, errors: ExplainedErrors, pictures: Path) -> None:
    """Write `errors-<kind>.png` with some errors of each kind that there are, and `errors.png` over all.

    Shown are errors that reconstructions show too, evenly over those that were drawn; of a kind without any
    there is no picture.
    """
    for kind in ERROR_KINDS:
        shown = evenly(np.flatnonzero(errors.of_kind(kind) & errors.kept), SHOWN_ERRORS)
        if len(shown):
            _draw_faces(material, errors, shown, pictures / f"errors-{kind}.png")
    kinds = [kind for kind in ERROR_KINDS if errors.of_kind(kind).any()]
    if kinds:
        _draw_all(errors, kinds, pictures / "errors.png")


def _draw_faces(
    material: Material, errors: ExplainedErrors, shown: npt.NDArray[np.int64], path: Path
) -> None:
    """Both faces of each error, and its attributes with the largest values."""
    for real, where in twice(path):
        first, second = (
            shown_images(material, rows[shown], real=real)
            for rows in (errors.drawn.first, errors.drawn.second)
        )
        figure, axes = new_figure(7.2, 1.9 * len(shown), len(shown), 3)
        grid = np.asarray(axes, dtype=object).reshape(len(shown), 3)
        grid[0, 0].get_gridspec().set_width_ratios([1.0, 1.0, 1.5])
        for place, error in enumerate(shown):
            for axis, image in zip(grid[place], (first[place], second[place]), strict=False):
                axis.imshow(image, interpolation="nearest")
                axis.set_axis_off()
            grid[place, 0].set_title(f"score {errors.scores[error]:.2f}, τ {errors.tau:.2f}", fontsize=8)
            grid[place, 1].set_title(f"as reconstructed {errors.shares.nobody[error]:.2f}", fontsize=8)
            _draw_bars(grid[place, 2], errors, int(error))
        save_figure(figure, where, faces=True)


def _draw_bars(axis: Any, errors: ExplainedErrors, error: int) -> None:
    """The largest values of one error with their standard errors, the largest on top."""
    values, deviations = errors.shares.values[error], errors.shares.standard_errors[error]
    largest = np.argsort(-np.abs(values), kind="stable")[:BARS]
    places = np.arange(len(largest))
    colors = [ACCENT if value >= 0 else SECOND for value in values[largest]]
    axis.barh(places, values[largest], xerr=deviations[largest], color=colors, ecolor=INK, height=0.7)
    axis.axvline(0, color=INK, linewidth=0.8)
    axis.set_yticks(places, [_change(errors, error, int(player)) for player in largest], fontsize=7)
    axis.tick_params(axis="x", labelsize=7)
    axis.invert_yaxis()
    everyone, shown = errors.shares.everyone[error], values[largest].sum()
    axis.set_title(f"all equal {everyone:.2f}; the others {values.sum() - shown:+.2f}", fontsize=8)


def _change(errors: ExplainedErrors, error: int, player: int) -> str:
    """An attribute and its values in both images, such as "yaw −18 → 3"."""
    attribute, game = errors.game.players[player], errors.game
    name = attribute.name.replace("_", " ")
    values = [told_value(game.editor.schema, attribute, row[error]) for row in (game.current, game.wanted)]
    first, second = (value if isinstance(value, str) else f"{value:.2g}" for value in values)
    return f"{name} {first} → {second}".replace("-", "−")


def _draw_all(errors: ExplainedErrors, kinds: list[str], path: Path) -> None:
    """Every error's value of every attribute as a dot, and their mean, beside each other by kind."""
    figure, axes = new_figure(4.4 * len(kinds), 0.24 * len(errors.names) + 1.1, 1, len(kinds))
    names = [name.replace("_", " ") for name in errors.names]
    carried = np.nanmean(np.abs(errors.shares.values[errors.finite]), axis=0)
    order = np.argsort(carried, kind="stable")  # drawn from the bottom up
    for axis, kind in zip(np.atleast_1d(np.asarray(axes, dtype=object)), kinds, strict=True):
        values = errors.shares.values[errors.of_kind(kind)][:, order]
        places = np.arange(len(order))
        axis.axvline(0, color=QUIET, linewidth=0.8)
        axis.plot(values.ravel(), np.tile(places, len(values)), "o", color=QUIET, markersize=3, alpha=0.7)
        axis.plot(values.mean(0), places, "D", color=ACCENT, markersize=5)
        axis.set_yticks(places, [names[player] for player in order] if axis is _first(axes) else [])
        axis.set_title(f"{len(values)} {TITLES[kind]}", fontsize=9)
        axis.set_xlabel("Shapley value, part of the score")
    save_figure(figure, path)


def _first(axes: Any) -> Any:
    return np.atleast_1d(np.asarray(axes, dtype=object))[0]
