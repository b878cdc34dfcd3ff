"""E and G learn, with labels or without, and go on where they stopped."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

import attribute_recovery.generator.train as module
from attribute_recovery.config import GeneratorNetwork, GeneratorTraining
from attribute_recovery.generator.losses import reconstruction_losses
from attribute_recovery.generator.train import (
    Autoencoder,
    reading_error,
    standardise_codes,
    to_tensor,
    train_autoencoder,
)
from attribute_recovery.training.batches import batch_rows
from attribute_recovery.training.loop import LoopSettings

Images = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float32]

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


def colours(images: Images) -> Matrix:
    """Colours of grounds and squares, (n, 6) in gray levels."""
    return np.concatenate([images[:, 0, 0], images[:, 7, 7]], axis=1).astype(np.float32)


def assert_same(found: Autoencoder, expected: Autoencoder) -> None:
    """Bit for bit."""
    for name, value in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name


def test_to_tensor_maps_bytes_to_the_interval() -> None:
    images = np.array([[[[0, 255, 51]]]], np.uint8)
    found = to_tensor(images)
    assert found.shape == (1, 3, 1, 1) and found.dtype is torch.float32
    torch.testing.assert_close(found.flatten(), torch.tensor([-1.0, 1.0, -0.6]))
    assert to_tensor(np.zeros((4, 2, 2, 3), np.uint8)).is_contiguous(memory_format=torch.channels_last)


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


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"adversarial_weight": 0.5},
        {"attribute_weight": 0.5},
        {"augmentation": 0.5},
        {"attribute_weight": 0.5, "cycle_weight": 0.5},
    ],
)
@pytest.mark.parametrize("stop_at", [3, 9])
def test_an_interrupted_training_ends_with_the_same_bytes(
    tmp_path: Path,
    pictures: Images,
    network: GeneratorNetwork,
    training: GeneratorTraining,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, float],
    stop_at: int,
) -> None:
    settings, labels = training.model_copy(update=changes), colours(pictures)
    checkpoint = tmp_path / "checkpoint.safetensors"
    expected, _ = train_autoencoder(pictures, network, settings, LOOP, labels=labels)

    def stopping(count: int, batch_size: int, seed: tuple[int, ...], step: int) -> npt.NDArray[np.int64]:
        if step == stop_at:
            raise KeyboardInterrupt
        return batch_rows(count, batch_size, seed, step)

    monkeypatch.setattr(module, "batch_rows", stopping)
    with pytest.raises(KeyboardInterrupt):
        train_autoencoder(pictures, network, settings, LOOP, labels=labels, checkpoint=checkpoint)
    monkeypatch.undo()
    found, _ = train_autoencoder(pictures, network, settings, LOOP, labels=labels, checkpoint=checkpoint)
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


def test_augmented_images_are_what_is_asked_for_and_stay_in_range(
    pictures: Images, network: GeneratorNetwork, training: GeneratorTraining
) -> None:
    plain, _ = train_autoencoder(pictures, network, training, LOOP)
    changed, _ = train_autoencoder(pictures, network, training.model_copy(update={"augmentation": 0.5}), LOOP)
    assert not torch.equal(plain.generator.image.weight, changed.generator.image.weight)
    images = module._training_images(pictures[:8], 1.0, (1, 2))
    assert images.shape == (8, 3, *pictures.shape[1:3])
    assert float(images.abs().max()) <= 1
    assert torch.equal(images, module._training_images(pictures[:8], 1.0, (1, 2)))
    assert torch.equal(module._training_images(pictures[:8], 0.0, (1, 2)), module.to_tensor(pictures[:8]))


def test_the_reading_error_by_hand_and_without_what_is_not_known() -> None:
    """(1² + 2² + 3²) / 3; an unknown value weighs nothing, and where nothing is known the error is 0."""
    unknown = float("nan")
    wanted = torch.tensor([[1.0, unknown], [0.0, 5.0]])
    read = torch.tensor([[2.0, 1e6], [-2.0, 2.0]], requires_grad=True)
    error = reading_error(read, wanted)
    assert float(error.detach()) == pytest.approx(14 / 3)
    error.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(read.grad, 2 / 3 * torch.tensor([[1.0, 0.0], [-2.0, -3.0]]))
    nothing = reading_error(read, torch.full((2, 2), unknown))
    assert float(nothing.detach()) == 0.0
    (gradient,) = torch.autograd.grad(nothing, read)
    assert torch.equal(gradient, torch.zeros(2, 2))


def read_out(autoencoder: Autoencoder, fitted: Images, images: Images) -> npt.NDArray[np.float64]:
    """R² (6,) of the colours of images, read by least squares from E's codes, fitted on other images."""
    with torch.no_grad():
        codes = [autoencoder.encoder(to_tensor(part)).double().numpy() for part in (fitted, images)]
    known, new = (np.column_stack([np.ones(len(code)), code]) for code in codes)
    line = np.linalg.lstsq(known, colours(fitted).astype(float), rcond=None)[0]
    wanted = colours(images).astype(float)
    return np.asarray(1 - ((wanted - new @ line) ** 2).mean(0) / wanted.var(0))


