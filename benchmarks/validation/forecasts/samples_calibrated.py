"""Row "p(x given z) is calibrated": what is recovered of new people against what is true of them.

Log scores of densities depend on the unit, so that a ratio of them means nothing; e to the log score is the
density's typical width, in the attribute's unit, and widths have ratios. So "no worse than 1.1 × the direct
probe's" is asked of log losses where attributes are discrete, and of these widths where they are continuous.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribute_recovery.recovery.routes import DiscreteForecast
from attribute_recovery.statistics.bootstrap import clustered_interval, identity_mean_interval
from attribute_recovery.statistics.inputs import FloatArray, IntArray
from attribute_recovery.statistics.quality import calibration_slope, expected_calibration_error
from benchmarks.validation.forecasts.new_people import Recovery, plan, recovery_of, work
from benchmarks.validation.outcome import Found, Goal, Table

__all__ = ["conclude", "plan", "work"]

LEVELS = {0.5: ("q25", "q75"), 0.9: ("q05", "q95")}
POINTS = 0.03
SLOPES = (0.9, 1.1)
LARGEST_ECE = 0.03
LARGEST_RATIO = 1.1
REPLICATES = 400


@dataclass(frozen=True)
class Score:
    """The log score of one attribute.

    Attributes:
        name: the attribute's.
        ratio: to the probe's: of log losses, or of typical widths where continuous.
        gain: of the samples over the marginal, in nats, with 95 % interval.
        probe_gain: the same of the probe.
    """

    name: str
    ratio: float
    gain: tuple[float, float, float]
    probe_gain: tuple[float, float, float]

    @property
    def kept(self) -> bool:
        """Whether the probe reads anything from the embedding."""
        return self.probe_gain[1] > 0

    @property
    def better_than_marginal(self) -> bool:
        """Or as good as the marginal where the embedding keeps nothing."""
        return self.gain[0] > 0 if self.kept else self.gain[2] >= 0


def conclude(found: Mapping[str, Found]) -> dict[str, Any]:
    """Goals and tables of the row."""
    recovery = recovery_of(found)
    coverage = {name: coverage_of(recovery, name) for name in (a.name for a in recovery.schema.continuous)}
    slopes = {a.name: slope_of(recovery, a.name) for a in recovery.schema.discrete}
    errors = {a.name: ece_of(recovery, a.name) for a in recovery.schema.discrete}
    scores = [score_of(recovery, name) for name in recovery.schema.names]
    people = len(recovery.rows)
    notes = [
        f"{people:,} people that the run has not seen, one image each; the standard error of a half "
        f"of them is {50 / float(np.sqrt(people)):.1f} points."
    ]
    goals = _coverage_goals(coverage) + _discrete_goals(slopes, errors, scores) + _score_goals(scores)
    tables = [
        _coverage_table(coverage),
        _discrete_table(slopes, errors, scores),
        _score_table(scores, recovery),
    ]
    return {"notes": notes, "goals": goals, "tables": tables}


def coverage_of(recovery: Recovery, name: str) -> dict[float, float]:
    """Share of the forecast's central intervals that hold the truth, by level."""
    rows = recovery.rows
    truth = rows[f"attribute.{name}"].to_numpy(np.float64)
    covered = {}
    for level, (low, high) in LEVELS.items():
        ends = rows[[f"recovered.{name}.{low}", f"recovered.{name}.{high}"]].to_numpy(np.float64)
        covered[level] = float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean())
    return covered


def _forecast_of(recovery: Recovery, name: str) -> tuple[FloatArray, IntArray]:
    """Class probabilities (n, classes) and true classes (n,)."""
    one = recovery.by_route["decoder"][name]
    assert isinstance(one.forecast, DiscreteForecast)
    return one.forecast.probabilities, np.asarray(one.truth, dtype=np.int64)


def slope_of(recovery: Recovery, name: str) -> tuple[float, float, float]:
    """Calibration slope with 95 % interval; of more than two classes each against the rest, all together."""
    table, truth = _forecast_of(recovery, name)
    binary = table.shape[1] == 2
    hits = np.eye(table.shape[1])[truth]
    table, hits = (table[:, 1:], hits[:, 1:]) if binary else (table, hits)

    def slope(rows: IntArray, people: IntArray) -> float:
        return calibration_slope(table[rows].ravel(), hits[rows].ravel().astype(np.int64)).slope

    around = clustered_interval(slope, recovery.people, n_boot=REPLICATES, seed=1)
    return around.estimate, around.low, around.high


def ece_of(recovery: Recovery, name: str) -> float:
    """Expected calibration error, as the product has it."""
    table, truth = _forecast_of(recovery, name)
    return float(expected_calibration_error(table[:, 1] if table.shape[1] == 2 else table, truth))


