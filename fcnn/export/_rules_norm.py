"""Rules of normalisations.

Batch norm is the operator of that name in its inference form, which `fcnn.export._fold` merges
into a convolution before it. The others are written by ReduceMean, Sub, Mul, Sqrt and Div: their
own operators came with later opsets, and are read by fewer engines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fcnn._layer import Layer
from fcnn.export._graph import Graph, Tensor
from fcnn.export._rules import rule
from fcnn.layers.group_norm import group_norm, instance_norm
from fcnn.layers.layer_norm import layer_norm, rms_norm
from fcnn.layers.norm import BatchNorm, batch_norm
from fcnn.layers.response_norm import local_response_norm


@rule(batch_norm)
def _batch_norm(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    fields = ("scale", "bias", "mean", "var")
    names = [graph.constant(getattr(params, name), name) for name in fields]
    eps = BatchNorm.of(layer).eps
    return graph.node("BatchNormalization", graph.first(x), *names, epsilon=eps)


def _standard(graph: Graph, x: Tensor, axes: Sequence[int], eps: float, centred: bool) -> Tensor:
    """Return ``(x - mean) / sqrt(var + eps)`` over axes of the file."""
    if centred:
        x = graph.node("Sub", x, graph.reduce("ReduceMean", x, axes))
    var = graph.reduce("ReduceMean", graph.node("Mul", x, x), axes)
    return graph.node("Div", x, graph.node("Sqrt", graph.node("Add", var, eps)))


def _scaled(graph: Graph, x: Tensor, params: Any) -> Tensor:
    for op, each in (("Mul", params.scale), ("Add", params.bias)):
        if isinstance(each, np.ndarray):
            x = graph.node(op, x, graph.like(x, each))
    return x


@rule(layer_norm)
def _layer_norm(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    given = layer.spec.arguments
    axes, rank = given["axes"], len(x.shape)
    count = rank if axes is None else len(axes) if isinstance(axes, tuple | list) else 1
    places = sorted(graph.axis(x, axis) for axis in range(rank - count, rank))
    return _scaled(graph, _standard(graph, x, places, float(given["eps"]), True), params)


@rule(rms_norm)
def _rms_norm(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    eps = float(layer.spec.arguments["eps"])
    return _scaled(graph, _standard(graph, x, [graph.axis(x, -1)], eps, False), params)


@rule(group_norm)
def _group_norm(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    given = layer.spec.arguments
    return _by_groups(graph, x, int(given["groups"]), float(given["eps"]), params)


@rule(instance_norm)
def _instance_norm(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    eps = float(layer.spec.arguments["eps"])
    return _by_groups(graph, x, x.shape[-1], eps, params)


def _by_groups(graph: Graph, x: Tensor, groups: int, eps: float, params: Any) -> Tensor:
    x = graph.first(x)
    shape = (groups, math.prod(x.shape) // groups)
    y = _standard(graph, graph.reshape(x, shape, shape), [2], eps, True)
    y = graph.reshape(y, x.layout, x.shape, channels_first=len(x.shape) > 1)
    return _scaled(graph, y, params)


@rule(local_response_norm)
def _response_norm(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    """LRN where its window is fcnn's, which is so for an odd size; else by a banded matrix.

    onnxruntime refuses an LRN whose alpha or beta is 0.
    """
    given = layer.spec.arguments
    size, channels = int(given["size"]), x.shape[-1]
    alpha, beta, k = (float(given[name]) for name in ("alpha", "beta", "k"))
    if size % 2 and len(x.shape) == 3 and alpha > 0 and beta > 0:
        return graph.node("LRN", graph.first(x), size=size, alpha=alpha, beta=beta, bias=k)
    x = graph.last(x)
    away = np.arange(channels) - np.arange(channels)[:, None]  # of y's channel from x's
    band = (-((size - 1) // 2) <= away) & (away <= size // 2)
    total = graph.node("MatMul", graph.node("Mul", x, x), band * (alpha / size))
    return graph.node("Mul", x, graph.node("Pow", graph.node("Add", total, k), -beta))
