"""ONNX graphs read as graphs: a fixed batch made free, and the graph as a torch module.

Both are only ever proposals: whoever calls them compares the results with the file as it was brought.
"""

from pathlib import Path
from typing import Any

from torch import nn

# Names that no exporter gives.
_BATCH, _SHAPE = "attribute_recovery_batch", "attribute_recovery_shape"
# ONNX's code for int64, and the domain whose Reshape is meant here.
_INT64, _OWN_DOMAINS = 7, ("", "ai.onnx")


def read_graph(path: Path) -> Any:
    """Read an ONNX file.

    Args:
        path: the file.

    Returns:
        The `onnx.ModelProto`.

    Raises:
        ValueError: it is no ONNX file, or keeps its weights in other files.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx.external_data_helper import uses_external_data

    try:
        model = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError) as error:
        raise ValueError(f"{path}: cannot be read as ONNX ({' '.join(str(error).split())})") from error
    outside = [tensor.name for tensor in model.graph.initializer if uses_external_data(tensor)]
    if outside:
        raise ValueError(
            f"{path}: keeps its weights in other files ({outside[0]!r} and {len(outside) - 1} more), allowed "
            "is one file that holds everything: onnx.save(onnx.load(path), new_path) writes it"
        )
    return model


def with_free_batch(model: Any) -> Any:
    """A copy of a model whose first dimension may be any number.

    Input and output get a free first dimension, and each Reshape between them that names the fixed one copies
    it from its input instead. Graphs that fix it in other ways come out wrong or do not run.

    Args:
        model: an `onnx.ModelProto` of one input, whose first dimension is a number.

    Returns:
        The changed copy.
    """
    import onnx

    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    constants = _constants(graph)
    given = _input(graph)
    batch = given.type.tensor_type.shape.dim[0].dim_value
    for value in (given, *graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = _BATCH
    del graph.value_info[:]
    reached = {given.name}
    for number, node in enumerate(graph.node):  # in the order in which they run, as ONNX demands
        if reached.isdisjoint(node.input):
            continue
        reached.update(node.output)
        shape = constants.get(node.input[1]) if node.op_type == "Reshape" and len(node.input) > 1 else None
        zero_is_zero = any(attribute.name == "allowzero" and attribute.i for attribute in node.attribute)
        if shape is None or node.domain not in _OWN_DOMAINS or zero_is_zero or shape[:1] != [batch]:
            continue
        name = f"{_SHAPE}_{number}"
        graph.initializer.append(onnx.helper.make_tensor(name, _INT64, [len(shape)], [0, *shape[1:]]))
        node.input[1] = name
    return changed


def torch_module(model: Any) -> nn.Module:
    """The graph as a torch module in evaluation mode, its weights closed to gradients.

    Args:
        model: an `onnx.ModelProto`.

    Returns:
        Maps what the graph's input takes to what its output gives.

    Raises:
        ValueError: the graph has something that cannot be expressed in torch; the sentence says what.
    """
    try:
        from onnx2pytorch import ConvertModel

        module: nn.Module = ConvertModel(_plain(model))
    except Exception as error:  # a converter fails in as many ways as there are graphs
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"the graph cannot be made a torch module ({reason})") from error
    return module.eval().requires_grad_(False)


def _plain(model: Any) -> Any:
    """A copy without what onnx2pytorch 0.6 takes wrongly and what says nothing.

    That is batch norm's `training_mode` where it repeats the default, and Identity nodes for weights:
    torch's exporter writes them where two layers happen to have equal ones.
    """
    import onnx

    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    same = {tensor.name: tensor.name for tensor in graph.initializer}
    outputs = {value.name for value in graph.output}
    kept = []
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in same and node.output[0] not in outputs:
            same[node.output[0]] = same[node.input[0]]
            continue
        node.input[:] = [same.get(name, name) for name in node.input]
        attributes = [each for each in node.attribute if (each.name, each.i) != ("training_mode", 0)]
        del node.attribute[:]
        node.attribute.extend(attributes)
        kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    return changed


def _input(graph: Any) -> Any:
    """The input that is no initializer: files of IR 3 list those too."""
    known = {tensor.name for tensor in graph.initializer}
    return next(value for value in graph.input if value.name not in known)


def _constants(graph: Any) -> dict[str, list[int]]:
    """Constant lists of whole numbers in a graph, by name."""
    from onnx.numpy_helper import to_array

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                tensors[node.output[0]] = attribute.t
    return {name: to_array(t).ravel().tolist() for name, t in tensors.items() if t.data_type == _INT64}
