"""The typed sections of generators that are not networks trained here: a file, and principal components."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from attribute_recovery.config_marginals import Positive, Section


class FileGenerator(Section):
    """Weights that this package wrote elsewhere, read back with their card."""

    source: Literal["file"] = Field(description="weights and card of another experiment's generator")
    weights: Path = Field(
        description="safetensors file, such as results/OTHER/generator/autoencoder.safetensors"
    )
    card: Path | None = Field(description="its card; null for card.json in the same folder")

    @property
    def card_path(self) -> Path:
        """Where the card is."""
        return self.weights.with_name("card.json") if self.card is None else self.card


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
