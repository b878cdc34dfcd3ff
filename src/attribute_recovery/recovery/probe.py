"""The direct probe of z: what can be read from an embedding without decoding it.

Two probes, a linear one (ridge and logistic regression) and a small network with a linear path beside it, are
fitted to embeddings of the split `train`, people that f was not trained on. With fewer than 100 of them the
split `calibration` is taken in by cross-fitting: five folds of people, every image of `calibration` read by
the probe that has not seen its person, images of `test` by the mean of the five. Labels of `test` are never
used. Each attribute is learned on the images where it is known.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from torch import Tensor, nn

from attribute_recovery.attributes.heads import Estimates
from attribute_recovery.attributes.networks import readout_width, split_readout
from attribute_recovery.attributes.train import heads_loss, standardised
from attribute_recovery.config import RecoverySection
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.dataset.known import columns_by_pattern, is_known, moments, partly_known
from attribute_recovery.embeddings.whitening import Whitened, shape_of
from attribute_recovery.statistics.inputs import BoolArray
from attribute_recovery.statistics.linear import (
    choose_logistic_penalty,
    choose_ridge_penalties,
    fit_logistic,
    fit_ridge,
    fit_standardiser,
    folds_of_people,
    held_out_people,
)
from attribute_recovery.training.loop import LoopSettings, train

FEW_PEOPLE = 100
FOLDS = 5
BATCH = 256
DROPOUT = 0.2
# Of the embeddings' own deviation.
INPUT_NOISE = 0.35

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Values = Mapping[str, npt.NDArray[np.generic]]
Names = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Labelled:
    """Embeddings (n, d) with identities (n,) and true attributes, (n,) each, class numbers for discrete
    ones; NaN and −1 where a value is missing."""

    embeddings: Floats
    identities: Names
    values: Values

    def rows(self, chosen: npt.NDArray[np.generic]) -> "Labelled":
        """The rows that a mask or indices choose."""
        values = {name: np.asarray(column)[chosen] for name, column in self.values.items()}
        return Labelled(self.embeddings[chosen], self.identities[chosen], values)


@dataclass(frozen=True)
class ProbeReadings:
    """What both probes read in the same images."""

    linear: Estimates
    mlp: Estimates


class ProbeNetwork(nn.Module):
    """Embeddings (n, d) to raw read-outs (n, width), see `attributes.networks.split_readout`.

    They are disturbed in training, in proportion to how widely they spread in each direction.
    """

    spread: Tensor

    def __init__(self, size: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.told = Whitened(size)
        self.register_buffer("spread", torch.zeros(size, size))
        inputs = 2 * size
        self.straight = nn.Linear(inputs, outputs)
        self.bent = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.SiLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(hidden, outputs),
        )

    def fit(self, embeddings: Tensor) -> None:
        """Learn how embeddings (n, d) spread."""
        self.told.fit(embeddings)
        total = embeddings.var(0, unbiased=False).sum().sqrt()
        self.spread.copy_(total * shape_of(embeddings))

    def forward(self, z: Tensor) -> Tensor:
        """Raw read-outs (n, width)."""
        if self.training:
            z = z + INPUT_NOISE * torch.randn_like(z) @ self.spread
        told = self.told(z)
        out: Tensor = self.straight(told) + self.bent(told)
        return out


def probe(
    schema: AttributeSchema,
    fitted: Labelled,
    calibration: Labelled,
    test: Floats,
    settings: RecoverySection,
    seed: int,
    device: str,
) -> ProbeReadings:
    """What both probes read in the embeddings of `calibration` and then of `test`, n + m rows.

    Args:
        schema: the attributes.
        fitted: the split `train`.
        calibration: n images of `calibration`; learned from, by cross-fitting, only where `fitted` has few
            people.
        test: embeddings (m, d), without labels.
        settings: of the network.
        seed: of initial weights, batches, folds.
        device: where the network is trained, "cpu" or "cuda".

    Raises:
        ValueError: `fitted` and `calibration` together have fewer people than folds.
    """
    together = np.concatenate([calibration.embeddings, test])
    if len(np.unique(fitted.identities)) >= FEW_PEOPLE:
        return fit_and_read(schema, fitted, together, settings, seed, device)
    everybody = _joined(fitted, calibration)
    folds = folds_of_people(everybody.identities, FOLDS, seed)
    of_calibration = folds[len(fitted.embeddings) :]
    found = [
        fit_and_read(schema, everybody.rows(folds != fold), together, settings, seed + fold, device)
        for fold in range(FOLDS)
    ]
    return ProbeReadings(
        _cross_fitted([one.linear for one in found], of_calibration),
        _cross_fitted([one.mlp for one in found], of_calibration),
    )


def fit_and_read(
    schema: AttributeSchema, fitted: Labelled, read: Floats, settings: RecoverySection, seed: int, device: str
) -> ProbeReadings:
    """Both probes fitted to labelled embeddings, and what they read in others (m, d)."""
    return ProbeReadings(
        linear=_linear(schema, fitted, read, seed), mlp=_network(schema, fitted, read, settings, seed, device)
    )


def _linear(schema: AttributeSchema, fitted: Labelled, read: Floats, seed: int) -> Estimates:
    to_standard = fit_standardiser(fitted.embeddings)
    x, new = to_standard(fitted.embeddings), to_standard(read)
    held = held_out_people(fitted.identities, seed)
    mean: dict[str, Floats] = {}
    sd: dict[str, Floats] = {}
    probabilities: dict[str, Floats] = {}
    for together, known in _known_together(schema.continuous, fitted.values):
        if not known.any():
            prior = {a.name: moments(a, fitted.values[a.name]) for a in together}
            mean |= {name: np.full(len(new), centre, np.float32) for name, (centre, _) in prior.items()}
            sd |= {name: np.full(len(new), spread, np.float32) for name, (_, spread) in prior.items()}
            continue
        names = [attribute.name for attribute in together]
        y = np.stack([np.asarray(fitted.values[name], dtype=np.float64)[known] for name in names], axis=1)
        penalties = choose_ridge_penalties(x[known], y, held[known])
        readout = fit_ridge(x[known], y, penalties)
        left = np.maximum(_left_over(x[known], y, held[known], penalties), 1e-6)
        mean |= dict(zip(names, readout(new).T.astype(np.float32), strict=True))
        sd |= {name: np.full(len(new), value, np.float32) for name, value in zip(names, left, strict=True)}
    for attribute in schema.discrete:
        labels = np.asarray(fitted.values[attribute.name], dtype=np.int64)
        known = is_known(attribute, labels)
        k = attribute.n_classes
        if not known.any():
            probabilities[attribute.name] = np.full((len(new), k), 1 / k, np.float32)
            continue
        penalty = choose_logistic_penalty(x[known], labels[known], k, held[known])
        logits = fit_logistic(x[known], labels[known], k, penalty)(new)
        probabilities[attribute.name] = softmax(logits, axis=1).astype(np.float32)
    return Estimates(mean, sd, probabilities)


def _left_over(x: Doubles, y: Doubles, held: BoolArray, penalties: Doubles) -> Doubles:
    """Deviation (k,) of targets (n, k) from what is read in people whom the read-out was not fitted to: in
    its own people, of whom there are few for so many inputs, it leaves far less."""
    if held.all() or not held.any():
        return np.asarray(np.std(y - fit_ridge(x, y, penalties)(x), axis=0))
    left = y[held] - fit_ridge(x[~held], y[~held], penalties)(x[held])
    return np.asarray(np.sqrt(np.mean(left**2, axis=0)))


def _known_together(
    attributes: Sequence[Attribute], values: Values
) -> Iterator[tuple[list[Attribute], BoolArray]]:
    """Attributes that are known in the same images, with these, (n,): one regression serves them all."""
    if not attributes:
        return
    known = np.stack([is_known(attribute, values[attribute.name]) for attribute in attributes], axis=1)
    for columns, rows in columns_by_pattern(known):
        yield [attributes[column] for column in columns], rows


def _network(
    schema: AttributeSchema, fitted: Labelled, read: Floats, settings: RecoverySection, seed: int, device: str
) -> Estimates:
    x = torch.from_numpy(np.asarray(fitted.embeddings, dtype=np.float32))
    means, scales = _scales(schema, fitted.values)
    truth = standardised(schema, fitted.values, means, scales)
    targets = {name: torch.from_numpy(np.asarray(column)) for name, column in truth.items()}
    partial = partly_known(schema, fitted.values)
    torch.manual_seed(seed)
    network = ProbeNetwork(x.shape[1], settings.probe_hidden, readout_width(schema))
    network.fit(x)

    def losses(module: nn.Module, step: int) -> dict[str, Tensor]:
        place = next(module.parameters()).device
        rows = torch.from_numpy(np.random.default_rng([seed, 23, step]).integers(len(x), size=BATCH))
        parts = split_readout(schema, module(x[rows].to(place)))
        wanted = {name: column[rows].to(place) for name, column in targets.items()}
        return heads_loss(schema, parts, wanted, partial)

    loop = LoopSettings(
        steps=settings.probe_steps,
        learning_rate=2e-3,
        warmup_steps=min(50, settings.probe_steps // 10 + 1),
        weight_decay=0.05,
        average=0.99,
        precision="float32",
        device=device,
        seed=seed,
    )
    train(network, losses, loop, label="probe")
    with torch.no_grad():
        new = torch.from_numpy(np.asarray(read, dtype=np.float32))
        parts = split_readout(schema, network(new.to(next(network.parameters()).device)).cpu())
    return _from_readout(schema, parts, means, scales)


def _from_readout(
    schema: AttributeSchema,
    parts: Mapping[str, Tensor],
    means: Mapping[str, float],
    scales: Mapping[str, float],
) -> Estimates:
    mean = {a.name: (parts[a.name][:, 0] * scales[a.name] + means[a.name]).numpy() for a in schema.continuous}
    sd = {
        a.name: (parts[a.name][:, 1].clamp(-5, 2).exp() * scales[a.name]).numpy() for a in schema.continuous
    }
    return Estimates(mean, sd, {a.name: parts[a.name].softmax(dim=1).numpy() for a in schema.discrete})


def _scales(schema: AttributeSchema, values: Values) -> tuple[dict[str, float], dict[str, float]]:
    found = {a.name: moments(a, values[a.name]) for a in schema.continuous}
    return {name: mean for name, (mean, _) in found.items()}, {n: scale for n, (_, scale) in found.items()}


def _joined(first: Labelled, second: Labelled) -> Labelled:
    values = {name: np.concatenate([column, second.values[name]]) for name, column in first.values.items()}
    return Labelled(
        np.concatenate([first.embeddings, second.embeddings]),
        np.concatenate([first.identities, second.identities]),
        values,
    )


def _cross_fitted(found: Sequence[Estimates], folds: npt.NDArray[np.int64]) -> Estimates:
    """Row i from the estimates of fold folds[i]; rows beyond those from the mean of all, deviations as mean
    squares."""

    def merged(columns: Sequence[Floats], power: int = 1) -> Floats:
        stacked = np.stack(columns).astype(np.float64)  # (folds, n + m, ...)
        own = stacked[folds, np.arange(len(folds))]
        rest = np.mean(stacked[:, len(folds) :] ** power, axis=0) ** (1 / power)
        return np.concatenate([own, rest]).astype(np.float32)

    first = found[0]
    return Estimates(
        {name: merged([one.mean[name] for one in found]) for name in first.mean},
        {name: merged([one.sd[name] for one in found], power=2) for name in first.sd},
        {name: merged([one.probabilities[name] for one in found]) for name in first.probabilities},
    )
