"""A graph's batch made free, and graphs in torch, against the network that they hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from attribute_recovery.recognizer.onnx_graph import read_graph, torch_module, with_free_batch


def _run(model: Any, images: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]


@pytest.mark.parametrize(
    ("batch", "flatten"), [(1, "Flatten"), (4, "Flatten"), (1, "Reshape"), (4, "Reshape"), (1, "Shaped")]
)
def test_a_fixed_batch_is_made_free(
    make_onnx: Callable[..., Any], toy: nn.Module, pixels: torch.Tensor, batch: int, flatten: str
) -> None:
    model = make_onnx(batch, flatten)
    before = model.SerializeToString()
    freed = with_free_batch(model)
    assert model.SerializeToString() == before
    for count in (1, 3, 10):
        assert np.abs(_run(freed, pixels[:count]) - toy(pixels[:count]).numpy()).max() < 1e-5


def test_a_shape_that_a_bias_uses_too_stays_as_it_is_there(make_onnx: Callable[..., Any]) -> None:
    freed = with_free_batch(make_onnx(1, "Shaped"))
    shapes = [node.input[1] for node in freed.graph.node if node.op_type == "Reshape"]
    assert shapes[0] == "shape"
    assert shapes[1] != "shape"


def test_what_cannot_be_made_free_comes_out_wrong_and_is_left_to_the_caller(
    make_onnx: Callable[..., Any], pixels: torch.Tensor, toy: nn.Module
) -> None:
    found = _run(with_free_batch(make_onnx(1, "Expand")), pixels[:4])
    assert found.shape != (4, 6) or np.abs(found - toy(pixels[:4]).numpy()).max() > 1e-2


@pytest.mark.parametrize("flatten", ["Flatten", "Reshape"])
def test_a_graph_in_torch_is_the_network_with_its_gradient(
    make_onnx: Callable[..., Any], toy: nn.Module, pixels: torch.Tensor, flatten: str
) -> None:
    module = torch_module(with_free_batch(make_onnx(1, flatten)))
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())
    given, wanted = pixels.clone().requires_grad_(), pixels.clone().requires_grad_()
    assert torch.allclose(module(given), toy(wanted), atol=1e-5)
    module(given)[:, 1].sum().backward()
    toy(wanted)[:, 1].sum().backward()
    assert torch.allclose(given.grad, wanted.grad, atol=1e-5)


def test_weights_that_layers_share_stay_with_their_layers(
    make_onnx: Callable[..., Any], toy: nn.Module, pixels: torch.Tensor
) -> None:
    """As torch's exporter writes equal weights: once, and Identity nodes for the other layers."""
    model = make_onnx()
    nodes = list(model.graph.node)
    names = {"norm.weight": "scale", "convolution.bias": "offset"}
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend(onnx.helper.make_node("Identity", [a], [b]) for a, b in names.items())
    model.graph.node.extend(nodes)
    before = model.SerializeToString()
    assert torch.allclose(torch_module(model)(pixels), toy(pixels), atol=1e-5)
    assert model.SerializeToString() == before


def test_an_operator_that_torch_does_not_have_is_named(make_onnx: Callable[..., Any]) -> None:
    model = make_onnx()
    model.graph.node[2].op_type, model.graph.node[2].domain = "Mystery", "com.example"
    with pytest.raises(ValueError, match="the graph cannot be made a torch module .*Mystery"):
        torch_module(model)


def test_a_file_is_read_as_it_was_written(tmp_path: Path, make_onnx: Callable[..., Any]) -> None:
    model = make_onnx()
    onnx.save(model, tmp_path / "a.onnx")
    assert read_graph(tmp_path / "a.onnx") == model


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"no graph at all")
    with pytest.raises(ValueError, match=r"a\.onnx: cannot be read as ONNX"):
        read_graph(tmp_path / "a.onnx")
    with pytest.raises(ValueError, match=r"b\.onnx: cannot be read as ONNX"):
        read_graph(tmp_path / "b.onnx")


def test_weights_in_other_files_are_refused_with_the_way_out(
    tmp_path: Path, make_onnx: Callable[..., Any]
) -> None:
    onnx.save(make_onnx(), tmp_path / "a.onnx", save_as_external_data=True, size_threshold=0)
    with pytest.raises(
        ValueError, match=r"a\.onnx: keeps its weights in other files .*onnx\.save\(onnx\.load"
    ):
        read_graph(tmp_path / "a.onnx")