def test_what_the_labels_say_is_linear_in_the_codes(
    make_pictures: Callable[[int, int], Images], network: GeneratorNetwork, training: GeneratorTraining
) -> None:
    """Six colours in six components, more than the reconstruction asks for; half of the labels do as well."""
    fitted, images = make_pictures(192, 0), make_pictures(96, 1)
    half = np.where(np.random.default_rng(0).random((192, 6)) < 0.5, np.nan, colours(fitted))
    loop = LoopSettings(
        steps=60, learning_rate=0.02, warmup_steps=5, average=0.9, precision="float32", device="cpu"
    )
    found = []
    for weight, labels in ((0.0, colours(fitted)), (1.0, colours(fitted)), (1.0, half.astype(np.float32))):
        settings = training.model_copy(update={"batch_size": 32, "attribute_weight": weight})
        autoencoder, history = train_autoencoder(fitted, network, settings, loop, labels=labels)
        assert ("attributes" in history.losses) == (weight > 0)
        found.append(read_out(autoencoder, fitted, images))
    blind, told, half_told = found
    assert blind.mean() < 0.6
    assert told.min() > 0.4 and told.mean() > blind.mean() + 0.3
    assert half_told.mean() > blind.mean() + 0.2


def test_labels_are_standardised_over_what_is_known() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.standard_normal((50, 4)) * [1, 200, 0, 1] + [0, 30, 128, 0]).astype(np.float32)
    labels[::7, 1], labels[:, 3] = np.nan, 0.1
    found = module._standardised(labels, 50).numpy()
    known = labels[:, 1][~np.isnan(labels[:, 1])].astype(float)
    expected = (labels[:, 1] - known.mean()) / known.std()
    np.testing.assert_allclose(found[:, 1], expected, atol=1e-5)
    assert found.dtype == np.float32 and found[:, 0].std() == pytest.approx(1, abs=1e-5)
    assert (found[:, 2] == 0).all()  # without variance
    assert np.abs(found[:, 3]).max() <= 1 and np.ptp(found[:, 3]) == 0  # but for rounding


def test_labels_without_variance_or_values_do_no_harm(
    pictures: Images, network: GeneratorNetwork, training: GeneratorTraining
) -> None:
    """One column is constant; of every tenth picture nothing is known."""
    labels = colours(pictures)
    labels[:, 2] = 0.1
    labels[::10] = np.nan
    settings = training.model_copy(update={"attribute_weight": 0.5})
    autoencoder, history = train_autoencoder(pictures, network, settings, LOOP, labels=labels)
    assert np.isfinite(history.losses["attributes"]).all()
    assert all(bool(value.isfinite().all()) for value in autoencoder.state_dict().values())


