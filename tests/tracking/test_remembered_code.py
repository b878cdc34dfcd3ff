"""Digests that are kept: the same as without, and never those of other source."""

import json
from pathlib import Path

import pytest

from attribute_recovery.tracking import remembered_code
from attribute_recovery.tracking.code import PackageCode
from attribute_recovery.tracking.remembered_code import RememberedCode

ENTRY = "tiny.work:run"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "work.py").write_text("def run() -> int:\n    return 1\n")
    (folder / "weights.bin").write_bytes(b"0")
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".cache" / "code.json"


def remembered(package: Path, file: Path) -> RememberedCode:
    return RememberedCode(file, "tiny", package_dir=package)


def plain(package: Path, *data: str) -> str:
    return PackageCode("tiny", package_dir=package).digest(ENTRY, data=data)


def never(*arguments: object, **named: object) -> str:
    raise AssertionError("worked out again")


def test_a_digest_is_worked_out_once(package: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = remembered(package, file)
    found = [first.digest(ENTRY), first.digest(ENTRY, data=["weights.bin"])]
    assert found == [plain(package), plain(package, "weights.bin")] and found[0] != found[1]
    monkeypatch.setattr(PackageCode, "digest", never)
    again = remembered(package, file)
    assert [again.digest(ENTRY), again.digest(ENTRY, data=["weights.bin"])] == found


@pytest.mark.parametrize("path", ["work.py", "weights.bin", "new.py"])
def test_no_digest_outlives_a_change_of_the_package(package: Path, file: Path, path: str) -> None:
    before = remembered(package, file).digest(ENTRY, data=["weights.bin"])
    (package / path).write_text("def run() -> int:\n    return 2\n")
    after = remembered(package, file).digest(ENTRY, data=["weights.bin"])
    assert after == plain(package, "weights.bin")
    # A module that nothing reaches makes no difference; it is worked out anew all the same.
    assert (after == before) == (path == "new.py")
    assert json.loads(file.read_text())["digests"] == {f"{ENTRY} weights.bin": after}


def test_bytecode_and_times_change_nothing(
    package: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = remembered(package, file).digest(ENTRY)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "work.cpython-311.pyc").write_bytes(b"1")
    (package / "work.py").touch()
    monkeypatch.setattr(PackageCode, "digest", never)
    assert remembered(package, file).digest(ENTRY) == found


def test_another_python_parses_for_itself(package: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered(package, file).digest(ENTRY)
    monkeypatch.setattr(remembered_code.sys, "version", "another")
    monkeypatch.setattr(PackageCode, "digest", never)
    with pytest.raises(AssertionError, match="worked out again"):
        remembered(package, file).digest(ENTRY)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"state": 1}', '{"state": "x", "digests": 3}'])
def test_a_damaged_file_costs_time_only(package: Path, file: Path, content: str) -> None:
    file.parent.mkdir()
    file.write_text(content)
    assert remembered(package, file).digest(ENTRY) == plain(package)
    assert json.loads(file.read_text())["digests"] == {ENTRY: plain(package)}


def test_so_does_a_place_that_cannot_be_written(package: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    assert remembered(package, tmp_path / "taken" / "code.json").digest(ENTRY) == plain(package)


def test_an_entry_that_is_not_there_is_told_and_not_kept(package: Path, file: Path) -> None:
    with pytest.raises(ValueError, match="does not define stop"):
        remembered(package, file).digest("tiny.work:stop")
    assert not file.exists()
