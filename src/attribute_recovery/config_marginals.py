"""The typed population: marginals of attributes, and what every section of the configuration is made of."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Share = Annotated[float, Field(gt=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
Several = Annotated[int, Field(ge=2)]
PositiveReal = Annotated[float, Field(gt=0.0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]


def rising(interval: tuple[float, float]) -> tuple[float, float]:
    """The interval, if its first number is the smaller.

    Raises:
        ValueError: it is not.
    """
    if interval[0] >= interval[1]:
        raise ValueError(
            f"found [{interval[0]:g}, {interval[1]:g}], allowed is a smaller number before a larger one"
        )
    return interval


Interval = Annotated[tuple[float, float], AfterValidator(rising)]


class Section(BaseModel):
    """A closed, frozen part of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NormalMarginal(Section):
    """A normal distribution truncated to a range; `identity_share` 1 is of the identity, 0 of the image."""

    normal: tuple[float, PositiveReal] = Field(description="mean and standard deviation before truncation")
    range: Interval = Field(description="smallest and largest value, in the attribute's unit")
    identity_share: Probability = Field(
        description="share of the latent variable that belongs to the identity"
    )

    @model_validator(mode="after")
    def _mean_is_inside(self) -> Self:
        low, high = self.range
        if not low <= self.normal[0] <= high:
            raise ValueError(
                f"found the mean {self.normal[0]:g}, allowed is one within the range {low:g} to {high:g}"
            )
        return self


class UniformMarginal(Section):
    """A uniform distribution over a range."""

    uniform: Interval = Field(description="smallest and largest value, in the attribute's unit")
    identity_share: Probability = Field(
        description="share of the latent variable that belongs to the identity"
    )


class ClassMarginal(Section):
    """Probabilities of the classes of a binary or categorical attribute."""

    classes: dict[str, Share] = Field(description="probability of each class, none of them 0; together 1")
    identity_share: Probability = Field(
        description="share of the latent variable that belongs to the identity"
    )

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = sum(self.classes.values())
        if abs(total - 1.0) > 1e-6:
            raise ValueError(
                f"found probabilities that add up to {total:g}, allowed are such that add up to 1"
            )
        return self


def _kind_of_marginal(value: object) -> str | None:
    """Which marginal a mapping is meant to be: told by the one of the three keys that it has."""
    if isinstance(value, Section):
        return type(value).__name__
    kinds = {"normal": "NormalMarginal", "uniform": "UniformMarginal", "classes": "ClassMarginal"}
    found = [kind for key, kind in kinds.items() if isinstance(value, dict) and key in value]
    return found[0] if len(found) == 1 else None


MarginalConfig = Annotated[
    Annotated[NormalMarginal, Tag("NormalMarginal")]
    | Annotated[UniformMarginal, Tag("UniformMarginal")]
    | Annotated[ClassMarginal, Tag("ClassMarginal")],
    Discriminator(
        _kind_of_marginal,
        custom_error_type="kind_of_marginal",
        custom_error_message="a mapping with exactly one of the keys normal, uniform and classes",
    ),
]
