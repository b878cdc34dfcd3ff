"""The typed default world: how its images look and who lives there."""

from typing import Annotated, Literal

from pydantic import Field

from attribute_recovery.config_marginals import MarginalConfig, Name, Section, Several


class SplitCounts(Section):
    """A number for each split by identity."""

    recognizer: Annotated[int, Field(ge=0)] = Field(
        description="for training the recognizer, where it is trained here"
    )
    train: Several = Field(description="for T, heads, probes, editor and the generator")
    calibration: Several = Field(description="for temperatures, choices between methods and the threshold")
    test: Several = Field(description="read by the final figures only")

    def items(self) -> list[tuple[str, int]]:
        """(split, number) in order."""
        return [(name, int(getattr(self, name))) for name in type(self).model_fields]


class Correlation(Section):
    """Two attributes whose latent variables go together."""

    attributes: tuple[Name, Name] = Field(description="the pair")
    value: Annotated[float, Field(gt=-1.0, lt=1.0)] = Field(description="correlation of the latent variables")


class World(Section):
    """The default world: how its images look and who lives there."""

    image_size: Literal[32, 64, 128, 256] = Field(description="side of the crops in pixels")
    supersample: Literal[2, 4] = Field(description="rays a pixel and axis")
    identities: SplitCounts = Field(description="identities of each split")
    images_per_identity: SplitCounts = Field(description="images of each identity in each split")
    marginals: dict[Name, MarginalConfig] = Field(description="the population: one entry for each attribute")
    correlations: list[Correlation] = Field(description="pairs that are not independent")


class WorldDataset(Section):
    """The default world, rendered."""

    source: Literal["world"] = Field(description="the default world")
    world: World = Field(description="the default world's settings")

    @property
    def image_size(self) -> int:
        """Side of the crops in pixels."""
        return self.world.image_size
