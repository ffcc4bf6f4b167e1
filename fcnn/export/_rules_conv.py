"""Rules of convolutions: one Conv or ConvTranspose each, every attribute written.

Engines disagree about what is left out (``auto_pad``, ``kernel_shape``, ``dilations``), so nothing
is. An asymmetric padding is the attribute ``pads``; one that is not zeros is a node before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from fcnn._layer import Layer
from fcnn._ops.window import Pads, Window
from fcnn._typing import Array
from fcnn.export._graph import Graph, Tensor
from fcnn.export._rules import rule
from fcnn.layers._convolution import Convolution
from fcnn.layers._transposed import TransposedConvolution
from fcnn.layers.conv import conv1d, conv2d, conv3d
from fcnn.layers.conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
from fcnn.layers.depthwise import Depthwise, depthwise_conv2d
from fcnn.layers.standardized import _standardise as standardise
from fcnn.layers.standardized import weight_standardized


def sliding(window: Window) -> dict[str, Any]:
    """Return the attributes that say where a window stands."""
    return {
        "kernel_shape": list(window.kernel),
        "strides": list(window.stride),
        # Of a single element the dilation says nothing; engines differ where it is not 1.
        "dilations": [
            d if k > 1 else 1 for k, d in zip(window.kernel, window.dilation, strict=True)
        ],
        "pads": [*[before for before, _ in window.pads], *[after for _, after in window.pads]],
    }


def extended(graph: Graph, x: Tensor, pads: Pads, mode: str, value: float = 0.0) -> Tensor:
    """Put margins round a tensor with channels first, filled as in `fcnn.pad2d`."""
    shape = (*(n + sum(p) for n, p in zip(x.shape, pads, strict=False)), x.shape[-1])
    if mode == "circular":  # the mode "wrap" came with opset 19 only
        for axis, (before, after) in enumerate(pads):
            if before or after:
                x = _wrapped(graph, x, axis, before, after)
        return x
    ends = [0, 0, *[p[0] for p in pads], 0, 0, *[p[1] for p in pads]]
    names = {"zeros": "constant", "reflect": "reflect", "replicate": "edge"}
    fill = np.float32(value) if mode == "zeros" else None
    return graph.node("Pad", x, np.array(ends, np.int64), fill, shape=shape, mode=names[mode])


def _wrapped(graph: Graph, x: Tensor, axis: int, before: int, after: int) -> Tensor:
    size, place = x.shape[axis], axis + 2
    parts = [x]
    if before:
        parts.insert(0, sliced(graph, x, {place: (size - before, size)}))
    if after:
        parts.append(sliced(graph, x, {place: (0, after)}))
    shape = (*x.shape[:axis], size + before + after, *x.shape[axis + 1 :])
    return graph.node("Concat", *parts, shape=shape, axis=place)


def sliced(graph: Graph, x: Tensor, cuts: dict[int, tuple[int, int]]) -> Tensor:
    """Take ``start:stop`` of axes of the file."""
    layout = list(x.layout)
    for axis, (start, stop) in cuts.items():
        layout[axis - 1] = stop - start
    shape = (*layout[1:], layout[0]) if x.channels_first else tuple(layout)
    starts, stops = zip(*cuts.values(), strict=True)
    bounds: Sequence[Any] = (starts, stops, tuple(cuts), (1,) * len(cuts))
    return graph.node("Slice", x, *[np.array(each, np.int64) for each in bounds], shape=shape)


def outermost(weight: Array) -> Array:
    """Return a filter ``(k..., a, b)`` as ``(b, a, k...)``."""
    rank = weight.ndim
    return weight.transpose(rank - 1, rank - 2, *range(rank - 2))


def convolved(
    graph: Graph, x: Tensor, weight: Array, bias: Any, window: Window, groups: int
) -> Tensor:
    """Add a Conv of a filter in fcnn's order, and a bias a channel or a pixel."""
    if window.is_padded and math.prod(window.kernel) == 1:  # OpenCV computes the margin wrongly
        x = extended(graph, graph.first(x), window.pads, "zeros")
        window = window.over_padded()
    tied = isinstance(bias, np.ndarray) and bias.ndim == 1
    names = [graph.constant(outermost(weight), "weight")]
    names += [graph.constant(bias, "bias")] if tied else []
    shape = (*window.out, weight.shape[-1])
    y = graph.node("Conv", graph.first(x), *names, shape=shape, group=groups, **sliding(window))
    return y if tied else _untied(graph, y, bias)


def _untied(graph: Graph, y: Tensor, bias: Any) -> Tensor:
    if not isinstance(bias, np.ndarray):
        return y
    return graph.node("Add", y, np.moveaxis(bias, -1, 0)[None])


@rule(conv1d)
@rule(conv2d)
@rule(conv3d)
def _conv(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    conv = Convolution.of(layer)
    window, x = conv.window(x.shape), graph.first(x)
    if conv.padding_mode != "zeros" and window.is_padded:
        x, window = extended(graph, x, window.pads, conv.padding_mode), window.over_padded()
    return convolved(graph, x, conv.weight(params), params.bias, window, conv.groups)


@rule(depthwise_conv2d)
def _depthwise(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    window = Depthwise.of(layer).window(x.shape)
    return convolved(graph, x, params.weight, params.bias, window, x.shape[-1])


@rule(conv_transpose1d)
@rule(conv_transpose2d)
@rule(conv_transpose3d)
def _transposed(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    conv = TransposedConvolution.of(layer)
    window, bias = conv.window(x.shape), params.bias
    tied = isinstance(bias, np.ndarray) and bias.ndim == 1
    names = [graph.constant(outermost(conv.weight(params)), "weight")]
    names += [graph.constant(bias, "bias")] if tied else []
    each = zip(window.image, window.out, window.stride, conv.reach, window.pads, strict=True)
    more = [o - ((i - 1) * s + reach - sum(p)) for o, i, s, reach, p in each]
    y = graph.node(
        "ConvTranspose",
        graph.first(x),
        *names,
        shape=(*window.image, conv.filters),
        group=conv.groups,
        output_padding=more,
        **sliding(window),
    )
    return y if tied else _untied(graph, y, bias)


@rule(weight_standardized)
def _standardized(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Any:
    given = layer.spec.arguments
    weight = standardise(params.weight, float(given["eps"]))[0]
    return graph.write(given["conv"], attrs.evolve(params, weight=weight), x)
