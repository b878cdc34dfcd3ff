"""The decision effect of every attribute, with intervals, placebo p-values, flips and cross-talk."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.significance.crosstalk import Account, Reading, account, read_edit
from attribute_recovery.significance.effect import (
    Edited,
    Originals,
    Pipeline,
    carry_out,
    effect_interval,
    plan_edits,
    together,
)
from attribute_recovery.significance.flips import PairChanges, decision_changes
from attribute_recovery.significance.permuted import largest_of, schemes_of
from attribute_recovery.significance.placebo import Placebos, make_placebos
from attribute_recovery.statistics.bootstrap import Interval
from attribute_recovery.statistics.inputs import FloatArray
from attribute_recovery.statistics.permutation import Scheme

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Effect:
    """Decision effect of one attribute, in one direction or ("") over all of them.

    Attributes:
        attribute: its name.
        direction: "", or one of `effect.Edit`.
        interval: mean of 1 − cos with 95 % interval; NaN ends with fewer than two people.
        p: against placebo edits; for a mixed attribute the larger of both schemes' p-values; NaN where no
            labels can be exchanged.
        p_by_scheme: of each scheme that the attribute's level asks for, and that has placebos.
        placebo_effect: median effect of the placebos of the scheme that gave p.
        code_norm: mean length of the edit in code space.
        account: what the heads read.
        flips: pairs by direction of decision.
        n_identities, n_images: whose attribute was changed.
        values: 1 − cos of each of the images, (n,); NaN where nothing was changed.
    """

    attribute: str
    direction: str
    interval: Interval
    p: float
    p_by_scheme: dict[Scheme, float]
    placebo_effect: float
    code_norm: float
    account: Account
    flips: dict[str, PairChanges]
    n_identities: int
    n_images: int
    values: FloatArray


@dataclass(frozen=True)
class Decision:
    """The stage's account of decisions: effects, the edits behind them by attribute, and the placebos."""

    effects: list[Effect]
    edited: dict[str, list[Edited]]
    placebos: Placebos


def decision_effects(
    pipeline: Pipeline,
    schema: AttributeSchema,
    known: Originals,
    frequencies: Mapping[str, FloatArray],
    deviations: FloatArray,
    directions: dict[Scheme, Floats],
    tau: float,
    *,
    n_boot: int,
    seed: int,
) -> Decision:
    """The measure of every editable attribute.

    Args:
        pipeline: edits, decodes, embeds and reads.
        schema: the attributes.
        known: the images whose attributes are changed.
        frequencies: of the classes of each categorical attribute in the population, (classes,).
        deviations: population standard deviations of the encoded columns, (width,).
        directions: of placebo edits by scheme, see `placebo_directions`.
        tau: decision threshold on the score.
        n_boot: replicates of the intervals.
        seed: of intervals and of the placebos' images.
    """
    edited: dict[str, list[Edited]] = {}
    for number, edit in enumerate(plan_edits(schema, known.current, frequencies)):
        edited.setdefault(edit.attribute, []).append(carry_out(pipeline, known, edit))
        print(f"significance: edit {number + 1}, {edit.attribute} {edit.direction}", flush=True)
    norms = np.concatenate([one.norms for found in edited.values() for one in found])
    print("significance: placebo edits", flush=True)
    placebos = make_placebos(pipeline, known.codes, known.rebuilt, known.identities, norms, directions, seed)
    measure = _Measure(schema, known, deviations, placebos, tau, n_boot, seed)
    effects = []
    for found in edited.values():
        readings = [read_edit(pipeline, known, one) for one in found]
        effects.append(measure.effect("", found, readings))
        for one, reading in zip(found, readings, strict=True):
            effects.append(measure.effect(one.edit.direction, [one], [reading]))
    return Decision(effects, edited, placebos)


@dataclass(frozen=True)
class _Measure:
    """What every effect is measured with; see `decision_effects`."""

    schema: AttributeSchema
    known: Originals
    deviations: FloatArray
    placebos: Placebos
    tau: float
    n_boot: int
    seed: int

    def effect(self, direction: str, edited: list[Edited], readings: list[Reading]) -> Effect:
        """The effect of edits of one attribute, taken together."""
        known, attribute = self.known, self.schema[edited[0].edit.attribute]
        n = len(known.codes)
        values = together(edited, [one.effects for one in edited], n)
        applied = ~np.isnan(values)
        schemes = [each for each in schemes_of(attribute.level) if each in self.placebos.log_effects]
        tested = {scheme: self.placebos.p_value(scheme, edited) for scheme in schemes}
        p_by_scheme: dict[Scheme, float] = {scheme: p for scheme, (p, _) in tested.items()}
        p = largest_of(p_by_scheme)
        medians = [median for found, median in tested.values() if found == p]
        return Effect(
            attribute=attribute.name,
            direction=direction,
            interval=effect_interval(
                values[applied], known.identities[applied], n_boot=self.n_boot, seed=self.seed
            ),
            p=p,
            p_by_scheme=p_by_scheme,
            placebo_effect=medians[0] if medians else math.nan,
            code_norm=float(np.nanmean(together(edited, [one.norms for one in edited], n))),
            account=account(self.schema, attribute.name, readings, self.deviations),
            flips=decision_changes(attribute, self.schema.slices[attribute.name], known, edited, self.tau),
            n_identities=len(np.unique(known.identities[applied])),
            n_images=int(applied.sum()),
            values=values,
        )
