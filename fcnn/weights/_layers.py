"""The rules of fcnn's own layers.

PyTorch's filters are ``(filters, c_in / groups, kh, kw)``, Keras's and Flax's are fcnn's
``(kh, kw, c_in / groups, filters)``. Flax's transposed convolution correlates: its filters are
rotated by 180 degrees, and their last axes exchanged.

Sources: the modules' ``__init__`` in PyTorch 2.13.0; ``build`` in Keras 3.15.1; ``__call__`` in
``flax.linen`` 0.12.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np

from fcnn._layer import Layer
from fcnn._typing import Array, Shape
from fcnn.errors import TreeError
from fcnn.layers.conv import conv1d, conv2d, conv3d
from fcnn.layers.conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
from fcnn.layers.dense import dense
from fcnn.layers.depthwise import depthwise_conv2d
from fcnn.layers.embedding import embedding
from fcnn.layers.group_norm import group_norm, instance_norm
from fcnn.layers.layer_norm import layer_norm, rms_norm
from fcnn.layers.norm import batch_norm
from fcnn.layers.prelu import prelu
from fcnn.layers.squeeze_excite import squeeze_excite
from fcnn.weights._rules import Slot, Target, expansion, inverse, rule

Change = Callable[[Array], Array]

_SCALE = {"torch": "weight", "keras": "gamma", "flax": "scale"}
_BIAS = {"torch": "bias", "keras": "beta", "flax": "bias"}
_KERNEL = {"torch": "weight", "keras": "kernel", "flax": "kernel"}
# A ConvNeXt's scale of a block's output is a parameter of the block, not of a module.
_DEPTHWISE = {
    "torch": ("weight", "layer_scale", "gamma"),
    "keras": ("kernel", "depthwise_kernel", "gamma"),
    "flax": ("kernel", "layer_scale", "gamma"),
}


def _channels_last(array: Array) -> Array:
    """Return ``(out, in, ...)`` as ``(..., in, out)``."""
    return array.transpose(*range(2, array.ndim), 1, 0)


def _channels_first(array: Array) -> Array:
    """Return ``(..., in, out)`` as ``(out, in, ...)``."""
    return array.transpose(array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))


def _turned(array: Array) -> Array:
    """Return filters rotated by 180 degrees: reversed along all axes but the last two."""
    return array[(slice(None, None, -1),) * (array.ndim - 2)]


def _swapped(array: Array) -> Array:
    return array.swapaxes(-1, -2)


def _filters(target: Target, names: Any, change: tuple[Change, Change] | None = None) -> Slot:
    """Return the slot of a convolution's weight; ``change`` is to the params' layout and back."""
    shape = target.shapes["weight"]
    flip = target.layer.spec.arguments.get("flip", False)
    turn = _turned if flip else _channels_same
    if target.convention == "torch":
        foreign = _channels_first(np.broadcast_to(0, shape)).shape
        return Slot(
            names,
            "weight",
            foreign,
            load=lambda w: turn(_channels_last(w)),
            save=lambda w: _channels_first(turn(w)),
            others=_lone(shape, foreign),
        )
    load, save = change or (_channels_same, _channels_same)
    foreign = save(np.broadcast_to(0, shape)).shape
    others = _keras_depthwise(target, shape) if change is None else ()
    if change is None and set(shape[:-2]) == {1}:
        others = (*others, shape[-2:])  # those of a dense layer
    return Slot(
        names,
        "weight",
        foreign,
        load=lambda w: turn(load(w)),
        save=lambda w: save(turn(w)),
        others=others,
    )


def _channels_same(array: Array) -> Array:
    return array


def _lone(shape: Shape, foreign: Shape) -> tuple[Shape, ...]:
    """Return other shapes of filters of one element: those of a linear layer, of a scale."""
    if set(shape[:-2]) != {1}:
        return ()
    if foreign[1] != 1:
        return (foreign[:2],)
    n, ones = foreign[0], (1,) * (len(foreign) - 2)
    return (n, 1), (n,), (n, *ones), (1, n, *ones)


def _keras_depthwise(target: Target, shape: Shape) -> tuple[Shape, ...]:
    """Return Keras's shape of depthwise filters, ``(kh, kw, c, multiplier)``, and of a scale."""
    if target.layer.spec.constructor is not depthwise_conv2d:
        return ()
    channels = target.in_shape[-1]
    more = [(*shape[:2], channels, shape[-1] // channels)]
    return (*more, shape[-1:]) if set(shape[:2]) == {1} else tuple(more)


def _bias(target: Target) -> list[Slot]:
    """Return the slot of a bias of one number a filter, if the layer has one."""
    shape = target.shapes.get("bias")
    if shape is None:
        return []
    if len(shape) != 1:
        raise TreeError(
            f"expected a bias a filter, got an untied one at {target.path}, which no other "
            f'framework has; use bias="tied"'
        )
    return [Slot("bias", "bias", shape, fill=0.0)]


@rule(conv1d)
@rule(conv2d)
@rule(conv3d)
def _conv(target: Target) -> list[Slot]:
    return [_filters(target, _KERNEL[target.convention]), *_bias(target)]


@rule(depthwise_conv2d)
def _depthwise(target: Target) -> list[Slot]:
    return [_filters(target, _DEPTHWISE[target.convention]), *_bias(target)]


@rule(conv_transpose1d)
@rule(conv_transpose2d)
@rule(conv_transpose3d)
def _conv_transpose(target: Target) -> list[Slot]:
    change = None
    if target.convention == "flax":
        change = (lambda w: _swapped(_turned(w)), lambda w: _turned(_swapped(w)))
    return [_filters(target, _KERNEL[target.convention], change), *_bias(target)]


@rule(dense)
def _dense(target: Target) -> list[Slot]:
    n_in, units = target.shapes["weight"]
    rows, columns = _either(target.rows, n_in), _either(target.columns, units)
    is_torch = target.convention == "torch"
    plain = target.rows is None and target.columns is None

    def load(w: Array) -> Array:
        w = w.T if is_torch else w
        return w if plain else w[np.ix_(rows, columns)]

    def save(w: Array) -> Array:
        w = w if plain else w[np.ix_(inverse(rows), inverse(columns))]
        return w.T if is_torch else w

    foreign = (units, n_in) if is_torch else (n_in, units)
    lone = [(1,) * k + foreign for k in (1, 2)] if not is_torch else []
    lone += [foreign + (1,) * k for k in (1, 2, 3)] if is_torch else []
    weight = Slot(
        _KERNEL[target.convention], "weight", foreign, load=load, save=save, others=tuple(lone)
    )
    return [weight, _vector("bias", "bias", units, target.columns, 0.0)]


def _either(order: Any, n: int) -> Any:
    return np.arange(n) if order is None else order


def _vector(names: Any, field: str, n: int, order: Any, fill: float | None) -> Slot:
    """Return the slot of a number for each channel, in the other framework's order."""
    if order is None:
        return Slot(names, field, (n,), fill=fill)
    back = inverse(order)
    return Slot(names, field, (n,), load=lambda v: v[order], save=lambda v: v[back], fill=fill)


_STATISTICS = {
    "torch": ("running_mean", "running_var"),
    "keras": ("moving_mean", "moving_variance"),
    "flax": ("mean", "var"),
}


@rule(batch_norm)
def _batch_norm(target: Target) -> list[Slot]:
    (n,) = target.shapes["scale"]
    mean, var = _STATISTICS[target.convention]
    return [
        _vector(_SCALE[target.convention], "scale", n, target.rows, 1.0),
        _vector(_BIAS[target.convention], "bias", n, target.rows, 0.0),
        _vector(mean, "mean", n, target.rows, None),
        _vector(var, "var", n, target.rows, None),
    ]


@rule(layer_norm)
@rule(group_norm)
@rule(instance_norm)
@rule(rms_norm)
def _norm(target: Target) -> list[Slot]:
    slots = []
    for names, field, fill in ((_SCALE, "scale", 1.0), (_BIAS, "bias", 0.0)):
        shape = target.shapes.get(field)
        if shape is None:
            continue
        called: Any = names[target.convention]
        if field == "scale" and target.layer.spec.constructor is rms_norm:
            called = ("weight", "scale", "gamma") if target.convention != "flax" else "scale"
        if len(shape) == 1:
            slot = _vector(called, field, shape[0], target.rows, fill)
            ones = [(*shape, *(1,) * k) for k in range(1, len(target.in_shape))]
            slots.append(attrs.evolve(slot, others=tuple(ones)))
        else:
            slots.append(_of_an_example(called, field, shape, fill, target.convention))
    return slots


def _of_an_example(names: Any, field: str, shape: Shape, fill: float, convention: str) -> Slot:
    if convention != "torch":
        return Slot(names, field, shape, fill=fill)
    return Slot(
        names,
        field,
        (shape[-1], *shape[:-1]),
        load=lambda a: np.moveaxis(a, 0, -1),
        save=lambda a: np.moveaxis(a, -1, 0),
        fill=fill,
    )


@rule(prelu)
def _prelu(target: Target) -> list[Slot]:
    (n,) = target.shapes["weight"]
    names = {"torch": "weight", "keras": "alpha", "flax": "negative_slope"}[target.convention]
    order = target.rows if n > 1 else None
    ones = (1,) * (len(target.in_shape) - 1)
    others = {(*ones, n), (n, *ones), (1, n, *ones)} | ({()} if n == 1 else set())
    slot = _vector(names, "weight", n, order, None)
    return [Slot(slot.names, "weight", (n,), load=slot.load, save=slot.save, others=tuple(others))]


@rule(embedding)
def _embedding(target: Target) -> list[Slot]:
    names = {"torch": "weight", "keras": "embeddings", "flax": "embedding"}[target.convention]
    return [Slot(names, "weight", target.shapes["weight"])]


@expansion(squeeze_excite)
def _squeeze_excite(layer: Layer, shapes: Any) -> Sequence[tuple[str, str, Layer, Any, Any]]:
    channels, units = shapes["[0].weight"]
    return [
        ("fc1", "[0]", dense(units), (channels,), (units,)),
        ("fc2", "[2]", dense(channels), (units,), (channels,)),
    ]
