"""The typed settings of reading attributes from images, and of changing them."""

from pydantic import Field

from attribute_recovery.config_marginals import Positive, PositiveReal, Section


class Heads(Section):
    """Attribute heads: one convolutional trunk and a read-out for each attribute."""

    channels: tuple[Positive, ...] = Field(
        min_length=1, description="of the trunk's stages, from half the image's side down"
    )
    steps: Positive = Field(description="optimiser steps")
    batch_size: Positive = Field(description="images a step")
    learning_rate: PositiveReal = Field(description="at its highest")


class Editor(Section):
    """Changing one attribute in code space, the others held."""

    hidden: Positive = Field(description="width of the network that reads attributes from codes")
    steps: Positive = Field(description="optimiser steps of that network")
    iterations: Positive = Field(description="Gauss-Newton steps of one edit")


class AttributesSection(Section):
    """Reading attributes from images, and changing them."""

    heads: Heads = Field(description="p(a given x)")
    editor: Editor = Field(description="changes one attribute of a code")
