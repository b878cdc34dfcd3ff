"""p(a given z) for every sampled image of `calibration` and `test`, and how far it can be trusted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.config import Compute, RecoverySection
from attribute_recovery.dataset.attributes import AttributeSchema, read_schema
from attribute_recovery.dataset.store import (
    read_array,
    read_parquet,
    read_table,
    rows_of,
    write_json,
    write_table,
)
from attribute_recovery.decoder.attacks import reading_slices
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.recovery.forecast import marginals
from attribute_recovery.recovery.measure import by_figure, measure_route, without_nan
from attribute_recovery.recovery.probe import Labelled, probe
from attribute_recovery.recovery.reliability import draw_reliability
from attribute_recovery.recovery.routes import DiscreteForecast, Forecast, Routes, routes
from attribute_recovery.statistics.inputs import BoolArray
from attribute_recovery.training.device import prepare_torch

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

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
    readings = probe(schema, fitted, seen.rows(held), seen.embeddings[~held], settings, seed, device.type)
    read = _readings_of(read_array(samples_read)[order], schema)
    reference = marginals(schema, fitted.values, fitted.identities)
    found = {
        a.name: routes(a, read[a.name], readings, np.asarray(seen.values[a.name]), held, reference[a.name])
        for a in schema
    }
    write_table(recovered_table(sampled, schema, seen.values, found), recovered)
    values = measure_recovery(found, seen, held, fitted, n_boot, seed)
    write_json(values, metrics)
    forecasts = {
        "decoder": {name: one.decoder.part(~held) for name, one in found.items()},
        "probe": {name: one.probe.part(~held) for name, one in found.items()},
    }
    draw_reliability(forecasts, seen.rows(~held).values, figures)
    return values


def recovered_table(
    sampled: pd.DataFrame, schema: AttributeSchema, truth: Values, found: Mapping[str, Routes]
) -> pd.DataFrame:
    """The table of recovered attributes, one row an image, float32.

    Columns: `image_id`, `identity`, `split`; the truth as `attribute.<name>`, as in images.parquet; and
        calibrated, for
    a continuous attribute `recovered.<name>.mean`, `.sd` and the quantiles `.q05`, `.q25`, `.q50`, `.q75`,
    `.q95` of the samples, `probe.<name>.mean` and `.sd`; for a discrete one the class probabilities
    `recovered.<name>.<class>` and `probe.<name>.<class>`.
    """
    columns: dict[str, npt.NDArray[np.generic]] = {}
    for attribute in schema:
        one = found[attribute.name]
        for prefix, forecast in (("recovered", one.decoder), ("probe", one.probe)):
            for ending, column in _columns(forecast, attribute.categories).items():
                columns[f"{prefix}.{attribute.name}.{ending}"] = column.astype(np.float32)
    keys = sampled[["image_id", "identity", "split"]].reset_index(drop=True)
    return pd.concat([keys, schema.to_table(truth), pd.DataFrame(columns)], axis=1)


def _columns(forecast: Forecast, categories: tuple[str, ...]) -> dict[str, npt.NDArray[np.float64]]:
    if isinstance(forecast, DiscreteForecast):
        return dict(zip(categories, forecast.probabilities.T, strict=True))
    columns = {"mean": forecast.mean, "sd": forecast.sd}
    if forecast.samples is not None:
        levels = np.quantile(forecast.samples, QUANTILES, axis=1, method="weibull")
        columns |= {f"q{round(100 * level):02d}": row for level, row in zip(QUANTILES, levels, strict=True)}
    return columns


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
        chosen route; counts.
    """
    test = seen.rows(~held)
    values: dict[str, Any] = {}
    for route in ("decoder", "probe"):
        measured = []
        for name, one in found.items():
            forecast = (one.decoder if route == "decoder" else one.probe).part(~held)
            population = np.asarray(fitted.values[name], dtype=np.float64)
            measured.append(
                (
                    name,
                    measure_route(
                        forecast, test.values[name], one, population, test.identities, n_boot, seed
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
    result: dict[str, Any] = without_nan(values | counts)
    return result


def _labelled(schema: AttributeSchema, rows: pd.DataFrame, shards: Path) -> Labelled:
    return Labelled(read_embeddings(shards, rows), rows["identity"].to_numpy(object), schema.from_table(rows))


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
