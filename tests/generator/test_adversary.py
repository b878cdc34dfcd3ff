"""The discriminator is small, bounded and learns; its part begins when it should and pays the hinge loss."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from attribute_recovery.config import GeneratorTraining, load_config
from attribute_recovery.generator.adversary import Adversary, Discriminator
from attribute_recovery.generator.train import Autoencoder
from attribute_recovery.training.loop import LoopSettings, train

DEFAULT = Path(__file__).parents[2] / "config" / "default.yaml"


@pytest.fixture
def settings(training: GeneratorTraining) -> GeneratorTraining:
    """A training of which the adversary takes the second half."""
    return training.model_copy(update={"adversarial_weight": 0.5, "adversarial_from": 0.5})


class Fixed(nn.Module):
    """Says what it is told, and remembers what it was shown."""

    def __init__(self, *verdicts: float) -> None:
        super().__init__()
        self.verdicts, self.shown = verdicts, torch.empty(0)

    def forward(self, image: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, 1, 1, 1)."""
        self.shown = image
        return torch.tensor(self.verdicts).view(-1, 1, 1, 1)


def multiplications(network: nn.Module, image: Tensor) -> int:
    """Of convolutions and matrices in one pass."""
    total = 0

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        total += output[0].numel() * layer.weight[0].numel()

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    network.eval()(image)
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize("size", [16, 32, 64])
def test_one_verdict_for_each_eight_by_eight_pixels(size: int) -> None:
    assert Discriminator()(torch.zeros(2, 3, size, size)).shape == (2, 1, size // 8, size // 8)


def test_a_verdict_is_on_a_patch() -> None:
    torch.manual_seed(0)
    network = Discriminator().eval()
    image = torch.randn(1, 3, 64, 64, requires_grad=True)
    network(image)[0, 0, 4, 4].backward()
    assert image.grad is not None
    rows = image.grad.abs().sum((0, 1, 3)).nonzero()[:, 0]
    assert 16 <= int(rows.max() - rows.min()) + 1 <= 44
    assert int(rows.min()) <= 32 <= int(rows.max())


def test_it_adds_less_than_a_third_to_a_step() -> None:
    """The autoencoder goes forward and twice back; it on two images too, and forward and once back on one."""
    config = load_config(DEFAULT)
    image = torch.zeros(1, 3, config.dataset.world.image_size, config.dataset.world.image_size)
    autoencoder = multiplications(Autoencoder(image.shape[-1], config.generator.network), image)
    assert 8 * multiplications(Discriminator(), image) < 0.33 * 3 * autoencoder


def test_no_layer_stretches() -> None:
    """Spectral norms are 1 after a few passes, here computed by singular value decomposition."""
    torch.manual_seed(0)
    network = Discriminator()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(7)
        for _ in range(60):
            network(torch.zeros(1, 3, 16, 16))
    layers = [layer for layer in network.eval().modules() if isinstance(layer, nn.Conv2d)]
    assert len(layers) == 6
    for layer in layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(
            1, abs=0.03
        )


def test_it_takes_part_from_its_start_and_with_rising_weight(settings: GeneratorTraining) -> None:
    adversary, image = Adversary(settings, steps=100, seed=0), torch.zeros(2, 3, 16, 16)
    adversary.network = Fixed(0.5, 1.5)  # type: ignore[assignment]
    assert adversary.opponent().start == 50
    assert adversary.verdict(image, image, 49) == {}
    found = [float(adversary.verdict(image, image, step)["verdict"]) for step in (50, 52, 55, 99)]
    assert found == pytest.approx([0, -0.5 * 0.4, -0.5, -0.5])


def test_the_discriminator_pays_the_hinge_loss_for_the_steps_images(settings: GeneratorTraining) -> None:
    adversary = Adversary(settings, steps=10, seed=0)
    image, decoded = torch.full((2, 3, 8, 8), 0.1), torch.full((2, 3, 8, 8), 0.2, requires_grad=True)
    adversary.verdict(decoded, image, 9)
    judge = Fixed(0.25, 3.0, -2.0, 0.5)
    found = adversary.losses(judge, 9)["discriminator"]
    assert float(found) == pytest.approx((0.75 + 0) / 2 + (0 + 1.5) / 2)
    assert torch.equal(judge.shown, torch.cat([image, decoded]))
    assert not judge.shown.requires_grad
    with pytest.raises(ValueError, match="^step: found 9, but the discriminator has seen no images of it$"):
        adversary.losses(judge, 9)


def test_the_verdict_pulls_at_the_decoded_image_alone(settings: GeneratorTraining) -> None:
    adversary = Adversary(settings, steps=10, seed=0)
    decoded = torch.randn(2, 3, 16, 16, requires_grad=True)
    image = torch.randn(2, 3, 16, 16, requires_grad=True)
    adversary.verdict(decoded, image, 9)["verdict"].backward()  # type: ignore[no-untyped-call]
    assert decoded.grad is not None and bool(decoded.grad.any()) and image.grad is None


def test_its_first_weights_are_determined_by_the_seed(settings: GeneratorTraining) -> None:
    found = [Adversary(settings, steps=10, seed=seed).network.verdict.weight for seed in (1, 1, 2)]
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_it_learns_to_tell_sharp_from_blurred(settings: GeneratorTraining) -> None:
    """A network that cannot change plays the autoencoder; held-out patches are told apart at the end."""
    adversary = Adversary(settings, steps=160, seed=0)
    still = nn.Linear(1, 1)

    def pair(seed: int) -> tuple[Tensor, Tensor]:
        image = torch.rand(16, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        return image, functional.avg_pool2d(image, 3, 1, 1)

    def losses(module: nn.Module, step: int) -> dict[str, Tensor]:
        image, blurred = pair(step)
        return {"none": 0 * module.weight.sum()} | adversary.verdict(blurred, image, step)

    loop = LoopSettings(steps=160, learning_rate=0.0, precision="float32", device="cpu")
    train(still, losses, loop, label="", opponent=adversary.opponent())
    with torch.no_grad():
        real, made = (adversary.network.eval()(image) for image in pair(1000))
    assert float((real > 0).float().mean()) > 0.95 and float((made < 0).float().mean()) > 0.95
