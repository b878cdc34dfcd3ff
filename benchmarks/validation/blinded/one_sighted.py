"""Recognizers that tell people apart by one attribute alone: what a network reads of it in an image, as a
point on a circle or a sphere. That network has learned where hair and jaw do not go together, so that neither
tells it of the other.

A mask makes no such recognizer. Hair, or its shadow, reaches every pixel at a jaw's outline; what hair never
reaches is the middle of the face, 13 % of the pixels, and a recognizer trained behind that mask holds nothing
of the jaw.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.attributes.heads import AttributeEstimator, load_heads
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema, read_schema, write_schema
from attribute_recovery.recognizer.card import read_recognizer_card
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.significance.effect import distances
from attribute_recovery.training.device import inference_dtype
from benchmarks.validation.blinded.correlated_people import (
    HAIR,
    JAW,
    SMALL,
    Crowd,
    People,
    frontal,
    heads_in,
    rendered,
    settings_of,
    taught_heads,
)
from benchmarks.validation.finished_run import Files, FinishedRun, camera_of
from benchmarks.validation.kept import kept
from benchmarks.validation.regions.planted import variants

Floats = npt.NDArray[np.float32]

# Who the network learns from; nobody of them is met again.
READERS = Crowd(train=(1000, 4), calibration=(60, 4), test=(60, 4))
# Added to the run's seed: nobody is drawn as the run or the row's people are drawn.
TEACHERS = 4_000_000
# Half a turn of the circle is so many standard deviations of a reading, as many as a uniform one ranges over.
RANGE = 2 * math.sqrt(3)
# Images of which each attribute's true effect is the mean.
TRUE_IMAGES, QUICK_IMAGES = 240, 8


class ByOneAttribute(nn.Module):
    """Images (n, 3, side, side) in [-1, 1] to embeddings of length 1: of a continuous attribute's reading the
    point on the circle at that angle, (n, 2); of classes the roots of their probabilities, (n, classes).

    Args:
        estimator: heads that read it.
        attribute: which one.
    """

    def __init__(self, estimator: AttributeEstimator, attribute: Attribute) -> None:
        super().__init__()
        self.heads, self.estimator, self.attribute = estimator.network, estimator, attribute

    def forward(self, images: Tensor) -> Tensor:
        """The embeddings."""
        read = self.estimator.readout(images)[self.attribute.name].float()
        if self.attribute.is_discrete:
            return torch.exp(0.5 * torch.log_softmax(read, dim=1))
        angle = read[:, 0] * (math.pi / RANGE)
        return torch.stack([torch.cos(angle), torch.sin(angle)], dim=1)


@dataclass(frozen=True)
class OneSighted:
    """A recognizer that sees one of both attributes.

    Attributes:
        f: the recognizer.
        truth: by attribute, the mean of 1 − cos between a head's embedding and that of the same head rendered
            with the attribute changed by its dose.
        embeddings: of everybody, (n, d).
    """

    f: Recognizer
    truth: dict[str, float]
    embeddings: Floats


def one_sighted(run: FinishedRun, people: People, seen: str, quick: bool, device: torch.device) -> OneSighted:
    """A recognizer that sees nothing but one attribute.

    Args:
        run: for G, the renderer, and how heads are trained.
        people: that it embeds.
        seen: the attribute.
        quick: a network that reads next to nothing, for tests.
        device: where it runs.

    Raises:
        ValueError: the run's heads are brought ones, which nobody can train here.
    """
    files = readers(run, SMALL if quick else READERS)
    estimator = load_heads(*files, device, inference_dtype(run.compute))
    attribute = people.schema[seen]
    card = replace(
        read_recognizer_card(run.f[1]),
        name=f"the validation's, by {seen} alone",
        channel_order="RGB",
        value_range=(-1.0, 1.0),
        crop_size=people.pixels.shape[1],
        embedding_size=attribute.n_classes if attribute.is_discrete else 2,
    )
    f = Recognizer(ByOneAttribute(estimator, attribute), card, device)

    def make(folder: Path) -> None:
        np.save(folder / "embeddings.npy", f.embed_batches(people.pixels), allow_pickle=False)
        truth = true_effects(run, people, f, QUICK_IMAGES if quick else TRUE_IMAGES)
        np.save(folder / "truth.npy", [truth[name] for name in (HAIR, JAW)], allow_pickle=False)

    told = {"run": run.digest, "seen": seen, "people": people.heads[0].parent.name, "quick": quick}
    folder = kept("one-sighted", __name__, told, make)
    truth = np.load(folder / "truth.npy", allow_pickle=False).tolist()
    embeddings: Floats = np.load(folder / "embeddings.npy", allow_pickle=False)
    return OneSighted(f, dict(zip((HAIR, JAW), truth, strict=True)), embeddings)


def readers(run: FinishedRun, crowd: Crowd) -> Files:
    """Weights and card of heads that read hair and jaw, trained once where these are independent.

    Raises:
        ValueError: the run's heads are brought ones, which nobody can train here.
    """
    settings = settings_of(run)

    def make(folder: Path) -> None:
        files = rendered(run, frontal(run.world, crowd, together=False), TEACHERS, folder)
        schema, pair = read_schema(files["attributes"]), folder / "pair.json"
        write_schema(AttributeSchema(tuple(schema[name] for name in (HAIR, JAW))), pair)
        taught_heads(run, settings, TEACHERS, files | {"attributes": pair}, folder)

    told = {"run": run.digest, "crowd": repr(crowd), "heads": settings.model_dump(mode="json")}
    return heads_in(kept("readers", __name__, told, make))


def true_effects(run: FinishedRun, people: People, f: Recognizer, count: int) -> dict[str, float]:
    """By attribute, how far its dose really moves embeddings: the mean of 1 − cos over images of `test`, each
    head rendered as it is and with that attribute changed in every way that its dose allows."""
    table = people.images[people.images["split"] == "test"].iloc[:count]
    encoded = people.schema.encode(people.schema.from_table(table))
    every = {name: variants(people.schema, encoded, name) for name in (HAIR, JAW)}
    camera = camera_of(run, len(table) * (1 + sum(map(len, every.values()))), f.device)
    before = f.embed_batches(camera.render(encoded))
    return {
        name: float(np.mean([distances(before, f.embed_batches(camera.render(heads))) for heads in changed]))
        for name, changed in every.items()
    }
