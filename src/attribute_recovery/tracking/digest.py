"""SHA-256 of files, manifests of what a job wrote, and outputs that appear whole or not at all.

A bcolz carray is a folder without a checksum, and a workflow engine looks at a folder's time only. So each
job writes a manifest, the size and hash of every file it made, and the next job reads that.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1
STAMPS_NAME = ".stamps.json"
PARTIAL_PREFIX = ".partial-"
# Snakemake leaves this file in a directory() output after the job has ended.
IGNORED_NAMES = frozenset({".snakemake_timestamp"})


@dataclass(frozen=True)
class FileEntry:
    """One file of a manifest.

    Attributes:
        path: Relative to the manifest's root, with forward slashes.
        size: In bytes.
        sha256: 64 hexadecimal digits.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What one job wrote.

    Attributes:
        folders: Outputs that are folders, relative to the root; they hold the files named and no others.
        files: Every file, sorted by path.
    """

    folders: tuple[str, ...]
    files: tuple[FileEntry, ...]


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content as 64 hexadecimal digits; OSError if it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def relative_path(path: Path, root: Path) -> str:
    """`path` seen from `root`, with forward slashes, links not followed; ValueError if it lies outside."""
    absolute, base = Path(os.path.abspath(path)), Path(os.path.abspath(root))
    if not absolute.is_relative_to(base):
        raise ValueError(f"path {str(path)!r} lies outside the root {str(root)!r}")
    return absolute.relative_to(base).as_posix()


def file_entries(paths: Iterable[Path], root: Path) -> list[FileEntry]:
    """Size and hash of files, folders expanded to all files below them.

    Args:
        paths: Files and folders, all below `root`.
        root: The folder that the entries' paths are relative to.

    Returns:
        One entry a file, sorted by path, none twice.

    Raises:
        ValueError: A path does not exist, or lies outside `root`.
    """
    files = {relative_path(file, root): file for path in paths for file in _expand(path)}
    return [FileEntry(name, file.stat().st_size, sha256_file(file)) for name, file in sorted(files.items())]


def folder_digest(entries: Iterable[FileEntry], folder: str) -> str:
    """One SHA-256 for a folder's content, from the entries of the files below it.

    Args:
        entries: Entries of a manifest, those outside the folder are passed over.
        folder: Path relative to the same root as the entries.

    Returns:
        64 hexadecimal digits; the same wherever the folder lies.
    """
    lines = [
        f"{entry.path.removeprefix(folder + '/')}\0{entry.sha256}\n"
        for entry in entries
        if entry.path.startswith(folder + "/")
    ]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def write_json(path: Path, payload: dict[str, Any]) -> None:
    """Writes sorted JSON so that a reader sees the old file or the new one, never a part."""
    _replace_text(path, json.dumps(payload, sort_keys=True, indent=1, allow_nan=False) + "\n")


def write_manifest(manifest_path: Path, outputs: Sequence[Path], *, root: Path) -> list[FileEntry]:
    """Writes the manifest of a job's outputs. Equal content gives an equal manifest, byte for byte.

    Args:
        manifest_path: The file to write, below `root`; passed over where `outputs` names it.
        outputs: Files and folders; a folder is named as such, so that a file added later is noticed.
        root: The results folder.

    Returns:
        The entries written.

    Raises:
        ValueError: An output does not exist, or lies outside `root`.
    """
    own = relative_path(manifest_path, root)
    kept = [path for path in outputs if relative_path(path, root) != own]
    entries = [entry for entry in file_entries(kept, root) if entry.path != own]
    folders = sorted({relative_path(path, root) for path in kept if path.is_dir()})
    # One line a file: Snakemake compares contents up to a million bytes only, beyond that times.
    lines = ",\n".join(json.dumps(asdict(entry), sort_keys=True) for entry in entries)
    head = f'"schema_version": {SCHEMA_VERSION},\n"folders": {json.dumps(folders)},\n'
    _replace_text(manifest_path, f'{{\n{head}"files": [\n{lines}\n]\n}}\n')
    return entries


def read_manifest(manifest_path: Path) -> Manifest:
    """Reads a manifest.

    Args:
        manifest_path: A file that `write_manifest` wrote.

    Returns:
        Its folders and files.

    Raises:
        ValueError: The file is not a manifest of this schema.
        OSError: The file cannot be read.
    """
    try:
        content = json.loads(manifest_path.read_text("utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise KeyError("schema_version")
        files = tuple(FileEntry(str(f["path"]), int(f["size"]), str(f["sha256"])) for f in content["files"])
        return Manifest(folders=tuple(str(folder) for folder in content["folders"]), files=files)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"manifest {str(manifest_path)!r} is not a manifest of schema {SCHEMA_VERSION}"
        ) from error


def verify_manifest(manifest_path: Path, *, root: Path, quick: bool = False) -> list[str]:
    """Compares a manifest with the files that it names.

    Args:
        manifest_path: A file that `write_manifest` wrote.
        root: The results folder.
        quick: Hash a file only where its size or times differ from `root/EXPERIMENT/.stamps.json`, which this
            call brings up to date. Damage that changes neither is then not seen.

    Returns:
        Problems, one sentence each; none if all is well.
    """
    if not quick:
        return _problems(manifest_path, root, sha256_file)
    stamps = _Stamps(_stamps_path(manifest_path, root), root)
    found = _problems(manifest_path, root, stamps.sha256)
    stamps.save()
    return found


def manifest_paths(results_dir: Path, *, experiment: str | None = None) -> list[Path]:
    """Every `manifest*.json` below a results folder, or one experiment of it, sorted; not the records."""
    found = (results_dir / (experiment or "")).glob("**/manifest*.json")
    return sorted(path for path in found if "records" not in path.relative_to(results_dir).parts)


def remove_broken_manifests(
    results_dir: Path, *, experiment: str | None = None, quick: bool = True
) -> list[str]:
    """Removes every manifest that its files do not match, so that the job which wrote it runs again.

    Args:
        results_dir: The results folder, which the manifests' paths are relative to.
        experiment: Look at `results_dir/experiment` only.
        quick: As for `verify_manifest`.

    Returns:
        One sentence for each manifest removed.
    """
    stamps: dict[Path, _Stamps] = {}
    sentences = []
    for path in manifest_paths(results_dir, experiment=experiment):
        store = _stamps_path(path, results_dir)
        stamp = stamps.setdefault(store, _Stamps(store, results_dir))
        problems = _problems(path, results_dir, stamp.sha256 if quick else sha256_file)
        if problems:
            path.unlink()
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            sentences.append(f"Removed {relative_path(path, results_dir)}: {problems[0]}{more}.")
    if quick:
        for stamp in stamps.values():
            stamp.save()
    return sentences


@contextmanager
def atomic_output(path: Path) -> Iterator[Path]:
    """A file or folder that appears whole or not at all.

    Yields a name beside `path` that does not exist yet and ends like it; write a file there, or make a
    folder. On success it takes the place of `path`, on an error it is removed and `path` stays as it was.

    Args:
        path: The output; its folder is made.

    Yields:
        The name to write to.

    Raises:
        ValueError: The block ended without having written anything.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{PARTIAL_PREFIX}{secrets.token_hex(4)}-{path.name}")
    try:
        yield partial
        if not partial.exists():
            raise ValueError(
                f"path {str(path)!r} was not written: write to the path that atomic_output yields"
            )
        _move_into_place(partial, path)
    except BaseException:
        remove_path(partial)
        raise


