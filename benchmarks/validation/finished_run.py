"""The finished run that some rows stand on, and the renderer that made its faces, which knows the truth."""

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from attribute_recovery.config import Compute, Config, load_config
from attribute_recovery.config_world import SplitCounts, World, WorldDataset
from attribute_recovery.dataset.attributes import AttributeSchema, read_schema
from attribute_recovery.dataset.prepare import draw_people, population_of, renderer_of
from attribute_recovery.dataset.store import read_table
from attribute_recovery.dataset.world.renderer import Renderer
from attribute_recovery.recognizer.load import Recognizer, load_recognizer

Floats = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]
Files = tuple[Path, Path]

ROOT = Path(__file__).parents[2]
# Another finished run of the rendered world: its configuration, in a folder beside results/.
VARIABLE = "VALIDATION_CONFIG"
CONFIG = ROOT / "config" / "default.yaml"
# As the data set's rule has it, so that compiled code is there already.
CACHE = ROOT / ".cache" / "inductor"
MANIFESTS = (
    "dataset/manifest-dataset.json",
    "generator/manifest-generator_train.json",
    "generator/manifest-generator_codes.json",
    "attributes/manifest-attributes_heads.json",
    "attributes/manifest-attributes_editor.json",
)
MANIFESTS_OF_RECOGNIZER = (
    "recognizer/manifest-recognizer.json",
    "embeddings/manifest-embeddings.json",
    "recognizer/manifest-rates.json",
    "decoder/manifest-decoder_train.json",
    "decoder/manifest-decoder_samples.json",
    "recovery/manifest-recovery.json",
    "significance/manifest-significance.json",
)


@dataclass(frozen=True)
class FinishedRun:
    """A run whose results are all there.

    Attributes:
        folder: its results.
        config: its configuration.
        world: who lives there.
        recognizer: the first one's name.
        digest: SHA-256 over the manifests of what is used, and the settings that are.
    """

    folder: Path
    config: Config
    world: World
    recognizer: str
    digest: str

    @property
    def compute(self) -> Compute:
        """As the run's, on one thread: a chunk has one."""
        return self.config.compute.model_copy(update={"threads": 1})

    def of_recognizer(self, name: str) -> Path:
        """A file of the recognizer's stages."""
        return self.folder / self.recognizer / name

    @property
    def generator(self) -> Files:
        """Weights and card of G and E."""
        folder = self.folder / "generator"
        return folder / "autoencoder.safetensors", folder / "card.json"

    @property
    def heads(self) -> Files:
        """Weights and card of the heads."""
        folder = self.folder / "attributes"
        return folder / "heads.safetensors", folder / "heads.json"

    @property
    def editor(self) -> Files:
        """Weights and card of the editor."""
        folder = self.folder / "attributes"
        return folder / "editor.safetensors", folder / "editor.json"

    @property
    def f(self) -> Files:
        """Weights and card of the recognizer."""
        folder = self.of_recognizer("recognizer")
        return folder / "weights.safetensors", folder / "card.json"

    @property
    def transformer(self) -> Files:
        """Weights and card of T."""
        folder = self.of_recognizer("decoder")
        return folder / "transformer.safetensors", folder / "transformer.json"

    @property
    def schema(self) -> AttributeSchema:
        """The attributes."""
        return read_schema(self.folder / "dataset" / "attributes.json")

    def images(self) -> pd.DataFrame:
        """The images table."""
        return read_table(self.folder / "dataset" / "images.parquet")

    def shards(self) -> Path:
        """Folder of the embeddings."""
        return self.of_recognizer("embeddings/shards")


@dataclass(frozen=True)
class Camera:
    """Renders attributes and embeds what is seen.

    Attributes:
        renderer: the world's.
        recognizer: f.
        taken: images by the attributes that they were asked for with, so that nothing is rendered twice.
    """

    renderer: Renderer
    recognizer: Recognizer
    taken: dict[bytes, Images] = field(default_factory=dict, repr=False)

    def render(self, encoded: Floats) -> Images:
        """Images (n, side, side, 3) of encoded attributes (n, width)."""
        key = encoded.tobytes()
        if key not in self.taken:
            self.taken[key] = np.concatenate(list(self.renderer.uint8(encoded)))
        return self.taken[key]

    def embed(self, encoded: Floats) -> Floats:
        """f(render(a)), (n, d) of length 1, of encoded attributes (n, width)."""
        return self.recognizer.embed_batches(self.render(encoded))


def camera_of(run: FinishedRun, count: int, device: torch.device) -> Camera:
    """The run's renderer, compiled where so many images are asked for in all, and its recognizer."""
    return Camera(renderer_of(run.world, count, CACHE), load_recognizer(*run.f, device))


def finished_run(expected: str = "") -> FinishedRun:
    """The run that the rows stand on.

    Args:
        expected: the digest that it had when the chunks were planned; not looked at if empty.

    Raises:
        ValueError: the configuration is wrong or of brought faces, the run is not finished or was made with
            another configuration, or it has changed.
    """
    path = Path(os.environ.get(VARIABLE) or CONFIG).absolute()
    config = load_config(path)
    folder = path.parents[1] / "results" / config.experiment
    if not isinstance(config.dataset, WorldDataset):
        raise ValueError(
            f"{path}: key dataset.source: found {config.dataset.source!r}, allowed is 'world', whose truth "
            "is known"
        )
    recognizer = next(iter(config.recognizers))
    manifests = [*MANIFESTS, *(f"{recognizer}/{name}" for name in MANIFESTS_OF_RECOGNIZER)]
    for name in manifests:
        if not (folder / name).is_file():
            raise ValueError(
                f"{folder / name}: is missing; this row stands on a finished run, so run "
                f"`{_command(path)}` first"
            )
    digest = hashlib.sha256(json.dumps(_settings(config), sort_keys=True).encode())
    for name in manifests:
        digest.update((folder / name).read_bytes())
    run = FinishedRun(folder, config, config.dataset.world, recognizer, digest.hexdigest())
    if expected and run.digest != expected:
        raise ValueError(f"{folder}: has changed while the row was measured; measure it again")
    _require_same_world(run, path)
    return run


def _command(path: Path) -> str:
    return "make run" if path == CONFIG else f"make run CONFIG={path}"


def _settings(config: Config) -> dict[str, object]:
    """What is used here beside the run's files."""
    sections = ("dataset", "decoder", "recovery", "significance")
    return {"seed": config.seed} | {name: getattr(config, name).model_dump(mode="json") for name in sections}


def of_test(world: World, people: int, images: int) -> World:
    """The same world with so many people in the split `test`, so many images each, and nobody elsewhere."""

    def only(count: int) -> SplitCounts:
        return SplitCounts.model_construct(recognizer=0, train=0, calibration=0, test=count)

    return world.model_copy(update={"identities": only(people), "images_per_identity": only(images)})


def _require_same_world(run: FinishedRun, path: Path) -> None:
    """Draw the first person of `test` again and look whether the run has the same."""
    population = population_of(run.world)
    people, values = draw_people(population, of_test(run.world, 1, 2), run.config.seed)
    images, schema = run.images(), run.schema
    same = schema == population.declared()
    if same:
        found = images[images["split"] == "test"].iloc[: len(people)]
        known = schema.from_table(found)
        same = all(np.allclose(known[name][:1], values[name][:1], atol=1e-4) for name in schema.names)
    if not same:
        raise ValueError(
            f"{run.folder}: was made with another configuration than {path}; run `{_command(path)}` first"
        )
