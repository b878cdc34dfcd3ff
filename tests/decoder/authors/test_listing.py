"""A folder's images are found by their endings; its digest tells when they change."""

import os
from pathlib import Path

import pytest

from attribute_recovery.decoder.authors.listing import image_files, listing_digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b/2.PNG", "a/1.jpg", "a/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def test_images_are_found_in_order(folder: Path) -> None:
    assert [path.relative_to(folder).as_posix() for path in image_files(folder)] == ["a/1.jpg", "b/2.PNG"]


def test_the_digest_tells_that_an_image_came_went_or_changed(folder: Path) -> None:
    before = listing_digest(folder)
    (folder / "a/notes.txt").write_text("other")
    assert listing_digest(folder) == before
    (folder / "c.webp").write_bytes(b"x")
    more = listing_digest(folder)
    os.utime(folder / "a/1.jpg", (1, 1))
    touched = listing_digest(folder)
    (folder / "b/2.PNG").unlink()
    assert len({before, more, touched, listing_digest(folder)}) == 4


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found no image, allowed endings are .bmp"):
        listing_digest(tmp_path)
    with pytest.raises(ValueError, match="nowhere: is missing"):
        listing_digest(tmp_path / "nowhere")
