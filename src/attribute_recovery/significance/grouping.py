"""Which group of an attribute an image has, which groups are compared, and how groups are made alike."""

from dataclasses import dataclass

import numpy as np

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema, KnownValues
from attribute_recovery.statistics.balance import effective_number, mean_differences, overlap_weights
from attribute_recovery.statistics.inputs import BoolArray, FloatArray, IntArray

LOW_AND_HIGH = ("low", "high")
DIFFERENT = "different"
# A covariate that fewer units have is left out of the weighting, and so is what it would have made alike.
LEAST_KNOWN = 0.8
# Groups are alike where no covariate differs by more (Austin, Stat. Med. 28, 2009) ...
MOST_IMBALANCE = 0.1
# ... and worth comparing where each is worth this many people.
LEAST_PEOPLE = 10


@dataclass(frozen=True)
class Grouping:
    """An attribute's groups of n images of k identities.

    Attributes:
        attribute: whose.
        names: of the G groups.
        labels: group of each image, −1 where it has none, (n,).
        known: images whose value is known, (n,): those of the middle third too.
        of_identities: group of each identity, −1 for none, (k,); None where images of one identity may
            differ.
        known_identities: identities whose value is known, (k,).
        contrast: mean of the last group less that of the first, in doses; 1 for classes.
    """

    attribute: Attribute
    names: tuple[str, ...]
    labels: IntArray
    known: BoolArray
    of_identities: IntArray | None
    known_identities: BoolArray
    contrast: float


@dataclass(frozen=True)
class Contrast:
    """Two sets of a grouping's columns, groups and "different", whose rates are compared, (G + 1,) bool."""

    name: str
    first: BoolArray
    second: BoolArray


@dataclass(frozen=True)
class Matching:
    """How groups were made alike.

    Attributes:
        weights: of each image, (n,); 0 where it has no group.
        before, after: standardised mean difference of each other attribute, the largest of its columns.
        people: the smallest group's effective number of people after weighting.
        refusal: why the weights are not used; empty where they are.
        by_chance: difference before weighting that is no more than chance: two standard errors of groups
            that do not differ, 0.1 at least.
    """

    weights: FloatArray
    before: dict[str, float]
    after: dict[str, float]
    people: float
    refusal: str
    by_chance: float = MOST_IMBALANCE


def group_images(attribute: Attribute, values: KnownValues, codes: IntArray) -> Grouping:
    """Groups by class, or the lowest and the highest third of a continuous attribute.

    An attribute of the identity is taken from the mean (classes: the commonest) over the identity's images
    that have a value, so that all of them share a group.

    Args:
        attribute: the attribute.
        values: of n images.
        codes: their identities as numbers from 0, (n,).
    """
    column, known = values.values[attribute.name], values.known[attribute.name]
    k, of_identity = int(codes.max()) + 1, attribute.level == "identity"
    known_identities = np.bincount(codes[known], minlength=k) > 0
    if attribute.is_discrete:
        classes = np.where(known, column.astype(np.int64), -1)
        units = _commonest(classes, codes, k, attribute.n_classes) if of_identity else classes
        contrast = 1.0
    else:
        numbers = np.where(known, column.astype(np.float64), np.nan)
        spread = _means(numbers, codes, k) if of_identity else numbers
        units = _outer_thirds(spread)
        gap = [float(spread[units == group].mean()) if (units == group).any() else np.nan for group in (0, 1)]
        contrast = (gap[1] - gap[0]) / attribute.dose if attribute.dose > 0 else np.nan
    labels = np.where(known, units[codes], -1) if of_identity else units
    return Grouping(
        attribute,
        attribute.categories if attribute.is_discrete else LOW_AND_HIGH,
        labels,
        known,
        units if of_identity else None,
        known_identities,
        contrast,
    )


def _means(numbers: FloatArray, codes: IntArray, k: int) -> FloatArray:
    """Mean of each identity's known values, (k,), NaN without any."""
    known = ~np.isnan(numbers)
    counts = np.bincount(codes[known], minlength=k)
    sums = np.bincount(codes[known], weights=numbers[known], minlength=k)
    return np.asarray(np.divide(sums, counts, out=np.full(k, np.nan), where=counts > 0))


def _commonest(classes: IntArray, codes: IntArray, k: int, n_classes: int) -> IntArray:
    known = classes >= 0
    table = np.bincount(codes[known] * n_classes + classes[known], minlength=k * n_classes)
    counts = table.reshape(k, n_classes)
    return np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), -1)


