"""Training of the attribute heads on the split `train`, calibrated on `calibration`, measured on `test`."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from attribute_recovery.attributes.calibration import calibrate
from attribute_recovery.attributes.heads import AttributeEstimator, HeadsNetwork, load_heads, split_readout
from attribute_recovery.config import Compute
from attribute_recovery.config_attributes import Heads
from attribute_recovery.dataset.attributes import AttributeSchema, read_schema
from attribute_recovery.dataset.store import read_images, read_table, rows_of
from attribute_recovery.generator.load import load_generator
from attribute_recovery.generator.quality import reconstruct
from attribute_recovery.generator.train import to_tensor
from attribute_recovery.recognizer.train import renew_statistics
from attribute_recovery.statistics.quality import balanced_accuracy, r_squared
from attribute_recovery.training.augmentation import Augmentation, augmented
from attribute_recovery.training.device import frozen, inference_dtype, prepare_torch
from attribute_recovery.training.loop import LoopSettings, train
from attribute_recovery.training.weights import save_weights, write_card

HIDDEN = 256
# Part of the training images that are seen as G reconstructs them, since the heads also read decoded images.
DECODED_SHARE = 0.35
# Nothing that an attribute is read from: neither mirrored nor brighter. In a trial without decoded images it
# gave a median R² of 0.917 on new people of the default world (2,600 steps), noise alone 0.911 (3,000).
AUGMENTATION = Augmentation(shift=1, brightness=0.02, cutout=0.25, degraded=0.6, blur=1.0, noise=0.1)

Values = Mapping[str, npt.NDArray[np.generic]]
Images = npt.NDArray[np.uint8]


def heads_loss(
    schema: AttributeSchema, parts: Mapping[str, Tensor], truth: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Losses of raw read-outs: squared error and normal log loss (for the deviation only), and cross-entropy.

    The deviation is fitted to the mean's error without pulling at the mean, so that hard images are not given
    up (Seitzer et al., ICLR 2022).
    """
    squared, spread, discrete = [], [], []
    for attribute in schema:
        part, target = parts[attribute.name], truth[attribute.name]
        if attribute.is_discrete:
            discrete.append(nn.functional.cross_entropy(part, target))
            continue
        error = (part[:, 0] - target) ** 2
        log_sd = part[:, 1].clamp(-5, 2)
        squared.append(error.mean())
        spread.append((log_sd + 0.5 * error.detach() * torch.exp(-2 * log_sd)).mean())
    zero = next(iter(parts.values())).new_zeros(())
    return {
        "squared": torch.stack(squared).mean() * 4 if squared else zero,
        "spread": torch.stack(spread).mean() * 0.2 if spread else zero,
        "classes": torch.stack(discrete).mean() if discrete else zero,
    }


