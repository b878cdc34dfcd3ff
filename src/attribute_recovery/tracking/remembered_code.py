"""Digests of the package's code, kept in a file for as long as no file of the package changes.

All of them are wanted whenever the Snakefile is read, on a cluster twice more for every job, and to parse the
package takes longer than all else that is done then.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from attribute_recovery.tracking.code import PACKAGE, PackageCode
from attribute_recovery.tracking.digest import sha256_file, write_json

PACKAGE_DIR = Path(__file__).parents[1]


class RememberedCode:
    """As `PackageCode`, with a memory.

    Args:
        file: Where digests are kept; its folder is made. A file that is damaged, or cannot be written,
            costs time and nothing else.
        package: Name of the package.
        package_dir: Its folder.
    """

    def __init__(self, file: Path, package: str = PACKAGE, *, package_dir: Path = PACKAGE_DIR) -> None:
        self._file = file
        self._code = PackageCode(package, package_dir=package_dir)
        self._state = _state(package, package_dir)
        self._known = _read(file, self._state)

    def digest(self, entry: str, *, data: Sequence[str | Path] = ()) -> str:
        """As `PackageCode.digest`.

        Args:
            entry: `package.module:name`, or `package.module`.
            data: Files and folders relative to the package's folder.

        Returns:
            64 hexadecimal digits.

        Raises:
            ValueError: The entry or a data file is not there.
        """
        key = " ".join([entry, *map(str, data)])
        if key not in self._known:
            self._known[key] = self._code.digest(entry, data=data)
            with suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                write_json(self._file, {"state": self._state, "digests": self._known})
        return self._known[key]


def _state(package: str, folder: Path) -> str:
    """SHA-256 over all that a digest may depend on: every file of the package, and how Python parses it."""
    state = hashlib.sha256(f"{package}\n{sys.version}\n".encode())
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            state.update(f"{file.relative_to(folder)}\n{sha256_file(file)}\n".encode())
    return state.hexdigest()


def _read(file: Path, state: str) -> dict[str, str]:
    try:
        kept = json.loads(file.read_text())
        return dict(kept["digests"]) if kept["state"] == state else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
