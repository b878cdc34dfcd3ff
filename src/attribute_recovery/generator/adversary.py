"""An adversary for G: a small discriminator that judges patches, and takes part late in the training.

Losses that compare a reconstruction with its image leave out detail whose place is uncertain. A discriminator
has no such pair to compare: it sees whether a patch looks like one of the data. It judges with the hinge loss
(Lim & Ye, arXiv 1705.02894) and under spectral normalisation (Miyato et al., ICLR 2018), patch by patch
(Isola et al., CVPR 2017). It is trained here from nothing; neither the recognizer under explanation nor the
critic enters it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from attribute_recovery.config import GeneratorTraining
from attribute_recovery.config_generator import TunedTraining
from attribute_recovery.training.loop import Losses, Opponent

CHANNELS = (32, 64, 96)
# Of Adam, with G's rate well below it at the time: Zhang et al., ICML 2019.
LEARNING_RATE = 4e-4
# Part of the adversarial steps over which the verdict's weight rises: a fresh discriminator knows nothing.
RISE = 0.1


class Discriminator(nn.Module):
    """Images (n, 3, size, size) to verdicts (n, 1, size/8, size/8) on patches, positive for real ones.

    Pixels are folded into channels, so that nothing is convolved at more than half the image's resolution.

    Args:
        channels: at a half, a quarter and an eighth of the image's side.
    """

    def __init__(self, channels: Sequence[int] = CHANNELS) -> None:
        super().__init__()
        self.image = _bounded(12, channels[0], 3)
        self.down = nn.ModuleList(
            nn.Sequential(_bounded(4 * high, low, 1), nn.LeakyReLU(0.2), _bounded(low, low, 3))
            for high, low in zip(channels[:-1], channels[1:], strict=True)
        )
        self.verdict = _bounded(channels[-1], 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Verdicts (n, 1, size/8, size/8) on images in [-1, 1]."""
        features = self.image(nn.functional.pixel_unshuffle(image, 2))
        for stage in self.down:
            folded = nn.functional.pixel_unshuffle(nn.functional.leaky_relu(features, 0.2), 2)
            features = stage(folded)
        verdict: Tensor = self.verdict(nn.functional.leaky_relu(features, 0.2))
        return verdict


def _bounded(inputs: int, outputs: int, kernel: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2))


class Adversary:
    """The discriminator and its part in each step of a generator's training.

    Args:
        settings: `adversarial_weight` of its verdict, and `adversarial_from`, when it begins.
        steps: of the whole training.
        seed: of its first weights.
    """

    def __init__(self, settings: GeneratorTraining | TunedTraining, *, steps: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.network = Discriminator()
        self.weight = settings.adversarial_weight
        self.start = round(settings.adversarial_from * steps)
        self.rise = max(1, round(RISE * (steps - self.start)))
        self._seen: tuple[Tensor, Tensor] | None = None

    def verdict(self, decoded: Tensor, image: Tensor, step: int) -> Losses:
        """What the autoencoder pays: "verdict", the negative weighted mean on its images; at first nothing.

        Args:
            decoded: reconstructions (n, 3, size, size).
            image: the images themselves; both are kept for the discriminator's turn.
            step: of the training.
        """
        if step < self.start:
            return {}
        self._seen = image, decoded.detach()
        share = min(1.0, (step - self.start) / self.rise)
        return {"verdict": -self.weight * share * self.network(decoded).float().mean()}

    def losses(self, discriminator: nn.Module, step: int) -> Losses:
        """What the discriminator pays for the step's images: "discriminator", the hinge loss.

        Raises:
            ValueError: the step has had no `verdict`.
        """
        if self._seen is None:
            raise ValueError(f"step: found {step}, but the discriminator has seen no images of it")
        image, decoded = self._seen
        self._seen = None
        verdicts = discriminator(torch.cat([image, decoded.to(image.dtype)])).float()
        real, made = verdicts.chunk(2)
        hinge = nn.functional.relu(1 - real).mean() + nn.functional.relu(1 + made).mean()
        return {"discriminator": hinge}

    def opponent(self) -> Opponent:
        """Its place in the training loop."""
        return Opponent(self.network, self.losses, self.start, LEARNING_RATE)
