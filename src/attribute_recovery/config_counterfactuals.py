"""The typed settings of the stage `counterfactuals`."""

from typing import Annotated

from pydantic import AfterValidator, Field

from attribute_recovery.config_marginals import Positive, Probability, Section, rising


class CounterfactualsSection(Section):
    """What would have to change for a decision to change."""

    representation_pairs: Positive = Field(
        description="pairs for each direction of representation counterfactuals"
    )
    travel: Annotated[float, Field(ge=1.0)] = Field(
        description="travel on the sphere, times the closed form's"
    )
    attribute_pairs: Annotated[int, Field(ge=2)] = Field(
        description="pairs of attribute counterfactuals, half genuine"
    )
    max_attributes: Positive = Field(description="largest number of attributes an explanation may change")
    quantile_range: Annotated[tuple[Probability, Probability], AfterValidator(rising)] = Field(
        description="range of observed values an edit stays within"
    )
    error_pairs: Annotated[int, Field(ge=0)] = Field(
        description="pairs decided wrongly whose similarity gap is shared out among attributes; 0 for none"
    )
    error_orders: Annotated[int, Field(ge=2)] = Field(
        description="orders of the attributes drawn for each such pair, each beside its reverse"
    )
