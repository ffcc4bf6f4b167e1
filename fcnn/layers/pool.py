"""Pooling layers."""

from __future__ import annotations

import attrs

from fcnn._check import pair
from fcnn._layer import EVAL, Context, Layer, Triple, layer
from fcnn._ops import pool
from fcnn._ops.window import Pads, Pair, Window, check_padding, slide
from fcnn._typing import Array, ModelPullback, Padding, Shape, Size
from fcnn._walk import facts
from fcnn.errors import ArgumentError, ShapeError
from fcnn.prng import Key


@attrs.frozen
class Pooling:
    """The arguments of a pooling layer, checked, and its geometry."""

    pool_size: Pair
    stride: Pair
    padding: str | Pads

    @classmethod
    def of(cls, pool: Layer) -> Pooling:
        """Return the arguments of a pooling layer."""
        return checked(**pool.spec.arguments)

    def window(self, image: Shape) -> Window:
        """Return where the window stands on an image ``(h, w, c)``."""
        if len(image) != 3:
            raise ShapeError(f"expected images (n, h, w, c), got (n, {str(image)[1:]}")
        return slide((image[0], image[1]), self.pool_size, self.stride, (1, 1), self.padding)

    def init(self, key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        """Return no params, and the shape of the output."""
        return (), (*self.window(shape).out, shape[2])

    @property
    def is_tiling(self) -> bool:
        """Whether the windows lie side by side without padding."""
        return self.pool_size == self.stride and self.padding in ("valid", ((0, 0), (0, 0)))


def checked(pool_size: Size, stride: Size | None, padding: Padding) -> Pooling:
    """Return the arguments of a pooling layer in one form.

    Raises:
        ArgumentError: if one is out of its range.
    """
    size, margin = pair(pool_size, "pool_size"), check_padding(padding)
    if not isinstance(margin, str):
        for k, pads in zip(size, margin, strict=True):
            if max(pads) >= k:
                raise ArgumentError(
                    f"expected padding smaller than the window, which would else hold nothing "
                    f"but padding, got {max(pads)} for a window of {k}"
                )
    return Pooling(size, size if stride is None else pair(stride, "stride"), margin)


@layer
def max_pool2d(
    pool_size: Size, *, stride: Size | None = None, padding: Padding = "valid"
) -> Triple:
    """Take the largest element of each window, channel by channel.

    ``y[n, o, c] = max over k of x[n, S·o + k, c]``; padding never wins. The gradient
    goes to one place of the window: where several tie, to the first in row-major order.

    Shapes: x ``(n, h, w, c)``, y ``(n, oh, ow, c)`` with ``oh = (h + padding - kh) // S + 1``:
    rows and columns left over at the bottom and the right are dropped.

    Args:
        pool_size: height and width of the window, or one number for both.
        stride: how far the window moves; its own size if None.
        padding: as in `conv2d`.

    Raises:
        ArgumentError: if the padding is as large as the window.
        ShapeError: if the window is larger than the padded image.

    >>> import numpy as np, fcnn
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> fcnn.max_pool2d(2).apply((), x)[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    pooled = checked(pool_size, stride, padding)

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return pool.max_pool(x, pooled.window(x.shape[1:]))

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        window = pooled.window(x.shape[1:])
        y = pool.max_pool(x, window)
        return y, lambda dy: ((), pool.max_pool_adjoint(x, y, dy, window))

    return pooled.init, apply, vjp


@layer
def avg_pool2d(
    pool_size: Size, *, stride: Size | None = None, padding: Padding = "valid"
) -> Triple:
    """Take the mean of each window, channel by channel; padding is not counted.

    ``y[n, o, c] = mean over k of x[n, S·o + k, c]``, over the k inside the image.
    Shapes, arguments and errors as for `max_pool2d`.

    >>> import numpy as np, fcnn
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> fcnn.avg_pool2d(2).apply((), x)[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    pooled = checked(pool_size, stride, padding)

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return pool.avg_pool(x, pooled.window(x.shape[1:]))

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        window = pooled.window(x.shape[1:])
        return pool.avg_pool(x, window), lambda dy: ((), pool.avg_pool_adjoint(dy, window))

    return pooled.init, apply, vjp


def _window(layer: Layer) -> tuple[Pair, Pair]:
    pooled = Pooling.of(layer)
    return pooled.pool_size, pooled.stride


facts(max_pool2d, multiply_adds=0, window=_window)
facts(avg_pool2d, multiply_adds=0, window=_window)
