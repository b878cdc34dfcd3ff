"""The typed recognizers: where each comes from, and where its threshold does."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag

from attribute_recovery.config_marginals import Name, Positive, PositiveReal, Section

_THRESHOLD = "at which score a pair is accepted: `{fmr: }`, `{value: }` or `{from: }`"
_TRUSTED = "true: you trust this code, which runs with your rights, and the report names it"
_WEIGHTS = "its card lies beside it, with the ending .json"


class FmrThreshold(Section):
    """Where impostors of the split `calibration` pass at a rate that is asked for."""

    fmr: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        description="false match rate that fixes the threshold on the split `calibration`"
    )


class ValueThreshold(Section):
    """As the deployed system has it."""

    value: float = Field(
        description="lowest cosine that is accepted; largest distance where the card's score is euclidean"
    )


class ExperimentThreshold(Section):
    """As another experiment fixed it for the same recognizer, on its own data set."""

    model_config = ConfigDict(serialize_by_alias=True)

    from_: Name = Field(
        alias="from", description="name of an experiment whose recognizer of this name has a threshold"
    )


def _kind_of_threshold(value: object) -> str | None:
    """Which threshold a mapping is meant to be: told by the one of the three keys that it has."""
    if isinstance(value, Section):
        return type(value).__name__
    kinds = {"fmr": "FmrThreshold", "value": "ValueThreshold", "from": "ExperimentThreshold"}
    found = [kind for key, kind in kinds.items() if isinstance(value, dict) and key in value]
    return found[0] if len(found) == 1 else None


ThresholdConfig = Annotated[
    Annotated[FmrThreshold, Tag("FmrThreshold")]
    | Annotated[ValueThreshold, Tag("ValueThreshold")]
    | Annotated[ExperimentThreshold, Tag("ExperimentThreshold")],
    Discriminator(
        _kind_of_threshold,
        custom_error_type="kind_of_threshold",
        custom_error_message="a mapping with exactly one of the keys fmr, value and from",
    ),
]


def _trusted(value: object) -> object:
    if value is not True:
        raise ValueError(
            f"found {value!r}, allowed is true: it runs code of its own with your rights, which only you can "
            "trust"
        )
    return value


Trusted = Annotated[Literal[True], BeforeValidator(_trusted)]


class RecognizerTraining(Section):
    """How a recognizer is trained: additive-margin softmax on identities of the split `recognizer`."""

    steps: Positive = Field(description="optimiser steps")
    batch_size: Positive = Field(description="images a step")
    learning_rate: PositiveReal = Field(description="at its highest")
    margin: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(description="taken from the target cosine")
    scale: PositiveReal = Field(description="factor before the softmax")


class TrainedRecognizer(Section):
    """A recognizer that is trained here and then explained."""

    source: Literal["train"] = Field(description="train one on the split `recognizer`")
    embedding_size: Positive = Field(description="d")
    channels: tuple[Positive, ...] = Field(description="of its stages, from half the image's side down")
    training: RecognizerTraining = Field(description="how it is trained")
    threshold: ThresholdConfig = Field(description=_THRESHOLD)


class WeightsRecognizer(Section):
    """Weights as this package writes them, read back with their card."""

    source: Literal["weights"] = Field(description="read safetensors and card")
    weights: Path = Field(description=f"safetensors file; {_WEIGHTS}")
    threshold: ThresholdConfig = Field(description=_THRESHOLD)


class OnnxRecognizer(Section):
    """An ONNX file."""

    source: Literal["onnx"] = Field(description="run it in ONNX Runtime")
    weights: Path = Field(description=f"ONNX file; {_WEIGHTS}")
    threshold: ThresholdConfig = Field(description=_THRESHOLD)


class CheckpointRecognizer(Section):
    """The state dict of an architecture that is known here; the card names it."""

    source: Literal["checkpoint"] = Field(description="convert it to safetensors")
    weights: Path = Field(description=f"checkpoint without pickled code, .pth, .pt or the like; {_WEIGHTS}")
    key: str | None = Field(
        description="where in the file the state dict lies; null: the file is one, or under a usual name"
    )
    threshold: ThresholdConfig = Field(description=_THRESHOLD)


class ExportedRecognizer(Section):
    """A program of `torch.export`."""

    source: Literal["exported"] = Field(description="run it in torch")
    weights: Path = Field(description=f"file of `torch.export.save`, .pt2; {_WEIGHTS}")
    threshold: ThresholdConfig = Field(description=_THRESHOLD)


class TorchScriptRecognizer(Section):
    """A TorchScript file."""

    source: Literal["torchscript"] = Field(description="run it in torch")
    weights: Path = Field(description=f"file of `torch.jit.save`; {_WEIGHTS}")
    trusted: Trusted = Field(description=_TRUSTED)
    threshold: ThresholdConfig = Field(description=_THRESHOLD)


class PythonRecognizer(Section):
    """A Python function: images in, embeddings out; it may ask any service or closed library."""

    source: Literal["python"] = Field(description="call it")
    function: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")] = Field(
        description="package.module:function, installed or below the folder that the run starts in"
    )
    card: Path = Field(description="its card, a JSON file")
    trusted: Trusted = Field(description=_TRUSTED)
    threshold: ThresholdConfig = Field(description=_THRESHOLD)


BroughtRecognizer = (
    WeightsRecognizer
    | OnnxRecognizer
    | CheckpointRecognizer
    | ExportedRecognizer
    | TorchScriptRecognizer
    | PythonRecognizer
)
RecognizerConfig = Annotated[TrainedRecognizer | BroughtRecognizer, Field(discriminator="source")]
