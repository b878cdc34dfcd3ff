"""The tables of the row "whose error is it", made from what its chunks found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from attribute_recovery.statistics.inputs import FloatArray
from benchmarks.validation.forecasts.samples_calibrated import LARGEST_ECE, LARGEST_RATIO, POINTS, SLOPES
from benchmarks.validation.in_place.decoded_in_place import IN_PLACE, PRODUCT, by_way
from benchmarks.validation.outcome import Found, Table

Parts = Mapping[str, Sequence[Found]]
# What is told of: the row that asks, the figure, how it is written, and both ways' values; None: not defined.
Line = tuple[str, str, str, float | None, float | None]

NONE = "–"


def figures_table(parts: Parts) -> Table:
    """Every figure of the product, with the renderer in G's place, and the difference."""
    lines = [
        *_attack_lines(parts["attacks"][0]),
        *_sample_lines(parts["samples"][0]),
        *_recovery_lines(parts["samples"][0]),
        *_error_lines([pair for one in parts.get("errors", []) for pair in one["pairs"]]),
        *_search_lines(parts.get("search", [])),
        *_moved_lines(parts["moved"][0]["moved"]),
        *_claim_lines(parts["claims"][0]["claims"]),
    ]
    return {
        "caption": "The same figures twice: the product's, and with the renderer in the generator's place",
        "columns": ["row", "figure", "the product", "the renderer in G's place", "G's share (difference)"],
        "rows": [
            [row, figure, told(own, form), told(other, form), difference(own, other, form)]
            for row, figure, form, own, other in lines
        ],
    }


def told(value: float | None, form: str) -> str:
    """A value as its form asks: "rate" in %, "points" in percentage points, "count" whole, else three
    digits."""
    if value is None or not np.isfinite(value):
        return NONE
    if form in ("rate", "points"):
        return f"{100 * value:.1f}{' %' if form == 'rate' else ''}"
    return f"{value:.0f}" if form == "count" else f"{value:.3f}"


def difference(own: float | None, other: float | None, form: str) -> str:
    """What the renderer gives less what the product gives; rates in points."""
    if own is None or other is None or not np.isfinite(other - own):
        return NONE
    value = other - own
    if form in ("rate", "points"):
        return f"{100 * value:+.1f} points"
    return f"{value:+.0f}" if form == "count" else f"{value:+.3f}"


def line(row: str, figure: str, form: str, values: Iterable[float | None]) -> Line:
    """A line of both ways' values."""
    own, other = values
    return row, figure, form, own, other


def _attack_lines(found: Found) -> Iterator[Line]:
    row = "attacks"
    yield line(row, "type I, first sample accepted as its own image", "rate", by_way(found, "type_1_tar"))
    yield line(row, "type II, as a part of what real images reach", "", by_way(found, "type_2_tar_ratio"))
    yield line(row, "mean cosine of a decoded image with z", "", by_way(found, "sample_cosine"))
    own = found["reconstruction"]
    yield row, "the same of the reconstruction G(E(x))", "", own["reconstruction_cosine"], 1.0
    yield row, "type I of the reconstruction", "rate", own["reconstruction_type_1_tar"], 1.0
    yield row, "type II of the reconstruction", "", own["reconstruction_tar_ratio"], 1.0


