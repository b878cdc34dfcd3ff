"""Nested figures of several folds as one."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attribute_recovery.statistics.pooled import pooled_figure

# Endings and beginnings of the names of counts, which add up.
COUNTED = ("_pairs", "_images", "_identities")
# Of what is the largest of something, the largest counts.
LARGEST = ("error_sum_off",)
# Why something could not be done, by attribute, or by measure and attribute; not there where all could.
REASONS = ("not_learned", "not_recovered", "not_calibrated", "not_measured", "not_testable")
# Counts by attribute, there only where they differ from the count beside them.
KNOWN = {"known_images": "n_images", "known_identities": "n_identities"}
Figures = Mapping[str, Any]


def read_figures(path: Path) -> dict[str, Any]:
    """A JSON object of figures.

    Raises:
        ValueError: the file is missing, or no such object.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path}: found no JSON object, expected one of figures")
    return found


def pooled_figures(folds: Sequence[Figures], weights: Sequence[float]) -> dict[str, Any]:
    """Figures of all folds as one: numbers averaged, counts added up, words by majority.

    Where a figure has an interval beside it (the same name with `_interval` after any one of its parts), both
    are pooled by `statistics.pooled.pooled_figure`. What a fold could not compute is averaged over the
    others.

    Args:
        folds: nested figures of each fold, as its stage wrote them.
        weights: people of each fold, (k,).

    Returns:
        The same names, with None for what no fold has.
    """
    return _pooled(list(folds), list(weights), counted=False)


def _pooled(folds: list[Figures], weights: list[float], *, counted: bool) -> dict[str, Any]:
    names = dict.fromkeys(name for fold in folds for name in fold)
    result: dict[str, Any] = {}
    for name in names:
        if name.endswith("_interval"):
            continue
        values = [fold.get(name) for fold in folds]
        if name in REASONS:
            result[name] = _pooled_reasons(values)
            continue
        if name in KNOWN:
            result[name] = _known(
                [value or {} for value in values], [fold.get(KNOWN[name]) for fold in folds]
            )
            continue
        if name in LARGEST:
            result[name] = max((value for value in values if value is not None), default=None)
            continue
        adds_up = counted or name.startswith("n_") or name.endswith(COUNTED)
        result[name] = _pooled_value(values, weights, adds_up)
    for name in names:
        base = name.removesuffix("_interval")
        if base != name:
            result[name] = _pooled_ends(
                [fold.get(base) for fold in folds], [fold.get(name) for fold in folds], weights
            )
    return result


def _pooled_reasons(folds: list[Any]) -> dict[str, Any]:
    """The commonest reason of each name, with the number of folds that have one if not all do."""
    result: dict[str, Any] = {}
    for name in dict.fromkeys(name for fold in folds for name in fold or {}):
        found = [fold[name] for fold in folds if fold and name in fold]
        if any(isinstance(reason, Mapping) for reason in found):
            result[name] = _pooled_reasons([(fold or {}).get(name) for fold in folds])
            continue
        reason = Counter(found).most_common(1)[0][0]
        result[name] = (
            reason if len(found) == len(folds) else f"{reason} (in {len(found)} of {len(folds)} folds)"
        )
    return result


def _known(folds: list[Figures], everything: list[Any]) -> dict[str, int]:
    """Counts of what is known of each name; a fold that does not have it knows it of all."""
    names = dict.fromkeys(name for fold in folds for name in fold)
    return {
        name: sum(fold.get(name, count or 0) for fold, count in zip(folds, everything, strict=True))
        for name in names
    }


def _pooled_value(values: list[Any], weights: list[float], counted: bool) -> Any:
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    if not known:
        return None
    found, shares = [value for value, _ in known], [weight for _, weight in known]
    if all(isinstance(value, Mapping) for value in found):
        return _pooled(found, shares, counted=counted)
    if all(_is_number(value) for value in found):
        if counted:
            return sum(found)
        return found[0] if len(set(found)) == 1 else _mean(found, shares)
    if all(isinstance(value, list) and len(value) == len(found[0]) for value in found) and all(
        _is_number(entry) for value in found for entry in value
    ):
        return [_mean(list(column), shares) for column in zip(*found, strict=True)]
    texts = [json.dumps(value, sort_keys=True) for value in found]
    return json.loads(Counter(texts).most_common(1)[0][0])


def _pooled_ends(estimates: list[Any], ends: list[Any], weights: list[float]) -> Any:
    """Intervals of a figure, or of figures by name; [None, None] where no fold has both ends."""
    known = [entry for entry in zip(estimates, ends, weights, strict=True) if isinstance(entry[1], Mapping)]
    if known:
        names = dict.fromkeys(name for _, inner, _ in known for name in inner)
        return {
            name: _pooled_ends(
                [(one or {}).get(name) for one, _, _ in known],
                [inner.get(name) for _, inner, _ in known],
                [weight for _, _, weight in known],
            )
            for name in names
        }
    sides = [
        (float(estimate), *pair, weight)
        if _is_number(estimate) and isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair))
        else (float(estimate) if _is_number(estimate) else math.nan, math.nan, math.nan, weight)
        for estimate, pair, weight in zip(estimates, ends, weights, strict=True)
    ]
    _, low, high = pooled_figure(*zip(*sides, strict=True))
    return [None, None] if math.isnan(low) else [low, high]


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
