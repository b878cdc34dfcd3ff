"""CSV and Parquet tables that users bring, every cell as text; what is missing is None."""

import csv
from pathlib import Path

import pandas as pd

CSV_ENDINGS = (".csv", ".txt")
# Between cells; what spreadsheets write depends on the country.
SEPARATORS = (",", ";", "\t")
PARQUET_ENDINGS = (".parquet", ".pq")
# Texts that mean that there is no value, in any case.
MISSING = ("", "nan")


def column_names(path: Path) -> list[str]:
    """Names of the columns, read from the head of the file only.

    Raises:
        ValueError: it is not a table.
    """
    if path.suffix.lower() in PARQUET_ENDINGS:
        import pyarrow.parquet

        try:
            return list(pyarrow.parquet.read_schema(path).names)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: cannot be read as Parquet ({error})") from error
    _require_csv(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head = file.readline()
        names = next(csv.reader([head], delimiter=_separator(head)), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as CSV ({error})") from error
    if not names:
        raise ValueError(f"{path}: is empty, expected a line with the names of the columns")
    return names


def read_text_table(path: Path, columns: list[str]) -> pd.DataFrame:
    """Columns of a table as texts, None where a cell is empty or NaN.

    Args:
        path: CSV (UTF-8; comma, or semicolon or tab where the first line has no comma) or Parquet.
        columns: Names of the columns to read, none twice.

    Returns:
        The columns in that order, dtype object.

    Raises:
        ValueError: it is not a table, or lacks a column.
    """
    missing = [name for name in columns if name not in column_names(path)]
    if missing:
        found = ", ".join(column_names(path))
        raise ValueError(f"{path}: column {missing[0]!r} is missing; found {found}")
    try:
        if path.suffix.lower() in PARQUET_ENDINGS:
            table = pd.read_parquet(path, columns=columns)
        else:
            table = _read_csv(path, columns)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{path}: cannot be read as a table ({' '.join(str(error).split())})") from error
    texts = {name: pd.Series([_text(value) for value in table[name]], dtype=object) for name in columns}
    return pd.DataFrame(texts, columns=columns, dtype=object)


def _separator(head: str) -> str:
    """The first of the separators that a line has; a comma where it has none."""
    return next((each for each in SEPARATORS if each in head), SEPARATORS[0])


def _read_csv(path: Path, columns: list[str]) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig") as file:
        separator = _separator(file.readline())
    return pd.read_csv(
        path, usecols=columns, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig"
    )


def _text(value: object) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of whole numbers with gaps is stored as floats
    text = "" if value is None or value is pd.NA or value is pd.NaT else str(value).strip()
    return None if text.lower() in MISSING else text


def _require_csv(path: Path) -> None:
    if path.suffix.lower() not in CSV_ENDINGS:
        allowed = ", ".join((*CSV_ENDINGS, *PARQUET_ENDINGS))
        raise ValueError(f"{path}: found the ending {path.suffix!r}, allowed are {allowed}")
