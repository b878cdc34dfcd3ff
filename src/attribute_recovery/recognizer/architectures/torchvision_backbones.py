"""Backbones of torchvision whose last linear layer gives the embedding in place of class scores."""

from typing import cast

from torch import nn


def backbone(name: str, embedding_size: int) -> nn.Module:
    """A network of torchvision with random weights; nothing is downloaded.

    Args:
        name: as in `catalogue.BACKBONES`, without the prefix.
        embedding_size: d; rows of the last linear layer (`fc`, or the last part of `classifier`).

    Returns:
        A module that maps (n, 3, side, side) to (n, embedding_size); its names are torchvision's.

    Raises:
        ValueError: torchvision has no such network.
    """
    from torchvision import models

    if name not in models.list_models(module=models):
        raise ValueError(f"architecture: found {name!r}, torchvision has no classifier of that name")
    return cast(nn.Module, models.get_model(name, weights=None, num_classes=embedding_size))
