"""Row "recovery loses little": what decoded samples give away of new people, against what the direct probe
reads from their embeddings. No route through the image can know more than the embedding holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from attribute_recovery.statistics.bootstrap import identity_mean_interval
from benchmarks.validation.forecasts.new_people import Recovery, plan, recovery_of, work
from benchmarks.validation.outcome import Found, Goal, Table

__all__ = ["conclude", "plan", "work"]

LARGEST_SHARE, LARGEST_NATS = 0.05, 0.02
LEAST_SPEARMAN = 0.95
REPLICATES = 400


@dataclass(frozen=True)
class Loss:
    """What one attribute's route through the image loses, in nats.

    Attributes:
        name: the attribute's.
        discrete: whether it has classes.
        probe, decoder: information by either route.
        low, high: 95 % interval of the difference, images paired.
    """

    name: str
    discrete: bool
    probe: float
    decoder: float
    low: float
    high: float

    @property
    def lost(self) -> float:
        """Negative where the samples know more than the probe found."""
        return self.probe - self.decoder

    @property
    def allowed(self) -> float:
        """5 %, or 0.02 nats if that is more."""
        return max(LARGEST_SHARE * self.probe, LARGEST_NATS)


def conclude(found: Mapping[str, Found]) -> dict[str, Any]:
    """Goals and tables of the row."""
    recovery = recovery_of(found)
    losses = [loss_of(recovery, attribute.name) for attribute in recovery.schema]
    goals = _goals(losses)
    chosen = recovery.metrics["chosen"]
    table: Table = {
        "caption": "Information in nats, and what is lost on the way through the image (95 % interval)",
        "columns": ["attribute", "kind", "probe", "samples", "lost", "allowed", "chosen on calibration"],
        "rows": [
            [
                loss.name,
                recovery.schema[loss.name].kind,
                f"{loss.probe:.3f}",
                f"{loss.decoder:.3f}",
                f"{loss.lost:.3f} ({loss.low:.3f} to {loss.high:.3f})",
                f"{loss.allowed:.3f}",
                "samples" if chosen[loss.name] == "decoder" else "probe",
            ]
            for loss in sorted(losses, key=lambda loss: -loss.lost)
        ],
    }
    notes = [f"{len(recovery.rows):,} people that the run has not seen, one image each."]
    return {"notes": notes, "goals": goals, "tables": [table]}


def loss_of(recovery: Recovery, name: str) -> Loss:
    """What one attribute's samples lose against the probe."""
    probe, decoder = recovery.gain("probe", name), recovery.gain("decoder", name)
    around = identity_mean_interval(probe - decoder, recovery.people, n_boot=REPLICATES, seed=1)
    return Loss(
        name,
        recovery.schema[name].is_discrete,
        float(probe.mean()),
        float(decoder.mean()),
        around.low,
        around.high,
    )


def _goals(losses: list[Loss]) -> list[Goal]:
    within = [loss for loss in losses if loss.lost <= loss.allowed]
    worst = max(losses, key=lambda loss: loss.lost - loss.allowed)
    goals: list[Goal] = [
        {
            "goal": "information lost at most 5 %, or 0.02 nats, for every attribute",
            "measured": f"{len(within)} of {len(losses)} attributes; {worst.name} loses {worst.lost:.3f} of "
            f"{worst.probe:.3f} nats",
            "reached": len(within) == len(losses),
        }
    ]
    for kind, discrete in (("discrete", True), ("continuous", False)):
        some = [loss for loss in losses if loss.discrete == discrete]
        rho = spearman(some)
        goals.append(
            {
                "goal": f"rank correlation within the {kind} at least 0.95",
                "measured": f"{rho:.3f} over {len(some)} attributes",
                "reached": bool(rho >= LEAST_SPEARMAN),
            }
        )
    return goals


def spearman(losses: list[Loss]) -> float:
    """Rank correlation of what both routes know; NaN of fewer than two attributes."""
    if len(losses) < 2:
        return float("nan")
    pairs = np.array([(loss.probe, loss.decoder) for loss in losses])
    return float(spearmanr(pairs[:, 0], pairs[:, 1]).statistic)
