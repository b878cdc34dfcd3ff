"""The typed faces that a user brings: where they lie, how they are cropped and split, what is labelled."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from attribute_recovery.config_marginals import Interval, Name, Section

Size = Literal[32, 64, 128, 256]
Level = Literal["identity", "image", "mixed"]
Family = Literal["shape", "expression", "pose", "appearance", "label"]
Action = Literal["skip", "fail", "keep"]
Fault = Literal["unreadable", "no_face", "small", "duplicate", "one_image", "constant_label", "unknown_label"]
FAULTS: tuple[Fault, ...] = (
    "unreadable",
    "no_face",
    "small",
    "duplicate",
    "one_image",
    "constant_label",
    "unknown_label",
)
# Images with one of these can be used all the same, where the user says so; the report names them.
KEEPABLE: tuple[Fault, ...] = ("small", "duplicate", "one_image")


class LandmarkAlignment(Section):
    """Crops by the source's own landmarks, five a face, on the ArcFace template."""

    by: Literal["landmarks"] = Field(description="by the source's own landmarks, on the ArcFace template")


class DetectorAlignment(Section):
    """Crops by the landmarks that a detector finds, on the ArcFace template."""

    by: Literal["detector"] = Field(description="by the landmarks that a detector finds, on that template")
    detector: Literal["yunet", "scrfd"] = Field(description="which detector the file is")
    weights: Path = Field(description="the detector as an ONNX file, brought by the user")
    confidence: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        description="score from which on a detection is a face"
    )


class GivenAlignment(Section):
    """Crops as they are: made square and resized."""

    by: Literal["given"] = Field(description="as they are (the report warns where they don't look aligned)")
    crop: Literal["centre", "stretch"] = Field(
        description="how an image that is not square becomes so: its middle, or all of it stretched"
    )
    template: Literal["arcface", "unknown"] = Field(
        description="arcface where somebody has aligned them on that template before"
    )


Alignment = Annotated[LandmarkAlignment | DetectorAlignment | GivenAlignment, Field(discriminator="by")]


class SharesSplit(Section):
    """Identities are dealt out by the experiment's seed."""

    by: Literal["shares"] = Field(description="identities dealt out by the experiment's seed")
    recognizer: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        description="share of the identities for training the recognizer, where it is trained here"
    )
    train: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        description="share for T, heads, probes, editor and the generator"
    )
    calibration: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        description="share for temperatures, choices between methods and the threshold"
    )
    test: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(description="share read by the final figures only")

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = self.recognizer + self.train + self.calibration + self.test
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"found shares that add up to {total:g}, allowed are such that add up to 1")
        return self


class SourceSplit(Section):
    """The source's own splits."""

    by: Literal["source"] = Field(description="the source's own; nobody may be in two of them")


class FoldsSplit(Section):
    """Cross-fitting: identities dealt into folds, each of which is held out once."""

    by: Literal["folds"] = Field(
        description="identities dealt into folds, and everything trained and measured once a fold; for few "
        "people, and for recognizers that are brought"
    )
    folds: Annotated[int, Field(ge=3, le=10)] = Field(
        description="number of folds: one is held out, one calibrates, the others train"
    )


Split = Annotated[SharesSplit | SourceSplit | FoldsSplit, Field(discriminator="by")]


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError(f"found {', '.join(names)}, allowed are names that differ")
    return names


class BinaryLabel(Section):
    """An attribute that is there or not.

    1, true, yes or on; 0, false, no or off, and -1 where 0 is not used.
    """

    kind: Literal["binary"] = Field(description="on or off")
    level: Level = Field(description="whether it belongs to the identity, to the single image, or to both")
    family: Family = Field(description="the group it is shown with; label where none fits")


class CategoricalLabel(Section):
    """An attribute with several classes."""

    kind: Literal["categorical"] = Field(description="one of several classes")
    level: Level = Field(description="whether it belongs to the identity, to the single image, or to both")
    family: Family = Field(description="the group it is shown with; label where none fits")
    categories: Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(_unique)] = Field(
        description="the classes as the table names them"
    )


class ContinuousLabel(Section):
    """An attribute that is a number."""

    kind: Literal["continuous"] = Field(description="a number")
    level: Level = Field(description="whether it belongs to the identity, to the single image, or to both")
    family: Family = Field(description="the group it is shown with; label where none fits")
    unit: str = Field(description="how its values are read, such as years")
    range: Interval = Field(description="smallest and largest value, in its unit")


