"""Image files of each format come out as the same pixels, upright, in three channels."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from attribute_recovery.dataset.decode import decode_image

Pictures = Callable[..., npt.NDArray[np.uint8]]


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A file's bytes."""
    found = io.BytesIO()
    image.save(found, kind, **options)
    return found.getvalue()


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("PPM", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 95})]
)
def test_formats_give_the_same_pixels(pictures: Pictures, kind: str, options: dict[str, Any]) -> None:
    pixels = pictures(3)
    found = decode_image(encoded(Image.fromarray(pixels), kind, **options))
    assert found.dtype == np.uint8 and found.shape == pixels.shape
    difference = np.abs(found.astype(int) - pixels.astype(int))
    assert difference.mean() < (3 if kind == "JPEG" else 1e-9)


def test_gray_is_copied_to_three_channels() -> None:
    gray = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    pgm = b"P5\n8 6\n255\n" + gray.tobytes()
    for data in (
        pgm,
        encoded(Image.fromarray(gray), "PNG"),
        b"P2\n8 6\n255\n" + b" ".join(b"%d" % v for v in gray.ravel()),
    ):
        np.testing.assert_array_equal(decode_image(data), np.repeat(gray[..., None], 3, axis=2))


def test_sixteen_bits_become_eight() -> None:
    gray = np.array([[0, 257, 32896, 65535]], ">u2")
    expected = [0, 1, 128, 255]
    for data in (b"P5\n4 1\n65535\n" + gray.tobytes(), encoded(Image.fromarray(gray.astype("<u2")), "PNG")):
        assert decode_image(data)[0, :, 0].tolist() == expected


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_camera_is_carried_out(pictures: Pictures, orientation: int) -> None:
    upright = pictures(1)[:30]
    # How the camera stored it, by the EXIF standard's table of tag 274.
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    exif = Image.Exif()
    exif[274] = orientation
    image = Image.fromarray(np.ascontiguousarray(turned[orientation]))
    np.testing.assert_array_equal(decode_image(encoded(image, "PNG", exif=exif)), upright)


def test_transparency_lies_on_black_and_palettes_are_looked_up() -> None:
    pixels = np.full((2, 2, 4), 200, np.uint8)
    pixels[0, 0, 3], pixels[0, 1, 3], pixels[1, :, 3] = 0, 255, 51
    found = decode_image(encoded(Image.fromarray(pixels), "PNG"))
    assert found[..., 0].tolist() == [[0, 200], [40, 40]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    assert decode_image(encoded(palette, "PNG")).tolist() == [[[10, 20, 30], [40, 50, 60]]]


def test_what_is_no_image_or_damaged_is_refused(pictures: Pictures) -> None:
    whole = encoded(Image.fromarray(pictures(0)), "PNG")
    for data in (
        b"",
        b"not an image",
        whole[: len(whole) // 2],
        encoded(Image.fromarray(pictures(0)), "BMP"),
    ):
        with pytest.raises(ValueError, match=r"^cannot be read as PNG, JPEG, PGM or WebP \(.+\)$"):
            decode_image(data)


def test_an_image_too_large_to_be_one_is_refused(monkeypatch: pytest.MonkeyPatch, pictures: Pictures) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match=r"cannot be read as .*decompression bomb"):
        decode_image(encoded(Image.fromarray(pictures(0)), "PNG"))


def test_what_is_no_image_is_told_in_the_same_words_every_time() -> None:
    # Pillow's own have an address in memory, and these words are part of the data report.
    with pytest.raises(ValueError) as found:
        decode_image(b"GIF89a")
    assert str(found.value) == "cannot be read as PNG, JPEG, PGM or WebP (it is none of these)"
