"""The authors' generator, decoder and recognizer go together, or one sentence says what is missing."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from attribute_recovery.config import Config, ConfigError, DecoderConfig, GeneratorConfig, parse_config
from attribute_recovery.config_authors import AuthorsDecoder, AuthorsGenerator, FolderSection
from attribute_recovery.config_files import read_overlaid

ROOT = Path(__file__).parents[1]
TINY = ROOT / "config" / "tiny.yaml"
OWN = {
    "source": "weights",
    "weights": "models/recognizer.safetensors",
    "threshold": {"fmr": 0.01},
}


def parsed(tmp_path: Path, **changes: Any) -> Config:
    """The tiny configuration with the authors' models, and changes of whole sections on top."""
    values = read_overlaid(TINY)
    values |= {
        "generator": {"source": "authors", "models": "models"},
        "decoder": {"source": "authors", "folder": None},
        "recognizers": {"mb": OWN},
    }
    values["attributes"]["heads"]["trunk"] = [8, 16, 16]
    return parse_config(values | changes, tmp_path / "mine.yaml")


def test_the_three_go_together(tmp_path: Path) -> None:
    config = parsed(tmp_path)
    assert config.generator == AuthorsGenerator(source="authors", models=Path("models"))
    assert isinstance(config.decoder, AuthorsDecoder) and config.decoder.samples == 1
    for adapter, section in (
        (TypeAdapter(GeneratorConfig), config.generator),
        (TypeAdapter(DecoderConfig), config.decoder),
    ):
        plain = section.model_dump(mode="json")
        assert adapter.validate_python(plain) == section


def test_a_folder_to_run_on(tmp_path: Path) -> None:
    folder = {"images": "lfw", "directions": 50, "points": 0, "batch_size": 16}
    config = parsed(tmp_path, decoder={"source": "authors", "folder": folder})
    assert isinstance(config.decoder, AuthorsDecoder)
    assert config.decoder.folder == FolderSection(images=Path("lfw"), directions=50, points=0, batch_size=16)
    with pytest.raises(ConfigError, match=r"decoder\.folder\.directions: found -1, allowed is 0 or more"):
        parsed(tmp_path, decoder={"source": "authors", "folder": folder | {"directions": -1}})


def test_a_trained_t_may_stand_before_their_generator(tmp_path: Path) -> None:
    other = OWN | {"weights": "other.safetensors"}
    config = parsed(tmp_path, decoder=read_overlaid(TINY)["decoder"], recognizers={"other": other})
    assert config.decoder.source == "train"


def test_their_t_needs_their_generator(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"key decoder\.source: found 'authors', allowed is 'train' where"):
        parsed(tmp_path, generator=read_overlaid(TINY)["generator"])


def test_more_than_one_recognizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="key recognizers: found mb, other, allowed is one where generator"):
        parsed(tmp_path, recognizers={"mb": OWN, "other": OWN})


@pytest.mark.parametrize(
    ("recognizer", "shown"),
    [
        (OWN | {"weights": "other/recognizer.safetensors"}, "other/recognizer.safetensors"),
        (OWN | {"source": "onnx", "weights": "models/recognizer.safetensors"}, "source 'onnx'"),
    ],
)
def test_their_t_needs_their_recognizer(tmp_path: Path, recognizer: dict[str, Any], shown: str) -> None:
    with pytest.raises(
        ConfigError,
        match=rf"key recognizers\.mb: found {shown}, allowed are source: weights and weights: mod",
    ):
        parsed(tmp_path, recognizers={"mb": recognizer})


def test_the_same_file_by_another_path_is_theirs(tmp_path: Path) -> None:
    parsed(tmp_path, recognizers={"mb": OWN | {"weights": "./x/../models/recognizer.safetensors"}})


def test_sections_that_become_the_authors_start_anew(tmp_path: Path) -> None:
    """The keys of the file that is extended are those of a training."""
    (tmp_path / "mine.yaml").write_text(
        f"extends: {TINY}\n"
        "generator: {source: authors, models: a}\n"
        "decoder: {source: authors, folder: null}\n"
    )
    found = read_overlaid(tmp_path / "mine.yaml")
    assert found["generator"] == {"source": "authors", "models": "a"}
    assert found["decoder"] == {"source": "authors", "folder": None}
    (tmp_path / "again.yaml").write_text("extends: mine.yaml\ngenerator: {models: b}\n")
    assert read_overlaid(tmp_path / "again.yaml")["generator"] == {"source": "authors", "models": "b"}
    (tmp_path / "back.yaml").write_text("extends: mine.yaml\ngenerator: {source: train}\n")
    assert read_overlaid(tmp_path / "back.yaml")["generator"] == {"source": "train"}


def test_the_shipped_generator_and_a_trained_one_share_their_keys(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        f"extends: {ROOT}/config/default.yaml\ngenerator: {{source: train}}\n"
    )
    assert read_overlaid(tmp_path / "mine.yaml")["generator"]["network"]["code_size"] == 64
