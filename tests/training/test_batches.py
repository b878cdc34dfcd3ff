"""Batches are functions of their step, and an epoch has each row once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attribute_recovery.training.batches import batch_rows


@given(count=st.integers(1, 40), batch_size=st.integers(1, 50), seed=st.integers(0, 99))
def test_an_epoch_is_a_permutation(count: int, batch_size: int, seed: int) -> None:
    """Whatever is drawn in so many batches, no row is drawn twice more than another."""
    drawn = list[int]()
    for step in range(6):
        drawn += batch_rows(count, batch_size, (seed,), step).tolist()
        assert len(drawn) == (step + 1) * batch_size
        times = np.bincount(drawn, minlength=count)
        assert times.max() - times.min() <= 1


def test_epochs_and_seeds_differ_but_a_step_is_always_the_same() -> None:
    first = [batch_rows(40, 10, (0, 7), step).tolist() for step in range(8)]
    assert first == [batch_rows(40, 10, (0, 7), step).tolist() for step in range(8)]
    assert first[:4] != first[4:]
    assert first[0] != batch_rows(40, 10, (1, 7), 0).tolist()
    assert first[0] != batch_rows(40, 10, (0, 8), 0).tolist()


def test_the_seed_is_that_of_numpy_with_the_epoch_last() -> None:
    """The order on which shipped weights rest: another one would train other weights."""
    order = np.random.default_rng([2024, 3]).permutation(12)
    assert batch_rows(12, 4, (2024,), 10).tolist() == order[4:8].tolist()
