"""What a blinded recognizer is found to weigh and to hold, by the product's own functions."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from attribute_recovery.config import RecoverySection
from attribute_recovery.config_significance import SignificanceSection
from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.decoder.pairs import embed_codes
from attribute_recovery.generator.load import load_generator
from attribute_recovery.recognizer.load import Recognizer
from attribute_recovery.recovery.forecast import DiscreteMarginal, Marginal, marginals
from attribute_recovery.recovery.probe import Labelled, probe
from attribute_recovery.recovery.routes import routes
from attribute_recovery.significance.analyse import Split
from attribute_recovery.significance.crosstalk import column_deviations
from attribute_recovery.significance.decision import Decision, decision_effects
from attribute_recovery.significance.effect import Pipeline, choose_images, originals
from attribute_recovery.significance.forecasts import Recovered, target_columns
from attribute_recovery.significance.models import load_models
from attribute_recovery.significance.permuted import schemes_of
from attribute_recovery.significance.placebo import placebo_directions
from attribute_recovery.statistics.inputs import FloatArray
from attribute_recovery.statistics.permutation import Scheme
from attribute_recovery.training.device import inference_dtype
from benchmarks.validation.finished_run import Files, FinishedRun

Floats = npt.NDArray[np.float32]


def pipeline_with(
    run: FinishedRun, f: Recognizer, device: torch.device, *, heads: Files, editor: Files
) -> Pipeline:
    """What an edit passes through, with another recognizer than the run's.

    Args:
        run: for G.
        f: in the recognizer's place.
        device: where all of it runs.
        heads, editor: weights and card of each.

    Raises:
        ValueError: a file is missing or damaged, or weights and card do not fit each other.
    """
    models = load_models(
        run.compute, device, generator=run.generator, heads=heads, editor=editor, recognizer=run.f
    )
    generator = load_generator(*run.generator, device, inference_dtype(run.compute))
    return replace(models.pipeline, embed=lambda codes: embed_codes(generator, f, codes))


def decided(
    pipeline: Pipeline,
    schema: AttributeSchema,
    names: Sequence[str],
    fitted: Split,
    test: Split,
    settings: SignificanceSection,
    seed: int,
) -> Decision:
    """The decision effect of some attributes as the stage significance measures it, with the placebos that
    their levels ask for.

    Flips of decisions are not looked at, so the threshold is any.

    Args:
        pipeline: edits, decodes, embeds and reads.
        schema: all attributes.
        names: those that are edited.
        fitted: the population, which placebos are made of.
        test: whose images are edited.
        settings: counts of placebos, images and replicates.
        seed: of the choice of images and of the placebos.
    """
    chosen = choose_images(test.identities, settings.images, seed)
    known = originals(pipeline, schema, test.codes[chosen], test.identities[chosen], test.embeddings[chosen])
    encoded = schema.encode(fitted.values)
    frequencies: dict[str, FloatArray] = {
        a.name: encoded[:, schema.slices[a.name]].mean(axis=0).astype(np.float64)
        for a in schema
        if a.kind == "categorical"
    }
    directions: dict[Scheme, Floats] = {}
    for scheme in sorted({scheme for name in names for scheme in schemes_of(schema[name].level)}):
        of_level = [a for a in schema if a.level in (scheme, "mixed")]
        labels = np.concatenate([target_columns(a, fitted.values[a.name]) for a in of_level], axis=1)
        directions[scheme] = placebo_directions(
            fitted.codes, labels, fitted.identities, scheme, settings.placebos, seed
        )
    only = AttributeSchema(tuple(replace(a, editable=a.name in names) for a in schema))
    # It tells of each edit that it has done.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        return decision_effects(
            pipeline,
            only,
            known,
            frequencies,
            column_deviations(encoded),
            directions,
            0.5,
            n_boot=settings.bootstrap,
            seed=seed,
        )


def probed(
    schema: AttributeSchema,
    fitted: Labelled,
    calibration: Labelled,
    test: Labelled,
    settings: RecoverySection,
    seed: int,
) -> list[Recovered]:
    """What the product's probe reads in the embeddings of `test`, calibrated on `calibration`, one entry an
    attribute; nothing is decoded, so the probe is the only route.

    Args:
        schema: the attributes.
        fitted: people that the probes learn from.
        calibration: people that calibrate them, and choose between the linear one and the network.
        test: n images of others.
        settings: of the network.
        seed: of its training.
    """
    readings = probe(schema, fitted, calibration, test.embeddings, settings, seed, "cpu")
    reference = marginals(schema, fitted.values, fitted.identities)
    held = np.arange(len(calibration.embeddings) + len(test.embeddings)) < len(calibration.embeddings)
    nothing = {name: _nothing(marginal, len(held)) for name, marginal in reference.items()}
    found = []
    for attribute in schema:
        values = [np.asarray(part.values[attribute.name]) for part in (calibration, test)]
        marginal = reference[attribute.name]
        both = routes(attribute, nothing, readings, np.concatenate(values), held, marginal)
        found.append(Recovered(attribute, "probe", both.probe.part(~held), values[1], marginal))
    return found


def _nothing(marginal: Marginal, count: int) -> FloatArray:
    """What heads would read in one decoded sample of each image that tells nothing: the marginal."""
    if isinstance(marginal, DiscreteMarginal):
        return np.tile(marginal.probabilities, (count, 1, 1))
    return np.full((count, 1, 1), marginal.mean)
