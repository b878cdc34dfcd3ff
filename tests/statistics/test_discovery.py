"""Benjamini-Hochberg against its step-up definition and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from attribute_recovery.statistics.discovery import benjamini_hochberg

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@given(P_VALUES)
def test_agrees_with_scipy(p: list[float]) -> None:
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p), rtol=1e-12)


@given(P_VALUES, st.floats(0.001, 1))
def test_rejects_what_the_step_up_rule_rejects(p: list[float], rate: float) -> None:
    values = np.array(p)
    ranks = np.arange(1, len(p) + 1)
    below = np.flatnonzero(np.sort(values) * len(p) / ranks <= rate)
    cut = np.sort(values)[below[-1]] if len(below) else -1.0
    assert np.array_equal(benjamini_hochberg(p) <= rate, values <= cut)


def test_nan_stays_and_does_not_count() -> None:
    q = benjamini_hochberg([np.nan, 0.02, np.nan, 0.01])
    assert np.isnan(q[[0, 2]]).all()
    assert np.array_equal(q[[1, 3]], benjamini_hochberg([0.02, 0.01]))
    assert np.isnan(benjamini_hochberg([np.nan])).all()
    assert len(benjamini_hochberg([])) == 0


@pytest.mark.parametrize("wrong", [-0.1, 1.1])
def test_refuses_what_is_no_p_value(wrong: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 1"):
        benjamini_hochberg([0.5, wrong])
    with pytest.raises(ValueError, match="expected one dimension"):
        benjamini_hochberg([[0.5]])


def test_false_discoveries_stay_below_the_rate() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(400):
        p = np.concatenate([rng.uniform(size=40), rng.beta(0.05, 10, size=10)])
        called = benjamini_hochberg(p) <= 0.2
        shares.append(called[:40].sum() / max(1, called.sum()))
    assert 0.12 < np.mean(shares) <= 0.18  # theory: 0.2 x 40 / 50 = 0.16
