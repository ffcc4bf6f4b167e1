"""Max and average pooling over sequences, images and volumes.

Source: D. Scherer, A. Müller and S. Behnke, "Evaluation of pooling operations in convolutional
architectures for object recognition", 2010, https://doi.org/10.1007/978-3-642-15825-4_10.
"""

from __future__ import annotations

import functools
from typing import Self

import attrs

from fcnn._layer import EVAL, Context, Layer, Triple, layer
from fcnn._ops import pool
from fcnn._ops.pool.geometry import Windows
from fcnn._ops.pool.steps import Pool
from fcnn._ops.window import Pair, Sizes
from fcnn._typing import (
    Array,
    ModelPullback,
    Padding,
    Padding1d,
    Padding3d,
    Shape,
    Size,
    Size1d,
    Size3d,
)
from fcnn._walk import facts
from fcnn.prng import Key


@attrs.frozen
class Pooling(Windows):
    """The arguments of a pooling layer, checked, and its geometry."""

    @classmethod
    def of(cls, pool: Layer) -> Self:
        """Return the arguments of a pooling layer."""
        given = pool.spec.arguments
        names = ("pool_size", "stride", "padding", "dilation")
        rank = int(pool.spec.name[-2])  # of max_pool2d
        return cls.checked(rank, **{name: given[name] for name in names if name in given})

    @property
    def tile(self) -> Pair:
        """The rows and columns of the window of a two-dimensional pool."""
        rows, columns = self.pool_size
        return rows, columns

    def triple(self, kernel: Pool) -> Triple:
        """Return the functions of the layer that pools by this kernel."""
        steps = functools.lru_cache(maxsize=64)(self.steps)

        def init(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
            return (), self.out_shape(shape)

        def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
            return pool.pool_vjp(x, steps(x.shape[1:]), kernel)[0]

        def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
            y, pull = pool.pool_vjp(x, steps(x.shape[1:]), kernel)
            return y, lambda dy: ((), pull(dy))

        return init, apply, vjp


@layer
def max_pool2d(
    pool_size: Size, *, stride: Size | None = None, padding: Padding = "valid", dilation: Size = 1
) -> Triple:
    """Take the largest element of each window, channel by channel.

    ``y[n, o, c] = max over k of x[n, S·o + D·k, c]``; padding never wins. The gradient
    goes to one place of the window: where several tie, to the first in row-major order.

    Shapes: x ``(n, h, w, c)``, y ``(n, oh, ow, c)`` with ``oh = (h + padding - kh) // S + 1``:
    rows and columns left over at the bottom and the right are dropped.

    Args:
        pool_size: height and width of the window, or one number for both.
        stride: how far the window moves; its own size if None.
        padding: as in `conv2d`.
        dilation: the distance between neighbouring elements of the window, ``kh`` above
            being ``dilation * (height - 1) + 1``.

    Raises:
        ArgumentError: if the padding is as large as the window.
        ShapeError: if the window is larger than the padded image.

    >>> import numpy as np, fcnn
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> fcnn.max_pool2d(2).apply((), x)[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    return Pooling.checked(2, pool_size, stride, padding, dilation).triple(pool.max_pool_vjp)


@layer
def max_pool1d(
    pool_size: Size1d,
    *,
    stride: Size1d | None = None,
    padding: Padding1d = "valid",
    dilation: Size1d = 1,
) -> Triple:
    """Take the largest element of each window of a sequence, channel by channel.

    `max_pool2d` along one axis. Padding is ``"valid"``, ``"same"``, one number for both ends, or
    ``(before, after)``.

    Shapes: x ``(n, length, c)``, y ``(n, (length + padding - k) // stride + 1, c)``.

    >>> import numpy as np, fcnn
    >>> x = np.array([3.0, 1, 4, 1, 5, 9, 2]).reshape(1, 7, 1)
    >>> fcnn.max_pool1d(3, stride=2).apply((), x)[0, :, 0]
    array([4., 5., 9.])
    """
    return Pooling.checked(1, pool_size, stride, padding, dilation).triple(pool.max_pool_vjp)


@layer
def max_pool3d(
    pool_size: Size3d,
    *,
    stride: Size3d | None = None,
    padding: Padding3d = "valid",
    dilation: Size3d = 1,
) -> Triple:
    """Take the largest element of each window of a volume, channel by channel.

    `max_pool2d` along three axes. Padding is ``"valid"``, ``"same"``, one number for all sides,
    or for each of depth, rows and columns a number or ``(before, after)``.

    Shapes: x ``(n, d, h, w, c)``, y ``(n, od, oh, ow, c)``.

    >>> import numpy as np, fcnn
    >>> x = np.arange(16.0).reshape(1, 4, 2, 2, 1)
    >>> fcnn.max_pool3d(2).apply((), x)[0, :, 0, 0, 0]
    array([ 7., 15.])
    """
    return Pooling.checked(3, pool_size, stride, padding, dilation).triple(pool.max_pool_vjp)


@layer
def avg_pool2d(
    pool_size: Size,
    *,
    stride: Size | None = None,
    padding: Padding = "valid",
    count_include_pad: bool = False,
) -> Triple:
    """Take the mean of each window, channel by channel; padding is not counted.

    ``y[n, o, c] = mean over k of x[n, S·o + k, c]``, over the k inside the image; with
    ``count_include_pad`` over all k, padding being 0 (PyTorch's default).
    Shapes, other arguments and errors as for `max_pool2d`.

    >>> import numpy as np, fcnn
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> fcnn.avg_pool2d(2).apply((), x)[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    return Pooling.checked(2, pool_size, stride, padding).triple(_mean(count_include_pad))


@layer
def avg_pool1d(
    pool_size: Size1d,
    *,
    stride: Size1d | None = None,
    padding: Padding1d = "valid",
    count_include_pad: bool = False,
) -> Triple:
    """Take the mean of each window of a sequence, channel by channel; padding is not counted.

    `avg_pool2d` along one axis. Shapes and padding as for `max_pool1d`.

    >>> import numpy as np, fcnn
    >>> x = np.array([2.0, 4, 6]).reshape(1, 3, 1)
    >>> fcnn.avg_pool1d(2, padding=1).apply((), x)[0, :, 0]
    array([2., 5.])
    >>> fcnn.avg_pool1d(2, padding=1, count_include_pad=True).apply((), x)[0, :, 0]
    array([1., 5.])
    """
    return Pooling.checked(1, pool_size, stride, padding).triple(_mean(count_include_pad))


@layer
def avg_pool3d(
    pool_size: Size3d,
    *,
    stride: Size3d | None = None,
    padding: Padding3d = "valid",
    count_include_pad: bool = False,
) -> Triple:
    """Take the mean of each window of a volume, channel by channel; padding is not counted.

    `avg_pool2d` along three axes. Shapes and padding as for `max_pool3d`.

    >>> import numpy as np, fcnn
    >>> x = np.arange(16.0).reshape(1, 4, 2, 2, 1)
    >>> fcnn.avg_pool3d(2).apply((), x)[0, :, 0, 0, 0]
    array([ 3.5, 11.5])
    """
    return Pooling.checked(3, pool_size, stride, padding).triple(_mean(count_include_pad))


def _mean(count_include_pad: bool) -> Pool:
    return pool.avg_pool_padded_vjp if count_include_pad else pool.avg_pool_vjp


def _window(layer: Layer) -> tuple[Sizes, Sizes]:
    pooled = Pooling.of(layer)
    return pooled.reach, pooled.stride


for _each in (max_pool1d, max_pool2d, max_pool3d, avg_pool1d, avg_pool2d, avg_pool3d):
    facts(_each, multiply_adds=0, window=_window)
