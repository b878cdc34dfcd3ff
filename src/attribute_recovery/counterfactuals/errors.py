"""Which attributes carry the similarity gap of a false match or a false non-match: as a table and as figures.

What a pair lacks to the score of equal images has three parts, of which only the first is the attributes':

    1 − f(x_1) · f(x_2) = Σ φ_k + (1 − v(all)) + (v(none) − f(x_1) · f(x_2)).

Σ φ_k = v(all) − v(none) is the gap that attributes carry, 1 − v(all) is left where all of them are equal, and
the rest is what reconstruction has changed in the score (v: see `game`).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.config import CounterfactualsSection
from attribute_recovery.counterfactuals.game import EditGame, edit_game
from attribute_recovery.counterfactuals.material import Material, told_value
from attribute_recovery.counterfactuals.pairs import ERROR_KINDS, ErrorPairs, error_pairs
from attribute_recovery.counterfactuals.shapley import Shares, shapley_values
from attribute_recovery.statistics.bootstrap import Interval, pair_ratio_interval

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Where values cancel to less than this part of their magnitudes, shares of the gap mean nothing.
LEAST_GAP = 0.1

COLUMNS = (
    "pair",
    "kind",
    "image_id",
    "other_image_id",
    "score",
    "tau",
    "score_reconstructed",
    "score_equal",
    "gap",
    "sum",
    "left",
    "reconstruction",
    "kept",
    "attribute",
    "unit",
    "value",
    "other_value",
    "category",
    "other_category",
    "difference",
    "apart",
    "shapley",
    "standard_error",
)


@dataclass(frozen=True)
class ExplainedErrors:
    """Errors with their games and the values of these, n of them and k editable attributes.

    Attributes:
        drawn: the pairs.
        game: what their attributes are worth.
        shares: Shapley values, (n, k).
        scores: f(x_1) · f(x_2) of the real images, (n,).
        tau: the threshold.
    """

    drawn: ErrorPairs
    game: EditGame
    shares: Shares
    scores: Doubles
    tau: float

    @property
    def names(self) -> list[str]:
        """Names of the editable attributes."""
        return [player.name for player in self.game.players]

    @property
    def kept(self) -> Flags:
        """Whether the reconstructions are decided wrongly too, (n,); false where they have no score."""
        accepted = self.shares.nobody >= self.tau
        wrong = accepted == (self.drawn.kinds == "false_match")
        return np.asarray(wrong & np.isfinite(self.shares.nobody))

    @property
    def finite(self) -> Flags:
        """Whether a pair could be explained, (n,): all its coalitions have a score."""
        return np.asarray(np.isfinite(self.shares.values).all(1))

    def of_kind(self, kind: str) -> Flags:
        """Which pairs of a kind could be explained, (n,)."""
        return np.asarray((self.drawn.kinds == kind) & self.finite)


def explain_errors(
    material: Material, settings: CounterfactualsSection, seed: int, n_boot: int
) -> tuple[ExplainedErrors | None, pd.DataFrame, dict[str, Any]]:
    """Explain `settings.error_pairs` errors of the split `test`.

    Args:
        material: models and test images.
        settings: how many errors, and how many pairs of orders are drawn for each.
        seed: of pairs, orders and intervals.
        n_boot: replicates of the intervals.

    Returns:
        The errors (None where there are none, or none are asked for), the long table with the columns
        `COLUMNS`, one row for each pair and attribute, and the figures.
    """
    if settings.error_pairs == 0:
        return None, pd.DataFrame(columns=list(COLUMNS)), error_figures(None, {}, material, n_boot, seed)
    drawn = error_pairs(material.embeddings, material.identities, material.tau, settings.error_pairs, seed)
    if not len(drawn):
        print("error explanation: no pair is decided wrongly", flush=True)
        none = pd.DataFrame(columns=list(COLUMNS))
        return None, none, error_figures(None, drawn.found, material, n_boot, seed)
    game = edit_game(material, drawn.first, drawn.second)
    shares = shapley_values(game.worth, game.playing, antithetic_pairs=settings.error_orders, seed=seed)
    print(f"error explanation: {len(drawn)} pairs, {shares.coalitions.sum()} edited images", flush=True)
    exact = material.embeddings.astype(np.float64)
    scores = (exact[drawn.first] * exact[drawn.second]).sum(1)
    errors = ExplainedErrors(drawn, game, shares, scores, material.tau)
    return errors, error_table(errors, material), error_figures(errors, drawn.found, material, n_boot, seed)


def error_table(errors: ExplainedErrors, material: Material) -> pd.DataFrame:
    """The long table, one row for each pair and editable attribute, pair by pair."""
    n, k = errors.shares.values.shape
    pairs, shares, schema = errors.drawn, errors.shares, errors.game.editor.schema
    of_pair = {
        "pair": np.arange(n),
        "kind": pairs.kinds,
        "image_id": material.image_ids[pairs.first],
        "other_image_id": material.image_ids[pairs.second],
        "score": errors.scores,
        "tau": np.full(n, errors.tau),
        "score_reconstructed": shares.nobody,
        "score_equal": shares.everyone,
        "gap": shares.everyone - shares.nobody,
        "sum": shares.values.sum(1),
        "left": 1 - shares.everyone,
        "reconstruction": shares.nobody - errors.scores,
        "kept": errors.kept,
    }
    players = errors.game.players
    told = [
        [[told_value(schema, player, row) for player in players] for row in rows]
        for rows in (errors.game.current, errors.game.wanted)
    ]
    columns = {name: np.repeat(values, k) for name, values in of_pair.items()}
    columns["attribute"] = np.tile(np.array(errors.names, dtype=object), n)
    columns["unit"] = np.tile(np.array([player.unit for player in players], dtype=object), n)
    for name, rows in zip(("", "other_"), told, strict=True):
        values = [value for row in rows for value in row]
        numbers = [np.nan if isinstance(value, str) else value for value in values]
        columns[f"{name}value"] = np.array(numbers, np.float64)
        classes = [value if isinstance(value, str) else None for value in values]
        columns[f"{name}category"] = np.array(classes, dtype=object)
    columns["difference"] = errors.game.differences.ravel()
    columns["apart"] = errors.game.apart.ravel()
    columns["shapley"] = shares.values.ravel()
    columns["standard_error"] = shares.standard_errors.ravel()
    return pd.DataFrame(columns)[list(COLUMNS)]


def error_figures(
    errors: ExplainedErrors | None, found: dict[str, int], material: Material, n_boot: int, seed: int
) -> dict[str, Any]:
    """Counts by kind, how well values add up, and what each attribute carries, identities resampled."""
    kinds = [kind for kind in ERROR_KINDS if errors is not None and errors.of_kind(kind).any()]
    values: dict[str, Any] = {
        "wrong_pairs": found,
        "explained_pairs": dict.fromkeys(ERROR_KINDS, 0),
        **{name: {} for name in (*_BY_KIND, *_BY_ATTRIBUTE)},
        **{f"{name}_interval": {} for name in _BY_ATTRIBUTE[:2]},
        "error_sum_off": None,
        "error_images": 0,
    }
    if errors is None:
        return values
    shares = errors.shares
    values["error_images"] = int(shares.coalitions.sum())
    if errors.finite.any():
        off = shares.values.sum(1) - (shares.everyone - shares.nobody)
        values["error_sum_off"] = float(np.abs(off[errors.finite]).max())
    for kind in kinds:
        rows = np.flatnonzero(errors.of_kind(kind))
        values["explained_pairs"][kind] = len(rows)
        figures = _of_kind(errors, rows) | _by_attribute(errors, rows, material, n_boot, seed)
        for name, value in figures.items():
            values[name][kind] = value
    return values


_BY_KIND = (
    "errors_kept",
    "error_gap",
    "error_left",
    "error_reconstruction",
    "error_standard_error",
    "error_leads",
)
_BY_ATTRIBUTE = ("error_value", "error_share", "error_difference")


def _of_kind(errors: ExplainedErrors, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
    shares = errors.shares
    largest = np.abs(shares.values[rows]).argmax(1)
    return {
        "errors_kept": float(errors.kept[rows].mean()),
        "error_gap": float((shares.everyone - shares.nobody)[rows].mean()),
        "error_left": float(1 - shares.everyone[rows].mean()),
        "error_reconstruction": float((shares.nobody - errors.scores)[rows].mean()),
        "error_standard_error": float(np.median(shares.standard_errors[rows, largest])),
        "error_leads": float(shares.leads[rows].mean()),
    }


def _by_attribute(
    errors: ExplainedErrors, rows: npt.NDArray[np.int64], material: Material, n_boot: int, seed: int
) -> dict[str, Any]:
    """Mean |value|, share of the gap and mean difference by attribute, the first two with intervals."""
    gaps = (errors.shares.everyone - errors.shares.nobody)[rows]
    least = LEAST_GAP * np.abs(errors.shares.values[rows]).sum()
    both = [material.identities[side[rows]] for side in (errors.drawn.first, errors.drawn.second)]
    found: dict[str, dict[str, Any]] = {name: {} for name in _BY_ATTRIBUTE}
    found |= {f"{name}_interval": {} for name in _BY_ATTRIBUTE[:2]}
    for player, name in enumerate(errors.names):
        values = errors.shares.values[rows, player]
        for measure, above, below, smallest, clip in (
            ("error_value", np.abs(values), np.ones_like(gaps), 0.0, (0.0, math.inf)),
            ("error_share", values, gaps, least, None),
        ):
            known = below.sum() > smallest
            found[measure][name] = float(above.sum() / below.sum()) if known else None
            ends = _ends(above, below, both, n_boot, seed, clip) if known else [None, None]
            found[f"{measure}_interval"][name] = ends
        found["error_difference"][name] = float(errors.game.differences[rows, player].mean())
    return found


def _ends(
    above: Doubles,
    below: Doubles,
    identities: list[npt.NDArray[np.object_]],
    n_boot: int,
    seed: int,
    clip: tuple[float, float] | None,
) -> list[float | None]:
    """Interval of Σ above / Σ below over pairs, identities resampled, inside `clip`; no ends where that
    cannot be."""
    if len(set(np.concatenate(identities))) < 2:
        return [None, None]
    interval: Interval = pair_ratio_interval(above, below, *identities, n_boot=n_boot, seed=seed, clip=clip)
    return [float(end) if np.isfinite(end) else None for end in (interval.low, interval.high)]
