"""From a graph to a file, with the package onnx, which is imported here alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from fcnn.errors import ArgumentError
from fcnn.export._graph import Graph, Tensor

IR_VERSIONS = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10}
"""The version of the format that came with each opset; onnx's default is the newest, which
released engines refuse."""

BATCH = "N"


def package() -> Any:
    """Return the package onnx.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise ImportError(
            "expected the package onnx, which is not installed; pip install 'fcnn[export]'"
        ) from None
    return onnx


def check_opset(opset: Any) -> int:
    """Return the opset if it is one that can be written.

    Raises:
        ArgumentError: if it is not.
    """
    if isinstance(opset, bool) or opset not in IR_VERSIONS:
        low, high = min(IR_VERSIONS), max(IR_VERSIONS)
        raise ArgumentError(f"expected an opset from {low} to {high}, got {opset!r}")
    return int(opset)


def write(
    graph: Graph, outputs: Sequence[tuple[str, Tensor]], metadata: dict[str, Any], path: Any
) -> None:
    """Check a graph and write it to a file.

    Raises:
        ImportError: if the package onnx is not installed.
    """
    onnx = package()
    model = _model(onnx, graph, outputs, metadata)
    onnx.checker.check_model(model, full_check=True)
    Path(path).write_bytes(model.SerializeToString())


def _model(
    onnx: Any, graph: Graph, outputs: Sequence[tuple[str, Tensor]], metadata: dict[str, Any]
) -> Any:
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    read = {name for node in graph.nodes for name in node.inputs}
    nodes = [
        helper.make_node(node.op, node.inputs, node.outputs, node.name, **node.attributes)
        for node in graph.nodes
    ]
    weights = [
        numpy_helper.from_array(array, name) for name, array in graph.arrays.items() if name in read
    ]
    made = helper.make_graph(
        nodes,
        "fcnn",
        [_info(onnx, each.name, each, each.name in graph.integers) for each in graph.inputs],
        [_info(onnx, name, tensor, False) for name, tensor in outputs],
        weights,
    )
    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", graph.opset)],
        ir_version=IR_VERSIONS[graph.opset],
        producer_name="fcnn",
        producer_version=import_module("fcnn").__version__,
    )
    texts = {
        key: each if isinstance(each, str) else json.dumps(each) for key, each in metadata.items()
    }
    helper.set_model_props(model, texts)
    return model


def _info(onnx: Any, name: str, tensor: Tensor, is_integer: bool) -> Any:
    kind = onnx.TensorProto.INT64 if is_integer else onnx.TensorProto.FLOAT
    return onnx.helper.make_tensor_value_info(name, kind, [BATCH, *tensor.layout])
