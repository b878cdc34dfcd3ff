"""The section of a generator that is read from a file."""

import copy
from pathlib import Path

import pytest

from attribute_recovery.config import ConfigError, load_config, parse_config, read_overlaid
from attribute_recovery.config_generator import FileGenerator, TunedGenerator

DEFAULT = Path(__file__).parents[1] / "config/default.yaml"


def test_a_generator_from_a_file_has_no_sizes_of_its_own() -> None:
    values = copy.deepcopy(read_overlaid(DEFAULT))
    values["generator"] = {"source": "file", "weights": "a/g.safetensors", "card": None}
    found = parse_config(values, Path("my.yaml")).generator
    assert isinstance(found, FileGenerator)
    assert found.card_path == Path("a/card.json")
    assert found.model_copy(update={"card": Path("b.json")}).card_path == Path("b.json")
    values["generator"]["network"] = {}
    with pytest.raises(
        ConfigError, match=r"key generator\.network: is not known; allowed are card, source, w"
    ):
        parse_config(values, Path("my.yaml"))


def test_a_generator_that_is_trained_on_has_a_training_of_its_own() -> None:
    path = DEFAULT.with_name("world-generator-tuned.yaml")
    found = load_config(path).generator
    assert isinstance(found, TunedGenerator)
    assert found.card_path == found.weights.with_name("card.json")
    values = copy.deepcopy(read_overlaid(path))
    values["generator"]["training"]["attribute_weight"] = 1.0
    with pytest.raises(
        ConfigError, match=r"key generator\.training\.attribute_weight: is not known; allowed are adv"
    ):
        parse_config(values, Path("my.yaml"))
