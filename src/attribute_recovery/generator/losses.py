"""What a reconstruction is trained for: the right image, and as much detail as the image has.

L1 on an image alone leaves fine detail out: where an edge's place is uncertain by a pixel, its mean is a
blur. So the octave bands of a Laplacian pyramid (Burt & Adelson, 1983) are compared each on its own scale,
and each band's local strength as well, which a blur cannot match. Neither the recognizer under explanation
nor the critic enters here.
"""

import torch
from torch import Tensor
from torch.nn import functional

BANDS = 3
STRENGTH_WINDOW = 4
# Mean magnitude below which a band holds nothing to compare: an eighth of a gray level. No division by zero.
FAINTEST = 1e-3


def octave_bands(image: Tensor, count: int = BANDS) -> tuple[list[Tensor], Tensor]:
    """Laplacian pyramid: `count` bands (n, 3, size/2^b, size/2^b), fine to coarse, and what is left below."""
    bands = []
    for _ in range(count):
        low = functional.avg_pool2d(image, 2)
        bands.append(
            image - functional.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False)
        )
        image = low
    return bands, image


def reconstruction_losses(decoded: Tensor, image: Tensor, *, strength_weight: float) -> dict[str, Tensor]:
    """Named losses of decoded images against images, (n, 3, size, size) float32 in [-1, 1].

    "image" is L1; "bands" the sum over octave bands of mean |Δband| over mean |band|; "strength" the same for
    the bands' mean magnitude in windows of 4 × 4, times `strength_weight`.
    """
    found, base = octave_bands(decoded)
    wanted, base_wanted = octave_bands(image)
    bands = torch.zeros((), device=image.device)
    strength = torch.zeros((), device=image.device)
    for band, target in zip(found, wanted, strict=True):
        scale = target.abs().mean().clamp_min(FAINTEST)
        bands = bands + (band - target).abs().mean() / scale
        window = [
            functional.avg_pool2d(value.abs().mean(1, keepdim=True), STRENGTH_WINDOW)
            for value in (band, target)
        ]
        strength = strength + (window[0] - window[1]).abs().mean() / scale
    return {
        "image": 4 * (decoded - image).abs().mean() + (base - base_wanted).abs().mean(),
        "bands": bands / 3,
        "strength": strength_weight * strength / 3,
    }
