"""The schema: values to matrix and back, table and file and back, and what is refused."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema, read_schema, write_schema

SCHEMA = AttributeSchema(
    (
        Attribute("yaw", "pose", "continuous", "image", "degrees", (-40.0, 40.0), dose=15.0),
        Attribute(
            "hair", "appearance", "categorical", "mixed", "class", categories=("short", "long", "curly")
        ),
        Attribute(
            "beard", "appearance", "binary", "identity", "class", categories=("off", "on"), editable=False
        ),
    )
)


def columns(rows: list[tuple[float, int, int]]) -> dict[str, npt.NDArray[np.generic]]:
    """Rows of (yaw, hair, beard) as columns."""
    yaw, hair, beard = zip(*rows, strict=True)
    return {"yaw": np.float32(yaw), "hair": np.array(hair), "beard": np.array(beard)}


ROWS = st.lists(
    st.tuples(st.floats(-40, 40, width=32), st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=5
)


@settings(deadline=None)
@given(rows=ROWS)
def test_values_come_back_from_matrix_and_table(rows: list[tuple[float, int, int]]) -> None:
    values = columns(rows)
    for found in (SCHEMA.decode(SCHEMA.encode(values)), SCHEMA.from_table(SCHEMA.to_table(values))):
        assert list(found) == SCHEMA.names
        for name, column in values.items():
            np.testing.assert_array_equal(found[name], column)


def test_the_matrix_has_a_column_for_each_class_of_a_categorical_attribute() -> None:
    matrix = SCHEMA.encode(columns([(3.0, 2, 1), (-1.5, 0, 0)]))
    np.testing.assert_array_equal(matrix, [[3.0, 0, 0, 1, 1], [-1.5, 1, 0, 0, 0]])
    assert matrix.dtype == np.float32
    assert SCHEMA.width == 5
    assert SCHEMA.slices == {"yaw": slice(0, 1), "hair": slice(1, 4), "beard": slice(4, 5)}


def test_decoding_takes_the_likeliest_class() -> None:
    found = SCHEMA.decode(np.float32([[1.0, 0.2, 0.7, 0.1, 0.49], [2.0, 0.5, 0.1, 0.4, 0.5]]))
    assert found["hair"].tolist() == [1, 0]
    assert found["beard"].tolist() == [0, 1]


def test_attributes_know_their_kind() -> None:
    assert [a.name for a in SCHEMA.continuous] == ["yaw"]
    assert [a.name for a in SCHEMA.discrete] == ["hair", "beard"]
    assert [(a.width, a.n_classes, a.is_discrete) for a in SCHEMA] == [
        (1, 0, False),
        (3, 3, True),
        (1, 2, True),
    ]
    assert SCHEMA["beard"].categories == ("off", "on")
    assert len(SCHEMA) == 3


def test_unknown_and_repeated_names_are_refused() -> None:
    with pytest.raises(ValueError, match="'roll' is not declared; declared are yaw, hair, beard"):
        SCHEMA["roll"]
    with pytest.raises(ValueError, match="names must be unique"):
        AttributeSchema((SCHEMA["yaw"], SCHEMA["yaw"]))


def test_a_table_that_does_not_fit_is_refused() -> None:
    table = SCHEMA.to_table(columns([(3.0, 2, 1)]))
    assert table["attribute.hair"].tolist() == ["curly"]
    with pytest.raises(
        ValueError, match=r"'attribute\.beard' is missing; found attribute\.yaw, attribute\.hair"
    ):
        SCHEMA.from_table(table.drop(columns="attribute.beard"))
    with pytest.raises(
        ValueError, match=r"'attribute\.hair' holds \['bald'\]; allowed are short, long, curly"
    ):
        SCHEMA.from_table(table.assign(**{"attribute.hair": ["bald"]}))
    with pytest.raises(ValueError, match=r"'attribute\.beard' has no value in 1 of 1 images; allowed"):
        SCHEMA.from_table(table.assign(**{"attribute.beard": pd.array([None], dtype="string")}))
    with pytest.raises(ValueError, match=r"'attribute\.yaw' has no value in 1 of 1 images; allowed"):
        SCHEMA.from_table(table.assign(**{"attribute.yaw": [float("nan")]}))
    for read in (SCHEMA.from_table, SCHEMA.known_from_table):
        with pytest.raises(ValueError, match=r"'attribute\.hair' holds \['bald'\]; allowed are short"):
            read(table.assign(**{"attribute.hair": ["bald"]}))


MISSING_ROWS = st.lists(
    st.tuples(st.floats(-40, 40, width=32) | st.just(float("nan")), st.integers(-1, 2), st.integers(-1, 1)),
    min_size=1,
    max_size=5,
)


@settings(deadline=None)
@given(rows=MISSING_ROWS)
def test_missing_values_stay_missing_in_matrix_table_and_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, int, int]]
) -> None:
    values = columns(rows)
    matrix = SCHEMA.encode(values)
    for attribute in SCHEMA:
        block = np.isnan(matrix[:, SCHEMA.slices[attribute.name]])
        column = np.asarray(values[attribute.name])
        missing = column < 0 if attribute.is_discrete else np.isnan(column)
        np.testing.assert_array_equal(block.all(axis=1), missing)
        np.testing.assert_array_equal(block.any(axis=1), missing)
    table = SCHEMA.to_table(values)
    path = tmp_path_factory.mktemp("table") / "images.parquet"
    table.to_parquet(path)
    for found in (table, pd.read_parquet(path)):
        read = SCHEMA.known_from_table(found)
        for attribute in SCHEMA:
            name, column = attribute.name, np.asarray(values[attribute.name])
            np.testing.assert_array_equal(read.values[name], column)
            missing = column < 0 if attribute.is_discrete else np.isnan(column)
            np.testing.assert_array_equal(read.known[name], ~missing)
    for name, column in SCHEMA.decode(matrix).items():
        np.testing.assert_array_equal(column, values[name])


def test_the_file_comes_back(tmp_path: Path) -> None:
    write_schema(SCHEMA, tmp_path / "attributes.json")
    assert read_schema(tmp_path / "attributes.json") == SCHEMA
    entries = json.loads((tmp_path / "attributes.json").read_text())
    assert entries[0]["dose"] == 15.0
    entries[1]["colour"] = "red"
    (tmp_path / "attributes.json").write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=r"attributes\.json: entry 'hair': .*colour"):
        read_schema(tmp_path / "attributes.json")


def test_no_attributes_make_a_matrix_without_columns() -> None:
    nothing = AttributeSchema(())
    assert nothing.encode({}, count=3).shape == (3, 0)
    assert nothing.encode({}).dtype == np.float32
    assert nothing.decode(nothing.encode({}, count=3)) == {}
