"""An independent judge of decoded faces: a recognizer of another width, embedding size and seed than f,
trained by the product on rendered people who are nowhere else. τ is fixed on its own impostors, as f's is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from attribute_recovery.config_recognizers import FmrThreshold, RecognizerTraining, TrainedRecognizer
from attribute_recovery.dataset.prepare import draw_people, population_of, renderer_of
from attribute_recovery.embeddings.pairs import impostor_pairs
from attribute_recovery.embeddings.threshold import Calibration, DecisionThreshold, fixed_threshold
from attribute_recovery.recognizer.card import RecognizerCard
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.recognizer.networks import EmbeddingNetwork
from attribute_recovery.recognizer.prepare import LICENCE, WORLD_TEMPLATE
from attribute_recovery.recognizer.train import train_recognizer
from attribute_recovery.training.loop import History
from benchmarks.validation.finished_run import CACHE, FinishedRun, of_test
from benchmarks.validation.forecasts.new_people import packed, unpacked

Floats = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]
Names = npt.NDArray[np.object_]

# Added to the run's seed with the validation's: nobody is drawn as the run or another row drew them.
PEOPLE_OF_ITS_OWN = 2_000_000
# From half the image's side down to 4 × 4; the last one again where there are more.
CHANNELS = (12, 40, 64, 96)


@dataclass(frozen=True)
class CriticSize:
    """How large and how long.

    Attributes:
        people, images: that it is trained on, so many images each.
        embedding_size: d.
        steps, batch_size: of its training.
    """

    people: int
    images: int
    embedding_size: int
    steps: int
    batch_size: int


def train_critic(run: FinishedRun, size: CriticSize, seed: int) -> tuple[EmbeddingNetwork, History]:
    """Render people of its own and train it on them.

    Args:
        run: whose world it sees.
        size: how large and how long.
        seed: of people, weights and batches, beside the run's.
    """
    own = run.config.seed + PEOPLE_OF_ITS_OWN + seed
    world = of_test(run.world, size.people, size.images)
    people, values = draw_people(population_of(run.world), world, own)
    renderer = renderer_of(world, len(people), CACHE)
    images = np.concatenate(list(renderer.uint8(run.schema.encode(values))))
    labels = np.unique(people["identity"].to_numpy(str), return_inverse=True)[1].astype(np.int64)
    return train_recognizer(images, labels, settings_of(run, size), own, run.compute)


def settings_of(run: FinishedRun, size: CriticSize) -> TrainedRecognizer:
    """Sizes and training of the critic, as the product has them."""
    return TrainedRecognizer(
        source="train",
        embedding_size=size.embedding_size,
        channels=channels_of(run.world.image_size),
        training=RecognizerTraining(
            steps=size.steps, batch_size=size.batch_size, learning_rate=2e-3, margin=0.1, scale=16.0
        ),
        threshold=FmrThreshold(fmr=1e-3),
    )


def channels_of(image_size: int) -> tuple[int, ...]:
    """Channels of the stages that bring an image of that side, a power of 2, down to 4 × 4.

    >>> channels_of(32)
    (12, 40, 64)
    """
    return repeated(CHANNELS, image_size.bit_length() - 3)


def repeated(widths: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The first `count` widths, the last one again where there are fewer.

    >>> repeated((3, 2), 4)
    (3, 2, 2, 2)
    """
    return tuple(widths[min(i, len(widths) - 1)] for i in range(count))


def packed_network(network: EmbeddingNetwork) -> dict[str, Any]:
    """A critic as JSON holds it."""
    tensors = {name: np.asarray(value.cpu().float()) for name, value in network.state_dict().items()}
    return {
        "size": network.size,
        "embedding_size": network.embedding_size,
        "tensors": {name: packed(value) for name, value in tensors.items()},
    }


def critic_of(told: Mapping[str, Any], device: torch.device) -> Recognizer:
    """The critic of `packed_network`, run as the product runs recognizers."""
    size, embedding_size = int(told["size"]), int(told["embedding_size"])
    network = EmbeddingNetwork(size, channels_of(size), embedding_size)
    known = network.state_dict()
    network.load_state_dict(
        {name: torch.from_numpy(unpacked(one)).to(known[name].dtype) for name, one in told["tensors"].items()}
    )
    card = RecognizerCard(
        name="critic",
        architecture="residual",
        channels=channels_of(size),
        crop_size=size,
        template=WORLD_TEMPLATE,
        channel_order="RGB",
        value_range=(-1.0, 1.0),
        interpolation="bilinear",
        embedding_size=embedding_size,
        precision="float32",
        score="cosine",
        data_sha256="",
        licence=LICENCE,
        weights_sha256="",
    )
    return Recognizer(network, card, device)


def own_threshold(embeddings: Floats, people: Names, fmr: float, seed: int) -> DecisionThreshold:
    """τ at a false match rate on real impostors, fixed as the product fixes it.

    Args:
        embeddings: of real images, unit length, (n, d).
        people: in them, (n,).
        fmr: false match rate that is asked for.
        seed: of the pairs, where there are too many to compare all.

    Raises:
        ValueError: there are fewer than 2 people.
    """
    impostors = impostor_pairs(embeddings, people.astype(str), seed=seed)
    known = Calibration(impostors, len(set(people)), None, 1.0, "")
    return fixed_threshold(FmrThreshold(fmr=fmr), known, other=Path())
