"""Training learns people, is a function of its seed, and leaves batch norm fitting the weights it returns."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from attribute_recovery.config import Compute
from attribute_recovery.config_recognizers import TrainedRecognizer
from attribute_recovery.recognizer import train as module
from attribute_recovery.recognizer.networks import EmbeddingNetwork
from attribute_recovery.recognizer.train import renew_statistics, train_recognizer
from attribute_recovery.training.augmentation import Augmentation, augmented
from attribute_recovery.training.batches import batch_rows
from attribute_recovery.training.loop import LoopSettings

Faces = Callable[[int, int, int], tuple[np.ndarray, np.ndarray]]


def _scores(network: nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        pixels = torch.from_numpy(images.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)
        unit = nn.functional.normalize(network(pixels)).numpy()
    return unit @ unit.T


def test_new_people_are_told_apart(faces: Faces, settings: TrainedRecognizer, compute: Compute) -> None:
    images, labels = faces(24, 8, 0)
    network, history = train_recognizer(images, labels, settings, 0, compute)
    unseen, people = faces(10, 4, 1)
    scores = _scores(network, unseen)
    first, second = np.triu_indices(len(people), 1)
    same = people[first] == people[second]
    genuine, impostor = scores[first, second][same], scores[first, second][~same]
    assert not network.training
    assert genuine.min() > impostor.mean() + 2 * impostor.std()
    assert np.mean(genuine[:, None] > impostor) > 0.99
    assert history.losses["softmax"][-1] < np.log(24)


def test_the_same_seed_gives_the_same_weights_in_one_run_or_two(
    faces: Faces,
    settings: TrainedRecognizer,
    compute: Compute,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images, labels = faces(4, 4, 0)
    short = settings.model_copy(
        update={"training": settings.training.model_copy(update={"steps": 6, "batch_size": 8})}
    )
    monkeypatch.setattr(module, "LoopSettings", partial(LoopSettings, checkpoint_seconds=0.0))  # one a step
    whole, _ = train_recognizer(images, labels, short, 5, compute)
    checkpoint = tmp_path / "checkpoint.safetensors"
    with monkeypatch.context() as interrupted:
        interrupted.setattr(module, "augmented", _stopping_at(4))
        with pytest.raises(KeyboardInterrupt):
            train_recognizer(images, labels, short, 5, compute, checkpoint=checkpoint)
    assert checkpoint.exists()
    seen: list[int] = []
    monkeypatch.setattr(module, "batch_rows", lambda *a: (seen.append(a[3]), batch_rows(*a))[1])
    resumed, _ = train_recognizer(images, labels, short, 5, compute, checkpoint=checkpoint)
    assert seen[:2] == [4, 5]
    other, _ = train_recognizer(images, labels, short, 6, compute)
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(first, second) for first, second in pairs)
    assert not torch.equal(next(whole.parameters()), next(other.parameters()))


def _stopping_at(step: int) -> Callable[..., np.ndarray]:
    """`augmented` that ends the run at a step, as Ctrl-C would."""
    calls = iter(range(1000))

    def stopping(images: np.ndarray, settings: Augmentation, rng: np.random.Generator) -> np.ndarray:
        if next(calls) == step:
            raise KeyboardInterrupt
        return augmented(images, settings, rng)

    return stopping


def test_statistics_are_those_of_the_images(faces: Faces) -> None:
    images, _ = faces(6, 8, 0)
    network = EmbeddingNetwork(16, (8,), 4)
    stem = network.trunk[2]
    stem.running_mean.fill_(100.0)
    renew_statistics(network, images, len(images), 0)  # a batch is the whole set, in another order
    pixels = torch.from_numpy(images.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)
    with torch.no_grad():
        features = network.trunk[:2](pixels).transpose(0, 1).flatten(1)
    assert torch.allclose(stem.running_mean, features.mean(dim=1), atol=1e-4)
    assert torch.allclose(stem.running_var, features.var(dim=1), rtol=1e-3)
    assert stem.momentum == nn.BatchNorm2d(1).momentum
    assert not network.training


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (np.zeros((4, 16, 16, 3), np.float32), np.array([0, 0, 1, 1]), "images: found float32"),
        (np.zeros((4, 16, 8, 3), np.uint8), np.array([0, 0, 1, 1]), "images: found uint8 of shape"),
        (np.zeros((4, 16, 16, 3), np.uint8), np.array([0, 1]), "labels: found shape"),
        (np.zeros((4, 16, 16, 3), np.uint8), np.array([0, 0, 2, 2]), "numbers 0 to k - 1"),
        (np.zeros((4, 16, 16, 3), np.uint8), np.array([0, 0, 0, 0]), "k at least 2"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(
    images: np.ndarray, labels: np.ndarray, said: str, settings: TrainedRecognizer, compute: Compute
) -> None:
    with pytest.raises(ValueError, match=said):
        train_recognizer(images, labels, settings, 0, compute)
