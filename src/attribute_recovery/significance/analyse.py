"""The three measures of every attribute for one recognizer, in one long table, on people that nothing was
fitted to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from attribute_recovery.config import Compute
from attribute_recovery.config_significance import SignificanceSection
from attribute_recovery.dataset.attributes import AttributeSchema, read_schema
from attribute_recovery.dataset.known import counts_of_known, is_known, left_out, without
from attribute_recovery.dataset.store import (
    read_array,
    read_parquet,
    read_table,
    rows_of,
    write_json,
    write_table,
)
from attribute_recovery.decoder.attacks import read_threshold
from attribute_recovery.embeddings.store import read_embeddings
from attribute_recovery.recovery.measure import without_nan
from attribute_recovery.significance.by_group import write_groups
from attribute_recovery.significance.contributions import contributions_table, joined
from attribute_recovery.significance.crosstalk import column_deviations
from attribute_recovery.significance.decision import Decision, decision_effects
from attribute_recovery.significance.dose_response import write_doses
from attribute_recovery.significance.effect import Originals, Pipeline, choose_images, distances, originals
from attribute_recovery.significance.figures import draw_edits, draw_significance
from attribute_recovery.significance.flips import DIRECTIONS
from attribute_recovery.significance.forecasts import Recovered, recovered_attributes, target_columns
from attribute_recovery.significance.identity import identity_shares, permuted_iccs
from attribute_recovery.significance.models import load_models
from attribute_recovery.significance.permuted import draw_permutations
from attribute_recovery.significance.placebo import placebo_directions
from attribute_recovery.significance.retained import retained_information
from attribute_recovery.significance.table import (
    as_metrics,
    effect_row,
    in_order,
    not_testable_row,
    retained_row,
    share_row,
    significance_table,
)
from attribute_recovery.significance.testable import known_together, not_testable
from attribute_recovery.statistics.bootstrap import identity_mean_interval
from attribute_recovery.statistics.inputs import BoolArray, FloatArray
from attribute_recovery.statistics.permutation import Scheme
from attribute_recovery.training.device import prepare_torch

Floats = npt.NDArray[np.float32]

SCHEMES: tuple[Scheme, ...] = ("identity", "image")


@dataclass(frozen=True)
class Split:
    """One split: embeddings f(x) (n, d), codes E(x) (n, code_size), identities (n,) and true attributes, (n,)
    each, NaN and −1 where a value is missing."""

    embeddings: Floats
    codes: Floats
    identities: npt.NDArray[np.object_]
    values: dict[str, npt.NDArray[np.generic]]

    def rows(self, chosen: BoolArray) -> "Split":
        """The images that a mask chooses."""
        values = {name: column[chosen] for name, column in self.values.items()}
        return Split(self.embeddings[chosen], self.codes[chosen], self.identities[chosen], values)


@dataclass(frozen=True)
class Group:
    """Attributes that are known on the same images: their forecasts, and these images of both splits."""

    found: list[Recovered]
    fitted: Split
    test: Split


def analyse(
    settings: SignificanceSection,
    seed: int,
    compute: Compute,
    *,
    recognizer: str,
    table: Path,
    attributes: Path,
    codes: Path,
    shards: Path,
    threshold: Path,
    recovered: Path,
    recovery_metrics: Path,
    generator_weights: Path,
    generator_card: Path,
    heads_weights: Path,
    heads_card: Path,
    editor_weights: Path,
    editor_card: Path,
    recognizer_weights: Path,
    recognizer_card: Path,
    significance: Path,
    contributions: Path,
    metrics: Path,
    figure: Path,
    edits: Path,
    group_rates: Path,
    group_curves: Path,
    group_figure: Path,
    doses: Path,
    dose_figure: Path,
) -> dict[str, Any]:
    """Write the long table, its metrics, and the figures of measures and edits.

    Each attribute is tested on the images where it is known. What cannot be tested has a row without estimate
    and p, whose method says why.

    Args:
        settings: counts of permutations, placebos, replicates and images.
        seed: of all of these.
        compute: threads, device and precision.
        recognizer: its name, for the table.
        table, attributes, codes, shards, threshold, recovered: what the stages before wrote.
        recovery_metrics: of the stage recovery, for the route that is better for each attribute.
        generator_weights, generator_card, heads_weights, heads_card: G and the heads.
        editor_weights, editor_card, recognizer_weights, recognizer_card: the editor and f.
        significance, metrics: the long table (Parquet, see `table.COLUMNS`) and its summary, written.
        contributions: what each identity has to do with its figures (Parquet), written.
        figure, edits: pictures of the measures and of the edits, written.
        group_rates, group_curves, group_figure: error rates by attribute group (Parquet, see
            `group_table.group_table`), their curves (see `group_curves.det_table`) and a picture, written.
        doses, dose_figure: responses to several doses (Parquet, see `dose_response.COLUMNS`) and their
            picture, written.

    Returns:
        The metrics.

    Raises:
        ValueError: a file is missing or damaged, or files do not fit each other.
    """
    device = prepare_torch(compute)
    schema, images, listed = read_schema(attributes), read_table(table), read_parquet(recovered)
    listed = listed[listed["split"] == "test"]
    fitted = _split(schema, images, rows_of(images, "train"), codes, shards)
    test = _split(schema, images, _rows_of_images(images, listed, recovered), codes, shards)
    routes = json.loads(recovery_metrics.read_text())["chosen"]
    models = load_models(
        compute,
        device,
        generator=(generator_weights, generator_card),
        heads=(heads_weights, heads_card),
        editor=(editor_weights, editor_card),
        recognizer=(recognizer_weights, recognizer_card),
    )
    reasons = not_testable(
        schema, (fitted.values, fitted.identities), (test.values, test.identities), models.editable
    )
    groups = _groups(without(schema, reasons.get("retained_information", {})), listed, routes, fitted, test)
    rows = [
        row
        for group in groups
        for row in encoded_measures(group.found, group.fitted, group.test, settings, seed)
    ]
    tau = read_threshold(threshold)
    unchanged = reasons.get("decision_effect", {})
    known, decision = _decision(models.pipeline, schema, unchanged, fitted, test, tau, settings, seed)
    rows += [effect_row(schema[one.attribute], one, settings.cross_talk) for one in decision.effects]
    rows += _rows_without_test(schema, test, reasons)
    found = significance_table(recognizer, schema, in_order(schema, rows))
    write_table(found, significance)
    write_table(_contributions(groups, decision, known), contributions)
    counts = {"n_identities": len(set(test.identities)), "n_images": len(test.identities), "split": "test"}
    edited = (known, decision.edited)
    images_of = (test.embeddings, test.identities)
    paths = (group_rates, group_curves, group_figure)
    beside = write_groups(recognizer, (schema, test.values), images_of, edited, tau, settings, seed, paths)
    deviations = _deviations(schema, unchanged, fitted)
    beside |= write_doses(
        recognizer, models.pipeline, schema, edited, deviations, settings, seed, (doses, dose_figure)
    )
    values: dict[str, Any] = without_nan(
        as_metrics(found)
        | decision_metrics(decision, known, tau, settings, seed)
        | beside
        | counts
        | counts_of_known(schema, test.values, test.identities)
        | ({"not_testable": reasons} if reasons else {})
    )
    write_json(values, metrics)
    draw_significance(found, schema, figure)
    draw_edits(decision.edited, known, models.reconstruct, edits)
    return values


def encoded_measures(
    found: list[Recovered], fitted: Split, test: Split, settings: SignificanceSection, seed: int
) -> list[dict[str, Any]]:
    """Rows of retained information and identity share; of the first alone where nobody has two images.

    Args:
        found: forecasts of the images of `test`, one entry an attribute, all of them known.
        fitted: the split `train`, likewise.
        test: the split `test`.
        settings: counts.
        seed: of permutations and intervals.
    """
    permutations = draw_permutations(test.identities, settings.permutations, seed)
    print("significance: retained information", flush=True)
    rows = [
        retained_row(one, retained_information(one, permutations, n_boot=settings.bootstrap, seed=seed))
        for one in found
    ]
    if np.bincount(permutations.codes).max() < 2:
        return rows
    print("significance: identity share", flush=True)
    labels = [target_columns(one.attribute, fitted.values[one.attribute.name]) for one in found]
    reached = permuted_iccs(
        (fitted.embeddings, fitted.identities, labels), (test.embeddings, permutations.codes), seed
    )
    shares = identity_shares(found, permutations, reached, n_boot=settings.bootstrap, seed=seed)
    return rows + [share_row(one, share) for one, share in zip(found, shares, strict=True)]


def _groups(
    schema: AttributeSchema, listed: pd.DataFrame, routes: Mapping[str, str], fitted: Split, test: Split
) -> list[Group]:
    """The attributes in groups that are known on the same images, with these; `listed` is in the order of
    `test`."""
    groups = []
    for some, of_fitted, of_test in known_together(schema, fitted.values, test.values):
        part = fitted.rows(of_fitted)
        found = recovered_attributes(some, listed[of_test], routes, part.values, part.identities)
        groups.append(Group(found, part, test.rows(of_test)))
    return groups


def _frequencies(columns: Floats) -> FloatArray:
    """Of the classes (classes,), from one-hot columns (n, classes), over rows that are known (not NaN)."""
    known = ~np.isnan(columns[:, 0])
    if not known.any():
        return np.full(columns.shape[1], 1 / columns.shape[1])
    frequencies: FloatArray = (columns if known.all() else columns[known]).mean(axis=0).astype(np.float64)
    return frequencies


def _rows_without_test(
    schema: AttributeSchema, test: Split, reasons: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    rows = []
    for measure, names in reasons.items():
        for name, reason in names.items():
            people = test.identities[is_known(schema[name], test.values[name])]
            rows.append(not_testable_row(name, measure, len(people), len(set(people)), reason))
    return rows


def _contributions(groups: list[Group], decision: Decision, known: Originals) -> pd.DataFrame:
    nobody = known.identities[:0]
    tables = [contributions_table(group.found, group.test.identities, [], nobody) for group in groups]
    if decision.effects:
        tables.append(contributions_table([], nobody, decision.effects, known.identities))
    return joined(tables)


def _decision(
    pipeline: Pipeline,
    schema: AttributeSchema,
    unchanged: Mapping[str, str],
    fitted: Split,
    test: Split,
    tau: float,
    settings: SignificanceSection,
    seed: int,
) -> tuple[Originals, Decision]:
    """The images whose attributes are changed, of `test`, and the decision effect; the population is
    `train`. Attributes named by `unchanged` could not be learned: they are neither edited nor looked at."""
    chosen = choose_images(test.identities, settings.images, seed)
    known = originals(pipeline, schema, test.codes[chosen], test.identities[chosen], test.embeddings[chosen])
    encoded, learned = schema.encode(fitted.values), without(schema, unchanged)
    frequencies = {
        a.name: _frequencies(encoded[:, schema.slices[a.name]]) for a in learned if a.kind == "categorical"
    }
    deviations = _deviations(schema, unchanged, fitted)
    labelled = without(learned, left_out(learned, fitted.values, fitted.identities, "train"))
    directions = {}
    for scheme in SCHEMES:
        levels = (scheme, "mixed")
        of_level = [a for a in labelled if a.level in levels] or list(labelled)
        labels = np.concatenate([target_columns(a, fitted.values[a.name]) for a in of_level], axis=1)
        found = placebo_directions(fitted.codes, labels, fitted.identities, scheme, settings.placebos, seed)
        if len(found):
            directions[scheme] = found
    decision = decision_effects(
        pipeline,
        AttributeSchema(tuple(replace(a, editable=a.editable and a.name not in unchanged) for a in schema)),
        known,
        frequencies,
        deviations,
        directions,
        tau,
        n_boot=settings.bootstrap,
        seed=seed,
    )
    return known, decision


def _deviations(schema: AttributeSchema, unchanged: Mapping[str, str], fitted: Split) -> FloatArray:
    """Population standard deviations of the encoded columns, (width,), NaN for what is not looked at."""
    deviations = column_deviations(schema.encode(fitted.values, count=len(fitted.identities)))
    for name in unchanged:
        deviations[schema.slices[name]] = np.nan
    return deviations


def decision_metrics(
    decision: Decision, known: Originals, tau: float, settings: SignificanceSection, seed: int
) -> dict[str, Any]:
    """Net rates of flipped decisions with intervals, the check of the edits, and G's own error.

    Args:
        decision: the decision effects.
        known: the images.
        tau: decision threshold.
        settings: for the number of replicates.
        seed: of the intervals.

    Returns:
        `flips.<attribute>.<direction>` with `flips_interval`; `achieved_dose.<attribute>`,
        `cross_talk.<attribute>`; `reconstruction_distance` (mean of 1 − cos of f(x) and f(G(E(x)))) with
        interval; counts and τ.
    """
    overall = [effect for effect in decision.effects if effect.direction == ""]
    flips: dict[str, dict[str, float]] = {}
    intervals: dict[str, dict[str, list[float]]] = {}
    for effect in overall:
        flips[effect.attribute] = {name: effect.flips[name].rate for name in DIRECTIONS}
        intervals[effect.attribute] = {}
        for name in DIRECTIONS:
            around = effect.flips[name].interval(n_boot=settings.bootstrap, seed=seed)
            if around is not None:
                intervals[effect.attribute][name] = [around.low, around.high]
    gap = identity_mean_interval(
        distances(known.real, known.rebuilt), known.identities, n_boot=settings.bootstrap, seed=seed
    )
    return {
        "flips": flips,
        "flips_interval": intervals,
        "achieved_dose": {effect.attribute: effect.account.achieved for effect in overall},
        "cross_talk": {effect.attribute: effect.account.cross_talk for effect in overall},
        "reconstruction_distance": gap.estimate,
        "reconstruction_distance_interval": [gap.low, gap.high],
        "threshold": tau,
        "edited_images": len(known.codes),
        "edited_identities": len(set(known.identities)),
        "placebos": settings.placebos,
        "placebo_images": len(decision.placebos.rows),
    }


def _split(
    schema: AttributeSchema, images: pd.DataFrame, rows: npt.NDArray[np.int64], codes: Path, shards: Path
) -> Split:
    chosen = images.iloc[rows]
    return Split(
        read_embeddings(shards, chosen),
        read_array(codes, rows),
        chosen["identity"].to_numpy(object),
        schema.known_from_table(chosen).values,
    )


def _rows_of_images(images: pd.DataFrame, listed: pd.DataFrame, path: Path) -> npt.NDArray[np.int64]:
    places: npt.NDArray[np.int64] = (
        pd.Index(images["image_id"]).get_indexer(listed["image_id"]).astype(np.int64)
    )
    if (places < 0).any():
        missing = listed["image_id"][places < 0].iloc[0]
        raise ValueError(f"{path}: image {missing!r} is not in the images table; both must be of one run")
    return places
