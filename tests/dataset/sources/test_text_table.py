"""Cells come as texts from CSV and Parquet alike."""

from pathlib import Path

import pandas as pd
import pytest

from attribute_recovery.dataset.sources import text_table

CSV = '\ufeffpath,age,"hair, colour",smile\na.png,31,dark,true\nb.png,,"NaN",false\n"c, d.png", 7 ,NA,\n'


def test_cells_are_texts_and_empty_ones_none(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(CSV, encoding="utf-8")
    assert text_table.column_names(path) == ["path", "age", "hair, colour", "smile"]
    found = text_table.read_text_table(path, ["smile", "path", "age", "hair, colour"])
    assert list(found) == ["smile", "path", "age", "hair, colour"]
    assert found["path"].tolist() == ["a.png", "b.png", "c, d.png"]
    assert found["age"].tolist() == ["31", None, "7"]
    assert found["hair, colour"].tolist() == ["dark", None, "NA"]
    assert found["smile"].tolist() == ["true", "false", None]


def test_parquet_gives_the_same_texts(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame(
        {
            "path": ["a", "b"],
            "whole": pd.array([1, None], dtype="Int64"),
            "real": [1.0, float("nan")],
            "yes": pd.array([True, None], dtype="boolean"),
            "when": pd.to_datetime(["2020-01-01", None]),
        }
    ).to_parquet(path)
    assert text_table.column_names(path) == ["path", "whole", "real", "yes", "when"]
    found = text_table.read_text_table(path, ["path", "whole", "real", "yes", "when"])
    assert found.iloc[0].tolist() == ["a", "1", "1", "True", "2020-01-01 00:00:00"]
    assert found.iloc[1].tolist() == ["b", None, None, None, None]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.xlsx", b"x", r"found the ending '\.xlsx', allowed are \.csv, \.txt, \.parquet, \.pq"),
        ("t.csv", b"", r"is empty, expected a line with the names of the columns"),
        ("t.csv", b"\xff\xfe\x00", r"cannot be read as CSV"),
        ("t.parquet", b"not parquet", r"cannot be read as Parquet"),
        ("t.csv", b"b\n1\n", r"column 'a' is missing; found b"),
        ("t.csv", b'a\n1\n"open', r"cannot be read as a table"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=says):
        text_table.read_text_table(tmp_path / name, ["a"])


@pytest.mark.parametrize("separator", [";", "\t"])
def test_the_first_line_says_what_lies_between_cells(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "excel.csv"
    lines = ["path;glasses", "a/1,5.png;1", "a/2.png;0"]
    path.write_bytes("\r\n".join(line.replace(";", separator) for line in lines).encode("utf-8-sig"))
    assert text_table.column_names(path) == ["path", "glasses"]
    found = text_table.read_text_table(path, ["path", "glasses"])
    assert found["path"].tolist() == ["a/1,5.png", "a/2.png"]
    assert found["glasses"].tolist() == ["1", "0"]


def test_a_comma_in_the_first_line_wins(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("path,remark;more\na;b.png,x;y\n")
    assert text_table.read_text_table(path, ["path"])["path"].tolist() == ["a;b.png"]


def test_whole_numbers_with_gaps_are_no_fractions(tmp_path: Path) -> None:
    path = tmp_path / "faces.parquet"
    pd.DataFrame({"identity": [7, None, 12], "age": [1.5, 2.0, None]}).to_parquet(path)
    found = text_table.read_text_table(path, ["identity", "age"])
    assert found["identity"].tolist() == ["7", None, "12"]
    assert found["age"].tolist() == ["1.5", "2", None]
