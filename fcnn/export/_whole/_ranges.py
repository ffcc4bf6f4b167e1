"""The range of every value of a graph on some examples: the graph computed in floats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._typing import Array
from fcnn.export._graph import Graph
from fcnn.export._whole._values import LAST
from fcnn.export._whole._windows import convolved, last_axes, windows

PART = 32
"""Examples that are computed at a time."""


def complete(graph: Graph, inputs: dict[str, Array]) -> None:
    """Note the range of each value that a graph has, as far as all its operations are known."""
    total = len(next(iter(inputs.values())))
    for start in range(0, total, PART):
        _note(graph, {name: x[start : start + PART] for name, x in inputs.items()})


def _note(graph: Graph, values: dict[str, Array]) -> None:
    for node in graph.nodes:
        function = COMPUTED.get(node.op)
        given = [graph.arrays.get(name, values.get(name)) for name in node.inputs if name]
        if function is None or any(each is None for each in given):
            continue
        with np.errstate(all="ignore"):
            made = function(node.attributes, *given)
        made = values[node.outputs[0]] = np.asarray(made, np.float32)
        low, high = float(made.min()), float(made.max())
        before = graph.ranges.get(node.outputs[0], (low, high))
        graph.ranges[node.outputs[0]] = min(low, before[0]), max(high, before[1])


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
