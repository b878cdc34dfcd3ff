"""The typed sections of the authors' models: their generator, their decoder, and what runs on a folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from attribute_recovery.config_marginals import Positive, Section
from attribute_recovery.config_recognizers import RecognizerConfig, WeightsRecognizer


class AuthorsGenerator(Section):
    """The authors' StyleGAN2; the code of an image is that of its embedding."""

    source: Literal["authors"] = Field(description="the authors' G, and T after their recognizer as E")
    models: Path = Field(description="folder that `attribute-recovery import-authors` wrote")


class FolderSection(Section):
    """What the authors' models are run on besides the data set."""

    images: Path = Field(
        description="folder of aligned crops, read with all below it; every one is reconstructed and embedded"
    )
    directions: Annotated[int, Field(ge=0)] = Field(
        description="eigenvectors of the embeddings' covariance to decode, with and without the mean"
    )
    points: Annotated[int, Field(ge=0)] = Field(description="random points of the sphere to decode")
    batch_size: Positive = Field(description="images at once")


class AuthorsDecoder(Section):
    """The authors' T, one code for each embedding; it is not trained."""

    source: Literal["authors"] = Field(description="T of the generator's folder of models")
    folder: FolderSection | None = Field(description="a folder to run the models on; null for none")

    @property
    def samples(self) -> int:
        """Codes for each embedding: all would be the same."""
        return 1


def check_authors(generator: object, decoder: object, recognizers: Mapping[str, RecognizerConfig]) -> None:
    """Make sure that what stands on the authors' models has them.

    Args:
        generator: the section.
        decoder: the section.
        recognizers: by name.

    Raises:
        ValueError: the decoder is the authors' and the generator is not; there is more than one recognizer;
            or the recognizer is not the one whose T the decoder is.
    """
    if not isinstance(generator, AuthorsGenerator):
        if isinstance(decoder, AuthorsDecoder):
            raise ValueError(
                "decoder.source: found 'authors', allowed is 'train' where generator.source is not 'authors'"
            )
        return
    if len(recognizers) > 1:
        raise ValueError(
            f"recognizers: found {', '.join(recognizers)}, allowed is one where generator.source is "
            "'authors': the codes of images are made from one recognizer's embeddings"
        )
    if not isinstance(decoder, AuthorsDecoder):
        return
    wanted = generator.models / "recognizer.safetensors"
    for name, recognizer in recognizers.items():
        found = recognizer.weights if isinstance(recognizer, WeightsRecognizer) else None
        if found is None or os.path.normpath(found) != os.path.normpath(wanted):
            shown = f"source {recognizer.source!r}" if found is None else str(found)
            raise ValueError(
                f"recognizers.{name}: found {shown}, allowed are source: weights and weights: {wanted} where "
                "decoder.source is 'authors', since T knows the embeddings of that recognizer only"
            )
