"""The decoder with the renderer in G's place: codes are attributes, and what they look like is rendered.

T is trained by the product's own training on the same people's images and as many turned round. It takes
minutes, so its weights are kept: the first chunk that asks for them trains, others wait, and an interrupted
training goes on from its checkpoint. For validation only: nobody can render a brought face.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from attribute_recovery.attributes.edit import AttributeEditor, EditorNetworks
from attribute_recovery.config import DecoderSection
from attribute_recovery.dataset.store import rows_of
from attribute_recovery.dataset.world.renderer import Renderer
from attribute_recovery.decoder.attacks import read_threshold
from attribute_recovery.decoder.decoder import Decoder
from attribute_recovery.decoder.pairs import Pairs, embed_codes
from attribute_recovery.decoder.train import ROUNDS, round_checkpoint, train_transformer
from attribute_recovery.decoder.transformer import LatentTransformer
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.generator.train import Autoencoder
from attribute_recovery.training.device import frozen, prepare_torch
from attribute_recovery.training.weights import load_into, save_weights
from benchmarks.validation.finished_run import ROOT, Camera, FinishedRun, camera_of
from benchmarks.validation.in_place.attribute_codes import AttributeCodes

Floats = npt.NDArray[np.float32]

# Trained decoders, a folder each, named after all that they depend on.
PLACE = ROOT / ".cache" / "validation" / "rendered-decoders"
# Of a quick run: enough to see that it works.
QUICK_STEPS, QUICK_PAIRS = 10, 32


class _RenderedFaces(nn.Module):
    """Images of codes, as G gives them but with stored images' 256 steps a colour, so that the code of an
    image has exactly that image."""

    def __init__(self, codes: AttributeCodes, renderer: Renderer) -> None:
        super().__init__()
        self.codes, self.renderer = codes, renderer

    @property
    def code_size(self) -> int:
        """Length of the code."""
        return self.codes.size

    def forward(self, code: Tensor) -> Tensor:
        """Images (n, 3, size, size) in [-1, 1] of codes (n, code_size); rendered on the processor."""
        encoded = self.codes.attributes(code.detach().cpu().numpy())
        image = ((self.renderer(torch.from_numpy(encoded)) + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1
        return image.to(code.device)


def rendered_generator(codes: AttributeCodes, renderer: Renderer, device: torch.device) -> LoadedGenerator:
    """The renderer as a generator: it decodes, and has no encoder."""
    networks = nn.Module()
    networks.generator = _RenderedFaces(codes, renderer)
    return LoadedGenerator(cast(Autoencoder, networks), renderer.size, device, torch.float32)


class ExactEditor(AttributeEditor):
    """An editor of codes that are attributes: what is wanted comes true, and nothing else changes."""

    def edit(self, code: Tensor, current: Tensor, wanted: Tensor) -> Tensor:
        """Codes (n, size) of the wanted attributes (n, width)."""
        return torch.from_numpy(AttributeCodes(self.schema).codes(wanted.cpu().numpy())).to(code.device)


@dataclass(frozen=True)
class Ground:
    """What every chunk stands on.

    Attributes:
        run: the finished run.
        device: where networks run.
        camera: the renderer and f.
        images: the images table.
        encoded: true encoded attributes of its rows, (n, width).
        tau: the threshold.
    """

    run: FinishedRun
    device: torch.device
    camera: Camera
    images: pd.DataFrame
    encoded: Floats
    tau: float

    @property
    def codes(self) -> AttributeCodes:
        """The attributes as codes."""
        return AttributeCodes(self.run.schema)

    def embeddings(self, rows: npt.NDArray[np.int64]) -> Floats:
        """f(x) of rows of the images table, (m, d)."""
        return read_embeddings(self.run.shards(), self.images.iloc[rows])

    def places(self, image_ids: "pd.Series[str]") -> npt.NDArray[np.int64]:
        """Rows of the images table with these image_ids."""
        return np.asarray(pd.Index(self.images["image_id"]).get_indexer(image_ids), np.int64)

    def exact_editor(self) -> ExactEditor:
        """Edits codes exactly, standard deviations and ranges those of the split `train`."""
        schema, fitted = self.run.schema, self.encoded[rows_of(self.images, "train")]
        discrete = np.concatenate([np.full(a.width, a.is_discrete) for a in schema])
        spread = np.where(discrete, 1.0, fitted.astype(np.float64).std(0)).astype(np.float32)
        low = {a.name: a.range[0] for a in schema.continuous}
        high = {a.name: a.range[1] for a in schema.continuous}
        means = torch.zeros(schema.width, device=self.device)
        scales = torch.from_numpy(spread).to(self.device)
        return ExactEditor(schema, cast(EditorNetworks, nn.Module()), means, scales, low, high, 0)


def ground_of(run: FinishedRun, rendered: int) -> Ground:
    """What chunks stand on, the renderer compiled where so many images are rendered."""
    device = prepare_torch(run.compute)
    images = run.images()
    encoded = run.schema.encode(run.schema.from_table(images))
    tau = read_threshold(run.of_recognizer("recognizer/threshold.json"))
    return Ground(run, device, camera_of(run, rendered, device), images, encoded, tau)


def settings_of(run: FinishedRun, quick: bool) -> DecoderSection:
    """The run's own settings of T, without its last lesson, which takes gradients through the renderer.

    Raises:
        ValueError: T was not trained here.
    """
    settings = run.config.decoder
    if not isinstance(settings, DecoderSection):
        raise ValueError(
            f"{run.folder}: key decoder.source: found {settings.source!r}, allowed is 'train', since T is "
            "trained again before the renderer"
        )
    changed = {"identity": settings.identity.model_copy(update={"steps": 0})}
    if quick:
        return settings.model_copy(update=changed | {"steps": QUICK_STEPS, "decoded_pairs": QUICK_PAIRS})
    return settings.model_copy(update=changed)


def decoder_in_place(ground: Ground, name: str, *, seed: int, quick: bool) -> Decoder:
    """T before the renderer, trained where it is not there yet.

    Args:
        ground: what it stands on.
        name: of its folder, after all that it depends on.
        seed: of the noise on classes; T's own is the run's.
        quick: trained next to nothing.

    Raises:
        ValueError: as `settings_of`, or the weights are damaged.
    """
    settings, codes = settings_of(ground.run, quick), ground.codes
    generator = rendered_generator(codes, ground.camera.renderer, ground.device)
    weights = PLACE / name / "transformer.safetensors"
    with _alone(weights.parent):
        if not weights.is_file():
            _train(ground, settings, generator, weights, seed)
    size = ground.camera.recognizer.embedding_size
    network = LatentTransformer(codes.size, size, settings.hidden, settings.blocks)
    load_into(network, weights)
    return Decoder(frozen(network, ground.device), generator, settings.sampling_steps, ground.device)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is in here for this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _train(
    ground: Ground, settings: DecoderSection, generator: LoadedGenerator, weights: Path, seed: int
) -> None:
    """Train T as `decoder.train.train_decoder` does, with attributes in the place of E(x)."""
    recognizer, codes = ground.camera.recognizer, ground.codes
    fitted = rows_of(ground.images, "train")
    rng = np.random.default_rng([seed, 20])
    people = ground.images["identity"].to_numpy(object)[fitted]
    pairs = Pairs(codes.codes(ground.encoded[fitted], rng), ground.embeddings(fitted))
    if settings.mirrored:
        # Rendered, since hair has two different sides: no attributes look exactly like a mirror image.
        mirrored = codes.codes(codes.mirrored(ground.encoded[fitted]), rng)
        pairs = pairs.joined(Pairs(mirrored, embed_codes(generator, recognizer, mirrored)))
        people = np.concatenate([people, people])
    checkpoint = weights.with_name("checkpoint.safetensors")
    network = train_transformer(
        pairs,
        people,
        generator,
        recognizer,
        settings,
        ground.run.config.seed,
        ground.run.compute.precision,
        checkpoint=checkpoint,
    )
    beside = weights.with_name("transformer.partial")
    save_weights(network, beside)
    beside.replace(weights)
    for number in range(len(ROUNDS) + 1):
        path = round_checkpoint(checkpoint, number)
        assert path is not None
        path.unlink(missing_ok=True)
