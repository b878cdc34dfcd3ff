"""Arrays and tables come back as they went in, and nothing half-written is taken for a result."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribute_recovery.dataset import store


def digest(folder: Path) -> str:
    """sha256 over names and bytes of all files in a folder."""
    found = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            found.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return found.hexdigest()


def images(n: int, side: int = 64) -> npt.NDArray[np.uint8]:
    """Smooth noise, so that compression has work to do."""
    rng = np.random.default_rng(3)
    return np.cumsum(rng.integers(-1, 2, (n, side, side, 3)), axis=2).astype(np.uint8)


def batches(array: npt.NDArray[np.generic], size: int) -> Iterator[npt.NDArray[np.generic]]:
    """The array in pieces."""
    for start in range(0, len(array), size):
        yield array[start : start + size]


@pytest.fixture
def table() -> pd.DataFrame:
    """Three images of two splits."""
    return pd.DataFrame(
        {
            "image_id": ["test-0000/000", "train-0000/000", "test-0000/001"],
            "identity": ["test-0000", "train-0000", "test-0000"],
            "split": ["test", "train", "test"],
            "path": "",
            "sha256": "0",
            "attribute.yaw": np.array([1.5, -2.5, 0.0], np.float32),
        }
    )


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=st.lists(st.integers(0, 299), max_size=40), size=st.integers(1, 300))
def test_rows_come_back_in_the_order_asked_whatever_the_batches(
    tmp_path: Path, rows: list[int], size: int
) -> None:
    array = np.random.default_rng(0).standard_normal((300, 3000)).astype(np.float32)  # 43 rows a chunk
    path = tmp_path / "a.bcolz"
    store.write_array(path, batches(array, size), (3000,), np.float32, 300)
    np.testing.assert_array_equal(store.read_array(path, rows), array[rows])
    np.testing.assert_array_equal(store.read_array(path), array)


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    array = images(200)
    found = set()
    for i, size in enumerate([200, 200, 64, 7]):
        store.write_array(tmp_path / f"{i}.bcolz", batches(array, size), (64, 64, 3), np.uint8, 200)
        found.add(digest(tmp_path / f"{i}.bcolz"))
    assert len(found) == 1
    np.testing.assert_array_equal(store.read_images(tmp_path / "0.bcolz", [5, 199, 5]), array[[5, 199, 5]])


def test_an_interrupted_write_leaves_the_old_array_and_the_next_one_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "codes.bcolz"
    old = np.ones((4, 2), np.float32)
    store.write_array(path, [old], (2,), np.float32, 4)

    def breaks() -> Iterator[npt.NDArray[np.float32]]:
        yield old * 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write_array(path, breaks(), (2,), np.float32, 8)
    np.testing.assert_array_equal(store.read_array(path), old)
    store.write_array(path, [old * 3], (2,), np.float32, 4)
    np.testing.assert_array_equal(store.read_array(path), old * 3)
    assert [p.name for p in tmp_path.iterdir()] == ["codes.bcolz"]


def test_the_compressors_threads_are_given_back(tmp_path: Path) -> None:
    import bcolz

    before = bcolz.set_nthreads(2)
    try:
        store.write_array(tmp_path / "a.bcolz", [np.ones((2, 2))], (2,), np.float64, 2)
        assert bcolz.set_nthreads(2) == 2
    finally:
        bcolz.set_nthreads(before)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros((2, 3), np.float32), r"float32 \(2, 3\), expected float32 \(n, 2\)"),
        (np.zeros((2, 2), np.complex64), "complex64"),
        (np.array([[0.0, np.nan]], np.float32), "not finite"),
        (np.zeros((3, 2), np.float32), "found 3 rows in the batches, expected 2"),
    ],
)
def test_a_wrong_batch_is_refused(tmp_path: Path, batch: npt.NDArray[np.generic], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        store.write_array(tmp_path / "a.bcolz", [batch], (2,), np.float32, 2)
    assert not (tmp_path / "a.bcolz").exists()


def test_reading_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "a.bcolz"
    with pytest.raises(ValueError, match="is missing, expected a bcolz array"):
        store.read_array(path)
    path.mkdir()
    with pytest.raises(ValueError, match="cannot be read as a bcolz array"):
        store.read_array(path)
    shutil.rmtree(path)
    store.write_array(path, [images(100)], (64, 64, 3), np.uint8, 100)
    with pytest.raises(ValueError, match=r"found -1 to 3, .* has rows 0 to 99"):
        store.read_images(path, [3, -1])
    with pytest.raises(ValueError, match="found 100 to 100"):
        store.read_images(path, [100])
    store.write_array(tmp_path / "b.bcolz", [np.zeros((3, 2), np.float32)], (2,), np.float32, 3)
    with pytest.raises(ValueError, match=r"found float32 \(3, 2\), expected uint8 \(n, h, w, 3\)"):
        store.read_images(tmp_path / "b.bcolz")


@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_a_chunk_cut_short_is_damage(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "a.bcolz"
    store.write_array(path, [images(100)], (64, 64, 3), np.uint8, 100)
    chunk = path / "data" / "__1.blp"
    chunk.write_bytes(chunk.read_bytes()[: int(keep * chunk.stat().st_size)])
    with pytest.raises(ValueError, match=r"a\.bcolz"):
        store.read_images(path)


def test_the_table_comes_back(tmp_path: Path, table: pd.DataFrame) -> None:
    path = tmp_path / "deep" / "images.parquet"
    store.write_table(table, path)
    found = store.read_table(path)
    pd.testing.assert_frame_equal(found, table, check_dtype=False)
    assert found["attribute.yaw"].dtype == np.float32
    assert store.rows_of(found, "test").tolist() == [0, 2]
    assert store.rows_of(found, "calibration").tolist() == []
    assert store.split_counts(found)["test"] == {"identities": 1, "images": 2}
    assert [p.name for p in path.parent.iterdir()] == ["images.parquet"]


def test_tables_say_what_is_wrong(tmp_path: Path, table: pd.DataFrame) -> None:
    path = tmp_path / "images.parquet"
    with pytest.raises(ValueError, match="is missing, expected a Parquet file"):
        store.read_table(path)
    path.write_text("no")
    with pytest.raises(ValueError, match="cannot be read as Parquet"):
        store.read_table(path)
    store.write_table(table.drop(columns="sha256"), path)
    with pytest.raises(ValueError, match="column 'sha256' is missing; found image_id"):
        store.read_table(path)
    store.write_table(pd.concat([table, table]), path)
    with pytest.raises(ValueError, match="'test-0000/000' is there twice"):
        store.read_table(path)
    store.write_table(table.assign(split="dev"), path)
    with pytest.raises(ValueError, match="split 'dev' is not known; allowed are recognizer, train"):
        store.read_table(path)
    with pytest.raises(ValueError, match="split: found 'dev', allowed are"):
        store.rows_of(table, "dev")


def test_json_refuses_what_is_not_a_number(tmp_path: Path) -> None:
    store.write_json({"a": 1.5}, tmp_path / "a.json")
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write_json({"a": float("nan")}, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text() == '{\n "a": 1.5\n}\n'
