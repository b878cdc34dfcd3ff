"""Row "do decoded images pass for the person": one sample of each embedding, the first that the run drew, put
to f and to a critic that had no part in any training. Type I: against the image that the embedding is of;
type II: against the other images of that person.

τ of each judge comes from real impostors of the split `calibration`: f's is the run's, the critic's is its
own at the same false match rate. An attack hands in a picture, so what is judged was rounded to 8 bits.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from attribute_recovery.dataset.store import read_images, rows_of
from attribute_recovery.decoder.attacks import attack_metrics, other_images
from attribute_recovery.decoder.spread import defined, ends
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.statistics.bootstrap import pair_rate_interval, pair_ratio_interval
from attribute_recovery.training.device import prepare_torch
from benchmarks.validation.attacks.attack_chunks import (
    CRITIC,
    PRODUCT,
    REBUILT,
    held_out,
    plan,
    unpacked_images,
    work,
)
from benchmarks.validation.attacks.critic import critic_of, own_threshold
from benchmarks.validation.finished_run import FinishedRun, finished_run
from benchmarks.validation.forecasts.new_people import unpacked
from benchmarks.validation.outcome import Found, Goal, Table

__all__ = ["conclude", "plan", "work"]

Floats = npt.NDArray[np.float32]
Names = npt.NDArray[np.object_]

LEAST_TYPE_1, LEAST_TYPE_2, LEAST_BY_CRITIC = 0.99, 0.95, 0.90
REPLICATES, SEED = 1000, 1
WAYS = {
    PRODUCT: "the product, p(x given z)",
    "one-point": "deterministic one-point transformer, then G",
    "nbnet": "NBNet-style deconvolution",
    "mean": "mean regressor",
    REBUILT: "no attack: G(E(x)), what G allows",
}
BY = {"f": "the recognizer itself", CRITIC: "the independent critic"}


@dataclass(frozen=True)
class Judge:
    """Who decides.

    Attributes:
        tau: its threshold.
        fmr: the false match rate that may be claimed there.
        real: its embeddings of the real images of `test`, (n, d).
        people: in them, (n,).
    """

    tau: float
    fmr: float
    real: Floats
    people: Names


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; None for what is not defined."""

    value: float | None
    low: float | None
    high: float | None

    def at_least(self, bound: float) -> bool:
        """Whether the figure is defined and not below the bound."""
        return self.value is not None and self.value >= bound

    def __str__(self) -> str:
        if self.value is None:
            return "not defined"
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Rates:
    """How one way of decoding fares with one judge.

    Attributes:
        type_1, type_2: shares accepted.
        type_1_ratio, type_2_ratio: by the share of real genuine pairs that are accepted.
        cosine: mean cosine of the decoded image's embedding with the one it came from.
    """

    type_1: Estimate
    type_1_ratio: Estimate
    type_2: Estimate
    type_2_ratio: Estimate
    cosine: float


@dataclass(frozen=True)
class Judged:
    """All that the row says.

    Attributes:
        rates: by judge and way of decoding.
        real: share of real genuine pairs that each judge accepts.
        judges: by name.
        quality: of the images, by way of decoding, see `generator.quality.measure_quality`.
        spread: of two images of one embedding, by way of decoding.
        spread_real: of two real images of one person.
        taught: people and images each that the critic was trained on.
    """

    rates: Mapping[str, Mapping[str, Rates]]
    real: Mapping[str, Estimate]
    judges: Mapping[str, Judge]
    quality: Mapping[str, Mapping[str, Any]]
    spread: Mapping[str, float | None]
    spread_real: float
    taught: tuple[int, int]


