"""What is read back is what was trained, run as its card says, whatever the batch or the caller."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from attribute_recovery.recognizer.card import (
    Fitted,
    RecognizerCard,
    Template,
    write_recognizer_card,
)
from attribute_recovery.recognizer.crops import to_crops
from attribute_recovery.recognizer.load import Recognizer, load_recognizer
from attribute_recovery.recognizer.networks import EmbeddingNetwork
from attribute_recovery.recognizer.python_function import write_reference
from attribute_recovery.tracking.code import PackageCode
from attribute_recovery.tracking.digest import sha256_file
from attribute_recovery.training.weights import save_weights

CPU = torch.device("cpu")


def _network() -> EmbeddingNetwork:
    torch.manual_seed(0)
    network = EmbeddingNetwork(16, (8, 16), 12)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(module.weight, 1.0, 0.2)
            module.running_mean.normal_(0.0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def _card(**changes: object) -> RecognizerCard:
    card = RecognizerCard(
        name="toy",
        architecture="residual",
        channels=(8, 16),
        crop_size=16,
        template=Template(0.44, 0.265),
        channel_order="RGB",
        value_range=(-1.0, 1.0),
        interpolation="bilinear",
        embedding_size=12,
        precision="float32",
        score="cosine",
        data_sha256="",
        licence="MIT",
        weights_sha256="0" * 64,
    )
    return replace(card, **changes)


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, Path]:
    weights, card = tmp_path / "weights.safetensors", tmp_path / "card.json"
    save_weights(_network(), weights)
    write_recognizer_card(_card(weights_sha256=sha256_file(weights)), card)
    return weights, card


@pytest.fixture
def images(faces: Callable[[int, int, int], tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    return faces(5, 5, 0)[0]


def _tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_embeddings_are_those_of_the_network_and_of_length_1(
    stored: tuple[Path, Path], images: np.ndarray
) -> None:
    recognizer = load_recognizer(*stored, CPU)
    with torch.no_grad():
        features = _network()(_tensor(images))
    expected = features / features.norm(dim=1, keepdim=True)
    assert torch.allclose(recognizer.embed(_tensor(images)), expected, atol=1e-6)
    assert np.allclose(recognizer.embed_batches(images), expected, atol=1e-6)
    assert np.allclose(recognizer.represent_batches(images), features, atol=1e-5)
    assert (recognizer.embedding_size, recognizer.crop_size) == (12, 16)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_the_batch_size_does_not_matter(
    stored: tuple[Path, Path], images: np.ndarray, batch_size: int
) -> None:
    recognizer = load_recognizer(*stored, CPU)
    found = recognizer.embed_batches(images, batch_size)
    assert np.abs(found - recognizer.embed_batches(images, 25)).max() <= 1e-6


def test_the_callers_autocast_does_not_matter(stored: tuple[Path, Path], images: np.ndarray) -> None:
    recognizer = load_recognizer(*stored, CPU)
    plain = recognizer.embed(_tensor(images))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(recognizer.embed(_tensor(images)), plain)


def test_a_card_in_bf16_is_run_in_bf16(images: np.ndarray) -> None:
    plain = Recognizer(_network(), _card(), CPU).embed(_tensor(images))
    coarse = Recognizer(_network(), _card(precision="bf16"), CPU).embed(_tensor(images))
    assert coarse.dtype == torch.float32
    assert 1e-4 < (coarse - plain).abs().max() < 0.1


def test_gradients_reach_the_image_and_no_weight(stored: tuple[Path, Path], images: np.ndarray) -> None:
    recognizer = load_recognizer(*stored, CPU)
    pixels = _tensor(images).requires_grad_()
    recognizer.embed(pixels)[:, 0].sum().backward()
    assert pixels.grad is not None
    assert (pixels.grad.abs().sum(dim=(1, 2, 3)) > 0).all()
    assert all(parameter.grad is None for parameter in recognizer.network.parameters())


def test_channel_order_and_value_range_are_the_cards(images: np.ndarray) -> None:
    pixels = _tensor(images)
    plain = Recognizer(_network(), _card(), CPU)
    turned = Recognizer(_network(), _card(channel_order="BGR"), CPU)
    assert torch.equal(turned.represent(pixels), plain.represent(pixels.flip(1)))
    ranged = Recognizer(_network(), _card(value_range=(0.0, 255.0)), CPU)
    assert torch.allclose(ranged.represent(pixels), plain.represent((pixels + 1) * 127.5), atol=1e-3)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_larger_crops_are_resampled(images: np.ndarray, interpolation: str) -> None:
    recognizer = Recognizer(_network(), _card(interpolation=interpolation), CPU)
    flat = torch.full((2, 3, 16, 16), 0.25)
    wide = torch.full((2, 3, 64, 64), 0.25)
    assert torch.allclose(recognizer.embed(wide), recognizer.embed(flat), atol=1e-6)
    larger = _tensor(images).repeat_interleave(4, 2).repeat_interleave(4, 3)
    cosine = (recognizer.embed(larger) * recognizer.embed(_tensor(images))).sum(1)
    assert cosine.median() > 0.95


def test_images_of_another_form_are_refused(stored: tuple[Path, Path], images: np.ndarray) -> None:
    recognizer = load_recognizer(*stored, CPU)
    for wrong in (images.astype(np.float32), images[..., :1], images[0]):
        with pytest.raises(ValueError, match=r"images: found .*allowed is uint8 \(n, side, side, 3\)"):
            recognizer.embed_batches(wrong)
    for tensor in (
        torch.zeros(2, 16, 16, 3),
        torch.zeros(2, 3, 16, 8),
        torch.zeros(2, 3, 16, 16, dtype=torch.uint8),
    ):
        with pytest.raises(ValueError, match=r"images: found .*floating point \(n, 3, side, side\)"):
            recognizer.embed(tensor)


def test_weights_without_a_card_are_refused(stored: tuple[Path, Path]) -> None:
    weights, card = stored
    card.unlink()
    with pytest.raises(ValueError, match=r"card\.json: is missing; weights are only loaded with their card"):
        load_recognizer(weights, card, CPU)


def test_changed_weights_are_refused(stored: tuple[Path, Path]) -> None:
    weights, card = stored
    tensors = load_file(weights)
    tensors["embedding.2.weight"] += 1
    save_file(tensors, weights)
    with pytest.raises(ValueError, match=r"weights\.safetensors: found sha256 .*the card allows"):
        load_recognizer(weights, card, CPU)


def test_a_damaged_file_is_refused(stored: tuple[Path, Path]) -> None:
    weights, card = stored
    weights.write_bytes(weights.read_bytes()[:100])
    _rewrite(card, weights_sha256=sha256_file(weights))
    with pytest.raises(ValueError, match=r"weights\.safetensors: cannot be read"):
        load_recognizer(weights, card, CPU)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"embedding_size": 13}, "tensor 'embedding.2.weight': found shape"),
        ({"channels": [8, 17]}, "tensor .*: found shape"),
        ({"channels": [8]}, "tensor .*: found shape"),
        ({"crop_size": 18}, r"card\.json: size: found 18; 2 stages"),
        ({"crop_size": 32}, "tensor 'embedding.2.weight': found shape"),
    ],
)
def test_sizes_that_are_not_the_weights_are_refused(
    stored: tuple[Path, Path], change: dict[str, object], said: str
) -> None:
    _rewrite(stored[1], **change)
    with pytest.raises(ValueError, match=said):
        load_recognizer(*stored, CPU)


def _rewrite(card: Path, **changes: object) -> None:
    values = json.loads(card.read_text())
    assert set(values) == set(asdict(_card()))
    card.write_text(json.dumps(values | changes))


def _stored_as(
    folder: Path, make_card: Callable[..., RecognizerCard], content: bytes, **changes: object
) -> tuple[Path, Path]:
    weights, card = folder / "weights.safetensors", folder / "card.json"
    weights.write_bytes(content)
    write_recognizer_card(make_card(weights_sha256=sha256_file(weights), **changes), card)
    return weights, card


def _content(kind: str, folder: Path, toy: nn.Module, make_onnx: Callable[..., object]) -> bytes:
    """The toy network in a format, as a file of it."""
    path = folder / f"toy.{kind}"
    if kind == "onnx":
        return make_onnx().SerializeToString()
    if kind == "toynet":
        save_weights(toy, path)
    elif kind == "exported":
        path = folder / "toy.pt2"
        torch.export.save(torch.export.export(toy, (torch.rand(1, 3, 16, 16),)), path)
    elif kind == "torchscript":
        torch.jit.save(torch.jit.trace(toy, torch.rand(2, 3, 16, 16)), path)
    else:
        (folder / "toy_function.py").write_text(
            "import numpy as np\n\n\ndef embed(images):\n    return images.reshape(len(images), -1)[:, :6]\n"
        )
        write_reference("toy_function:embed", path)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["onnx", "toynet", "exported", "torchscript", "python"])
@pytest.mark.usefixtures("catalogue")
def test_every_format_is_read_back_under_the_one_name(
    kind: str,
    tmp_path: Path,
    toy: nn.Module,
    make_onnx: Callable[..., object],
    make_card: Callable[..., RecognizerCard],
    images: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    content = _content(kind, tmp_path, toy, make_onnx)
    gradients = "none" if kind == "python" else "converted" if kind == "onnx" else "own"
    fitted = Fitted(Template(0.44, 0.265), gradients, (), False, "")
    recognizer = load_recognizer(
        *_stored_as(tmp_path, make_card, content, architecture=kind, fitted=fitted), CPU
    )
    expected = _tensor(images).reshape(25, -1)[:, :6] if kind == "python" else toy(_tensor(images))
    assert np.abs(recognizer.represent_batches(images, 7) - expected.numpy()).max() < 1e-5
    assert (recognizer.embedding_size, recognizer.differentiable) == (6, kind != "python")
    words = {
        "none": "none: a black box",
        "converted": "a torch module of the ONNX",
        "own": "the network's own",
    }
    assert recognizer.gradient_source.startswith(words[gradients])
    given = _tensor(images).requires_grad_()
    loss = recognizer.embed(given)[:, 0].sum()
    if kind == "python":
        with pytest.raises(RuntimeError, match="recognizer 'toy': the function .* is a black box"):
            loss.backward()
        return
    loss.backward()
    wanted = _tensor(images).requires_grad_()
    nn.functional.normalize(toy(wanted))[:, 0].sum().backward()
    assert torch.allclose(given.grad, wanted.grad, atol=1e-6)


def test_an_onnx_file_that_nothing_was_found_out_about_gives_no_gradient(
    tmp_path: Path,
    make_onnx: Callable[..., object],
    make_card: Callable[..., RecognizerCard],
    images: np.ndarray,
) -> None:
    recognizer = load_recognizer(
        *_stored_as(tmp_path, make_card, make_onnx().SerializeToString()), torch.device("cpu")
    )
    assert not recognizer.differentiable
    loss = recognizer.embed(_tensor(images).requires_grad_()).sum()
    with pytest.raises(RuntimeError, match="recognizer 'toy': runs in ONNX Runtime and has no gradient"):
        loss.backward()


def test_images_of_another_template_are_moved_first(
    make_card: Callable[..., RecognizerCard], toy: nn.Module
) -> None:
    fitted = Fitted(Template(0.44, 0.265), "own", (), False, "")
    card = make_card(architecture="exported", template=Template(0.5, 0.4), fitted=fitted)
    pixels = torch.rand(2, 3, 32, 32) * 2 - 1
    moved = Recognizer(toy, card, CPU).represent(pixels)
    assert torch.allclose(moved, toy(to_crops(pixels, card)), atol=1e-6)
    assert not torch.allclose(moved, Recognizer(toy, make_card(), CPU).represent(pixels), atol=1e-2)


def test_embeddings_of_another_number_or_size_are_refused(
    make_card: Callable[..., RecognizerCard], toy: nn.Module
) -> None:
    pixels = torch.rand(4, 3, 16, 16)
    with pytest.raises(
        ValueError, match=r"found embeddings \(4, 6\) of 4 images, allowed is \(4, 7\), as the card says"
    ):
        Recognizer(toy, make_card(embedding_size=7), CPU).embed(pixels)
    merged = nn.Sequential(toy, nn.Flatten(0), nn.Unflatten(0, (1, -1)))
    with pytest.raises(ValueError, match=r"found embeddings \(1, 24\) of 4 images"):
        Recognizer(merged, make_card(), CPU).embed(pixels)


@pytest.mark.usefixtures("catalogue")
def test_sizes_that_the_catalogue_cannot_make_name_the_card(
    tmp_path: Path, make_card: Callable[..., RecognizerCard]
) -> None:
    stored = _stored_as(tmp_path, make_card, b"", architecture="toynet", embedding_size=9)
    with pytest.raises(ValueError, match=r"card\.json: toynet: found sizes 9 and 16"):
        load_recognizer(*stored, CPU)


def test_the_code_that_loads_is_not_that_which_trains_or_brings() -> None:
    """Else every change of a training would run all later stages again."""
    reached = PackageCode().reached("attribute_recovery.recognizer.load:load_recognizer")
    rooms = {name.partition(":")[0].rpartition(".")[2] for name in reached if ".recognizer." in name}
    assert {"load", "onnx_runtime", "python_function"} <= rooms
    assert rooms.isdisjoint({"train", "prepare", "bring", "agreement", "card_draft", "checkpoint"})
