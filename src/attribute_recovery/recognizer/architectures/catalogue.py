"""Known architectures by name. To read the names imports no torch, so a configuration may look at them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

TORCHVISION = "torchvision:"
IRESNETS = {"iresnet18": (2, 2, 2, 2), "iresnet50": (3, 4, 14, 3), "iresnet100": (3, 13, 30, 3)}
BACKBONES = (
    "resnet18",
    "resnet50",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "convnext_tiny",
)
NAMES: tuple[str, ...] = ("mobilefacenet", "ir50", *IRESNETS, *(TORCHVISION + name for name in BACKBONES))

# The face networks halve the crop four times, the backbones of torchvision five times.
STRIDES = {"mobilefacenet": 16, "ir50": 16} | dict.fromkeys(IRESNETS, 16)


def build(name: str, embedding_size: int, crop_size: int) -> "nn.Module":
    """A network of the catalogue with random weights.

    Its parts are called as in the checkpoints that are published, so that their state dicts load.

    Args:
        name: one of `NAMES`.
        embedding_size: d, 1 or more.
        crop_size: side of the crops in pixels; a multiple of 16 for the face networks, whose last layer is
            made for it; 32 or more for the backbones of torchvision, which take any other size too.

    Returns:
        A module that maps float (n, 3, crop_size, crop_size) to embeddings (n, embedding_size), not
        normalised.

    Raises:
        ValueError: the name is not known, or a size is not possible.
    """
    if name not in NAMES:
        raise ValueError(f"architecture: found {name!r}, allowed are {', '.join(NAMES)}")
    if embedding_size < 1:
        raise ValueError(f"embedding_size: found {embedding_size}, allowed is 1 or more")
    stride = STRIDES.get(name)
    if stride is None and crop_size < 32:
        raise ValueError(f"crop_size: found {crop_size}, allowed for {name} is 32 or more")
    if stride is not None and (crop_size < stride or crop_size % stride):
        raise ValueError(f"crop_size: found {crop_size}, allowed for {name} is a multiple of {stride}")
    if name == "mobilefacenet":
        from attribute_recovery.recognizer.architectures.mobilefacenet import MobileFaceNet

        return MobileFaceNet(embedding_size, crop_size)
    if name == "ir50":
        from attribute_recovery.recognizer.architectures.ir50 import IR50

        return IR50(embedding_size, crop_size)
    if name in IRESNETS:
        from attribute_recovery.recognizer.architectures.iresnet import IResNet

        return IResNet(IRESNETS[name], embedding_size, crop_size)
    from attribute_recovery.recognizer.architectures.torchvision_backbones import backbone

    return backbone(name.removeprefix(TORCHVISION), embedding_size)
