"""The section `significance` of the configuration."""

from typing import Annotated

from pydantic import Field

from attribute_recovery.config_marginals import Positive, PositiveReal, Section


class SignificanceSection(Section):
    """The three measures."""

    permutations: Annotated[int, Field(ge=19)] = Field(
        description="for p-values of information and identity share"
    )
    placebos: Annotated[int, Field(ge=19)] = Field(
        description="placebo edits for p-values of the decision effect"
    )
    bootstrap: Annotated[int, Field(ge=19)] = Field(description="bootstrap replicates for intervals")
    images: Positive = Field(description="test images whose attributes are changed for the decision effect")
    dose_images: Annotated[int, Field(ge=0)] = Field(
        description="of these, images whose continuous attributes are changed by several doses; 0 for none"
    )
    cross_talk: PositiveReal = Field(
        description="an edit that moves another attribute by more than this many of its standard deviations "
        "is marked"
    )
