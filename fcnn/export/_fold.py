"""Batch norm merged into the convolution or dense layer before it.

In evaluation batch norm is ``y = x · factor + offset``, which a layer that is linear in its weight
takes into it::

    factor = scale / sqrt(var + eps)        offset = bias - mean · factor
    factor · (w x + b) + offset = (factor · w) x + (factor · b + offset)

computed in float64. Where other nodes read the layer's output too, the batch norm stays.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from fcnn._typing import Array
from fcnn.export._graph import Graph, Node

LINEAR = ("Conv", "ConvTranspose", "Gemm")


def fold_batch_norm(graph: Graph, outputs: list[str]) -> None:
    """Merge each batch norm of a graph that stands alone behind a layer with a weight."""
    readers = Counter(outputs)
    readers.update(name for node in graph.nodes for name in node.inputs)
    makers = {name: node for node in graph.nodes for name in node.outputs}
    kept = []
    for node in graph.nodes:
        maker = makers.get(node.inputs[0]) if node.op == "BatchNormalization" else None
        if maker is None or maker.op not in LINEAR or readers[node.inputs[0]] > 1:
            kept.append(node)
            continue
        _merge(graph, maker, node)
        maker.outputs = node.outputs
        makers[node.outputs[0]] = maker
    graph.nodes = kept


def _merge(graph: Graph, layer: Node, norm: Node) -> None:
    scale, shift, mean, var = (graph.arrays[name].astype(float) for name in norm.inputs[1:])
    factor = scale / np.sqrt(var + norm.attributes["epsilon"])
    offset = shift - mean * factor
    bias = graph.arrays[layer.inputs[2]] if len(layer.inputs) > 2 else np.zeros(len(factor))
    weight = _scaled(layer, graph.arrays[layer.inputs[1]].astype(float), factor)
    graph.scope = layer.name.rpartition(".")[0]
    names = [graph.constant(weight, "weight"), graph.constant(factor * bias + offset, "bias")]
    layer.inputs = [layer.inputs[0], *names]


def _scaled(layer: Node, weight: Array, factor: Array) -> Array:
    """Return the weight with each output channel times its factor."""
    if layer.op != "ConvTranspose":  # (filters, ...)
        return weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
    groups = layer.attributes["group"]  # (c_in, filters / groups, ...), groups along c_in
    ones = [1] * (weight.ndim - 2)
    apart = weight.reshape(groups, -1, *weight.shape[1:]) * factor.reshape(groups, 1, -1, *ones)
    scaled: Array = apart.reshape(weight.shape)
    return scaled
