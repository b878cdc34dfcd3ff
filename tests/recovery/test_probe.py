"""The probe, in a world where what can be read is known."""

from typing import Any

import numpy as np
import pytest

from attribute_recovery.config import RecoverySection
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.recovery.probe import Labelled, fit_and_read, probe
from attribute_recovery.statistics.linear import (
    choose_ridge_penalties,
    fit_ridge,
    fit_standardiser,
    held_out_people,
)
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


def test_the_linear_probe_says_how_far_off_it_is_in_people_it_has_not_seen() -> None:
    """120 images of 30 people, 40 inputs: in its own images a regression leaves far less."""
    schema = AttributeSchema((Attribute("age", "label", "continuous", "image", "sd", (-9.0, 9.0)),))
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(40) / np.sqrt(40)

    def labelled(people: int) -> Labelled:
        z = rng.standard_normal((4 * people, 40)).astype(np.float32)
        names = np.repeat([f"p{i}" for i in range(people)], 4).astype(object)
        return Labelled(z, names, {"age": z @ weights + rng.standard_normal(4 * people)})

    fitted, new = labelled(30), labelled(500)
    settings = RecoverySection(probe_hidden=8, probe_steps=2)
    found = fit_and_read(schema, fitted, new.embeddings, settings, 0, "cpu").linear
    off = np.std(new.values["age"] - found.mean["age"])
    assert found.sd["age"][0] == pytest.approx(off, rel=0.2)


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


def test_each_attribute_is_learned_where_it_is_known(linear_world: Any) -> None:
    """A third of the labels missing, elsewhere for each attribute, and wrong if anybody looked at them."""
    train, test = linear_world.of("train"), linear_world.of("test")
    rng = np.random.default_rng(0)
    values = {}
    for attribute in linear_world.schema:
        column = np.array(train.values[attribute.name])
        column[rng.random(len(column)) < 0.33] = -1 if attribute.is_discrete else np.nan
        values[attribute.name] = column
    partial = Labelled(train.embeddings, train.identities, values)
    found = fit_and_read(linear_world.schema, partial, test.embeddings, SETTINGS, 0, "cpu")
    for kind in (found.linear, found.mlp):
        assert r_squared(kind.mean["yaw"], test.values["yaw"]) == pytest.approx(
            linear_world.r2["yaw"], abs=0.12
        )
        assert (kind.probabilities["hair"].argmax(axis=1) == test.values["hair"]).mean() > 0.6
    known = ~np.isnan(values["yaw"])
    x = fit_standardiser(train.embeddings)
    alone = fit_ridge(
        x(train.embeddings)[known],
        train.values["yaw"][known][:, None],
        choose_ridge_penalties(
            x(train.embeddings)[known],
            train.values["yaw"][known][:, None],
            held_out_people(train.identities, 0)[known],
        ),
    )
    assert found.linear.mean["yaw"] == pytest.approx(alone(x(test.embeddings))[:, 0], abs=1e-5)


def test_where_nothing_is_known_the_declaration_is_all_there_is(few_people: Any) -> None:
    train = few_people.of("train")
    values = dict(train.values) | {"yaw": np.full(120, np.nan), "hair": np.full(120, -1)}
    settings = RecoverySection(probe_hidden=8, probe_steps=5)
    nothing = Labelled(train.embeddings, train.identities, values)
    found = fit_and_read(few_people.schema, nothing, train.embeddings[:7], settings, 0, "cpu")
    assert found.linear.mean["yaw"] == pytest.approx(np.zeros(7))
    assert found.linear.sd["yaw"] == pytest.approx(np.full(7, 8 / np.sqrt(12)))
    assert found.linear.probabilities["hair"] == pytest.approx(np.full((7, 3), 1 / 3))
    for column in (found.mlp.mean["yaw"], found.mlp.sd["yaw"], found.mlp.probabilities["hair"]):
        assert np.isfinite(column).all()
