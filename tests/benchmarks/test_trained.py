"""What recognizers of the validation are kept under: all that they depend on."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from benchmarks.validation.faults.trained import FMR, QUICK_STEPS, SETTINGS, digest_of, seed_of, settings_of


def test_arrays_that_differ_in_anything_have_other_digests() -> None:
    array = np.arange(12, dtype=np.uint8)
    others = [array.reshape(3, 4), array.astype(np.int64), array[::-1], np.arange(1, 13, dtype=np.uint8)]
    assert len({digest_of(one) for one in [array, *others]}) == 5
    assert digest_of(array.reshape(3, 4).T.copy().T) == digest_of(array.reshape(3, 4))


def test_a_quick_training_differs_in_its_steps_alone() -> None:
    quick = settings_of(True)
    assert settings_of(False) is SETTINGS and quick.training.steps == QUICK_STEPS
    training = {**SETTINGS.training.model_dump(), "steps": QUICK_STEPS}
    assert quick.model_dump() == {**SETTINGS.model_dump(), "training": training}
    assert SETTINGS.threshold.model_dump() == {"fmr": FMR}


def test_no_two_recognizers_share_a_seed() -> None:
    run: Any = SimpleNamespace(config=SimpleNamespace(seed=2024))
    seeds = {seed_of(run, seed, number) for seed in range(3) for number in range(20)}
    assert len(seeds) == 60 and min(seeds) > 2024 + 1_000_000
