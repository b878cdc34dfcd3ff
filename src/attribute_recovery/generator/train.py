"""Training of G and E together as an autoencoder whose code is noisy, so that near codes are near images."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.config import GeneratorNetwork, GeneratorTraining
from attribute_recovery.generator.adversary import Adversary
from attribute_recovery.generator.losses import reconstruction_losses
from attribute_recovery.generator.networks import Encoder, Generator
from attribute_recovery.training.device import chunks
from attribute_recovery.training.loop import History, LoopSettings, train

Images = npt.NDArray[np.uint8]

# Images that the codes' mean and variance are taken over; their error is then below 2 and 3 percent.
STANDARDISED_OVER = 4096


class Autoencoder(nn.Module):
    """E and G side by side."""

    def __init__(self, size: int, network: GeneratorNetwork) -> None:
        super().__init__()
        s = network
        self.encoder = Encoder(size, s.code_size, s.encoder_channels, s.encoder_blocks)
        self.generator = Generator(size, s.code_size, s.decoder_channels, s.decoder_blocks)

    def forward(self, image: Tensor, noise: float = 0.0) -> Tensor:
        """Reconstructions of images (n, 3, size, size), normal noise of that deviation on their codes."""
        code = self.encoder(image)
        decoded: Tensor = self.generator(code + noise * torch.randn_like(code))
        return decoded


def batch_of_images(images: Images, batch_size: int, seed: int, step: int) -> Tensor:
    """The step's batch, drawn without replacement within an epoch: (batch_size, 3, h, w) float32 in [-1, 1].

    A function of (seed, step) alone, so that an interrupted run meets the same batches.
    """
    count = len(images)
    first = step * batch_size
    places = np.arange(first, first + batch_size)
    rows = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(places // count):
        mine = places // count == epoch
        order = np.random.default_rng([seed, int(epoch)]).permutation(count)
        rows[mine] = order[places[mine] % count]
    return to_tensor(np.asarray(images[np.sort(rows)]))


def to_tensor(images: Images) -> Tensor:
    """Images (n, h, w, 3) uint8 as (n, 3, h, w) float32 in [-1, 1], channels last in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def train_autoencoder(
    images: Images,
    network: GeneratorNetwork,
    settings: GeneratorTraining,
    loop: LoopSettings,
    *,
    checkpoint: Path | None = None,
) -> tuple[Autoencoder, History]:
    """Train E and G on images (n, size, size, 3) uint8, with an adversary if the settings give it a weight.

    Codes have mean 0 and variance 1 over the images afterwards, see `standardise_codes`.
    """
    torch.manual_seed(loop.seed)
    networks = Autoencoder(images.shape[1], network)
    adversary = None
    if settings.adversarial_weight > 0:
        adversary = Adversary(settings, steps=loop.steps, seed=loop.seed + 1)

    def losses(module: nn.Module, step: int) -> dict[str, Tensor]:
        device = next(module.parameters()).device
        image = batch_of_images(images, settings.batch_size, loop.seed, step).to(device)
        decoded = module(image, settings.code_noise)
        with torch.autocast(device.type, enabled=False):
            terms = reconstruction_losses(decoded.float(), image, strength_weight=settings.strength_weight)
        return terms if adversary is None else terms | adversary.verdict(decoded, image, step)

    opponent = None if adversary is None else adversary.opponent()
    history = train(networks, losses, loop, label="generator", checkpoint=checkpoint, opponent=opponent)
    standardise_codes(networks.encoder, images)
    return networks, history


def standardise_codes(encoder: Encoder, images: Images, *, batch_size: int = 64) -> None:
    """Set the encoder's running statistics to those of its codes of images (n, size, size, 3), evenly chosen.

    While a network trains they follow the weights of the moment, not the averaged ones that are kept, whose
    codes would be off by up to a whole standard deviation (Izmailov et al., UAI 2018, recompute them for the
    same reason).
    """
    chosen = np.unique(np.linspace(0, len(images) - 1, min(len(images), STANDARDISED_OVER)).astype(np.int64))
    device = encoder.code.weight.device
    with torch.no_grad():
        parts = [
            encoder.raw(to_tensor(images[chosen[part]]).to(device))
            for part in chunks(len(chosen), batch_size)
        ]
        variance, mean = torch.var_mean(torch.cat(parts), dim=0, correction=0)
    encoder.standardise.load_state_dict({"running_mean": mean, "running_var": variance}, strict=False)
