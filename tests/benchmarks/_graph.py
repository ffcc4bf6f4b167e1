"""A network as an ONNX graph, made here of its description: what the inference engines read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from _work import Node, Work, channels_first, parameters
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 17, 8


class Graph:
    """The nodes and constants of a network, in the order of computation."""

    def __init__(self, arrays: Iterator[np.ndarray]) -> None:
        self._arrays = arrays
        self._names = map("v{}".format, itertools.count())
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, node: Node, x: str) -> str:
        """Add what a layer makes of x; return the name of its output."""
        args = node.arguments
        match node.name:
            case "serial":
                for layer in node.layers:
                    x = self.add(layer, x)
                return x
            case "add":
                return self._call("Add", [self.add(layer, x) for layer in node.layers])
            case "conv2d":
                return self._conv(x, **args)
            case "dense":
                return self._call("Gemm", [x, *self._next(2)], transB=1)
            case "batch_norm":
                return self._call("BatchNormalization", [x, *self._next(4)], epsilon=args["eps"])
            case "max_pool2d" | "avg_pool2d":
                of = "MaxPool" if node.name == "max_pool2d" else "AveragePool"
                size = [args["pool_size"]] * 2
                return self._call(of, [x], kernel_shape=size, strides=size)
            case "dropout":  # nothing in inference
                return x
        return self._call(
            {"relu": "Relu", "sigmoid": "Sigmoid", "flatten": "Flatten"}[node.name], [x]
        )

    def _conv(
        self,
        x: str,
        *,
        kernel_size: int,
        stride: int,
        padding: int | str,
        bias: str | None,
        **_: Any,
    ) -> str:
        pads = [0 if padding == "valid" else padding] * 4
        inputs = [x, *self._next(2 if bias == "tied" else 1)]
        size, strides = [kernel_size] * 2, [stride] * 2
        y = self._call("Conv", inputs, kernel_shape=size, strides=strides, pads=pads)
        return self._call("Add", [y, *self._next(1)]) if bias == "untied" else y

    def _next(self, count: int) -> list[str]:
        """Return the names of the next parameters as constants."""
        names = []
        for _ in range(count):
            names.append(next(self._names))
            array = np.ascontiguousarray(next(self._arrays), np.float32)
            self.constants.append(numpy_helper.from_array(array, names[-1]))
        return names

    def _call(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        name = next(self._names)
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name


def serialized(work: Work, batch: int) -> bytes:
    """Return the network for batches of that size, with images (n, channels, height, width)."""
    graph = Graph(channels_first(work, parameters(work)))
    y = graph.add(work.model, "x")
    height, width, channels = work.shape
    taken = [batch, channels, height, width]
    given = [batch, *work.model.out_shape]
    made = helper.make_graph(
        graph.nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, taken)],
        [helper.make_tensor_value_info(y, TensorProto.FLOAT, given)],
        graph.constants,
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(made, opset_imports=[opset], ir_version=IR)
    found: bytes = model.SerializeToString()
    return found