def test_units_of_labels_do_not_matter(
    pictures: Images, network: GeneratorNetwork, training: GeneratorTraining
) -> None:
    """Exactly, for units that differ by powers of two; other labels make other networks."""
    settings = training.model_copy(update={"attribute_weight": 0.5})
    units = np.array([1, 2, 1024, 0.25, 8, 1 / 4096], np.float32)
    labels = [colours(pictures), colours(pictures) * units, colours(pictures[::-1])]
    once, scaled, other = (
        train_autoencoder(pictures, network, settings, LOOP, labels=values)[0] for values in labels
    )
    assert_same(scaled, once)
    assert not torch.equal(other.encoder.code.weight, once.encoder.code.weight)


def test_without_weight_labels_are_not_looked_at(
    pictures: Images, network: GeneratorNetwork, training: GeneratorTraining
) -> None:
    without, _ = train_autoencoder(pictures, network, training, LOOP)
    for labels in (colours(pictures), np.full((64, 2), np.nan, np.float32)):
        found, history = train_autoencoder(pictures, network, training, LOOP, labels=labels)
        assert_same(found, without)
        assert "attributes" not in history.losses


def test_the_cycle_makes_g_show_what_e_can_find_again(
    make_pictures: Callable[[int, int], Images], network: GeneratorNetwork, training: GeneratorTraining
) -> None:
    """E's codes of images that G makes, against the codes that it made them from."""
    images = make_pictures(192, 0)
    loop = LoopSettings(
        steps=60, learning_rate=0.02, warmup_steps=5, average=0.9, precision="float32", device="cpu"
    )
    errors = []
    for weight in (0.0, 2.0):
        settings = training.model_copy(
            update={"batch_size": 32, "attribute_weight": 1.0, "cycle_weight": weight}
        )
        autoencoder, _ = train_autoencoder(images, network, settings, loop, labels=colours(images))
        with torch.no_grad():
            code = autoencoder.encoder(to_tensor(make_pictures(96, 1)))
            again = autoencoder.encoder(autoencoder.generator(code))
        errors.append(float((again - code).square().mean()))
    assert errors[1] < 0.7 * errors[0]


def test_the_cycle_takes_part_only_with_a_weight_and_from_its_start(
    pictures: Images, network: GeneratorNetwork, training: GeneratorTraining
) -> None:
    without, _ = train_autoencoder(pictures, network, training, LOOP)
    for start, takes_part in ((1.0, False), (0.5, True)):
        settings = training.model_copy(update={"cycle_weight": 0.5, "cycle_from": start})
        found, history = train_autoencoder(pictures, network, settings, LOOP)
        assert ("cycle" in history.losses) == takes_part
        same = torch.equal(found.generator.image.weight, without.generator.image.weight)
        assert same == (not takes_part)


def test_the_cycle_asks_g_and_not_the_eye_that_looks_again(
    pictures: Images, network: GeneratorNetwork
) -> None:
    """With images that do not come from the code, nothing of the cycle reaches E's weights."""

    class Canvas(torch.nn.Module):
        """Decodes everything as its own pixels."""

        def __init__(self, count: int) -> None:
            super().__init__()
            self.code_size = network.code_size
            self.pixels = torch.nn.Parameter(torch.rand(count, 3, 16, 16))

        def forward(self, code: torch.Tensor) -> torch.Tensor:
            return self.pixels

    autoencoder = Autoencoder(16, network)
    canvas = Canvas(8)
    autoencoder.generator = canvas  # type: ignore[assignment]
    attempt = module._Lesson(autoencoder, 0)(to_tensor(pictures[:8]), 0.05, cycle=True)
    attempt.cycle.backward()
    assert float(canvas.pixels.grad.abs().max()) > 0
    assert all(p.grad is None or not bool(p.grad.any()) for p in autoencoder.encoder.parameters())
