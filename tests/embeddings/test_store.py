"""Shards: where an image lies depends on its name alone, and what is wrong is said with the image's name."""

import shutil
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribute_recovery.dataset.store import read_array, write_array, write_table
from attribute_recovery.embeddings.store import iterate_shards, read_embeddings, shard_of, write_embeddings


@pytest.fixture
def written(tmp_path: Path, population) -> tuple[Path, pd.DataFrame, np.ndarray]:
    table, features = population(0.3, 0)
    write_embeddings(tmp_path / "shards", table["image_id"], features, count=4)
    return tmp_path / "shards", table, features


def test_the_shard_is_a_fixed_function_of_the_name() -> None:
    names = ["test-0007/003", "Ä/ö.png"]
    assert shard_of(names, 7).tolist() == [zlib.crc32(name.encode("utf-8")) % 7 for name in names]
    assert zlib.crc32(b"123456789") == 0xCBF43926  # the check value of CRC-32, the same in every release


@given(st.lists(st.text(), max_size=20), st.integers(1, 9))
def test_other_images_do_not_move_an_image(names: list[str], count: int) -> None:
    together = shard_of(names, count).tolist()
    assert together == [int(shard_of([name], count)[0]) for name in names]
    assert all(0 <= shard < count for shard in together)


def test_what_is_written_is_read_in_the_tables_order(written: tuple[Path, pd.DataFrame, np.ndarray]) -> None:
    shards, table, features = written
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    order = np.random.default_rng(1).permutation(len(table))[:57]
    found = read_embeddings(shards, table.iloc[order])
    assert found.dtype == np.float32
    assert np.allclose(found, unit[order], atol=1e-6)
    assert np.allclose(np.linalg.norm(read_embeddings(shards, table), axis=1), 1, atol=1e-6)


def test_each_shard_holds_its_own_images_with_their_norms(
    written: tuple[Path, pd.DataFrame, np.ndarray],
) -> None:
    shards, table, features = written
    norms = dict(zip(table["image_id"], np.linalg.norm(features, axis=1), strict=True))
    seen: list[str] = []
    for number, shard in enumerate(iterate_shards(shards)):
        assert (shard_of(shard.image_ids, 4) == number).all()
        assert np.allclose(shard.norms, [norms[name] for name in shard.image_ids], rtol=1e-6)
        seen.extend(shard.image_ids)
    assert sorted(seen) == sorted(table["image_id"])
    assert len(list(shards.glob("*.bcolz"))) == 4


def test_a_new_image_touches_one_shard(
    written: tuple[Path, pd.DataFrame, np.ndarray], tmp_path: Path
) -> None:
    shards, table, features = written
    more = tmp_path / "more"
    write_embeddings(more, [*table["image_id"], "new/000"], np.vstack([features, features[:1]]), count=4)
    pairs = zip(iterate_shards(shards), iterate_shards(more), strict=True)
    changed = [i for i, (old, new) in enumerate(pairs) if not np.array_equal(old.embeddings, new.embeddings)]
    assert changed == shard_of(["new/000"], 4).tolist()


def test_more_shards_than_images_leave_some_empty(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "shards", ["a"], np.ones((1, 3)), count=5)
    found = read_embeddings(tmp_path / "shards", pd.DataFrame({"image_id": ["a"]}))
    assert np.allclose(found, 3**-0.5)


@pytest.mark.parametrize("wrong", [0.0, np.nan, np.inf])
def test_an_embedding_without_a_direction_is_an_error_that_names_the_image(
    tmp_path: Path, wrong: float
) -> None:
    features = np.ones((3, 4), np.float32)
    features[1] = wrong
    with pytest.raises(ValueError, match="image 'b': the length of its embedding is .*1 of 3"):
        write_embeddings(tmp_path / "shards", ["a", "b", "c"], features, count=1)


def test_a_huge_embedding_still_has_a_direction(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "shards", ["a"], np.full((1, 4), 1e30, np.float32), count=1)
    assert np.allclose(read_embeddings(tmp_path / "shards", pd.DataFrame({"image_id": ["a"]})), 0.5)


def test_embeddings_and_images_must_be_as_many(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"features: found shape \(2, 4\) for 3 images"):
        write_embeddings(tmp_path / "shards", ["a", "b", "c"], np.ones((2, 4)), count=1)
    with pytest.raises(ValueError, match="count: found 0 shards"):
        write_embeddings(tmp_path / "shards", ["a"], np.ones((1, 4)), count=0)


def test_an_image_without_embedding_is_named(written: tuple[Path, pd.DataFrame, np.ndarray]) -> None:
    shards, table, _ = written
    table.loc[[3, 8], "image_id"] = ["other/000", "other/001"]
    with pytest.raises(ValueError, match=r"image 'other/000' has no embedding \(2 of 200 images"):
        read_embeddings(shards, table)


def test_a_folder_without_shards_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found no shards, expected shard-0000"):
        read_embeddings(tmp_path, pd.DataFrame({"image_id": ["a"]}))


def test_a_missing_shard_is_an_error(written: tuple[Path, pd.DataFrame, np.ndarray]) -> None:
    shards, table, _ = written
    shutil.rmtree(shards / "shard-0002.bcolz")
    with pytest.raises(ValueError, match=r"shard-0002\.bcolz: is missing"):
        read_embeddings(shards, table)
    (shards / "shard-0001.parquet").unlink()
    with pytest.raises(ValueError, match=r"shard-0001\.parquet: is missing"):
        read_embeddings(shards, table)


def test_a_shard_that_lost_rows_is_an_error(written: tuple[Path, pd.DataFrame, np.ndarray]) -> None:
    shards, table, _ = written
    array = read_array(shards / "shard-0001.bcolz")
    write_array(shards / "shard-0001.bcolz", [array[1:]], (8,), np.float32, len(array) - 1)
    with pytest.raises(ValueError, match=r"shard-0001\.bcolz: found an array .*expected one embedding a row"):
        read_embeddings(shards, table)


def test_shards_of_two_recognizers_do_not_mix(written: tuple[Path, pd.DataFrame, np.ndarray]) -> None:
    shards, table, _ = written
    rows = len(read_array(shards / "shard-0003.bcolz"))
    write_array(shards / "shard-0003.bcolz", [np.ones((rows, 5), np.float32)], (5,), np.float32, rows)
    with pytest.raises(ValueError, match="equally long in every shard"):
        read_embeddings(shards, table)


def test_an_image_in_two_shards_is_an_error(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "shards", ["a", "b"], np.ones((2, 3)), count=1)
    write_table(
        pd.DataFrame({"image_id": ["a", "a"], "norm": [1.0, 1.0]}), tmp_path / "shards/shard-0000.parquet"
    )
    with pytest.raises(ValueError, match="image 'a' has more than one embedding"):
        read_embeddings(tmp_path / "shards", pd.DataFrame({"image_id": ["a"]}))
