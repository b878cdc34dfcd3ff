"""Training of G and E together as an autoencoder whose code is noisy, so that near codes are near images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.config import GeneratorNetwork, GeneratorTraining
from attribute_recovery.generator.adversary import Adversary
from attribute_recovery.generator.losses import reconstruction_losses
from attribute_recovery.generator.networks import Encoder, Generator
from attribute_recovery.training.augmentation import augmented, for_few_images
from attribute_recovery.training.batches import batch_rows
from attribute_recovery.training.device import chunks
from attribute_recovery.training.loop import History, LoopSettings, train

Images = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float32]

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


def reading_error(read: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error of read attributes (n, width) over those that are known, not NaN in `wanted`."""
    known = ~wanted.isnan()
    squared = (read - wanted.nan_to_num()) ** 2 * known
    return squared.sum() / known.sum().clamp_min(1)


def _standardised(labels: Matrix | None, count: int) -> Tensor:
    """Labels (n, width) with mean 0 and variance 1 a column, so that an error weighs alike in all of them."""
    if labels is None:
        return torch.empty(count, 0)
    known = ~np.isnan(labels)
    count_known = np.maximum(known.sum(0), 1)
    centred = labels - np.where(known, labels, 0).sum(0) / count_known
    spread = np.sqrt((np.where(known, centred, 0) ** 2).sum(0) / count_known)
    return torch.from_numpy((centred / np.where(spread > 0, spread, 1)).astype(np.float32))


def to_tensor(images: Images) -> Tensor:
    """Images (n, h, w, 3) uint8 as (n, 3, h, w) float32 in [-1, 1], channels last in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def _training_images(images: Images, strength: float, seed: tuple[int, int]) -> Tensor:
    """Images (n, h, w, 3) uint8 as `to_tensor` has them, changed at random with a strength above 0."""
    if strength == 0:
        return to_tensor(np.asarray(images))
    rng = np.random.default_rng([*seed, 1])
    changed = augmented(np.asarray(images), for_few_images(strength), rng)
    return torch.from_numpy(changed).permute(0, 3, 1, 2).clamp_(-1, 1)


@dataclass(frozen=True)
class _Attempt:
    """Decoded images (n, 3, size, size), attributes (n, width) read from their codes, and how far off E finds
    the codes in the decoded images, if that was asked for.
    """

    decoded: Tensor
    read: Tensor
    cycle: Tensor | None


class _Lesson(nn.Module):
    """The autoencoder and, for its training alone, a linear reader of attributes from codes."""

    def __init__(self, autoencoder: Autoencoder, width: int) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        size = autoencoder.generator.code_size
        self.reader: nn.Module = nn.Linear(size, width) if width else nn.Identity()

    def forward(self, image: Tensor, noise: float, *, cycle: bool) -> _Attempt:
        """A batch (n, 3, size, size) there and, with `cycle`, back again."""
        encoder = self.autoencoder.encoder
        raw = encoder.raw(image)
        code = encoder.standardise(raw)
        code = code + noise * torch.randn_like(code)
        decoded = self.autoencoder.generator(code)
        if not cycle:
            return _Attempt(decoded, self.reader(code), None)
        found = (self._raw_again(decoded) - raw.mean(0).detach()) / raw.std(0, correction=0).detach()
        return _Attempt(decoded, self.reader(code), (found - code.detach()).square().mean())

    def _raw_again(self, decoded: Tensor) -> Tensor:
        """E's codes of decoded images, E's weights held here: it is G that has to show what the code says."""
        encoder = self.autoencoder.encoder
        raw = _RawCodes(encoder)
        held = {f"encoder.{name}": value.detach() for name, value in encoder.named_parameters()}
        result: Tensor = torch.func.functional_call(raw, held, (decoded,))
        return result


class _RawCodes(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, image: Tensor) -> Tensor:
        return self.encoder.raw(image)


def train_autoencoder(
    images: Images,
    network: GeneratorNetwork,
    settings: GeneratorTraining,
    loop: LoopSettings,
    *,
    labels: Matrix | None = None,
    checkpoint: Path | None = None,
) -> tuple[Autoencoder, History]:
    """Train E and G on images (n, size, size, 3) uint8, with an adversary if the settings give it a weight.

    Codes have mean 0 and variance 1 over the images afterwards, see `standardise_codes`.

    With `attribute_weight` above 0 a linear reader is trained to find `labels`, the images' encoded
    attributes (n, width) float32, in the codes, and E with it; NaN stands for what is not known.
    """
    torch.manual_seed(loop.seed)
    networks = Autoencoder(images.shape[1], network)
    wanted = _standardised(labels if settings.attribute_weight > 0 else None, len(images))
    lesson = _Lesson(networks, wanted.shape[1])
    adversary = None
    if settings.adversarial_weight > 0:
        adversary = Adversary(settings, steps=loop.steps, seed=loop.seed + 1)

    def losses(module: nn.Module, step: int) -> dict[str, Tensor]:
        device = next(module.parameters()).device
        rows = np.sort(batch_rows(len(images), settings.batch_size, (loop.seed,), step))
        image = _training_images(images[rows], settings.augmentation, (loop.seed, step)).to(device)
        cycle = settings.cycle_weight > 0 and step >= settings.cycle_from * loop.steps
        attempt = module(image, settings.code_noise, cycle=cycle)
        decoded = attempt.decoded.float()
        with torch.autocast(device.type, enabled=False):
            terms = reconstruction_losses(decoded, image, strength_weight=settings.strength_weight)
            if wanted.shape[1]:
                error = reading_error(attempt.read.float(), wanted[rows].to(device))
                terms["attributes"] = settings.attribute_weight * error
        if attempt.cycle is not None:
            terms["cycle"] = settings.cycle_weight * attempt.cycle
        return terms if adversary is None else terms | adversary.verdict(attempt.decoded, image, step)

    opponent = None if adversary is None else adversary.opponent()
    history = train(lesson, losses, loop, label="generator", checkpoint=checkpoint, opponent=opponent)
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
