"""Settings of brought faces: what is accepted, what is refused in one sentence, and the shipped examples."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from attribute_recovery.config import (
    Config,
    ConfigError,
    DatasetConfig,
    load_config,
    parse_config,
    read_overlaid,
)
from attribute_recovery.config_faces import FAULTS, KEEPABLE, BroughtFaces
from attribute_recovery.dataset.attributes import Family, Level

ROOT = Path(__file__).parents[1]
EXAMPLES = ["faces-folders.yaml", "faces-table.yaml", "celeba.yaml", "lfw.yaml", "insightface.yaml"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_is_accepted_and_can_be_extended(name: str, tmp_path: Path) -> None:
    path = ROOT / "config" / name
    config = load_config(path)
    assert config.dataset.source != "world"
    assert isinstance(config.dataset, BroughtFaces)
    assert config.generator.source == "train"
    assert config.dataset.image_size == 64
    plain = config.dataset.model_dump(mode="json")
    assert TypeAdapter(DatasetConfig).validate_python(plain) == config.dataset
    (tmp_path / "mine.yaml").write_text(
        f"extends: {path}\nexperiment: mine\ndataset: {{path: other, on_fault: {{small: fail}}}}\n"
    )
    mine = load_config(tmp_path / "mine.yaml").dataset
    assert isinstance(mine, BroughtFaces)
    assert mine.model_dump()["path"] == Path("other")
    assert mine.action("small") == "fail" and mine.action("unreadable") == "skip"
    assert mine.align == config.dataset.align


def test_the_examples_are_of_every_source_and_way_of_aligning() -> None:
    found = [load_config(ROOT / "config" / name).dataset for name in EXAMPLES]
    assert {dataset.source for dataset in found} == {"folders", "table", "celeba", "lfw", "insightface"}
    assert {each.align.by for each in found if isinstance(each, BroughtFaces)} == {
        "detector",
        "landmarks",
        "given",
    }


def test_every_key_of_an_example_has_a_comment_above_it() -> None:
    for name in EXAMPLES:
        lines = (ROOT / "config" / name).read_text().splitlines()
        assert max(map(len, lines)) <= 120
        for above, line in zip(lines, lines[1:], strict=False):
            if re.match(r"^  \w+:", line):
                explained = above.strip().startswith("#") or re.match(r"^  \w+:", above)
                assert explained, f"{name}: {line}"


def changed(key: str, value: Any, name: str = "faces-table.yaml") -> dict[str, Any]:
    """An example's values with one key of `dataset` changed."""
    values = copy.deepcopy(read_overlaid(ROOT / "config" / name))
    *above, last = key.split(".")
    inner = values["dataset"]
    for part in above:
        inner = inner[part]
    inner[last] = value
    return values


