"""Calibration of heads on held-out images: one number an attribute."""

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attribute_recovery.dataset.attributes import AttributeSchema
from attribute_recovery.dataset.known import is_known


def temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature that minimises the log loss of softmax(logits / T) (Guo et al., ICML 2017).

    Args:
        logits: (n, classes).
        labels: class numbers (n,).
    """
    log_temperature = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits * torch.exp(-log_temperature), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return float(torch.exp(log_temperature.detach()).clamp(0.05, 20.0))


def deviation_factor(standardised: Tensor, log_sd: Tensor, truth: Tensor) -> float:
    """The factor on predicted deviations that makes squared errors average one: √mean(((y − μ)/σ)²).

    Args:
        standardised: means μ (n,).
        log_sd: logarithms of σ (n,), taken between −5 and 2 as the heads do.
        truth: y (n,).
    """
    errors = (truth - standardised) / torch.exp(log_sd.clamp(-5, 2))
    return float(errors.square().mean().sqrt().clamp(0.05, 20.0))


def calibrate(
    schema: AttributeSchema,
    parts: Mapping[str, Tensor],
    truth: Mapping[str, npt.NDArray[np.generic]],
    excluded: Collection[str] = (),
) -> dict[str, float]:
    """The calibration factor of each attribute from raw read-outs and truth.

    Args:
        schema: the attributes.
        parts: raw read-outs by attribute, see `networks.split_readout`.
        truth: standardised values of continuous attributes, class numbers of discrete ones, (n,) each; images
            without a value (NaN, −1) do not count.
        excluded: attributes that are left as they are, with the factor 1.
    """
    factors = {}
    for attribute in schema:
        if attribute.name in excluded:
            factors[attribute.name] = 1.0
            continue
        known = is_known(attribute, truth[attribute.name])
        part = parts[attribute.name].detach().float().cpu()[torch.from_numpy(known)]
        target = torch.from_numpy(np.asarray(truth[attribute.name])[known])
        if attribute.is_discrete:
            factors[attribute.name] = temperature(part, target.long())
        else:
            factors[attribute.name] = deviation_factor(part[:, 0], part[:, 1], target.float())
    return factors
