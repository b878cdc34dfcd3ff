"""Images as a network takes them: template, size, channel order and value range of its card.

Everything is differentiable with respect to the images.
"""

import math

import torch
from torch import Tensor, nn

from attribute_recovery.recognizer.card import RecognizerCard
from attribute_recovery.recognizer.template import similarity

# Luminance of ITU-R BT.601, as Pillow and OpenCV make gray images.
_LUMINANCE = (0.299, 0.587, 0.114)


def to_crops(images: Tensor, card: RecognizerCard) -> Tensor:
    """Bring images to a recognizer's input.

    Args:
        images: RGB in [-1, 1], (n, 3, side, side) float32, in the template of the card's `fitted.images`; in
            the card's own where it was not fitted to a data set.
        card: what the recognizer needs.

    Returns:
        float32 (n, channels, crop_size, crop_size), channels 3, or 1 where the card's order is gray, in the
        card's value range.
    """
    images = resized(placed(images, card), card.crop_size, card.interpolation)
    if card.channel_order == "BGR":
        images = images.flip(1)
    elif card.channel_order == "gray":
        weights = torch.tensor(_LUMINANCE, device=images.device)
        images = (images * weights[:, None, None]).sum(1, keepdim=True)
    low, high = card.value_range
    if (low, high) != (-1.0, 1.0):
        images = low + (images + 1) * ((high - low) / 2)
    return images.contiguous(memory_format=torch.channels_last)


def placed(images: Tensor, card: RecognizerCard) -> Tensor:
    """Move faces to where the card's template has them; what lies outside the images is black.

    A crop that shows more of the image than it has pixels is made larger first, so that the resampling to
    `crop_size` that follows can average instead of skipping pixels.

    Args:
        images: in [-1, 1], (n, 3, side, side).
        card: its template, and that of the images.

    Returns:
        (n, 3, m, m), m at least `crop_size`; the images themselves where nothing is to be moved.
    """
    matrix = None if card.fitted is None else similarity(card.template, card.fitted.images)
    if matrix is None:
        return images
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    size = max(card.crop_size, math.ceil(images.shape[2] * scale - 1e-6))
    # grid_sample counts from -1 to 1: q = 2 p - 1 on both sides, so q' = R q + R 1 + 2 t - 1.
    turn = torch.as_tensor(matrix[:, :2], dtype=images.dtype, device=images.device)
    shift = torch.as_tensor(matrix[:, :2].sum(1) + 2 * matrix[:, 2] - 1).to(turn)
    theta = torch.cat([turn, shift[:, None]], 1).expand(len(images), 2, 3)
    grid = nn.functional.affine_grid(theta, [len(images), 3, size, size], align_corners=False)
    mode = "bicubic" if card.interpolation == "bicubic" else "bilinear"
    # Outside of the image grid_sample reads 0, which is black after adding 1.
    return nn.functional.grid_sample(images + 1, grid, mode=mode, align_corners=False) - 1


def resized(images: Tensor, side: int, interpolation: str) -> Tensor:
    """Images at `side` × `side`, resampled as a card says; those that have it come back as they are.

    "bilinear_aligned_corners" lays the centres of the corner pixels over each other, reads every other place
    between four pixels, and averages nothing.

    Args:
        images: floating point (n, c, h, w); another shape than a square is stretched.
        side: in pixels.
        interpolation: a card's, see `card.RecognizerCard`.

    Returns:
        (n, c, side, side), differentiable with respect to the images.
    """
    size = (side, side)
    if images.shape[2:] == size:
        return images
    if interpolation == "bilinear_aligned_corners":
        return nn.functional.interpolate(images, size, mode="bilinear", align_corners=True)
    antialias = interpolation != "area"
    return nn.functional.interpolate(images, size, mode=interpolation, antialias=antialias)
