"""The world's attributes: enough of them, of all families, kinds and levels."""

import numpy as np
import torch

from attribute_recovery.dataset.world.schema import SCHEMA, columns


def test_there_are_enough_of_every_sort() -> None:
    assert len(SCHEMA) >= 20
    assert {a.family for a in SCHEMA} == {"shape", "expression", "pose", "appearance"}
    assert {a.kind for a in SCHEMA} == {"continuous", "binary", "categorical"}
    assert {a.level for a in SCHEMA} == {"identity", "image", "mixed"}


def test_each_is_declared_whole() -> None:
    for attribute in SCHEMA:
        low, high = attribute.range
        assert low < high, attribute.name
        assert bool(attribute.categories) == attribute.is_discrete, attribute.name
        assert attribute.unit, attribute.name
        if attribute.kind == "binary":
            assert attribute.categories == ("off", "on"), attribute.name


def test_columns_are_those_of_the_matrix() -> None:
    matrix = np.arange(2 * SCHEMA.width, dtype=np.float32).reshape(2, -1)
    found = columns(torch.from_numpy(matrix))
    assert list(found) == SCHEMA.names
    np.testing.assert_array_equal(torch.cat(list(found.values()), 1).numpy(), matrix)
    assert [column.shape[1] for column in found.values()] == [a.width for a in SCHEMA]
