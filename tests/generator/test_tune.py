"""G is trained on, E stays: what E finds in G's images comes nearer to what the codes say."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from attribute_recovery.config import GeneratorNetwork, GeneratorTraining
from attribute_recovery.config_generator import TunedTraining
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.generator.train import train_autoencoder
from attribute_recovery.generator.tune import code_readouts, tune_generator
from attribute_recovery.training.device import frozen
from attribute_recovery.training.loop import LoopSettings

Images = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float32]

LOOP = LoopSettings(
    steps=40,
    learning_rate=3e-3,
    warmup_steps=2,
    average=0.9,
    precision="float32",
    device="cpu",
    checkpoint_seconds=0.0,
    seed=3,
)


@pytest.fixture
def tuning() -> TunedTraining:
    """A training for the attributes alone."""
    return TunedTraining(
        steps=40,
        batch_size=16,
        learning_rate=3e-3,
        code_noise=0.05,
        strength_weight=0.5,
        cycle_weight=0.5,
        reading_weight=30.0,
        adversarial_weight=0.0,
        adversarial_from=0.5,
    )


@pytest.fixture
def labels(pictures: Images) -> Matrix:
    """Colours of grounds and squares, (n, 6); of the first picture's ground nothing is known."""
    found = np.concatenate([pictures[:, 0, 0], pictures[:, 7, 7]], axis=1).astype(np.float32)
    found[0, :3] = np.nan
    return found


@pytest.fixture
def start(
    pictures: Images, labels: Matrix, network: GeneratorNetwork, training: GeneratorTraining
) -> LoadedGenerator:
    """Networks that have learned a little."""
    settings = training.model_copy(update={"attribute_weight": 1.0, "batch_size": 32})
    loop = LoopSettings(
        steps=60, learning_rate=0.01, warmup_steps=5, average=0.9, precision="float32", device="cpu"
    )
    networks, _ = train_autoencoder(pictures, network, settings, loop, labels=labels)
    return LoadedGenerator(frozen(networks, torch.device("cpu")), 16, torch.device("cpu"), torch.float32)


def missed(generator: LoadedGenerator, pictures: Images, read: Matrix) -> float:
    """Mean square of what E finds of the attributes in G's images less what their codes say."""
    codes = generator.encode_images(pictures)
    with torch.no_grad():
        found = generator.networks.encoder(generator.networks.generator(torch.from_numpy(codes)))
    return float(np.mean(((found.numpy() - codes) @ read) ** 2))


def state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_read_outs_are_of_labels_in_units_of_their_deviation() -> None:
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((500, 4)).astype(np.float32)
    true = np.array([[2.0, 0.0, 1.0, 0.0], [0.0, -30.0, 0.0, 0.0]]).T
    labels = np.concatenate([codes @ true + 5, np.full((500, 2), 7.0)], axis=1).astype(np.float32)
    labels[rng.random(500) < 0.3, 0] = np.nan
    labels[:, 3] = np.nan
    found = code_readouts(codes, labels)
    assert found[:, :2] == pytest.approx(true / np.array([5**0.5, 30.0]), abs=0.1)
    assert not found[:, 2:].any()  # one value, and none


def test_e_finds_more_of_the_attributes_and_is_itself_the_same(
    start: LoadedGenerator, pictures: Images, labels: Matrix, tuning: TunedTraining
) -> None:
    read = code_readouts(start.encode_images(pictures), labels)
    before, encoder = missed(start, pictures, read), state(start.networks.encoder)
    history = tune_generator(start, pictures, tuning, LOOP, labels=labels)
    assert missed(start, pictures, read) < 0.5 * before
    for name, value in start.networks.encoder.state_dict().items():
        assert torch.equal(value, encoder[name]), name
    assert set(history.losses) == {"image", "bands", "strength", "cycle", "reading"}
    assert not any(parameter.requires_grad for parameter in start.networks.parameters())


@pytest.mark.parametrize("weight", [0.0, 30.0])
def test_without_labels_or_weight_nothing_is_read(
    start: LoadedGenerator, pictures: Images, labels: Matrix, tuning: TunedTraining, weight: float
) -> None:
    settings = tuning.model_copy(update={"reading_weight": weight, "adversarial_weight": 0.2})
    known = labels if weight == 0 else None
    history = tune_generator(start, pictures, settings, LOOP, labels=known)
    assert "reading" not in history.losses and "discriminator" in history.losses


def test_an_interrupted_training_ends_with_the_same_bytes(
    start: LoadedGenerator,
    pictures: Images,
    labels: Matrix,
    tuning: TunedTraining,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began = state(start.networks)
    tune_generator(start, pictures, tuning, LOOP, labels=labels)
    wanted = state(start.networks)
    start.networks.load_state_dict(began)
    forward = type(start.networks.generator).forward
    calls = 0

    def stopped(self: torch.nn.Module, code: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 25:
            raise KeyboardInterrupt
        result: torch.Tensor = forward(self, code)  # type: ignore[arg-type]
        return result

    monkeypatch.setattr(type(start.networks.generator), "forward", stopped)
    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        tune_generator(start, pictures, tuning, LOOP, labels=labels, checkpoint=checkpoint)
    monkeypatch.undo()
    assert checkpoint.exists()
    start.networks.load_state_dict(began)
    tune_generator(start, pictures, tuning, LOOP, labels=labels, checkpoint=checkpoint)
    for name, value in start.networks.state_dict().items():
        assert torch.equal(value, wanted[name]), name
