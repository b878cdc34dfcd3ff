"""The data set of an experiment: who is in it, their images, what is true of them, and a report on the data.

Everything here is light to import, since `check_dataset` runs before any job; torch comes in where images are
rendered.
"""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.config import Compute, ConfigError, DatasetConfig
from attribute_recovery.config_marginals import ClassMarginal, MarginalConfig, NormalMarginal, UniformMarginal
from attribute_recovery.config_world import World, WorldDataset
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema, write_schema
from attribute_recovery.dataset.describe import describe_table
from attribute_recovery.dataset.faces import check_faces, prepare_faces
from attribute_recovery.dataset.known import refuse_atoms
from attribute_recovery.dataset.progress import Progress
from attribute_recovery.dataset.sources.listing import no_pairs
from attribute_recovery.dataset.store import write_array, write_json, write_table
from attribute_recovery.dataset.world.population import Marginal, Population
from attribute_recovery.dataset.world.schema import SCHEMA
from attribute_recovery.tracking.code import code_digest

if TYPE_CHECKING:
    from attribute_recovery.dataset.world.renderer import Renderer

# Below this many images compiling the renderer takes longer than it saves.
COMPILED_FROM = 200
RENDERER = "attribute_recovery.dataset.world.renderer:Renderer"


def prepare_dataset(
    settings: DatasetConfig,
    seed: int,
    compute: Compute,
    *,
    images: Path,
    table: Path,
    attributes: Path,
    report: Path,
    cache: Path,
    pairs: Path | None = None,
) -> dict[str, Any]:
    """Write images, table, attributes and report, and the source's own pairs where asked; returns the report.

    Args:
        settings: section `dataset`.
        seed: of the experiment.
        compute: threads.
        images: written, uint8 (n, side, side, 3) as bcolz, row i = row i of the table.
        table: written, images.parquet.
        attributes: written, attributes.json.
        report: written, report.json.
        cache: folder for compiled code, kept between calls; used by the default world.
        pairs: written where it is given, Parquet with the columns fold, first, second (image_ids) and
            genuine: the standard pairs that a source comes with; no rows where there are none.

    Raises:
        ConfigError: the population does not fit the attributes of the world.
        ValueError: see `render_world` and `faces.prepare_faces`.
    """
    written = {"images": images, "table": table, "attributes": attributes, "report": report}
    if not isinstance(settings, WorldDataset):
        return prepare_faces(settings, seed, compute, **written, pairs=pairs)
    found = render_world(settings, seed, compute, **written, cache=cache)
    if pairs is not None:
        write_table(no_pairs(), pairs)
    return found


def check_dataset(settings: DatasetConfig, path: Path) -> None:
    """Check what the types of the configuration cannot: that the population fits the attributes of the world,
    or that the files of brought faces are there and have what the configuration speaks of.

    `path` is the configuration file, named in errors. For use before any job; imports no torch.

    Raises:
        ConfigError: one sentence with file, key, found and allowed.
    """
    try:
        if isinstance(settings, WorldDataset):
            population_of(settings.world)
        else:
            check_faces(settings)
    except ConfigError as error:
        raise ConfigError(f"{path}: key {error}") from None


def render_world(
    settings: WorldDataset,
    seed: int,
    compute: Compute,
    *,
    images: Path,
    table: Path,
    attributes: Path,
    report: Path,
    cache: Path,
) -> dict[str, Any]:
    """Draw the population, render it, and write images, table, attributes and report; returns the report.

    An interrupted call leaves the images rendered so far beside `images`; the same call goes on from there
    and ends with the same bytes. Which renderer ran, compiled or plain, stands in the report: their images
    are equal to within rounding, not to the byte (see `renderer_of`).

    Args:
        settings: section `dataset`.
        seed: of the experiment; an identity's attributes depend on it, the split and the identity's number
            alone.
        compute: threads; the default world is always rendered on the processor.
        images: written, uint8 (n, side, side, 3) as bcolz, row i = row i of the table.
        table: written, images.parquet.
        attributes: written, attributes.json.
        report: written, report.json.
        cache: folder for compiled code, kept between calls.

    Raises:
        ConfigError: the population does not fit the attributes of the world.
        ValueError: an attribute has the same value in every image, or a continuous one an atom.
    """
    from attribute_recovery.training.device import prepare_torch

    world = settings.world
    population = population_of(world)
    people, values = draw_people(population, world, seed)
    facts = population.schema.to_table(values)
    _refuse_constant(facts)
    refuse_atoms(pd.concat([people, facts], axis=1), population.schema)
    prepare_torch(compute)
    renderer = renderer_of(world, len(people), cache)
    rendered = _render(renderer, population.schema.encode(values), images)
    people["sha256"] = [hashlib.sha256(image.tobytes()).hexdigest() for image in rendered]
    complete = pd.concat([people, facts], axis=1)
    found = data_report(complete, population.declared(), world, compiled=renderer.compiled)
    write_array(images, _parts(rendered), rendered.shape[1:], np.uint8, len(rendered))
    write_schema(population.declared(), attributes)
    write_table(complete, table)
    write_json(found, report)
    for partial in _partials(images):
        partial.unlink()
    return found


