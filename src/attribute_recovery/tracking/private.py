"""Files that hold faces, or say who is who: for their owner alone.

Faces are personal data. One rule for all of them, made ones too, since a rule without exceptions is kept:
whoever writes a picture of faces, or the images themselves, does it inside `private_files`.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEY_BYTES = 32


@contextmanager
def private_files() -> Iterator[None]:
    """Files made in the block have mode 0600 from their first byte on, folders 0700.

    It is done by the umask, which belongs to the whole process and is put back afterwards.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def close_folder(folder: Path) -> None:
    """Makes a folder, if it is not there, that only its owner can look into, whatever lies in it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def kept_key(path: Path) -> bytes:
    """The random key that is kept in a file of mode 0600; made where there is none.

    Args:
        path: The file.

    Returns:
        32 bytes.

    Raises:
        ValueError: The file is not such a key, or others may read it.
    """
    try:
        with private_files(), open(path, "xb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
    except FileExistsError:
        pass
    if path.stat().st_mode & 0o077:
        raise ValueError(f"{path}: others than its owner can read this key, allowed is mode 0600")
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path}: found {len(key)} bytes, allowed is a key of {KEY_BYTES}")
    return key
