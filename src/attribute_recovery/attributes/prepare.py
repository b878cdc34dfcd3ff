"""Where attribute heads come from: trained on the labels of the split `train`, or brought."""

from pathlib import Path
from typing import Any

from attribute_recovery.attributes.bring import bring_heads
from attribute_recovery.attributes.train import train_heads
from attribute_recovery.config import Compute
from attribute_recovery.config_attributes import Heads, HeadsConfig


def prepare_heads(
    settings: HeadsConfig,
    seed: int,
    compute: Compute,
    *,
    images: Path,
    table: Path,
    attributes: Path,
    weights: Path,
    card: Path,
    metrics: Path,
    checkpoint: Path,
    generator_weights: Path | None = None,
    generator_card: Path | None = None,
    report: Path | None = None,
    readings_table: Path | None = None,
    readings_schema: Path | None = None,
    readings: Path | None = None,
) -> dict[str, Any]:
    """Write the heads' weights and card, and how well they read real images; the entry of the rule.

    Args:
        settings: of the heads.
        seed: of their training.
        compute: threads, device, precision of their training.
        images, table, attributes: what the stage dataset wrote.
        weights, card, metrics: written.
        checkpoint: where an interrupted training goes on from; gone afterwards.
        generator_weights, generator_card: G and E, for heads that are trained.
        report: of the data set, for heads that are brought.
        readings_table, readings_schema, readings: written by heads that are brought, see `bring.bring_heads`.

    Returns:
        The metrics, see `train.train_heads` and `bring.bring_heads`.

    Raises:
        ValueError: a file is missing or damaged, two of them do not fit each other, or the heads cannot be
            run.
    """
    files = {"images": images, "table": table, "attributes": attributes}
    files |= {"weights": weights, "card": card, "metrics": metrics}
    if isinstance(settings, Heads):
        assert generator_weights is not None and generator_card is not None
        generator = {"generator_weights": generator_weights, "generator_card": generator_card}
        return train_heads(settings, seed, compute, **files, **generator, checkpoint=checkpoint)
    assert report is not None and readings is not None
    assert readings_table is not None and readings_schema is not None
    return bring_heads(
        settings,
        compute,
        **files,
        report=report,
        readings_table=readings_table,
        readings_schema=readings_schema,
        readings=readings,
    )
