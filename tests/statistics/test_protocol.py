"""The fold protocol against its definition by brute force, and against scores with a known answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribute_recovery.statistics.protocol import fold_accuracy, most_accurate_threshold

SCORED = st.lists(
    st.tuples(st.floats(-1, 1, width=32).map(lambda v: round(v, 2)), st.booleans()), min_size=1, max_size=30
)


@settings(deadline=None)
@given(SCORED)
def test_no_threshold_tells_more_pairs_right(pairs: list[tuple[float, bool]]) -> None:
    scores, genuine = (np.array(column) for column in zip(*pairs, strict=True))
    tau = most_accurate_threshold(scores, genuine)
    right = ((scores >= tau) == genuine).sum()
    for other in (*scores, scores.max() + 1):
        assert right >= ((scores >= other) == genuine).sum()


def test_the_threshold_lies_in_the_middle_of_the_gap() -> None:
    assert most_accurate_threshold([0.2, 0.6], [False, True]) == pytest.approx(0.4)
    assert most_accurate_threshold([0.2, 0.6], [True, True]) < 0.2
    assert most_accurate_threshold([0.2, 0.6], [False, False]) > 0.6
    # Equally accurate below 0.1, between 0.2 and 0.3, and above 0.4: the middle one is taken.
    assert most_accurate_threshold([0.1, 0.2, 0.3, 0.4], [True, False, True, False]) == pytest.approx(0.25)


def test_mean_and_standard_error_are_those_of_the_report() -> None:
    rng = np.random.default_rng(5)
    folds = np.repeat(np.arange(10), 60)
    genuine = np.tile(np.arange(60) < 30, 10)
    scores = rng.normal(np.where(genuine, 0.6, 0.2), 0.2)
    found = fold_accuracy(scores, genuine, folds)
    expected = []
    for fold in range(10):
        others = folds != fold
        tries = np.unique(scores[others])
        right = [((scores[others] >= t) == genuine[others]).mean() for t in tries]
        assert ((scores[others] >= found.thresholds[fold]) == genuine[others]).mean() == pytest.approx(
            max(right)
        )
        inside = ~others
        expected.append(((scores[inside] >= found.thresholds[fold]) == genuine[inside]).mean())
    np.testing.assert_allclose(found.accuracies, expected)
    assert found.mean == pytest.approx(np.mean(expected))
    assert found.standard_error == pytest.approx(np.std(expected, ddof=1) / np.sqrt(10))
    assert found.n_pairs == 600
    assert 0.78 < found.mean < 0.9  # Φ(1) = 0.841 for two normals two standard deviations apart


def test_a_fold_never_chooses_its_own_threshold() -> None:
    scores = [0.9, 0.8, 0.2, 0.1, 0.45, 0.4]
    genuine = [True, False, True, False, True, False]
    folds = [0, 0, 1, 1, 2, 2]
    before = fold_accuracy(scores, genuine, folds)
    changed = fold_accuracy([0.9, 0.8, 0.2, 0.1, 0.99, -0.99], genuine, folds)
    assert before.thresholds[2] == changed.thresholds[2]
    assert changed.accuracies[2] == 1.0


@pytest.mark.parametrize(
    ("scores", "genuine", "folds", "says"),
    [
        ([0.1, 0.2], [True], [0, 1], r"found shapes \(1,\) and \(2,\) for 2 scores, allowed is one of each"),
        ([0.1, np.nan], [True, False], [0, 1], "scores holds 1 values that are NaN or infinite"),
        ([0.1, 0.2], [True, False], [0, 0], "folds: found 1, allowed are 2 or more"),
        ([0.1, 0.2, 0.3], [True, False, True], [0, 0, 1], "fold 1 has pairs of one kind only"),
        ([], [], [], "scores is empty"),
    ],
)
def test_what_cannot_be_is_refused(
    scores: list[float], genuine: list[bool], folds: list[int], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        fold_accuracy(scores, genuine, folds)
    if "scores" in says and "shapes" not in says:
        with pytest.raises(ValueError, match=says):
            most_accurate_threshold(scores, genuine)