def _outer_thirds(values: FloatArray) -> IntArray:
    """0 for the lowest third of the known values, 1 for the highest, −1 for the rest; ties stay together."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.full(len(values), -1)
    low, high = np.quantile(known, [1 / 3, 2 / 3])
    if low == high:  # most values are equal: what lies on either side of them
        return np.where(values < low, 0, np.where(values > high, 1, -1))
    return np.where(values <= low, 0, np.where(values >= high, 1, -1))


def contrasts(grouping: Grouping, *, genuine: bool) -> list[Contrast]:
    """What is compared: the second group less the first, or each class less the others where there are more;
    and pairs of two groups less pairs of one, unless the two images of a person never differ."""
    n_groups = len(grouping.names)
    columns = np.arange(n_groups + 1)
    if n_groups == 2:
        low, high = grouping.names
        found = [Contrast(f"{high}_less_{low}", columns == 1, columns == 0)]
    else:
        found = [
            Contrast(f"{name}_less_others", columns == group, (columns != group) & (columns < n_groups))
            for group, name in enumerate(grouping.names)
        ]
    if not (genuine and grouping.of_identities is not None):
        found.append(Contrast("different_less_equal", columns == n_groups, columns < n_groups))
    return found


def match_groups(
    schema: AttributeSchema, values: KnownValues, codes: IntArray, grouping: Grouping
) -> dict[str, Matching]:
    """Weights for each contrast under which what it compares is alike in all other attributes.

    Two groups share one weighting. Of more, each class is made like the others together, and for pairs of two
    classes all are made alike at once, which may leave a difference.

    Args:
        schema: all attributes.
        values: of n images.
        codes: their identities, (n,).
        grouping: the attribute's groups.

    Returns:
        By name of the contrast.
    """
    labels = grouping.labels if grouping.of_identities is None else grouping.of_identities
    covariates = _covariates(schema, values, grouping.attribute.name)
    if grouping.of_identities is not None:
        k = len(labels)
        covariates = {
            name: np.stack([_means(column, codes, k) for column in columns.T], axis=1)
            for name, columns in covariates.items()
        }
    kept = {name: columns[labels >= 0] for name, columns in covariates.items()}
    found: dict[str, Matching] = {}
    n_groups = len(grouping.names)
    for contrast in contrasts(grouping, genuine=False):
        sides = labels
        if n_groups > 2 and not contrast.first[-1]:
            sides = np.where(labels < 0, -1, contrast.first[labels].astype(np.int64))
        elif n_groups == 2 and found:
            found[contrast.name] = next(iter(found.values()))
            continue
        found[contrast.name] = _matching(kept, sides, 2 if sides is not labels else n_groups, codes, grouping)
    return found


def _matching(
    covariates: dict[str, FloatArray], labels: IntArray, n_groups: int, codes: IntArray, grouping: Grouping
) -> Matching:
    """Weights for groups of units (images, or people), (u,), from covariates of those that have one.

    A missing value counts as the mean; an attribute that fewer than 80 % of the units have is left out.
    """
    chosen, of_identity = labels >= 0, grouping.of_identities is not None
    groups = labels[chosen]
    if len(np.unique(groups)) < n_groups:
        return Matching(np.zeros(len(codes)), {}, {}, 0.0, "a group has nobody in it")
    names, blocks = [], []
    for name, units in covariates.items():
        known = ~np.isnan(units)
        if known.all(axis=1).mean() >= LEAST_KNOWN and np.nanstd(units, axis=0).max() > 1e-9:
            blocks.append(np.where(known, units, np.nanmean(units, axis=0)))
            names += [name] * units.shape[1]
    if not blocks:
        return Matching(np.zeros(len(codes)), {}, {}, 0.0, "no other attribute is known of these people")
    stacked, found = np.concatenate(blocks, axis=1), np.zeros(len(labels))
    found[chosen] = overlap_weights(stacked, groups)
    before = _by_name(names, mean_differences(stacked, groups))
    after = _by_name(names, mean_differences(stacked, groups, found[chosen]))
    if of_identity:
        found, labels = np.where(grouping.labels >= 0, found[codes], 0.0), labels[codes]
    people = _people(found, labels, codes, n_groups)
    by_chance = max(MOST_IMBALANCE, 2 * float(np.sqrt((1 / np.bincount(groups)).sum())))
    return Matching(found, before, after, people, _refusal(people, after), by_chance)


def _refusal(people: float, after: dict[str, float]) -> str:
    worst = max(after, key=lambda name: abs(after[name]))
    if people < LEAST_PEOPLE:
        return f"after weighting a group is worth {people:.1f} people, and {LEAST_PEOPLE} are needed"
    if abs(after[worst]) > MOST_IMBALANCE:
        return f"after weighting the groups still differ in {worst} by {after[worst]:+.2f} sd"
    return ""


def _covariates(schema: AttributeSchema, values: KnownValues, without: str) -> dict[str, FloatArray]:
    """Encoded columns (n, width) of each attribute but one, NaN where unknown."""
    encoded = schema.encode(values.values).astype(np.float64)
    return {name: encoded[:, place] for name, place in schema.slices.items() if name != without}


def _by_name(names: list[str], differences: FloatArray) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in zip(names, differences, strict=True):
        if name not in found or abs(value) > abs(found[name]):
            found[name] = float(value)
    return found


def _people(weights: FloatArray, labels: IntArray, codes: IntArray, n_groups: int) -> float:
    """The smallest group's effective number of people."""
    of_groups = (
        np.bincount(codes[labels == group], weights=weights[labels == group]).astype(np.float64)
        for group in range(n_groups)
    )
    return min(effective_number(one) for one in of_groups)
