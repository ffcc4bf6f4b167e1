"""The range of every value of a graph on some examples: the graph computed in floats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._typing import Array
from fcnn.export._graph import Graph
from fcnn.export._ranges import least_error_range
from fcnn.export._whole._values import LAST, LAYERS
from fcnn.export._whole._windows import convolved, last_axes, windows

MOST = 64
"""Examples that are looked at."""


def complete(graph: Graph, inputs: dict[str, Array]) -> None:
    """Note the ranges that are not known yet, where a layer inside a rule needs them."""
    missing = [node for node in graph.nodes if node.outputs[0] not in graph.ranges]
    if not any(node.op in LAYERS for node in missing):
        return
    last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    values = {name: x[:MOST] for name, x in inputs.items()}
    for i, node in enumerate(graph.nodes):
        function = COMPUTED.get(node.op)
        given = [graph.arrays.get(name, values.get(name)) for name in node.inputs if name]
        if function is None or any(each is None for each in given):
            continue
        with np.errstate(all="ignore"):
            made = np.asarray(function(node.attributes, *given), np.float32)
        values[node.outputs[0]] = made
        graph.ranges.setdefault(node.outputs[0], least_error_range(made))
        for name in node.inputs:
            if last[name] == i:
                values.pop(name, None)


def _conv(given: dict[str, Any], x: Array, weight: Array, bias: Any = None) -> Array:
    made = convolved(x, weight, given)
    return made if bias is None else made + bias.reshape(-1, *[1] * (x.ndim - 2))


def _max(given: dict[str, Any], x: Array) -> Array:
    found: Array = windows(x, given, -np.inf).max(axis=last_axes(x))
    return found


def _mean(given: dict[str, Any], x: Array) -> Array:
    total = windows(x, given).sum(axis=last_axes(x))
    count: Any = np.prod(given["kernel_shape"])
    if not given.get("count_include_pad", 0):
        count = windows(np.ones((1, 1, *x.shape[2:])), given).sum(axis=last_axes(x))
    found: Array = total / count
    return found


def _over_space(function: Callable[..., Any]) -> Callable[..., Array]:
    def pool(given: dict[str, Any], x: Array) -> Array:
        found: Array = function(x, axis=tuple(range(2, x.ndim)), keepdims=True)
        return found

    return pool


COMPUTED: dict[str, Callable[..., Array]] = {
    **LAST,
    "Conv": _conv,
    "Gemm": lambda given, x, weight, bias: x @ weight.T + bias,
    "MatMul": lambda given, a, b: a @ b,
    "MaxPool": _max,
    "AveragePool": _mean,
    "GlobalMaxPool": _over_space(np.max),
    "GlobalAveragePool": _over_space(np.mean),
    "Concat": lambda given, *parts: np.concatenate(parts, given["axis"]),
}
