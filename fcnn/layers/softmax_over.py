"""Softmax and its logarithm over an axis that is not the last."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fcnn._check import array_axis, whole
from fcnn._layer import EVAL, Context, Triple, layer
from fcnn._ops import stable
from fcnn._typing import Array, ModelPullback, Shape
from fcnn._walk import facts
from fcnn.prng import Key


def _along(
    axis: int,
    f: Callable[[Array, int], Array],
    pull: Callable[[Array, Array, int], Array],
) -> Triple:
    """Return the triple of ``y = f(x, axis)`` with ``dx = pull(y, dy, axis)``."""
    axis = whole(axis, "axis", -64)

    def init(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        array_axis(axis, len(shape) + 1)
        return (), shape

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return f(x, array_axis(axis, x.ndim))

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        y = apply(params, x)
        return y, lambda dy: ((), pull(y, dy, array_axis(axis, y.ndim)))

    return init, apply, vjp


@layer
def softmax_over(axis: int) -> Triple:
    """Normalise exponentials over an axis: ``y = exp(x) / Σ exp(x)``.

    ``dx = y · (dy - Σ dy · y)``. `fcnn.softmax` is that of the last axis.

    Args:
        axis: which axis of an example; 0 is its first, the batch axis is not counted.

    Raises:
        ShapeError: if an example has no such axis.

    >>> import numpy as np, fcnn
    >>> fcnn.softmax_over(0).apply((), np.array([[[1000.0], [1000.0]]]))
    array([[[0.5],
            [0.5]]])
    """

    def pull(y: Array, dy: Array, at: int) -> Array:
        dx: Array = y * (dy - (dy * y).sum(axis=at, keepdims=True))
        return dx

    return _along(axis, stable.softmax, pull)


@layer
def log_softmax_over(axis: int) -> Triple:
    """Take the logarithm of softmax over an axis: ``y = x - log Σ exp(x)``.

    ``dx = dy - exp(y) · Σ dy``. `fcnn.log_softmax` is that of the last axis.

    Args:
        axis: which axis of an example; 0 is its first, the batch axis is not counted.

    Raises:
        ShapeError: if an example has no such axis.

    >>> import numpy as np, fcnn
    >>> fcnn.log_softmax_over(0).apply((), np.zeros((1, 2, 1))).round(3)
    array([[[-0.693],
            [-0.693]]])
    """

    def pull(y: Array, dy: Array, at: int) -> Array:
        dx: Array = dy - np.exp(y) * dy.sum(axis=at, keepdims=True)
        return dx

    return _along(axis, stable.log_softmax, pull)


facts(softmax_over, multiply_adds=0)
facts(log_softmax_over, multiply_adds=0)
