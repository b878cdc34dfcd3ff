"""What the rows conclude: goals are reached where the figures are within them, and missed where not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from benchmarks.validation.blinded import nulls
from benchmarks.validation.intervals import coverage
from benchmarks.validation.intervals.worlds import Labelled, images_of
from benchmarks.validation.scores import same_scores
from scipy.stats import kstest


@pytest.fixture(scope="module")
def quick() -> dict[str, Any]:
    """Findings of all chunks of the quick run of the coverage row."""
    return {name: coverage.work(chunk) for name, chunk in coverage.plan(True, 1).items()}


def test_every_interval_is_compared_with_a_truth(quick: dict[str, Any]) -> None:
    known = coverage.truths(quick)
    names = {name for part in quick.values() for name in part.get("intervals", {})}
    assert names == set(known)
    assert all(np.isfinite(value) for value in known.values())
    result = coverage.conclude(quick)
    assert len(result["goals"]) == len(names) - len(coverage.FAULTY)


def test_coverage_counts_the_draws_that_hold_the_truth(quick: dict[str, Any]) -> None:
    known = coverage.truths(quick)

    def concluded(share: float) -> dict[str, bool]:
        found = dict(quick)
        for name, part in quick.items():
            if "intervals" in part:
                held = [i < share * 100 for i in range(100)]
                found[name] = part | {
                    "intervals": {
                        of: [[known[of], known[of] - (1 if inside else -1), known[of] + 2] for inside in held]
                        for of in part["intervals"]
                    }
                }
        return {goal["goal"]: goal["reached"] for goal in coverage.conclude(found)["goals"]}

    two_sided = "TAR of 0.88: 93 to 97 %"
    assert concluded(0.95)[two_sided]
    assert not concluded(0.92)[two_sided] and not concluded(0.98)[two_sided]


def test_a_claim_above_zero_is_counted() -> None:
    assert coverage._not_above_zero([[0.1, 0.05, 0.2], [0.1, -0.05, 0.2], None]) == 0.5


def test_discoveries_and_crooked_p_values_are_seen() -> None:
    rng = np.random.default_rng(0)

    def seeds(found: int, power: float) -> dict[str, Any]:
        listed = [
            {
                "discoveries": dict.fromkeys(nulls.MEASURES, int(number < found)),
                "p": {"flips of sign": (rng.random(12) ** power).tolist()},
                "difference": [0.5, 1.0, 1.0],
                "of_nothing": [0.01],
            }
            for number in range(200)
        ]
        return {"all": {"seeds": listed}}

    reached = {goal["goal"]: goal["reached"] for goal in nulls.conclude(seeds(15, 1.0))["goals"]}
    assert len(reached) == 5 and all(reached.values())
    # Of too many discoveries, what is asked of p-values is still reached.
    assert sum(goal["reached"] for goal in nulls.conclude(seeds(16, 1.0))["goals"]) == 2
    crooked = {goal["goal"]: goal["reached"] for goal in nulls.conclude(seeds(0, 1.2))["goals"]}
    assert [name for name, reached in crooked.items() if not reached] == [
        "p of flips of sign: uniform, Kolmogorov-Smirnov p ≥ 0.01"
    ]


def test_recognizers_that_see_as_much_have_uniform_p_and_others_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def p_values() -> list[float]:
        found = []
        for number in range(40):
            rng = np.random.default_rng([9, number])
            codes = images_of(rng, nulls.PEOPLE, nulls.MOST)
            found += nulls._p_of_equals(rng, codes, 199, number)
        return found

    assert kstest(p_values(), "uniform").pvalue > 0.01
    weaker = iter([1.0, 0.3] * 1000)
    whole = Labelled.embeddings

    def uneven(self: Labelled, rng: Any, codes: Any, a: Any) -> Any:
        return whole(replace(self, gain=next(weaker)), rng, codes, a)

    for of in nulls.EQUALLY_SEEN:
        nulls._held(of)  # fitted before anything is uneven
    monkeypatch.setattr(Labelled, "embeddings", uneven)
    assert np.mean(np.array(p_values()) <= 0.05) > 0.9


def test_rates_that_differ_are_seen() -> None:
    tools = {tool: {"fmr": 0.0, "fnmr": 0.0, "eer": [0.1, 0.2]} for tool in same_scores.TOOLS}
    found = {"few": {"kind": "few", "thresholds": 9, "eer": 0.15, "tools": tools}}
    assert all(goal["reached"] for goal in same_scores.conclude(found)["goals"])
    tools["pyeer"] = {"fmr": 2e-9, "fnmr": 0.0, "eer": [0.16, 0.2]}
    reached = [goal["reached"] for goal in same_scores.conclude(found)["goals"]]
    assert reached == [False, False, True, True]


@pytest.mark.parametrize("kind", list(same_scores.KINDS))
def test_score_files_are_of_the_kind_that_they_say(kind: str) -> None:
    genuine, impostor = same_scores.scores_of(kind, 1)
    assert np.isfinite(genuine).all() and np.isfinite(impostor).all()
    if kind == "apart":
        assert genuine.min() > impostor.max()
    if kind == "tied":
        assert len(np.unique(impostor)) < 0.1 * len(impostor)
    if kind == "upside down":
        assert genuine.mean() < impostor.mean()
