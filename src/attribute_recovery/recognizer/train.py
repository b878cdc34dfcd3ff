"""Training of a recognizer: embedding network and additive-margin head on images with identities."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.config import Compute
from attribute_recovery.config_recognizers import TrainedRecognizer
from attribute_recovery.recognizer.networks import AdditiveMarginHead, EmbeddingNetwork
from attribute_recovery.training.augmentation import Augmentation, augmented
from attribute_recovery.training.batches import batch_rows
from attribute_recovery.training.loop import History, LoopSettings, Losses, train

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

AUGMENTATION = Augmentation(
    shift=1, contrast=0.15, brightness=0.15, mirror=0.5, degraded=0.5, blur=1.0, noise=0.06
)
# Batches from which the statistics of batch norm are taken after training, and the fewest images in each.
_STATISTICS_BATCHES = 20
_STATISTICS_IMAGES = 128


class _Pair(nn.Module):
    """Network and head side by side, so that one loop trains both."""

    def __init__(self, network: EmbeddingNetwork, head: AdditiveMarginHead) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        loss: Tensor = self.head(self.network(image), label)
        return loss


def train_recognizer(
    images: Images,
    labels: Labels,
    settings: TrainedRecognizer,
    seed: int,
    compute: Compute,
    *,
    augmentation: Augmentation = AUGMENTATION,
    checkpoint: Path | None = None,
) -> tuple[EmbeddingNetwork, History]:
    """Train an embedding network from scratch.

    Args:
        images: aligned crops, (n, side, side, 3) uint8, RGB.
        labels: identities, (n,) int64, 0 to k − 1 with each of them present.
        settings: sizes and training of the network.
        seed: of weights, order of images and their changes; a batch is a function of it and of the step.
        compute: device and precision.
        augmentation: how far training images are changed.
        checkpoint: file to go on from; the caller removes it when the result is safe.

    Returns:
        The network in evaluation mode, float32, with statistics of batch norm that fit its averaged weights;
        and the training losses.

    Raises:
        ValueError: images or labels have another shape or kind, or there are fewer than 2 identities.
    """
    _check(images, labels)
    torch.manual_seed(seed)
    network = EmbeddingNetwork(images.shape[1], settings.channels, settings.embedding_size)
    training = settings.training
    head = AdditiveMarginHead(
        settings.embedding_size, int(labels.max()) + 1, margin=training.margin, scale=training.scale
    )

    def losses(module: nn.Module, step: int) -> Losses:
        device = next(module.parameters()).device
        rows = batch_rows(len(images), training.batch_size, (seed, 0), step)
        pixels = augmented(images[rows], augmentation, np.random.default_rng([seed, 1, step]))
        return {"softmax": module(_to_tensor(pixels).to(device), torch.from_numpy(labels[rows]).to(device))}

    history = train(
        _Pair(network, head),
        losses,
        _loop_settings(settings, seed, compute),
        label="recognizer",
        checkpoint=checkpoint,
    )
    renew_statistics(network, images, max(training.batch_size, _STATISTICS_IMAGES), seed)
    return network, history


def renew_statistics(network: nn.Module, images: Images, batch_size: int, seed: int) -> None:
    """Take the statistics of batch norm anew, from unchanged images in float32; then evaluation mode.

    The loop returns averaged weights, and running statistics belong to those of the last steps. Plain mean
    over the batches, as in stochastic weight averaging (Izmailov et al., UAI 2018).
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean
    network.train()
    device = next(network.parameters()).device
    with torch.no_grad():
        for step in range(_STATISTICS_BATCHES):
            rows = batch_rows(len(images), batch_size, (seed, 0), step)
            network(_to_tensor(images[rows].astype(np.float32) / 127.5 - 1).to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def _to_tensor(pixels: npt.NDArray[np.float32]) -> Tensor:
    """(n, h, w, 3) as (n, 3, h, w), channels last in memory."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def _loop_settings(settings: TrainedRecognizer, seed: int, compute: Compute) -> LoopSettings:
    training = settings.training
    return LoopSettings(
        steps=training.steps,
        learning_rate=training.learning_rate,
        warmup_steps=min(100, max(1, training.steps // 10)),
        precision=compute.precision,
        device=compute.device,
        seed=seed,
    )


def _check(images: Images, labels: Labels) -> None:
    if (
        images.ndim != 4
        or images.shape[1] != images.shape[2]
        or images.shape[3] != 3
        or images.dtype != np.uint8
    ):
        raise ValueError(
            f"images: found {images.dtype} of shape {images.shape}, allowed is uint8 (n, side, side, 3)"
        )
    if labels.shape != (len(images),):
        raise ValueError(
            f"labels: found shape {labels.shape} for {len(images)} images, allowed is one for each image"
        )
    present = np.unique(labels)
    if len(present) < 2 or not np.array_equal(present, np.arange(len(present))):
        raise ValueError("labels: allowed are the numbers 0 to k - 1, each of them present, and k at least 2")
