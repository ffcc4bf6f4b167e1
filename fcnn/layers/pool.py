"""Pooling layers."""

from __future__ import annotations

from fcnn._check import pair
from fcnn._layer import EVAL, Context, Layer, Triple, layer
from fcnn._ops import pool
from fcnn._ops.window import Pair, Window, check_padding, slide
from fcnn._typing import Array, ModelPullback, Padding, Shape, Size
from fcnn.errors import ArgumentError, ShapeError
from fcnn.prng import Key


class _Pool:
    """The geometry that both pools share."""

    def __init__(self, window: Size, stride: Size | None, padding: Padding) -> None:
        self.size = pair(window, "window")
        self.stride = self.size if stride is None else pair(stride, "stride")
        self.margin = check_padding(padding)
        if not isinstance(self.margin, str):
            for k, pads in zip(self.size, self.margin, strict=True):
                if max(pads) >= k:
                    raise ArgumentError(
                        f"padding must be smaller than the window, or a window holds nothing "
                        f"but padding, and {max(pads)} against {k} came"
                    )

    def over(self, image: Shape) -> Window:
        if len(image) != 3:
            raise ShapeError(f"wanted images (n, h, w, c), and (n, {str(image)[1:]} came")
        return slide((image[0], image[1]), self.size, self.stride, (1, 1), self.margin)

    def init(self, key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        return (), (*self.over(shape).out, shape[2])


def tile(pool: Layer) -> Pair | None:
    """The window of a `max_pool2d` whose windows lie side by side and cover the image."""
    if pool.spec.constructor is not max_pool2d:
        return None
    given = pool.spec.arguments
    pooled = _Pool(given["window"], given["stride"], given["padding"])
    alone = pooled.size == pooled.stride and pooled.margin in ("valid", ((0, 0), (0, 0)))
    return pooled.size if alone else None


@layer
def max_pool2d(window: Size, *, stride: Size | None = None, padding: Padding = "valid") -> Triple:
    """The largest element of each window, channel by channel.

    ``y[n, o, c] = max over k of x[n, S·o + k, c]``; padding never wins. The gradient
    goes to one place of the window: where several tie, to the first in row-major order.

    Shapes: x ``(n, h, w, c)``, y ``(n, oh, ow, c)`` with ``oh = (h + padding - kh) // S + 1``:
    what is left over below and to the right falls away.

    Args:
        window: height and width, or one number for both.
        stride: how far the window moves; the window's own size if None.
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
    pooled = _Pool(window, stride, padding)

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return pool.max_pool(x, pooled.over(x.shape[1:]))

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        view = pooled.over(x.shape[1:])
        y = pool.max_pool(x, view)
        return y, lambda dy: ((), pool.max_pool_adjoint(x, y, dy, view))

    return pooled.init, apply, vjp


@layer
def avg_pool2d(window: Size, *, stride: Size | None = None, padding: Padding = "valid") -> Triple:
    """The mean of each window, channel by channel; padding is not counted.

    ``y[n, o, c] = mean over k of x[n, S·o + k, c]``, over the k inside the image.
    Shapes, arguments and errors as for `max_pool2d`.

    >>> import numpy as np, fcnn
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> fcnn.avg_pool2d(2).apply((), x)[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    pooled = _Pool(window, stride, padding)

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return pool.avg_pool(x, pooled.over(x.shape[1:]))

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        view = pooled.over(x.shape[1:])
        return pool.avg_pool(x, view), lambda dy: ((), pool.avg_pool_adjoint(dy, view))

    return pooled.init, apply, vjp
