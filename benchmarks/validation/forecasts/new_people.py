"""People whom the run has never seen: drawn by its population from another seed, rendered, embedded, decoded
and read; then recovered by the product's own functions with the run's training and calibration images.

Two rows ask about them. Everybody has one image, so that images are independent and the figures of attributes
that belong to the person rest on as many people as there are images.
"""

import base64
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.dataset.attributes import AttributeSchema, write_schema
from attribute_recovery.dataset.prepare import draw_people, population_of
from attribute_recovery.dataset.store import read_array, read_parquet, write_array, write_table
from attribute_recovery.decoder.models import load_models
from attribute_recovery.decoder.spread import readings
from attribute_recovery.embeddings.store import read_embeddings, write_embeddings
from attribute_recovery.recovery.recover import recover_attributes
from attribute_recovery.recovery.routes import gains
from attribute_recovery.significance.forecasts import PREFIXES, Recovered, recovered_attributes
from attribute_recovery.statistics.inputs import FloatArray
from attribute_recovery.training.device import prepare_torch
from benchmarks.validation.finished_run import FinishedRun, camera_of, finished_run, of_test
from benchmarks.validation.outcome import Chunk, Found

Floats = npt.NDArray[np.float32]

PEOPLE, PER_CHUNK = 2400, 200
# Added to the run's seed with the validation's: nobody is drawn as the run drew them.
OTHER_PEOPLE = 1_000_000


@dataclass(frozen=True)
class Recovery:
    """What was recovered of the new people.

    Attributes:
        schema: the attributes that both routes forecast.
        rows: of recovered.parquet, one a person.
        by_route: forecasts with truth and marginal by route, "decoder" and "probe", and attribute.
        metrics: of the stage, see `recovery.recover.measure_recovery`.
    """

    schema: AttributeSchema
    rows: pd.DataFrame
    by_route: dict[str, dict[str, Recovered]]
    metrics: dict[str, Any]

    @property
    def people(self) -> npt.NDArray[np.object_]:
        """Who is seen in each row, (n,)."""
        return self.rows["identity"].to_numpy(object)

    def gain(self, route: str, name: str) -> FloatArray:
        """What each image's forecast knows beyond the marginal, in nats, (n,)."""
        one = self.by_route[route][name]
        return gains(one.forecast, one.truth, one.marginal)


def plan(quick: bool, seed: int) -> dict[str, Chunk]:
    """The chunks by name.

    Raises:
        ValueError: The run is not finished.
    """
    run = finished_run()
    people, each = (24, 12) if quick else (PEOPLE, PER_CHUNK)
    return {
        f"people-{first:04d}": {
            "run": run.digest,
            "first": first,
            "count": each,
            "people": people,
            "seed": seed,
        }
        for first in range(0, people, each)
    }


def work(chunk: Chunk) -> Found:
    """Embeddings of some of the people, and what heads read in the samples decoded from them.

    Raises:
        ValueError: The run has changed, or a file of it is missing or damaged.
    """
    run = finished_run(chunk["run"])
    device = prepare_torch(run.compute)
    schema = run.schema
    _, values = _drawn(run, chunk["people"], chunk["seed"])
    mine = slice(chunk["first"], chunk["first"] + chunk["count"])
    encoded = schema.encode({name: column[mine] for name, column in values.items()})
    models = load_models(
        run.compute,
        device,
        generator=run.generator,
        heads=run.heads,
        recognizer=run.f,
        transformer=run.transformer,
    )
    embeddings = camera_of(run, chunk["people"], device).embed(encoded)
    seed = _seed_of(run, chunk["seed"]) + chunk["first"]
    codes = models.decoder.sample(embeddings, run.config.decoder.samples, seed, antithetic=True)
    read = readings(models.decoder, models.estimator, codes, seed, antithetic=True)
    kept = {key: chunk[key] for key in ("run", "first", "people", "seed")}
    return kept | {"embeddings": packed(embeddings), "read": packed(read)}


def _seed_of(run: FinishedRun, seed: int) -> int:
    return run.config.seed + OTHER_PEOPLE + seed


