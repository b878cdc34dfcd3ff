"""What decoded images are worth to f: attacks of type I and II, reconstructions, the spread of the samples.

Type I: a decoded sample x̂ ~ p(x given z) is compared with the image that z came from; type II: with the
other images of that person (Mai et al., TPAMI 2019). One sample for each z, the first drawn. τ is the real
one. Each rate is also given for G alone, x̂ = G(E(x)), since that bounds what T can reach.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.attributes.heads import load_heads
from attribute_recovery.config import Compute, DecoderConfig
from attribute_recovery.dataset.store import (
    read_array,
    read_images,
    read_table,
    write_array,
    write_json,
    write_table,
)
from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.decoder.models import load_attack
from attribute_recovery.decoder.pairs import embed_codes
from attribute_recovery.decoder.spread import defined, ends, readings, spread_of_table
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.generator.quality import reconstruct
from attribute_recovery.report.figures import save_image_grid
from attribute_recovery.statistics.bootstrap import identity_mean_interval, pair_ratio_interval
from attribute_recovery.training.device import inference_dtype, prepare_torch

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

SAMPLED_SPLITS = ("calibration", "test")
# Images of the split `calibration` whose samples are decoded: some numbers are fitted to them for each
# attribute, and of 480 the share that a central interval holds is known to 2 points only. Much varies from
# person to person only, so everybody is there before anybody is twice.
CALIBRATION_IMAGES = 2000


@dataclass(frozen=True)
class AttackRates:
    """How decoded images fare against real ones at τ.

    Attributes:
        type_1: share accepted as the image they came from.
        type_2: share of pairs with other images of the person that are accepted; NaN where nobody has two.
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


def attack_rates(
    decoded: Floats, real: Floats, identities: npt.NDArray[np.object_], tau: float
) -> AttackRates:
    """Rates of decoded images' embeddings (n, d) against the real ones (n, d) that they came from."""
    cosine = (decoded * real).sum(1)
    first, second = other_images(identities)
    return AttackRates(
        type_1=float((cosine >= tau).mean()),
        type_2=_share((decoded[first] * real[second]).sum(1) >= tau),
        real=_share((real[first] * real[second]).sum(1) >= tau),
        cosine=float(cosine.mean()),
    )


