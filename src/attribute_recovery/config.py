"""The typed configuration: the one source of every setting's type, range and meaning.

`config/default.yaml` gives the values, the JSON schema and the table in the docs are generated from here.
There are no defaults in the models: a configuration file is either complete or names the file it `extends`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from attribute_recovery.config_attributes import AttributesSection, check_not_cross_fitted, check_trunk
from attribute_recovery.config_authors import AuthorsDecoder, AuthorsGenerator, check_authors
from attribute_recovery.config_counterfactuals import CounterfactualsSection
from attribute_recovery.config_faces import (
    CelebaDataset,
    FoldersDataset,
    FoldsSplit,
    InsightfaceDataset,
    LfwDataset,
    SharesSplit,
    TableDataset,
)
from attribute_recovery.config_files import ConfigError, read_overlaid, sentence
from attribute_recovery.config_generator import EigenfacesGenerator, FileGenerator, TunedGenerator
from attribute_recovery.config_marginals import (
    Name,
    Positive,
    PositiveReal,
    Probability,
    Section,
)
from attribute_recovery.config_recognizers import ExperimentThreshold, RecognizerConfig
from attribute_recovery.config_significance import SignificanceSection
from attribute_recovery.config_world import WorldDataset

# Stages that are about attributes; a run in which nothing reads any goes without them.
STAGES_OF_ATTRIBUTES = ("attributes", "recovery", "significance", "counterfactuals")

__all__ = [
    "Config",
    "ConfigError",
    "CounterfactualsSection",
    "load_config",
    "parse_config",
    "read_overlaid",
]


class Compute(Section):
    """Where and with what precision networks run."""

    threads: Positive = Field(
        description="torch's threads in each job; part of what makes results reproducible"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        description="where networks run; auto takes a GPU where there is one"
    )
    precision: Literal["auto", "bf16", "float32"] = Field(
        description="for training our own networks; auto takes bf16 where the processor has it"
    )


DatasetConfig = Annotated[
    WorldDataset | FoldersDataset | TableDataset | CelebaDataset | LfwDataset | InsightfaceDataset,
    Field(discriminator="source"),
]


class GeneratorNetwork(Section):
    """Sizes of G and E; the image's side is 2^(stages + 2)."""

    code_size: Positive = Field(description="length of the code")
    decoder_channels: tuple[Positive, ...] = Field(
        description="of G at 4 x 4, 8 x 8, ... up to half the image's side"
    )
    decoder_blocks: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        description="residual blocks of G at each of these"
    )
    encoder_channels: tuple[Positive, ...] = Field(description="of E, in the same order")
    encoder_blocks: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        description="residual blocks of E, in that order"
    )


class GeneratorTraining(Section):
    """How G and E are trained, where they are trained."""

    steps: Positive = Field(description="optimiser steps")
    batch_size: Positive = Field(description="images a step")
    learning_rate: PositiveReal = Field(description="at its highest")
    code_noise: Annotated[float, Field(ge=0.0)] = Field(
        description="standard deviation of the noise on codes"
    )
    strength_weight: Annotated[float, Field(ge=0.0)] = Field(
        description="weight of the octave bands' local strength"
    )
    attribute_weight: Annotated[float, Field(ge=0.0)] = Field(
        description="weight of attributes being linear in the code; 0 for a training without labels"
    )
    cycle_weight: Annotated[float, Field(ge=0.0)] = Field(
        description="weight of E finding the code again in what G made of it; 0 for none"
    )
    cycle_from: Probability = Field(description="part of the training after which it is asked to")
    adversarial_weight: Annotated[float, Field(ge=0.0)] = Field(
        description="weight of a patch discriminator's verdict over the last part of the training; 0 for none"
    )
    adversarial_from: Probability = Field(
        description="part of the training after which the discriminator takes part"
    )
    augmentation: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        description="how far training images are mirrored, moved and lit anew, 0 for not at all: for few "
        "images, without attributes that a mirror would change"
    )


class GeneratorSection(Section):
    """G and E of our own, shipped or trained."""

    source: Literal["shipped", "train"] = Field(
        description="shipped: the default world's, made by config/world-generator.yaml and then "
        "world-generator-tuned.yaml; train: a new one"
    )
    network: GeneratorNetwork = Field(description="sizes, used by source: train")
    training: GeneratorTraining = Field(description="used by source: train")


GeneratorConfig = Annotated[
    GeneratorSection | FileGenerator | TunedGenerator | AuthorsGenerator | EigenfacesGenerator,
    Field(discriminator="source"),
]


class EmbeddingsSection(Section):
    """How embeddings are stored."""

    shards: Positive = Field(description="number of shards; one new image touches one of them")
    batch_size: Positive = Field(description="images at once; results do not depend on it")