def standardised(
    schema: AttributeSchema, values: Values, means: Mapping[str, float], scales: Mapping[str, float]
) -> Values:
    """Continuous values less their mean over their scale (float32), classes as they are (int64)."""
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
    network: HeadsNetwork,
    settings: Heads,
    loop: LoopSettings,
    *,
    checkpoint: Path | None = None,
) -> None:
    """Train `network` in place on images (n, size, size, 3), real and as reconstructed, against `truth`.

    Truth is standardised, see `standardised`.
    """
    targets = {name: torch.from_numpy(np.asarray(column)) for name, column in truth.items()}

    def losses(module: nn.Module, step: int) -> dict[str, Tensor]:
        device = next(module.parameters()).device
        rng = np.random.default_rng([loop.seed, step])
        rows = np.sort(rng.choice(len(real), settings.batch_size, replace=len(real) < settings.batch_size))
        seen = np.where(
            (rng.random(len(rows)) < DECODED_SHARE)[:, None, None, None], decoded[rows], real[rows]
        )
        pixels = torch.from_numpy(augmented(seen, AUGMENTATION, rng)).permute(0, 3, 1, 2)
        image = pixels.to(device, memory_format=torch.channels_last)
        parts = split_readout(schema, module(image))
        wanted = {name: column[rows].to(device) for name, column in targets.items()}
        with torch.autocast(device.type, enabled=False):
            return heads_loss(schema, parts, wanted)

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

    Raises:
        ValueError: a file is missing or damaged, two of them do not fit each other, or there is no attribute.
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
    values = schema.from_table(rows.iloc[fitted])
    means, scales = _moments(schema, values)
    torch.manual_seed(seed)
    network = HeadsNetwork(schema, generator.image_size, settings.channels, HIDDEN)
    loop = _loop_settings(settings, seed, compute, device)
    real = read_images(images, fitted)
    decoded = reconstruct(generator, generator.encode_images(real))
    truth = standardised(schema, values, means, scales)
    fit_heads(schema, real, decoded, truth, network, settings, loop, checkpoint=checkpoint)
    save_weights(network, weights)
    unscaled = dict.fromkeys(schema.names, 1.0)
    raw = AttributeEstimator(
        schema, frozen(network, device), means, scales, unscaled, device, inference_dtype(compute)
    )
    write_card(
        card,
        {
            "attributes": [asdict(attribute) for attribute in schema],
            "image_size": generator.image_size,
            "channels": list(settings.channels),
            "hidden": HIDDEN,
            "means": means,
            "scales": scales,
            "calibration": _calibration(raw, images, rows),
        },
    )
    checkpoint.unlink(missing_ok=True)
    found = _measured(load_heads(weights, card, device, inference_dtype(compute)), images, rows)
    write_card(metrics, found)
    return found


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


def _calibration(raw: AttributeEstimator, images: Path, rows: pd.DataFrame) -> dict[str, float]:
    held = rows_of(rows, "calibration")
    truth = standardised(raw.schema, raw.schema.from_table(rows.iloc[held]), raw.means, raw.scales)
    return calibrate(raw.schema, _raw_parts(raw, read_images(images, held)), truth)


def _measured(estimator: AttributeEstimator, images: Path, rows: pd.DataFrame) -> dict[str, Any]:
    test = rows_of(rows, "test")
    found = measure_heads(estimator, read_images(images, test), estimator.schema.from_table(rows.iloc[test]))
    found.update(n_images=len(test), n_identities=int(rows.loc[test, "identity"].nunique()), split="test")
    return found


def _moments(schema: AttributeSchema, values: Values) -> tuple[dict[str, float], dict[str, float]]:
    """Means and standard deviations of the continuous attributes, by name."""
    columns = {a.name: np.asarray(values[a.name], np.float64) for a in schema.continuous}
    means = {name: float(column.mean()) for name, column in columns.items()}
    return means, {name: float(column.std()) for name, column in columns.items()}


def _raw_parts(estimator: AttributeEstimator, images: Images) -> dict[str, Tensor]:
    with torch.no_grad():
        parts = [estimator.readout(to_tensor(images[i : i + 128])) for i in range(0, len(images), 128)]
    return {name: torch.cat([part[name] for part in parts]) for name in estimator.schema.names}


def measure_heads(estimator: AttributeEstimator, images: Images, truth: Values) -> dict[str, Any]:
    """R² of continuous and balanced accuracy of discrete attributes, on images (n, size, size, 3)."""
    parts = [estimator.estimate(to_tensor(images[i : i + 512])) for i in range(0, len(images), 512)]
    r2, accuracy = {}, {}
    for attribute in estimator.schema:
        name, true = attribute.name, np.asarray(truth[attribute.name])
        if attribute.is_discrete:
            found = np.concatenate([part.probabilities[name] for part in parts]).argmax(1)
            accuracy[name] = float(balanced_accuracy(found, true))
        else:
            r2[name] = float(r_squared(np.concatenate([part.mean[name] for part in parts]), true))
    medians: dict[str, Any] = {}
    if r2:
        medians["median_r2"] = float(np.median(list(r2.values())))
    if accuracy:
        medians["median_balanced_accuracy"] = float(np.median(list(accuracy.values())))
    return medians | {"r2": r2, "balanced_accuracy": accuracy}