def _move_into_place(partial: Path, path: Path) -> None:
    if not path.is_dir() or path.is_symlink():
        os.replace(partial, path)
        return
    # A folder cannot be replaced in one step: the old one first leaves its name, whole, and is removed after.
    old = path.with_name(f"{PARTIAL_PREFIX}{secrets.token_hex(4)}-{path.name}")
    os.replace(path, old)
    os.replace(partial, path)
    shutil.rmtree(old)


def remove_path(path: Path) -> bool:
    """Removes a file, link or folder; False if there was none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
        return True
    if path.exists() or path.is_symlink():
        path.unlink()
        return True
    return False


def remove_partials(results_dir: Path) -> list[str]:
    """Removes what a killed job left of `atomic_output`. Call it only while no job runs.

    Args:
        results_dir: A results folder.

    Returns:
        The paths removed, relative to it.
    """
    found = sorted(results_dir.glob(f"**/{PARTIAL_PREFIX}*"))
    return [relative_path(path, results_dir) for path in found if remove_path(path)]


class _Stamps:
    """Hashes remembered under size and times, in one JSON file an experiment, which may always be deleted."""

    def __init__(self, path: Path, root: Path) -> None:
        self._path = path
        self._root = root
        self._known: dict[str, list[Any]] = _read_stamps(path)
        self._changed = False

    def sha256(self, file: Path) -> str:
        # The state is taken before hashing: a file that changes meanwhile is hashed again next time. ctime,
        # since copying tools can set mtime back.
        state = file.stat()
        stamp = [state.st_size, state.st_mtime_ns, state.st_ctime_ns]
        name = relative_path(file, self._root)
        known = self._known.get(name)
        if known is not None and known[:3] == stamp:
            return str(known[3])
        digest = sha256_file(file)
        self._known[name] = [*stamp, digest]
        self._changed = True
        return digest

    def save(self) -> None:
        if not self._changed:
            return
        self._known = {name: stamp for name, stamp in self._known.items() if (self._root / name).is_file()}
        _replace_text(
            self._path, json.dumps({"schema_version": SCHEMA_VERSION, "files": self._known}, sort_keys=True)
        )
        self._changed = False


def _read_stamps(path: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(path.read_text("utf-8"))
        return dict(content["files"]) if content["schema_version"] == SCHEMA_VERSION else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _stamps_path(manifest_path: Path, root: Path) -> Path:
    parts = relative_path(manifest_path, root).split("/")
    return root / parts[0] / STAMPS_NAME if len(parts) > 1 else root / STAMPS_NAME


def _expand(path: Path) -> list[Path]:
    if path.is_dir():
        found = [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
        return [file for file in found if not _ignored(file.name)]
    if not path.is_file():
        raise ValueError(f"path {str(path)!r} does not exist; the job was to write it")
    return [path]


def _ignored(name: str) -> bool:
    return name in IGNORED_NAMES or name.startswith(PARTIAL_PREFIX)


def _problems(manifest_path: Path, root: Path, hash_of: Callable[[Path], str]) -> list[str]:
    try:
        manifest = read_manifest(manifest_path)
        problems = [problem for entry in manifest.files if (problem := _problem(entry, root, hash_of))]
    except (OSError, ValueError) as error:
        return [str(error)]
    named = {entry.path for entry in manifest.files} | {relative_path(manifest_path, root)}
    for folder in manifest.folders:
        if not (root / folder).is_dir():
            problems.append(f"{folder} is missing")
            continue
        found = (relative_path(file, root) for file in _expand(root / folder))
        problems.extend(f"{name} was not written by the job" for name in sorted(set(found) - named))
    return problems


def _problem(entry: FileEntry, root: Path, hash_of: Callable[[Path], str]) -> str | None:
    file = root / entry.path
    relative_path(file, root)
    if not file.is_file():
        return f"{entry.path} is missing"
    size = file.stat().st_size
    if size != entry.size:
        return f"{entry.path} has {size} bytes, the manifest says {entry.size}"
    if hash_of(file) != entry.sha256:
        return f"{entry.path} has other content than the manifest says (sha256 differs)"
    return None


def _replace_text(path: Path, text: str) -> None:
    with atomic_output(path) as partial:
        partial.write_text(text, "utf-8")
