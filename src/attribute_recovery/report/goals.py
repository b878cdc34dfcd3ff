"""What the figures of the default run must reach, in one table, and the verdict on each as measured."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from attribute_recovery.report import sentences
from attribute_recovery.report.results import interval_of, lookup, real, whole

Verdict = Literal["reached", "not reached", "not comparable", "not computed"]

SOURCE = "issue 3, table of the figures that the default run must reach"
# Attributes that f drops, whose spread the decoded samples must show.
DROPPED = ("yaw", "light_azimuth", "smile")


@dataclass(frozen=True)
class Goal:
    """What one figure must reach.

    Attributes:
        key: of metrics.json, dotted; `<recognizer>` stands for each recognizer's name.
        figure: what it is, in words.
        low: least value, or None.
        high: largest value, or None.
        stands_on: key of the mapping that holds the figure's split and counts.
        least: counts that the goal asks for, by key below `stands_on`.
        pairs: key below `stands_on` with the number of pairs, where the figure is a share of pairs.
        percent: whether it is shown in percent.
        share_of: another key, and the part of it that the figure must reach as well.
        fmr: the false match rate that the goal speaks of, where it names one.
    """

    key: str
    figure: str
    low: float | None
    high: float | None
    stands_on: str
    least: Mapping[str, int]
    pairs: str = ""
    percent: bool = False
    share_of: tuple[str, float] | None = None
    fmr: float | None = None

    def words(self) -> str:
        """The goal in words, such as "at least 0.95"."""
        low, high = (self._bound(value) for value in (self.low, self.high))
        if self.low is not None and self.high is not None:
            text = f"{low} to {high}"
        else:
            text = f"at least {low}" if self.low is not None else f"at most {high}"
        if self.share_of is not None:
            text += f", and {self.share_of[1]:g} × the direct probe's"
        return text

    def _bound(self, value: float | None) -> str:
        if value is None:
            return ""
        return sentences.percent(value) if self.percent else f"{value:g}"


@dataclass(frozen=True)
class Judged:
    """A figure against its goal.

    Attributes:
        goal: what was asked.
        key: with the recognizer's name.
        recognizer: that name; empty for figures of the whole experiment.
        value: as measured, or several; None if not computed.
        interval: of the value, or None.
        split: that it was measured on.
        people: identities that it stands on.
        images: images that it stands on.
        pairs: pairs that it stands on.
        verdict: in one word or two.
        because: why, and what to keep in mind; whole sentences or nothing.
    """

    goal: Goal
    key: str
    recognizer: str
    value: float | list[float] | None
    interval: list[float] | None
    split: str | None
    people: int | None
    images: int | None
    pairs: int | None
    verdict: Verdict
    because: str


def goals() -> tuple[Goal, ...]:
    """All goals, in the order of their source."""
    one = "recognizers.<recognizer>"
    people, images = {"n_identities": 100}, {"n_images": 2000}
    return (
        Goal(
            f"{one}.recognizer.tar_at_target_fmr",
            "TAR at FMR 1 in 1,000",
            0.95,
            None,
            f"{one}.recognizer",
            people,
            pairs="n_genuine_pairs",
            percent=True,
            fmr=1e-3,
        ),
        Goal("attributes.median_r2", "heads: median R²", 0.90, None, "attributes", images),
        Goal(
            "attributes.median_balanced_accuracy",
            "heads: median balanced accuracy",
            0.95,
            None,
            "attributes",
            images,
        ),
        Goal(
            "generator.reconstruction_tar_ratio",
            "TAR of G(E(x)) over that of x",
            0.95,
            None,
            "recognizers.<first>.decoder",
            people,
        ),
        Goal(
            "generator.band_power_ratio",
            "power of reconstructions over real images', per octave band",
            0.67,
            1.5,
            "generator",
            {},
        ),
        Goal(
            "generator.sharpness_ratio",
            "variance of the Laplacian, reconstructions over real images",
            0.8,
            1.25,
            "generator",
            {},
        ),
        *_decoder_goals(f"{one}.decoder", people, images),
        *_flip_goals(f"{one}.counterfactuals", people),
    )


def _decoder_goals(at: str, people: dict[str, int], images: dict[str, int]) -> Iterator[Goal]:
    yield Goal(
        f"{at}.type_1_tar",
        "TAR of decoded samples, type I",
        0.90,
        None,
        at,
        people,
        pairs="n_images",
        percent=True,
    )
    yield Goal(
        f"{at}.type_2_tar_ratio", "TAR of decoded samples over real images', type II", 0.85, None, at, people
    )
    for name in DROPPED:
        shown = sentences.words(name)
        yield Goal(f"{at}.coverage_90.{name}", f"coverage of 90 % intervals: {shown}", 0.85, 0.95, at, images)
        probe = (f"{at.removesuffix('decoder')}recovery.probe.crps_skill.{name}", 0.9)
        yield Goal(f"{at}.crps_skill.{name}", f"CRPS skill: {shown}", 0.0, None, at, images, share_of=probe)


def _flip_goals(at: str, people: dict[str, int]) -> Iterator[Goal]:
    for direction, shown in (("to_match", "to a match"), ("to_non_match", "to a non-match")):
        yield Goal(
            f"{at}.representation_flip_rate.{direction}",
            f"representation counterfactuals that flip {shown}",
            0.90,
            None,
            at,
            people,
            pairs=f"representation_pairs.{direction}",
            percent=True,
        )
    yield Goal(
        f"{at}.attribute_flip_rate",
        "attribute counterfactuals that flip",
        0.85,
        None,
        at,
        people,
        pairs="attribute_pairs",
        percent=True,
    )


def judge(
    metrics: Mapping[str, Any], recognizers: Sequence[str], left_out: Sequence[str] = ()
) -> list[Judged]:
    """Every goal against the merged metrics; one for each recognizer where the key names one.

    Goals about attributes are passed over where the stages that read them are among `left_out`.
    """
    judged = []
    for goal in goals():
        if left_out and _is_of_attributes(goal, left_out):
            continue
        for name in recognizers if "<recognizer>" in goal.key else [""]:
            judged.append(_judged(goal, name, metrics, recognizers[0] if recognizers else ""))
    return judged


def _is_of_attributes(goal: Goal, left_out: Sequence[str]) -> bool:
    """Whether a goal is about a stage that was left out, or about an attribute that decoded samples show."""
    return not set(goal.key.split(".")).isdisjoint({*left_out, "coverage_90", "crps_skill"})


def _judged(goal: Goal, name: str, metrics: Mapping[str, Any], first: str) -> Judged:
    key, place = _named(goal.key, name, first), _named(goal.stands_on, name, first)
    facts = lookup(dict(metrics), place) or {}
    value = _value(metrics, key)
    interval = interval_of(dict(metrics), key)
    pairs = whole(facts, goal.pairs) if goal.pairs else None
    verdict, because = _verdict(goal, value, facts, metrics, name, first)
    people = whole(facts, "n_identities")
    remarks = [
        because,
        _interval_remark(goal, verdict, interval),
        sentences.grain(pairs, "image" if goal.pairs == "n_images" else "pair"),
        sentences.few_people(people),
        sentences.extreme(value if isinstance(value, float) and goal.percent else None, pairs),
    ]
    return Judged(
        goal=goal,
        key=key,
        recognizer=name,
        value=value,
        interval=interval,
        split=lookup(facts, "split"),
        people=people,
        images=whole(facts, "n_images"),
        pairs=pairs,
        verdict=verdict,
        because=" ".join(remark for remark in remarks if remark),
    )


def _named(key: str, name: str, first: str) -> str:
    return key.replace("<recognizer>", name).replace("<first>", first)


def _value(metrics: Mapping[str, Any], key: str) -> float | list[float] | None:
    found = lookup(dict(metrics), key)
    if isinstance(found, list):
        known = [float(each) for each in found if isinstance(each, int | float)]
        return known if known and len(known) == len(found) else None
    return real(dict(metrics), key)


def _verdict(
    goal: Goal,
    value: float | list[float] | None,
    facts: Mapping[str, Any],
    metrics: Mapping[str, Any],
    name: str,
    first: str,
) -> tuple[Verdict, str]:
    if value is None:
        return "not computed", ""
    unfit = _unfit(goal, facts)
    if unfit:
        return "not comparable", unfit
    values = value if isinstance(value, list) else [value]
    outside = [i for i, each in enumerate(values) if not _within(each, goal)]
    if outside:
        worst = max(outside, key=lambda i: _distance(values[i], goal))
        bands = f"Band {worst + 1} of {len(values)} is at {sentences.number(values[worst])}."
        return "not reached", bands if isinstance(value, list) else ""
    if goal.share_of is None:
        return "reached", ""
    other, part = goal.share_of
    probe = real(dict(metrics), _named(other, name, first))
    if probe is None:
        return "not comparable", f"At least {goal.low:g}, but the direct probe's figure was not computed."
    beside = f"The direct probe has {sentences.number(probe)}."
    return ("reached", beside) if values[0] >= part * probe else ("not reached", beside)


def _unfit(goal: Goal, facts: Mapping[str, Any]) -> str:
    """Why a figure can't be held against its goal; empty where it can."""
    split = facts.get("split")
    if split is not None and split != "test":
        return f"The goal is about the split test, this is {split}."
    for count, least in goal.least.items():
        found = whole(dict(facts), count)
        things = "people" if count == "n_identities" else "images"
        if found is None:
            return f"The goal asks for {least:,} {things}; how many there were is not said."
        if found < least:
            return f"The goal asks for {least:,} {things}, there were {found:,}."
    fmr = real(dict(facts), "used_fmr")
    if goal.fmr is not None and fmr is not None and not math.isclose(fmr, goal.fmr, rel_tol=1e-6):
        return (
            f"The goal is about an FMR of {sentences.one_in(goal.fmr)}, this is at {sentences.one_in(fmr)}."
        )
    return ""


def _within(value: float, goal: Goal) -> bool:
    return (goal.low is None or value >= goal.low) and (goal.high is None or value <= goal.high)


def _distance(value: float, goal: Goal) -> float:
    below = goal.low - value if goal.low is not None else 0.0
    return max(below, value - goal.high if goal.high is not None else 0.0)


def _interval_remark(goal: Goal, verdict: Verdict, interval: Sequence[float] | None) -> str:
    if interval is None or verdict not in ("reached", "not reached"):
        return ""
    inside = [_within(end, goal) for end in interval]
    if verdict == "reached" and not all(inside):
        return "The interval reaches beyond the goal, so other test people might have missed it."
    if verdict == "not reached" and any(inside):
        return "The interval includes values that reach the goal."
    return ""
