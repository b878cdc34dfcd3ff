"""G trained on while E stays: what E finds in G's images is to be what their code says.

A feature a few pixels wide is a small part of any distance between images, and one component of the cycle's
mean among many. What the attributes weigh is known: the linear read-outs of the code that E was trained with
are fitted again, and E, looking at G's image, has to find what they say of its code.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.config_generator import TunedTraining
from attribute_recovery.generator.adversary import Adversary
from attribute_recovery.generator.load import LoadedGenerator
from attribute_recovery.generator.losses import reconstruction_losses
from attribute_recovery.generator.train import to_tensor
from attribute_recovery.statistics.linear import fit_ridge
from attribute_recovery.training.batches import batch_rows
from attribute_recovery.training.loop import History, LoopSettings, train

Images = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float32]

# Of the read-outs' regression; codes have variance 1.
PENALTY = 1e-3


def code_readouts(codes: Matrix, labels: Matrix) -> Matrix:
    """Weights (code_size, width) of the linear read-outs of codes (n, code_size), each for its label in units
    of the label's deviation.

    Args:
        codes: of images.
        labels: their encoded attributes (n, width); NaN for what is not known. A column without two values
            has no read-out: its weights are 0.
    """
    weights = np.zeros((codes.shape[1], labels.shape[1]), np.float32)
    for column, wanted in enumerate(labels.T):
        known = np.isfinite(wanted)
        spread = float(wanted[known].std()) if known.any() else 0.0
        if spread > 0:
            target = wanted[known, None].astype(np.float64) / spread
            weights[:, column] = fit_ridge(codes[known].astype(np.float64), target, PENALTY).weights[:, 0]
    return weights


def tune_generator(
    start: LoadedGenerator,
    images: Images,
    settings: TunedTraining,
    loop: LoopSettings,
    *,
    labels: Matrix | None = None,
    checkpoint: Path | None = None,
) -> History:
    """Train G of `start` in place on images (n, size, size, 3) uint8; it holds averaged weights afterwards.

    Args:
        start: G and E, networks of this package.
        images: to learn from.
        settings: of the losses.
        loop: of the training.
        labels: encoded attributes of the images (n, width) float32, NaN for what is not known; None leaves
            `reading_weight` without effect.
        checkpoint: see `training.loop.train`.
    """
    codes = start.encode_images(images)
    read = torch.empty(codes.shape[1], 0)
    if labels is not None and settings.reading_weight > 0:
        read = torch.from_numpy(code_readouts(codes, labels))
    encoder, generator = start.networks.encoder, start.networks.generator
    adversary = None
    if settings.adversarial_weight > 0:
        adversary = Adversary(settings, steps=loop.steps, seed=loop.seed + 1)

    def losses(module: nn.Module, step: int) -> dict[str, Tensor]:
        device = next(module.parameters()).device
        rows = np.sort(batch_rows(len(images), settings.batch_size, (loop.seed,), step))
        image = to_tensor(np.asarray(images[rows])).to(device)
        code = torch.from_numpy(codes[rows]).to(device)
        code = code + settings.code_noise * torch.randn_like(code)
        made = module(code)
        found = encoder(made) if settings.cycle_weight > 0 or read.shape[1] else code
        with torch.autocast(device.type, enabled=False):
            missed = found.float() - code
            terms = reconstruction_losses(made.float(), image, strength_weight=settings.strength_weight)
            terms["cycle"] = settings.cycle_weight * missed.square().mean()
            if read.shape[1]:
                terms["reading"] = settings.reading_weight * (missed @ read.to(device)).square().mean()
        return terms if adversary is None else terms | adversary.verdict(made, image, step)

    opponent = None if adversary is None else adversary.opponent()
    generator.requires_grad_(True)
    history = train(generator, losses, loop, label="generator", checkpoint=checkpoint, opponent=opponent)
    generator.requires_grad_(False)
    return history
