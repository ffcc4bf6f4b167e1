"""Pooling to a given size, whatever the size of the input.

Along each axis of size i that is pooled to size o, window k reaches from ``floor(k·i/o)`` to
``ceil((k + 1)·i/o)``, as in PyTorch: neighbouring windows overlap by one where o does not divide i.

Source: K. He, X. Zhang, S. Ren and J. Sun, "Spatial pyramid pooling in deep convolutional networks
for visual recognition", 2014, https://arxiv.org/abs/1406.4729.
"""

from __future__ import annotations

from typing import TypeAlias

from fcnn._check import whole
from fcnn._layer import EVAL, Context, Triple, layer
from fcnn._ops.pool.adaptive import Cuts, max_of_windows, max_of_windows_adjoint
from fcnn._ops.resample import adaptive_windows, means, resample, resample_adjoint
from fcnn._ops.spatial import outermost
from fcnn._typing import Array, ModelPullback, Shape
from fcnn._walk import facts
from fcnn.errors import ArgumentError, ShapeError
from fcnn.prng import Key

Target: TypeAlias = int | tuple[int | None, ...]
"""One size for all spatial axes, or one for each; None leaves an axis as it is."""


@layer
def adaptive_avg_pool(size: int | tuple[int | None, ...]) -> Triple:
    """Take the mean of windows that cover the input so that the output has a given size.

    ``y[n, o, c] = mean of x[n, k, c] over floor(o·in/size) <= k < ceil((o + 1)·in/size)``, along
    each axis.

    Shapes: x ``(n, length, c)``, ``(n, h, w, c)`` or ``(n, d, h, w, c)``, y ``(n, *size, c)``.

    Args:
        size: the size of the output: one number for all spatial axes, or a tuple of one an axis,
            in which None leaves an axis as it is.

    Raises:
        ArgumentError: if a size is not a positive whole number.
        ShapeError: if an example has another number of spatial axes.

    >>> import numpy as np, fcnn
    >>> x = np.array([1.0, 2, 3, 4, 5]).reshape(1, 5, 1)
    >>> fcnn.adaptive_avg_pool(2).apply((), x)[0, :, 0]
    array([2., 4.])
    """
    target = _checked(size)

    def init(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        return (), (*_sizes(target, shape), shape[-1])

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return resample(x, _sizes(target, x.shape[1:]), means)

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        spatial = x.shape[1:-1]
        return apply(params, x), lambda dy: ((), resample_adjoint(dy, spatial, means))

    return init, apply, vjp


@layer
def adaptive_max_pool(size: int | tuple[int | None, ...]) -> Triple:
    """Take the largest element of windows that cover the input as in `adaptive_avg_pool`.

    The gradient goes to one element of a window: where several tie, to the first in row-major
    order. Shapes, arguments and errors as for `adaptive_avg_pool`.

    >>> import numpy as np, fcnn
    >>> x = np.array([1.0, 2, 5, 4, 3]).reshape(1, 5, 1)
    >>> fcnn.adaptive_max_pool(2).apply((), x)[0, :, 0]
    array([5., 5.])
    """
    target = _checked(size)

    def init(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        return (), (*_sizes(target, shape), shape[-1])

    def cuts_of(shape: Shape) -> list[Cuts]:
        sizes = zip(shape[:-1], _sizes(target, shape), strict=True)
        return [adaptive_windows(size, out) for size, out in sizes]

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return outermost(max_of_windows(x, cuts_of(x.shape[1:]))[-1])

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        cuts = cuts_of(x.shape[1:])
        stages = max_of_windows(x, cuts)
        y = outermost(stages[-1].copy())
        return y, lambda dy: ((), max_of_windows_adjoint(stages, dy, cuts))

    return init, apply, vjp


def _checked(size: Target) -> Target:
    if not isinstance(size, tuple | list):
        return whole(size, "size")
    if not 1 <= len(size) <= 3:
        raise ArgumentError(f"expected a size of one to three axes, got {size!r}")
    return tuple([None if each is None else whole(each, "size") for each in size])


def _sizes(target: Target, shape: Shape) -> tuple[int, ...]:
    """Return the size of each axis of the output of an example of this shape."""
    spatial = shape[:-1]
    if isinstance(target, int):
        if not 1 <= len(spatial) <= 3:
            raise ShapeError(
                f"expected sequences (n, length, c), images (n, h, w, c) or volumes "
                f"(n, d, h, w, c), got (n, {str(shape)[1:]}"
            )
        return (target,) * len(spatial)
    if len(target) != len(spatial):
        raise ShapeError(
            f"expected examples of {len(target)} spatial axes and channels, for the size {target}, "
            f"got the shape {shape}"
        )
    return tuple([own if out is None else out for own, out in zip(spatial, target, strict=True)])


facts(adaptive_avg_pool, multiply_adds=0)
facts(adaptive_max_pool, multiply_adds=0)
