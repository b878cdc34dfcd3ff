"""The words of the page: numbers rounded by what is known of them, and sentences about them. Pure functions.

A missing number (None, or not finite) is never left out of a sentence in silence: it is "not computed".
"""

import math
from collections.abc import Sequence
from typing import TypeGuard

MISSING = "not computed"
CONDITIONAL = (
    "Intervals are conditional on the trained networks: they say how a figure would vary with other test "
    "people, not with another training."
)
# Below this many people an interval from resampling identities is itself shaky, whatever its width.
FEW_PEOPLE = 100
FEW_PAIRS = 100

Interval = Sequence[float | None] | None


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits: thousands by comma, a true minus, powers of ten if tiny.

    >>> number(0.96123), number(12480), number(-18.04, 2), number(0.0000123, 2), number(None)
    ('0.961', '12,480', '−18', '1.2 × 10⁻⁵', 'not computed')
    """
    if not _known(value):
        return MISSING
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -4:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"{_minus(mantissa)} × 10{power}"
    return fixed(value, max(0, digits - 1 - magnitude))


def fixed(value: float, decimals: int) -> str:
    """A number with so many decimals, thousands by comma, a true minus, no minus before a zero."""
    text = f"{value:,.{decimals}f}"
    return _minus(text) if float(text.replace(",", "")) else text.lstrip("-")


def share(value: float | None, interval: Interval = None) -> str:
    """A share of one as percent with its interval, "96.1 % (95 % interval 95.0 to 97.2)".

    >>> share(0.96123, (0.95, 0.9721)), share(0.5), share(0.9996)
    ('96.1 % (95 % interval 95.0 to 97.2)', '50 %', '99.96 %')
    """
    if not _known(value):
        return MISSING
    ends = _ends(interval, 100.0)
    if ends is None:
        return f"{_percent(value)} %"
    decimals = decimals_of(ends)
    low, high = (fixed(end, decimals) for end in ends)
    return f"{fixed(100 * value, decimals)} % (95 % interval {low} to {high})"


def quantity(value: float | None, interval: Interval = None, unit: str = "") -> str:
    """A number with its interval and unit, "1.21 nats (95 % interval 1.15 to 1.27)".

    >>> quantity(1.2134, (1.1502, 1.2698), "nats"), quantity(0.041234)
    ('1.21 nats (95 % interval 1.15 to 1.27)', '0.0412')
    """
    if not _known(value):
        return MISSING
    ends = _ends(interval)
    after = f" {unit}" if unit else ""
    if ends is None:
        return number(value) + after
    decimals = decimals_of(ends)
    low, high = (fixed(end, decimals) for end in ends)
    return f"{fixed(value, decimals)}{after} (95 % interval {low} to {high})"


def cell(value: float | None, interval: Interval = None) -> str:
    """A number with its interval for a table, "0.961 (0.950 to 0.972)"; a dash where there is none.

    >>> cell(0.96123, (0.95, 0.9721)), cell(None)
    ('0.961 (0.950 to 0.972)', '—')
    """
    if not _known(value):
        return "—"
    ends = _ends(interval)
    if ends is None:
        return number(value)
    decimals = decimals_of(ends)
    low, high = (fixed(end, decimals) for end in ends)
    return f"{fixed(value, decimals)} ({low} to {high})"


def decimals_of(ends: tuple[float, float]) -> int:
    """Decimals that show an interval's width to two significant digits, at most four.

    >>> decimals_of((95.0, 97.2)), decimals_of((0.95, 0.9721)), decimals_of((10, 300))
    (1, 3, 0)
    """
    width = abs(ends[1] - ends[0])
    return min(4, max(0, 1 - math.floor(math.log10(width)))) if width > 0 else 3


def one_in(rate: float | None) -> str:
    """A small rate as "1 in 1,000", to three digits; larger ones in percent.

    >>> one_in(0.001), one_in(3 / 7140), one_in(0.4), one_in(0.0)
    ('1 in 1,000', '1 in 2,380', '40 %', 'none')
    """
    if not _known(rate):
        return MISSING
    if rate == 0:
        return "none"
    if rate > 0.2:
        return f"{_percent(rate)} %"
    inverse = 1 / rate
    digits = max(0, math.floor(math.log10(inverse)) - 2)
    return f"1 in {round(inverse, -digits):,.0f}" if inverse >= 10 else f"1 in {inverse:.1f}"


def counted(n: int | None, singular: str, plural: str) -> str:
    """A number of things.

    >>> counted(1, "person", "people"), counted(12480, "pair", "pairs")
    ('1 person', '12,480 pairs')
    """
    if n is None:
        return f"{plural}: {MISSING}"
    return f"{n:,} {singular if n == 1 else plural}"


def basis(
    split: str | None, *, people: int | None = None, images: int | None = None, pairs: int | None = None
) -> str:
    """What a figure stands on, "test, 160 people, 12,480 pairs"; only what is known."""
    parts = [split or "split not said"]
    for n, singular, plural in (
        (people, "person", "people"),
        (images, "image", "images"),
        (pairs, "pair", "pairs"),
    ):
        if n is not None:
            parts.append(counted(n, singular, plural))
    return ", ".join(parts)


def p_value(p: float | None) -> str:
    """A p-value to two digits.

    >>> p_value(0.0005), p_value(0.2345), p_value(None)
    ('p = 0.0005', 'p = 0.23', 'not testable')
    """
    return f"p = {_probability(p)}" if _known(p) else "not testable"


def q_value(q: float | None) -> str:
    """A false-discovery-controlled p-value, as `p_value`; empty where there is none."""
    return f"q = {_probability(q)}" if _known(q) else ""


def recognizer_rate(tar: float | None, interval: Interval, fmr: float | None, stands_on: str) -> str:
    """How many genuine pairs are accepted, and at which false match rate."""
    if not _known(tar):
        return f"The share of genuine pairs that the recognizer accepts: {MISSING}."
    at = f" at a false match rate of {one_in(fmr)}" if _known(fmr) else ""
    return f"The recognizer accepts {share(tar, interval)} of genuine pairs{at} ({stands_on})."


def achieved_rate(fmr: float | None, interval: Interval, stands_on: str) -> str:
    """How often impostors are accepted at τ on the split that is read for figures only."""
    if not _known(fmr):
        return f"The false match rate at τ on the test people: {MISSING}."
    ends = _ends(interval)
    between = f", 95 % interval {percent_range(ends)}" if ends else ""
    return (
        f"On the test people, τ accepts {one_in(fmr)} impostor pairs ({percent(fmr)}{between}; {stands_on})."
    )


def percent(value: float | None) -> str:
    """A share as percent, two or three significant digits.

    >>> percent(0.00123), percent(0.961), percent(1.0)
    ('0.123 %', '96.1 %', '100 %')
    """
    return f"{_percent(value)} %" if _known(value) else MISSING


def percent_range(ends: tuple[float, float]) -> str:
    """Two shares as "0.051 to 0.13 %"."""
    return f"{number(100 * ends[0], 2)} to {number(100 * ends[1], 2)} %"


def threshold(
    tau: float | None,
    split: str,
    pairs: int | None,
    achieved: float | None,
    *,
    kind: str = "fmr",
    origin: str = "",
) -> str:
    """Where τ comes from: a rate on the split, a value that was given, or another experiment (`origin`)."""
    if not _known(tau):
        return f"The decision threshold τ: {MISSING}."
    stands_on = f" of {counted(pairs, 'impostor pair', 'impostor pairs')}" if pairs is not None else ""
    accepted = f"it accepts {one_in(achieved)}{stands_on}" if _known(achieved) else ""
    rule = f"A pair is accepted when the cosine of its embeddings is at least τ = {number(tau)}. "
    if kind == "fmr":
        return f"{rule}τ was fixed on the split {split}{', where ' if accepted else ''}{accepted}."
    given = f"was taken from experiment {origin}" if kind == "from" else "was given in the configuration"
    return f"{rule}τ {given}{f'; on the split {split} ' if accepted else ''}{accepted}."


_GRADIENTS = {
    "own": "",
    "converted": "gradients from a torch module of the ONNX graph, which agrees with it on these images",
    "none": "a black box: only forward passes were used",
}


def gradients(way: str) -> str:
    """Which way gradients of a recognizer were taken, "own", "converted" or "none"; "" for its own."""
    return _GRADIENTS.get(way, "")


def rate_floor(n_identity_pairs: int | None, requested: float | None, used: float | None) -> str:
    """The smallest false match rate that the data can bear, and whether a lower one was asked for."""
    if n_identity_pairs is None or n_identity_pairs < 1:
        return f"The smallest false match rate that the data can bear: {MISSING}."
    floor = min(1.0, 3 / n_identity_pairs)
    text = (
        f"The people who fix τ make {counted(n_identity_pairs, 'pair', 'pairs')} of people, so no false "
        f"match rate below 3/n = {one_in(floor)} is claimed."
    )
    if not _known(requested) or not _known(used):
        return text
    if used > requested:
        return (
            f"{text} Asked for was {one_in(requested)}: the smallest claimable, {one_in(used)}, was used "
            "instead."
        )
    return f"{text} The rate asked for, {one_in(requested)}, is above it."


def reconstruction(ratio: float | None, interval: Interval, stands_on: str) -> str:
    """What G and E alone keep of a person, as f sees it."""
    if not _known(ratio):
        return f"How often f accepts reconstructions G(E(x)) as the person: {MISSING}."
    return (
        "Compared with other real images of the person, the reconstruction G(E(x)) is accepted "
        f"{_times(ratio, interval)} as often as x itself ({stands_on}). This bounds whatever is decoded."
    )


def attacks(
    type_1: float | None,
    type_1_interval: Interval,
    type_2_ratio: float | None,
    type_2_interval: Interval,
    stands_on: str,
) -> str:
    """Type I and II, one sample for each embedding."""
    if not _known(type_1) and not _known(type_2_ratio):
        return f"How often f accepts images decoded from its embeddings (type I and II): {MISSING}."
    return (
        "One image decoded from an embedding alone, the first drawn and none selected, is accepted as the "
        f"image that the embedding came from in {share(type_1, type_1_interval)} of cases (type I). Compared "
        f"with other images of that person it is accepted {_times(type_2_ratio, type_2_interval)} as often "
        f"as the real image is (type II; {stands_on})."
    )


def heads(r2: float | None, accuracy: float | None, stands_on: str) -> str:
    """How well attributes are read from real images."""
    return (
        f"On real images the heads read continuous attributes with a median R² of {number(r2)} and discrete "
        f"ones with a median balanced accuracy of {number(accuracy)} ({stands_on})."
    )


def strongest(measure: str, names: Sequence[str], found: int, tested: int, untested: int) -> str:
    """For how many attributes a measure stands out, and for which most."""
    if not tested and not untested:
        return f"{measure}: {MISSING}."
    text = f"{measure}: q < 0.05 for {found:,} of {counted(tested, 'attribute', 'attributes')} tested"
    if names:
        text += f"; the largest are {listed(names)}" if len(names) > 1 else f": {names[0]}"
    if untested:
        text += f"; not testable: {untested:,}"
    return text + "."


def moved_pairs(direction: str, rate: float | None, interval: Interval, pairs: int | None) -> str:
    """Representation counterfactuals of one direction."""
    before, after = ("rejected", "accepted") if direction == "to_match" else ("accepted", "rejected")
    if not _known(rate):
        return f"How often {before} pairs become {after} ones when z is moved: {MISSING}."
    of = counted(pairs, f"rightly {before} pair", f"rightly {before} pairs")
    return (
        f"Of {of}, {share(rate, interval)} became {after} ones when z was moved, decoded, and the image "
        "embedded again."
    )


def edited_pairs(
    rate: float | None, interval: Interval, pairs: int | None, mean_changed: float | None
) -> str:
    """Attribute counterfactuals."""
    if not _known(rate):
        return f"How often a decision flips by changing attributes: {MISSING}."
    text = (
        f"Of {counted(pairs, 'attempted pair', 'attempted pairs')}, none dropped, {share(rate, interval)} "
        "flipped by changing attributes of one image"
    )
    return (
        f"{text}; where it succeeded, {number(mean_changed, 2)} attributes on average."
        if _known(mean_changed)
        else f"{text}."
    )


def grain(pairs: int | None, thing: str = "pair") -> str:
    """What one single observation weighs, where there are few."""
    if pairs is None or pairs < 1 or pairs > FEW_PAIRS:
        return ""
    return f"Stands on {counted(pairs, thing, thing + 's')}: a single one moves it by {percent(1 / pairs)}."


def few_people(people: int | None) -> str:
    """A warning where a figure stands on few people."""
    if people is None or people >= FEW_PEOPLE:
        return ""
    return f"Stands on {counted(people, 'person', 'people')} only, so the interval itself is rough."


def extreme(rate: float | None, n: int | None) -> str:
    """What a rate of exactly 0 or 1 leaves open, by the rule of three."""
    if not _known(rate) or rate not in (0.0, 1.0) or n is None or n < 3:
        return ""
    none = "No failure" if rate == 1.0 else "No success"
    return f"{none} among {n:,}: even if all were independent, up to {percent(3 / n)} could have gone unseen."


def not_computed(what: str, path: str, why: str = "is not there") -> str:
    """A part of the page that cannot be filled."""
    return f"Not computed: {what} ({path} {why})."


def listed(names: Sequence[str]) -> str:
    """Names as "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def words(name: str) -> str:
    """A name in code as words: "light_azimuth" as "light azimuth"."""
    return name.replace("_", " ")


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _ends(interval: Interval, factor: float = 1.0) -> tuple[float, float] | None:
    if interval is None or len(interval) != 2:
        return None
    low, high = interval
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return None
    return factor * low, factor * high


def _percent(value: float) -> str:
    """Percent with as many decimals as say something: 50, 96.1, 99.96, 1.21, 0.123."""
    shown = round(100 * value, 9)
    missing = abs(100 - shown)
    if abs(shown) < 10:
        text = number(shown)
    else:
        text = fixed(shown, 1 if missing >= 0.1 or not missing else 1 - math.floor(math.log10(missing)))
    return text.rstrip("0").rstrip(".") if "." in text and "×" not in text else text


def _times(ratio: float | None, interval: Interval) -> str:
    return f"{quantity(ratio, interval)} times" if _known(ratio) else f"[{MISSING}] times"


def _probability(p: float) -> str:
    return number(p, 2) if p >= 0.001 else number(p, 1)


def _minus(text: str) -> str:
    return text.replace("-", "−")
