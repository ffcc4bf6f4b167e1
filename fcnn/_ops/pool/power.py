"""Pooling by the p-norm, and its adjoint.

With s the sum of the p-th powers of a window and y = s^(1/p), the derivative of y by an element x
of the window is (x/y)^(p - 1), computed as x^(p - 1) · s^(1/p - 1). For p > 1 it has no limit at
s = 0, where a norm has a kink; there it is 0.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops import memory
from fcnn._ops.pool.average import sum_pool, sum_pool_adjoint
from fcnn._ops.window import Window
from fcnn._typing import Array

_POWERS = {0.5: np.sqrt, 1: np.positive, 2: np.square}  # ten times as fast as np.power


def power_sums(x: Array, window: Window, p: float) -> Array:
    """Return ``s``, the sum over each window of x^p, or |x|^p if p is not a whole number."""
    with np.errstate(over="ignore"):
        return sum_pool(_power(x, p, is_odd=p % 2 == 1), window)


def root(s: Array, p: float) -> Array:
    """Return ``y = s^(1/p)``, with the sign of s."""
    return _power(s, 1 / p, is_odd=True)


def power_pool_adjoint(x: Array, s: Array, dy: Array, window: Window, p: float) -> Array:
    """Return ``dx`` of ``root(power_sums(x))``."""
    with np.errstate(over="ignore", invalid="ignore"):  # 0 times inf is NaN
        is_smooth = np.logical_or(s != 0, p == 1)
        factor = np.power(
            np.abs(s), s.dtype.type(1 / p - 1), where=is_smooth, out=memory.zeros_like(s)
        )
        shares = np.multiply(dy, factor, where=is_smooth, out=factor)
        # The derivative of an odd power is even; that of an even power, or of |x|^p, is odd.
        return sum_pool_adjoint(shares, window) * _power(x, p - 1, is_odd=p % 2 != 1)


def _power(x: Array, p: float, *, is_odd: bool) -> Array:
    """Return |x|^p, with the sign of x if it is odd."""
    size = np.abs(x)
    power: Array = _POWERS[p](size) if p in _POWERS else np.power(size, x.dtype.type(p))
    return np.copysign(power, x, out=power) if is_odd else power
