"""Which images a step of a training sees."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def batch_rows(count: int, batch_size: int, seed: Sequence[int], step: int) -> npt.NDArray[np.int64]:
    """Rows of the step's batch among `count`, (batch_size,) int64, each row once an epoch in a random order.

    A function of its arguments alone, so that an interrupted training meets the same batches.

    Args:
        count: number of rows, at least 1.
        batch_size: at least 1; may be more than `count`.
        seed: any number of integers.
        step: of the training, from 0.
    """
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    rows = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(places // count):
        mine = places // count == epoch
        rows[mine] = np.random.default_rng([*seed, int(epoch)]).permutation(count)[places[mine] % count]
    return rows