def conclude(found: Mapping[str, Found]) -> dict[str, Any]:
    """Goals and tables of the row."""
    judged = judged_of(found)
    f, critic = judged.judges["f"], judged.judges[CRITIC]
    people, images = judged.taught
    notes = [
        f"{len(f.people):,} images of {len(set(f.people))} people of the split test, one image decoded from "
        f"each; intervals resample people. τ is {f.tau:.3f} for the recognizer (FMR {f.fmr:.2g}) and "
        f"{critic.tau:.3f} for the critic (FMR {critic.fmr:.2g}), from real impostors of the split "
        "calibration.",
        f"The critic has another width, embedding size ({critic.real.shape[1]}) and seed, and was trained on "
        f"{images} rendered images each of {people} people who are nowhere else.",
        "Sharpness, power and error are measured against the real images. To pass is not yet to be a face: a "
        "decoder that is trained by pixels returns the mean of all images that share an embedding, which may "
        "embed where it should and is a blur, and one image an embedding says nothing of what the embedding "
        "leaves open.",
    ]
    tables = [_rates_table(judged, by) for by in BY]
    return {"notes": notes, "goals": _goals(judged), "tables": [*tables, _quality_table(judged)]}


def judged_of(found: Mapping[str, Found]) -> Judged:
    """Put all images to both judges.

    Args:
        found: what the chunks found.

    Raises:
        ValueError: the run has changed, or a file of it is missing or damaged.
    """
    taught = found[CRITIC]
    run = finished_run(taught["run"])
    critic = critic_of(taught["network"], prepare_torch(run.compute))
    ways = {way: found[way] for way in WAYS}
    judges = {"f": judge_f(run), CRITIC: judge_critic(run, critic)}
    embedded = {
        "f": {way: unpacked(part["embeddings"]) for way, part in ways.items()},
        CRITIC: {way: critic.embed_batches(unpacked_images(part["images"])) for way, part in ways.items()},
    }
    rates = {
        by: {way: rates_of(attacked, judges[by]) for way, attacked in every.items()}
        for by, every in embedded.items()
    }
    return Judged(
        rates,
        {by: real_rate(judge) for by, judge in judges.items()},
        judges,
        {way: part["quality"] for way, part in ways.items()},
        {way: part["spread"] for way, part in ways.items()},
        float(ways[PRODUCT]["spread_real"]),
        (taught["people"], taught["images"]),
    )


def judge_f(run: FinishedRun) -> Judge:
    """f with the run's τ."""
    told = _threshold(run)
    table = run.images()
    listed = table.iloc[rows_of(table, "test")]
    real = read_embeddings(run.shards(), listed)
    return Judge(float(told["value"]), float(told["fmr"]), real, listed["identity"].to_numpy(object))


def judge_critic(run: FinishedRun, critic: Recognizer) -> Judge:
    """The critic, at the false match rate that was asked of f; or that f has, where its τ was given."""
    told = _threshold(run)
    fmr = told["fmr"] if told["requested_fmr"] is None else told["requested_fmr"]
    table, pixels = run.images(), run.folder / "dataset" / "images.bcolz"
    rows = rows_of(table, "calibration")
    impostors = critic.embed_batches(read_images(pixels, rows))
    people = table["identity"].to_numpy(object)
    decided = own_threshold(impostors, people[rows], float(fmr), run.config.seed)
    held = held_out(run)
    return Judge(decided.value, decided.fmr, critic.embed_batches(held.images), held.people)


def _threshold(run: FinishedRun) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run.of_recognizer("recognizer/threshold.json").read_text())
    return told


def real_rate(judge: Judge) -> Estimate:
    """Share of the pairs of two real images of one person that a judge accepts."""
    first, second = other_images(judge.people)
    sides = (judge.people[first], judge.people[second])
    around = pair_rate_interval(
        accepted(judge.real[first], judge.real[second], judge.tau),
        *sides,
        n_boot=REPLICATES,
        seed=SEED,
        clip=(0.0, 1.0),
    )
    return Estimate(around.estimate, *ends(around))