class IdentityLesson(Section):
    """T's last lesson: what is drawn for z embeds near z again. Needs a recognizer with gradients."""

    steps: Annotated[int, Field(ge=0)] = Field(description="optimiser steps; 0 for none")
    batch_size: Positive = Field(description="embeddings a step")
    learning_rate: PositiveReal = Field(description="at its highest")
    weight: PositiveReal = Field(
        description="of what the cosine lacks, against the mean square of the moves in standard deviations"
    )


class DecoderSection(Section):
    """T: the conditional distribution of codes given an embedding, by flow matching."""

    source: Literal["train"] = Field(description="train it on codes and embeddings of the images")
    hidden: Positive = Field(description="width of its residual blocks")
    blocks: Positive = Field(description="number of its residual blocks")
    steps: Positive = Field(description="optimiser steps")
    batch_size: Positive = Field(description="codes a step")
    learning_rate: PositiveReal = Field(description="at its highest")
    embedding_noise: Annotated[float, Field(ge=0.0)] = Field(
        description="length of the random step on the sphere that embeddings take in training"
    )
    decoded_share: Probability = Field(
        description="share of training pairs (w, f(G(w))) made by decoding codes, beside (E(x), f(x))"
    )
    decoded_pairs: Positive = Field(description="how many of them are made each time; there are two")
    mirrored: bool = Field(description="whether T also learns from the mirror images of the faces")
    identity: IdentityLesson = Field(description="T's last lesson, where the recognizer has gradients")
    sampling_steps: Positive = Field(description="Heun steps of the flow from noise to a code")
    samples: Annotated[int, Field(ge=19)] = Field(
        description="codes drawn for each embedding where the spread counts"
    )


DecoderConfig = Annotated[DecoderSection | AuthorsDecoder, Field(discriminator="source")]


class RecoverySection(Section):
    """p(a given z), and the direct probe of z."""

    probe_hidden: Positive = Field(description="width of the small network that probes z")
    probe_steps: Positive = Field(description="optimiser steps of the probe")


class ReportSection(Section):
    """The page, and what of people it and MLflow may show."""

    title: str = Field(description="its heading")
    examples: Positive = Field(description="people shown in each figure of faces")
    faces: Literal["auto", "all", "decoded", "none"] = Field(
        description="faces on the page: decoded, those that the generator made; auto: all of the made world, "
        "none of brought faces"
    )
    identities: Literal["auto", "named", "pseudonymous"] = Field(
        description="people on the page and in MLflow; auto: named in the made world, else pseudonymous"
    )

    def resolved(self, source: str | None) -> Self:
        """The section with auto replaced by what it means for data of that source (unknown: brought)."""
        made = source == "world"
        meant = {"faces": "all" if made else "none", "identities": "named" if made else "pseudonymous"}
        changes = {name: value for name, value in meant.items() if getattr(self, name) == "auto"}
        return self.model_copy(update=changes)


class Tracking(Section):
    """Where MLflow keeps its runs."""

    uri: str | None = Field(description="MLflow tracking URI; null for results/mlflow.db")
    experiment: str = Field(description="name of the MLflow experiment")


