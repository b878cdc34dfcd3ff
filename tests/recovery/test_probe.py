"""The probe, in a world where what can be read is known."""

from typing import Any

import numpy as np
import pytest

from attribute_recovery.config import RecoverySection
from attribute_recovery.recovery.probe import Labelled, fit_and_read, probe
from attribute_recovery.statistics.quality import r_squared

SETTINGS = RecoverySection(probe_hidden=32, probe_steps=300)


@pytest.fixture(scope="module")
def readings(linear_world: Any) -> Any:
    calibration, test = linear_world.of("calibration"), linear_world.of("test")
    return probe(
        linear_world.schema, linear_world.of("train"), calibration, test.embeddings, SETTINGS, 0, "cpu"
    )


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_continuous_attributes_are_read_as_well_as_they_can_be(
    linear_world: Any, readings: Any, kind: str
) -> None:
    found, test = getattr(readings, kind), linear_world.of("test")
    for name, known in linear_world.r2.items():
        # An attribute of people is learned and measured on few of them.
        reached = r_squared(found.mean[name][-len(test.embeddings) :], test.values[name])
        assert reached == pytest.approx(known, abs=0.12)
        assert found.sd[name].min() > 0


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_classes_are_read(linear_world: Any, readings: Any, kind: str) -> None:
    test = linear_world.of("test")
    for attribute in linear_world.schema.discrete:
        table = getattr(readings, kind).probabilities[attribute.name][-len(test.embeddings) :]
        assert table.sum(axis=1) == pytest.approx(np.ones(len(table)), abs=1e-5)
        hits = (table.argmax(axis=1) == test.values[attribute.name]).mean()
        assert hits > 0.6 > 1 / attribute.n_classes


def test_few_people_are_cross_fitted(few_people: Any) -> None:
    settings = RecoverySection(probe_hidden=8, probe_steps=5)
    train, held, test = (few_people.of(split) for split in ("train", "calibration", "test"))
    arguments = (few_people.schema, train, held, test.embeddings, settings, 0, "cpu")
    found = probe(*arguments).linear.mean["yaw"]
    assert len(found) == len(held.embeddings) + len(test.embeddings)
    without = fit_and_read(few_people.schema, train, test.embeddings, settings, 0, "cpu").linear.mean["yaw"]
    assert np.abs(found[len(held.embeddings) :] - without).max() > 1e-4

    # A label of `calibration` reaches other people's readings, never its own.
    changed = {name: np.array(column) for name, column in held.values.items()}
    person = held.identities == held.identities[0]
    changed["yaw"][person] += 5
    moved = probe(
        few_people.schema,
        train,
        Labelled(held.embeddings, held.identities, changed),
        test.embeddings,
        settings,
        0,
        "cpu",
    ).linear.mean["yaw"]
    shift = np.abs(moved - found)[: len(held.embeddings)]
    assert shift[person].max() == 0
    assert shift[~person].max() > 1e-4


def test_test_labels_are_not_needed(few_people: Any) -> None:
    settings = RecoverySection(probe_hidden=8, probe_steps=5)
    embeddings = few_people.of("test").embeddings
    first = fit_and_read(few_people.schema, few_people.of("train"), embeddings, settings, 3, "cpu")
    again = fit_and_read(few_people.schema, few_people.of("train"), embeddings, settings, 3, "cpu")
    assert np.array_equal(first.mlp.mean["yaw"], again.mlp.mean["yaw"])
