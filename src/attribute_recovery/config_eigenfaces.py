"""The typed section of a linear generator, for few images."""

from typing import Annotated, Literal

from pydantic import Field

from attribute_recovery.config_marginals import Positive, Section


class EigenfacesGenerator(Section):
    """G and E are linear: the principal components of the training images and of changed copies of them."""

    source: Literal["eigenfaces"] = Field(
        description="principal components of the images: for some hundred, of which a network learns less"
    )
    code_size: Annotated[int, Field(ge=2)] = Field(description="number of components, the length of the code")
    copies: Positive = Field(description="changed copies of each image that the components are taken from")
    augmentation: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        description="how far the copies are mirrored, moved and lit anew; 0 takes the images as they are"
    )
