"""Rules of dense layers, and of those that move elements, join tensors or do nothing here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fcnn._layer import Layer
from fcnn._ops.resample import linear, nearest_index
from fcnn._ops.window import Window, check_padding
from fcnn._typing import Shape
from fcnn._walk import out_shape
from fcnn.export._graph import Graph, Tensor
from fcnn.export._rules import rule
from fcnn.export._rules_conv import convolved, extended, sliced
from fcnn.export._rules_pool import along, dense_of
from fcnn.layers.branches import add, concat, multiply
from fcnn.layers.dense import dense
from fcnn.layers.dropout import dropout, spatial_dropout, stochastic_depth
from fcnn.layers.embedding import embedding
from fcnn.layers.noise import alpha_dropout, gaussian_noise
from fcnn.layers.pad import crop2d, pad1d, pad2d
from fcnn.layers.resample import pixel_shuffle, pixel_unshuffle, resize2d, upsample2d
from fcnn.layers.reshape import flatten, reshape, transpose
from fcnn.layers.squeeze_excite import squeeze_excite

for _layer in (dropout, spatial_dropout, stochastic_depth, alpha_dropout, gaussian_noise):
    rule(_layer)(lambda graph, layer, params, x: x)


@rule(dense)
def _dense(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    """Gemm for rows, a 1×1 Conv where channels lie first, MatMul and Add otherwise."""
    units = params.weight.shape[1]
    shape = (*x.shape[:-1], units)
    if len(x.shape) == 1:
        weight, bias = (
            graph.constant(params.weight.T, "weight"),
            graph.constant(params.bias, "bias"),
        )
        return graph.node("Gemm", x, weight, bias, shape=shape, alpha=1.0, beta=1.0, transB=1)
    if x.channels_first and len(x.shape) <= 4:
        return _pixelwise(graph, x, params)
    x = graph.last(x)
    y = graph.node("MatMul", x, graph.constant(params.weight, "weight"), shape=shape)
    return graph.node("Add", y, graph.constant(params.bias, "bias"))


def _pixelwise(graph: Graph, x: Tensor, params: Any) -> Tensor:
    image = x.shape[:-1]
    ones = (1,) * len(image)
    window = Window(image, ones, ones, ones, ((0, 0),) * len(image), image)
    weight = params.weight.reshape(*ones, *params.weight.shape)
    return convolved(graph, x, weight, params.bias, window, 1)


@rule(squeeze_excite)
def _squeeze_excite(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    x = graph.first(x)
    means = graph.node("GlobalAveragePool", x, shape=(*[1] * (len(x.shape) - 1), x.shape[-1]))
    hidden = graph.node("Relu", _pixelwise(graph, means, params[0]))
    gate = graph.node("Sigmoid", _pixelwise(graph, hidden, params[2]))
    return graph.node("Mul", x, gate)


@rule(embedding)
def _embedding(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    weight, padding = np.array(params.weight), layer.spec.arguments["padding_index"]
    if padding is not None:
        weight[padding] = 0
    shape = (*x.shape, weight.shape[1])
    table = graph.constant(weight, "weight")
    return graph.node("Gather", table, graph.as_integers(x), shape=shape, axis=0)


@rule(flatten)
@rule(reshape)
def _reshape(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    shape = out_shape(layer, x.shape)
    alike = x.shape[-1] == 1 or math.prod(x.shape[:-1]) == 1
    return graph.reshape(x if alike else graph.last(x), shape, shape)


@rule(transpose)
def _transpose(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    axes = layer.spec.args
    if axes == tuple(range(len(axes))):
        return x
    perm, shape = [0, *[graph.axis(x, axis) for axis in axes]], tuple([x.shape[i] for i in axes])
    return graph.node("Transpose", x, shape=shape, channels_first=False, perm=perm)


@rule(pad1d)
@rule(pad2d)
def _pad(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    given = layer.spec.arguments
    pads: Any = check_padding(given["padding"], 1 if layer.spec.name == "pad1d" else 2)
    if not np.any(pads):
        return x
    return extended(graph, graph.first(x), pads, given["mode"], float(given["value"]))


@rule(crop2d)
def _crop(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    given, after = layer.spec.arguments, out_shape(layer, x.shape)
    if given["cropping"] is None:
        first = [(own - left) // 2 for own, left in zip(x.shape[:2], after, strict=False)]
    else:
        cuts: Any = check_padding(given["cropping"], 2)
        first = [before for before, _ in cuts]
    return sliced(
        graph, x, {graph.axis(x, i): (start, start + after[i]) for i, start in enumerate(first)}
    )


@rule(upsample2d)
@rule(resize2d)
def _resize(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    x, mode = graph.first(x), layer.spec.arguments["mode"]
    shape = out_shape(layer, x.shape)
    if shape == x.shape:
        return x
    if all(out % own == 0 for own, out in zip(x.shape, shape, strict=True)):
        return _enlarged(graph, x, shape, mode)
    for axis, (own, out) in enumerate(zip(x.shape[:2], shape, strict=False)):
        if own == out:
            continue
        if mode == "bilinear":
            x = along(graph, x, axis, dense_of(linear, own, out))
        else:
            here = (*x.shape[:axis], out, *x.shape[axis + 1 :])
            x = graph.node("Gather", x, nearest_index(own, out), shape=here, axis=axis + 2)
    return x


def _enlarged(graph: Graph, x: Tensor, shape: Shape, mode: str) -> Tensor:
    """Resize by whole factors, where no rounding of a scale moves a pixel."""
    factors = [out // own for own, out in zip(x.shape, shape, strict=True)]
    scales = np.array([1, 1, *factors[:2]], np.float32)
    where: dict[str, Any] = {"coordinate_transformation_mode": "half_pixel", "mode": "linear"}
    if mode == "nearest":
        where = {"coordinate_transformation_mode": "asymmetric", "mode": "nearest"}
        where["nearest_mode"] = "floor"
    return graph.node("Resize", x, None, scales, shape=shape, **where)


@rule(pixel_shuffle)
def _shuffle(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    x, shape = graph.first(x), out_shape(layer, x.shape)
    (h, w, _), (tall, wide, c) = x.shape, shape
    f, g = tall // h, wide // w
    if f == g:
        return graph.node("DepthToSpace", x, shape=shape, blocksize=f, mode="CRD")
    apart = graph.reshape(x, (c, f, g, h, w), (c, f, g, h, w))
    turned = graph.node("Transpose", apart, shape=(c, h, f, w, g), perm=[0, 1, 4, 2, 5, 3])
    return graph.reshape(turned, (c, tall, wide), shape, channels_first=True)


@rule(pixel_unshuffle)
def _unshuffle(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    """SpaceToDepth has another order of channels."""
    x, shape = graph.first(x), out_shape(layer, x.shape)
    (tall, wide, c), (h, w, channels) = x.shape, shape
    f, g = tall // h, wide // w
    apart = graph.reshape(x, (c, h, f, w, g), (c, h, f, w, g))
    turned = graph.node("Transpose", apart, shape=(c, f, g, h, w), perm=[0, 1, 3, 5, 2, 4])
    return graph.reshape(turned, (channels, h, w), shape, channels_first=True)


def _items(graph: Graph, x: Any) -> list[Tensor]:
    """Return the items of a tuple or dict, all in one layout."""
    items = [x[name] for name in sorted(x)] if isinstance(x, dict) else list(x)
    if any(each.channels_first for each in items):
        return [graph.first(each) for each in items]
    return items


@rule(add)
def _add(graph: Graph, layer: Layer, params: Any, x: Any) -> Tensor:
    return _folded(graph, "Add", _items(graph, x))


@rule(multiply)
def _multiply(graph: Graph, layer: Layer, params: Any, x: Any) -> Tensor:
    return _folded(graph, "Mul", _items(graph, x))


def _folded(graph: Graph, op: str, items: list[Tensor]) -> Tensor:
    y = items[0]
    for each in items[1:]:
        shape = tuple(np.broadcast_shapes(y.shape, each.shape))
        y = graph.node(op, y, each, shape=shape)
    return y


@rule(concat)
def _concat(graph: Graph, layer: Layer, params: Any, x: Any) -> Tensor:
    items = _items(graph, x)
    if len(items) == 1:
        return items[0]
    channels = sum(each.shape[-1] for each in items)
    shape = (*items[0].shape[:-1], channels)
    return graph.node("Concat", *items, shape=shape, axis=graph.axis(items[0], -1))
