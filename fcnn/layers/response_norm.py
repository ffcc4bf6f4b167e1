"""Local response normalisation: division by the activity of neighbouring channels.

Forward, with W x the sums of x over the window of each channel, ``size // 2`` channels before it to
``(size - 1) // 2`` after it, and a = alpha / size::

    d = k + a · W(x²)        y = x · d^(-beta)

Backward. ∂d[j]/∂x[i] = 2a · x[i] for every j whose window has i, which is the transpose of W::

    dx = dy · d^(-beta) - 2·a·beta · x · Wᵀ(dy · x · d^(-beta - 1))

Source: A. Krizhevsky, I. Sutskever and G. E. Hinton, "ImageNet classification with deep
convolutional neural networks", 2012,
https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks.
"""

from __future__ import annotations

import math

import numpy as np

from fcnn._check import number, whole
from fcnn._layer import EVAL, Context, Layer, Triple, layer
from fcnn._typing import Array, ModelPullback, Shape
from fcnn._walk import facts
from fcnn.errors import ShapeError
from fcnn.prng import Key


@layer
def local_response_norm(
    size: int, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Triple:
    """Divide each channel by a power of the sum of squares of its neighbours.

    ``y = x / (k + alpha / size · sum of x²)^beta``, the sum over a window of ``size`` channels
    around it, fewer at the ends. Nothing is learnt. The defaults are those of PyTorch's
    ``LocalResponseNorm``, whose channels are the second axis; AlexNet has ``size=5``,
    ``alpha=5e-4`` (1e-4 for each channel of the window), ``k=2``.

    Shapes: x and y ``(n, ..., channels)``.

    Args:
        size: the number of channels of a window.
        alpha: the weight of the mean square, with zeros beyond the ends.
        beta: the exponent.
        k: is added to the weighted mean.

    Raises:
        ArgumentError: if a hyper-parameter is out of its range: ``k`` is positive.

    >>> import numpy as np, fcnn
    >>> norm = fcnn.local_response_norm(3, alpha=3.0, beta=0.5, k=4.0)
    >>> norm.apply((), np.array([[1.0, 2.0, 4.0]])).round(3)
    array([[0.333, 0.4  , 0.816]])

    Source: A. Krizhevsky, I. Sutskever and G. E. Hinton, "ImageNet classification with deep
    convolutional neural networks", 2012,
    https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks.
    """
    size, beta = whole(size, "size"), number(beta, "beta", 0)
    share, k = number(alpha, "alpha", 0) / size, number(k, "k", float(np.finfo(np.float32).tiny))
    before, after = size // 2, (size - 1) // 2

    def init(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        if not shape:
            raise ShapeError("expected an example of at least one axis, (..., channels), got ()")
        return (), shape

    def denominator(x: Array) -> Array:
        d = _window_sums(np.square(x), before, after)
        d *= share
        d += k
        return d

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        y = denominator(x)
        np.power(y, -beta, out=y)
        return np.multiply(y, x, out=y)

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        d = denominator(x)
        factor = np.power(d, -beta)

        def pullback(dy: Array) -> tuple[tuple[()], Array]:
            direct = dy * factor
            through = _window_sums(direct * x / d, after, before)
            through *= x
            through *= 2 * share * beta
            return (), np.subtract(direct, through, out=direct)

        return x * factor, pullback

    return init, apply, vjp


def _window_sums(x: Array, before: int, after: int) -> Array:
    """Return for each channel the sum over those from ``before`` it to ``after`` it."""
    total, c = x.copy("K"), x.shape[-1]
    for shift in range(-before, after + 1):
        if 0 < abs(shift) < c:
            low, high = max(0, -shift), min(c, c - shift)
            target = total[..., low:high]
            np.add(target, x[..., low + shift : high + shift], out=target)
    return total


def _multiply_adds(layer: Layer, in_shape: Shape, out_shape: Shape) -> int:
    return math.prod(out_shape) * int(layer.spec.arguments["size"])


facts(local_response_norm, multiply_adds=_multiply_adds, window=(1, 1))
