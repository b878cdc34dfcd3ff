"""What is decoded from embeddings with the renderer in G's place, beside the product's own of the same
images: samples against the truth, recovery against the probe, attacks, and moved embeddings."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.counterfactuals.explain import flip_rate
from attribute_recovery.counterfactuals.geodesic import flip_embeddings
from attribute_recovery.dataset.store import read_parquet, write_array
from attribute_recovery.decoder.attacks import attack_metrics
from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.decoder.pairs import embed_codes
from attribute_recovery.decoder.spread import spread_of_table
from attribute_recovery.recovery.recover import recover_attributes
from benchmarks.validation.finished_run import FinishedRun
from benchmarks.validation.forecasts.new_people import Recovery, recovery_of_rows
from benchmarks.validation.forecasts.recovery_loss import loss_of
from benchmarks.validation.forecasts.samples_calibrated import coverage_of, ece_of, score_of, slope_of
from benchmarks.validation.in_place.rendered_decoder import Ground
from benchmarks.validation.outcome import Found

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

PRODUCT, IN_PLACE = "product", "in_place"
SPREAD = ("coverage_90", "crps_skill")
ATTACKS = (
    "type_1_tar",
    "type_1_tar_interval",
    "type_2_tar_ratio",
    "type_2_tar_ratio_interval",
    "sample_cosine",
)


def metrics_of(run: FinishedRun, name: str) -> dict[str, Any]:
    """The figures of a stage.

    Raises:
        ValueError: the file is missing.
    """
    path = run.of_recognizer(name)
    if not path.is_file():
        raise ValueError(f"{path}: is missing, expected the figures of a finished run")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _sampled(ground: Ground) -> tuple[pd.DataFrame, Rows, Rows]:
    """The images whose samples the run has, their rows in the images table, and which are of `test`."""
    listed = read_parquet(ground.run.of_recognizer("decoder/samples.parquet"))
    test = np.flatnonzero((listed["split"] == "test").to_numpy())
    return listed, ground.places(listed["image_id"]), test


def samples(ground: Ground, decoder: Decoder) -> Found:
    """Spread of the samples, and what is recovered from them, calibrated; by `PRODUCT` and `IN_PLACE`."""
    run = ground.run
    _, places, test = _sampled(ground)
    settings, n_boot = run.config.decoder, run.config.significance.bootstrap
    drawn = decoder.sample(ground.embeddings(places), settings.samples, run.config.seed, antithetic=True)
    read = ground.codes.readings(drawn)
    tested = ground.images.iloc[places[test]]
    spread = spread_of_table(run.schema, ground.images, tested, read[test], n_boot, run.config.seed)
    own = metrics_of(run, "decoder/metrics.json")
    rows = read_parquet(run.of_recognizer("recovery/recovered.parquet"))
    fitted = ground.images[ground.images["split"] == "train"]
    recovered = recovery_of_rows(run.schema, rows, fitted, metrics_of(run, "recovery/metrics.json"))
    return {
        "images": len(test),
        "people": len(set(tested["identity"])),
        "samples": settings.samples,
        "spread": {
            PRODUCT: {name: own[name] for name in SPREAD},
            IN_PLACE: {name: spread[name] for name in SPREAD},
        },
        "recovery": {PRODUCT: figures_of(recovered), IN_PLACE: figures_of(_recovered(ground, read, fitted))},
    }


def _recovered(ground: Ground, read: Floats, fitted: pd.DataFrame) -> Recovery:
    """Recovered by the product's own stage, from these readings in the place of the heads'."""
    run = ground.run
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        path = folder / "samples_read.bcolz"
        write_array(path, iter([read]), read.shape[1:], np.dtype(np.float32), len(read))
        metrics = recover_attributes(
            run.config.recovery,
            run.config.seed,
            run.config.significance.bootstrap,
            run.compute,
            table=run.folder / "dataset" / "images.parquet",
            attributes=run.folder / "dataset" / "attributes.json",
            shards=run.shards(),
            samples_read=path,
            samples_table=run.of_recognizer("decoder/samples.parquet"),
            recovered=folder / "recovered.parquet",
            metrics=folder / "metrics.json",
            figures=folder / "reliability.png",
        )
        rows = read_parquet(folder / "recovered.parquet")
    return recovery_of_rows(run.schema, rows, fitted, metrics)


def figures_of(recovery: Recovery) -> dict[str, Any]:
    """What the rows "samples-calibrated" and "recovery-loses-little" look at, by attribute."""
    figures: dict[str, Any] = {"coverage": {}, "slope": {}, "ece": {}, "score": {}, "loss": {}}
    for attribute in recovery.schema:
        name = attribute.name
        if attribute.is_discrete:
            figures["slope"][name] = list(slope_of(recovery, name))
            figures["ece"][name] = ece_of(recovery, name)
        elif f"recovered.{name}.q05" in recovery.rows:
            covered = coverage_of(recovery, name)
            figures["coverage"][name] = {str(round(100 * level)): each for level, each in covered.items()}
        score, loss = score_of(recovery, name), loss_of(recovery, name)
        figures["score"][name] = {
            "ratio": score.ratio,
            "kept": bool(score.kept),
            "better_than_marginal": bool(score.better_than_marginal),
        }
        figures["loss"][name] = {
            "discrete": loss.discrete,
            "probe": loss.probe,
            "decoder": loss.decoder,
            "allowed": loss.allowed,
        }
    return figures


def attacks(ground: Ground, decoder: Decoder) -> Found:
    """Rates of both attacks with the first sample of each test image, by `PRODUCT` and `IN_PLACE`."""
    run = ground.run
    listed, places, test = _sampled(ground)
    embeddings = ground.embeddings(places)
    first = decoder.sample(embeddings, 1, run.config.seed)[test, 0]
    attacked = embed_codes(decoder.generator, ground.camera.recognizer, first)
    real, people = embeddings[test], listed["identity"].to_numpy(object)[test]
    found = attack_metrics(
        attacked, real, real, people, ground.tau, run.config.significance.bootstrap, run.config.seed
    )
    own = metrics_of(run, "decoder/metrics.json")
    bounds = ("reconstruction_type_1_tar", "reconstruction_tar_ratio", "reconstruction_cosine")
    return {
        "images": len(test),
        PRODUCT: {name: own[name] for name in ATTACKS},
        IN_PLACE: {name: found[name] for name in ATTACKS},
        "reconstruction": {name: own[name] for name in bounds},
    }


def moved(ground: Ground, decoder: Decoder) -> Found:
    """Flips of the pairs of the run's representation counterfactuals where z is moved along the geodesic, by
    direction: `PRODUCT` and `IN_PLACE`, each with its interval."""
    run = ground.run
    table = read_parquet(run.of_recognizer("counterfactuals/representation.parquet"))
    n_boot, seed = run.config.significance.bootstrap, run.config.seed
    found: Found = {}
    for direction, pairs in table.groupby("direction", sort=False):
        first, second = (ground.places(pairs[name]) for name in ("image_id", "other_image_id"))
        flipped = _flipped(ground, decoder, first, second)
        identities = ground.images["identity"].to_numpy(object)
        people = identities[first], identities[second]
        own = pairs["flipped_on_geodesic"].to_numpy(bool)
        found[str(direction)] = {
            "pairs": len(pairs),
            PRODUCT: flip_rate(own, *people, n_boot, seed),
            IN_PLACE: flip_rate(flipped, *people, n_boot, seed),
            "steered": float(pairs["flipped"].mean()),
        }
    return found


def _flipped(ground: Ground, decoder: Decoder, first: Rows, second: Rows) -> npt.NDArray[np.bool_]:
    """Whether decoded images of moved embeddings flip the decision that those of unmoved ones kept, (n,)."""
    run, recognizer = ground.run, ground.camera.recognizer
    z, other = (ground.embeddings(rows).astype(np.float64) for rows in (first, second))
    matched = (z * other).sum(1) >= ground.tau
    ahead = flip_embeddings(z, other, ground.tau, travel=run.config.counterfactuals.travel).moved
    decided = []
    for each in (z, ahead):
        codes = decoder.sample(each.astype(np.float32), 1, run.config.seed)[:, 0]
        embedded = embed_codes(decoder.generator, recognizer, codes)
        decided.append((embedded * other).sum(1) >= ground.tau)
    return np.asarray((decided[0] == matched) & (decided[1] != matched))


def by_way(found: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    """A figure of the product, and with the renderer in G's place."""
    return found[PRODUCT][name], found[IN_PLACE][name]
