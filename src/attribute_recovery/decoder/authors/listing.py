"""The images of a folder, found by their names; read elsewhere."""

import hashlib
from pathlib import Path

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".webp")


def image_files(folder: Path) -> list[Path]:
    """Images in a folder and all below it, by their endings, in the order of their names.

    Raises:
        ValueError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: is missing, expected a folder of images")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise ValueError(f"{folder}: found no image, allowed endings are {', '.join(SUFFIXES)}")
    return found


def listing_digest(folder: Path) -> str:
    """Digest of a folder's images by name, size and time of the last change, 64 hexadecimal digits.

    It tells, without reading them, that images came, went or changed.

    Raises:
        ValueError: there is no such folder, or no image in it.
    """
    lines = []
    for path in image_files(folder):
        facts = path.stat()
        lines.append(f"{path.relative_to(folder).as_posix()}\t{facts.st_size}\t{facts.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
