"""What decoded images are worth to f: attacks of type I and II, reconstructions, and the spread of the samples.

Type I: a decoded sample x̂ ~ p(x given z) is compared with the image that z came from; type II: with the other images of
that person (Mai et al., TPAMI 2019). One sample for each z, the first drawn. τ is the real one. Each rate is also given
for G alone, x̂ = G(E(x)), since that bounds what T can reach.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from attribute_recovery.attributes.heads import AttributeEstimator, load_heads
from attribute_recovery.config import Compute, DecoderSection
from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.dataset.store import open_array, read_images, read_table, write_array
from attribute_recovery.decoder.decoder import Decoder, load_decoder
from attribute_recovery.decoder.train import embed_codes
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.generator.load import load_generator
from attribute_recovery.generator.quality import reconstruct
from attribute_recovery.recognizer.load import load_recognizer
from attribute_recovery.report.figures import save_image_grid
from attribute_recovery.statistics.bootstrap import identity_mean_interval, pair_ratio_interval
from attribute_recovery.statistics.quality import covered_by_interval, crps_population, crps_samples, crps_skill
from attribute_recovery.training.device import chunks, inference_dtype, prepare_torch
from attribute_recovery.training.weights import write_card

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

SAMPLED_SPLITS = ("calibration", "test")
# Images of the split `calibration` whose samples are decoded: enough for one calibration number an attribute.
CALIBRATION_IMAGES = 600


@dataclass(frozen=True)
class AttackRates:
    """How decoded images fare against real ones at τ.

    Attributes:
        type_1: share accepted as the image they came from.
        type_2: share of pairs with other images of the person that are accepted.
        real: the same for the image itself.
        cosine: mean cosine of the decoded image's embedding with the one it came from.
    """

    type_1: float
    type_2: float
    real: float
    cosine: float


def other_images(identities: npt.NDArray[np.object_]) -> tuple[Rows, Rows]:
    """Ordered pairs (i, j), i ≠ j, of rows of the same identity."""
    same = identities[:, None] == identities[None]
    np.fill_diagonal(same, False)
    first, second = np.nonzero(same)
    return first, second


def attack_rates(decoded: Floats, real: Floats, identities: npt.NDArray[np.object_], tau: float) -> AttackRates:
    """Rates of decoded images' embeddings (n, d) against the real ones (n, d) that they came from."""
    cosine = (decoded * real).sum(1)
    first, second = other_images(identities)
    return AttackRates(
        type_1=float((cosine >= tau).mean()),
        type_2=float(((decoded[first] * real[second]).sum(1) >= tau).mean()),
        real=float(((real[first] * real[second]).sum(1) >= tau).mean()),
        cosine=float(cosine.mean()),
    )


def readings(decoder: Decoder, estimator: AttributeEstimator, codes: Floats, seed: int, *, batch_size: int = 128) -> Floats:
    """What the heads read in decoded samples: (n, samples, width) of codes (n, samples, code_size).

    A continuous attribute is one draw from its p(a given x) in its unit, a discrete one its class probabilities (all
    classes, so width is not the schema's).
    """
    n, n_samples, size = codes.shape
    flat = codes.reshape(-1, size)
    rng = np.random.default_rng([seed, 5])
    parts = []
    for number, part in enumerate(chunks(len(flat), batch_size)):
        with torch.no_grad():
            found = estimator.estimate(decoder.generator.decode(torch.from_numpy(flat[part])))
        columns = []
        for attribute in estimator.schema:
            if attribute.is_discrete:
                columns.append(found.probabilities[attribute.name])
            else:
                noise = rng.standard_normal(len(flat[part]), dtype=np.float32)
                columns.append((found.mean[attribute.name] + found.sd[attribute.name] * noise)[:, None])
        parts.append(np.concatenate(columns, axis=1))
        if number % 50 == 49:
            print(f"decoder: read {part.stop} of {len(flat)} decoded samples", flush=True)
    return np.concatenate(parts).reshape(n, n_samples, -1)


def reading_slices(schema: AttributeSchema) -> dict[str, slice]:
    """Columns of `readings` by attribute: one for a continuous attribute, one a class for a discrete one."""
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
) -> dict[str, Any]:
    """Coverage of the samples' central 90 % intervals and skill of their distribution, for continuous attributes.

    Skill is 1 − CRPS / CRPS of the marginal, the attribute's values in the split `train`.
    """
    places = reading_slices(schema)
    coverage, skill, intervals = {}, {}, {}
    for attribute in schema.continuous:
        name = attribute.name
        samples = read[:, :, places[name].start].astype(np.float64)
        true = np.asarray(truth[name], dtype=np.float64)
        covered = covered_by_interval(samples, true, 0.9).astype(np.float64)
        interval = identity_mean_interval(covered, identities, n_boot=n_boot, seed=seed, clip=(0.0, 1.0))
        coverage[name] = float(covered.mean())
        intervals[name] = [interval.low, interval.high]
        own = crps_samples(samples, true).mean()
        skill[name] = float(crps_skill(own, crps_population(np.asarray(marginal[name], dtype=np.float64), true).mean()))
    return {"coverage_90": coverage, "coverage_90_interval": intervals, "crps_skill": skill}


