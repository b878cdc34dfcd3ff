"""Error rates by attribute group at τ: FMR, FNMR, their differences between groups, and the same between
groups that were made alike in everything else that is declared."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema, KnownValues
from attribute_recovery.embeddings.pairs import Pairs, genuine_pairs, impostor_pairs
from attribute_recovery.significance.group_intervals import LEVEL, RateIntervals, Resampled, difference_of
from attribute_recovery.significance.grouping import (
    DIFFERENT,
    Grouping,
    Matching,
    contrasts,
    group_images,
    match_groups,
)
from attribute_recovery.significance.permuted import draw_permutations, schemes_of, smallest_of
from attribute_recovery.statistics.bootstrap import Interval, identity_weights
from attribute_recovery.statistics.grouped import (
    GroupedSums,
    PairErrors,
    detectable_difference,
    identity_permuted,
    image_permuted,
)
from attribute_recovery.statistics.inputs import BoolArray, FloatArray, IntArray, identity_codes
from attribute_recovery.statistics.permutation import Scheme, is_testable, permutation_p_value

Rate = Literal["fmr", "fnmr"]
RATES: tuple[Rate, ...] = ("fmr", "fnmr")
Floats = npt.NDArray[np.float32]
# Under permuted labels.
Null = dict[Scheme, Resampled]

# Attributes named that groups differ in besides.
NAMED = 3

NO_PAIRS = "no pair of images in one of the groups"
NO_ERRORS = "no wrong decision among these pairs"
FEW_ARRANGEMENTS = "too few distinct permutations"


@dataclass(frozen=True)
class Compared:
    """All pairs of n images of k identities, and the wrong decisions among them.

    Attributes:
        codes: identity of each image as a number, (n,).
        k: identities.
        pairs: impostor pairs under "fmr", genuine ones under "fnmr".
        errors: those wrongly decided at τ.
    """

    codes: IntArray
    k: int
    pairs: dict[Rate, Pairs]
    errors: dict[Rate, PairErrors]


def compare_images(embeddings: Floats, identities: npt.ArrayLike, tau: float, seed: int) -> Compared:
    """Compare the images with each other; accepted is a score of at least τ.

    Args:
        embeddings: f(x), (n, d), of length 1.
        identities: of the images, (n,).
        tau: decision threshold.
        seed: of the sample, where there are too many pairs.
    """
    codes, k = identity_codes("identities", identities, len(embeddings))
    pairs: dict[Rate, Pairs] = {
        "fmr": impostor_pairs(embeddings, codes, seed=seed),
        "fnmr": genuine_pairs(embeddings, codes, seed=seed),
    }
    errors: dict[Rate, PairErrors] = {}
    for rate, found in pairs.items():
        wrong = (found.scores >= tau) == (rate == "fmr")
        share = len(found.scores) / found.possible if found.possible else 1.0
        errors[rate] = PairErrors(codes, found.row_a[wrong], found.row_b[wrong], rate == "fnmr", share)
    return Compared(codes, k, pairs, errors)


@dataclass
class Draws:
    """What is drawn once for all attributes: people for the intervals, and permutations.

    Attributes:
        codes: identity of each image as a number, (n,).
        weights: how often each identity counts, (1 + n_boot, k), first as they are.
        permutations: B.
        seed: of all.
    """

    codes: IntArray
    weights: FloatArray
    permutations: int
    seed: int
    _by_known: dict[bytes, dict[Scheme, npt.NDArray[np.int32]]] = field(default_factory=dict)

    def of_images(self, known: BoolArray) -> dict[Scheme, npt.NDArray[np.int32]]:
        """Permutations of the known images among themselves, (B, n known) for each scheme."""
        key = np.packbits(known).tobytes()
        if key not in self._by_known:
            found = draw_permutations(self.codes[known], self.permutations, self.seed)
            self._by_known[key] = {"identity": found.identity, "image": found.image}
        return self._by_known[key]

    def of_identities(self, labels: IntArray, known: BoolArray) -> IntArray:
        """Labels (k,) of the known identities exchanged, (B, k); the others keep −1."""
        key = b"people" + np.packbits(known).tobytes()
        if key not in self._by_known:
            rng, places = np.random.default_rng([self.seed, 61]), np.flatnonzero(known).astype(np.int32)
            exchanged = rng.permuted(np.tile(places, (self.permutations, 1)), axis=1)
            self._by_known[key] = {"identity": exchanged}
        drawn = np.full((self.permutations, len(labels)), -1, dtype=np.int64)
        drawn[:, known] = labels[self._by_known[key]["identity"]]
        return drawn


def make_draws(codes: IntArray, k: int, *, n_boot: int, permutations: int, seed: int) -> Draws:
    """Draw for images of k identities with these numbers (n,)."""
    weights = [np.ones((1, k)), *identity_weights(k, n_boot, seed, 256)]
    return Draws(codes, np.concatenate(weights), permutations, seed)


@dataclass(frozen=True)
class Grouped:
    """One attribute measured.

    Attributes:
        grouping: its groups.
        rows: of the long table, without what all rows share.
    """

    grouping: Grouping
    rows: list[dict[str, Any]]


def grouped_rates(
    schema: AttributeSchema, attribute: Attribute, values: KnownValues, compared: Compared, draws: Draws
) -> Grouped:
    """Rates, differences, and matched differences of one attribute.

    Args:
        schema: all attributes, to make groups alike in the others.
        attribute: the one whose groups are compared.
        values: of the images.
        compared: their pairs.
        draws: people and permutations.
    """
    grouping = group_images(attribute, values, compared.codes)
    matchings = match_groups(schema, values, compared.codes, grouping)
    rows: list[dict[str, Any]] = []
    for rate in RATES:
        measure = _Measure(rate, grouping, matchings, compared, draws)
        rows += measure.rate_rows() + measure.difference_rows() + measure.matched_rows()
    return Grouped(grouping, rows)


class _Measure:
    """FMR or FNMR of one attribute's groups."""

    def __init__(
        self,
        rate: Rate,
        grouping: Grouping,
        matchings: dict[str, Matching],
        compared: Compared,
        draws: Draws,
    ) -> None:
        self.rate, self.grouping, self.matchings, self.draws = rate, grouping, matchings, draws
        self.errors, self.k, self.n_groups = compared.errors[rate], compared.k, len(grouping.names)
        self.sums = GroupedSums(self.errors, grouping.labels, self.n_groups, self.k)
        self.intervals = RateIntervals(self.sums)
        self.resampled = self.sums.errors_of(draws.weights), self.sums.pairs_of(draws.weights)
        self.contrasts = contrasts(grouping, genuine=rate == "fnmr")

    def rate_rows(self) -> list[dict[str, Any]]:
        """The rate of each group, and of pairs of two groups."""
        rows = []
        for column, name in enumerate((*self.grouping.names, DIFFERENT)):
            columns = np.arange(self.n_groups + 1) == column
            if self.sums.pairs[column] <= 0:
                continue
            around = self.intervals.of_rate(self.resampled, columns)
            rows.append(self._row(self.rate, name, around, columns, method="pairs of one group, at τ"))
        return rows

    def difference_rows(self) -> list[dict[str, Any]]:
        """Differences as they are observed, tested by permuting labels."""
        null, rows = self._null(), []
        for contrast in self.contrasts:
            replicates = difference_of(self.resampled, contrast)
            either = contrast.first | contrast.second
            around = self.intervals.of_difference(self.resampled, contrast)
            gaps = {scheme: difference_of(drawn, contrast) for scheme, drawn in null.items()}
            # Where nothing is wrong, every arrangement of the labels shows the same difference.
            compared = gaps if self._any_errors(either) else {}
            p_by_scheme = {scheme: _p_value(around.estimate, gap) for scheme, gap in compared.items()}
            p = smallest_of(p_by_scheme)
            rows.append(
                self._row(f"{self.rate}_difference", contrast.name, around, either, method=self._tested_by())
                | {
                    "p": p,
                    "p_identity": p_by_scheme.get("identity", math.nan),
                    "p_image": p_by_scheme.get("image", math.nan),
                    "detectable": self._detectable(gaps, replicates),
                    "note": self._note(around.estimate, p, either),
                }
                | _imbalance(self.matchings[contrast.name])
            )
        return rows

    def _detectable(self, gaps: dict[Scheme, FloatArray], replicates: FloatArray) -> float:
        """By the scheme in which the difference varies more."""
        found = [detectable_difference(gap, replicates[1:]) for gap in gaps.values()]
        return max([one for one in found if not math.isnan(one)], default=math.nan)

    def _note(self, estimate: float, p: float, columns: BoolArray) -> str:
        if math.isnan(estimate):
            return NO_PAIRS
        if not self._any_errors(columns):
            return NO_ERRORS
        return FEW_ARRANGEMENTS if math.isnan(p) else ""

    def _any_errors(self, columns: BoolArray) -> bool:
        return bool(self.resampled[0][0] @ columns)

    def _tested_by(self) -> str:
        if self.grouping.of_identities is not None:
            return "observed, labels of people permuted"
        both = self.grouping.attribute.level == "mixed"
        return f"observed, labels of {'people and of ' if both else ''}images within people permuted"

    def _null(self) -> Null:
        """Errors and pairs under permuted labels, by each scheme that can be tested."""
        grouping, found = self.grouping, Null()
        if grouping.of_identities is not None:
            labels, known = grouping.of_identities, grouping.known_identities
            people = np.arange(int(known.sum()))
            if len(people) and is_testable(people, "identity", self.draws.permutations, values=labels[known]):
                base = GroupedSums(self.errors, np.where(grouping.known, 0, -1), 1, self.k)
                drawn = self.draws.of_identities(labels, known)
                found["identity"] = identity_permuted(base, drawn, self.n_groups)
            return found
        if not grouping.known.any():
            return found
        inside, labels = self.errors.among(grouping.known), grouping.labels[grouping.known]
        for scheme in schemes_of(grouping.attribute.level):
            if is_testable(inside.codes, scheme, self.draws.permutations, values=labels):
                rows = self.draws.of_images(grouping.known)[scheme]
                errors = image_permuted(inside, labels, self.n_groups, rows)
                found[scheme] = (errors, np.broadcast_to(self.sums.pairs, errors.shape))
        return found

    def matched_rows(self) -> list[dict[str, Any]]:
        """Differences between groups that were made alike; p from the bootstrap, since labels of unlike
        groups cannot be exchanged."""
        rows = []
        for contrast in self.contrasts:
            matching = self.matchings[contrast.name]
            either = contrast.first | contrast.second
            around = Interval(math.nan, math.nan, math.nan, self.intervals.people(either), 0, LEVEL)
            p, name = math.nan, f"{self.rate}_difference_matched"
            if not matching.refusal:
                resampled = self._weighted(matching.weights)
                around = self.intervals.of_difference(resampled, contrast, matching.people)
                p = self.intervals.p_of_difference(resampled, contrast, matching.people)
            row = self._row(name, contrast.name, around, either, method="overlap weights, p by bootstrap")
            rows.append(
                row
                | {
                    "p": p,
                    "effective_identities": matching.people,
                    "note": matching.refusal or self._note(around.estimate, p, either),
                }
                | _imbalance(matching)
            )
        return rows

    def _weighted(self, weights: FloatArray) -> Resampled:
        """Errors and pairs with images weighted, under each draw of people."""
        # A person's weight counts once in a genuine pair, which is of that person alone.
        once = self.rate == "fnmr" and self.grouping.of_identities is not None
        each = np.sqrt(weights) if once else weights
        sums = GroupedSums(self.errors, self.grouping.labels, self.n_groups, self.k, each)
        return sums.errors_of(self.draws.weights), sums.pairs_of(self.draws.weights)

    def _row(
        self, measure: str, direction: str, around: Interval, columns: BoolArray, *, method: str
    ) -> dict[str, Any]:
        inside = np.ones(self.n_groups, dtype=np.bool_) if columns[-1] else columns[:-1]
        return {
            "attribute": self.grouping.attribute.name,
            "measure": measure,
            "direction": direction,
            "estimate": around.estimate,
            "low": around.low,
            "high": around.high,
            "n_identities": around.n_identities,
            "n_images": int(np.isin(self.grouping.labels, np.flatnonzero(inside)).sum()),
            "n_pairs": float(self.sums.pairs @ columns),
            "contrast": self.grouping.contrast,
            "method": method,
        }


def _imbalance(matching: Matching) -> dict[str, Any]:
    """The largest standardised mean differences before and after, and what the groups differ in besides."""
    sides = (matching.before, matching.after)
    before, after = (max(map(abs, side.values()), default=math.nan) for side in sides)
    apart = {name: gap for name, gap in matching.before.items() if abs(gap) > matching.by_chance}
    named = sorted(apart, key=lambda name: -abs(apart[name]))[:NAMED]
    return {
        "imbalance": before,
        "imbalance_after": after,
        "unlike": ", ".join(f"{name} {apart[name]:+.2f}" for name in named),
    }


def _p_value(estimate: float, null: FloatArray) -> float:
    """Two-sided; arrangements in which a group has no pair say nothing."""
    known = null[np.isfinite(null)]
    if math.isnan(estimate) or len(known) < 0.9 * len(null):
        return math.nan
    return permutation_p_value(abs(estimate), np.abs(known))