Label = Annotated[BinaryLabel | CategoricalLabel | ContinuousLabel, Field(discriminator="kind")]


class LabelTable(Section):
    """A table of labels from elsewhere."""

    path: Path = Field(description="CSV or Parquet file")
    format: Literal["table", "maad"] = Field(
        description="maad: MAAD-Face, in which 0 is undefined and -1 off; table: any other"
    )
    key: str = Field(description="column that names the image, relative to the faces; Filename in MAAD-Face")


def _answered(actions: "dict[_Named, Action]") -> "dict[_Named, Action]":
    """The actions, if there is one for every fault.

    Raises:
        ValueError: one has none, or is kept that cannot be.
    """
    if "all" not in actions and (absent := [fault for fault in FAULTS if fault not in actions]):
        raise ValueError(f"found nothing for {', '.join(absent)}, allowed is the key all, or each of them")
    kept = [name for name, action in actions.items() if action == "keep" and name not in KEEPABLE]
    if kept:
        raise ValueError(
            f"found keep for {kept[0]}, allowed is skip or fail; keep is for {', '.join(KEEPABLE)}"
        )
    return actions


_Named = Literal[
    "all", "unreadable", "no_face", "small", "duplicate", "one_image", "constant_label", "unknown_label"
]
Actions = Annotated[dict[_Named, Action], AfterValidator(_answered)]


class BroughtFaces(Section):
    """What is told of all faces that are brought, whatever the source."""

    image_size: Size = Field(description="side of the stored crops in pixels")
    align: Alignment = Field(description="how faces are brought to their place")
    splits: Split = Field(description="who is used for what")
    on_fault: Actions = Field(
        description="skip, fail or keep for each of "
        f"{', '.join(FAULTS)}, or for all that are not named; keep is for {', '.join(KEEPABLE)}"
    )
    labels: list[LabelTable] = Field(description="tables of labels beside those of the source")
    attributes: dict[Name, Label] = Field(
        description="the labels to use, by the column's name in lower case; none for a run without labels"
    )

    def action(self, fault: Fault) -> Action:
        """What is done with a fault of that kind."""
        return self.on_fault[fault] if fault in self.on_fault else self.on_fault["all"]


class FoldersDataset(BroughtFaces):
    """Faces in folders `identity/image`: PNG, JPEG, PGM or WebP."""

    source: Literal["folders"] = Field(description="folders identity/image")
    path: Path = Field(description="the folder that holds a folder for each identity")


class Columns(Section):
    """Names of columns of a table of faces."""

    path: str = Field(description="column with the image's path")
    identity: str = Field(description="column with the identity")
    split: str | None = Field(
        description="column with recognizer, train, calibration or test; null where there is none"
    )


class TableDataset(BroughtFaces):
    """Faces in a table: path, identity, maybe split and landmarks, and columns of attributes."""

    source: Literal["table"] = Field(description="a CSV or Parquet table")
    path: Path = Field(description="the table")
    root: Path = Field(description="the folder that its paths are relative to")
    columns: Columns = Field(description="what its columns are called")


class CelebaDataset(BroughtFaces):
    """CelebA as published."""

    source: Literal["celeba"] = Field(description="CelebA as published")
    path: Path = Field(description="its folder; the files lie there, or in Anno/, Eval/ and Img/")
    images: Literal["aligned", "wild"] = Field(description="aligned: img_align_celeba; wild: img_celeba")


class LfwDataset(BroughtFaces):
    """Labeled Faces in the Wild, in any of its alignments."""

    source: Literal["lfw"] = Field(description="LFW: folders, and its standard pairs")
    path: Path = Field(description="the folder that holds a folder for each person")
    pairs: Path | None = Field(description="pairs.txt, for the standard ten-fold protocol; null for none")


class InsightfaceDataset(BroughtFaces):
    """Folders and files as InsightFace publishes them."""

    source: Literal["insightface"] = Field(description="InsightFace's formats")
    path: Path = Field(description="the folder that they lie in")
    name: str = Field(description="of the set, such as lfw, cfp_fp, agedb_30 or train")
    form: Literal["arrays", "bin", "rec"] = Field(
        description="arrays: NAME/ (bcolz) and NAME_list.npy; bin: NAME.bin; rec: NAME.rec and NAME.idx"
    )
    channel_order: Literal["RGB", "BGR"] = Field(
        description="of the arrays' channels, mostly BGR; bin and rec hold image files and know theirs"
    )


FacesDataset = FoldersDataset | TableDataset | CelebaDataset | LfwDataset | InsightfaceDataset
