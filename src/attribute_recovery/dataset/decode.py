"""From the bytes of an image file to pixels."""

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from attribute_recovery.dataset.sources.listing import Pixels

# By Pillow's names; PPM reads PGM too.
FORMATS = ("PNG", "JPEG", "PPM", "WEBP")


def decode_image(data: bytes) -> Pixels:
    """The pixels of an image file as its camera's holder saw them: uint8 (h, w, 3) RGB.

    The EXIF orientation is carried out, gray is copied to three channels, 16 bits are brought down to 8, and
    what is transparent lies on black.

    Args:
        data: A PNG, JPEG, PGM, PPM or WebP file.

    Returns:
        The pixels.

    Raises:
        ValueError: The bytes are not such a file, or it is damaged.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.load()
            turned = ImageOps.exif_transpose(image)
            pixels = np.array(_rgb(turned), np.uint8)
    except UnidentifiedImageError:
        # Pillow's words hold an address in memory, another on every run.
        raise ValueError("cannot be read as PNG, JPEG, PGM or WebP (it is none of these)") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"cannot be read as PNG, JPEG, PGM or WebP ({reason})") from error
    return pixels


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow would clip 16 bits to 8.
        high = np.asarray(image, np.float64) / 257.0
        image = Image.fromarray(np.rint(high).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        shown = image.convert("RGBA")
        black = Image.new("RGBA", shown.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, shown).convert("RGB")
    return image.convert("RGB")
