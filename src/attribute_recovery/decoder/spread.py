"""What the heads read in decoded samples, and how widely these spread against the truth."""

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from attribute_recovery.attributes.heads import AttributeEstimator
from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.dataset.known import counts_of_known, is_known, left_out, without
from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.statistics.bootstrap import Interval, identity_mean_interval
from attribute_recovery.statistics.quality import (
    covered_by_interval,
    crps_population,
    crps_samples,
    crps_skill,
)
from attribute_recovery.training.device import chunks

Floats = npt.NDArray[np.float32]


def readings(
    decoder: Decoder,
    estimator: AttributeEstimator,
    codes: Floats,
    seed: int,
    *,
    antithetic: bool = False,
    batch_size: int = 128,
) -> Floats:
    """What the heads read in decoded samples.

    A continuous attribute is one draw from its p(a given x) in its unit, brought into its range, a discrete
    one its class probabilities (all classes, so width is not the schema's). Of a single sample it is the mean
    of p(a given x): one draw would be that and noise.

    Args:
        decoder: its G decodes.
        estimator: the heads.
        codes: (n, samples, code_size).
        seed: of the draws.
        antithetic: whether draws, too, come in pairs of opposite signs, as those codes do that are sampled
            so (`decoder.row_noise`): then they add nothing to the error of a mean over samples.
        batch_size: images at once; results do not depend on it.

    Returns:
        float32 (n, samples, width), columns by `reading_slices`.
    """
    n, n_samples, size = codes.shape
    flat = codes.reshape(-1, size)
    places = reading_slices(estimator.schema)
    noise = _noise(n, n_samples, len(estimator.schema.continuous), seed, antithetic=antithetic)
    read = np.empty((len(flat), max(place.stop for place in places.values())), np.float32)
    for number, part in enumerate(chunks(len(flat), batch_size)):
        with torch.no_grad():
            found = estimator.estimate(decoder.generator.decode(torch.from_numpy(flat[part])))
        for attribute in estimator.schema.discrete:
            read[part, places[attribute.name]] = found.probabilities[attribute.name]
        for i, attribute in enumerate(estimator.schema.continuous):
            drawn = found.mean[attribute.name]
            if n_samples > 1:
                drawn = drawn + found.sd[attribute.name] * noise[part, i]
            read[part, places[attribute.name]] = np.clip(drawn, *attribute.range)[:, None]
        if number % 50 == 49:
            print(f"decoder: read {part.stop} of {len(flat)} decoded samples", flush=True)
    return read.reshape(n, n_samples, -1)


def _noise(n: int, n_samples: int, width: int, seed: int, *, antithetic: bool) -> Floats:
    """Standard normal, (n × n_samples, width)."""
    rng = np.random.default_rng([seed, 5])
    if not antithetic:
        return rng.standard_normal((n * n_samples, width), dtype=np.float32)
    half = rng.standard_normal((n, (n_samples + 1) // 2, 1, width), dtype=np.float32)
    both: Floats = np.concatenate([half, -half], axis=2).reshape(n, -1, width)[:, :n_samples]
    return both.reshape(-1, width)


def reading_slices(schema: AttributeSchema) -> dict[str, slice]:
    """Columns of `readings` by attribute: one for a continuous attribute, one a class otherwise."""
    places, start = {}, 0
    for attribute in schema:
        width = max(1, attribute.n_classes)
        places[attribute.name] = slice(start, start + width)
        start += width
    return places


def spread(
    schema: AttributeSchema,
    read: Floats,
    truth: dict[str, npt.NDArray[np.generic]],
    marginal: dict[str, npt.NDArray[np.generic]],
    identities: npt.NDArray[np.object_],
    n_boot: int,
    seed: int,
    excluded: Collection[str] = (),
) -> dict[str, Any]:
    """Coverage of the samples' central 90 % intervals and their skill, for continuous attributes.

    Args:
        schema: the attributes.
        read: what was read in the samples of n embeddings, (n, samples, width), see `readings`.
        truth: true values by attribute, (n,) each; images without one (NaN) do not count.
        marginal: values of the population by attribute, of the split `train`, likewise.
        identities: (n,).
        n_boot: replicates of the intervals.
        seed: of the intervals.
        excluded: attributes that are not measured.

    Returns:
        `coverage_90`, `coverage_90_interval` and `crps_skill`, by attribute; skill is 1 − CRPS / CRPS of the
        marginal, None for an attribute without any variance. All are None of single samples, which have no
        spread.

    Raises:
        ValueError: as the statistics that it calls; among others there are 2 to 18 samples.
    """
    if read.shape[1] == 1:
        return _no_spread(schema)
    places = reading_slices(schema)
    coverage, skill, intervals = {}, {}, {}
    for attribute in without(AttributeSchema(tuple(schema.continuous)), excluded):
        name, known = attribute.name, is_known(attribute, truth[attribute.name])
        samples = read[:, :, places[name].start].astype(np.float64)[known]
        true = np.asarray(truth[name], dtype=np.float64)[known]
        covered = covered_by_interval(samples, true, 0.9).astype(np.float64)
        interval = identity_mean_interval(
            covered, identities[known], n_boot=n_boot, seed=seed, clip=(0.0, 1.0)
        )
        coverage[name] = float(covered.mean())
        intervals[name] = ends(interval)
        own = crps_samples(samples, true, antithetic=True).mean()
        population = np.asarray(marginal[name], dtype=np.float64)
        reference = crps_population(population[is_known(attribute, population)], true).mean()
        skill[name] = defined(crps_skill(own, reference))
    return {"coverage_90": coverage, "coverage_90_interval": intervals, "crps_skill": skill}


def _no_spread(schema: AttributeSchema) -> dict[str, Any]:
    none: dict[str, Any] = dict.fromkeys(attribute.name for attribute in schema.continuous)
    ends = {name: [None, None] for name in none}
    return {"coverage_90": none, "coverage_90_interval": ends, "crps_skill": dict(none)}


def spread_of_table(
    schema: AttributeSchema, rows: pd.DataFrame, tested: pd.DataFrame, read: Floats, n_boot: int, seed: int
) -> dict[str, Any]:
    """`spread` with truth and population from the images table, and the counts that it stands on.

    Continuous attributes of which `train` or `test` says too little are named with the reason in
    `not_measured`.
    """
    fitted = rows[rows["split"] == "train"]
    marginal, truth = schema.known_from_table(fitted).values, schema.known_from_table(tested).values
    people = tested["identity"].to_numpy(object)
    continuous = AttributeSchema(tuple(schema.continuous))
    reasons = left_out(continuous, truth, people, "test")
    reasons |= left_out(continuous, marginal, fitted["identity"], "train")
    counts: dict[str, Any] = counts_of_known(continuous, truth, people)
    counts |= {"not_measured": reasons} if reasons else {}
    return spread(schema, read, truth, marginal, people, n_boot, seed, reasons) | counts


def ends(interval: Interval) -> list[float | None]:
    """Both ends of an interval, None for one that is not finite."""
    return [defined(interval.low), defined(interval.high)]


def defined(value: float) -> float | None:
    """The value, or None where it is not finite, for which JSON has no word."""
    return float(value) if math.isfinite(value) else None
