"""The typed sections of generators other than networks trained from nothing: a file, one that is trained on,
and principal components."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from attribute_recovery.config_marginals import Positive, PositiveReal, Probability, Section


class MadeElsewhere(Section):
    """Weights that this package wrote elsewhere, with their card."""

    weights: Path = Field(
        description="safetensors file, such as results/OTHER/generator/autoencoder.safetensors"
    )
    card: Path | None = Field(description="its card; null for card.json in the same folder")

    @property
    def card_path(self) -> Path:
        """Where the card is."""
        return self.weights.with_name("card.json") if self.card is None else self.card


class FileGenerator(MadeElsewhere):
    """Weights that this package wrote elsewhere, read back with their card."""

    source: Literal["file"] = Field(description="weights and card of another experiment's generator")


class TunedTraining(Section):
    """How G is trained on. E stays as it is, and with it every code."""

    steps: Positive = Field(description="optimiser steps")
    batch_size: Positive = Field(description="images a step")
    learning_rate: PositiveReal = Field(description="at its highest")
    code_noise: Annotated[float, Field(ge=0.0)] = Field(
        description="standard deviation of the noise on codes"
    )
    strength_weight: Annotated[float, Field(ge=0.0)] = Field(
        description="weight of the octave bands' local strength"
    )
    cycle_weight: Annotated[float, Field(ge=0.0)] = Field(
        description="weight of E finding the code again in what G makes of it; 0 for none"
    )
    reading_weight: Annotated[float, Field(ge=0.0)] = Field(
        description="weight of E finding what the code says of the attributes, by a linear read-out; 0 for a "
        "training without labels"
    )
    adversarial_weight: Annotated[float, Field(ge=0.0)] = Field(
        description="weight of a patch discriminator's verdict; 0 for none"
    )
    adversarial_from: Probability = Field(
        description="part of the training after which the discriminator takes part"
    )


class TunedGenerator(MadeElsewhere):
    """A generator that this package wrote elsewhere, whose G is trained on here."""

    source: Literal["tuned"] = Field(
        description="another experiment's generator, G trained on to show what E sees"
    )
    training: TunedTraining = Field(description="how G is trained on")


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