class Config(Section):
    """A whole experiment."""

    experiment: Name = Field(description="names the folder below results/")
    seed: Annotated[int, Field(ge=0)] = Field(
        description="every random number of the experiment comes from it"
    )
    compute: Compute = Field(description="threads, device, precision")
    dataset: DatasetConfig = Field(description="images, identities, attributes")
    generator: GeneratorConfig = Field(description="G and E")
    attributes: AttributesSection = Field(description="heads and editor")
    recognizers: dict[Name, RecognizerConfig] = Field(
        min_length=1, description="the recognizers to explain, by name"
    )
    embeddings: EmbeddingsSection = Field(description="storage of embeddings")
    decoder: DecoderConfig = Field(description="T")
    recovery: RecoverySection = Field(description="recovered attributes and probe")
    significance: SignificanceSection = Field(description="what each attribute weighs")
    counterfactuals: CounterfactualsSection = Field(description="what would have to change")
    report: ReportSection = Field(description="the page")
    tracking: Tracking = Field(description="MLflow")

    @property
    def reads_attributes(self) -> bool:
        """Whether attributes can be read from images: by heads that are brought, or trained on labels."""
        return isinstance(self.dataset, WorldDataset) or bool(self.dataset.attributes) or self.brings_heads

    @property
    def brings_heads(self) -> bool:
        """Whether attribute heads are brought, so that images need no labels."""
        return self.attributes.heads.source != "train"

    @property
    def left_out_stages(self) -> list[str]:
        """The stages, in order, that no run of this configuration has, since no attributes can be read."""
        return [] if self.reads_attributes else list(STAGES_OF_ATTRIBUTES)

    @property
    def folds(self) -> int:
        """Number of folds of the cross-fitting; 0 where there is none."""
        splits = getattr(self.dataset, "splits", None)
        return splits.folds if isinstance(splits, FoldsSplit) else 0

    @model_validator(mode="after")
    def _trained_recognizers_have_identities(self) -> Self:
        if any(recognizer.source == "train" for recognizer in self.recognizers.values()):
            _require_identities_for_training(self.dataset)
        return self

    @model_validator(mode="after")
    def _recognizers_are_not_called_as_folds(self) -> Self:
        for name in self.recognizers if self.folds else ():
            if re.fullmatch(r"fold_\d+", name):
                raise ValueError(
                    f"recognizers.{name}: found the name of a fold's folder, allowed is any other name where "
                    "dataset.splits.by is folds"
                )
        return self

    @model_validator(mode="after")
    def _the_shipped_generator_is_of_the_world(self) -> Self:
        if self.dataset.source != "world" and self.generator.source == "shipped":
            raise ValueError(
                "generator.source: found 'shipped', which knows the default world only; allowed is 'train', "
                f"'eigenfaces', 'file' or 'authors' where dataset.source is {self.dataset.source!r}"
            )
        return self

    @model_validator(mode="after")
    def _brought_heads_are_not_cross_fitted(self) -> Self:
        check_not_cross_fitted(self.attributes.heads, self.folds)
        return self

    @model_validator(mode="after")
    def _heads_have_a_trunk_to_start_from(self) -> Self:
        if self.reads_attributes:
            check_trunk(self.attributes.heads, self.generator.source)
        return self

    @model_validator(mode="after")
    def _the_authors_models_go_together(self) -> Self:
        check_authors(self.generator, self.decoder, self.recognizers)
        return self

    @model_validator(mode="after")
    def _thresholds_come_from_elsewhere(self) -> Self:
        for name, recognizer in self.recognizers.items():
            threshold = recognizer.threshold
            if isinstance(threshold, ExperimentThreshold) and threshold.from_ == self.experiment:
                raise ValueError(
                    f"recognizers.{name}.threshold.from: found {threshold.from_!r}, allowed is the name of "
                    "another experiment than this one"
                )
        return self

    @model_validator(mode="after")
    def _generator_makes_images_of_that_size(self) -> Self:
        if not isinstance(self.generator, GeneratorSection):
            return self
        size, network = self.dataset.image_size, self.generator.network
        stages = size.bit_length() - 3  # 2^(stages + 2) = size
        for name in ("decoder_channels", "decoder_blocks", "encoder_channels", "encoder_blocks"):
            found = len(getattr(network, name))
            if self.generator.source == "train" and found != stages:
                raise ValueError(
                    f"generator.network.{name}: found {found} numbers, allowed are {stages} "
                    f"for images of side {size}"
                )
        return self


def _require_identities_for_training(dataset: DatasetConfig) -> None:
    """Refuses a split `recognizer` that is known to be too small; a source's own splits are not known yet."""
    if isinstance(dataset, WorldDataset):
        world = dataset.world
        counts = (("identities", world.identities, 2), ("images_per_identity", world.images_per_identity, 1))
        for name, found, least in counts:
            if found.recognizer < least:
                raise ValueError(
                    f"dataset.world.{name}.recognizer: found {found.recognizer}, allowed is {least} "
                    "or more where a recognizer has source train"
                )
    elif isinstance(dataset.splits, FoldsSplit):
        raise ValueError(
            "dataset.splits.by: found folds, allowed is shares or source where a recognizer has source "
            "train: in folds nobody is left to train it on"
        )
    elif isinstance(dataset.splits, SharesSplit) and dataset.splits.recognizer == 0.0:
        raise ValueError(
            "dataset.splits.recognizer: found 0, allowed is more than 0 where a recognizer has source train"
        )


def load_config(path: Path) -> Config:
    """Read, overlay and check a configuration file.

    A file whose key `extends` names another (relative to itself) only needs the keys that it changes.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown, missing, of another type or out of range.
    """
    return parse_config(read_overlaid(path), path)


def parse_config(values: dict[str, Any], path: Path) -> Config:
    """Check a mapping; `path` is only named in errors.

    Types are strict (no number from a string, no integer from true), except that lists become tuples and
    strings paths: the rules of JSON, hence the detour.

    Raises:
        ConfigError: the first thing that is wrong, in one sentence.
    """
    try:
        return Config.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        details = [dict(detail) for detail in error.errors()]
        raise ConfigError(sentence(details, Config.model_json_schema(), path)) from None


if __name__ == "__main__":
    from attribute_recovery.config_reference import main

    main()