def _both(found: Found, figure: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return found["recovery"][PRODUCT][figure], found["recovery"][IN_PLACE][figure]


def _sample_lines(found: Found) -> Iterator[Line]:
    row = "samples-calibrated"
    n = len(_both(found, "coverage")[0])
    for level in ("50", "90"):
        off = [
            np.array([one[level] - int(level) / 100 for one in way.values() if level in one])
            for way in _both(found, "coverage")
        ]
        within = (float((np.abs(each) <= POINTS + 1e-12).sum()) for each in off)
        yield line(row, f"calibrated {level} % intervals within 3 points, of {n} attributes", "count", within)
        figure = f"calibrated {level} % intervals: median distance, in points"
        yield line(row, figure, "points", map(_median_size, off))
    raw = [list(found["spread"][way]["coverage_90"].values()) for way in (PRODUCT, IN_PLACE)]
    yield line(row, "uncalibrated 90 % intervals: median coverage", "rate", map(_median, raw))
    skill = [list(found["spread"][way]["crps_skill"].values()) for way in (PRODUCT, IN_PLACE)]
    yield line(row, "uncalibrated samples: median CRPS skill", "", map(_median, skill))
    slopes, kept = _both(found, "slope"), _both(found, "score")
    asked = [
        [slope[0] for name, slope in way.items() if score[name]["kept"] and slope[0] is not None]
        for way, score in zip(slopes, kept, strict=True)
    ]
    inside = (float(sum(SLOPES[0] <= one <= SLOPES[1] for one in each)) for each in asked)
    yield line(
        row, f"discrete: calibration slope 0.9 to 1.1, of {len(asked[0])} kept attributes", "count", inside
    )
    errors = [list(way.values()) for way in _both(found, "ece")]
    yield line(row, f"discrete: largest ECE (allowed {LARGEST_ECE})", "", map(_largest, errors))
    ratios = [_defined([one["ratio"] for one in way.values()]) for way in kept]
    as_good = (float(sum(one <= LARGEST_RATIO for one in each)) for each in ratios)
    yield line(
        row, f"log score no worse than 1.1 × the probe's, of {len(ratios[0])} attributes", "count", as_good
    )
    yield line(row, "log score: median ratio to the probe's", "", map(_median, ratios))
    yield line(row, "log score: largest ratio to the probe's", "", map(_largest, ratios))
    better = (float(sum(one["better_than_marginal"] for one in way.values())) for way in kept)
    yield line(row, "log score better than the marginal's, or equal where nothing is kept", "count", better)


def _recovery_lines(found: Found) -> Iterator[Line]:
    row, losses = "recovery-loses-little", [list(way.values()) for way in _both(found, "loss")]
    lost = [[one["probe"] - one["decoder"] for one in way] for way in losses]
    within = (float(sum(one["probe"] - one["decoder"] <= one["allowed"] for one in way)) for way in losses)
    yield line(row, f"information lost as allowed, of {len(losses[0])} attributes", "count", within)
    yield line(row, "nats lost, summed over attributes", "", (float(np.sum(each)) for each in lost))
    yield line(row, "nats lost, largest of an attribute", "", map(_largest, lost))
    for kind, discrete in (("discrete", True), ("continuous", False)):
        some = [[one for one in way if one["discrete"] == discrete] for way in losses]
        rho = (rank_correlation([(one["probe"], one["decoder"]) for one in each]) for each in some)
        yield line(row, f"rank correlation with the probe within the {kind}", "", rho)


def _error_lines(pairs: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    """The product's values are set against those of the rendered game, and these against themselves with
    other orders: what is short of 1 there is the drawing of orders."""
    row = "region-attribution (errors)"
    if not pairs:
        return
    kinds = sorted({str(pair["kind"]) for pair in pairs})
    for kind in ("", *(kinds if len(kinds) > 1 else ())):
        some = [pair for pair in pairs if kind in ("", pair["kind"])]
        which = f"{len(some)} {kind.replace('_', ' ') or 'explained'} pairs"
        rho = [
            _median([rank_correlation(list(zip(pair[way], pair["rendered"], strict=True))) for pair in some])
            for way in ("product", "again")
        ]
        yield line(row, f"Shapley values: median rank correlation with the rendered game, {which}", "", rho)
        top = [
            float(np.mean([same_leader(pair[way], pair["rendered"]) for pair in some]))
            for way in ("product", "again")
        ]
        yield line(row, f"Shapley values: the same attribute carries most, {which}", "rate", top)
    gaps = (_mean([pair[name] for pair in pairs]) for name in ("own_gap", "gap"))
    yield line(row, "mean gap that attributes carry", "", gaps)


def same_leader(values: Sequence[float], truth: Sequence[float]) -> bool:
    """Whether the value of largest size is the same attribute's; False where one is not a number."""
    both = np.array([values, truth], dtype=np.float64)
    return bool(np.isfinite(both).all() and len(set(np.abs(both).argmax(1).tolist())) == 1)


def _search_lines(found: Sequence[Found]) -> Iterator[Line]:
    row = "attribute counterfactuals"
    own, flipped, own_changed, changed = (
        [each for one in found for each in one[name]] for name in ("own", "flipped", "own_changed", "changed")
    )
    if not own:
        return
    yield row, f"flipped, of {len(own)} pairs", "rate", float(np.mean(own)), float(np.mean(flipped))
    both = [i for i in range(len(own)) if own[i] and flipped[i]]
    means = (float(np.mean([each[i] for i in both])) if both else None for each in (own_changed, changed))
    yield line(row, f"attributes changed, mean over {len(both)} pairs that both ways flip", "", means)


def _moved_lines(found: Mapping[str, Found]) -> Iterator[Line]:
    for direction, one in found.items():
        told_direction = direction.replace("_", " ")
        yield (
            "representation counterfactuals",
            f"flipped along the geodesic, {told_direction}, of {one['pairs']} pairs",
            "rate",
            one[PRODUCT][0],
            one[IN_PLACE][0],
        )


def _claim_lines(found: Mapping[str, Found]) -> Iterator[Line]:
    ways = {"to": "the values claimed", "by": "the changes claimed"}
    for kind, one in found.items():
        for way, words in ways.items():
            if way in one:
                row = f"{kind.split()[0]} counterfactuals"
                direction = kind.partition(" ")[2].replace("_", " ")
                where = f" {direction}," if direction else ""
                figure = (
                    f"claims that flip,{where} the true head rendered with {words}, of {one['pairs']} pairs"
                )
                yield row, figure, "rate", one["product"][0], one[way][0]
                yield (
                    row,
                    f"how far these {one['claimed']} go,{where} rendered with {words} (1: to τ)",
                    "",
                    one["reach"]["product"],
                    one["reach"][way],
                )


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's of pairs; NaN of fewer than two, of values that are all the same, or not finite."""
    table: FloatArray = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    if len(table) < 2 or not np.isfinite(table).all() or (np.ptp(table, axis=0) == 0).any():
        return float("nan")
    return float(spearmanr(table[:, 0], table[:, 1]).statistic)


def _defined(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and np.isfinite(value)]


def _median(values: Sequence[float | None]) -> float | None:
    known = _defined(values)
    return float(np.median(known)) if known else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = _defined(values)
    return float(np.mean(known)) if known else None


def _median_size(values: FloatArray) -> float | None:
    return float(np.median(np.abs(values))) if len(values) else None


def _largest(values: Sequence[float]) -> float | None:
    known = _defined(values)
    return max(known) if known else None


def information_table(found: Found) -> Table:
    """By attribute: what the probe, the product's samples and those before the renderer know."""
    own, other = _both(found, "loss")
    covered = _both(found, "coverage")
    rows = []
    for name in sorted(own, key=lambda name: own[name]["decoder"] - own[name]["probe"]):
        if name not in other:
            continue
        coverage = [told(way[name]["90"], "points") if name in way else NONE for way in covered]
        values = (own[name]["probe"], own[name]["decoder"], other[name]["decoder"])
        lost = values[0] - values[1], values[0] - values[2]
        rows.append([name, *(told(value, "") for value in (*values, *lost)), *coverage])
    return {
        "caption": "By attribute: nats that the probe, the product's samples and those with the renderer "
        "in G's place know, what is lost against the probe, and how many % of calibrated 90 % intervals hold "
        "the truth",
        "columns": [
            "attribute",
            "probe",
            "product",
            "renderer",
            "product loses",
            "renderer loses",
            "covered, product",
            "covered, renderer",
        ],
        "rows": rows,
    }


def notes(parts: Parts) -> list[str]:
    """What the tables stand on, and which rows have no generator in them."""
    samples, attacks = parts["samples"][0], parts["attacks"][0]
    code = parts["train"][0]["code_size"]
    return [
        f"Both columns are of the run's own {attacks['images']:,} test images of {samples['people']} people, "
        f"{samples['samples']} samples each; the rows above have other people where they say so. The "
        f"renderer's codes are attributes, {code} numbers, and T before it was trained by the product's own "
        "training, without the lesson that takes gradients through G. The heads' errors are in the first "
        "column only.",
        "The difference is the renderer's figure less the product's. Of claims it is what is lost when the "
        "product's own claim is rendered on the true head; of Shapley values the second column is the "
        "rendered game against itself with other orders drawn.",
        "Decision effects with the renderer in G's place are columns of the row `effects-true`. In pairs "
        "that differ in one attribute the rendered game has one player, so that it names it by construction. "
        "No generator takes part in the rows `intervals-cover` and `same-scores`.",
    ]
