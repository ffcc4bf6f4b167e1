"""Layers that change the shape or the order of the axes, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fcnn._check import whole
from fcnn._layer import EVAL, Context, Triple, layer
from fcnn._ops.layout import reshaped
from fcnn._typing import Array, ModelPullback, Shape
from fcnn._value import as_value
from fcnn._walk import facts
from fcnn.errors import ArgumentError, ShapeError
from fcnn.prng import Key


def _reshaping(target: Callable[[Shape], Shape]) -> Triple:
    def init(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        return (), target(shape)

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return reshaped(x, target(x.shape[1:]))

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        return apply(params, x), lambda dy: ((), reshaped(dy, x.shape[1:]))

    return init, apply, vjp


@as_value
@layer
def flatten() -> Triple:
    """Make one axis of all axes of an example: ``(n, h, w, c)`` to ``(n, h·w·c)``.

    >>> import fcnn
    >>> fcnn.flatten.init(fcnn.key(0), (28, 28, 1))
    ((), (784,))
    """
    return _reshaping(lambda shape: (math.prod(shape),))


@layer
def reshape(*shape: int) -> Triple:
    """Give each example another shape; one axis may be -1, which is then inferred.

    Raises:
        ArgumentError: if an axis is neither positive nor -1, or two are -1.
        ShapeError: if the number of elements does not fit.

    >>> import fcnn
    >>> fcnn.reshape(7, -1, 1).init(fcnn.key(0), (28, 28, 1))
    ((), (7, 112, 1))
    """
    whole = all(isinstance(axis, int | np.integer) for axis in shape)
    if not whole or any(axis < 1 and axis != -1 for axis in shape) or shape.count(-1) > 1:
        raise ArgumentError(
            f"expected positive whole numbers and at most one -1 as the axes, got {shape}"
        )
    known = math.prod(axis for axis in shape if axis != -1)

    def target(given: Shape) -> Shape:
        size = math.prod(given)
        if size % known or (-1 not in shape and size != known):
            raise ShapeError(
                f"expected {'a multiple of ' if -1 in shape else ''}{known} elements for "
                f"{shape}, got {size} in an example of shape {given}"
            )
        return tuple(size // known if axis == -1 else axis for axis in shape)

    return _reshaping(target)


@layer
def transpose(*axes: int) -> Triple:
    """Put the axes of an example in another order: axis i of y is axis ``axes[i]`` of x.

    Args:
        *axes: all axes of an example, counted from 0 without the batch axis.

    Raises:
        ArgumentError: if they are not the numbers from 0 on, each once.
        ShapeError: if an example has another number of axes.

    >>> import fcnn
    >>> fcnn.transpose(2, 0, 1).init(fcnn.key(0), (28, 24, 3))
    ((), (3, 28, 24))
    """
    if sorted(whole(axis, "an axis", 0) for axis in axes) != list(range(len(axes))):
        raise ArgumentError(f"expected each axis from 0 to {len(axes) - 1} once, got {axes}")
    order = (0, *[axis + 1 for axis in axes])
    back = tuple(int(axis) for axis in np.argsort(order))

    def check(shape: Shape) -> None:
        if len(shape) != len(axes):
            raise ShapeError(f"expected an example of {len(axes)} axes, got {shape}")

    def init(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        check(shape)
        return (), tuple(shape[axis] for axis in axes)

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        check(x.shape[1:])
        return x.transpose(order)

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        return apply(params, x), lambda dy: ((), dy.transpose(back))

    return init, apply, vjp


facts(flatten, multiply_adds=0)
facts(transpose, multiply_adds=0)
facts(reshape, multiply_adds=0)
