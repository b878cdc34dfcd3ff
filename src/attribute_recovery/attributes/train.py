"""Training of the attribute heads on the split `train`, calibrated on `calibration`, measured on `test`."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from attribute_recovery.attributes.calibration import calibrate
from attribute_recovery.attributes.heads import AttributeEstimator, load_heads
from attribute_recovery.attributes.networks import (
    EncoderHeads,
    EncoderTrunk,
    HeadsNetwork,
    TrainedHeads,
    split_readout,
)
from attribute_recovery.config import Compute
from attribute_recovery.config_attributes import Heads
from attribute_recovery.dataset.attributes import AttributeSchema, read_schema
from attribute_recovery.dataset.known import counts_of_known, is_known, left_out, moments, partly_known
from attribute_recovery.dataset.store import read_images, read_table, rows_of
from attribute_recovery.generator.load import LoadedGenerator, load_generator
from attribute_recovery.generator.networks import Encoder
from attribute_recovery.generator.quality import reconstruct
from attribute_recovery.generator.train import to_tensor
from attribute_recovery.recognizer.train import renew_statistics
from attribute_recovery.statistics.quality import balanced_accuracy, r_squared
from attribute_recovery.training.augmentation import Augmentation, augmented, for_few_images
from attribute_recovery.training.device import frozen, inference_dtype, prepare_torch
from attribute_recovery.training.loop import LoopSettings, train
from attribute_recovery.training.weights import save_weights, write_card

HIDDEN = 256
# Part of the training images that are seen as G reconstructs them, since the heads also read decoded images.
DECODED_SHARE = 0.5
# What a trunk of its own sees changed. Nothing that an attribute is read from: neither mirrored nor brighter.
# In a trial without decoded images it gave a median R² of 0.917 on new people of the default world (2,600
# steps), noise alone 0.911 (3,000). A trunk that starts from E needs none of it: 300 steps with it left eyes'
# size at an R² of 0.862, without at 0.973.
AUGMENTATION = Augmentation(shift=1, brightness=0.02, cutout=0.25, degraded=0.6, blur=1.0, noise=0.1)

Values = Mapping[str, npt.NDArray[np.generic]]
Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def heads_loss(
    schema: AttributeSchema,
    parts: Mapping[str, Tensor],
    truth: Mapping[str, Tensor],
    partial: Collection[str] = (),
) -> dict[str, Tensor]:
    """Losses of raw read-outs: squared error and normal log loss (for the deviation only), and cross-entropy.

    The deviation is fitted to the mean's error without pulling at the mean, so that hard images are not given
    up (Seitzer et al., ICLR 2022).

    Args:
        schema: the attributes.
        parts: raw read-outs of n images by attribute, see `networks.split_readout`.
        truth: standardised values of continuous attributes, class numbers of discrete ones, (n,) each.
        partial: attributes whose truth may be missing (NaN, −1): their losses are means over the images where
            it is known, and 0 where it is on none.
    """
    squared, spread, discrete = [], [], []
    for attribute in schema:
        part, target = parts[attribute.name], truth[attribute.name]
        masked = attribute.name in partial
        if attribute.is_discrete:
            discrete.append(_known_cross_entropy(part, target) if masked else _cross_entropy(part, target))
            continue
        known = ~target.isnan() if masked else None
        error = (part[:, 0] - (target.nan_to_num() if masked else target)) ** 2
        log_sd = part[:, 1].clamp(-5, 2)
        squared.append(_mean(error, known))
        spread.append(_mean(log_sd + 0.5 * error.detach() * torch.exp(-2 * log_sd), known))
    zero = next(iter(parts.values())).new_zeros(())
    return {
        "squared": torch.stack(squared).mean() * 4 if squared else zero,
        "spread": torch.stack(spread).mean() * 0.2 if spread else zero,
        "classes": torch.stack(discrete).mean() if discrete else zero,
    }


def _mean(losses: Tensor, known: Tensor | None) -> Tensor:
    """Mean of losses (n,), over those that are marked where some are."""
    return losses.mean() if known is None else (losses * known).sum() / known.sum().clamp_min(1)


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits, labels)


def _known_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    losses = nn.functional.cross_entropy(logits, labels, ignore_index=-1, reduction="none")
    return _mean(losses, labels >= 0)


def standardised(
    schema: AttributeSchema, values: Values, means: Mapping[str, float], scales: Mapping[str, float]
) -> Values:
    """Continuous values less their mean over their scale (float32), classes as they are (int64).

    What is missing stays so, NaN and −1.
    """
    result: dict[str, npt.NDArray[np.generic]] = {}
    for attribute in schema:
        column = np.asarray(values[attribute.name])
        if attribute.is_discrete:
            result[attribute.name] = column.astype(np.int64)
        else:
            mean, scale = means[attribute.name], scales[attribute.name]
            result[attribute.name] = ((column.astype(np.float64) - mean) / scale).astype(np.float32)
    return result


def fit_heads(
    schema: AttributeSchema,
    real: Images,
    decoded: Images,
    truth: Values,
    network: TrainedHeads,
    settings: Heads,
    loop: LoopSettings,
    *,
    checkpoint: Path | None = None,
) -> None:
    """Train `network` in place on images (n, size, size, 3), real and as reconstructed, against `truth`.

    Truth is standardised, see `standardised`; of images where an attribute is not known nothing is learned of
    it.
    """
    targets = {name: torch.from_numpy(np.asarray(column)) for name, column in truth.items()}
    partial = partly_known(schema, truth)
    besides = AUGMENTATION if isinstance(network, HeadsNetwork) else None
    changes = for_few_images(settings.augmentation, besides)

    def losses(module: nn.Module, step: int) -> dict[str, Tensor]:
        device = next(module.parameters()).device
        rng = np.random.default_rng([loop.seed, step])
        rows = np.sort(rng.choice(len(real), settings.batch_size, replace=len(real) < settings.batch_size))
        seen = np.where(
            (rng.random(len(rows)) < DECODED_SHARE)[:, None, None, None], decoded[rows], real[rows]
        )
        pixels = torch.from_numpy(augmented(seen, changes, rng)).permute(0, 3, 1, 2)
        image = pixels.to(device, memory_format=torch.channels_last)
        parts = split_readout(schema, module(image))
        wanted = {name: column[rows].to(device) for name, column in targets.items()}
        with torch.autocast(device.type, enabled=False):
            return heads_loss(schema, parts, wanted, partial)

    train(network, losses, loop, label="attribute heads", checkpoint=checkpoint)
    renew_statistics(network, real, settings.batch_size, loop.seed)


def train_heads(
    settings: Heads,
    seed: int,
    compute: Compute,
    *,
    images: Path,
    table: Path,
    attributes: Path,
    generator_weights: Path,
    generator_card: Path,
    weights: Path,
    card: Path,
    metrics: Path,
    checkpoint: Path,
) -> dict[str, Any]:
    """Write the heads' weights and card, and how well they read real images of the split `test`.

    Each attribute is learned, calibrated and measured on the images where it is known. One of which a split
    says too little (`dataset.known.too_little`) is named with the reason: `not_learned` from `train`,
    `not_calibrated` on `calibration`, `not_measured` on `test`.

    Raises:
        ValueError: a file is missing or damaged, two of them do not fit each other, or no attribute can be
            learned.
    """
    device = prepare_torch(compute)
    schema, rows = read_schema(attributes), read_table(table)
    if not len(schema):
        raise ValueError(
            f"{attributes}: found no attribute, since every declared one has a single value or none at all "
            "(dataset/report.json names them); allowed are labels that differ, or dataset.attributes: {} for "
            "a run without any"
        )
    generator = load_generator(generator_weights, generator_card, device, inference_dtype(compute))
    fitted = rows_of(rows, "train")
    values = schema.known_from_table(rows.iloc[fitted]).values
    not_learned = _refuse_nothing_learned(schema, values, rows.iloc[fitted])
    means, scales = _moments(schema, values)
    loop = _loop_settings(settings, seed, compute, device)
    real = read_images(images, fitted)
    codes = generator.encode_images(real)
    decoded = reconstruct(generator, codes)
    truth = standardised(schema, values, means, scales)
    torch.manual_seed(seed)
    network, trunk = _network(schema, generator, settings, codes, truth, generator_card)
    fit_heads(schema, real, decoded, truth, network, settings, loop, checkpoint=checkpoint)
    save_weights(network, weights)
    unscaled = dict.fromkeys(schema.names, 1.0)
    raw = AttributeEstimator(
        schema, frozen(network, device), means, scales, unscaled, device, inference_dtype(compute)
    )
    factors, not_calibrated = _calibration(raw, images, rows)
    write_card(
        card,
        {
            "attributes": [asdict(attribute) for attribute in schema],
            "image_size": generator.image_size,
            "trunk": trunk,
            "hidden": HIDDEN,
            "means": means,
            "scales": scales,
            "calibration": factors,
        },
    )
    checkpoint.unlink(missing_ok=True)
    estimator = load_heads(weights, card, device, inference_dtype(compute))
    found = _measured(estimator, images, rows, not_learned)
    found |= {
        key: reasons
        for key, reasons in (("not_learned", not_learned), ("not_calibrated", not_calibrated))
        if reasons
    }
    write_card(metrics, found)
    return found


def _network(
    schema: AttributeSchema,
    generator: LoadedGenerator,
    settings: Heads,
    codes: Floats,
    truth: Values,
    path: Path,
) -> tuple[TrainedHeads, dict[str, Any]]:
    """The network before training, and what its card says of the trunk.

    Raises:
        ValueError: the trunk is to be E's, and E has none; `path` is the generator's card, for the error.
    """
    if settings.trunk != "encoder":
        trunk: dict[str, Any] = {"channels": list(settings.trunk)}
        return HeadsNetwork(schema, generator.image_size, settings.trunk, HIDDEN), trunk
    encoder = generator.networks.encoder
    if not isinstance(encoder, Encoder):
        raise ValueError(
            f"{path}: attributes.heads.trunk is 'encoder', and this generator's encoder has no convolutional "
            "trunk; allowed are channels of a trunk of its own, such as [16, 32, 56, 80]"
        )
    sizes = EncoderTrunk(encoder.channels, encoder.blocks, generator.code_size)
    network = EncoderHeads(schema, generator.image_size, sizes, HIDDEN)
    network.start(encoder, codes, truth)
    return network, {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(sizes).items()}


def _loop_settings(settings: Heads, seed: int, compute: Compute, device: torch.device) -> LoopSettings:
    return LoopSettings(
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        warmup_steps=min(100, settings.steps // 10 + 1),
        average=0.995,
        precision=compute.precision,
        device=device.type,
        seed=seed,
    )


def _refuse_nothing_learned(schema: AttributeSchema, values: Values, rows: pd.DataFrame) -> dict[str, str]:
    """The attributes of which nothing can be learned, with the reasons.

    Raises:
        ValueError: these are all.
    """
    reasons = left_out(schema, values, rows["identity"], "train")
    if len(reasons) == len(schema):
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise ValueError(
            f"attributes: found none that heads can learn ({told or 'none is declared'}), at least one is "
            "needed"
        )
    return reasons


def _calibration(
    raw: AttributeEstimator, images: Path, rows: pd.DataFrame
) -> tuple[dict[str, float], dict[str, str]]:
    """Factors by attribute, 1 for one of which too little is known, and the reasons of these."""
    held = rows_of(rows, "calibration")
    values = raw.schema.known_from_table(rows.iloc[held]).values
    reasons = left_out(raw.schema, values, rows["identity"].iloc[held], "calibration")
    truth = standardised(raw.schema, values, raw.means, raw.scales)
    parts = _raw_parts(raw, read_images(images, held))
    return calibrate(raw.schema, parts, truth, reasons), reasons


def _measured(
    estimator: AttributeEstimator, images: Path, rows: pd.DataFrame, not_learned: Mapping[str, str]
) -> dict[str, Any]:
    test = rows_of(rows, "test")
    values, people = estimator.schema.known_from_table(rows.iloc[test]).values, rows["identity"].iloc[test]
    reasons = left_out(estimator.schema, values, people, "test")
    found = measure_heads(estimator, read_images(images, test), values, {*reasons, *not_learned})
    found.update(n_images=len(test), n_identities=int(people.nunique()), split="test")
    found |= counts_of_known(estimator.schema, values, people)
    return found | ({"not_measured": reasons} if reasons else {})


def _moments(schema: AttributeSchema, values: Values) -> tuple[dict[str, float], dict[str, float]]:
    """Means and standard deviations of the continuous attributes, by name."""
    found = {a.name: moments(a, values[a.name]) for a in schema.continuous}
    return {name: mean for name, (mean, _) in found.items()}, {
        name: scale for name, (_, scale) in found.items()
    }


def _raw_parts(estimator: AttributeEstimator, images: Images) -> dict[str, Tensor]:
    with torch.no_grad():
        parts = [estimator.readout(to_tensor(images[i : i + 128])) for i in range(0, len(images), 128)]
    return {name: torch.cat([part[name] for part in parts]) for name in estimator.schema.names}


def measure_heads(
    estimator: AttributeEstimator, images: Images, truth: Values, excluded: Collection[str] = ()
) -> dict[str, Any]:
    """R² of continuous and balanced accuracy of discrete attributes.

    Args:
        estimator: the heads.
        images: (n, size, size, 3).
        truth: by attribute, (n,) each; images without a value (NaN, −1) do not count.
        excluded: attributes that are not measured.
    """
    parts = [estimator.estimate(to_tensor(images[i : i + 512])) for i in range(0, len(images), 512)]
    r2, accuracy = {}, {}
    for attribute in estimator.schema:
        name, true = attribute.name, np.asarray(truth[attribute.name])
        if name in excluded:
            continue
        known = is_known(attribute, true)
        if attribute.is_discrete:
            found = np.concatenate([part.probabilities[name] for part in parts]).argmax(1)
            accuracy[name] = float(balanced_accuracy(found[known], true[known]))
        else:
            mean = np.concatenate([part.mean[name] for part in parts])
            r2[name] = float(r_squared(mean[known], true[known]))
    medians: dict[str, Any] = {}
    if r2:
        medians["median_r2"] = float(np.median(list(r2.values())))
    if accuracy:
        medians["median_balanced_accuracy"] = float(np.median(list(accuracy.values())))
    return medians | {"r2": r2, "balanced_accuracy": accuracy}
