"""p(a given z) for every sampled image of `calibration` and `test`, and how far it can be trusted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.config import Compute, RecoverySection
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema, read_schema
from attribute_recovery.dataset.known import counts_of_known, is_known, left_out, without
from attribute_recovery.dataset.store import (
    read_array,
    read_parquet,
    read_table,
    rows_of,
    write_json,
    write_table,
)
from attribute_recovery.decoder.spread import reading_slices
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.recovery.forecast import marginals
from attribute_recovery.recovery.measure import by_figure, measure_route, without_nan
from attribute_recovery.recovery.probe import Labelled, probe
from attribute_recovery.recovery.reliability import draw_reliability
from attribute_recovery.recovery.routes import DiscreteForecast, Forecast, Routes, routes
from attribute_recovery.statistics.inputs import BoolArray, FloatArray
from attribute_recovery.training.device import prepare_torch

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Columns that give the whole distribution of a continuous attribute, see `forecast.Tilted`.
TILT = ("location", "scale", "contamination")

Values = Mapping[str, npt.NDArray[np.generic]]


def recover_attributes(
    settings: RecoverySection,
    seed: int,
    n_boot: int,
    compute: Compute,
    *,
    table: Path,
    attributes: Path,
    shards: Path,
    samples_read: Path,
    samples_table: Path,
    recovered: Path,
    metrics: Path,
    figures: Path,
) -> dict[str, Any]:
    """Write what is recovered of each sampled image, how good that is on `test`, and the reliability figure.

    Each attribute is learned, calibrated and measured on the images where it is known, and forecast for all.
    One of which a split says too little (`dataset.known.too_little`) is named in the metrics with the reason:
    in `not_recovered` from `train`, without forecasts; in `not_calibrated` on `calibration`, with forecasts
    as they are; in `not_measured` on `test`.

    Args:
        settings: of the probe.
        seed: of probe and intervals.
        n_boot: replicates of the intervals.
        compute: threads and device.
        table: images.parquet.
        attributes: attributes.json.
        shards: embeddings.
        samples_read: bcolz array (m, s, width), what the heads read in decoded samples.
        samples_table: Parquet, the image of each of its rows.
        recovered: Parquet to write, see `recovered_table`.
        metrics: JSON to write.
        figures: PNG to write.

    Returns:
        The metrics, see `measure_recovery`.

    Raises:
        ValueError: a file is missing or damaged, files do not fit each other, or a continuous attribute has
            an atom.
    """
    device = prepare_torch(compute)
    schema, images, sampled = read_schema(attributes), read_table(table), read_parquet(samples_table)
    order = np.argsort(sampled["split"].to_numpy() != "calibration", kind="stable")  # as the probe gives them
    sampled = sampled.iloc[order].reset_index(drop=True)
    held = (sampled["split"] == "calibration").to_numpy()
    fitted = _labelled(schema, images.iloc[rows_of(images, "train")], shards)
    seen = _labelled(schema, _rows_of_images(images, sampled, samples_table), shards)
    read = _readings_of(read_array(samples_read)[order], schema)
    found, reasons = _routes_of(schema, fitted, seen, held, read, settings, seed, device.type)
    write_table(recovered_table(sampled, schema, seen.values, found), recovered)
    values = measure_recovery(found, seen, held, fitted, n_boot, seed) | reasons
    write_json(values, metrics)
    tested = {
        name: ~held & is_known(one.attribute, seen.values[name])
        for name, one in found.items()
        if name not in values.get("not_measured", {})
    }
    forecasts = {
        "decoder": {name: found[name].decoder.part(rows) for name, rows in tested.items()},
        "probe": {name: found[name].probe.part(rows) for name, rows in tested.items()},
    }
    draw_reliability(
        forecasts, {name: np.asarray(seen.values[name])[rows] for name, rows in tested.items()}, figures
    )
    return values


def _routes_of(
    schema: AttributeSchema,
    fitted: Labelled,
    seen: Labelled,
    held: BoolArray,
    read: Mapping[str, FloatArray],
    settings: RecoverySection,
    seed: int,
    device: str,
) -> tuple[dict[str, Routes], dict[str, dict[str, str]]]:
    """Routes of all attributes that can be recovered; and why others cannot, or are not calibrated."""
    not_recovered = left_out(schema, fitted.values, fitted.identities, "train")
    learned, calibration = without(schema, not_recovered), seen.rows(held)
    not_calibrated = left_out(learned, calibration.values, calibration.identities, "calibration")
    found: dict[str, Routes] = {}
    if len(learned):
        readings = probe(learned, fitted, calibration, seen.embeddings[~held], settings, seed, device)
        reference = marginals(learned, fitted.values, fitted.identities)
        known = {a.name: read[a.name] for a in learned}
        for a in learned:
            truth = np.asarray(seen.values[a.name])
            usable = held & is_known(a, truth) & (a.name not in not_calibrated)
            found[a.name] = routes(a, known, readings, truth, usable, reference[a.name])
    reasons = {"not_recovered": not_recovered, "not_calibrated": not_calibrated}
    return found, {key: told for key, told in reasons.items() if told}


def recovered_table(
    sampled: pd.DataFrame, schema: AttributeSchema, truth: Values, found: Mapping[str, Routes]
) -> pd.DataFrame:
    """The table of recovered attributes, one row an image, float32; null for an attribute without routes.

    Columns: `image_id`, `identity`, `split`; the truth as `attribute.<name>`, as in images.parquet; and
    calibrated, for a continuous attribute `recovered.<name>.mean`, `.sd`, the quantiles `.q05`, `.q25`,
    `.q50`, `.q75`, `.q95`, and `.location`, `.scale`, `.contamination`, which give the whole distribution
    (`forecast.Tilted`); for a discrete one the class probabilities `recovered.<name>.<class>`; and the same
    with `probe.` for the other route.
    """
    columns: dict[str, npt.NDArray[np.generic]] = {}
    for attribute in schema:
        one = found.get(attribute.name)
        if one is None:
            nothing = np.full(len(sampled), np.nan, np.float32)
            columns |= dict.fromkeys(_names_of_columns(attribute), nothing)
            continue
        for prefix, forecast in (("recovered", one.decoder), ("probe", one.probe)):
            for ending, column in _columns(forecast, attribute.categories).items():
                columns[f"{prefix}.{attribute.name}.{ending}"] = column.astype(np.float32)
    keys = sampled[["image_id", "identity", "split"]].reset_index(drop=True)
    return pd.concat([keys, schema.to_table(truth), pd.DataFrame(columns)], axis=1)


def _columns(forecast: Forecast, categories: tuple[str, ...]) -> dict[str, npt.NDArray[np.float64]]:
    if isinstance(forecast, DiscreteForecast):
        return dict(zip(categories, forecast.probabilities.T, strict=True))
    tilted, n = forecast.tilted, len(forecast.mean)
    columns = {
        "mean": forecast.mean,
        "sd": forecast.sd,
        "location": forecast.mean if tilted is None else tilted.location,
        "scale": forecast.sd if tilted is None else tilted.scale,
        "contamination": np.full(n, 0.0 if tilted is None else tilted.contamination),
    }
    levels = zip(QUANTILES, forecast.quantiles(QUANTILES), strict=True)
    return columns | {f"q{round(100 * level):02d}": row for level, row in levels}


def _names_of_columns(attribute: Attribute) -> list[str]:
    quantiles = tuple(f"q{round(100 * level):02d}" for level in QUANTILES)
    endings = attribute.categories or ("mean", "sd", *TILT, *quantiles)
    return [f"{route}.{attribute.name}.{ending}" for route in ("recovered", "probe") for ending in endings]


def measure_recovery(
    found: Mapping[str, Routes], seen: Labelled, held: BoolArray, fitted: Labelled, n_boot: int, seed: int
) -> dict[str, Any]:
    """Figures on the split `test`, of both routes: `<route>.<figure>.<attribute>`, see `measure_route`.

    Args:
        found: routes of all images by attribute.
        seen: these images with their truth.
        held: marks those of `calibration`, which are left out.
        fitted: the split `train`, the population.
        n_boot: replicates of the intervals.
        seed: of the intervals.

    Returns:
        `decoder` and `probe`, each figure by attribute; `chosen.<attribute>` (the better route on
        `calibration`), `probe_kind.<attribute>`; medians over attributes of R² and balanced accuracy of the
        chosen route; counts, also of the images on which an attribute with missing values is known;
        `not_measured.<attribute>`, the reason.
    """
    test = seen.rows(~held)
    schema = AttributeSchema(tuple(one.attribute for one in found.values()))
    not_measured = left_out(schema, test.values, test.identities, "test")
    values: dict[str, Any] = {}
    for route in ("decoder", "probe"):
        measured = []
        for attribute in without(schema, not_measured):
            name, one = attribute.name, found[attribute.name]
            known = is_known(attribute, test.values[name])
            forecast = (one.decoder if route == "decoder" else one.probe).part(~held).part(known)
            population = np.asarray(fitted.values[name], dtype=np.float64)
            measured.append(
                (
                    name,
                    measure_route(
                        forecast,
                        test.values[name][known],
                        one,
                        population[is_known(attribute, fitted.values[name])],
                        test.identities[known],
                        n_boot,
                        seed,
                    ),
                )
            )
        values[route] = by_figure(measured)
    values["chosen"] = {name: one.chosen for name, one in found.items()}
    values["probe_kind"] = {name: one.probe_kind for name, one in found.items()}
    for figure in ("r2", "balanced_accuracy"):
        chosen = [
            values[one.chosen][figure][name]
            for name, one in found.items()
            if name in values["decoder"].get(figure, {})
        ]
        if chosen:
            values[f"median_{figure}"] = float(np.median(chosen))
    counts = {"n_images": len(test.embeddings), "n_identities": len(set(test.identities)), "split": "test"}
    values |= counts | counts_of_known(schema, test.values, test.identities)
    values |= {"not_measured": not_measured} if not_measured else {}
    result: dict[str, Any] = without_nan(values)
    return result


def _labelled(schema: AttributeSchema, rows: pd.DataFrame, shards: Path) -> Labelled:
    values = schema.known_from_table(rows).values
    return Labelled(read_embeddings(shards, rows), rows["identity"].to_numpy(object), values)


def _rows_of_images(images: pd.DataFrame, sampled: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The rows of the images table that the samples belong to, in the samples' order."""
    places = pd.Index(images["image_id"]).get_indexer(sampled["image_id"])
    if (places < 0).any():
        missing = sampled["image_id"][places < 0].iloc[0]
        raise ValueError(f"{path}: image {missing!r} is not in the images table; both must be of one run")
    found: pd.DataFrame = images.iloc[places]
    return found


def _readings_of(read: npt.NDArray[Any], schema: AttributeSchema) -> dict[str, npt.NDArray[np.float64]]:
    """What the heads read in decoded samples by attribute, (m, s, 1) or (m, s, classes)."""
    return {name: read[:, :, place].astype(np.float64) for name, place in reading_slices(schema).items()}