def rates_of(attacked: Floats, judge: Judge) -> Rates:
    """Rates of decoded images' embeddings (n, d) with one judge, by the product's own measure of attacks."""
    # Nothing is rebuilt here: what G allows is a way of decoding like the others.
    told = attack_metrics(attacked, attacked, judge.real, judge.people, judge.tau, REPLICATES, SEED)
    return Rates(
        type_1=Estimate(told["type_1_tar"], *told["type_1_tar_interval"]),
        type_1_ratio=_type_1_ratio(attacked, judge),
        type_2=Estimate(told["type_2_tar"], None, None),
        type_2_ratio=Estimate(told["type_2_tar_ratio"], *told["type_2_tar_ratio_interval"]),
        cosine=told["sample_cosine"],
    )


def _type_1_ratio(attacked: Floats, judge: Judge) -> Estimate:
    """Type I by the share of real pairs accepted, people resampled for both at once.

    An image counts once for each other image of its person, as the real pairs do: all alike where everybody
    has equally many.
    """
    first, second = other_images(judge.people)
    around = pair_ratio_interval(
        accepted(attacked, judge.real, judge.tau)[first],
        accepted(judge.real[first], judge.real[second], judge.tau),
        judge.people[first],
        judge.people[second],
        n_boot=REPLICATES,
        seed=SEED,
        clip=(0.0, math.inf),
    )
    return Estimate(defined(around.estimate), *ends(around))


def accepted(first: Floats, second: Floats, tau: float) -> npt.NDArray[np.bool_]:
    """Whether pairs of embeddings (n, d) reach τ."""
    return np.asarray((first * second).sum(1) >= tau)


def _goals(judged: Judged) -> list[Goal]:
    f, critic = judged.rates["f"][PRODUCT], judged.rates[CRITIC][PRODUCT]
    asked = [
        ("by the recognizer: type I at least 0.99", f.type_1, LEAST_TYPE_1),
        ("by the recognizer: type II at least 0.95 × real", f.type_2_ratio, LEAST_TYPE_2),
        (
            "by the critic: type I at least 0.90 × its own TAR on real pairs",
            critic.type_1_ratio,
            LEAST_BY_CRITIC,
        ),
        (
            "by the critic: type II at least 0.90 × its own TAR on real pairs",
            critic.type_2_ratio,
            LEAST_BY_CRITIC,
        ),
    ]
    return [
        {"goal": goal, "measured": str(figure), "reached": figure.at_least(bound)}
        for goal, figure, bound in asked
    ]


def _rates_table(judged: Judged, by: str) -> Table:
    rows = [
        [
            told,
            str(one.type_1),
            str(one.type_1_ratio),
            str(one.type_2),
            str(one.type_2_ratio),
            f"{one.cosine:.3f}",
        ]
        for way, told in WAYS.items()
        for one in [judged.rates[by][way]]
    ]
    return {
        "caption": f"By {BY[by]}, which accepts {judged.real[by]} of the real pairs: shares accepted, with "
        "95 % intervals",
        "columns": ["decoded by", "type I", "type I / real", "type II", "type II / real", "mean cosine"],
        "rows": rows,
    }


def _quality_table(judged: Judged) -> Table:
    return {
        "caption": "The images beside the real ones: ratios of sharpness (variance of the Laplacian) and of "
        "power in the two finest octaves, mean absolute error, and how far two images of one embedding lie "
        f"apart (two real images of one person: {judged.spread_real:.3f})",
        "columns": ["decoded by", "sharpness", "power, second finest", "power, finest", "error", "spread"],
        "rows": [
            [
                told,
                f"{judged.quality[way]['sharpness_ratio']:.2f}",
                *(f"{power:.2f}" for power in judged.quality[way]["band_power_ratio"][-2:]),
                f"{judged.quality[way]['l1']:.3f}",
                _spread(judged.spread[way]),
            ]
            for way, told in WAYS.items()
        ],
    }


def _spread(value: float | None) -> str:
    return "" if value is None else "none" if value == 0 else f"{value:.3f}"
