"""Batches are epochs and functions of the step; the autoencoder learns, resumes, and gives standard codes."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import attribute_recovery.generator.train as module
from attribute_recovery.config import GeneratorNetwork, GeneratorTraining
from attribute_recovery.generator.losses import reconstruction_losses
from attribute_recovery.generator.train import (
    Autoencoder,
    batch_of_images,
    standardise_codes,
    to_tensor,
    train_autoencoder,
)
from attribute_recovery.training.loop import LoopSettings

Images = npt.NDArray[np.uint8]

LOOP = LoopSettings(
    steps=12,
    learning_rate=3e-3,
    warmup_steps=2,
    average=0.9,
    precision="float32",
    device="cpu",
    checkpoint_seconds=0.0,
    seed=3,
)


def numbered(count: int) -> Images:
    """Images that say which they are."""
    return np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)


def numbers(batch: Tensor) -> list[int]:
    """Which images a batch holds."""
    return [round(float(image[0, 0, 0] + 1) * 127.5) for image in batch]


def assert_same(found: Autoencoder, expected: Autoencoder) -> None:
    """Bit for bit."""
    for name, value in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name


@given(count=st.integers(1, 40), batch_size=st.integers(1, 50), seed=st.integers(0, 99))
def test_an_epoch_is_a_permutation(count: int, batch_size: int, seed: int) -> None:
    """Whatever is drawn in so many batches, no image is drawn twice more than another."""
    images, drawn = numbered(count), list[int]()
    for step in range(6):
        drawn += numbers(batch_of_images(images, batch_size, seed, step))
        assert len(drawn) == (step + 1) * batch_size
        times = np.bincount(drawn, minlength=count)
        assert times.max() - times.min() <= 1


def test_epochs_and_seeds_differ_but_a_step_is_always_the_same() -> None:
    images = numbered(40)
    first = [numbers(batch_of_images(images, 10, 0, step)) for step in range(8)]
    assert first == [numbers(batch_of_images(images, 10, 0, step)) for step in range(8)]
    assert first[:4] != first[4:]
    assert first[0] != numbers(batch_of_images(images, 10, 1, 0))


def test_to_tensor_maps_bytes_to_the_interval() -> None:
    images = np.array([[[[0, 255, 51]]]], np.uint8)
    found = to_tensor(images)
    assert found.shape == (1, 3, 1, 1) and found.dtype is torch.float32
    torch.testing.assert_close(found.flatten(), torch.tensor([-1.0, 1.0, -0.6]))
    assert to_tensor(numbered(4)).is_contiguous(memory_format=torch.channels_last)


def test_code_noise_disturbs_the_reconstruction(network: GeneratorNetwork) -> None:
    torch.manual_seed(0)
    autoencoder, image = Autoencoder(16, network).eval(), torch.randn(4, 3, 16, 16)
    torch.nn.init.normal_(autoencoder.generator.image.weight)
    assert torch.equal(autoencoder(image), autoencoder(image))
    assert not torch.equal(autoencoder(image, 0.5), autoencoder(image))


def test_it_learns(pictures: Images, network: GeneratorNetwork, training: GeneratorTraining) -> None:
    """In 60 steps; against the same networks after one step, and against their mean for each."""
    settings = training.model_copy(update={"code_noise": 0.0, "batch_size": 32})
    image, costs = to_tensor(pictures), []
    for steps in (1, 60):
        loop = LoopSettings(
            steps=steps, learning_rate=0.02, warmup_steps=5, average=0.9, precision="float32", device="cpu"
        )
        autoencoder, _ = train_autoencoder(pictures, network, settings, loop)
        assert not autoencoder.training
        with torch.no_grad():
            costs.append(reconstruction_losses(autoencoder(image), image, strength_weight=0.5))
    same = reconstruction_losses(image.mean(0, keepdim=True).expand_as(image), image, strength_weight=0.5)
    assert float(costs[1]["image"]) < 0.6 * min(float(costs[0]["image"]), float(same["image"]))
    assert float(costs[1]["strength"]) < 0.8 * min(float(costs[0]["strength"]), float(same["strength"]))


def test_codes_are_standard_afterwards(
    pictures: Images, network: GeneratorNetwork, training: GeneratorTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = training.model_copy(update={"steps": 25})
    loop = LoopSettings(
        steps=25, learning_rate=1e-2, warmup_steps=2, average=0.9, precision="float32", device="cpu"
    )
    autoencoder, _ = train_autoencoder(pictures, network, settings, loop)
    with torch.no_grad():
        code = autoencoder.encoder(to_tensor(pictures))
    torch.testing.assert_close(code.mean(0), torch.zeros(6), atol=0.01, rtol=0)
    torch.testing.assert_close(code.var(0), torch.ones(6), atol=0.03, rtol=0)
    monkeypatch.setattr(module, "standardise_codes", lambda *_: None)
    other, _ = train_autoencoder(pictures, network, settings, loop)
    with torch.no_grad():
        left = other.encoder(to_tensor(pictures))
    assert float((left.var(0) - 1).abs().max()) > 0.2  # what the running statistics would have left


def test_standardise_codes_takes_many_images_evenly_and_no_others(network: GeneratorNetwork) -> None:
    torch.manual_seed(0)
    encoder = Autoencoder(16, network).encoder
    images = np.random.default_rng(0).integers(0, 256, (5000, 16, 16, 3), dtype=np.uint8)
    standardise_codes(encoder, images)
    with torch.no_grad():
        raw = torch.cat([encoder.raw(to_tensor(images[i : i + 500])) for i in range(0, 5000, 500)])
    sd = raw.std(0)
    assert float(((encoder.standardise.running_mean - raw.mean(0)) / sd).abs().max()) < 0.02
    assert float((encoder.standardise.running_var / raw.var(0) - 1).abs().max()) < 0.05
    assert encoder.standardise.training  # nothing else is changed


@pytest.mark.parametrize("weight", [0.0, 0.5])
@pytest.mark.parametrize("stop_at", [3, 9])
def test_an_interrupted_training_ends_with_the_same_bytes(
    tmp_path: Path,
    pictures: Images,
    network: GeneratorNetwork,
    training: GeneratorTraining,
    monkeypatch: pytest.MonkeyPatch,
    weight: float,
    stop_at: int,
) -> None:
    settings = training.model_copy(update={"adversarial_weight": weight})
    checkpoint = tmp_path / "checkpoint.safetensors"
    expected, _ = train_autoencoder(pictures, network, settings, LOOP)

    def stopping(images: Images, batch_size: int, seed: int, step: int) -> Tensor:
        if step == stop_at:
            raise KeyboardInterrupt
        return batch_of_images(images, batch_size, seed, step)

    monkeypatch.setattr(module, "batch_of_images", stopping)
    with pytest.raises(KeyboardInterrupt):
        train_autoencoder(pictures, network, settings, LOOP, checkpoint=checkpoint)
    monkeypatch.undo()
    found, _ = train_autoencoder(pictures, network, settings, LOOP, checkpoint=checkpoint)
    assert_same(found, expected)


def test_an_adversary_takes_part_only_with_a_weight_and_from_its_start(
    pictures: Images, network: GeneratorNetwork, training: GeneratorTraining
) -> None:
    def trained(**changes: float) -> tuple[Autoencoder, set[str]]:
        found, history = train_autoencoder(pictures, network, training.model_copy(update=changes), LOOP)
        return found, set(history.losses)

    without, losses = trained(adversarial_weight=0.0)
    assert losses == {"image", "bands", "strength"}
    never, losses = trained(adversarial_weight=0.5, adversarial_from=1.0)
    assert losses == {"image", "bands", "strength"}
    assert_same(never, without)
    late, losses = trained(adversarial_weight=0.5, adversarial_from=0.5)
    assert losses == {"image", "bands", "strength", "verdict", "discriminator"}
    assert not torch.equal(late.generator.image.weight, without.generator.image.weight)
