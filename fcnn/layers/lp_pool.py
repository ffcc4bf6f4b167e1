"""Pooling by the p-norm.

Source: P. Sermanet, S. Chintala and Y. LeCun, "Convolutional neural networks applied to house
numbers digit classification", 2012, https://arxiv.org/abs/1204.3968.
"""

from __future__ import annotations

from fcnn._check import number
from fcnn._layer import EVAL, Context, Layer, Triple, layer
from fcnn._ops.pool.geometry import Windows
from fcnn._ops.pool.power import power_pool_adjoint, power_sums, root
from fcnn._ops.window import Sizes
from fcnn._typing import Array, ModelPullback, Padding, Shape, Size
from fcnn._walk import facts
from fcnn.prng import Key


@layer
def lp_pool2d(
    p: float, pool_size: Size, *, stride: Size | None = None, padding: Padding = "valid"
) -> Triple:
    """Take the p-norm of each window, channel by channel.

    ``y[n, o, c] = (sum over k of x[n, S·o + k, c]^p)^(1/p)``; at p = 1 it is the sum of the
    window. Padding is 0. Where PyTorch's ``lp_pool2d`` is a number, this is the same number; where
    that is NaN, it is the following: for a p that is not a whole number ``|x|`` stands for x, and
    for an odd p the root of a negative sum is negative. For p > 1 the gradient of a window whose
    sum of powers is 0 is 0, as in PyTorch; for p = 1 it is dy there too, where PyTorch's is 0.

    Shapes and padding as for `max_pool2d`.

    Args:
        p: the exponent, at least 1.
        pool_size: height and width of the window, or one number for both.
        stride: how far the window moves; its own size if None.
        padding: as in `conv2d`.

    Raises:
        ArgumentError: if p is below 1, or the padding as large as the window.
        ShapeError: if the window is larger than the padded image.

    >>> import numpy as np, fcnn
    >>> x = np.array([3.0, 4, 0, 0]).reshape(1, 2, 2, 1)
    >>> fcnn.lp_pool2d(2, 2).apply((), x)[0, :, :, 0]
    array([[5.]])
    """
    exponent, windows = number(p, "p", 1), Windows.checked(2, pool_size, stride, padding)

    def init(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        return (), windows.out_shape(shape)

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return root(power_sums(x, windows.window(x.shape[1:]), exponent), exponent)

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        window = windows.window(x.shape[1:])
        sums = power_sums(x, window, exponent)

        def pullback(dy: Array) -> tuple[tuple[()], Array]:
            return (), power_pool_adjoint(x, sums, dy, window, exponent)

        return root(sums, exponent), pullback

    return init, apply, vjp


def _window(layer: Layer) -> tuple[Sizes, Sizes]:
    given = layer.spec.arguments
    windows = Windows.checked(2, given["pool_size"], given["stride"], given["padding"])
    return windows.reach, windows.stride


facts(lp_pool2d, multiply_adds=0, window=_window)