def _drawn(
    run: FinishedRun, people: int, seed: int
) -> tuple[pd.DataFrame, dict[str, npt.NDArray[np.generic]]]:
    """Key columns and attributes of so many people with one image each."""
    world = of_test(run.world, people, 1)
    table, values = draw_people(population_of(run.world), world, _seed_of(run, seed))
    for name in ("image_id", "identity"):
        table[name] = "new-" + table[name]
    return table.assign(sha256=""), values


def packed(array: Floats) -> dict[str, Any]:
    """A float32 array as JSON holds it: every bit, and a quarter of the room that digits take."""
    data = base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode()
    return {"shape": list(array.shape), "float32": data}


def unpacked(told: Mapping[str, Any]) -> Floats:
    """The array of `packed`."""
    values = np.frombuffer(base64.b64decode(told["float32"]), dtype="<f4")
    return values.reshape(told["shape"]).astype(np.float32)


def recovery_of(found: Mapping[str, Found]) -> Recovery:
    """Recover the attributes of all people, in the run's own way: its training images teach the probe, its
    calibration images calibrate both routes, and the new people stand in the place of `test`.

    Args:
        found: what the chunks found.

    Raises:
        ValueError: The run has changed, or a file of it is missing or damaged.
    """
    parts = sorted(found.values(), key=lambda part: part["first"])
    run = finished_run(parts[0]["run"])
    people, values = _drawn(run, parts[0]["people"], parts[0]["seed"])
    embeddings = np.concatenate([unpacked(part["embeddings"]) for part in parts])
    read = np.concatenate([unpacked(part["read"]) for part in parts])
    schema, images = run.schema, run.images()
    kept = images[images["split"].isin(["train", "calibration"])]
    new = pd.concat([people, schema.to_table(values)], axis=1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        table = pd.concat([kept, new[kept.columns]], ignore_index=True)
        write_table(table, folder / "images.parquet")
        write_schema(schema, folder / "attributes.json")
        features = np.concatenate([read_embeddings(run.shards(), kept), embeddings])
        write_embeddings(folder / "shards", table["image_id"].tolist(), features, count=1)
        _write_samples(run, people, read, folder)
        metrics = recover_attributes(
            run.config.recovery,
            run.config.seed,
            run.config.significance.bootstrap,
            run.compute,
            table=folder / "images.parquet",
            attributes=folder / "attributes.json",
            shards=folder / "shards",
            samples_read=folder / "samples_read.bcolz",
            samples_table=folder / "samples.parquet",
            recovered=folder / "recovered.parquet",
            metrics=folder / "metrics.json",
            figures=folder / "reliability.png",
        )
        rows = read_parquet(folder / "recovered.parquet")
    return recovery_of_rows(schema, rows, kept[kept["split"] == "train"], metrics)


def _write_samples(run: FinishedRun, people: pd.DataFrame, read: Floats, folder: Path) -> None:
    """What was read in the run's own samples of `calibration`, and in those of the new people."""
    listed = read_parquet(run.of_recognizer("decoder/samples.parquet"))
    held = np.flatnonzero(listed["split"] == "calibration")
    both = np.concatenate([read_array(run.of_recognizer("decoder/samples_read.bcolz"), held), read])
    keys = ["image_id", "identity", "split"]
    write_table(
        pd.concat([listed.iloc[held][keys], people[keys]], ignore_index=True), folder / "samples.parquet"
    )
    write_array(folder / "samples_read.bcolz", iter([both]), both.shape[1:], np.dtype(np.float32), len(both))


def recovery_of_rows(
    schema: AttributeSchema, rows: pd.DataFrame, fitted: pd.DataFrame, metrics: dict[str, Any]
) -> Recovery:
    """What was recovered of the split `test`, as the rows about new people take it.

    Args:
        schema: the attributes.
        rows: of recovered.parquet.
        fitted: the images table's rows of `train`.
        metrics: of the stage.
    """
    tested = rows[rows["split"] == "test"].reset_index(drop=True)
    measured = metrics["decoder"]["information"]
    known = AttributeSchema(tuple(attribute for attribute in schema if attribute.name in measured))
    population, people = known.from_table(fitted), fitted["identity"].to_numpy(object)
    by_route = {
        route: {
            one.attribute.name: one
            for one in recovered_attributes(
                known, tested, dict.fromkeys(known.names, route), population, people
            )
        }
        for route in PREFIXES
    }
    return Recovery(known, tested, by_route, metrics)
