"""Who is used for what: identities dealt out to splits, so that nobody is in two of them."""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.config_faces import SharesSplit
from attribute_recovery.dataset.store import SPLITS

# A split that is used at all needs two people, or there is no impostor in it.
FEWEST = 2
# Below this every split holds so few people that its figures say little.
FEW_IDENTITIES = 100


def deal_identities(identities: Sequence[str], shares: SharesSplit, seed: int) -> dict[str, str]:
    """A split for each identity.

    Identities are put in the order of the hash of seed and name, and cut where the shares say (largest
    remainders get what rounding leaves). So the split of nearly everybody stays when others come or go.

    Args:
        identities: Names, each once.
        shares: Of the splits.
        seed: Of the experiment.

    Returns:
        Splits by identity.

    Raises:
        ValueError: there are too few identities for two in each split.
    """
    counts = _counts(len(identities), shares)
    order = _in_hash_order(identities, seed)
    splits = [split for split in SPLITS for _ in range(counts[split])]
    return dict(zip(order, splits, strict=True))


def deal_folds(identities: Sequence[str], folds: int, seed: int) -> dict[str, int]:
    """A fold for each identity, 1 to `folds`, as even as can be.

    Identities are dealt out in the order of the hash of seed and name.

    Args:
        identities: Names, each once.
        folds: Number of folds.
        seed: Of the experiment.

    Returns:
        Folds by identity.

    Raises:
        ValueError: there are too few identities for two in each fold.
    """
    if len(identities) < FEWEST * folds:
        raise ValueError(
            f"dataset.splits.folds: found {folds} for {len(identities)} identities, allowed is at most "
            f"{len(identities) // FEWEST}, {FEWEST} identities for each"
        )
    return {name: 1 + place % folds for place, name in enumerate(_in_hash_order(identities, seed))}


def roles_in_fold(folds: npt.ArrayLike, number: int, count: int) -> npt.NDArray[np.object_]:
    """What images are used for in one fold: its own are `test`, the next one's `calibration`, the others'
    `train`.

    Args:
        folds: Of n images, 1 to `count`.
        number: The fold, 1 to `count`.
        count: Number of folds.

    Returns:
        Splits (n,).

    >>> roles_in_fold([1, 2, 3], 3, 3).tolist()
    ['calibration', 'train', 'test']
    """
    away = (np.asarray(folds, dtype=np.int64) - number) % count
    return np.select([away == 0, away == 1], ["test", "calibration"], "train").astype(object)


def _in_hash_order(identities: Sequence[str], seed: int) -> list[str]:
    """Names in the order of the hash of seed and name, which hardly changes when others come or go."""
    return sorted(identities, key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode()).digest())


def _counts(n: int, shares: SharesSplit) -> dict[str, int]:
    parts = np.array([getattr(shares, split) for split in SPLITS]) * n
    counts = np.floor(parts + 1e-9).astype(int)
    rest = np.argsort(-(parts - counts), kind="stable")[: n - counts.sum()]
    counts[rest] += 1
    wanted = np.array([getattr(shares, split) > 0 for split in SPLITS])
    while (short := wanted & (counts < FEWEST)).any() and counts.max() > FEWEST:
        counts[np.argmax(counts)] -= 1
        counts[np.argmax(short)] += 1
    if (wanted & (counts < FEWEST)).any():
        raise ValueError(
            f"dataset: found {n} identities, allowed are {FEWEST * wanted.sum()} or more, {FEWEST} for each "
            f"of {', '.join(split for split, asked in zip(SPLITS, wanted, strict=True) if asked)}"
        )
    return dict(zip(SPLITS, counts.tolist(), strict=True))


def require_source_splits(identities: Sequence[str], splits: Sequence[str]) -> None:
    """Make sure that splits that came with the images can be used.

    Args:
        identities: Of n images.
        splits: Of the same images.

    Raises:
        ValueError: a split is not known, an identity is in two, or one of train, calibration and test has
            fewer than two people.
    """
    table = pd.DataFrame({"identity": list(identities), "split": list(splits)})
    unknown = sorted(set(table["split"]) - set(SPLITS))
    if unknown:
        raise ValueError(f"dataset: found the split {unknown[0]!r}, allowed are {', '.join(SPLITS)}")
    several = table.groupby("identity")["split"].agg(lambda column: sorted(set(column)))
    clashes = several[several.map(len) > 1]
    if len(clashes):
        raise ValueError(
            f"dataset: identity {clashes.index[0]!r} is in the splits {' and '.join(clashes.iloc[0])} "
            f"({len(clashes)} identities are in several), allowed is one split an identity"
        )
    people = table.groupby("split")["identity"].nunique()
    for split in SPLITS[1:]:
        if people.get(split, 0) < FEWEST:
            found = people.get(split, 0)
            raise ValueError(
                f"dataset: found {found} identities in split {split}, allowed are {FEWEST} or more"
            )


def few_identities(n: int, *, folds: bool = False) -> list[str]:
    """What to know where there are few people, a sentence without its full stop; nothing where many are.

    Args:
        n: Identities.
        folds: Whether they are dealt into folds.
    """
    from attribute_recovery.statistics.rates import claimable_fmr

    if n >= FEW_IDENTITIES:
        return []
    rest = (
        "all are used to fix the threshold, since nothing was fitted to them before"
        if folds
        else "a split of them still less; splits: {by: folds, folds: 5} would hold out everybody once"
    )
    return [
        f"{n} identities are fewer than {FEW_IDENTITIES}: all their {n * (n - 1) // 2} pairs of people "
        f"together bear no false match rate below {claimable_fmr(n):.2g}; {rest}"
    ]