def population_of(world: World) -> Population:
    """The population that a configuration describes.

    Raises:
        ConfigError: an attribute is not known or has no marginal, a marginal is of another kind, has other
            classes or a wider range than the attribute, or the correlations are impossible; the sentence
            begins with the key.
    """
    where = "dataset.world.marginals"
    for name in world.marginals:
        if name not in SCHEMA.names:
            raise ConfigError(f"{where}.{name}: is not known; allowed are {', '.join(SCHEMA.names)}")
    for name in SCHEMA.names:
        if name not in world.marginals:
            raise ConfigError(f"{where}.{name}: is missing; allowed is {_allowed(SCHEMA[name])}")
    marginals = {a.name: _marginal(a, world.marginals[a.name], f"{where}.{a.name}") for a in SCHEMA}
    pairs = [(*pair.attributes, pair.value) for pair in world.correlations]
    _check_pairs(pairs)
    population = Population(SCHEMA, marginals, pairs)
    try:
        population.correlation_root()
    except ValueError:
        raise ConfigError(
            "dataset.world.correlations: found values that no distribution has together, allowed are "
            "values that make a positive definite matrix; smaller ones do"
        ) from None
    return population


def _check_pairs(pairs: Sequence[tuple[str, str, float]]) -> None:
    seen: set[frozenset[str]] = set()
    for i, (first, second, _) in enumerate(pairs):
        key = f"dataset.world.correlations.{i}.attributes"
        for name in (first, second):
            if name not in SCHEMA.names:
                raise ConfigError(f"{key}: found {name!r}, allowed are {', '.join(SCHEMA.names)}")
        pair = frozenset((first, second))
        if len(pair) < 2 or pair in seen:
            raise ConfigError(
                f"{key}: found {first} and {second}, allowed are two attributes, and each pair once"
            )
        seen.add(pair)


def _allowed(attribute: Attribute) -> str:
    if attribute.is_discrete:
        return f"classes: {{{', '.join(f'{name}: probability' for name in attribute.categories)}}}"
    low, high = attribute.range
    return f"uniform: [low, high], or normal: [mean, sd] with range: [low, high], within {low:g} and {high:g}"


def _marginal(attribute: Attribute, config: MarginalConfig, key: str) -> Marginal:
    if attribute.is_discrete != isinstance(config, ClassMarginal):
        kind = {ClassMarginal: "classes", NormalMarginal: "normal", UniformMarginal: "uniform"}[type(config)]
        raise ConfigError(f"{key}: found {kind}, allowed is {_allowed(attribute)}")
    if isinstance(config, ClassMarginal):
        if set(config.classes) != set(attribute.categories):
            raise ConfigError(
                f"{key}.classes: found {', '.join(config.classes)}, allowed are all of "
                f"{', '.join(attribute.categories)}"
            )
        return Marginal(
            config.identity_share, probabilities=tuple(config.classes[name] for name in attribute.categories)
        )
    name, (low, high) = (
        ("range", config.range) if isinstance(config, NormalMarginal) else ("uniform", config.uniform)
    )
    if low < attribute.range[0] or high > attribute.range[1]:
        raise ConfigError(
            f"{key}.{name}: found [{low:g}, {high:g}], allowed is a range within "
            f"{attribute.range[0]:g} and {attribute.range[1]:g} {attribute.unit}"
        )
    mean, sd = config.normal if isinstance(config, NormalMarginal) else (None, None)
    return Marginal(config.identity_share, low, high, mean, sd)


