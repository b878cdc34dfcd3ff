"""Distances from cosines and lengths are those of the vectors; equal lengths decide as cosines do."""

from pathlib import Path

import numpy as np
import pytest

from attribute_recovery.embeddings.distance import compared_by_distance, distances, read_norms, with_interval
from attribute_recovery.embeddings.pairs import genuine_pairs, impostor_pairs
from attribute_recovery.embeddings.store import write_embeddings
from attribute_recovery.embeddings.threshold import DecisionThreshold, cosine_of_distance
from attribute_recovery.statistics.bootstrap import Interval

THRESHOLD = DecisionThreshold(
    kind="value",
    value=0.0,
    requested_fmr=None,
    fmr=0.1,
    achieved_fmr=0.1,
    claimable_fmr=0.1,
    n_pairs=1,
    n_identity_pairs=1,
    distance=1.2,
    origin=None,
    weights_sha256="",
)


def _vectors(lengths: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(12, 8)), 4, axis=0) + 0.6 * rng.normal(size=(48, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors * (rng.uniform(0.5, 2, (48, 1)) if lengths == "different" else 1.3), np.repeat(
        np.arange(12), 4
    )


@pytest.mark.parametrize("lengths", ["equal", "different"])
def test_distances_are_those_of_the_vectors(lengths: str) -> None:
    vectors, people = _vectors(lengths)
    norms = np.linalg.norm(vectors, axis=1)
    pairs = impostor_pairs((vectors / norms[:, None]).astype(np.float32), people, seed=0)
    expected = np.linalg.norm(vectors[pairs.row_a] - vectors[pairs.row_b], axis=1)
    assert np.abs(distances(pairs, norms) - expected).max() < 1e-5


@pytest.mark.parametrize("lengths", ["equal", "different"])
def test_both_rules_decide_alike_where_lengths_are_equal(lengths: str) -> None:
    vectors, people = _vectors(lengths)
    norms = np.linalg.norm(vectors, axis=1)
    unit = (vectors / norms[:, None]).astype(np.float32)
    genuine, impostor = genuine_pairs(unit, people, seed=0), impostor_pairs(unit, people, seed=0)
    tau = cosine_of_distance(1.2, float(np.median(norms)))
    threshold = DecisionThreshold(**(THRESHOLD.to_json() | {"value": tau}))
    found = compared_by_distance(genuine, impostor, norms, threshold, seed=0, n_boot=50)
    apart = np.linalg.norm(vectors[genuine.row_a] - vectors[genuine.row_b], axis=1)
    assert found["tar"] == pytest.approx(np.mean(apart <= 1.2))
    assert found["tar_interval"][0] <= found["tar"] <= found["tar_interval"][1]
    differing = found["decided_otherwise_genuine"], found["decided_otherwise_impostor"]
    assert differing == (0, 0) if lengths == "equal" else min(differing) > 0.02
    assert found["threshold"] == 1.2
    assert found["norm"]["median"] == pytest.approx(np.median(norms))
    assert 0 < found["eer"] < 0.5


def test_lengths_are_read_in_the_tables_order(tmp_path: Path, population) -> None:
    table, features = population(0.3, 0)
    write_embeddings(tmp_path / "shards", table["image_id"], features, count=3)
    mixed = table.sample(frac=1, random_state=1)
    expected = np.linalg.norm(features, axis=1)[mixed.index]
    assert np.allclose(read_norms(tmp_path / "shards", mixed), expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"shards: image 'nobody' has no embedding"):
        read_norms(tmp_path / "shards", table.assign(image_id="nobody"))


def test_a_threshold_without_a_distance_is_refused() -> None:
    vectors, people = _vectors("equal")
    unit = (vectors / 1.3).astype(np.float32)
    pairs = genuine_pairs(unit, people, seed=0), impostor_pairs(unit, people, seed=0)
    threshold = DecisionThreshold(**(THRESHOLD.to_json() | {"distance": None}))
    with pytest.raises(ValueError, match="threshold: has no distance"):
        compared_by_distance(*pairs, np.ones(48), threshold, seed=0, n_boot=10)


def test_ends_that_are_not_defined_are_null() -> None:
    found = with_interval("tar", Interval(0.5, float("nan"), 0.75, n_identities=3, n_boot=10, level=0.95))
    assert found == {"tar": 0.5, "tar_interval": [None, 0.75]}