SHARES = {"by": "shares", "recognizer": 0.1, "train": 0.5, "calibration": 0.2, "test": 0.2}


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("image_size", 112, "image_size: found 112, allowed is 32, 64, 128 or 256"),
        ("world", {}, "world: is not known; allowed are align, attributes, columns, image_size, labels, on_"),
        ("align.by", "eye", "align.by: found 'eye', allowed is 'landmarks' or 'detector' or 'given'"),
        ("align", {"by": "landmarks", "crop": "centre"}, "align.crop: is not known; allowed are by"),
        (
            "align",
            {"by": "given", "crop": "middle", "template": "arcface"},
            "align.crop: found 'middle', allowed is 'centre' or 'stretch'",
        ),
        (
            "align",
            {"by": "detector", "detector": "yunet", "weights": "x", "confidence": 1.0},
            "align.confidence: found 1.0, allowed is less than 1.0",
        ),
        ("splits", {**SHARES, "test": 0.3}, "splits: found shares that add up to 1.1, allowed are such that"),
        ("splits", {**SHARES, "train": 0.0}, "splits.train: found 0.0, allowed is more than 0.0"),
        ("splits", {"by": "source", "train": 0.5}, "splits.train: is not known; allowed are by"),
        ("on_fault", {"small": "skip"}, "on_fault: found nothing for unreadable, no_face, duplicate, one_im"),
        ("on_fault", {"all": "keep"}, "on_fault: found keep for all, allowed is skip or fail; keep is for s"),
        ("on_fault", {"all": "skip", "no_face": "keep"}, "on_fault: found keep for no_face, allowed is skip"),
        ("on_fault", {"all": "drop"}, "on_fault.all: found 'drop', allowed is 'skip', 'fail' or 'keep'"),
        ("on_fault", {"all": "skip", "blur": "skip"}, "on_fault.blur: found 'blur', allowed is 'all', 'u"),
        ("attributes.glasses.kind", "yes", "attributes.glasses.kind: found 'yes', allowed is 'binary' or 'c"),
        (
            "attributes.glasses",
            {"kind": "categorical", "level": "image", "family": "label", "categories": ["a"]},
            "attributes.glasses.categories: found ['a'], allowed is a list or mapping of at least 2",
        ),
        (
            "attributes.glasses",
            {"kind": "categorical", "level": "image", "family": "label", "categories": ["a", "a"]},
            "attributes.glasses.categories: found a, a, allowed are names that differ",
        ),
        (
            "attributes.glasses",
            {"kind": "continuous", "level": "image", "family": "label", "unit": "years", "range": [2, 1]},
            "attributes.glasses.range: found [2, 1], allowed is a smaller number before a larger one",
        ),
        ("attributes.Glasses", {}, "attributes.Glasses: found 'Glasses', allowed is a name of ^[a-z0-9_]+$"),
        ("labels", [{"path": "x", "format": "csv", "key": "k"}], "labels.0.format: found 'csv', allowed is"),
        ("columns.split", 3, "columns.split: found 3, allowed is a text"),
    ],
)
def test_an_error_is_one_sentence_with_file_key_found_and_allowed(key: str, value: Any, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(changed(key, value), Path("my.yaml"))
    assert str(raised.value).startswith(f"my.yaml: key dataset.{says}")
    assert "\n" not in str(raised.value)


def test_each_fault_may_be_told_by_itself() -> None:
    actions: dict[str, str] = dict.fromkeys(FAULTS, "fail") | dict.fromkeys(KEEPABLE, "keep")
    dataset = parse_config(changed("on_fault", actions), Path("my.yaml")).dataset
    assert isinstance(dataset, BroughtFaces)
    assert {fault: dataset.action(fault) for fault in FAULTS} == actions


def test_a_recognizer_that_is_trained_needs_a_share_of_the_people() -> None:
    values = changed("splits", {**SHARES, "recognizer": 0.0, "train": 0.6})
    with pytest.raises(ConfigError, match=r"key dataset\.splits\.recognizer: found 0, allowed is more than"):
        parse_config(values, Path("my.yaml"))
    parse_config(changed("splits", {"by": "source"}), Path("my.yaml"))  # known when the source is read


def test_the_shipped_generator_is_refused_for_faces() -> None:
    values = changed("image_size", 64)
    values["generator"]["source"] = "shipped"
    with pytest.raises(
        ConfigError,
        match=r"key generator\.source: found 'shipped', which knows the default world only; allowed is "
        r"'train', 'eigenfaces', 'file' or 'authors' where dataset\.source is 'table'",
    ):
        parse_config(values, Path("my.yaml"))


def test_the_generator_has_to_fit_the_crops() -> None:
    with pytest.raises(ConfigError, match=r"decoder_channels: found 4 numbers, allowed are 5 for images of"):
        parse_config(changed("image_size", 128), Path("my.yaml"))


def test_settings_and_attributes_speak_of_the_same_kinds() -> None:
    schema = Config.model_json_schema()["$defs"]["BinaryLabel"]["properties"]
    assert set(schema["level"]["enum"]) == set(Level.__args__)  # type: ignore[attr-defined]
    assert set(schema["family"]["enum"]) == set(Family.__args__)  # type: ignore[attr-defined]
