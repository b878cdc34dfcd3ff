"""The typed settings of reading attributes from images, and of changing them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from attribute_recovery.config_marginals import Positive, PositiveReal, Section
from attribute_recovery.config_recognizers import Trusted


class Heads(Section):
    """Attribute heads that are trained here: one convolutional trunk and a read-out for each attribute."""

    source: Literal["train"] = Field(description="train them on the labels of the split `train`")
    trunk: Literal["encoder"] | Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        description="encoder: E's, starting from its weights, where the generator is of our architecture; or "
        "the channels of the stages of one of its own, from half the image's side down"
    )
    steps: Positive = Field(description="optimiser steps")
    batch_size: Positive = Field(description="images a step")
    learning_rate: PositiveReal = Field(description="at its highest")
    augmentation: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        description="how far training images are mirrored, moved and lit anew, 0 for not at all: for few "
        "images, without attributes that a mirror would change"
    )


class OnnxHeads(Section):
    """Attribute heads as an ONNX file."""

    source: Literal["onnx"] = Field(description="run it in ONNX Runtime")
    weights: Path = Field(description="ONNX file; its card lies beside it, with the ending .json")


class PythonHeads(Section):
    """A Python function: images in, attributes out; it may ask any service or closed library."""

    source: Literal["python"] = Field(description="call it")
    function: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")] = Field(
        description="package.module:function, installed or below the folder that the run starts in"
    )
    card: Path = Field(description="its card, a JSON file")
    trusted: Trusted = Field(
        description="true: you trust this code, which runs with your rights, and the report names it"
    )


HeadsConfig = Annotated[Heads | OnnxHeads | PythonHeads, Field(discriminator="source")]


class Editor(Section):
    """Changing one attribute in code space, the others held."""

    hidden: Positive = Field(description="width of the network that reads attributes from codes")
    steps: Positive = Field(description="optimiser steps of that network")
    iterations: Positive = Field(description="Gauss-Newton steps of one edit")


class AttributesSection(Section):
    """Reading attributes from images, and changing them."""

    heads: HeadsConfig = Field(description="p(a given x)")
    editor: Editor = Field(description="changes one attribute of a code")


def check_trunk(heads: HeadsConfig, generator: str) -> None:
    """Make sure that heads which start from E have one to start from.

    Args:
        heads: the section.
        generator: its source.

    Raises:
        ValueError: the generator's encoder has no convolutional trunk.
    """
    if isinstance(heads, Heads) and heads.trunk == "encoder" and generator in ("eigenfaces", "authors"):
        raise ValueError(
            "attributes.heads.trunk: found 'encoder', allowed are channels of a trunk of its own where "
            f"generator.source is {generator!r}, such as [16, 32, 56, 80], which also needs more steps and a "
            "higher learning_rate (2300 and 2.0e-3)"
        )


def check_not_cross_fitted(heads: Heads | OnnxHeads | PythonHeads, folds: int) -> None:
    """Make sure that heads which are brought read all people at once.

    Raises:
        ValueError: there are folds.
    """
    if folds and not isinstance(heads, Heads):
        raise ValueError(
            "dataset.splits.by: found 'folds', allowed is 'shares' or 'source' where attributes.heads has "
            f"source {heads.source!r}"
        )
