"""What is wrong with a folder of models is said by its key, before any network is read."""

import shutil
from pathlib import Path

import pytest

from attribute_recovery.config import Config, load_config
from attribute_recovery.config_authors import AuthorsDecoder, AuthorsGenerator
from attribute_recovery.config_files import ConfigError
from attribute_recovery.generator.authors_files import check_generator, check_models, model_files

ROOT = Path(__file__).parents[2]


def test_a_whole_folder_of_the_right_size_is_taken(authors_models: Path) -> None:
    check_models(authors_models, 8)


@pytest.mark.parametrize("part", ["recognizer", "generator", "transformer"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_missing_file_is_named(authors_models: Path, tmp_path: Path, part: str, place: int) -> None:
    models = Path(shutil.copytree(authors_models, tmp_path / "models"))
    model_files(models)[part][place].unlink()
    with pytest.raises(
        ValueError, match=f"^generator.models: .*{part}.* is missing; `attribute-recovery imp"
    ):
        check_models(models, 8)


def test_images_of_another_size_and_a_broken_card_are_refused(authors_models: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="^generator.models: found .* side of 8, but the data set's have 64"):
        check_models(authors_models, 64)
    models = Path(shutil.copytree(authors_models, tmp_path / "models"))
    model_files(models)["generator"][1].write_text("{}")
    with pytest.raises(ValueError, match="^generator.models: .* cannot be read as a card"):
        check_models(models, 8)


def changed(config: Config, models: Path) -> Config:
    sections = {
        "generator": AuthorsGenerator(source="authors", models=models),
        "decoder": AuthorsDecoder(source="authors", folder=None),
    }
    return config.model_copy(update=sections)


def test_a_configuration_is_checked_where_it_uses_them(authors_models: Path) -> None:
    config = load_config(ROOT / "config/tiny.yaml")
    path = Path("mine.yaml")
    check_generator(config, path)
    with pytest.raises(ConfigError, match=r"^mine.yaml: key generator.models: found .* have 32"):
        check_generator(changed(config, authors_models), path)
    with pytest.raises(ConfigError, match=r"^mine.yaml: key generator.models: nowhere/.* is missing"):
        check_generator(changed(config, Path("nowhere")), path)
