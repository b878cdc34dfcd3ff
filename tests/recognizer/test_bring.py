"""Every kind of recognizer that somebody brings is taken in with what was found out, or refused whole."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from attribute_recovery.config_recognizers import (
    BroughtRecognizer,
    CheckpointRecognizer,
    ExportedRecognizer,
    FmrThreshold,
    OnnxRecognizer,
    PythonRecognizer,
    TorchScriptRecognizer,
    WeightsRecognizer,
)
from attribute_recovery.dataset.store import read_images, write_array
from attribute_recovery.recognizer import bring as module
from attribute_recovery.recognizer.bring import bring, sampled_images, template_notes
from attribute_recovery.recognizer.card import RecognizerCard, read_recognizer_card, write_recognizer_card
from attribute_recovery.recognizer.load import Recognizer, load_recognizer
from attribute_recovery.recognizer.template import AnyTemplate, Template
from attribute_recovery.tracking.digest import sha256_file
from attribute_recovery.training.weights import save_weights

CPU = torch.device("cpu")
WORLD = Template(0.44, 0.265)
THRESHOLD = FmrThreshold(fmr=0.01)
Cards = Callable[..., RecognizerCard]
Models = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("catalogue")


@pytest.fixture(autouse=True)
def in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("brought", None)


def _brought(
    settings: BroughtRecognizer, dataset: tuple[Path, Path], *, template: AnyTemplate = WORLD
) -> tuple[dict[str, Any], RecognizerCard, Recognizer]:
    weights, card = Path("out/weights.safetensors"), Path("out/card.json")
    metrics = bring(settings, CPU, template, images=dataset[0], weights=weights, card=card)
    return metrics, read_recognizer_card(card), load_recognizer(weights, card, CPU)


def _with_card(path: Path, card: RecognizerCard) -> Path:
    write_recognizer_card(replace(card, weights_sha256=sha256_file(path)), path.with_suffix(".json"))
    return path


def _onnx(model: Any, card: RecognizerCard) -> OnnxRecognizer:
    onnx.save(model, "brought.onnx")
    return OnnxRecognizer(source="onnx", weights=_with_card(Path("brought.onnx"), card), threshold=THRESHOLD)


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_an_onnx_file_gets_a_free_batch_and_gradients(
    dataset: tuple[Path, Path], make_onnx: Models, make_card: Cards, toy: nn.Module, batch: int | str
) -> None:
    settings = _onnx(make_onnx(batch, "Reshape" if batch != "n" else "Flatten"), make_card())
    metrics, card, recognizer = _brought(settings, dataset)
    images = read_images(dataset[0])
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert np.abs(recognizer.represent_batches(images) - toy(tensor).numpy()).max() < 1e-5
    assert card.fitted.gradients == "converted"
    assert card.fitted.source_sha256 == sha256_file(settings.weights)
    assert (card.weights_sha256 == card.fitted.source_sha256) == (batch == "n")
    assert not card.fitted.runs_user_code
    assert ("fixes its batch" in card.fitted.notes[0]) == (batch != "n")
    assert card.fitted.notes[-1].startswith("Gradients come from a torch module of the graph, which agrees")
    assert metrics == {
        "source": "onnx",
        "name": "toy",
        "embedding_size": 6,
        "parameters": None,
        "differentiable": True,
        "runs_user_code": False,
        "batch_difference": metrics["batch_difference"],
    }
    assert metrics["batch_difference"] < 1e-5
    recognizer.embed(tensor[:5].requires_grad_()).square().sum().backward()


def test_a_batch_that_cannot_be_made_free_is_kept(
    dataset: tuple[Path, Path], make_onnx: Models, make_card: Cards, toy: nn.Module
) -> None:
    settings = _onnx(make_onnx(1, "Expand"), make_card())
    _, card, recognizer = _brought(settings, dataset)
    assert card.weights_sha256 == card.fitted.source_sha256
    assert card.fitted.notes[0].startswith("The graph fixes its batch to 1 and is run so: made free, ")
    images = read_images(dataset[0])[:9]
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert np.abs(recognizer.represent_batches(images) - toy(tensor).numpy()).max() < 1e-5


def test_a_torch_module_that_says_something_else_is_not_taken(
    dataset: tuple[Path, Path], make_onnx: Models, make_card: Cards, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)[:, :6]

    monkeypatch.setattr(module, "torch_module", lambda model: Wrong())
    metrics, card, recognizer = _brought(_onnx(make_onnx(), make_card()), dataset)
    assert card.fitted.gradients == "none"
    assert not (metrics["differentiable"] or recognizer.differentiable)
    assert card.fitted.notes[-1].startswith(
        "Forward passes only, since no torch module of the graph agrees: embeddings differ by up to"
    )


def test_a_graph_that_torch_does_not_have_runs_forward(
    dataset: tuple[Path, Path], make_onnx: Models, make_card: Cards, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(model: Any) -> nn.Module:
        raise ValueError("the graph cannot be made a torch module (Mystery)")

    monkeypatch.setattr(module, "torch_module", refusing)
    _, card, recognizer = _brought(_onnx(make_onnx(), make_card()), dataset)
    assert "since no torch module of the graph agrees: the graph cannot be" in card.fitted.notes[-1]
    assert recognizer.gradient_source.startswith("none")


def test_a_checkpoint_is_converted(
    dataset: tuple[Path, Path], make_card: Cards, toy: nn.Module, pixels: torch.Tensor
) -> None:
    torch.save({"ours": {f"module.{k}": v for k, v in toy.state_dict().items()}}, "brought.pth")
    path = _with_card(Path("brought.pth"), make_card(architecture="toynet"))
    settings = CheckpointRecognizer(source="checkpoint", weights=path, key="ours", threshold=THRESHOLD)
    metrics, card, recognizer = _brought(settings, dataset)
    assert torch.allclose(recognizer.represent(pixels), toy(pixels), atol=1e-5)
    assert card.weights_sha256 != card.fitted.source_sha256 == sha256_file(path)
    assert (metrics["parameters"], metrics["differentiable"]) == (1654 + 12, True)


def test_weights_of_a_catalogued_network_are_read(
    dataset: tuple[Path, Path], make_card: Cards, toy: nn.Module, pixels: torch.Tensor
) -> None:
    save_weights(toy, Path("brought.safetensors"))
    path = _with_card(Path("brought.safetensors"), make_card(architecture="toynet"))
    settings = WeightsRecognizer(source="weights", weights=path, threshold=THRESHOLD)
    _, _, recognizer = _brought(settings, dataset)
    assert torch.allclose(recognizer.represent(pixels), toy(pixels), atol=1e-5)


def test_an_exported_program_is_run(
    dataset: tuple[Path, Path], make_card: Cards, toy: nn.Module, pixels: torch.Tensor
) -> None:
    torch.export.save(torch.export.export(toy, (torch.rand(1, 3, 16, 16),)), "brought.pt2")
    path = _with_card(Path("brought.pt2"), make_card(architecture="exported"))
    settings = ExportedRecognizer(source="exported", weights=path, threshold=THRESHOLD)
    metrics, card, recognizer = _brought(settings, dataset)
    assert torch.allclose(recognizer.represent(pixels), toy(pixels), atol=1e-5)
    assert (card.fitted.gradients, metrics["differentiable"]) == ("own", True)


def test_a_program_that_was_exported_while_training_is_refused(
    dataset: tuple[Path, Path], make_card: Cards
) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(768, track_running_stats=False), nn.Linear(768, 6))
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(network, (torch.rand(2, 3, 16, 16),), dynamic_shapes=shapes)
    torch.export.save(program, "brought.pt2")
    path = _with_card(Path("brought.pt2"), make_card(architecture="exported"))
    settings = ExportedRecognizer(source="exported", weights=path, threshold=THRESHOLD)
    with pytest.raises(ValueError, match="embedding|batch"):
        _brought(settings, dataset)
    assert not list(Path("out").iterdir())


def test_torchscript_runs_and_is_named(
    dataset: tuple[Path, Path], make_card: Cards, toy: nn.Module, pixels: torch.Tensor
) -> None:
    torch.jit.save(torch.jit.script(toy), "brought.pt")
    path = _with_card(Path("brought.pt"), make_card(architecture="torchscript"))
    settings = TorchScriptRecognizer(source="torchscript", weights=path, trusted=True, threshold=THRESHOLD)
    metrics, card, recognizer = _brought(settings, dataset)
    assert torch.allclose(recognizer.represent(pixels), toy(pixels), atol=1e-5)
    assert metrics["runs_user_code"] is card.fitted.runs_user_code is True
    assert card.fitted.notes[-1] == "The file is TorchScript, which is code of the user's."


def _function(card: RecognizerCard, source: str = "return images.reshape(len(images), -1)[:, :6]") -> Any:
    Path("brought.py").write_text(f"def embed(images):\n    {source}\n")
    write_recognizer_card(card, Path("mine.json"))
    return PythonRecognizer(
        source="python",
        function="brought:embed",
        card=Path("mine.json"),
        trusted=True,
        threshold=THRESHOLD,
    )


def test_a_function_runs_and_is_named(
    dataset: tuple[Path, Path], make_card: Cards, pixels: torch.Tensor
) -> None:
    settings = _function(make_card(architecture="python", weights_sha256="", value_range=(0.0, 1.0)))
    metrics, card, recognizer = _brought(settings, dataset)
    assert torch.allclose(recognizer.represent(pixels), (pixels.flatten(1)[:, :6] + 1) / 2, atol=1e-6)
    assert metrics["runs_user_code"] is card.fitted.runs_user_code is True
    assert (card.fitted.gradients, metrics["differentiable"]) == ("none", False)
    assert card.fitted.source_sha256 == sha256_file(Path("brought.py"))
    assert "The function brought:embed is run, which is code of the user's." in card.fitted.notes


def test_a_function_may_be_pinned(dataset: tuple[Path, Path], make_card: Cards) -> None:
    settings = _function(make_card(architecture="python", weights_sha256="0" * 64))
    with pytest.raises(
        ValueError, match=r"function 'brought:embed': found a source of sha256 .*the card allows 00"
    ):
        _brought(settings, dataset)
    pinned = sha256_file(Path("brought.py"))
    write_recognizer_card(make_card(architecture="python", weights_sha256=pinned), Path("mine.json"))
    assert _brought(settings, dataset)[0]["source"] == "python"


def test_a_function_that_fails_leaves_nothing_behind(dataset: tuple[Path, Path], make_card: Cards) -> None:
    settings = _function(
        make_card(architecture="python", weights_sha256=""), "raise OSError('service is down')"
    )
    with pytest.raises(ValueError, match=r"failed on images .*\(OSError: service is down\)"):
        _brought(settings, dataset)
    assert not list(Path("out").iterdir())


@pytest.mark.parametrize(
    ("architecture", "source", "allowed"),
    [("exported", "onnx", "'onnx'"), ("onnx", "weights", "'residual' or a name of the catalogue")],
)
def test_a_card_of_another_kind_is_refused(
    dataset: tuple[Path, Path],
    make_card: Cards,
    make_onnx: Models,
    architecture: str,
    source: str,
    allowed: str,
) -> None:
    path = _onnx(make_onnx(), make_card(architecture=architecture)).weights
    kinds = {"onnx": OnnxRecognizer, "weights": WeightsRecognizer}
    settings = kinds[source](source=source, weights=path, threshold=THRESHOLD)
    with pytest.raises(
        ValueError,
        match=rf"brought\.json: field architecture: found '{architecture}', allowed is {allowed} for",
    ):
        _brought(settings, dataset)


def test_other_weights_than_the_cards_are_refused(
    dataset: tuple[Path, Path], make_card: Cards, make_onnx: Models
) -> None:
    settings = _onnx(make_onnx(), make_card())
    write_recognizer_card(make_card(), Path("brought.json"))
    with pytest.raises(ValueError, match=r"brought\.onnx: found sha256 .*the card allows 0000"):
        _brought(settings, dataset)


def test_a_file_without_a_card_is_refused(
    dataset: tuple[Path, Path], make_card: Cards, make_onnx: Models
) -> None:
    settings = _onnx(make_onnx(), make_card())
    Path("brought.json").unlink()
    with pytest.raises(
        ValueError, match=r"brought\.json: is missing; weights are only loaded with their card"
    ):
        _brought(settings, dataset)


@pytest.mark.parametrize(
    ("card", "images", "beginnings"),
    [
        (WORLD, WORLD, []),
        ("as given", WORLD, ["Nothing is known of where the eyes lie in crops of the recognizer"]),
        (WORLD, "as given", ["Nothing is known of where the eyes lie in crops of the data set"]),
        (Template(0.44, 0.4), WORLD, ["Faces were moved from the data set's template"]),
        (WORLD, Template(0.44, 0.4), ["Faces were moved", "57% of each crop lies outside of the image"]),
    ],
)
def test_what_is_said_of_templates(
    make_card: Cards, card: AnyTemplate, images: AnyTemplate, beginnings: list[str]
) -> None:
    notes = template_notes(make_card(template=card), images)
    assert len(notes) == len(beginnings)
    assert all(note.startswith(beginning) for note, beginning in zip(notes, beginnings, strict=True))


@pytest.mark.parametrize(("count", "rows"), [(3, [0, 35, 71]), (100, list(range(72)))])
def test_images_are_taken_from_all_over_the_data_set(
    dataset: tuple[Path, Path], count: int, rows: list[int]
) -> None:
    found = sampled_images(dataset[0], count)
    assert torch.equal(
        ((found + 1) * 127.5).round().byte(),
        torch.from_numpy(read_images(dataset[0]))[rows].permute(0, 3, 1, 2),
    )


def test_one_image_is_not_enough(tmp_path: Path) -> None:
    write_array(tmp_path / "one.bcolz", [np.zeros((1, 16, 16, 3), np.uint8)], (16, 16, 3), np.uint8, 1)
    with pytest.raises(ValueError, match=r"one\.bcolz: found 1 images, a recognizer is tried on at least 2"):
        sampled_images(tmp_path / "one.bcolz")