def _share(flags: npt.NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else math.nan


def sample_and_attack(
    settings: DecoderConfig,
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
    recognizer_weights: Path,
    recognizer_card: Path,
    transformer_weights: Path,
    transformer_card: Path,
    samples: Path,
    samples_table: Path,
    metrics: Path,
    figure: Path,
    figure_decoded: Path,
    heads_weights: Path | None = None,
    heads_card: Path | None = None,
    samples_read: Path | None = None,
) -> dict[str, Any]:
    """Write samples of p(w given z), what heads read in them, and the attacks' rates; the entry of the stage.

    Args:
        settings: number of samples.
        seed: of samples, draws and intervals.
        n_boot: replicates of the intervals.
        compute: threads, device, precision of G and heads.
        images, table, codes, shards, threshold: what the stages before wrote.
        generator_weights, generator_card: G and E.
        recognizer_weights, recognizer_card, transformer_weights, transformer_card: f and T.
        samples: bcolz array float32 (m, samples, code_size), written; of all images of `test` and some of
            `calibration`, in antithetic pairs, see `decoder.row_noise`.
        samples_table: Parquet, image_id, identity and split of row i, written.
        metrics: JSON of what is returned, written.
        figure, figure_decoded: PNG of some people, with their real images and without, written.
        heads_weights, heads_card: the heads; None where there are none.
        samples_read: bcolz array float32 (m, samples, width), written where there are heads, see `readings`.

    Returns:
        The attacks' rates and, where there are heads, the samples' spread on the split `test`; None for what
        is not defined.

    Raises:
        ValueError: a file is missing or damaged, or two of them do not fit each other.
    """
    device = prepare_torch(compute)
    decoder, recognizer = load_attack(
        compute,
        device,
        generator=(generator_weights, generator_card),
        recognizer=(recognizer_weights, recognizer_card),
        transformer=(transformer_weights, transformer_card),
    )
    rows = read_table(table)
    chosen = sampled_rows(rows, seed)
    listed = rows.iloc[chosen].reset_index(drop=True)
    embeddings = read_embeddings(shards, listed)
    found = decoder.sample(embeddings, settings.samples, seed, antithetic=True)
    write_array(samples, iter([found]), found.shape[1:], np.dtype(np.float32), len(found))
    write_table(listed[["image_id", "identity", "split"]], samples_table)

    test = np.flatnonzero(listed["split"] == "test")
    own_codes = read_array(codes, chosen[test])
    values = attack_metrics(
        embed_codes(decoder.generator, recognizer, found[test, 0]),
        embed_codes(decoder.generator, recognizer, own_codes),
        embeddings[test],
        listed["identity"].to_numpy(object)[test],
        read_threshold(threshold),
        n_boot,
        seed,
    )
    people = listed["identity"].to_numpy(object)[test]
    if heads_weights is not None and heads_card is not None and samples_read is not None:
        estimator = load_heads(heads_weights, heads_card, device, inference_dtype(compute))
        read = readings(decoder, estimator, found, seed, antithetic=True)
        write_array(samples_read, iter([read]), read.shape[1:], np.dtype(np.float32), len(read))
        values |= spread_of_table(estimator.schema, rows, listed.iloc[test], read[test], n_boot, seed)
    values |= {"n_images": len(test), "n_identities": len(set(people))}
    values |= {"samples": settings.samples, "split": "test"}
    write_json(values, metrics)
    _draw(images, chosen[test], people, found[test], own_codes, decoder, (figure, figure_decoded))
    return values


def read_threshold(path: Path) -> float:
    """τ as the rates stage fixed it."""
    return float(json.loads(path.read_text())["value"])


def sampled_rows(table: pd.DataFrame, seed: int) -> Rows:
    """Rows of `calibration`, a seeded choice where there are many, from as many people as there are; then all
    rows of `test`; each in order. Of the table the columns `split` and `identity` are looked at."""
    held = np.flatnonzero(table["split"] == "calibration")
    if len(held) > CALIBRATION_IMAGES:
        drawn = np.random.default_rng([seed, 3]).permutation(held)
        turn = table.iloc[drawn].groupby("identity", sort=False).cumcount().to_numpy()
        held = np.sort(drawn[np.argsort(turn, kind="stable")][:CALIBRATION_IMAGES])
    return np.concatenate([held, np.flatnonzero(table["split"] == "test")])


def attack_metrics(
    attacked: Floats,
    rebuilt: Floats,
    real: Floats,
    people: npt.NDArray[np.object_],
    tau: float,
    n_boot: int,
    seed: int,
) -> dict[str, Any]:
    """Rates of both attacks, and of the reconstructions that bound them.

    Args:
        attacked: embeddings of decoded samples, (n, d).
        rebuilt: embeddings of the images' reconstructions G(E(x)), (n, d).
        real: embeddings of the images, (n, d).
        people: identities, (n,).
        tau: the threshold.
        n_boot: replicates of the intervals.
        seed: of the intervals.

    Returns:
        The metrics of `sample_and_attack`; None for a ratio or an end of an interval that is not defined.

    Raises:
        ValueError: there are fewer than 2 identities.
    """
    rates, bound = attack_rates(attacked, real, people, tau), attack_rates(rebuilt, real, people, tau)
    accepted = ((attacked * real).sum(1) >= tau).astype(np.float64)
    type_1 = identity_mean_interval(accepted, people, n_boot=n_boot, seed=seed, clip=(0.0, 1.0))
    return {
        "type_1_tar": rates.type_1,
        "type_1_tar_interval": ends(type_1),
        "type_2_tar": defined(rates.type_2),
        "type_2_tar_ratio": _ratio(rates),
        "type_2_tar_ratio_interval": _ratio_ends(attacked, real, people, tau, n_boot, seed),
        "real_tar": defined(rates.real),
        "sample_cosine": rates.cosine,
        "reconstruction_type_1_tar": bound.type_1,
        "reconstruction_tar_ratio": _ratio(bound),
        "reconstruction_tar_ratio_interval": _ratio_ends(rebuilt, real, people, tau, n_boot, seed),
        "reconstruction_cosine": bound.cosine,
        "threshold": tau,
    }


def _ratio(rates: AttackRates) -> float | None:
    return defined(rates.type_2 / rates.real) if rates.real else None


def _ratio_ends(
    decoded: Floats, real: Floats, people: npt.NDArray[np.object_], tau: float, n_boot: int, seed: int
) -> list[float | None]:
    first, second = other_images(people)
    if not len(first):
        return [None, None]
    hits = (decoded[first] * real[second]).sum(1) >= tau
    base = (real[first] * real[second]).sum(1) >= tau
    sides = (people[first], people[second])
    return ends(pair_ratio_interval(hits, base, *sides, n_boot=n_boot, seed=seed, clip=(0.0, math.inf)))


def _draw(
    images: Path,
    rows: Rows,
    people: npt.NDArray[np.object_],
    samples: Floats,
    codes: Floats,
    decoder: Decoder,
    figures: tuple[Path, Path],
) -> None:
    """With the real images, and without."""
    first_of_each = np.unique(people, return_index=True)[1][:8]
    shown = [read_images(images, rows[first_of_each]), reconstruct(decoder.generator, codes[first_of_each])]
    columns = range(min(4, samples.shape[1]))
    shown += [reconstruct(decoder.generator, samples[first_of_each, j]) for j in columns]
    titles = ["x", "G(E(x))", *(f"sample {j + 1}" for j in columns)]
    title = "Images decoded from embeddings alone: x̂ ~ p(x given z)"
    for figure, first in zip(figures, (0, 1), strict=True):
        save_image_grid(shown[first:], figure, row_titles=titles[first:], title=title)
