"""Decisions that flip, against counting by hand."""

from typing import Any

import numpy as np
import pytest

from attribute_recovery.significance.effect import Edit, Edited, Originals
from attribute_recovery.significance.flips import DIRECTIONS, decision_changes, made_equal


def _unit(*degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


@pytest.fixture
def known(schema: Any) -> Originals:
    """Two people, two images each, at 0°, 10° and 60°, 70°; accepted within 30°. The second wears glasses."""
    current = np.zeros((4, 6), np.float32)
    current[2:, 2] = 1
    real = _unit(0, 10, 60, 70)
    return Originals(
        np.zeros((4, 8), np.float32),
        np.array(["a", "a", "b", "b"], object),
        real,
        real.copy(),
        current,
        current,
    )


def _edited(known: Originals, rows: list[int], after: np.ndarray) -> Edited:
    wanted = known.current[rows].copy()
    wanted[:, 2] = 1 - wanted[:, 2]
    edit = Edit("glasses", "add", np.array(rows), wanted, np.ones(len(rows)))
    return Edited(edit, known.codes[rows], after, np.ones(len(rows)), np.ones(len(rows)))


def _rates(schema: Any, known: Originals, edited: Edited) -> dict[str, float]:
    tau = float(np.cos(np.radians(30)))
    found = decision_changes(schema["glasses"], schema.slices["glasses"], known, [edited], tau)
    return {name: found[name].rate for name in DIRECTIONS}


def test_four_directions(schema: Any, known: Originals) -> None:
    # Image 0 moves from 0° to 45°: it loses image 1 (35° away), and gains images 2 and 3 (15°, 25°).
    rates = _rates(schema, known, _edited(known, [0], _unit(45)))
    assert rates["genuine_lost"] == 1.0
    assert rates["impostor_gained"] == 1.0
    assert np.isnan(rates["genuine_gained"])
    assert np.isnan(rates["impostor_lost"])


def test_what_reconstruction_flips_is_taken_off(schema: Any, known: Originals) -> None:
    known.rebuilt[0] = _unit(45)[0]
    assert _rates(schema, known, _edited(known, [0], _unit(45)))["genuine_lost"] == 0.0
    # The edit brings back what reconstruction had lost.
    assert _rates(schema, known, _edited(known, [0], _unit(0)))["genuine_lost"] == -1.0


def test_gained_impostors_are_those_made_equal(schema: Any, known: Originals) -> None:
    edited = _edited(known, [0], _unit(45))
    equal = made_equal(schema["glasses"], schema.slices["glasses"], known.current, edited)
    assert equal.tolist() == [[False, False, True, True]]
    known.current[3, 2] = 0  # as image 0 was before the edit
    found = decision_changes(schema["glasses"], slice(2, 3), known, [edited], float(np.cos(np.radians(30))))
    assert len(found["impostor_gained"].net) == 1


def test_continuous_values_are_equal_within_half_a_dose(schema: Any, known: Originals) -> None:
    known.current[:, 1] = [0.0, 0.2, 1.1, 1.6]
    wanted = known.current[:1].copy()
    wanted[0, 1] = 1.0
    edit = Edit("yaw", "increase", np.array([0]), wanted, np.ones(1))
    edited = Edited(edit, known.codes[:1], known.real[:1], np.ones(1), np.ones(1))
    assert made_equal(schema["yaw"], schema.slices["yaw"], known.current, edited).tolist() == [
        [False, False, True, False]
    ]


def test_intervals_need_two_people(schema: Any, known: Originals) -> None:
    tau = float(np.cos(np.radians(30)))
    both = decision_changes(
        schema["glasses"], slice(2, 3), known, [_edited(known, [0, 2], _unit(45, 60))], tau
    )
    around = both["genuine_lost"].interval(n_boot=50, seed=0)
    assert around is not None
    assert around.estimate == both["genuine_lost"].rate == 0.5
    one = decision_changes(schema["glasses"], slice(2, 3), known, [_edited(known, [0], _unit(45))], tau)
    assert one["genuine_lost"].interval(n_boot=50, seed=0) is None
