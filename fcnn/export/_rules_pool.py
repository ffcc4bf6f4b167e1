"""Rules of pools: MaxPool, AveragePool and what is made of them.

What engines get wrong is written another way: zeros that count are a Pad before, not the
attribute ``count_include_pad``; a dilated window that its padding would fill is over a padded image
too; windows of an adaptive pool that differ in size are a matrix or a Gather an axis.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fcnn._layer import Layer
from fcnn._ops.resample import adaptive_windows, means
from fcnn._ops.window import Window
from fcnn._typing import Array, Shape
from fcnn.export._graph import Graph, Tensor
from fcnn.export._rules import rule
from fcnn.export._rules_conv import extended, sliding
from fcnn.layers.adaptive_pool import adaptive_avg_pool, adaptive_max_pool
from fcnn.layers.global_pool import global_avg_pool, global_max_pool
from fcnn.layers.lp_pool import lp_pool2d
from fcnn.layers.pool import (
    Pooling,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)


@rule(max_pool1d)
@rule(max_pool2d)
@rule(max_pool3d)
def _max_pool(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    x, window = graph.first(x), Pooling.of(layer).window(x.shape)
    if any(max(p) >= k for p, k in zip(window.pads, window.kernel, strict=True)):
        x, window = extended(graph, x, window.pads, "zeros", -math.inf), window.over_padded()
    shape = (*window.out, x.shape[-1])
    return graph.node("MaxPool", x, shape=shape, ceil_mode=0, **sliding(window))


@rule(avg_pool1d)
@rule(avg_pool2d)
@rule(avg_pool3d)
def _avg_pool(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    window = Pooling.of(layer).window(x.shape)
    counted = layer.spec.arguments["count_include_pad"]
    return averaged(graph, graph.first(x), window, counted=bool(counted))


def averaged(graph: Graph, x: Tensor, window: Window, *, counted: bool) -> Tensor:
    """Add an AveragePool over a tensor with channels first."""
    if counted and window.is_padded:
        x, window = extended(graph, x, window.pads, "zeros"), window.over_padded()
    where = sliding(window)
    del where["dilations"]  # an attribute from opset 19 on
    shape = (*window.out, x.shape[-1])
    return graph.node("AveragePool", x, shape=shape, ceil_mode=0, count_include_pad=0, **where)


@rule(lp_pool2d)
def _lp_pool(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    """The mean of powers times their number, and its root; LpPool has whole exponents alone."""
    given = layer.spec.arguments
    p, x = float(given["p"]), graph.first(x)
    window = Pooling.of(layer).window(x.shape)
    powers = graph.node("Mul", x, x) if p == 2 else _power(graph, x, p, p)
    total = averaged(graph, powers, window, counted=True)
    total = graph.node("Mul", total, float(math.prod(window.kernel)))
    return graph.node("Sqrt", total) if p == 2 else _power(graph, total, 1 / p, p)


def _power(graph: Graph, x: Tensor, exponent: float, p: float) -> Tensor:
    """Return ``|x|^exponent``, with the sign of x for an odd p."""
    if exponent == 1:
        return x
    y = graph.node("Pow", graph.node("Abs", x), exponent)
    return graph.node("Mul", y, graph.node("Sign", x)) if p % 2 == 1 else y


@rule(global_avg_pool)
def _global_avg(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    return _over_space(graph, layer, x, "GlobalAveragePool", "ReduceMean")


@rule(global_max_pool)
def _global_max(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    return _over_space(graph, layer, x, "GlobalMaxPool", "ReduceMax")


def _over_space(graph: Graph, layer: Layer, x: Tensor, op: str, volumes: str) -> Tensor:
    x, channels = graph.first(x), x.shape[-1]
    if len(x.shape) == 4:  # OpenCV 5.0 has no global pools of volumes
        y = graph.reduce(volumes, x, [2, 3, 4])
    else:
        y = graph.node(op, x, shape=(*[1] * (len(x.shape) - 1), channels))
    if layer.spec.arguments["keepdims"]:
        return y
    return graph.reshape(y, (channels,), (channels,))


@rule(adaptive_avg_pool)
def _adaptive_avg(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    x, sizes = graph.first(x), _sizes(layer, x.shape)
    window = _tiles(x.shape, sizes)
    if window is not None:
        return averaged(graph, x, window, counted=False)
    for axis, (size, out) in enumerate(zip(x.shape, sizes, strict=False)):
        if size != out:
            x = along(graph, x, axis, dense_of(means, size, out))
    return x


@rule(adaptive_max_pool)
def _adaptive_max(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    x, sizes = graph.first(x), _sizes(layer, x.shape)
    window = _tiles(x.shape, sizes)
    if window is not None:
        shape = (*sizes, x.shape[-1])
        return graph.node("MaxPool", x, shape=shape, ceil_mode=0, **sliding(window))
    for axis, (size, out) in enumerate(zip(x.shape, sizes, strict=False)):
        if size != out:
            x = _max_along(graph, x, axis, size, out)
    return x


def _max_along(graph: Graph, x: Tensor, axis: int, size: int, out: int) -> Tensor:
    """Gather the elements of each window, the last one repeated where there are fewer."""
    cuts, place = adaptive_windows(size, out), axis + 2
    most = max(stop - start for start, stop in cuts)
    index = [[min(start + i, stop - 1) for i in range(most)] for start, stop in cuts]
    shape = (*x.shape[:axis], out, *x.shape[axis + 1 :])
    wide = (*x.shape[:axis], out * most, *x.shape[axis + 1 :])
    taken = graph.node("Gather", x, np.array(index, np.int64).ravel(), shape=wide, axis=place)
    split = list(Tensor("", shape, True).layout)
    split.insert(place, most)
    apart = graph.reshape(taken, split, (*shape[:axis], out, most, *shape[axis + 1 :]))
    # Of this tensor only its place in the file counts: (n, c, ..., out, most, ...).
    seen = graph.reduce("ReduceMax", Tensor(apart.name, tuple(split)), [place + 1])
    return graph.reshape(seen, Tensor("", shape, True).layout, shape, channels_first=True)


def _sizes(layer: Layer, shape: Shape) -> Shape:
    size = layer.spec.arguments["size"]
    if isinstance(size, tuple | list):
        return tuple(
            [own if out is None else int(out) for own, out in zip(shape, size, strict=False)]
        )
    return (int(size),) * (len(shape) - 1)


def _tiles(shape: Shape, sizes: Shape) -> Window | None:
    """Return the window of a pool whose windows lie side by side, all of one size."""
    image = shape[: len(sizes)]
    if any(size % out for size, out in zip(image, sizes, strict=True)):
        return None
    tile = tuple([size // out for size, out in zip(image, sizes, strict=True)])
    return Window(image, tile, tile, (1,) * len(tile), ((0, 0),) * len(tile), sizes)


def dense_of(taps: Any, size: int, out: int) -> Array:
    """Return a linear map along an axis as a matrix (out, size)."""
    rows, columns, values = taps(size, out)
    matrix = np.zeros((out, size))
    np.add.at(matrix, (rows, columns), values)
    return matrix


def along(graph: Graph, x: Tensor, axis: int, matrix: Array) -> Tensor:
    """Multiply an axis of a tensor with channels first by a matrix (out, size)."""
    layout, place = x.layout, axis + 1
    shape = (*x.shape[:axis], len(matrix), *x.shape[axis + 1 :])
    if place == len(layout) - 1:
        return graph.node("MatMul", x, matrix.T, shape=shape)
    after = math.prod(layout[place + 1 :])
    if place < len(layout) - 2:
        flat = (*layout[:place], layout[place], after)
        x = graph.reshape(x, flat, flat)
    y = graph.node("MatMul", matrix, x, shape=shape)
    if place < len(layout) - 2:
        return graph.reshape(y, Tensor("", shape, True).layout, shape, channels_first=True)
    return y
