"""Accuracy over the folds of standard pairs against counting by hand, and what is said without one."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribute_recovery.dataset.sources.listing import PAIR_COLUMNS, no_pairs
from attribute_recovery.dataset.store import write_json, write_table
from attribute_recovery.embeddings.protocol import measure_protocol
from attribute_recovery.embeddings.store import write_embeddings

N = 80


@pytest.fixture
def made(tmp_path: Path) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """Eighty images of forty people, embedded in shards; ten folds of 4 genuine and 4 impostor pairs."""
    rng = np.random.default_rng(7)
    people = np.repeat([f"p{i:02d}" for i in range(N // 2)], 2)
    features = np.repeat(rng.normal(size=(N // 2, 6)), 2, axis=0) + 0.8 * rng.normal(size=(N, 6))
    table = pd.DataFrame(
        {
            "image_id": [f"{name}/{i % 2}" for i, name in enumerate(people)],
            "identity": people,
            # Everybody of the first two folds.
            "split": ["recognizer" if i < 16 else "test" for i in range(N)],
        }
    )
    write_embeddings(tmp_path / "shards", table["image_id"], 3 * features, count=3)
    rows = []
    for fold in range(10):
        for i in range(8 * fold, 8 * fold + 8, 2):
            rows.append((fold, table["image_id"][i], table["image_id"][i + 1], True))
            other = 8 * fold + (i + 3) % 8
            rows.append((fold, table["image_id"][i], table["image_id"][other], False))
    return table, features, pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def measured(
    folder: Path,
    table: pd.DataFrame,
    pairs: pd.DataFrame,
    *,
    lost: int | None = 0,
    trained_here: bool = False,
) -> dict[str, Any]:
    """The protocol of pairs, of which so many are lost; None where the data have none."""
    write_table(pairs, folder / "pairs.parquet")
    write_json({} if lost is None else {"pairs": {"lost": lost}}, folder / "report.json")
    paths = {"pairs": folder / "pairs.parquet", "report": folder / "report.json", "shards": folder / "shards"}
    return measure_protocol(table, **paths, trained_here=trained_here)


def test_it_is_the_mean_over_folds_at_the_threshold_of_the_others(tmp_path: Path, made) -> None:
    table, features, pairs = made
    found = measured(tmp_path, table, pairs, lost=4)
    unit = dict(
        zip(table["image_id"], features / np.linalg.norm(features, axis=1, keepdims=True), strict=True)
    )
    scores = np.array([unit[a] @ unit[b] for a, b in zip(pairs["first"], pairs["second"], strict=True)])
    same, folds = pairs["genuine"].to_numpy(), pairs["fold"].to_numpy()
    accuracies = []
    for fold in range(10):
        inside = folds == fold
        tried = np.concatenate([np.sort(scores) - 1e-7, [2.0]])
        right = [np.mean((scores[~inside] >= t) == same[~inside]) for t in tried]
        best = tried[np.flatnonzero(np.array(right) == max(right))]
        accuracies.append({np.mean((scores[inside] >= t) == same[inside]) for t in best})
    # Where several thresholds are equally good on the other folds, any of theirs may be taken.
    assert min(map(min, accuracies)) < 1
    low, high = np.mean([min(each) for each in accuracies]), np.mean([max(each) for each in accuracies])
    assert low - 1e-9 <= found["accuracy"] <= high + 1e-9
    assert 0 < found["standard_error"] < 0.1 and -1 < found["threshold"] < 1
    assert [found[key] for key in ("folds", "pairs", "genuine", "lost", "trained_on", "why")] == [
        10, 80, 40, 4, 0, ""
    ]  # fmt: skip


def test_the_order_of_pairs_and_images_does_not_matter(tmp_path: Path, made) -> None:
    table, _, pairs = made
    found = measured(tmp_path, table, pairs)
    turned = pairs.rename(columns={"first": "second", "second": "first"}).sample(frac=1, random_state=1)
    assert measured(tmp_path, table.sample(frac=1, random_state=2), turned) == found


def test_people_that_the_recognizer_was_trained_on_are_left_out(tmp_path: Path, made) -> None:
    table, _, pairs = made
    found = measured(tmp_path, table, pairs, trained_here=True)
    assert (found["pairs"], found["trained_on"], found["folds"]) == (64, 16, 8)
    assert found == measured(tmp_path, table, pairs[pairs["fold"] > 1]) | {"trained_on": 16}
    everybody = measured(tmp_path, table.assign(split="recognizer"), pairs, trained_here=True)
    assert everybody["accuracy"] is None and everybody["trained_on"] == 80
    assert everybody["why"] == "the recognizer was trained on somebody in each of the 80 pairs"


def test_what_cannot_be_computed_says_why(tmp_path: Path, made) -> None:
    table, _, pairs = made
    none = measured(tmp_path, table, no_pairs(), lost=6000)
    assert none["accuracy"] is None and (none["pairs"], none["lost"], none["folds"]) == (0, 6000, 0)
    assert none["why"] == "none of the 6000 standard pairs has both of its images in the data"
    one = measured(tmp_path, table, pairs[pairs["fold"] == 3])
    assert one["accuracy"] is None and "all pairs are in one fold" in one["why"]
    for kind, word in ((True, "genuine"), (False, "impostor")):
        cut = pairs[(pairs["fold"] != 3) | (pairs["genuine"] == kind)]
        assert measured(tmp_path, table, cut)["why"] == f"of fold 4 only {word} pairs are left"


def test_data_without_standard_pairs_have_no_protocol_and_need_no_embeddings(tmp_path: Path, made) -> None:
    assert measured(tmp_path, made[0], no_pairs(), lost=None) == {}


def test_an_image_without_an_embedding_is_an_error(tmp_path: Path, made) -> None:
    table, _, pairs = made
    named = pd.concat([table, table.iloc[:1].assign(image_id="new/0")])
    wrong = pairs.assign(first=["new/0", *pairs["first"][1:]])
    with pytest.raises(ValueError, match="'new/0' has no embedding"):
        measured(tmp_path, named, wrong)
