"""The folder of the authors' converted models: what lies where, known without reading a network."""

import json
from pathlib import Path

from attribute_recovery.config import Config
from attribute_recovery.config_authors import AuthorsGenerator
from attribute_recovery.config_files import ConfigError

PARTS = ("recognizer", "generator", "transformer")
IMPORT = "`attribute-recovery import-authors` writes such a folder"


def model_files(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Weights and card of `recognizer`, `generator` and `transformer` in a folder of models."""
    return {part: (folder / f"{part}.safetensors", folder / f"{part}.json") for part in PARTS}


def check_generator(config: Config, path: Path) -> None:
    """Make sure, before any job, that the authors' models are there and fit the images, where they are used.

    Args:
        config: the whole configuration.
        path: its file, for errors.

    Raises:
        ConfigError: as `check_models`.
    """
    if not isinstance(config.generator, AuthorsGenerator):
        return
    try:
        check_models(config.generator.models, config.dataset.image_size)
    except ValueError as error:
        raise ConfigError(f"{path}: key {error}") from None


def check_models(folder: Path, image_size: int) -> None:
    """Make sure that a folder of models is whole, and the generator one of images of this size.

    Args:
        folder: of models.
        image_size: side of the data set's images in pixels.

    Raises:
        ValueError: a file is missing, the generator's card cannot be read, or the sizes differ; the sentence
            begins with the key of the configuration.
    """
    files = model_files(folder)
    for path in (path for pair in files.values() for path in pair):
        if not path.is_file():
            raise ValueError(f"generator.models: {path} is missing; {IMPORT}")
    card = files["generator"][1]
    try:
        made = json.loads(card.read_text("utf-8"))["image_size"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"generator.models: {card} cannot be read as a card ({error!r})") from error
    if made != image_size:
        raise ValueError(
            f"generator.models: found {folder}, whose images have a side of {made}, but the data set's have "
            f"{image_size}; set the data set's image_size to {made}"
        )
