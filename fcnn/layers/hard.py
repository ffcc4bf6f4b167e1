"""Piecewise linear activations: hard tanh, sigmoid and swish, hard and soft shrinkage."""

from __future__ import annotations

import numpy as np

from fcnn._check import number
from fcnn._layer import Triple, layer
from fcnn._ops import rectifiers
from fcnn._ops.epilogue import Epilogue
from fcnn._ops.relu import select
from fcnn._pointwise import by_input, by_output
from fcnn._typing import Array
from fcnn._value import as_value
from fcnn._walk import facts
from fcnn.errors import ArgumentError


@layer
def hard_tanh(low: float = -1.0, high: float = 1.0) -> Triple:
    """Clip: ``y = min(max(x, low), high)``; ``dx = dy where low < x < high else 0``.

    Args:
        low: the least output.
        high: the largest output.

    Raises:
        ArgumentError: unless ``low < high``.

    >>> import numpy as np, fcnn
    >>> fcnn.hard_tanh().apply((), np.array([[-2.0, 0.5, 2.0]]))
    array([[-1. ,  0.5,  1. ]])
    """
    low, high = number(low, "low", -np.inf), number(high, "high", -np.inf)
    if not low < high:
        raise ArgumentError(f"expected low < high, got {low:g} and {high:g}")
    return by_output(rectifiers.clipped(low, high))


@as_value
@layer
def hard_sigmoid() -> Triple:
    """Stand for `sigmoid`: ``y = min(max(x + 3, 0), 6) / 6``; ``dx = dy / 6 where |x| < 3 else 0``.

    >>> import numpy as np, fcnn
    >>> fcnn.hard_sigmoid.apply((), np.array([[-4.0, 0.0, 3.0]]))
    array([[0. , 0.5, 1. ]])

    Source: A. Howard et al., "Searching for MobileNetV3", 2019,
    https://arxiv.org/abs/1905.02244.
    """

    def apply(x: Array, out: Array) -> Array:
        np.add(x, 3, out=out)
        np.clip(out, 0, 6, out=out)
        out /= 6
        return out

    def adjoint(y: Array, dy: Array, out: Array) -> Array:
        inside = y > 0
        inside &= y < 1
        select(inside, dy, out)
        out /= 6
        return out

    return by_output(Epilogue(apply, adjoint))


@as_value
@layer
def hard_swish() -> Triple:
    """Stand for `silu`: ``y = x · t / 6`` with ``t = min(max(x + 3, 0), 6)``.

    ``dx = dy · (t + (x where |x| < 3 else 0)) / 6``.

    >>> import numpy as np, fcnn
    >>> fcnn.hard_swish.apply((), np.array([[-4.0, 0.0, 3.0]]))
    array([[-0.,  0.,  3.]])

    Source: A. Howard et al., "Searching for MobileNetV3", 2019,
    https://arxiv.org/abs/1905.02244.
    """

    def run(x: Array, y: Array) -> None:
        np.add(x, 3, out=y)
        np.clip(y, 0, 6, out=y)
        y *= x
        y /= 6

    def pull(x: Array, dy: Array, dx: Array) -> None:
        v = x / 3
        np.clip(v, -1, 1, out=v)
        np.trunc(v, out=dx)  # 0 where |x| < 3, else -1 or 1
        dx *= -0.5
        dx += v
        dx += 0.5  # v + 1/2 where |x| < 3, else 0 or 1
        dx *= dy

    return by_input(run, pull)


@layer
def hard_shrink(lambd: float = 0.5) -> Triple:
    """Set small numbers to 0: ``y = 0 if |x| <= lambd else x``; ``dx = 0`` there, else dy.

    Args:
        lambd: up to where, at least 0.

    Raises:
        ArgumentError: if ``lambd`` is negative.

    >>> import numpy as np, fcnn
    >>> fcnn.hard_shrink().apply((), np.array([[-2.0, -0.5, 0.4, 1.0]]))
    array([[-2.,  0.,  0.,  1.]])

    Source: D. L. Donoho and I. M. Johnstone, "Ideal spatial adaptation by wavelet
    shrinkage", 1994, https://doi.org/10.1093/biomet/81.3.425.
    """
    return by_output(rectifiers.hard_shrunk(number(lambd, "lambd", 0)))


@layer
def soft_shrink(lambd: float = 0.5) -> Triple:
    """Move numbers towards 0: ``y = x - min(max(x, -lambd), lambd)``; ``dx = dy where y != 0``.

    Args:
        lambd: by how much, at least 0.

    Raises:
        ArgumentError: if ``lambd`` is negative.

    >>> import numpy as np, fcnn
    >>> fcnn.soft_shrink().apply((), np.array([[-2.0, -0.5, 0.25, 1.0]]))
    array([[-1.5,  0. ,  0. ,  0.5]])

    Source: D. L. Donoho, "De-noising by soft-thresholding", 1995,
    https://doi.org/10.1109/18.382009.
    """
    return by_output(rectifiers.soft_shrunk(number(lambd, "lambd", 0)))


for _hard in (hard_tanh, hard_sigmoid, hard_swish, hard_shrink, soft_shrink):
    facts(_hard, multiply_adds=0, window=(1, 1))
