"""Missing and broken files are remembered with a reason, and never stop the report."""

from pathlib import Path

import pytest

from attribute_recovery.report.results import Results, interval_of, lookup, plain, real, whole


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[1, 2]", b'"text"'])
def test_broken_json_is_a_fault_and_no_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    results = Results(tmp_path)
    assert results.json("a.json") == {}
    assert results.faults["a.json"]


def test_broken_tables_and_pictures_are_faults_without_the_machines_paths(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.png"):
        (tmp_path / name).write_bytes(b"no such thing")
    results = Results(tmp_path)
    assert results.table("a.parquet") is None
    assert results.picture("a.png") is None
    assert set(results.faults) == {"a.parquet", "a.png"}
    assert not any(str(tmp_path) in why for why in results.faults.values())


def test_missing_files_are_faults(tmp_path: Path) -> None:
    results = Results(tmp_path)
    assert (results.json("a"), results.table("b"), results.picture("c"), results.pictures("d")) == (
        {},
        None,
        None,
        [],
    )
    assert set(results.faults.values()) == {"is not there"}
    assert set(results.faults) == {"a", "b", "c", "d/*.png"}


def test_nan_becomes_none_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [NaN, 1, {"b": Infinity}], "c": -Infinity}')
    assert Results(tmp_path).json("a.json") == {"a": [None, 1, {"b": None}], "c": None}
    assert plain((float("nan"), 2)) == [None, 2]


def test_intervals_are_found_wherever_the_suffix_stands() -> None:
    assert interval_of({"a_interval": [0, 1]}, "a") == [0, 1]
    assert interval_of({"a": {"b_interval": [0, 1]}}, "a.b") == [0, 1]
    assert interval_of({"a_interval": {"b": [0, 1]}}, "a.b") == [0, 1]
    assert interval_of({"a_interval": [None, None]}, "a") is None
    assert interval_of({"a_interval": 3, "a": 1}, "a") is None


def test_numbers_are_numbers() -> None:
    values = {"a": True, "b": "1", "c": {"d": 2}, "e": None}
    assert real(values, "a", "b", "e", "c.d") == 2.0
    assert whole(values, "c.d") == 2
    assert lookup(values, "a.b.c") is None
    assert real(None, "a") is None