def sample_and_attack(
    settings: DecoderSection,
    seed: int,
    n_boot: int,
    compute: Compute,
    *,
    images: Path,
    table: Path,
    codes: Path,
    shards: Path,
    threshold: Path,
    generator_weights: Path,
    generator_card: Path,
    heads_weights: Path,
    heads_card: Path,
    recognizer_weights: Path,
    recognizer_card: Path,
    transformer_weights: Path,
    transformer_card: Path,
    samples: Path,
    samples_read: Path,
    samples_table: Path,
    metrics: Path,
    figure: Path,
) -> dict[str, Any]:
    """Write samples of p(w given z) for calibration and test, what the heads read in them, and the attacks' rates."""
    device = prepare_torch(compute)
    dtype = inference_dtype(compute)
    generator = load_generator(generator_weights, generator_card, device, dtype)
    recognizer = load_recognizer(recognizer_weights, recognizer_card, device)
    estimator = load_heads(heads_weights, heads_card, device, dtype)
    decoder = load_decoder(transformer_weights, transformer_card, generator)
    rows = read_table(table)
    chosen = _sampled_rows(rows["split"].to_numpy(), seed)
    embeddings = read_embeddings(shards, rows.iloc[chosen])
    found = decoder.sample(embeddings, settings.samples, seed)
    read = readings(decoder, estimator, found, seed)
    write_array(samples, iter([found]), found.shape[1:], np.dtype(np.float32), len(found))
    write_array(samples_read, iter([read]), read.shape[1:], np.dtype(np.float32), len(read))
    listed = rows.iloc[chosen][["image_id", "identity", "split"]].reset_index(drop=True)
    listed.to_parquet(samples_table)

    test = np.flatnonzero(listed["split"] == "test")
    tau = float(read_threshold(threshold))
    people = listed["identity"].to_numpy()[test]
    real = embeddings[test]
    attacked = embed_codes(generator, recognizer, found[test, 0])
    own_codes = open_array(codes)[:][chosen[test]]
    rebuilt = embed_codes(generator, recognizer, own_codes)
    values = _attack_metrics(attacked, rebuilt, real, people, tau, n_boot, seed)
    schema = estimator.schema
    truth = schema.from_table(rows.iloc[chosen[test]])
    marginal = schema.from_table(rows[rows["split"] == "train"])
    values |= spread(schema, read[test], truth, marginal, people, n_boot, seed)
    values |= {"n_images": len(test), "n_identities": len(set(people)), "split": "test", "samples": settings.samples}
    write_card(metrics, values)
    _draw(images, chosen[test], people, found[test], own_codes, decoder, figure)
    return values


def read_threshold(path: Path) -> float:
    """τ as the rates stage fixed it."""
    import json

    return float(json.loads(path.read_text())["value"])


def _sampled_rows(split: npt.NDArray[np.object_], seed: int) -> Rows:
    """All rows of `test`, and of `calibration` a seeded choice, in the table's order."""
    held = np.flatnonzero(split == "calibration")
    if len(held) > CALIBRATION_IMAGES:
        held = np.sort(np.random.default_rng([seed, 3]).choice(held, CALIBRATION_IMAGES, replace=False))
    return np.concatenate([held, np.flatnonzero(split == "test")])


def _attack_metrics(
    attacked: Floats,
    rebuilt: Floats,
    real: Floats,
    people: npt.NDArray[np.object_],
    tau: float,
    n_boot: int,
    seed: int,
) -> dict[str, Any]:
    rates, bound = attack_rates(attacked, real, people, tau), attack_rates(rebuilt, real, people, tau)
    first, second = other_images(people)
    hits = ((attacked[first] * real[second]).sum(1) >= tau).astype(np.float64)
    base = ((real[first] * real[second]).sum(1) >= tau).astype(np.float64)
    ratio = pair_ratio_interval(hits, base, people[first], people[second], n_boot=n_boot, seed=seed)
    accepted = ((attacked * real).sum(1) >= tau).astype(np.float64)
    type_1 = identity_mean_interval(accepted, people, n_boot=n_boot, seed=seed, clip=(0.0, 1.0))
    return {
        "type_1_tar": rates.type_1,
        "type_1_tar_interval": [type_1.low, type_1.high],
        "type_2_tar": rates.type_2,
        "type_2_tar_ratio": rates.type_2 / rates.real if rates.real else 0.0,
        "type_2_tar_ratio_interval": [ratio.low, ratio.high],
        "real_tar": rates.real,
        "sample_cosine": rates.cosine,
        "reconstruction_type_1_tar": bound.type_1,
        "reconstruction_tar_ratio": bound.type_2 / bound.real if bound.real else 0.0,
        "reconstruction_cosine": bound.cosine,
        "threshold": tau,
    }


def _draw(
    images: Path,
    rows: Rows,
    people: npt.NDArray[np.object_],
    samples: Floats,
    codes: Floats,
    decoder: Decoder,
    figure: Path,
) -> None:
    first_of_each = np.unique(people, return_index=True)[1][:8]
    shown = [read_images(images, rows[first_of_each]), reconstruct(decoder.generator, codes[first_of_each])]
    shown += [reconstruct(decoder.generator, samples[first_of_each, j]) for j in range(4)]
    titles = ["x", "G(E(x))", *(f"sample {j + 1}" for j in range(4))]
    save_image_grid(shown, figure, row_titles=titles, title="Images decoded from embeddings alone: x̂ ~ p(x given z)")
