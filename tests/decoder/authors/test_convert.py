"""The authors' files are converted whole, with cards, or not at all; each fault gets its sentence."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from attribute_recovery.decoder.authors.convert import (
    import_authors,
    recognizer_card,
    source_files,
)
from attribute_recovery.generator.authors import Sizes
from attribute_recovery.generator.authors_files import model_files
from attribute_recovery.generator.cards import GENERATOR_KEYS, TRANSFORMER_KEYS
from attribute_recovery.recognizer.card import RecognizerCard
from attribute_recovery.tracking.digest import sha256_file

from .conftest import SIZES, Imported, write_authors_files


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_authors_files(tmp_path, "mb")
    return tmp_path


def convert(source: Path) -> None:
    import_authors(source, "mb", source / "models", sizes=SIZES)


def test_weights_come_over_under_their_names(imported: Imported) -> None:
    files = model_files(imported.models)
    for part in ("recognizer", "transformer"):
        found, network = load_file(files[part][0]), imported.networks[part]
        assert isinstance(network, nn.Module)
        assert found.keys() == network.state_dict().keys()
        assert all(torch.equal(found[name], value) for name, value in network.state_dict().items())
    found, network = load_file(files["generator"][0]), imported.networks["generator"]
    assert isinstance(network, nn.Module)
    assert torch.equal(found.pop("mean"), imported.networks["mean"][0])
    assert found.keys() == {f"network.{name}" for name in network.state_dict()}
    assert torch.equal(found["network.style.1.weight"], network.style[1].weight)


def test_cards_say_what_the_weights_need(imported: Imported) -> None:
    files = model_files(imported.models)
    cards = {part: json.loads(card.read_text()) for part, (_, card) in files.items()}
    digests = {part: sha256_file(weights) for part, (weights, _) in files.items()}
    recognizer = cards["recognizer"]
    assert set(recognizer) >= set(RecognizerCard.__dataclass_fields__) - {"fitted"}
    assert recognizer["architecture"] == "mobilefacenet"
    assert recognizer["interpolation"] == "bilinear_aligned_corners"
    assert (recognizer["crop_size"], recognizer["embedding_size"]) == (16, 10)
    assert recognizer["weights_sha256"] == digests["recognizer"]
    assert set(cards["generator"]) == GENERATOR_KEYS
    assert set(cards["transformer"]) == TRANSFORMER_KEYS
    assert cards["transformer"]["recognizer_sha256"] == digests["recognizer"]
    assert cards["transformer"]["generator_sha256"] == digests["generator"]
    assert cards["transformer"]["code_size"] == 4 * 12
    assert set(imported.models.iterdir()) == {path for pair in files.values() for path in pair}


def test_the_authors_sizes_and_names() -> None:
    card = recognizer_card("r50", Sizes(), "0" * 64)
    assert (card["architecture"], card["crop_size"], card["embedding_size"]) == ("ir50", 112, 512)
    files = source_files(Path("a"), "r50")
    assert [path.name for path in files.values()] == [
        "arcface_r50.pth",
        "550000.pt",
        "id_delta_gc_rm_r50.pth",
        "mean_wplus.pth",
    ]
    with pytest.raises(ValueError, match="name: found 'r100', allowed are mb, r50"):
        source_files(Path("a"), "r100")


def test_r50_is_converted_too(tmp_path: Path) -> None:
    networks = write_authors_files(tmp_path, "r50")
    import_authors(tmp_path, "r50", tmp_path / "models", sizes=SIZES)
    weights, card = model_files(tmp_path / "models")["recognizer"]
    assert json.loads(card.read_text())["architecture"] == "ir50"
    assert isinstance(networks["recognizer"], nn.Module)
    wanted = networks["recognizer"].state_dict()["body.23.res_layer.6.fc2.weight"]
    assert torch.equal(load_file(weights)["body.23.res_layer.6.fc2.weight"], wanted)


def test_equal_files_give_equal_bytes(imported: Imported, tmp_path: Path) -> None:
    import_authors(imported.source, "mb", tmp_path / "again", sizes=SIZES)
    for name in ("recognizer", "generator", "transformer"):
        for ending in ("safetensors", "json"):
            again = (tmp_path / "again" / f"{name}.{ending}").read_bytes()
            assert again == (imported.models / f"{name}.{ending}").read_bytes()


@pytest.mark.parametrize("part", ["recognizer", "generator", "transformer", "mean"])
def test_nothing_is_written_where_one_file_is_missing(source: Path, part: str) -> None:
    path = source_files(source, "mb")[part]
    path.unlink()
    before = set(source.iterdir())
    with pytest.raises(ValueError, match=f"{path.name}: is missing, expected a checkpoint"):
        convert(source)
    assert set(source.iterdir()) == before


def test_files_of_another_layout_are_named(source: Path) -> None:
    files = source_files(source, "mb")
    with pytest.raises(
        ValueError, match=r"arcface_mb.pth: tensor 'conv_6_dw.conv.weight': found shape .*, a M"
    ):
        import_authors(source, "mb", source / "models")
    torch.save({"input_layer.0.weight": torch.zeros(1)}, files["recognizer"])
    with pytest.raises(
        ValueError, match="arcface_mb.pth: tensor 'conv1.conv.weight' of shape .* is missing for"
    ):
        convert(source)
    assert not (source / "models").exists()


def test_a_generator_is_looked_for_under_its_key_only(source: Path) -> None:
    path = source_files(source, "mb")["generator"]
    torch.save({"g": torch.load(path)["g_ema"]}, path)
    with pytest.raises(
        ValueError, match="550000.pt: found no state dict under key 'g_ema'; its keys are 'g'"
    ):
        convert(source)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (torch.zeros(4, 11), r"\(4, 11\)"),
        ({"a": torch.zeros(4, 12), "b": torch.zeros(1)}, r"\(4, 12\), \(1,\)"),
    ],
)
def test_a_mean_of_another_shape_is_named(source: Path, content: object, said: str) -> None:
    torch.save(content, source_files(source, "mb")["mean"])
    with pytest.raises(ValueError, match=rf"mean_wplus.pth: found {said}, allowed is .* shape \(1, 4, 12\)"):
        convert(source)


def test_a_mean_without_the_first_axis_is_the_same(source: Path, imported: Imported) -> None:
    path = source_files(source, "mb")["mean"]
    torch.save({"mean": torch.load(path)[0]}, path)
    convert(source)
    own, other = (
        sha256_file(folder / "generator.safetensors") for folder in (source / "models", imported.models)
    )
    assert own == other


def test_a_pickle_is_refused(source: Path) -> None:
    torch.save(nn.Linear(2, 2), source_files(source, "mb")["transformer"])
    with pytest.raises(ValueError, match="id_delta_gc_rm_mb.pth: holds more than weights"):
        convert(source)
    assert not (source / "models").exists()


def test_models_never_take_the_place_of_other_files(source: Path) -> None:
    convert(source)
    convert(source)  # its own files may be made again
    with pytest.raises(ValueError, match="holds '550000.pt', allowed is a new folder"):
        import_authors(source, "mb", source, sizes=SIZES)
    (source / "models" / "notes.txt").write_text("mine")
    with pytest.raises(
        ValueError, match="models: holds 'notes.txt', allowed is a new folder, or one that an"
    ):
        convert(source)
    with pytest.raises(ValueError, match="550000.pt: is a file, allowed is a new folder"):
        import_authors(source, "mb", source / "550000.pt", sizes=SIZES)
