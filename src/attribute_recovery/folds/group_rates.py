"""What a table of rates by group says beside its figures, for all folds together."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from attribute_recovery.folds.long_table import KEYS
from attribute_recovery.significance.group_table import with_verdicts
from attribute_recovery.significance.groups import NAMED


def told_anew(table: pd.DataFrame, folds: Sequence[pd.DataFrame], weights: Sequence[float]) -> pd.DataFrame:
    """Pooled rates by group with what follows from the folds together.

    Args:
        table: of all folds, see `long_table.pooled_table`.
        folds: tables of each, see `group_table.group_table`.
        weights: people of each fold.

    Returns:
        The table with `verdict` by the pooled q; `detectable`, which shrinks as a mean's standard error does;
        `unlike` with what groups differ in in most folds, by people, means of these; `note` the commonest,
        numbers aside, and in how many folds it stands.
    """
    stacked = pd.concat([fold.assign(_weight=float(w)) for fold, w in zip(folds, weights, strict=True)])
    found = dict(iter(stacked.groupby(list(KEYS), sort=False)))
    of_rows = [found[key] for key in table[list(KEYS)].itertuples(index=False, name=None)]
    changed = table.assign(
        detectable=[_detectable(rows) for rows in of_rows],
        unlike=[_unlike(rows) for rows in of_rows],
        note=[_note([str(note) for note in rows["note"]]) for rows in of_rows],
    )
    return with_verdicts(changed)


def _detectable(rows: pd.DataFrame) -> float:
    known = rows[rows["detectable"].notna()]
    weights = known["_weight"].to_numpy(np.float64)
    if not len(known):
        return float("nan")
    return float(np.linalg.norm(weights * known["detectable"].to_numpy(np.float64)) / weights.sum())


def _unlike(rows: pd.DataFrame) -> str:
    gaps: dict[str, list[tuple[float, float]]] = {}
    for text, weight in zip(rows["unlike"].astype(str), rows["_weight"], strict=True):
        for part in text.split(", ") if text else ():
            name, gap = part.rsplit(" ", 1)
            gaps.setdefault(name, []).append((float(gap), float(weight)))
    half = float(rows["_weight"].sum()) / 2
    means = {
        name: float(np.average([gap for gap, _ in each], weights=[weight for _, weight in each]))
        for name, each in gaps.items()
        if sum(weight for _, weight in each) > half
    }
    named = sorted(means, key=lambda name: -abs(means[name]))[:NAMED]
    return ", ".join(f"{name} {means[name]:+.2f}" for name in named)


def _note(notes: Sequence[str]) -> str:
    said = [note for note in notes if note]
    if not said:
        return ""
    kinds = [re.sub(r"[-+]?\d+(\.\d+)?", "#", note) for note in said]
    commonest = Counter(kinds).most_common(1)[0][0]
    alike = [note for note, kind in zip(said, kinds, strict=True) if kind == commonest]
    equal = len(set(alike)) == 1
    if equal and len(alike) == len(notes):
        return alike[0]
    return f"{alike[0]} ({'' if equal else 'or alike, '}in {len(alike)} of {len(notes)} folds)"
