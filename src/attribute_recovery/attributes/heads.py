"""Attribute heads: p(a given x) for every declared attribute, from one convolutional trunk.

A continuous attribute gets a normal distribution (mean and standard deviation), a discrete one class
probabilities. The trunk is a network of the recognizer's kind with weights of its own; it shares none with G,
E or f.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.attributes.brought import BroughtHeads, is_brought, open_outputs
from attribute_recovery.attributes.card import checked_card
from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.recognizer.networks import EmbeddingNetwork
from attribute_recovery.recognizer.template import Template
from attribute_recovery.training.device import chunks, frozen
from attribute_recovery.training.weights import load_into, read_card

CARD_KEYS = {"attributes", "image_size", "channels", "hidden", "means", "scales", "calibration"}
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


class HeadsNetwork(nn.Module):
    """Image (n, 3, size, size) to raw read-outs (n, width): see `split_readout`.

    Args:
        schema: the attributes.
        image_size: side of the images.
        channels: of the trunk's stages, from half the image's side down.
        hidden: width of the layer that all heads share.

    Raises:
        ValueError: the image's side cannot be halved as often as there are channels.
    """

    def __init__(
        self, schema: AttributeSchema, image_size: int, channels: Sequence[int], hidden: int
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.trunk = EmbeddingNetwork(image_size, channels, hidden)
        self.readout = nn.Linear(hidden, readout_width(schema))
        nn.init.normal_(self.readout.weight, std=0.01)
        nn.init.zeros_(self.readout.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Raw read-outs (n, width), float32."""
        out: Tensor = self.readout(nn.functional.leaky_relu(self.trunk(image), 0.1))
        return out.float()


def _readouts(attribute: Attribute) -> int:
    return attribute.n_classes if attribute.is_discrete else 2


def readout_width(schema: AttributeSchema) -> int:
    """Two read-outs (mean, log of the deviation) for a continuous attribute, otherwise one for each class."""
    return sum(_readouts(attribute) for attribute in schema)


def split_readout(schema: AttributeSchema, readout: Tensor) -> dict[str, Tensor]:
    """Raw read-outs by attribute: (n, 2) standardised mean and log sd, or (n, classes) logits."""
    parts = torch.split(readout, [_readouts(attribute) for attribute in schema], dim=1)
    return dict(zip(schema.names, parts, strict=True))


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
    network: HeadsNetwork | BroughtHeads
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
    network = HeadsNetwork(schema, values["image_size"], values["channels"], values["hidden"])
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