def score_of(recovery: Recovery, name: str) -> Score:
    """The log score of one attribute's samples."""
    gain, probe_gain = (recovery.gain(route, name) for route in ("decoder", "probe"))
    one = recovery.by_route["decoder"][name]
    if isinstance(one.forecast, DiscreteForecast):
        ratio = _log_loss(recovery, "decoder", name) / _log_loss(recovery, "probe", name)
    else:
        ratio = float(np.exp(probe_gain.mean() - gain.mean()))
    return Score(name, ratio, _with_interval(gain, recovery), _with_interval(probe_gain, recovery))


def _log_loss(recovery: Recovery, route: str, name: str) -> float:
    return float(recovery.metrics[route]["log_loss"][name])


def _with_interval(gain: FloatArray, recovery: Recovery) -> tuple[float, float, float]:
    around = identity_mean_interval(gain, recovery.people, n_boot=REPLICATES, seed=1)
    return around.estimate, around.low, around.high


def _coverage_goals(coverage: Mapping[str, Mapping[float, float]]) -> list[Goal]:
    goals: list[Goal] = []
    for level in LEVELS if coverage else ():
        off = {name: covered[level] - level for name, covered in coverage.items()}
        within = sum(abs(one) <= POINTS + 1e-12 for one in off.values())
        worst = max(off, key=lambda name: abs(off[name]))
        goals.append(
            {
                "goal": f"continuous: central {100 * level:.0f} % intervals hold the truth within 3 points",
                "measured": f"{within} of {len(off)} attributes; farthest off {worst}, "
                f"{100 * off[worst]:+.1f} points",
                "reached": within == len(off),
            }
        )
    return goals


def _discrete_goals(
    slopes: Mapping[str, tuple[float, float, float]], errors: Mapping[str, float], scores: Sequence[Score]
) -> list[Goal]:
    """A slope is asked for where the embedding keeps something of the attribute: forecasts that are all the
    same have none."""
    kept = {score.name for score in scores if score.kept}
    asked = {name: slope[0] for name, slope in slopes.items() if name in kept}
    goals: list[Goal] = []
    if asked:
        within = sum(SLOPES[0] <= one <= SLOPES[1] for one in asked.values())
        goals.append(
            {
                "goal": "discrete: calibration slope 0.9 to 1.1",
                "measured": f"{within} of {len(asked)} attributes; "
                f"{min(asked.values()):.2f} to {max(asked.values()):.2f}",
                "reached": within == len(asked),
            }
        )
    if errors:
        worst = max(errors, key=lambda name: errors[name])
        goals.append(
            {
                "goal": "discrete: ECE at most 0.03",
                "measured": f"largest {errors[worst]:.3f}, {worst}",
                "reached": errors[worst] <= LARGEST_ECE,
            }
        )
    return goals


def _score_goals(scores: Sequence[Score]) -> list[Goal]:
    as_good = sum(score.ratio <= LARGEST_RATIO for score in scores)
    worst = max(scores, key=lambda score: score.ratio)
    better = sum(score.better_than_marginal for score in scores)
    return [
        {
            "goal": "log score no worse than 1.1 × the direct probe's",
            "measured": f"{as_good} of {len(scores)} attributes; largest ratio {worst.ratio:.2f}, "
            f"{worst.name}",
            "reached": as_good == len(scores),
        },
        {
            "goal": "log score better than the marginal's, or equal where nothing is kept",
            "measured": f"{better} of {len(scores)} attributes",
            "reached": better == len(scores),
        },
    ]


def _coverage_table(coverage: Mapping[str, Mapping[float, float]]) -> Table:
    return {
        "caption": "Continuous attributes: how many % of the forecasts' central intervals hold the truth",
        "columns": ["attribute", *(f"{100 * level:.0f} % intervals" for level in LEVELS)],
        "rows": [
            [name, *(f"{100 * covered[level]:.1f}" for level in LEVELS)] for name, covered in coverage.items()
        ],
    }


def _discrete_table(
    slopes: Mapping[str, tuple[float, float, float]], errors: Mapping[str, float], scores: Sequence[Score]
) -> Table:
    kept = {score.name: "yes" if score.kept else "no" for score in scores}
    return {
        "caption": "Discrete attributes: calibration slope with 95 % interval, and ECE",
        "columns": ["attribute", "slope", "ECE", "kept by the recognizer"],
        "rows": [[name, _told(slope), f"{errors[name]:.3f}", kept[name]] for name, slope in slopes.items()],
    }


def _score_table(scores: Sequence[Score], recovery: Recovery) -> Table:
    return {
        "caption": "Nats beyond the marginal with 95 % intervals, and the ratio to the probe's log score "
        "(of typical widths where continuous)",
        "columns": ["attribute", "kind", "samples", "probe", "ratio"],
        "rows": [
            [
                score.name,
                recovery.schema[score.name].kind,
                _told(score.gain, 3),
                _told(score.probe_gain, 3),
                f"{score.ratio:.3f}",
            ]
            for score in scores
        ],
    }


def _told(ends: tuple[float, float, float], digits: int = 2) -> str:
    estimate, low, high = (f"{value:.{digits}f}" for value in ends)
    return f"{estimate} ({low} to {high})"