def draw_people(
    population: Population, world: World, seed: int
) -> tuple[pd.DataFrame, dict[str, npt.NDArray[np.generic]]]:
    """The key columns of the images table (all but sha256), and the attributes as columns (n,), class
    numbers.

    Every identity has a random generator of its own, of [seed, number of the split, number of the identity]:
    people and images stay as they are when others come.
    """
    keys: list[dict[str, str]] = []
    drawn: list[dict[str, npt.NDArray[np.generic]]] = []
    n_images = dict(world.images_per_identity.items())
    for number, (split, count) in enumerate(world.identities.items()):
        for i in range(count if n_images[split] else 0):
            rng = np.random.default_rng([seed, number, i])
            drawn.append(population.draw(1, n_images[split], rng))
            identity = f"{split}-{i:04d}"
            keys.extend(
                {"image_id": f"{identity}/{j:03d}", "identity": identity, "split": split, "path": ""}
                for j in range(n_images[split])
            )
    values = {name: np.concatenate([one[name] for one in drawn]) for name in population.schema.names}
    return pd.DataFrame(keys), values


def renderer_of(world: World, n_images: int, cache: Path) -> "Renderer":
    """The renderer for so many images: compiled from 200 on, where torch can compile and the image's side
    suits.

    Compiling takes most of a minute, so few images come sooner without. The choice is a function of the
    number and of the machine, and is printed.
    """
    from attribute_recovery.dataset.world import renderer

    renderer.use_cache(cache)
    why = ""
    if n_images < COMPILED_FROM:
        why = f"fewer than {COMPILED_FROM} images"
    elif (
        world.image_size * world.supersample // 2
    ) ** 2 % renderer.ROW:  # the coarse march has a quarter of the rays
        why = f"images of side {world.image_size} with supersample {world.supersample} do not fill its rows"
    elif not renderer.compiles():
        why = "torch cannot compile here: it found no working C++ compiler"
    print(
        f"dataset: plain renderer ({why})" if why else "dataset: compiled renderer",
        file=sys.stderr,
        flush=True,
    )
    return renderer.Renderer(world.image_size, world.supersample, compiled=not why)


def _render(renderer: "Renderer", encoded: npt.NDArray[np.float32], images: Path) -> npt.NDArray[np.uint8]:
    """All images (n, side, side, 3), as a map of a file beside `images` that grows batch by batch."""
    shape = (len(encoded), renderer.size, renderer.size, 3)
    path = _partial(renderer, encoded, images)
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in set(_partials(images)) - {path}:
        other.unlink()
    size = int(np.prod(shape[1:]))
    whole = path.stat().st_size // size if path.exists() else 0
    done = whole if whole == len(encoded) else whole - whole % renderer.batch_size
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.truncate(done * size)
        file.seek(done * size)
        progress = Progress(done, len(encoded))
        for batch in renderer.uint8(encoded[done:]):
            file.write(batch.tobytes())
            file.flush()
            progress.add(len(batch))
    return np.memmap(path, np.uint8, "r", shape=shape)


def _partial(renderer: "Renderer", encoded: npt.NDArray[np.float32], images: Path) -> Path:
    """Where unfinished images lie, named after all that they depend on: a changed run starts anew."""
    depends = f"{code_digest(RENDERER)} {sorted(asdict(renderer).items())} {encoded.shape}"
    digest = hashlib.sha256(depends.encode() + encoded.tobytes()).hexdigest()[:16]
    return images.with_name(f".{images.name}.{digest}.rendered")


def _partials(images: Path) -> list[Path]:
    return sorted(images.parent.glob(f".{images.name}.*.rendered"))


def _parts(rendered: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    for start in range(0, len(rendered), 256):
        yield rendered[start : start + 256]


def _refuse_constant(facts: pd.DataFrame) -> None:
    constant = [name for name in facts if facts[name].nunique() < 2]
    if constant:
        raise ValueError(
            f"dataset: column {constant[0]!r} is {facts[constant[0]].iloc[0]} in every image, so nothing can "
            "be said of that attribute; allowed is a population in which it varies, and one large enough"
        )


def data_report(
    table: pd.DataFrame, schema: AttributeSchema, world: World, *, compiled: bool
) -> dict[str, Any]:
    """What the data are: counts, attributes by split, images that are there twice, warnings; all plain
    values.

    `table` is images.parquet with all its columns; `compiled` says which renderer made the images.
    """
    from attribute_recovery.dataset.world.camera import EYE_LEVEL, EYE_SPAN

    return {
        "source": "world",
        "image_size": world.image_size,
        "supersample": world.supersample,
        "renderer": "compiled" if compiled else "plain",
        "crop": {"template": "world", "eye_level": EYE_LEVEL, "eye_span": EYE_SPAN},
        **describe_table(table, schema),
    }
