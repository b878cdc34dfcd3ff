"""A graph in ONNX Runtime is the network that it holds, whatever its batch and type."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from attribute_recovery.recognizer.card import Fitted, RecognizerCard, Template
from attribute_recovery.recognizer.onnx_graph import torch_module
from attribute_recovery.recognizer.onnx_runtime import OnnxNetwork, load_onnx, open_session, ports

Cards = Callable[..., RecognizerCard]
Models = Callable[..., Any]


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_forward_passes_are_the_networks(
    make_onnx: Models, make_card: Cards, toy: nn.Module, pixels: torch.Tensor, batch: int | str
) -> None:
    network = OnnxNetwork(make_onnx(batch).SerializeToString(), make_card(), label="toy")
    assert torch.allclose(network(pixels), toy(pixels), atol=1e-5)
    assert network(pixels[:0]).shape == (0, 6)
    assert not network.differentiable


def test_the_same_images_give_the_same_numbers(
    make_onnx: Models, make_card: Cards, pixels: torch.Tensor
) -> None:
    content = make_onnx().SerializeToString()
    first, second = (OnnxNetwork(content, make_card(), label="toy")(pixels) for _ in range(2))
    assert torch.equal(first, second)


def test_half_precision_is_taken_as_it_is(make_onnx: Models, make_card: Cards, toy: nn.Module) -> None:
    model = make_onnx()
    cast = [
        onnx.helper.make_node("Cast", ["half"], ["image"], to=onnx.TensorProto.FLOAT),
        *model.graph.node,
        onnx.helper.make_node("Cast", ["embedding"], ["short"], to=onnx.TensorProto.FLOAT16),
    ]
    del model.graph.node[:]
    model.graph.node.extend(cast)
    model.graph.input[0].name, model.graph.output[0].name = "half", "short"
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    images = torch.rand(3, 3, 16, 16)
    found = OnnxNetwork(model.SerializeToString(), make_card(), label="toy")(images)
    assert found.dtype == torch.float32
    assert torch.allclose(found, toy(images), atol=1e-2)


def test_further_dimensions_of_1_are_taken_off(
    make_onnx: Models, make_card: Cards, toy: nn.Module, pixels: torch.Tensor
) -> None:
    model = make_onnx()
    shape = onnx.helper.make_tensor("tall", onnx.TensorProto.INT64, [4], [0, 6, 1, 1])
    model.graph.initializer.append(shape)
    model.graph.node.append(onnx.helper.make_node("Reshape", ["embedding", "tall"], ["out"]))
    model.graph.output[0].CopyFrom(
        onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ["n", 6, 1, 1])
    )
    network = OnnxNetwork(model.SerializeToString(), make_card(), label="toy")
    assert torch.allclose(network(pixels), toy(pixels), atol=1e-5)


def test_gradients_come_from_the_torch_module_and_only_then(
    make_onnx: Models, make_card: Cards, toy: nn.Module, pixels: torch.Tensor
) -> None:
    made = []

    def make_twin() -> nn.Module:
        made.append(torch_module(make_onnx()))
        return made[-1]

    network = OnnxNetwork(make_onnx().SerializeToString(), make_card(), label="toy", make_twin=make_twin)
    with torch.no_grad():
        network(pixels)
    network(pixels)
    assert made == []
    given, wanted = pixels.clone().requires_grad_(), pixels.clone().requires_grad_()
    network(given).square().sum().backward()
    toy(wanted).square().sum().backward()
    assert torch.allclose(given.grad, wanted.grad, atol=1e-4)
    network(given)
    assert len(made) == 1
    assert network.differentiable


def test_without_a_torch_module_there_is_no_gradient(
    make_onnx: Models, make_card: Cards, pixels: torch.Tensor
) -> None:
    network = OnnxNetwork(make_onnx().SerializeToString(), make_card(), label="toy.onnx")
    with pytest.raises(ValueError, match=r"toy\.onnx: has no torch module, allowed are forward passes"):
        network.through_twin(pixels)
    with pytest.raises(RuntimeError, match="runs in ONNX Runtime and has no gradient"):
        network(pixels.requires_grad_()).sum().backward()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"crop_size": 20},
            r"found the inputs image .*allowed is one of .* \(n, 3, 20, 20\), as the card says",
        ),
        ({"channel_order": "gray"}, r"allowed is one of .* \(n, 1, 16, 16\)"),
        ({"embedding_size": 7}, r"found the outputs embedding .*allowed is one of shape \(n, 7\)"),
    ],
)
def test_a_graph_of_other_sizes_than_the_cards_is_refused(
    make_onnx: Models, make_card: Cards, change: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        OnnxNetwork(make_onnx().SerializeToString(), make_card(**change), label="toy.onnx")


def test_images_with_channels_last_are_refused(make_card: Cards) -> None:
    shape = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["n", 16, 16, 3])
    out = onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ["n", 768])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Flatten", ["image"], ["out"])], "g", [shape], [out]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ValueError, match=r"found the inputs image tensor\(float\) \(None, 16, 16, 3\)"):
        OnnxNetwork(model.SerializeToString(), make_card(embedding_size=768), label="toy.onnx")


def test_a_graph_that_fails_on_these_images_says_so(
    make_onnx: Models, make_card: Cards, pixels: torch.Tensor
) -> None:
    model = make_onnx(1, "Reshape")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    network = OnnxNetwork(model.SerializeToString(), make_card(), label="toy.onnx")
    with pytest.raises(ValueError, match=r"toy\.onnx: cannot be run on images \(10, 3, 16, 16\)"):
        network(pixels)


def test_a_file_that_cannot_be_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"no graph")
    with pytest.raises(ValueError, match=r"a\.onnx: cannot be run in ONNX Runtime \("):
        open_session(tmp_path / "a.onnx", str(tmp_path / "a.onnx"))


def test_ports_tell_free_dimensions(make_onnx: Models) -> None:
    session = open_session(make_onnx("batch").SerializeToString(), "toy")
    (port,) = ports(session.get_inputs())
    assert (port.name, port.shape, port.kind) == ("image", (None, 3, 16, 16), "tensor(float)")


@pytest.mark.parametrize("gradients", ["converted", "none", None])
def test_a_file_has_gradients_where_its_card_says_so(
    tmp_path: Path, make_onnx: Models, make_card: Cards, gradients: str | None
) -> None:
    onnx.save(make_onnx(), tmp_path / "a.onnx")
    fitted = gradients and Fitted(Template(0.44, 0.265), gradients, (), False, "")
    network = load_onnx(tmp_path / "a.onnx", make_card(fitted=fitted))
    assert network.differentiable == (gradients == "converted")


@pytest.mark.parametrize("first", [True, False])
def test_of_several_outputs_the_embedding_is_taken_with_its_gradients(
    make_onnx: Models, make_card: Cards, toy: nn.Module, pixels: torch.Tensor, first: bool
) -> None:
    def model() -> onnx.ModelProto:
        made = make_onnx()
        made.graph.node.append(onnx.helper.make_node("Flatten", ["image"], ["other"]))
        made.graph.output.append(
            onnx.helper.make_tensor_value_info("other", onnx.TensorProto.FLOAT, ["n", 768])
        )
        if not first:
            outputs = list(reversed(made.graph.output))
            del made.graph.output[:]
            made.graph.output.extend(outputs)
        return made

    content = model().SerializeToString()
    network = OnnxNetwork(content, make_card(), label="toy", make_twin=lambda: torch_module(model()))
    assert torch.allclose(network(pixels), toy(pixels), atol=1e-5)
    given = pixels.clone().requires_grad_()
    assert torch.allclose(network(given), toy(pixels), atol=1e-5)
    network(given).sum().backward()
    assert given.grad is not None and given.grad.abs().sum() > 0
