"""Modes of files that are for their owner alone."""

import os
from pathlib import Path

import pytest

from attribute_recovery.tracking.private import close_folder, kept_key, private_files


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture(autouse=True)
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_files_and_folders_made_within_are_the_owners(tmp_path: Path) -> None:
    with private_files():
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder/face.png").write_bytes(b"x")
    (tmp_path / "other").write_text("x")
    assert mode(tmp_path / "folder") == 0o700
    assert mode(tmp_path / "folder/face.png") == 0o600
    assert mode(tmp_path / "other") == 0o644


def test_it_is_put_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"), private_files():
        raise ValueError("broken")
    (tmp_path / "other").write_text("x")
    assert mode(tmp_path / "other") == 0o644


def test_a_folder_is_made_or_closed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    for folder in (tmp_path / "open", tmp_path / "new/folder"):
        close_folder(folder)
        assert mode(folder) == 0o700


def test_a_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = kept_key(path)
    assert len(key) == 32 and kept_key(path) == key and mode(path) == 0o600
    assert kept_key(tmp_path / "other") != key


def test_a_key_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    kept_key(path)
    path.chmod(0o604)
    with pytest.raises(
        ValueError, match="key: others than its owner can read this key, allowed is mode 0600"
    ):
        kept_key(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(ValueError, match="key: found 5 bytes, allowed is a key of 32"):
        kept_key(path)
