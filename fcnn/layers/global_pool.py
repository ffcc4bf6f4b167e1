"""Pooling over all spatial axes.

Source: M. Lin, Q. Chen and S. Yan, "Network in network", 2014, https://arxiv.org/abs/1312.4400.
"""

from __future__ import annotations

from collections.abc import Callable

from fcnn._layer import EVAL, Context, Triple, layer
from fcnn._ops import memory
from fcnn._ops.pool.adaptive import max_of_windows, max_of_windows_adjoint
from fcnn._ops.pool.whole import spatial_mean, spatial_mean_adjoint
from fcnn._ops.spatial import outermost
from fcnn._typing import Array, ModelPullback, Shape
from fcnn._walk import facts
from fcnn.errors import ShapeError
from fcnn.prng import Key


@layer
def global_avg_pool(*, keepdims: bool = False) -> Triple:
    """Take the mean of each channel over all spatial axes.

    ``y[n, c] = mean over all positions o of x[n, o, c]``; in float32 it is as accurate as float32
    can hold, however large the image.

    Shapes: x ``(n, ..., c)`` with at least one axis between: a sequence, an image or a volume;
    y ``(n, c)``, or with ``keepdims`` ``(n, 1, ..., 1, c)``.

    Raises:
        ShapeError: if an example has no spatial axis.

    >>> import numpy as np, fcnn
    >>> x = np.arange(8.0).reshape(1, 2, 2, 2)
    >>> fcnn.global_avg_pool().apply((), x)
    array([[3., 4.]])
    >>> fcnn.global_avg_pool(keepdims=True).apply((), x).shape
    (1, 1, 1, 2)
    """

    def mean(x: Array) -> tuple[Array, Callable[[Array], Array]]:
        return spatial_mean(x), lambda dy: spatial_mean_adjoint(dy, x.shape[1:-1])

    return _over_space(mean, keepdims)


@layer
def global_max_pool(*, keepdims: bool = False) -> Triple:
    """Take the largest element of each channel over all spatial axes.

    ``y[n, c] = max over all positions o of x[n, o, c]``. The gradient goes to one element: where
    several tie, to the first in row-major order. Shapes and errors as for `global_avg_pool`.

    >>> import numpy as np, fcnn
    >>> x = np.array([3.0, 1, 4, 1]).reshape(1, 2, 2, 1)
    >>> fcnn.global_max_pool().apply((), x)
    array([[4.]])
    """

    def most(x: Array) -> tuple[Array, Callable[[Array], Array]]:
        cuts = [[(0, size)] for size in x.shape[1:-1]]
        stages = max_of_windows(x, cuts)
        y = outermost(stages[-1])

        def pull(dy: Array) -> Array:
            return max_of_windows_adjoint(stages, dy.reshape(y.shape), cuts)

        return memory.array(y.reshape(len(x), x.shape[-1])), pull

    return _over_space(most, keepdims)


def _over_space(
    pool: Callable[[Array], tuple[Array, Callable[[Array], Array]]], keepdims: bool
) -> Triple:
    """Return the layer of ``pool(x) -> ((n, c), pullback)``."""

    def out_shape(shape: Shape) -> Shape:
        if len(shape) < 2:
            raise ShapeError(
                f"expected examples with a spatial axis, (..., c), got the shape {shape}"
            )
        return (*(1 for _ in shape[:-1] if keepdims), shape[-1])

    def init(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        return (), out_shape(shape)

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return vjp(params, x)[0]

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        shape = out_shape(x.shape[1:])
        y, pull = pool(x)
        return y.reshape(len(x), *shape), lambda dy: ((), pull(dy.reshape(y.shape)))

    return init, apply, vjp


facts(global_avg_pool, multiply_adds=0)
facts(global_max_pool, multiply_adds=0)
