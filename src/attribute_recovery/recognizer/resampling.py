"""Images of another size brought to the side of a recognizer's crop, in the way that its card names."""

from torch import Tensor, nn

ANTIALIASED = ("bilinear", "bicubic")
ALIGNED_CORNERS = "bilinear_aligned_corners"
INTERPOLATIONS = (*ANTIALIASED, ALIGNED_CORNERS)


def resample(images: Tensor, side: int, interpolation: str) -> Tensor:
    """Images at `side` × `side`; those that have it come back as they are.

    Args:
        images: floating point (n, c, h, w).
        side: in pixels, 1 or more.
        interpolation: "bilinear" or "bicubic", antialiased, pixel areas laid over each other; or
            "bilinear_aligned_corners", as the reference has it: the centres of the corner pixels are laid
            over each other, each result is read between four pixels, and nothing is averaged.

    Returns:
        (n, c, side, side), differentiable with respect to the images.

    Raises:
        ValueError: the interpolation is not known.
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"interpolation: found {interpolation!r}, allowed are {', '.join(INTERPOLATIONS)}")
    if images.shape[2:] == (side, side):
        return images
    if interpolation == ALIGNED_CORNERS:
        return nn.functional.interpolate(images, (side, side), mode="bilinear", align_corners=True)
    return nn.functional.interpolate(images, (side, side), mode=interpolation, antialias=True)
