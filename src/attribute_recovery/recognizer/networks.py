"""The recognizer's networks: an image to an embedding, and the additive-margin head for its training.

Pixels are folded into channels first, so that nothing is convolved at full resolution, which is what costs on
a processor. The embedding comes from all places of the last features at once (flatten, linear, batch norm),
as in ArcFace (Deng et al., CVPR 2019): in an aligned crop, where something is says who it is.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Only directions count in the head, and an optimiser step turns a short vector further: with 0.1 instead, TAR
# at FMR 1e-3 on new people of the default world was 0.10 instead of 0.24 after 20,000 images.
_HEAD_DEVIATION = 0.02


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)  # batch norm has the bias
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer


class ResidualBlock(nn.Module):
    """Residual block of two 3 × 3 convolutions, each with batch norm, and a leaky ReLU between them.

    Args:
        channels: of its input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        last = nn.BatchNorm2d(channels)
        nn.init.zeros_(last.weight)  # starts as the identity
        self.inner = nn.Sequential(
            _convolution(channels, channels, 3),
            nn.BatchNorm2d(channels),
            nn.LeakyReLU(0.1),
            _convolution(channels, channels, 3),
            last,
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, channels, h, w) to features of the same shape."""
        added: Tensor = features + self.inner(features)
        return added


class EmbeddingNetwork(nn.Module):
    """f before normalisation: image (n, 3, size, size) in [-1, 1] to (n, embedding_size).

    Args:
        size: side of the image, divisible by 2 to the power of the number of stages.
        channels: of the stages, from half the image's side down; each has half the side of the one before.
        embedding_size: d.

    Raises:
        ValueError: there are no channels, or `size` cannot be halved so often.
    """

    def __init__(self, size: int, channels: Sequence[int], embedding_size: int) -> None:
        super().__init__()
        side = _last_side(size, channels)
        stages: list[nn.Module] = []
        folded = [12, *(4 * width for width in channels[:-1])]
        for inputs, width in zip(folded, channels, strict=True):
            # The image's own pixels need neighbours to mean anything; folded features have seen them already.
            kernel = 3 if inputs == folded[0] else 1
            stages += [
                nn.PixelUnshuffle(2),
                _convolution(inputs, width, kernel),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(0.1),
                ResidualBlock(width),
            ]
        self.trunk = nn.Sequential(*stages)
        self.embedding = nn.Sequential(
            nn.BatchNorm2d(channels[-1]),
            nn.Flatten(),
            nn.Linear(channels[-1] * side * side, embedding_size, bias=False),
            nn.BatchNorm1d(embedding_size),
        )
        self.size, self.embedding_size = size, embedding_size

    def forward(self, image: Tensor) -> Tensor:
        """Embeddings (n, embedding_size), float32 or the precision that autocast sets, not normalised."""
        features: Tensor = self.embedding(self.trunk(image))
        return features


class AdditiveMarginHead(nn.Module):
    """Additive-margin softmax (CosFace; Wang et al., CVPR 2018) over the identities of the training set.

    loss = −log( e^{s (cos θ_y − m)} / (e^{s (cos θ_y − m)} + Σ_{j≠y} e^{s cos θ_j}) ), averaged over the
    batch; θ_j is the angle between the embedding and the weight vector of identity j.

    Args:
        embedding_size: d.
        identities: number of identities, at least 2.
        margin: m, in [0, 1).
        scale: s, above 0.

    Raises:
        ValueError: an argument leaves its range.
    """

    def __init__(self, embedding_size: int, identities: int, *, margin: float, scale: float) -> None:
        super().__init__()
        if identities < 2:
            raise ValueError(f"identities: found {identities}, a recognizer needs at least 2 to tell apart")
        if not 0 <= margin < 1:
            raise ValueError(f"margin: found {margin}, allowed is 0 up to, not including, 1")
        if not scale > 0:
            raise ValueError(f"scale: found {scale}, allowed is above 0")
        self.weight = nn.Parameter(torch.empty(identities, embedding_size))
        nn.init.normal_(self.weight, std=_HEAD_DEVIATION)
        self.margin, self.scale = margin, scale

    def forward(self, embedding: Tensor, label: Tensor) -> Tensor:
        """Mean loss in nats, a scalar, of embeddings (n, d) of any length and labels (n,) int64."""
        directions = nn.functional.normalize(self.weight.float())
        with torch.autocast(embedding.device.type, enabled=False):  # bf16 would blur the margin
            cosine = nn.functional.normalize(embedding.float()) @ directions.T
            target = nn.functional.one_hot(label, len(directions)).to(cosine.dtype)
            return nn.functional.cross_entropy(self.scale * (cosine - self.margin * target), label)


def _last_side(size: int, channels: Sequence[int]) -> int:
    """Side of the last stage's features."""
    if not channels:
        raise ValueError("channels: found none, allowed is one number a stage")
    factor = 1 << len(channels)
    if size % factor:
        raise ValueError(
            f"size: found {size}; {len(channels)} stages of channels need a multiple of {factor}"
        )
    return size // factor
