"""The networks of attribute heads that are trained here: an image to raw read-outs of all attributes.

There are two. One has a trunk of the recognizer's kind with weights of its own and shares none with G, E or
f. The other starts from E, which has learned from more images than there are labels what a face of this
domain looks like: from its trunk and its code, of which the read-outs are at first a linear regression, and
goes on with weights of its own. From E, 300 steps read a median R² of 0.973 in images of new people of the
default world and 0.946 in those that G reconstructs; a trunk of its own 0.917 and 0.893 after 2,300.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from attribute_recovery.dataset.attributes import Attribute, AttributeSchema
from attribute_recovery.generator.networks import Encoder, Trunk, check_stages
from attribute_recovery.recognizer.networks import EmbeddingNetwork
from attribute_recovery.statistics.linear import fit_ridge

Floats = npt.NDArray[np.float32]
Values = Mapping[str, npt.NDArray[np.generic]]

# Of the regression that the read-outs start as; codes have variance 1.
PENALTY = 1e-3
# Log of the standardised deviation that they start with.
START_LOG_SD = -1.2


class HeadsNetwork(nn.Module):
    """Image (n, 3, size, size) to raw read-outs (n, width), see `split_readout`, by a trunk of its own.

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


class EncoderHeads(nn.Module):
    """The same, starting from E: its trunk, its code, and a layer beside the code for what that leaves out.

    Args:
        schema: the attributes.
        image_size: side of the images.
        trunk: E's channels and blocks from side/2 down to 4 × 4, and the length of its code.
        hidden: width of the layer beside the code.

    Raises:
        ValueError: channels and blocks do not fit the images.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, schema: AttributeSchema, image_size: int, trunk: "EncoderTrunk", hidden: int) -> None:
        super().__init__()
        check_stages(image_size, trunk.channels, trunk.blocks)
        self.schema, self.image_size = schema, image_size
        features = trunk.channels[-1] * 16
        self.trunk = Trunk(trunk.channels, trunk.blocks)
        self.code = nn.Linear(features, trunk.code_size)
        # Apart from the weights: taken into them it would leave them so small that one step of Adam, which is
        # as long for all, undoes them.
        self.register_buffer("mean", torch.zeros(trunk.code_size))
        self.register_buffer("sd", torch.ones(trunk.code_size))
        self.hidden = nn.Linear(features, hidden)
        self.readout = nn.Linear(hidden + trunk.code_size, readout_width(schema))
        nn.init.normal_(self.readout.weight, std=0.01)
        nn.init.zeros_(self.readout.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Raw read-outs (n, width), float32."""
        features = self.trunk(image).flatten(1)
        beside = nn.functional.leaky_relu(self.hidden(features), 0.1)
        code = (self.code(features) - self.mean) / self.sd
        out: Tensor = self.readout(torch.cat([beside, code], 1))
        return out.float()

    @torch.no_grad()
    def start(self, encoder: Encoder, codes: Floats, truth: Values) -> None:
        """Take E's weights, and as read-outs of continuous attributes their ridge regression on its codes.

        Args:
            encoder: E, of this network's sizes.
            codes: E's of n images, (n, code_size).
            truth: of these images, continuous attributes standardised (n,), NaN where not known.
        """
        self.trunk.load_state_dict(encoder.trunk.state_dict())
        self.code.load_state_dict(encoder.code.state_dict())
        mean, sd = encoder.moments
        self.mean.copy_(mean)
        self.sd.copy_(sd)
        place = 0
        for attribute in self.schema:
            if not attribute.is_discrete and np.isfinite(truth[attribute.name]).any():
                weights, intercept = _regression(codes, np.asarray(truth[attribute.name], dtype=np.float64))
                self.readout.weight[place : place + 2] = 0
                self.readout.weight[place, -len(weights) :] = torch.from_numpy(weights).float()
                self.readout.bias[place], self.readout.bias[place + 1] = intercept, START_LOG_SD
            place += _readouts(attribute)


@dataclass(frozen=True)
class EncoderTrunk:
    """Sizes of E: channels and residual blocks from side/2 down to 4 × 4, and the length of its code."""

    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    code_size: int


TrainedHeads = HeadsNetwork | EncoderHeads


def heads_of(
    schema: AttributeSchema, image_size: int, trunk: Mapping[str, Any], hidden: int, path: Path
) -> TrainedHeads:
    """The network that a card describes, untrained.

    Args:
        schema: the attributes.
        image_size: side of the images.
        trunk: {"channels"} of a trunk of its own, or {"channels", "blocks", "code_size"} of E.
        hidden: width.
        path: of the card, for errors.

    Raises:
        ValueError: `trunk` is neither, or does not fit the images.
    """
    if set(trunk) == {"channels"}:
        return HeadsNetwork(schema, image_size, trunk["channels"], hidden)
    if set(trunk) == {"channels", "blocks", "code_size"}:
        sizes = EncoderTrunk(tuple(trunk["channels"]), tuple(trunk["blocks"]), trunk["code_size"])
        return EncoderHeads(schema, image_size, sizes, hidden)
    raise ValueError(
        f"{path}: trunk has {', '.join(sorted(trunk)) or 'nothing'}, allowed are channels alone, or "
        "channels, blocks and code_size"
    )


def _regression(codes: Floats, truth: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], float]:
    """Weights (code_size,) and intercept where the truth (n,) is known."""
    known = np.isfinite(truth)
    found = fit_ridge(codes[known].astype(np.float64), truth[known, None], PENALTY)
    return found.weights[:, 0], float(found.intercept[0])


def _readouts(attribute: Attribute) -> int:
    return attribute.n_classes if attribute.is_discrete else 2


def readout_width(schema: AttributeSchema) -> int:
    """Two read-outs (mean, log of the deviation) for a continuous attribute, otherwise one for each class."""
    return sum(_readouts(attribute) for attribute in schema)


def split_readout(schema: AttributeSchema, readout: Tensor) -> dict[str, Tensor]:
    """Raw read-outs by attribute: (n, 2) standardised mean and log sd, or (n, classes) logits."""
    parts = torch.split(readout, [_readouts(attribute) for attribute in schema], dim=1)
    return dict(zip(schema.names, parts, strict=True))
