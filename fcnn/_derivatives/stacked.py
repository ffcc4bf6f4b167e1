"""Params' gradients of each example by one stacked product, for params of the usual forms.

With x, dy (n, ...) of a batch, example i has

* an affine map (weight of two axes): ``dweight[i] = x[i]ᵀ dy[i]`` over its rows;
* a convolution: the same, of the windows of x. A window's elements are found by convolving the
  elements' numbers with filters of a single 1: so padding, stride, dilation and the number of
  axes are the layer's own;
* a factor of single elements, as the scale of a normalisation: ``dscale[i] = Σ dy[i] · x̂[i]``,
  with x̂ what the layer gives for a factor of 1, less what it gives for 0.

``dbias[i] = Σ dy[i]`` in all of them. Which form the params have is guessed from their fields
and shapes; the caller compares with the pullback.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import numpy as np

from fcnn import tree
from fcnn._layer import Context, Layer
from fcnn._typing import Array
from fcnn.tree import Observation

BUDGET = 1 << 22
"""The number of elements of windows made at a time."""


def forms(layer: Layer, params: Any, x: Array, ctx: Context) -> Iterator[Callable[[Array], Any]]:
    """Yield functions of dy that may give the gradients of the examples."""
    fields = getattr(type(params), "__node_fields__", ())
    marks: frozenset[str] = getattr(type(params), "__node_statistics__", frozenset())
    weights = {n for n in fields if not isinstance(getattr(params, n), tuple)} - marks
    arguments = set(layer.spec.arguments)
    if not weights:  # no node
        return
    if weights - {"bias"} == {"weight"}:
        weight = params.weight
        if weight.ndim == 2:
            yield lambda dy: _affine(params, x, dy)
        if weight.ndim == x.ndim and not {"groups", "depth_multiplier"}.isdisjoint(arguments):
            yield lambda dy: _convolution(layer, params, x, dy)
    if weights <= {"weight", "scale", "bias"} and len(weights - {"bias"}) <= 1:
        yield lambda dy: _factor(layer, params, x, ctx, dy, *(weights - {"bias"}))


def _gradients(params: Any, dy: Array, **of_weights: Array) -> Any:
    """Return a node of gradients: those given, that of the bias, and statistics unseen."""
    for name in type(params).__node_statistics__:
        of_weights[name] = Observation(getattr(params, name), 1.0)  # type: ignore[assignment]
    bias = getattr(params, "bias", ())
    if not isinstance(bias, tuple):
        of_weights["bias"] = _summed(dy, bias.shape)
    return attrs.evolve(params, **of_weights)


def _summed(dy: Array, shape: tuple[int, ...]) -> Array:
    """Return ``(n, *shape)``: the sum over the axes along which an array of the shape is repeated.

    These are the axes between, and those of length 1.
    """
    between = range(1, dy.ndim - len(shape))
    ones = [dy.ndim - len(shape) + i for i, size in enumerate(shape) if size == 1]
    axes = (*between, *(axis for axis in ones if axis > 0))
    return (dy.sum(axis=axes) if axes else np.array(dy)).reshape(len(dy), *shape)


def _factor(
    layer: Layer, params: Any, x: Array, ctx: Context, dy: Array, name: str | None = None
) -> Any:
    if name is None:
        return _gradients(params, dy)
    factor = getattr(params, name)
    one, none = (attrs.evolve(params, **{name: np.full_like(factor, v)}) for v in (1, 0))
    rise = layer.apply(one, x, ctx) - layer.apply(none, x, ctx)
    return _gradients(params, dy, **{name: _summed(dy * rise, factor.shape)})


def _affine(params: Any, x: Array, dy: Array) -> Any:
    n, (n_in, units) = len(x), params.weight.shape
    rows, drows = x.reshape(n, -1, n_in), dy.reshape(n, -1, units)
    if rows.shape[1] == 1:  # outer products, which matmul is slow at
        return _gradients(params, dy, weight=rows[:, 0, :, None] * drows)
    return _gradients(params, dy, weight=rows.swapaxes(1, 2) @ drows)


def _convolution(layer: Layer, params: Any, x: Array, dy: Array) -> Any:
    *kernel, c, filters = params.weight.shape
    n, channels = len(x), x.shape[-1]
    groups, size = channels // c, math.prod(kernel)
    places = _places(layer, params, x.shape[1:-1])
    pixels = np.zeros((n, 1 + math.prod(x.shape[1:-1]), channels), x.dtype)
    pixels[:, 1:] = x.reshape(n, -1, channels)  # number 0 is the padding
    dweight = np.empty((n, *kernel, c, groups, filters // groups), x.dtype)
    each = max(1, BUDGET // (places.size * channels))
    for start in range(0, n, each):
        part = slice(start, start + each)
        windows = pixels[part].take(places, axis=1).reshape(-1, len(places), size, groups, c)
        dwindows = dy[part].reshape(-1, len(places), groups, filters // groups)
        if groups == 1:
            columns: Array = windows.reshape(len(windows), len(places), size * c)
            product: Array = columns.swapaxes(1, 2) @ dwindows[:, :, 0]
        else:
            columns = windows.transpose(0, 3, 2, 4, 1).reshape(len(windows), groups, size * c, -1)
            product = (columns @ dwindows.swapaxes(1, 2)).transpose(0, 2, 1, 3)
        dweight[part] = product.reshape(-1, *kernel, c, groups, filters // groups)
    return _gradients(params, dy, weight=dweight.reshape(n, *kernel, c, filters))


def _places(layer: Layer, params: Any, image: tuple[int, ...]) -> Array:
    """Return the numbers of the pixels that each filter element meets, ``(windows, elements)``.

    Pixels are numbered from 1; 0 stands for padding with zeros.
    """
    kernel = params.weight.shape[:-2]
    size = math.prod(kernel)
    given = dict(layer.spec.arguments)
    if "groups" in given:
        given |= {"filters": size, "groups": 1, "bias": None}
    else:  # a depthwise convolution
        given |= {"depth_multiplier": size, "bias": None}
    single = layer.spec.constructor(**given)
    one_hot = attrs.evolve(params, weight=np.eye(size).reshape(*kernel, 1, size), bias=())
    numbers = np.arange(1.0, 1 + math.prod(image)).reshape(1, *image, 1)
    places: Array = np.rint(single.apply(one_hot, numbers)).astype(np.int64).reshape(-1, size)
    return places


def one_by_one(params: Any, n: int, gradient: Callable[[int], Any]) -> Any:
    """Return the gradients that ``gradient(i)`` gives of each example, stacked."""
    found = [gradient(i) for i in range(n)]
    return tree.map(
        lambda p, *grads: np.stack(grads),
        params,
        *found,
        statistic=lambda p, *seen: Observation(p, 1.0),
    )
