"""Attribute heads: p(a given x) for every declared attribute, from one convolutional trunk.

A continuous attribute gets a normal distribution (mean and standard deviation), a discrete one class
probabilities.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attribute_recovery.attributes.brought import BroughtHeads, is_brought, open_outputs
from attribute_recovery.attributes.card import checked_card
from attribute_recovery.attributes.networks import TrainedHeads, heads_of, split_readout
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.recognizer.template import Template
from attribute_recovery.training.device import chunks, frozen
from attribute_recovery.training.weights import load_into, read_card

CARD_KEYS = {"attributes", "image_size", "trunk", "hidden", "means", "scales", "calibration"}
BROUGHT_KEYS = {"brought", "attributes", "image_size", "template", "means", "scales", "calibration"}

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Estimates:
    """p(a given x) of n images.

    Attributes:
        mean, sd: of the continuous attributes, (n,) each, in their units.
        probabilities: of the discrete attributes' classes, (n, classes) each.
    """

    mean: dict[str, Floats]
    sd: dict[str, Floats]
    probabilities: dict[str, Floats]

    def values(self) -> dict[str, npt.NDArray[np.generic]]:
        """The mean of each continuous, the likeliest class number of each discrete attribute, (n,) each."""
        result: dict[str, npt.NDArray[np.generic]] = dict(self.mean)
        result.update({name: p.argmax(1) for name, p in self.probabilities.items()})
        return result


@dataclass(frozen=True)
class AttributeEstimator:
    """Calibrated heads.

    Attributes:
        schema: the attributes.
        network: gives raw read-outs.
        means, scales: of the continuous attributes in the training data, in their units.
        calibration: by attribute, the factor on the standard deviation, or the logits' temperature.
        device, dtype: where and in which precision the trunk runs.
    """

    schema: AttributeSchema
    network: TrainedHeads | BroughtHeads
    means: Mapping[str, float]
    scales: Mapping[str, float]
    calibration: Mapping[str, float]
    device: torch.device
    dtype: torch.dtype

    def readout(self, image: Tensor) -> dict[str, Tensor]:
        """Raw read-outs by attribute of images (n, 3, size, size) in [-1, 1].

        They are differentiable where the heads were trained here; asking those that were brought for a
        gradient raises RuntimeError.

        Raises:
            ValueError: the images have another size.
        """
        expected = (3, self.network.image_size, self.network.image_size)
        if image.shape[1:] != expected:
            raise ValueError(f"image: found shape {tuple(image.shape[1:])}, the heads' is {expected}")
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            raw = self.network(image.to(self.device, memory_format=torch.channels_last))
        return split_readout(self.schema, raw)

    def calibrated(self, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By attribute: (n, 2) mean and standard deviation in its unit, or (n, classes) probabilities."""
        result = {}
        for attribute in self.schema:
            part, factor = parts[attribute.name], self.calibration[attribute.name]
            if attribute.is_discrete:
                result[attribute.name] = torch.softmax(part / factor, dim=1)
                continue
            scale = self.scales[attribute.name]
            mean = part[:, 0] * scale + self.means[attribute.name]
            sd = torch.exp(part[:, 1].clamp(-5, 2)) * scale * factor
            result[attribute.name] = torch.stack([mean, sd], 1)
        return result

    def estimate(self, image: Tensor, *, batch_size: int = 128) -> Estimates:
        """p(a given x) of images (n, 3, size, size) in [-1, 1], whatever the batch size."""
        with torch.no_grad():
            parts = [self.calibrated(self.readout(image[part])) for part in chunks(len(image), batch_size)]
        return self.collected(parts)

    def collected(self, parts: list[dict[str, Tensor]]) -> Estimates:
        """Calibrated read-outs of successive batches as one set of estimates."""
        whole = {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in self.schema.names}
        return Estimates(
            mean={a.name: whole[a.name][:, 0] for a in self.schema.continuous},
            sd={a.name: whole[a.name][:, 1] for a in self.schema.continuous},
            probabilities={a.name: whole[a.name] for a in self.schema.discrete},
        )


def load_heads(weights: Path, card: Path, device: torch.device, dtype: torch.dtype) -> AttributeEstimator:
    """Read heads from weights and card.

    Raises:
        ValueError: a file is missing or damaged, or weights and card do not fit each other.
    """
    if is_brought(card):
        return _load_brought(weights, card, device)
    values = read_card(card, CARD_KEYS)
    schema = schema_from(values["attributes"])
    network = heads_of(schema, values["image_size"], values["trunk"], values["hidden"], card)
    load_into(network, weights)
    return AttributeEstimator(
        schema,
        frozen(network, device),
        values["means"],
        values["scales"],
        values["calibration"],
        device,
        dtype,
    )


def _load_brought(weights: Path, card: Path, device: torch.device) -> AttributeEstimator:
    """Heads that the stage took in; they run as they were made, whatever the precision of our networks."""
    values = read_card(card, BROUGHT_KEYS)
    described, schema = checked_card(values["brought"], card), schema_from(values["attributes"])
    template = values["template"]
    outputs, limits = open_outputs(weights, described)
    network = BroughtHeads(
        described,
        outputs,
        limits,
        attributes=schema.names,
        means=values["means"],
        scales=values["scales"],
        image_size=values["image_size"],
        images=Template(**template) if isinstance(template, dict) else template,
    )
    kept = frozen(network, device)
    calibration = values["calibration"]
    return AttributeEstimator(
        schema, kept, values["means"], values["scales"], calibration, device, torch.float32
    )


def schema_from(entries: list[dict[str, Any]]) -> AttributeSchema:
    """The schema stored in a card.

    Raises:
        ValueError: an entry has a field that is not known, or lacks one.
    """
    attributes = []
    for entry in entries:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
        try:
            attributes.append(Attribute(**values))
        except TypeError as error:
            raise ValueError(f"attributes: entry {entry.get('name')!r}: {error}") from error
    return AttributeSchema(tuple(attributes))
