"""When attributes can be read, and which stages a run goes without where they cannot."""

from pathlib import Path

import pytest

from attribute_recovery.config import STAGES_OF_ATTRIBUTES, ConfigError, load_config
from attribute_recovery.config_attributes import AttributesSection, Heads, OnnxHeads

CONFIG = Path(__file__).parents[1] / "config"


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("extends: default.yaml", False),
        ("extends: faces-folders.yaml", True),
        ("extends: faces-table.yaml", False),
        ("extends: faces-table.yaml\ndataset: {attributes: null}\n", None),
        ("extends: heads-onnx.yaml", False),
        ("extends: heads-python.yaml", False),
        (
            "extends: faces-folders.yaml\n"
            "dataset: {attributes: {hat: {kind: binary, level: image, family: label}}}",
            False,
        ),
    ],
)
def test_stages_about_attributes_are_left_out_without_any(
    tmp_path: Path, text: str, left_out: bool | None
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("extends: ", f"extends: {CONFIG}/"))
    if left_out is None:
        with pytest.raises(ValueError, match="dataset.*attributes"):
            load_config(path)
        return
    config = load_config(path)
    assert config.reads_attributes is not left_out
    assert config.left_out_stages == (list(STAGES_OF_ATTRIBUTES) if left_out else [])


def test_brought_heads_have_keys_of_their_own(tmp_path: Path) -> None:
    config = load_config(CONFIG / "heads-onnx.yaml")
    assert config.brings_heads and config.attributes.heads == OnnxHeads(
        source="onnx", weights=Path("mine/heads.onnx")
    )
    assert config.attributes.editor == load_config(CONFIG / "default.yaml").attributes.editor
    assert not load_config(CONFIG / "default.yaml").brings_heads
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: {CONFIG}/heads-onnx.yaml\nattributes: {{heads: {{steps: 3}}}}\n")
    with pytest.raises(
        ConfigError, match=r"key attributes.heads.steps: is not known; allowed are source, weights"
    ):
        load_config(path)
    path.write_text(f"extends: {CONFIG}/heads-python.yaml\nattributes: {{heads: {{trusted: false}}}}\n")
    with pytest.raises(ConfigError, match=r"key attributes.heads.trusted: found False, allowed is true"):
        load_config(path)
    path.write_text(f"extends: {CONFIG}/default.yaml\nattributes: {{heads: {{source: mine}}}}\n")
    with pytest.raises(
        ConfigError, match=r"attributes.heads.source: found 'mine', allowed is 'train' or 'onnx' or"
    ):
        load_config(path)


def test_heads_of_another_source_start_anew_and_of_the_same_do_not(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: {CONFIG}/default.yaml\nattributes: {{heads: {{steps: 3}}}}\n")
    heads = load_config(path).attributes.heads
    assert isinstance(heads, Heads) and heads.steps == 3 and heads.batch_size > 0
    plain = load_config(CONFIG / "heads-python.yaml").attributes.model_dump(mode="json")
    assert AttributesSection.model_validate(plain) == load_config(CONFIG / "heads-python.yaml").attributes


def test_brought_heads_are_not_cross_fitted(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    recognizer = "{source: weights, weights: w.safetensors, threshold: {fmr: 0.1}}"
    splits = f"dataset: {{splits: {{by: folds, folds: 5}}}}\nrecognizers: {{default: {recognizer}}}"
    path.write_text(f"extends: {CONFIG}/heads-onnx.yaml\n{splits}\n")
    with pytest.raises(
        ConfigError, match=r"key dataset.splits.by: found 'folds', allowed is 'shares' or 'source'"
    ):
        load_config(path)


@pytest.mark.parametrize(
    "generator",
    [
        "{source: eigenfaces, code_size: 8, copies: 2, augmentation: 0.0}",
        "{source: authors, models: models/authors-mb}",
    ],
)
def test_generators_without_a_trunk_are_none_to_start_heads_from(tmp_path: Path, generator: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: {CONFIG}/default.yaml\ngenerator: {generator}\n")
    with pytest.raises(
        ConfigError,
        match=r"attributes.heads.trunk: found 'encoder', allowed are channels of a trunk of its own",
    ):
        load_config(path)
    path.write_text(path.read_text() + "attributes: {heads: {trunk: [8, 8]}}\n")
    if "eigenfaces" in generator:
        assert load_config(path).attributes.heads.trunk == (8, 8)  # type: ignore[union-attr]
