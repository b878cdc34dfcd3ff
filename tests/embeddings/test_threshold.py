"""τ is where each kind says, what it does is counted, and no rate below 3/n is claimed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribute_recovery.config_recognizers import (
    ExperimentThreshold,
    FmrThreshold,
    ThresholdConfig,
    ValueThreshold,
)
from attribute_recovery.embeddings.pairs import Pairs
from attribute_recovery.embeddings.threshold import (
    Calibration,
    cosine_of_distance,
    fixed_threshold,
    identity_pairs,
    read_decision,
)

PEOPLE = 50
NOWHERE = Path("nowhere/threshold.json")


def _calibration(*, length: float = 1.0, euclidean: bool = False) -> Calibration:
    """Four impostor pairs for each pair of 50 people, their cosines evenly spaced in (−1, 1)."""
    first, second = (np.tile(rows, 4).astype(np.int64) for rows in np.triu_indices(PEOPLE, 1))
    scores = np.linspace(-0.99, 0.99, len(first)).astype(np.float32)
    np.random.default_rng(0).shuffle(scores)
    pairs = Pairs(scores, first, second, first, second, len(first))
    distances = length * np.sqrt(2 - 2 * scores.astype(np.float64)) if euclidean else None
    return Calibration(pairs, PEOPLE, distances, length, "a" * 64)


def test_a_rate_fixes_the_threshold() -> None:
    calibration = _calibration()
    found = fixed_threshold(FmrThreshold(fmr=0.1), calibration, other=NOWHERE)
    scores = calibration.impostors.scores
    assert (found.kind, found.requested_fmr, found.fmr) == ("fmr", 0.1, 0.1)
    assert np.mean(scores >= found.value) == found.achieved_fmr <= 0.1 < found.achieved_fmr + 1e-3
    assert (found.n_pairs, found.n_identity_pairs) == (4900, 1225)
    assert found.claimable_fmr == 3 / 1225
    assert (found.distance, found.origin, found.weights_sha256) == (None, None, "a" * 64)
    assert json.loads(json.dumps(found.to_json())) == found.to_json()


def test_a_rate_that_nothing_can_bear_is_raised() -> None:
    found = fixed_threshold(FmrThreshold(fmr=1e-5), _calibration(), other=NOWHERE)
    assert (found.requested_fmr, found.fmr) == (1e-5, 3 / 1225)


@pytest.mark.parametrize("tau", [0.2, 0.98999])
def test_a_value_is_taken_and_counted_but_nothing_below_the_floor_is_claimed(tau: float) -> None:
    calibration = _calibration()
    found = fixed_threshold(ValueThreshold(value=tau), calibration, other=NOWHERE)
    counted = np.mean(calibration.impostors.scores >= tau)
    assert (found.kind, found.value, found.requested_fmr, found.achieved_fmr) == ("value", tau, None, counted)
    assert found.fmr == max(counted, 3 / 1225)
    assert (counted < 3 / 1225) == (tau > 0.9)


@pytest.mark.parametrize("value", [-1.0, 1.0, 7.0])
def test_a_cosine_that_cannot_be_is_refused(value: float) -> None:
    with pytest.raises(
        ValueError, match=r"threshold\.value: found .*, allowed is -1 to 1, ends excluded: the ca"
    ):
        fixed_threshold(ValueThreshold(value=value), _calibration(), other=NOWHERE)


@pytest.mark.parametrize("length", [1.0, 1.37])
def test_a_distance_becomes_the_cosine_that_decides_the_same(length: float) -> None:
    calibration = _calibration(length=length, euclidean=True)
    found = fixed_threshold(ValueThreshold(value=0.6), calibration, other=NOWHERE)
    assert found.distance == 0.6
    assert found.value == pytest.approx(1 - 0.36 / (2 * length**2))
    assert np.array_equal(calibration.distances <= 0.6, calibration.impostors.scores >= found.value)
    rate = fixed_threshold(FmrThreshold(fmr=0.05), calibration, other=NOWHERE)
    assert rate.distance == pytest.approx(length * (2 - 2 * rate.value) ** 0.5, abs=1e-4)
    assert np.mean(calibration.distances <= rate.distance) == pytest.approx(rate.achieved_fmr, abs=1e-9)


@pytest.mark.parametrize("value", [-0.5, 0.0, 2.8])
def test_a_distance_that_cannot_be_is_refused(value: float) -> None:
    with pytest.raises(
        ValueError,
        match=r"threshold\.value: found .*, allowed is more than 0 and less than 2.74, twice the med",
    ):
        fixed_threshold(ValueThreshold(value=value), _calibration(length=1.37, euclidean=True), other=NOWHERE)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(distance=st.floats(0, 4), length=st.floats(0.1, 10))
def test_the_cosine_of_a_distance_inverts_the_chord(distance: float, length: float) -> None:
    cosine = cosine_of_distance(distance, length)
    if cosine >= -1:
        assert length * (2 - 2 * cosine) ** 0.5 == pytest.approx(distance, abs=1e-6)
    else:
        assert distance > 2 * length


def _elsewhere(name: str = "other") -> ThresholdConfig:
    return ExperimentThreshold.model_validate({"from": name})


def test_a_threshold_of_another_experiment_is_taken_and_counted_here(tmp_path: Path) -> None:
    there = fixed_threshold(FmrThreshold(fmr=0.1), _calibration(euclidean=True), other=NOWHERE)
    path = tmp_path / "threshold.json"
    path.write_text(json.dumps(there.to_json()))
    found = fixed_threshold(_elsewhere(), _calibration(), other=path)
    assert (found.kind, found.value, found.origin) == ("from", there.value, "other")
    assert (found.requested_fmr, found.distance) == (None, there.distance)
    assert found.achieved_fmr == there.achieved_fmr


def test_a_threshold_of_other_weights_is_refused(tmp_path: Path) -> None:
    there = fixed_threshold(FmrThreshold(fmr=0.1), _calibration(), other=NOWHERE)
    path = tmp_path / "threshold.json"
    path.write_text(json.dumps(replace(there, weights_sha256="b" * 64).to_json()))
    with pytest.raises(
        ValueError, match="experiment 'other': found a threshold of weights bbbb.*, allowed is one"
    ):
        fixed_threshold(_elsewhere(), _calibration(), other=path)


@pytest.mark.parametrize("content", ["{", "[]", '{"value": 0.4}'])
def test_a_file_that_is_no_threshold_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "threshold.json"
    path.write_text(content)
    with pytest.raises(
        ValueError, match=r"threshold\.json is no threshold of this version; run that experiment"
    ):
        read_decision(path, "other", "a" * 64)


def test_a_missing_threshold_is_said() -> None:
    with pytest.raises(
        ValueError, match=r"experiment 'other': nowhere/threshold\.json is missing; run that exper"
    ):
        fixed_threshold(_elsewhere(), _calibration(), other=NOWHERE)


def test_pairs_of_people_are_counted_once() -> None:
    first, second = np.array([0, 1, 2, 0]), np.array([1, 0, 0, 2])
    rows = np.arange(4)
    assert identity_pairs(Pairs(np.zeros(4, np.float32), first, second, rows, rows, 4)) == 2
